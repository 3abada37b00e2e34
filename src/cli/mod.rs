//! Floor 4: what people type and read. From an argv to an [`Ending`], and never an exit of its own.

mod args;
mod run;

use std::ffi::OsString;

use clap::Parser;

use crate::plan::PlanError;
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
    /// The help or the version was asked for.
    Shown(clap::Error),
    /// The command line, or what it leads to, makes no sense.
    BadUsage(clap::Error),
    NoPlan(NoPlan),
    /// pm itself failed.
    Broken(ReactorError),
}

/// Why there is nothing to run.
#[derive(Debug, thiserror::Error)]
pub enum NoPlan {
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(
        "nothing to run in {folder}: there is no `web.ts` here; \
         name a command, as in `pm run --ports 8080-8082 -- ./server {{port}}`"
    )]
    NothingHere { folder: String },
    #[error("cannot tell which folder this is: {0}")]
    NoFolder(std::io::Error),
}

/// Does what the command line says and returns how that ended.
pub fn pm(argv: impl IntoIterator<Item = OsString>) -> Ending {
    let args = match args::Args::try_parse_from(argv) {
        Ok(args) => args,
        Err(error) if error.use_stderr() => return Ending::BadUsage(error),
        Err(error) => return Ending::Shown(error),
    };
    run::run(args.into_run())
}

/// Says on stderr what is wrong.
pub fn complain(error: &dyn std::error::Error) {
    use std::io::Write;
    // Nobody is left to be told if stderr is closed.
    let _ = writeln!(std::io::stderr(), "pm: {error}");
}
