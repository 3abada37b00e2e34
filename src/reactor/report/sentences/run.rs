//! Sentences about a run: its start, its end, a changed file, and what pm itself cannot do.

use std::collections::BTreeSet;
use std::time::Duration;

use super::signal_name;
use crate::plan::LoadError;
use crate::plan::text::duration::words;
use crate::plan::text::phrase;
use crate::reactor::output::{FileIncident, Incident, STALLED_AFTER, StdoutIncident};
use crate::reactor::report::{
    Changes, FailedSlot, LimitedBy, MoreDelays, PoolFacts, ReloadError, RunEvent, SlotFailure,
};
use crate::supervisor::{Exit, Stop, StopKind, StopOrder, Wish};
use crate::sys::errno_words;

/// What happened to the run.
pub fn sentence(event: &RunEvent) -> String {
    match event {
        RunEvent::Started(pools) => started(pools),
        RunEvent::NoControl(error) => format!("commands cannot reach this pm: {error}"),
        RunEvent::Page(url) => format!("the page is at {url}"),
        RunEvent::PageClosed => "the page is closed".into(),
        RunEvent::NoPage(error) => format!("browsers cannot reach the page: {error}"),
        RunEvent::LowLocksLimit(limit) => format!(
            "the hard limit on file locks is {limit}, too low for the mark by which pm finds processes: \
             a daemon that leaves the session of its worker and has no PM_WORKER lives on until all \
             workers are stopped; raise the limit before pm starts (`prlimit --locks=unlimited` as \
             root, `LimitLOCKS=infinity` in a unit)"
        ),
        RunEvent::MemoryLimit { pool, bytes, by } => memory_limit(pool, *bytes, by),
        RunEvent::Waiting { pool, others } => {
            format!("{pool} waits for {}", phrase::list_and(others))
        }
        RunEvent::WaitingInVain { waiting, pool, failed } => waiting_in_vain(waiting, pool, failed),
        RunEvent::EndedWithFailure(failed) => {
            format!("nothing is left to keep: {}", slot_failed(failed))
        }
        RunEvent::Reloaded(changes) => changed(Occasion::Reload, changes),
        RunEvent::Scaled(changes) => changed(Occasion::Scale, changes),
        RunEvent::ReloadRefused(error) => reload_refused(error),
        RunEvent::Stop(wish, stop) => stopping(*wish, stop),
        RunEvent::PoolEnded { pool, failed, stop } => pool_ended(pool, failed.as_ref(), stop),
        RunEvent::PoolBlocked { pool, needed, failed, stop } => {
            let failed = slot_failed(failed);
            format!("{pool} waits for {needed} and cannot start: {failed}{}", end_of_others(stop))
        }
        RunEvent::MoreDelays(more) => more_delays(*more),
        RunEvent::AllStopped(after) => format!("all workers stopped after {}", words(*after)),
        RunEvent::LeftBehind(workers) => {
            format!(
                "leaving {} behind, which SIGKILL has not ended",
                phrase::count(*workers, "worker")
            )
        }
        RunEvent::User2 => "SIGUSR2: ignored".into(),
        RunEvent::Output(Incident::Stdout(incident)) => stdout(*incident),
        RunEvent::Output(Incident::File(incident)) => log_file(incident),
    }
}

fn started(pools: &[PoolFacts]) -> String {
    let pools = pools.iter().map(|pool| {
        let names = match &pool.slots[..] {
            [] => "nothing".into(),
            [(one, _)] => one.clone(),
            [(first, _), .., (last, _)] => format!("{first} to {last}"),
        };
        let ports: Vec<_> = pool.slots.iter().filter_map(|(_, port)| *port).collect();
        if ports.is_empty() { names } else { format!("{names} on {}", phrase::ports(&ports)) }
    });
    format!("keeping {}; Ctrl-C stops it", phrase::list_and(&pools.collect::<Vec<_>>()))
}

fn memory_limit(pool: &str, bytes: u64, by: &LimitedBy) -> String {
    let size = phrase::bytes(bytes);
    match by {
        LimitedBy::ControlGroup => {
            format!("each worker of {pool} may use {size} of memory, by a control group")
        }
        LimitedBy::AddressSpace(reason) => {
            format!("each worker of {pool} may reserve {size} of memory, by RLIMIT_AS: {reason}")
        }
    }
}

