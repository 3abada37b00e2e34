//! Sentences about a run: its start, its end, a changed file, and what pm itself cannot do.

use std::time::Duration;

use crate::plan::LoadError;
use crate::plan::text::duration::words;
use crate::plan::text::phrase;
use crate::reactor::output::{FileIncident, Incident, STALLED_AFTER, StdoutIncident};
use crate::reactor::report::{Changes, LimitedBy, PoolFacts, ReloadError, RunEvent};
use crate::supervisor::{Stop, StopKind, StopOrder, Wish};

/// What happened to the run.
pub fn sentence(event: &RunEvent) -> String {
    match event {
        RunEvent::Started(pools) => started(pools),
        RunEvent::MemoryLimit { pool, bytes, by } => memory_limit(pool, *bytes, by),
        RunEvent::Waiting { pool, others } => {
            format!("{pool} waits for {}", phrase::list_and(others))
        }
        RunEvent::WaitingInVain { waiting, pool } => waiting_in_vain(waiting, pool),
        RunEvent::Reloaded(changes) => reloaded(changes),
        RunEvent::ReloadRefused(error) => reload_refused(error),
        RunEvent::Stop(stop) => stopping(stop),
        RunEvent::AllStopped(after) => format!("all workers stopped after {}", words(*after)),
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

fn waiting_in_vain(waiting: &[String], pool: &str) -> String {
    let (wait, are) = if waiting.len() == 1 { ("waits", "is") } else { ("wait", "are") };
    format!("{} {wait} for {pool} and {are} not started", phrase::list_and(waiting))
}

fn reloaded(changes: &Changes) -> String {
    let Changes { added, removed, replaced, kept } = changes;
    let part = |verb: &str, names: &[String], order: &str| {
        (!names.is_empty()).then(|| format!("{verb} {}{order}", phrase::list_and(names)))
    };
    let one_by_one = if replaced.len() > 1 { " one by one" } else { "" };
    let parts = [
        part("added", added, ""),
        part("removed", removed, ""),
        part("replacing", replaced, one_by_one),
        (*kept > 0).then(|| format!("kept {}", phrase::count(*kept, "worker"))),
    ];
    format!("reload: {}", parts.into_iter().flatten().collect::<Vec<_>>().join("; "))
}

/// Each fault of a file has a line of its own.
fn reload_refused(error: &ReloadError) -> String {
    match error {
        ReloadError::Load(LoadError::Faults(faults)) => {
            format!("{faults}\nreload refused; nothing has changed")
        }
        ReloadError::Load(_)
        | ReloadError::NoFile
        | ReloadError::Stopping
        | ReloadError::NotifySocket(_) => format!("reload refused: {error}; nothing has changed"),
    }
}

fn stopping(stop: &Stop) -> String {
    let signal = wish(stop.wish);
    let workers = phrase::count(stop.workers, "worker");
    if stop.workers == 0 {
        return format!("{signal}: no worker to stop");
    }
    match stop.how {
        StopKind::Kill => format!("{signal}: killing {workers}"),
        StopKind::Terminate => {
            let kill = kill_after(stop.longest_grace, stop.order);
            format!("{signal}: stopping {workers}; {kill}, or at once if asked again")
        }
    }
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
    let lines = |count: u64| phrase::count(usize::try_from(count).unwrap_or(usize::MAX), "line");
    match incident {
        StdoutIncident::Dropped(count) => {
            format!("dropped {} of output: nothing was read for {stalled}", lines(count))
        }
        StdoutIncident::Broken(errno) => format!(
            "cannot write to stdout: {}; after {stalled} lines are dropped until it can",
            errno.desc()
        ),
        StdoutIncident::Restored(0) => "stdout can be written again; no line was lost".into(),
        StdoutIncident::Restored(count) => {
            format!("stdout can be written again; lost {}", lines(count))
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
            let lost = phrase::count(usize::try_from(*lost).unwrap_or(usize::MAX), "line");
            format!("{} can be written again; lost {lost}", path.display())
        }
    }
}

fn wish(wish: Wish) -> &'static str {
    match wish {
        Wish::Interrupt => "SIGINT",
        Wish::Terminate => "SIGTERM",
        Wish::Hangup => "SIGHUP",
        Wish::Quit => "SIGQUIT",
        Wish::GuardGone => "pm's guard was killed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_names_ports_in_a_row_as_a_range() {
        let pool = |ports: &[u16]| {
            let slots = (1..).zip(ports).map(|(n, port)| (format!("web.{n}"), Some(*port)));
            PoolFacts { name: "web".into(), slots: slots.collect() }
        };
        assert_eq!(
            started(&[pool(&[8080, 8081, 8082])]),
            "keeping web.1 to web.3 on ports 8080 to 8082; Ctrl-C stops it"
        );
        let job = PoolFacts { name: "job".into(), slots: vec![("job.1".into(), None)] };
        assert_eq!(
            started(&[pool(&[8080, 9000]), job]),
            "keeping web.1 to web.2 on ports 8080, 9000 and job.1; Ctrl-C stops it"
        );
    }

    #[test]
    fn a_reload_says_what_changes_and_what_does_not() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let changes = Changes {
            added: names(&["job.1"]),
            removed: names(&["old.1", "old.2"]),
            replaced: names(&["web.1", "web.2", "web.3"]),
            kept: 1,
        };
        assert_eq!(
            reloaded(&changes),
            "reload: added job.1; removed old.1 and old.2; \
             replacing web.1, web.2 and web.3 one by one; kept 1 worker"
        );
    }

    #[test]
    fn a_stop_says_by_which_signal_how_many_and_how_long() {
        let mut stop = Stop {
            wish: Wish::Interrupt,
            how: StopKind::Terminate,
            workers: 3,
            longest_grace: Duration::from_secs(5),
            order: StopOrder::AllAtOnce,
        };
        assert_eq!(
            stopping(&stop),
            "SIGINT: stopping 3 workers; SIGKILL in 5s, or at once if asked again"
        );
        stop = Stop { how: StopKind::Kill, wish: Wish::Quit, ..stop };
        assert_eq!(stopping(&stop), "SIGQUIT: killing 3 workers");
        stop = Stop { workers: 0, wish: Wish::Hangup, ..stop };
        assert_eq!(stopping(&stop), "SIGHUP: no worker to stop");
    }
}
