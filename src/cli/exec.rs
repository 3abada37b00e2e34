//! `pm exec`: becomes a command with the settings of a worker, on the terminal of the caller.
//!
//! It is made from the file, as a run is, and asks no running pm. Nothing of pm is left: signals, job control and the
//! exit status are those of the command.

use super::args::ExecArgs;
use super::host::RealHost;
use super::load::{FileKind, of_file};
use super::{Ending, colour, refuse};
use crate::plan::load_error::OptionFault;
use crate::plan::procfile::Options;
use crate::plan::text::suggest::Suggestion;
use crate::plan::{ExecSpec, LoadError, Plan, SlotPlan};
use crate::sys::{Launch, Texts};

/// Returns only if the command cannot be executed.
pub fn exec(args: &ExecArgs) -> Ending {
    match prepare(args) {
        Ok(launch) => Ending::NotExecuted(launch.become_program()),
        Err(why) => refuse(&why, colour::decide(args.colour.color)),
    }
}

/// The command, as the worker of this name would be started.
fn prepare(args: &ExecArgs) -> Result<Launch, LoadError> {
    let options = Options { formation: args.formation.clone(), port: args.port };
    let plan = of_file(args.file.as_deref(), FileKind::FileOrPipe, &options, &RealHost)?.plan;
    let slot = slot(&plan, &args.name)?;
    let exec = ExecSpec { argv: args.command.clone(), ..slot.exec.clone() };
    let inherited: Vec<_> = std::env::vars_os().collect();
    Ok(Launch::new(&exec, &inherited, [], &mut Texts::default()))
}

/// The slot of this name, or the first slot of the pool of this name.
fn slot<'a>(plan: &'a Plan, name: &str) -> Result<&'a SlotPlan, OptionFault> {
    let known = plan.slots().find(|(pool, slot)| pool.name == name || slot.name == name);
    known.map(|(_, slot)| slot).ok_or_else(|| {
        let pools = plan.pools.iter().map(|pool| pool.name.as_str());
        let names = if name.contains('.') {
            plan.slots().map(|(_, slot)| slot.name.as_str()).collect::<Vec<_>>()
        } else {
            pools.collect()
        };
        let suggestion = Suggestion::of(name, names.iter().copied());
        OptionFault::NoWorkerToExecAs { name: name.to_owned(), suggestion }
    })
}
