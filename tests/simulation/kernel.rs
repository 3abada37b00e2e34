//! The fake kernel: processes, groups and pids. It knows nothing of slots.
//!
//! It has few pids, so that they are reused at once. It fails spawns, delays deaths, lets workers ignore SIGTERM and
//! members outlive their leader, lets a fork miss a SIGKILL, and returns dead children in any order. It never breaks
//! what Linux promises: a pid is not reused while a process or a group has it, and what a dead leader leaves behind
//! becomes pm's own child (pm is its subreaper).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fastrand::Rng;
use pm::supervisor::{Exit, WorkerId};

pub type Pid = u16;

/// Enough for all workers, even for slow ones that are still dying.
const PIDS_WHEN_CALM: Pid = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    Terminate,
    Kill,
}

pub struct Kernel {
    rng: Rng,
    now: Instant,
    processes: BTreeMap<Pid, Process>,
    pid_max: Pid,
    last_pid: Pid,
    /// One spawn in this many fails.
    spawns_per_failure: u32,
    /// Spawns succeed, and no worker dies unless it is signalled.
    is_calm: bool,
}

struct Process {
    /// The worker that it was spawned as, or whose descendant it is.
    worker: WorkerId,
    group: Pid,
    /// How long it takes to exit after SIGTERM; `None` ignores it.
    exits_after: Option<Duration>,
    /// It was sent a signal that ends it.
    is_ending: bool,
    state: State,
}

enum State {
    Running { death: Option<(Instant, Exit)> },
    Zombie(Exit),
}

impl Kernel {
    pub fn new(slots: usize, mut rng: Rng, now: Instant) -> Self {
        let pids = slots + 1 + rng.usize(0..=2 * slots);
        Self {
            now,
            processes: BTreeMap::new(),
            pid_max: Pid::try_from(pids).expect("there are few slots"),
            last_pid: 0,
            spawns_per_failure: [2, 4, 16, u32::MAX][rng.usize(0..4)],
            is_calm: false,
            rng,
        }
    }

    /// From now on no process dies unless it is signalled, no spawn fails, there are pids for all, and each process
    /// obeys SIGTERM.
    pub fn calm_down(&mut self) {
        self.is_calm = true;
        self.pid_max = self.pid_max.saturating_mul(4).max(PIDS_WHEN_CALM);
        for process in self.processes.values_mut() {
            if let State::Running { death } = &mut process.state
                && !process.is_ending
            {
                *death = None;
            }
        }
    }

    /// A new process in a group of its own, perhaps with children; `None` if the spawn failed.
    pub fn spawn(&mut self, worker: WorkerId) -> Option<Pid> {
        let fails = !self.is_calm && self.rng.u32(0..self.spawns_per_failure) == 0;
        let leader = self.free_pid().filter(|_| !fails)?;
        self.add(leader, leader, worker);
        let members = if self.is_calm { 0 } else { [0, 0, 0, 1, 2][self.rng.usize(0..5)] };
        for _ in 0..members {
            self.fork(leader, worker);
        }
        Some(leader)
    }

    /// The process could not exec, and ends; false if it has done more than that by now.
    pub fn fail_exec(&mut self, pid: Pid) -> bool {
        let is_alone = self.processes.values().filter(|process| process.group == pid).count() == 1;
        let is_new = is_alone && self.runs(pid);
        if is_new {
            self.processes.remove(&pid);
        }
        is_new
    }

    /// The signal to every process of the group.
    pub fn signal(&mut self, group: Pid, signal: Signal) {
        let Self { rng, now, processes, .. } = self;
        for process in processes.values_mut().filter(|process| process.group == group) {
            let (wait, exit) = match signal {
                Signal::Kill => (Some(uninterruptible(rng)), Exit::Signal(9)),
                Signal::Terminate if rng.bool() => (process.exits_after, Exit::Code(0)),
                Signal::Terminate => (process.exits_after, Exit::Signal(15)),
            };
            if let (State::Running { death }, Some(wait)) = (&mut process.state, wait) {
                let at = *now + wait;
                process.is_ending = true;
                if death.is_none_or(|(sooner, _)| at < sooner) {
                    *death = Some((at, exit));
                }
            }
        }
        if signal == Signal::Kill && !self.is_calm && self.rng.u32(0..16) == 0 {
            self.miss_signal(group);
        }
    }

