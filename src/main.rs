//! Floor 5: parse, run, and turn the outcome into an exit status. The only exit.

#![warn(clippy::disallowed_methods, clippy::disallowed_types, clippy::unwrap_used)]

use std::panic::catch_unwind;
use std::process::ExitCode;

use nix::errno::Errno;
use pm::cli::{self, Ending};
use pm::supervisor::Outcome;
use pm::sys::guard::GuardError;

const GAVE_UP: u8 = 1;
const BAD_USAGE: u8 = 2;
const BROKEN: u8 = 3;
/// As a shell has it.
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

fn main() -> ExitCode {
    // A panic has been printed by now, and unwinding has killed the workers.
    let Ok(ending) = catch_unwind(|| cli::pm(std::env::args_os())) else {
        return ExitCode::from(BROKEN);
    };
    let status = match ending {
        Ending::Over(Outcome::Stopped | Outcome::Ended(None)) => 0,
        Ending::Over(Outcome::Ended(Some(exit))) => exit.status(),
        Ending::Over(Outcome::GaveUp) => GAVE_UP,
        Ending::Guarded(status) => status,
        Ending::Unguarded(error) => {
            cli::complain(&error);
            match error {
                GuardError::Exec { errno: Errno::ENOENT, .. } => NOT_FOUND,
                GuardError::Exec { .. } => NOT_EXECUTABLE,
                GuardError::Refused(_) | GuardError::ForeignProc => BROKEN,
            }
        }
        Ending::Shown(text) => {
            // A reader that has gone away (`pm --help | head -1`) has seen what it wanted.
            let _ = text.print();
            0
        }
        Ending::BadUsage(error) => {
            let _ = error.print();
            BAD_USAGE
        }
        Ending::Done => 0,
        Ending::Refused => BAD_USAGE,
        Ending::Unsaid(error) => {
            cli::complain(&error);
            BROKEN
        }
        Ending::Broken(error) => {
            cli::complain(&error);
            BROKEN
        }
    };
    ExitCode::from(status)
}
