//! CPU time and memory of processes, as /proc/PID/stat has them (proc(5)). They are read when a client asks, and only
//! then.

use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::Pid;
use procfs::process::{Process, Stat};

use super::proc::descend;

/// What a process uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// User and system time, with that of the children that it has reaped.
    pub cpu: Duration,
    pub resident_bytes: u64,
}

/// What a process uses now; `None` if it is reaped or hidden.
pub fn usage(pid: Pid) -> Option<Usage> {
    let stat = Process::new(pid.as_raw()).ok()?.stat().ok()?;
    Some(of_stat(&stat))
}

fn of_stat(stat: &Stat) -> Usage {
    let reaped = u64::try_from(stat.cutime + stat.cstime).unwrap_or(0);
    let cpu = of_ticks(stat.utime + stat.stime + reaped);
    Usage { cpu, resident_bytes: stat.rss * procfs::page_size() }
}

/// What several processes use together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TotalUsage {
    /// User and system time, with that of the children that they have reaped.
    pub cpu: Duration,
    /// A page that several of them have counts for each.
    pub resident_bytes: u64,
    /// How many of them live.
    pub processes: usize,
}

/// What these processes and all that descends from them use now.
pub fn usage_of_all(tops: impl Iterator<Item = Pid>) -> TotalUsage {
    let mut total = TotalUsage::default();
    descend(tops, |process| {
        let Ok(stat) = process.stat() else { return };
        // What a dead one has used is nowhere else before it is reaped.
        let is_dead = stat.state == 'Z' && stat.num_threads <= 1;
        total.processes += usize::from(!is_dead);
        let Usage { cpu, resident_bytes } = of_stat(&stat);
        total.cpu += cpu;
        total.resident_bytes += resident_bytes;
    });
    total
}

/// What pm's own process uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnUsage {
    /// User and system time, without that of its children.
    pub cpu: Duration,
    pub resident_bytes: u64,
    pub threads: u64,
    pub open_files: u64,
    pub open_files_max: u64,
}

/// What pm's own process uses now. What cannot be read is 0.
pub fn own_usage() -> OwnUsage {
    let files = std::fs::read_dir("/proc/self/fd").into_iter().flatten().count();
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft);
    let stat = Process::myself().and_then(|process| process.stat()).ok();
    let Some(stat) = stat else { return OwnUsage::default() };
    OwnUsage {
        cpu: of_ticks(stat.utime + stat.stime),
        resident_bytes: stat.rss * procfs::page_size(),
        threads: u64::try_from(stat.num_threads).unwrap_or_default(),
        // Without the one that reads this.
        open_files: u64::try_from(files).unwrap_or_default().saturating_sub(1),
        open_files_max: limit,
    }
}

fn of_ticks(ticks: u64) -> Duration {
    Duration::from_secs_f64(ticks as f64 / procfs::ticks_per_second() as f64)
}
