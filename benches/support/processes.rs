//! What processes have used and what they hold, all of their threads together.
//!
//! pm's loop is not the first thread of its process, and `/proc/PID/schedstat` tells of the first thread alone.

use std::ops::{Add, Sub};

use procfs::ProcResult;
use procfs::process::{Process, Task};

use super::Anything;

/// What processes have used since they began.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    pub cpu_nanoseconds: u64,
    /// Context switches, voluntary or not.
    pub switches: u64,
}

impl Usage {
    /// Of the processes and threads that are there.
    pub fn of(pids: &[i32]) -> Self {
        let processes = pids.iter().flat_map(|pid| Process::new(*pid));
        let tasks = processes.flat_map(|process| process.tasks()).flatten().flatten();
        tasks.flat_map(|task| Self::of_task(&task)).fold(Self::default(), Add::add)
    }

    fn of_task(task: &Task) -> ProcResult<Self> {
        let status = task.status()?;
        let switches = [status.voluntary_ctxt_switches, status.nonvoluntary_ctxt_switches];
        let switches = switches.into_iter().flatten().sum();
        Ok(Self { cpu_nanoseconds: task.schedstat()?.sum_exec_runtime, switches })
    }

    pub fn cpu_microseconds(self) -> f64 {
        self.cpu_nanoseconds as f64 / 1e3
    }

    pub fn cpu_seconds(self) -> f64 {
        self.cpu_nanoseconds as f64 / 1e9
    }
}

impl Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            cpu_nanoseconds: self.cpu_nanoseconds + other.cpu_nanoseconds,
            switches: self.switches + other.switches,
        }
    }
}

impl Sub for Usage {
    type Output = Self;

    /// What was used since an earlier time. A process that ended meanwhile is not counted.
    fn sub(self, earlier: Self) -> Self {
        Self {
            cpu_nanoseconds: self.cpu_nanoseconds.saturating_sub(earlier.cpu_nanoseconds),
            switches: self.switches.saturating_sub(earlier.switches),
        }
    }
}

/// What processes hold, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// A page that n processes share counts 1/n.
    pub pss: u64,
    pub private_dirty: u64,
    pub rss: u64,
}

impl Memory {
    pub fn of(pids: &[i32]) -> Anything<Self> {
        let mut memory = Self::default();
        for pid in pids {
            for map in Process::new(*pid)?.smaps_rollup()?.memory_map_rollup {
                let field = |name| map.extension.map.get(name).copied().unwrap_or(0);
                memory.pss += field("Pss");
                memory.private_dirty += field("Private_Dirty");
                memory.rss += field("Rss");
            }
        }
        Ok(memory)
    }
}
