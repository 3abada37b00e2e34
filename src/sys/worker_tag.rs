//! The worker tag: how pm recognizes processes that a worker or a probe has left behind.
//!
//! A tag is kept twice, and descendants inherit both. As variables it can be read by people, but a program may start
//! without an environment (`env -i`), write its title over it, or belong to another user. So it is also the soft limit
//! on file locks, RLIMIT_LOCKS, which has had no effect since Linux 2.4.25 (getrlimit(2)): no exec and no change of
//! user removes that one, and it outlives pm. It is a number above 2^62, so a program that reads it has no limit.
//!
//! The tag is for orphans only: the process groups that pm has started are known by pid in [`super::children`].

use std::ffi::OsStr;

use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::{Pid, getpid};
use procfs::process::{LimitValue, Process};

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
    /// The generation is not known of a probe whose tag was read.
    pub worker: WorkerId,
    /// The probe of this worker that it belongs to. `None`: it belongs to the worker itself.
    pub probe: Option<ProbeId>,
}

// The tag as a number, from the top: 01, one bit that tells a probe from a worker, the pid, the slot, and the
// generation or the number of the probe.
const MARKED: u64 = 0b01 << 62;
const OF_PROBE: u64 = 1 << (PID_BITS + SLOT_BITS + NUMBER_BITS);
/// A pid is below 2^22 (proc(5), /proc/sys/kernel/pid_max).
const PID_BITS: u32 = 22;
const SLOT_BITS: u32 = 18;
const NUMBER_BITS: u32 = 21;

impl WorkerTag {
    /// The variables that carry the tag, as `NAME=value`.
    pub fn variables(&self) -> impl Iterator<Item = String> {
        let Self { pm, worker, probe } = self;
        let worker = format!("{PM_WORKER}={pm}.{}.{}", worker.slot.0, worker.generation);
        let probe = probe.map(|ProbeId(number)| format!("{PM_PROBE}={number}"));
        [worker].into_iter().chain(probe)
    }

    /// The soft limit that carries the tag, with the hard one unchanged; `None` if the hard limit leaves no room.
    pub fn limit(&self, hard: libc::rlim_t) -> Option<(Resource, libc::rlimit)> {
        let mark = self.mark().filter(|mark| *mark <= hard)?;
        Some((Resource::RLIMIT_LOCKS, libc::rlimit { rlim_cur: mark, rlim_max: hard }))
    }

    /// The tag of a process, dead ones that are not reaped included: from its limit, or else from the environment that
    /// it was started with (proc(5), /proc/PID/environ).
    ///
    /// The generation, or the number of the probe, is cut to its [`low`] bits.
    pub fn of(pid: Pid) -> Option<Self> {
        soft_limit(pid).and_then(Self::from_mark).or_else(|| Self::from_environment(pid))
    }

    /// As [`WorkerTag::of`], of a process in any /proc.
    pub fn of_process(process: &Process) -> Option<Self> {
        let limit = limit_in_proc(process).and_then(Self::from_mark);
        limit.or_else(|| Self::from_environment_of(process))
    }

    /// True if this pm has started the process for this worker, and not for a probe of it.
    pub fn is_of(&self, worker: WorkerId) -> bool {
        let Self { pm, worker: WorkerId { slot, generation }, probe } = *self;
        let is_worker = slot == worker.slot && low(generation) == low(worker.generation);
        is_worker && probe.is_none() && pm == getpid()
    }

    fn mark(&self) -> Option<u64> {
        let Self { pm, worker, probe } = self;
        let pid = u64::try_from(pm.as_raw()).ok()?;
        let slot = u64::try_from(worker.slot.0).ok().filter(|slot| *slot < 1 << SLOT_BITS)?;
        let (kind, number) = match probe {
            Some(ProbeId(number)) => (OF_PROBE, *number),
            None => (0, worker.generation),
        };
        let place = (pid << SLOT_BITS | slot) << NUMBER_BITS;
        Some(MARKED | kind | place | low(number))
    }

    fn from_mark(mark: u64) -> Option<Self> {
        let bits = |from: u32, count: u32| mark >> from & ((1 << count) - 1);
        if mark >> 62 != MARKED >> 62 {
            return None;
        }
        let pid = i32::try_from(bits(SLOT_BITS + NUMBER_BITS, PID_BITS)).ok()?;
        let slot = SlotId(usize::try_from(bits(NUMBER_BITS, SLOT_BITS)).ok()?);
        let number = low(mark);
        let (generation, probe) =
            if mark & OF_PROBE == 0 { (number, None) } else { (0, Some(ProbeId(number))) };
        Some(Self { pm: Pid::from_raw(pid), worker: WorkerId { slot, generation }, probe })
    }

    fn from_environment(pid: Pid) -> Option<Self> {
        Self::from_environment_of(&Process::new(pid.as_raw()).ok()?)
    }

    fn from_environment_of(process: &Process) -> Option<Self> {
        let environment = process.environ().ok()?;
        let value = |name: &str| environment.get(OsStr::new(name))?.to_str();
        Self::parse(value(PM_WORKER)?, value(PM_PROBE))
    }

