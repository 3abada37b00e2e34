//! The readers of `pm.toml`, Procfile and `.env`, from outside: what comes out of a text, and what is said of a wrong
//! one. What people read is compared whole, as a picture, with `snapshots/`.

mod fake_host;
mod faults;
mod keys;
mod procfile;
mod properties;
mod rows;