    /// Reaps one dead child, as `waitpid(-1, WNOHANG)` does, in random order.
    pub fn reap(&mut self) -> Option<(Pid, Exit)> {
        let mut dead = Vec::new();
        for (pid, process) in &self.processes {
            if let State::Zombie(exit) = process.state
                && (*pid == process.group || !self.runs(process.group))
            {
                dead.push((*pid, exit));
            }
        }
        let (pid, exit) = *self.rng.choice(&dead)?;
        self.processes.remove(&pid);
        Some((pid, exit))
    }

    /// True while some process is in the group, alive or not reaped, as `kill(-group, 0)` tells.
    pub fn group_exists(&self, group: Pid) -> bool {
        self.processes.values().any(|process| process.group == group)
    }

    /// The processes of one worker are those of another from now on.
    pub fn rename(&mut self, from: WorkerId, to: WorkerId) {
        let own = self.processes.values_mut().filter(|process| process.worker == from);
        own.for_each(|process| process.worker = to);
    }

    /// The worker of each group.
    pub fn groups(&self) -> Vec<WorkerId> {
        let of = |process: &Process| (process.group, process.worker);
        let mut groups: Vec<_> = self.processes.values().map(of).collect();
        groups.sort();
        groups.dedup();
        groups.into_iter().map(|(_, worker)| worker).collect()
    }

    /// When the next process dies.
    pub fn next_death(&self) -> Option<Instant> {
        self.processes.values().filter_map(|process| process.state.death()).min()
    }

    /// Lets time pass: processes whose death is due die.
    pub fn run_until(&mut self, now: Instant) {
        self.now = now;
        for process in self.processes.values_mut() {
            if let State::Running { death: Some((at, exit)) } = process.state
                && at <= now
            {
                process.state = State::Zombie(exit);
            }
        }
    }

    /// True if this process is dead and not reaped.
    pub fn is_dead(&self, pid: Pid) -> bool {
        let process = self.processes.get(&pid);
        process.is_some_and(|process| matches!(process.state, State::Zombie(_)))
    }

    fn runs(&self, pid: Pid) -> bool {
        self.processes
            .get(&pid)
            .is_some_and(|process| matches!(process.state, State::Running { .. }))
    }

    fn add(&mut self, pid: Pid, group: Pid, worker: WorkerId) {
        let exits_after = match self.rng.u32(0..4) {
            0 if !self.is_calm => None,
            1 => Some(Duration::from_millis(self.rng.u64(0..8_000))),
            _ => Some(Duration::from_millis(self.rng.u64(0..20))),
        };
        let life_millis = match self.rng.u32(0..8) {
            _ if self.is_calm => None,
            0 | 1 => Some(self.rng.u64(0..5)),
            2..=4 => Some(self.rng.u64(0..1_000)),
            5 => Some(self.rng.u64(0..30_000)),
            _ => None,
        };
        let exit = match self.rng.u8(0..4) {
            0 | 1 => Exit::Code(0),
            2 => Exit::Code(self.rng.u8(1..)),
            _ => Exit::Signal(self.rng.u8(1..32)),
        };
        let death = life_millis.map(|millis| (self.now + Duration::from_millis(millis), exit));
        let state = State::Running { death };
        self.processes.insert(pid, Process { worker, group, exits_after, is_ending: false, state });
    }

    fn fork(&mut self, group: Pid, worker: WorkerId) {
        if let Some(pid) = self.free_pid() {
            self.add(pid, group, worker);
        }
    }

    /// A fork was under way when the signal came: the child has not received it.
    fn miss_signal(&mut self, group: Pid) {
        let parent = self.processes.values().find(|process| process.group == group);
        if let Some(worker) = parent.map(|process| process.worker) {
            self.fork(group, worker);
        }
    }

    /// The next pid, in a circle, that no process and no group has.
    fn free_pid(&mut self) -> Option<Pid> {
        let circle = (self.last_pid + 1..=self.pid_max).chain(1..=self.last_pid);
        let taken = |pid: &Pid| self.processes.contains_key(pid) || self.group_exists(*pid);
        let pid = { circle }.find(|pid| !taken(pid))?;
        self.last_pid = pid;
        Some(pid)
    }
}

impl State {
    fn death(&self) -> Option<Instant> {
        match self {
            Self::Running { death } => death.map(|(at, _)| at),
            Self::Zombie(_) => None,
        }
    }
}

/// SIGKILL takes effect when an uninterruptible system call is over.
fn uninterruptible(rng: &mut Rng) -> Duration {
    let millis = if rng.u32(0..8) == 0 { rng.u64(0..2_500) } else { rng.u64(0..3) };
    Duration::from_millis(millis)
}
