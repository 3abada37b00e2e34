//! Floor 5: from how it ended to an exit status. The only exit.

#![cfg_attr(
    not(test),
    warn(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        clippy::fn_params_excessive_bools,
        clippy::unwrap_used
    )
)]

use std::panic;
use std::process::ExitCode;

use pm::cli::exit_status::{BAD_USAGE, BROKEN, GAVE_UP, STOPPED};
use pm::cli::{self, Ending};
use pm::supervisor::Outcome;
use pm::sys::hold_requests;

fn main() -> ExitCode {
    hold_requests();
    exit_on_panic();
    let status = match cli::pm(std::env::args_os()) {
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

/// A panic in any thread ends the process, once it is printed. The guard kills what the reactor leaves so, as it does
/// when the reactor is killed.
fn exit_on_panic() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |panicked| {
        print(panicked);
        #[expect(clippy::exit, reason = "a panic does not return to main")]
        std::process::exit(BROKEN.into());
    }));
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// In the process with this variable, the test panics.
    const PANICS: &str = "PM_TEST_PANICS";

    #[test]
    fn a_panic_in_any_thread_ends_the_process() {
        if std::env::var_os(PANICS).is_some() {
            exit_on_panic();
            let _ = std::thread::spawn(|| panic!("pm has a fault")).join();
            return;
        }
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "--nocapture", "tests::a_panic_in_any_thread_ends_the_process"]);
        let output = command.env(PANICS, "1").output().unwrap();
        assert_eq!(output.status.code(), Some(BROKEN.into()));
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains("pm has a fault"), "{told}");
    }
}
