//! `pm` and `pm run`: keep the workers of a plan running. Never returns before all of them are gone.
//!
//! The plan is made by [`super::load`], before anything is started; the loop is [`crate::reactor`].

use std::ffi::OsString;
use std::path::PathBuf;

use super::args::RunArgs;
use super::load::{Loaded, NoPlan, load};
use super::{Ending, colour, refuse};
use crate::reactor::{Conduct, Reactor, Reread};
use crate::sys::guard::{self, Role};
use crate::sys::spawn::c_string;

/// Makes the plan and runs it to its end.
pub fn run(args: RunArgs) -> Ending {
    if args.init {
        return init(args.command);
    }
    let colour = colour::decide(args.colour.color);
    let Loaded { plan, path, .. } = match load(&args) {
        Ok(loaded) => loaded,
        Err(why) => return refuse(&why, colour.stderr),
    };
    match guard::stand() {
        Ok(Role::Guard(status)) => return Ending::GuardEnded(status),
        Ok(Role::Reactor) => {}
        Err(error) => return Ending::GuardFailed(error),
    }
    let conduct = Conduct { colour, takes_over: args.take_over, reread: reread(args, path) };
    match Reactor::new(&plan, conduct).and_then(Reactor::run) {
        Ok(outcome) => Ending::RunEnded(outcome),
        Err(error) => Ending::ReactorFailed(error),
    }
}

/// Makes the plan again from the same file, even if `pm` would find another file by then.
fn reread(args: RunArgs, path: Option<PathBuf>) -> Option<Reread> {
    let args = RunArgs { file: Some(path?), ..args };
    Some(Box::new(move || load(&args).map(|loaded| loaded.plan).map_err(|why| lines(&why))))
}

/// Why there is no plan, in lines.
fn lines(why: &NoPlan) -> Vec<String> {
    why.to_string().lines().map(str::to_owned).collect()
}

/// Runs one command under the guard.
fn init(command: Vec<OsString>) -> Ending {
    let argv: Vec<_> = command.into_iter().map(c_string).collect();
    match guard::init(&argv) {
        Ok(status) => Ending::GuardEnded(status),
        Err(error) => Ending::GuardFailed(error),
    }
}
