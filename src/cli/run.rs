//! `pm` and `pm run`: keep the workers of a plan running. Never returns before all of them are gone.
//!
//! The plan is made by [`super::load`], before anything is started; the loop is [`crate::reactor`].

use std::ffi::OsString;
use std::time::Duration;

use super::args::{RunArgs, ViewArgs};
use super::load::{FileKind, Loaded, Source, here, load};
use super::{Ending, colour, refuse, socket};
use crate::plan::load_error::OptionFault;
use crate::plan::text::suggest::Suggestion;
use crate::plan::{LoadError, Plan};
use crate::reactor::{
    Colour, Form, MakePlan, NoFile, Origin, OwnLines, Reactor, ReactorError, RunOptions,
    StaleWorkers, View,
};
use crate::supervisor::Policy;
use crate::sys::environment::c_string;
use crate::sys::guard::{self, Enclosure, Role};
use crate::sys::{own_process, sealed};

/// Makes the plan and runs it to its end.
pub fn run(args: RunArgs) -> Ending {
    if args.init {
        return init(args.command, args.grace.unwrap_or(Policy::default().grace));
    }
    let colour = colour::decide(args.colour.color);
    let loaded = match load(&args, FileKind::FileOrPipe) {
        Ok(loaded) => loaded,
        Err(why) => return refuse(&why, colour),
    };
    let control = match here() {
        Ok(here) => socket::place(args.socket.as_deref(), &loaded, &here),
        Err(why) => return refuse(&why, colour),
    };
    let plan = loaded.plan.clone();
    let view = match view(&args.view, colour, &plan) {
        Ok(view) => view,
        Err(why) => return refuse(&why.into(), colour),
    };
    let enclosure = enclosure(&plan);
    let (loaded, plan) = match guard::start(enclosure, (loaded, plan)) {
        Ok(Role::Guard(status)) => return Ending::GuardEnded(status),
        Ok(Role::Reactor(plans)) => plans,
        Err(error) => return Ending::GuardFailed(error),
    };
    let stale_workers = if args.take_over { StaleWorkers::Kill } else { StaleWorkers::Keep };
    let ended = own_process::run_apart(move || {
        let origin = Some(origin(args, loaded, enclosure));
        let options = RunOptions { view, stale_workers, origin, control };
        Reactor::new(options).and_then(|reactor| reactor.run(plan))
    });
    sealed::resume_process_1();
    match ended.unwrap_or_else(|error| Err(ReactorError::Thread(error))) {
        Ok(outcome) => Ending::RunEnded(outcome),
        Err(error) => Ending::ReactorFailed(error),
    }
}

/// What the options ask for, if the plan has the pools and slots that they name.
fn view(args: &ViewArgs, colour: Colour, plan: &Plan) -> Result<View, OptionFault> {
    let pools = plan.pools.iter().map(|pool| pool.name.as_str());
    let slots = plan.slots().map(|(_, slot)| slot.name.as_str());
    let names: Vec<_> = pools.chain(slots).collect();
    if let Some(name) = args.log.iter().find(|name| !names.contains(&name.as_str())) {
        let suggestion = Suggestion::of(name, names.iter().copied());
        return Err(OptionFault::NothingToShow { name: name.clone(), suggestion });
    }
    let form = match args {
        ViewArgs { json: true, .. } => Form::Json,
        ViewArgs { timestamps: true, .. } => Form::Timestamps,
        ViewArgs { .. } => Form::Plain,
    };
    let own = if args.quiet { OwnLines::Failures } else { OwnLines::All };
    Ok(View { colour, form, own, only: args.log.clone() })
}

fn enclosure(plan: &Plan) -> Enclosure {
    if plan.sealed { Enclosure::PidNamespace } else { Enclosure::None }
}

/// Makes the plan again from the same file, even if `pm` would find another file by then. What is in no file that can
/// be read again stays as it is.
fn origin(args: RunArgs, loaded: Loaded, current: Enclosure) -> Origin {
    let Loaded { path, plan, file, source, .. } = loaded;
    let make: MakePlan = match path {
        Some(path) => {
            let args = RunArgs { file: Some(path), ..args };
            Box::new(move |counts| {
                let plan = load(&args, FileKind::File)?.plan;
                if enclosure(&plan) != current {
                    return Err(LoadError::SealedChanged);
                }
                Ok(plan.with_counts(counts))
            })
        }
        None => {
            let file = Err(match source {
                Source::CommandLine => NoFile::CommandLine,
                Source::Lab => NoFile::Lab,
                Source::File => NoFile::Pipe,
            });
            let make = Box::new(move |counts: &_| Ok(plan.clone().with_counts(counts)));
            return Origin { make, file };
        }
    };
    Origin { make, file: Ok(file) }
}

/// Runs one command under the guard.
fn init(command: Vec<OsString>, grace: Duration) -> Ending {
    let argv: Vec<_> = command.into_iter().map(c_string).collect();
    match guard::run_command(&argv, grace) {
        Ok(status) => Ending::GuardEnded(status),
        Err(error) => Ending::GuardFailed(error),
    }
}
