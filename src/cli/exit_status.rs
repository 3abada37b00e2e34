//! pm's own exit statuses. `main` chooses among them; `--help` and the manual explain them ([`super::notes`]).
//!
//! Those of a command that cannot be executed are in [`crate::sys::guard`].

/// It stopped as asked, or did what was asked.
pub const STOPPED: u8 = 0;
/// All that is left has given up.
pub const GAVE_UP: u8 = 1;
/// What was asked for is not so: it failed, or not in time.
pub const NOT_SO: u8 = 1;
/// The command line or the configuration is wrong. clap's own status for bad usage is the same.
pub const BAD_USAGE: u8 = 2;
/// pm itself failed.
pub const BROKEN: u8 = 3;
/// There is no pm to talk to.
pub const NO_PM: u8 = 4;
