//! Sentences about a run: its beginning, its end, a changed file, and what pm itself cannot do.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::{and, size};
use crate::plan::text::duration::words;
use crate::sys::Caught;
use crate::sys::cgroup::NoCgroup;

/// As many ports as one line names.
const PORTS_NAMED_MAX: usize = 8;

/// A pool and its slots, for the greeting.
#[derive(Debug)]
pub struct Kept {
    pub pool: String,
    /// Each slot's name and port.
    pub slots: Vec<(String, Option<u16>)>,
}

/// The first line of a run.
pub fn greeting(kept: &[Kept]) -> String {
    let pools = kept.iter().map(|pool| {
        let names = match &pool.slots[..] {
            [(one, _)] => one.clone(),
            [(first, _), .., (last, _)] => format!("{first} to {last}"),
            [] => "nothing".into(),
        };
        let ports: Vec<_> = pool.slots.iter().filter_map(|(_, port)| *port).collect();
        format!("{names}{}", on_ports(&ports))
    });
    format!("keeping {}; Ctrl-C ends it", and(&pools.collect::<Vec<_>>()))
}

fn on_ports(ports: &[u16]) -> String {
    match ports {
        [] => String::new(),
        [one] => format!(" on port {one}"),
        [first, .., last] if usize::from(last.saturating_sub(*first)) + 1 == ports.len() => {
            format!(" on ports {first} to {last}")
        }
        several if several.len() <= PORTS_NAMED_MAX => {
            let several: Vec<_> = several.iter().map(u16::to_string).collect();
            format!(" on ports {}", several.join(", "))
        }
        many => {
            let (least, most) = (many.iter().min(), many.iter().max());
            let ends = least.zip(most).map(|(least, most)| format!("between {least} and {most}"));
            format!(" on {} ports {}", many.len(), ends.unwrap_or_default())
        }
    }
}

/// A pool that is not started yet.
pub fn waits(pool: &str, others: &[&str]) -> String {
    format!("{pool} waits for {}", and(others))
}

/// Pools that are not started, since this one has given up.
pub fn waits_in_vain(waiting: &[&str], pool: &str) -> String {
    let (wait, are) = if waiting.len() == 1 { ("waits", "is") } else { ("wait", "are") };
    format!("{} {wait} for {pool} and {are} not started", and(waiting))
}

/// How memory is limited. `why_not` is why not by control groups, if they are not what does it.
pub fn memory_limit(pool: &str, bytes: u64, why_not: Option<&NoCgroup>) -> String {
    let size = size(bytes);
    match why_not {
        None => format!("each worker of {pool} may use {size} of memory, by a control group"),
        Some(why_not) => {
            format!("each worker of {pool} may reserve {size} of memory, by RLIMIT_AS: {why_not}")
        }
    }
}

/// What a changed file changes, by the names of slots.
#[derive(Debug, Default)]
pub struct Changes {
    pub added: Vec<String>,
    pub removed: Vec<String>,
    pub rolled: Vec<String>,
    pub kept: usize,
}

/// A changed file was taken in.
pub fn reloaded(changes: &Changes) -> String {
    let Changes { added, removed, rolled, kept } = changes;
    let part = |names: &[String], one: &str, many: &str| match names {
        [] => None,
        [name] => Some(format!("{name} {one}")),
        names => Some(format!("{} {many}", and(names))),
    };
    let kept = match kept {
        0 => None,
        1 => Some("1 worker stays as it is".into()),
        several => Some(format!("{several} workers stay as they are")),
    };
    let parts = [
        part(added, "is added", "are added"),
        part(removed, "is removed", "are removed"),
        part(rolled, "is replaced", "are replaced one by one"),
        kept,
    ];
    format!("reload: {}", parts.into_iter().flatten().collect::<Vec<_>>().join("; "))
}

/// A changed file has faults, which have been said.
pub fn reload_refused(faults: usize) -> String {
    let faults = if faults == 1 { "1 fault".into() } else { format!("{faults} faults") };
    format!("reload: refused for {faults}; everything goes on as it was")
}

