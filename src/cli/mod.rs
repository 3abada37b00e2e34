//! Floor 4: what people type and read. From an argv to an [`Ending`], and never an exit of its own.
//!
//! [`args`] is the command line. [`load`] finds the file that it means and makes a plan of it, with what [`host`]
//! answers about this machine; [`diagnostics`] shows what is wrong with one. A file for each command: [`run`], [`check`],
//! [`init`], and [`generate`] for those that only print.

mod args;
mod check;
mod colour;
pub mod diagnostics;
mod generate;
mod host;
mod init;
mod load;
mod run;

use std::ffi::OsString;
use std::io::{self, ErrorKind, Write};

use self::args::Command;
use self::load::NoPlan;
use crate::reactor::ReactorError;
use crate::supervisor::Outcome;
use crate::sys::guard::GuardError;

/// What is left to do for `main`: print, and exit with a status.
#[derive(Debug)]
pub enum Ending {
    /// A run is over.
    Over(Outcome),
    /// This was the guard of a run or a command, which ended with this exit status.
    Guarded(u8),
    /// Nothing was started.
    Unguarded(GuardError),
    /// What was asked for is done and said.
    Done,
    /// The files or the folder make no sense, and people have been told.
    Refused,
    /// The help or the version was asked for.
    Shown(clap::Error),
    /// The command line makes no sense.
    BadUsage(clap::Error),
    /// What was to be said could not be written.
    Unsaid(io::Error),
    /// pm itself failed.
    Broken(ReactorError),
}

/// Does what the command line says and returns how that ended.
pub fn pm(argv: impl IntoIterator<Item = OsString>) -> Ending {
    let command = match args::read(argv) {
        Ok(command) => command,
        Err(error) if error.use_stderr() => return Ending::BadUsage(error),
        Err(error) => return Ending::Shown(error),
    };
    match command {
        Command::Run(run) => run::run(run),
        Command::Check(check) => check::check(&check),
        Command::Init => init::init(),
        Command::Schema => generate::schema(),
        Command::Completions { shell } => generate::completions(shell),
        Command::Man => generate::man(),
    }
}

/// Says on stderr what is wrong.
pub fn complain(error: &dyn std::error::Error) {
    // Nobody is left to be told if stderr is closed.
    let _ = writeln!(io::stderr(), "pm: {error}");
}

/// Says on stderr why there is nothing to run, with pictures if it is for the faults of a file.
fn refuse(why: &NoPlan, colour: bool) -> Ending {
    match why {
        // As `complain`.
        NoPlan::Faults(faults) => {
            let pictures = if colour {
                diagnostics::pictures_in_colour(faults)
            } else {
                diagnostics::pictures(faults)
            };
            let _ = io::stderr().write_all(pictures.as_bytes());
        }
        NoPlan::Plan(_)
        | NoPlan::NothingHere { .. }
        | NoPlan::NoFile { .. }
        | NoPlan::Unreadable { .. }
        | NoPlan::NoProcfile { .. }
        | NoPlan::NoFolder(_) => complain(why),
    }
    Ending::Refused
}

/// Says on stdout what was asked for.
fn say(text: &str) -> Ending {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ending::Done,
        // A reader that has gone away (`pm man | head -1`) has seen what it wanted.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ending::Done,
        Err(error) => Ending::Unsaid(error),
    }
}
