//! The worker tag: the variables by which pm recognizes processes that a worker or a probe has left behind.
//!
//! Every worker and every probe is started with its tag in its environment, and their descendants inherit it. The tag
//! is for orphans only: the process groups that pm has started are known by pid in [`super::children`].

use std::ffi::OsStr;

use nix::unistd::Pid;
use procfs::process::Process;

use crate::plan::environment::{PM_PROBE, PM_WORKER};
use crate::supervisor::{SlotId, WorkerId};

/// One exec probe: a command that pm runs once to ask whether a worker is ready or alive. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProbeId(pub(crate) u64);

/// The worker or probe that a process was started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerTag {
    /// The pid of the reactor that started it.
    pub pm: Pid,
    pub worker: WorkerId,
    /// The probe of this worker that it belongs to. `None`: it belongs to the worker itself.
    pub probe: Option<ProbeId>,
}

impl WorkerTag {
    /// The variables that carry the tag, as `NAME=value`.
    pub fn variables(&self) -> impl Iterator<Item = String> {
        let Self { pm, worker, probe } = self;
        let worker = format!("{PM_WORKER}={pm}.{}.{}", worker.slot.0, worker.generation);
        let probe = probe.map(|ProbeId(number)| format!("{PM_PROBE}={number}"));
        [worker].into_iter().chain(probe)
    }

    /// The tag of a process, from the environment that it was started with (proc(5), /proc/PID/environ).
    pub fn of(pid: Pid) -> Option<Self> {
        let environment = Process::new(pid.as_raw()).and_then(|process| process.environ()).ok()?;
        let value = |name: &str| environment.get(OsStr::new(name))?.to_str();
        Self::parse(value(PM_WORKER)?, value(PM_PROBE))
    }

    fn parse(worker: &str, probe: Option<&str>) -> Option<Self> {
        let mut parts = worker.splitn(3, '.');
        let pm = Pid::from_raw(parts.next()?.parse().ok()?);
        let slot = SlotId(parts.next()?.parse().ok()?);
        let worker = WorkerId { slot, generation: parts.next()?.parse().ok()? };
        let probe = probe.and_then(|number| number.parse().ok()).map(ProbeId);
        Some(Self { pm, worker, probe })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_read_back_as_it_was_written() {
        let worker = WorkerId { slot: SlotId(3), generation: 12 };
        for probe in [None, Some(ProbeId(7))] {
            let tag = WorkerTag { pm: Pid::from_raw(4711), worker, probe };
            let variables: Vec<_> = tag.variables().collect();
            let values: Vec<_> =
                variables.iter().map(|line| line.split_once('=').unwrap().1).collect();
            assert_eq!(WorkerTag::parse(values[0], values.get(1).copied()), Some(tag));
        }
    }

    #[test]
    fn text_that_is_not_a_tag_is_none() {
        for text in ["", "1", "1.2", "1.2.x", "1.2.3.4"] {
            assert_eq!(WorkerTag::parse(text, None), None, "{text}");
        }
    }
}
