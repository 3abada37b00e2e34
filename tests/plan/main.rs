//! The readers of `pm.toml`, Procfile and `.env`, from outside: the plan of a right text and the faults of a wrong one.
//! The pictures of faults, as people see them, are compared with `snapshots/`.
//!
//! [`rows`] has right and wrong values for each key of a `pm.toml`, [`keys`] tries them; [`faults`] is about several
//! faults at once, [`procfile`] about Procfiles, [`schema`] about the JSON schema, [`limits`] about those of the
//! kernel; [`properties`] tries random texts. [`fake_host`] is the machine.

mod fake_host;
mod faults;
mod keys;
mod limits;
mod procfile;
mod properties;
mod rows;
mod schema;