fn waiting_in_vain(waiting: &[String], pool: &str, failed: &FailedSlot) -> String {
    let (wait, are) = if waiting.len() == 1 { ("waits", "is") } else { ("wait", "are") };
    let (waiting, failed) = (phrase::list_and(waiting), slot_failed(failed));
    format!("{waiting} {wait} for {pool} and {are} not started: {failed}")
}

fn slot_failed(FailedSlot { name, failure }: &FailedSlot) -> String {
    match failure {
        SlotFailure::Exit(Exit::Code(code)) => format!("{name} exited {code}"),
        SlotFailure::Exit(Exit::Signal(number)) => {
            format!("{name} was killed by {}", signal_name(i32::from(*number)))
        }
        SlotFailure::GaveUp => format!("{name} gave up"),
    }
}

/// What a changed plan has changed, after the name of its occasion.
fn changed(occasion: Occasion, changes: &Changes) -> String {
    let Changes { added, removed, replaced, again, given_up, backing_off, ended, down, kept } =
        changes;
    let part = |verb: &str, names: &[String], rest: &str| {
        (!names.is_empty()).then(|| format!("{verb}{}{rest}", phrase::slots(names)))
    };
    // "web.1 and web.2 stay down", "web.1 stays down"
    let state = |names: &[String], one: &str, several: &str| {
        part("", names, if names.len() == 1 { one } else { several })
    };
    let given_up = match occasion {
        Occasion::Reload => part("trying ", given_up, " again"),
        Occasion::Scale => state(given_up, " stays down: it gave up", " stay down: they gave up"),
    };
    let parts: Vec<_> = [
        part("added ", added, ""),
        part("removed ", removed, ""),
        part("replacing ", replaced, one_by_one(replaced)),
        part("running ", again, " again"),
        given_up,
        (*kept > 0).then(|| format!("kept {}", phrase::count(*kept, "worker"))),
        state(backing_off, " still waits for its next try", " still wait for their next try"),
        state(ended, " has ended", " have ended"),
        state(down, " stays down", " stay down"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let occasion = match occasion {
        Occasion::Reload => "reload",
        Occasion::Scale => "scale",
    };
    if parts.is_empty() {
        return format!("{occasion}: nothing has changed");
    }
    format!("{occasion}: {}", parts.join("; "))
}

/// Why a plan was taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Occasion {
    Reload,
    Scale,
}

/// In which order these slots are replaced: within each pool one after another.
fn one_by_one(replaced: &[String]) -> &'static str {
    let pool = |name: &String| name.rsplit_once('.').map(|(pool, _)| pool.to_owned());
    let pools: BTreeSet<_> = replaced.iter().map(pool).collect();
    match (pools.len(), replaced.len()) {
        (pools, slots) if slots <= pools => "",
        (1, _) => " one by one",
        (_, _) => " one by one in each pool",
    }
}

/// Each fault of a file has a line of its own.
fn reload_refused(error: &ReloadError) -> String {
    match error {
        ReloadError::Load(LoadError::Faults(faults)) => {
            format!("{faults}\nreload refused; nothing has changed")
        }
        ReloadError::Load(_)
        | ReloadError::NoFile(_)
        | ReloadError::Stopping
        | ReloadError::NotifySocket(_) => format!("reload refused: {error}; nothing has changed"),
    }
}

fn pool_ended(pool: &str, failed: Option<&FailedSlot>, stop: &Stop) -> String {
    let how = failed.map_or(" with success".into(), |failed| format!(": {}", slot_failed(failed)));
    format!("{pool} has ended{how}{}", end_of_others(stop))
}

/// What becomes of the workers that are left when a pool ends the run.
fn end_of_others(stop: &Stop) -> String {
    let workers = phrase::count(stop.workers, "worker");
    if stop.workers == 0 {
        return String::new();
    }
    match stop.how {
        StopKind::Kill => format!("; killing {workers}"),
        StopKind::Terminate => {
            let kill = kill_after(stop.longest_grace, stop.order);
            format!("; stopping {workers}; {kill}, or at once on Ctrl-C or SIGTERM")
        }
    }
}

