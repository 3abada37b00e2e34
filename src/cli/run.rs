//! `pm` and `pm run`: keep the workers of a plan alive.

use std::ffi::OsString;
use std::io::{IsTerminal, stderr, stdout};
use std::path::Path;

use super::args::{Colouring, Run};
use super::{Ending, NoPlan};
use crate::plan::{AdHoc, Plan, lab};
use crate::reactor::{Colour, Reactor};
use crate::supervisor::{Policy, Rest};
use crate::sys::guard::{self, Role};
use crate::sys::spawn::c_string;

/// Makes the plan, runs it, and returns how it ended.
pub fn run(run: Run) -> Ending {
    if run.init {
        return init(run.command);
    }
    let (colour, takes_over) = (colour(run.color), run.take_over);
    let plan = match plan(run) {
        Ok(plan) => plan,
        Err(why) => return Ending::NoPlan(why),
    };
    match guard::stand() {
        Ok(Role::Guard(status)) => return Ending::Guarded(status),
        Ok(Role::Reactor) => {}
        Err(error) => return Ending::Unguarded(error),
    }
    match Reactor::new(&plan, colour, takes_over).and_then(Reactor::run) {
        Ok(outcome) => Ending::Over(outcome),
        Err(error) => Ending::Broken(error),
    }
}

/// One command, guarded.
fn init(command: Vec<OsString>) -> Ending {
    let argv: Vec<_> = command.into_iter().map(c_string).collect();
    match guard::init(&argv) {
        Ok(status) => Ending::Guarded(status),
        Err(error) => Ending::Unguarded(error),
    }
}

fn plan(run: Run) -> Result<Plan, NoPlan> {
    let folder = std::env::current_dir().map_err(NoPlan::NoFolder)?;
    let rest = Rest { give_up_after: run.give_up_after, ..Rest::default() };
    let policy =
        Policy { restart: run.restart.into(), rest, grace: run.grace, ..Policy::default() };
    if !run.command.is_empty() {
        let Run { command, ports, workers, name, .. } = run;
        return Ok(AdHoc { command, ports, workers, name, policy }.plan(&folder)?);
    }
    if !Path::new(lab::SCRIPT).is_file() {
        return Err(NoPlan::NothingHere { folder: folder.display().to_string() });
    }
    Ok(lab::plan(&folder, &policy))
}

/// `--color` first, then NO_COLOR, CLICOLOR_FORCE and CLICOLOR, then whether it is a terminal that can.
fn colour(wish: Colouring) -> Colour {
    let decide = |is_terminal: bool| match wish {
        Colouring::Always => true,
        Colouring::Never => false,
        Colouring::Auto if anstyle_query::no_color() => false,
        Colouring::Auto if anstyle_query::clicolor_force() => true,
        Colouring::Auto => {
            is_terminal
                && anstyle_query::clicolor().unwrap_or(true)
                && anstyle_query::term_supports_color()
        }
    };
    Colour { stdout: decide(stdout().is_terminal()), stderr: decide(stderr().is_terminal()) }
}
