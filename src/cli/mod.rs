//! Floor 5: what people type and read. From an argv to an [`Ending`], never to an exit.
//!
//! [`args`] is the command line; [`notes`] and [`exit_status`] are what its help and the manual explain. [`load`] finds
//! the file to run and makes a plan of it, with what [`host`] knows of this machine and [`http`] of its page;
//! [`diagnostics`] prints the faults of a file, and [`warnings`] finds what would fail now. Each command has a file:
//! [`run`], [`exec`], [`check`], [`init`], [`export`], [`man`]; [`generate`] has the two that only print, `pm schema`
//! and `pm completions`. The commands that talk to a running pm are in [`remote`].

mod args;
mod check;
mod colour;
pub mod diagnostics;
mod exec;
pub mod exit_status;
mod export;
mod generate;
mod host;
mod http;
mod init;
mod load;
mod man;
mod notes;
mod remote;
mod run;
mod socket;
mod warnings;

#[cfg(feature = "top")]
pub use self::remote::top::trial as top_trial;

use std::ffi::OsString;
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;

use self::args::Command;
use self::host::unreadable;
use crate::plan::LoadError;
use crate::plan::text::printable::printable;
use crate::reactor::{Colour, ReactorError};
use crate::supervisor::Outcome;
use crate::sys::guard::GuardError;
use crate::sys::{SpawnError, own_process};

/// How a command ended. `main` prints what is not printed yet, and exits with the status that follows.
#[derive(Debug)]
pub enum Ending {
    /// A run ended.
    RunEnded(Outcome),
    /// This process was the guard, and what it guarded ended with this exit status.
    GuardEnded(u8),
    /// The guard or the command under `--init` could not be started.
    GuardFailed(GuardError),
    /// `pm exec` could not become its command.
    NotExecuted(SpawnError),
    /// The command did what was asked, and its output is printed.
    Done,
    /// The command has printed all, and this is its exit status.
    Status(u8),
    /// The files or the folder are wrong, and the reason is printed.
    Refused,
    /// The help or the version was asked for. It is not printed yet.
    HelpAsked(clap::Error),
    /// The command line is wrong. The reason is not printed yet.
    BadUsage(clap::Error),
    /// The output could not be written.
    CannotPrint(PrintError),
    /// pm itself failed.
    ReactorFailed(ReactorError),
}

/// What could not be written.
#[derive(Debug, thiserror::Error)]
pub enum PrintError {
    #[error("cannot write to stdout: {}", unreadable(.0))]
    Stdout(io::Error),
    #[error("cannot create the folder `{}`: {}", .path.display(), unreadable(.error))]
    Folder { path: PathBuf, error: io::Error },
    #[error("cannot write `{}`: {}", .path.display(), unreadable(.error))]
    File { path: PathBuf, error: io::Error },
}

/// Does what the command line asks for.
pub fn pm(argv: impl IntoIterator<Item = OsString>) -> Ending {
    let command = match args::read(argv) {
        Ok(command) => command,
        Err(error) if error.use_stderr() => return Ending::BadUsage(error),
        Err(error) => return Ending::HelpAsked(error),
    };
    if !matches!(command, Command::Run(_)) {
        own_process::release_requests();
    }
    match command {
        Command::Run(run) => run::run(run),
        Command::Exec(exec) => exec::exec(&exec),
        Command::Remote(command) => remote::remote(&command),
        Command::Check(check) => check::check(&check),
        Command::Init => init::init(),
        Command::Export(export) => export::export(&export),
        Command::Schema => generate::schema(),
        Command::Completions { shell } => generate::completions(shell),
        Command::Man(man) => man::man(&man),
    }
}

/// Prints an error on stderr.
pub fn complain(error: &dyn std::error::Error) {
    // If stderr is closed, there is no other place for it.
    let _ = writeln!(io::stderr(), "pm: {}", printable(&error.to_string()));
}

/// Prints on stderr why there is no plan: the faults of a file with their places, or one line.
fn refuse(why: &LoadError, colour: Colour) -> Ending {
    match why {
        // If stderr is closed: as in `complain`.
        LoadError::Faults(faults) => {
            let pictures = if colour.stderr {
                diagnostics::pictures_in_colour(faults)
            } else {
                diagnostics::pictures(faults)
            };
            let _ = io::stderr().write_all(pictures.as_bytes());
        }
        LoadError::Plan(_)
        | LoadError::NothingHere { .. }
        | LoadError::NoFile { .. }
        | LoadError::FileGone { .. }
        | LoadError::Unreadable { .. }
        | LoadError::NoProcfile { .. }
        | LoadError::Option(_)
        | LoadError::SealedTakeOver { .. }
        | LoadError::SealedChanged
        | LoadError::HttpWithoutToken { .. }
        | LoadError::NoHttp
        | LoadError::NoTokenFile { .. }
        | LoadError::Token { .. }
        | LoadError::NoFolder(_) => complain(why),
    }
    Ending::Refused
}

/// Prints on stdout what was asked for.
fn say(text: &str) -> Ending {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ending::Done,
        // The reader closed the pipe (`pm man | head -1`): that is no failure.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ending::Done,
        Err(error) => Ending::CannotPrint(PrintError::Stdout(error)),
    }
}
