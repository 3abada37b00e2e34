//! `pm` and `pm run`: keep the workers of a plan alive.

use std::ffi::OsString;

use super::args::Run;
use super::load::{NoPlan, load};
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
    let plan = match load(&run) {
        Ok(plan) => plan,
        Err(why) => return refuse(&why, colour.stderr),
    };
    match guard::stand() {
        Ok(Role::Guard(status)) => return Ending::Guarded(status),
        Ok(Role::Reactor) => {}
        Err(error) => return Ending::Unguarded(error),
    }
    let conduct = Conduct { colour, takes_over: run.take_over, reread: reread(run) };
    match Reactor::new(&plan, conduct).and_then(Reactor::run) {
        Ok(outcome) => Ending::Over(outcome),
        Err(error) => Ending::Broken(error),
    }
}

/// The plan can be made again of files, not of a command line: that stays what it is.
fn reread(run: Run) -> Option<Reread> {
    if !run.command.is_empty() {
        return None;
    }
    Some(Box::new(move || load(&run).map_err(|why| lines(&why))))
}

/// Why there is no plan, in lines.
fn lines(why: &NoPlan) -> Vec<String> {
    why.to_string().lines().map(str::to_owned).collect()
}

/// One command, guarded.
fn init(command: Vec<OsString>) -> Ending {
    let argv: Vec<_> = command.into_iter().map(c_string).collect();
    match guard::init(&argv) {
        Ok(status) => Ending::Guarded(status),
        Err(error) => Ending::Unguarded(error),
    }
}