/// There is no socket for a worker of the changed file.
pub fn cannot_notify(error: &io::Error) -> String {
    format!("reload: cannot open a socket on which a worker notifies: {error}")
}

/// Nothing is started any more.
pub fn reload_too_late() -> String {
    "SIGUSR1: everything is being stopped; the file is not read again".into()
}

/// There is no file.
pub fn nothing_to_reload() -> String {
    "SIGUSR1: there is no file that could have changed; everything goes on as it was".into()
}

pub fn cannot_log(path: &Path, error: &io::Error) -> String {
    format!("cannot write {}: {error}; its lines go to stdout alone", path.display())
}

pub fn logs_again(path: &Path, lost: u64) -> String {
    let lines = if lost == 1 { "1 line is".into() } else { format!("{lost} lines are") };
    format!("{} can be written again; {lines} missing in it", path.display())
}

/// All are told to end in good order; if they are `in_turns`, some only when others are gone.
pub fn stopping(caught: Caught, workers: usize, grace: Duration, in_turns: bool) -> String {
    let (signal, workers, grace) = (name(caught), count(workers), words(grace));
    let kill = match in_turns {
        true => format!("each pool before those it is after; SIGKILL {grace} after its turn"),
        false => format!("SIGKILL in {grace}"),
    };
    format!("{signal}: stopping {workers}; {kill}, again to kill at once")
}

/// All are told to end now.
pub fn killing(caught: Caught, workers: usize) -> String {
    format!("{}: killing {}", name(caught), count(workers))
}

/// There is nobody to end.
pub fn leaving(caught: Caught) -> String {
    format!("{}: no worker is there to stop", name(caught))
}

/// Everything is gone.
pub fn all_gone(after: Duration) -> String {
    format!("all workers are gone after {}", words(after))
}

/// A signal that changes nothing.
pub fn ignored(caught: Caught) -> String {
    format!("{}: nothing to do; the pool goes on as it is", name(caught))
}

fn count(workers: usize) -> String {
    match workers {
        1 => "1 worker".into(),
        several => format!("{several} workers"),
    }
}

fn name(caught: Caught) -> &'static str {
    match caught {
        Caught::Child => "SIGCHLD",
        Caught::Interrupt => "SIGINT",
        Caught::Terminate => "SIGTERM",
        Caught::Hangup => "SIGHUP",
        Caught::Quit => "SIGQUIT",
        Caught::Suspend => "SIGTSTP",
        Caught::Continue => "SIGCONT",
        Caught::GuardGone => "pm's guard was killed",
        Caught::Reload => "SIGUSR1",
        Caught::User2 => "SIGUSR2",
        Caught::Resized => "SIGWINCH",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greeting_counts_neighbours_as_a_range() {
        let pool = |ports: &[u16]| {
            let slots = (1..).zip(ports).map(|(n, port)| (format!("web.{n}"), Some(*port)));
            Kept { pool: "web".into(), slots: slots.collect() }
        };
        assert_eq!(
            greeting(&[pool(&[8080, 8081, 8082])]),
            "keeping web.1 to web.3 on ports 8080 to 8082; Ctrl-C ends it"
        );
        let job = Kept { pool: "job".into(), slots: vec![("job.1".into(), None)] };
        assert_eq!(
            greeting(&[pool(&[8080, 9000]), job]),
            "keeping web.1 to web.2 on ports 8080, 9000 and job.1; Ctrl-C ends it"
        );
    }

    #[test]
    fn a_reload_says_what_changes_and_what_does_not() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let changes = Changes {
            added: names(&["job.1"]),
            removed: names(&["old.1", "old.2"]),
            rolled: names(&["web.1", "web.2", "web.3"]),
            kept: 1,
        };
        assert_eq!(
            reloaded(&changes),
            "reload: job.1 is added; old.1 and old.2 are removed; \
             web.1, web.2 and web.3 are replaced one by one; 1 worker stays as it is"
        );
    }
}
