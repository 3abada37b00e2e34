//! `pm` and `pm run`: keep the workers of a plan alive.

use std::ffi::OsString;
use std::path::PathBuf;

use super::args::Run;
use super::load::{Loaded, NoPlan, load};
use super::{Ending, colour, refuse};
use crate::reactor::{Conduct, Reactor, Reread};
use crate::sys::guard::{self, Role};
use crate::sys::spawn::c_string;

/// Makes the plan, runs it, and returns how it ended.
pub fn run(run: Run) -> Ending {
    if run.init {
        return init(run.command);
    }
    let colour = colour::decide(run.paint.color);
    let Loaded { plan, path, .. } = match load(&run) {
        Ok(loaded) => loaded,
        Err(why) => return refuse(&why, colour.stderr),
    };
    match guard::start() {
        Ok(Role::Guard(status)) => return Ending::Guarded(status),
        Ok(Role::Reactor) => {}
        Err(error) => return Ending::Unguarded(error),
    }
    let conduct = Conduct { colour, takes_over: run.take_over, reread: reread(run, path) };
    match Reactor::new(&plan, conduct).and_then(Reactor::run) {
        Ok(outcome) => Ending::Over(outcome),
        Err(error) => Ending::Broken(error),
    }
}

/// Makes the plan once more of the very file that it was made of, whatever else is here by then.
fn reread(run: Run, path: Option<PathBuf>) -> Option<Reread> {
    let run = Run { file: Some(path?), ..run };
    Some(Box::new(move || load(&run).map(|loaded| loaded.plan).map_err(|why| lines(&why))))
}

/// Why there is no plan, in lines.
fn lines(why: &NoPlan) -> Vec<String> {
    why.to_string().lines().map(str::to_owned).collect()
}

/// One command, guarded.
fn init(command: Vec<OsString>) -> Ending {
    let argv: Vec<_> = command.into_iter().map(c_string).collect();
    match guard::run_command(&argv) {
        Ok(status) => Ending::Guarded(status),
        Err(error) => Ending::Unguarded(error),
    }
}