fn stopping(asked: Wish, stop: &Stop) -> String {
    let signal = wish(asked);
    let workers = phrase::count(stop.workers, "worker");
    if stop.workers == 0 {
        return format!("{signal}: no worker to stop");
    }
    match stop.how {
        StopKind::Kill => format!("{signal}: killing {workers}"),
        StopKind::Terminate => {
            let kill = kill_after(stop.longest_grace, stop.order);
            let at_once = match asked {
                Wish::Interrupt | Wish::Terminate | Wish::Quit => "if asked again",
                Wish::Shutdown | Wish::ShutdownNow => "if asked again",
                // A repetition of these is not a second wish.
                Wish::Hangup | Wish::GuardGone => "on SIGTERM",
            };
            format!("{signal}: stopping {workers}; {kill}, or at once {at_once}")
        }
    }
}

/// Stands after the workers that are named.
fn more_delays(more: MoreDelays) -> String {
    let MoreDelays { stopping, left, killing } = more;
    let are = |count: usize| {
        let are = if count == 1 { "worker is" } else { "workers are" };
        format!("{count} more {are} still")
    };
    let stopping =
        (stopping > 0).then(|| format!("{} stopping; SIGKILL in {}", are(stopping), words(left)));
    let killing = (killing > 0).then(|| format!("{} there after SIGKILL", are(killing)));
    let parts: Vec<_> = [killing, stopping].into_iter().flatten().collect();
    format!("and {}", parts.join(", and "))
}

fn kill_after(grace: Duration, order: StopOrder) -> String {
    let grace = words(grace);
    match order {
        StopOrder::AllAtOnce => format!("SIGKILL in {grace}"),
        StopOrder::PoolByPool => {
            format!("each pool before those it is after, with SIGKILL after {grace}")
        }
    }
}

fn stdout(incident: StdoutIncident) -> String {
    let stalled = words(STALLED_AFTER);
    match incident {
        StdoutIncident::Dropped(count) => {
            format!("dropped {} of output: nothing was read for {stalled}", lines(count))
        }
        StdoutIncident::Broken(errno) => format!(
            "cannot write to stdout: {}; the oldest lines are dropped until it can",
            errno_words(errno)
        ),
        StdoutIncident::Restored(0) => "stdout can be written again; no line was lost".into(),
        StdoutIncident::Restored(count) => {
            format!("stdout can be written again; lost {}", lines(count))
        }
        StdoutIncident::Lost(count) => {
            format!("lost {} of output: stdout did not take them before the end", lines(count))
        }
        StdoutIncident::Closed => {
            "stdout is closed: the workers go on, and their output is discarded".into()
        }
    }
}

fn log_file(incident: &FileIncident) -> String {
    match incident {
        FileIncident::Broken { path, error } => {
            format!("cannot write {}: {error}; its lines go to stdout only", path.display())
        }
        FileIncident::Restored { path, lost } => {
            format!("{} can be written again; lost {}", path.display(), lines(*lost))
        }
        FileIncident::NotRotated { path, why, bytes } => {
            let folder = why.folder_in_the_way();
            let remedy =
                folder.map(|folder| format!("; move the folder {} away", folder.display()));
            format!(
                "{} is not rotated and grows: {why}{}; no line is lost, and it is tried again after {}",
                path.display(),
                remedy.unwrap_or_default(),
                phrase::bytes(*bytes)
            )
        }
        FileIncident::Lost { path, lost } => {
            format!("{} could not be written until the end; lost {}", path.display(), lines(*lost))
        }
    }
}

fn lines(count: u64) -> String {
    phrase::count(usize::try_from(count).unwrap_or(usize::MAX), "line")
}

fn wish(wish: Wish) -> &'static str {
    match wish {
        Wish::Interrupt => "SIGINT",
        Wish::Terminate => "SIGTERM",
        Wish::Hangup => "SIGHUP",
        Wish::Quit => "SIGQUIT",
        Wish::GuardGone => "pm's guard was killed",
        Wish::Shutdown => "`pm shutdown`",
        Wish::ShutdownNow => "`pm shutdown --now`",
    }
}

#[cfg(test)]
mod tests;
