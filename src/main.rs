//! Floor 5: from how it ended to an exit status. The only exit.

#![warn(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::fn_params_excessive_bools,
    clippy::unwrap_used
)]

use std::panic::catch_unwind;
use std::process::ExitCode;

use pm::cli::exit_status::{BAD_USAGE, BROKEN, GAVE_UP, STOPPED};
use pm::cli::{self, Ending};
use pm::supervisor::Outcome;
use pm::sys::hold_requests;

fn main() -> ExitCode {
    hold_requests();
    // The panic is printed already, and unwinding has killed the workers.
    let Ok(ending) = catch_unwind(|| cli::pm(std::env::args_os())) else {
        return ExitCode::from(BROKEN);
    };
    let status = match ending {
        Ending::RunEnded(Outcome::Stopped | Outcome::Ended(None)) => STOPPED,
        Ending::RunEnded(Outcome::Ended(Some(exit))) => exit.status(),
        Ending::RunEnded(Outcome::GaveUp) => GAVE_UP,
        Ending::RunEnded(Outcome::LeftBehind) => BROKEN,
        Ending::GuardEnded(status) => status,
        Ending::GuardFailed(error) => {
            cli::complain(&error);
            error.exec_status().unwrap_or(BROKEN)
        }
        Ending::NotExecuted(error) => {
            cli::complain(&error);
            error.exec_status()
        }
        Ending::HelpAsked(text) => {
            // If its reader has closed the pipe (`pm --help | head -1`), that is no failure.
            let _ = text.print();
            STOPPED
        }
        Ending::BadUsage(error) => {
            let _ = error.print();
            BAD_USAGE
        }
        Ending::Done => STOPPED,
        Ending::Status(status) => status,
        Ending::Refused => BAD_USAGE,
        Ending::CannotPrint(error) => {
            cli::complain(&error);
            BROKEN
        }
        Ending::ReactorFailed(error) => {
            cli::complain(&error);
            BROKEN
        }
    };
    ExitCode::from(status)
}