    fn parse(worker: &str, probe: Option<&str>) -> Option<Self> {
        let mut parts = worker.splitn(3, '.');
        let pm = Pid::from_raw(parts.next()?.parse().ok()?);
        let slot = SlotId(parts.next()?.parse().ok()?);
        let generation = low(parts.next()?.parse().ok()?);
        let probe = probe.and_then(|number| number.parse().ok());
        let probe = probe.map(|number| ProbeId(low(number)));
        Some(Self { pm, worker: WorkerId { slot, generation }, probe })
    }
}

/// The hard limit on file locks, if it leaves no room for the tag of each worker and probe.
pub fn low_hard_limit() -> Option<u64> {
    let (_, hard) = getrlimit(Resource::RLIMIT_LOCKS).ok()?;
    let largest = MARKED | (MARKED - 1);
    (hard < largest).then_some(hard)
}

/// What a tag keeps of a generation or of the number of a probe. One slot never has two of them at once that agree
/// in it.
pub fn low(number: u64) -> u64 {
    number & ((1 << NUMBER_BITS) - 1)
}

/// The soft limit on file locks of any process.
fn soft_limit(pid: Pid) -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    let no_new = std::ptr::null::<libc::rlimit>();
    // SAFETY: `limit` is a valid rlimit for the kernel to write to, for as long as the call lasts; a null new limit
    // changes nothing.
    // WHY: nix reads the limits of this process alone.
    let read =
        unsafe { libc::prlimit(pid.as_raw(), Resource::RLIMIT_LOCKS as _, no_new, &mut limit) };
    if read == 0 {
        return Some(limit.rlim_cur);
    }
    // EPERM: the process belongs to another user. Its limits can be read all the same (proc(5), /proc/PID/limits).
    limit_in_proc(&Process::new(pid.as_raw()).ok()?)
}

fn limit_in_proc(process: &Process) -> Option<u64> {
    match process.limits().ok()?.max_file_locks.soft_limit {
        LimitValue::Value(limit) => Some(limit),
        LimitValue::Unlimited => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags() -> impl Iterator<Item = WorkerTag> {
        let worker = |generation| WorkerId { slot: SlotId(3), generation };
        let pm = Pid::from_raw(4711);
        [(12, None), (0, Some(ProbeId(7)))].into_iter().map(move |(generation, probe)| WorkerTag {
            pm,
            worker: worker(generation),
            probe,
        })
    }

    #[test]
    fn a_tag_is_read_back_as_it_was_written() {
        for tag in tags() {
            let variables: Vec<_> = tag.variables().collect();
            let values: Vec<_> =
                variables.iter().map(|line| line.split_once('=').unwrap().1).collect();
            assert_eq!(WorkerTag::parse(values[0], values.get(1).copied()), Some(tag));
            assert_eq!(WorkerTag::from_mark(tag.mark().unwrap()), Some(tag));
        }
    }

    #[test]
    fn the_largest_numbers_fit_into_a_mark_and_larger_ones_are_cut_or_give_none() {
        let worker = |slot, generation| WorkerId { slot: SlotId(slot), generation };
        let pm = Pid::from_raw((1 << 22) - 1);
        let tag = WorkerTag { pm, worker: worker((1 << 18) - 1, (1 << 21) - 1), probe: None };
        assert_eq!(WorkerTag::from_mark(tag.mark().unwrap()), Some(tag));
        let later = WorkerTag { worker: worker(1, (1 << 21) + 5), ..tag };
        assert_eq!(WorkerTag::from_mark(later.mark().unwrap()).unwrap().worker, worker(1, 5));
        assert_eq!(WorkerTag { worker: worker(1 << 18, 1), ..tag }.mark(), None);
    }

    #[test]
    fn no_mark_needs_a_higher_hard_limit_than_the_one_that_is_not_too_low() {
        let worker = WorkerId { slot: SlotId((1 << SLOT_BITS) - 1), generation: 0 };
        let pm = Pid::from_raw((1 << PID_BITS) - 1);
        let probe = Some(ProbeId((1 << NUMBER_BITS) - 1));
        assert_eq!(WorkerTag { pm, worker, probe }.mark(), Some(MARKED | (MARKED - 1)));
    }

    #[test]
    fn a_tag_is_of_one_worker_of_one_pm_and_not_of_its_probe() {
        let worker = |slot, generation| WorkerId { slot: SlotId(slot), generation };
        let tag = WorkerTag { pm: getpid(), worker: worker(3, 5), probe: None };
        assert!(tag.is_of(worker(3, 5)));
        assert!(tag.is_of(worker(3, (1 << 21) + 5)), "as much of it as a tag keeps");
        assert!(!tag.is_of(worker(4, 5)) && !tag.is_of(worker(3, 6)));
        assert!(!WorkerTag { probe: Some(ProbeId(1)), ..tag }.is_of(worker(3, 5)));
        assert!(!WorkerTag { pm: Pid::from_raw(1), ..tag }.is_of(worker(3, 5)));
    }

    #[test]
    fn a_number_or_text_that_is_not_a_tag_is_none() {
        for text in ["", "1", "1.2", "1.2.x", "1.2.3.4"] {
            assert_eq!(WorkerTag::parse(text, None), None, "{text}");
        }
        for mark in [0, 1024, (1 << 62) - 1, 1 << 63, u64::MAX] {
            assert_eq!(WorkerTag::from_mark(mark), None, "{mark}");
        }
        assert_eq!(WorkerTag::of(getpid()), None);
    }
}
