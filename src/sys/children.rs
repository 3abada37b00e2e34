//! The pids. Every worker's process group, from spawn to the last member's end, under the name of its [`WorkerId`].
//!
//! This is the one reaper and the one table of pids: nobody else waits for a child or signals a group, and above this
//! floor no worker is known by its number. A number means somebody only while it cannot be given to another: as long
//! as its process is unreaped, or as its group has members.

use std::collections::BTreeMap;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getpid};

use super::processes::{self, Seen};
use super::spawn::{Inheritance, Launch, SpawnError};
use super::wait;
use crate::supervisor::{Exit, Remains, WorkerId};

/// The process groups of the workers. Dropping it kills them: a panic leaves nobody behind.
#[derive(Debug)]
pub struct Children {
    groups: BTreeMap<WorkerId, Group>,
    /// Children from before pm's time.
    inherited: Vec<Pid>,
}

#[derive(Clone, Copy, Debug)]
struct Group {
    /// The leader's pid, and so the group's number.
    pid: Pid,
    leader: Leader,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leader {
    Unreaped,
    /// Others of its group are left.
    Reaped,
}

/// A dead child, reaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaped {
    Worker {
        worker: WorkerId,
        exit: Exit,
        remains: Remains,
    },
    /// An orphan that a worker left, or a child that never got as far as exec.
    Other,
}

impl Children {
    /// No workers yet. `inherited` children are left alone for ever.
    pub fn new(inherited: Vec<Pid>) -> Self {
        Self { groups: BTreeMap::new(), inherited }
    }

    /// Starts a worker and remembers its group.
    ///
    /// # Errors
    /// As [`Launch::spawn`].
    pub fn spawn(
        &mut self,
        worker: WorkerId,
        launch: &Launch,
        given: Inheritance<'_>,
    ) -> Result<(), SpawnError> {
        let pid = launch.spawn(worker.generation, given)?;
        self.groups.insert(worker, Group { pid, leader: Leader::Unreaped });
        Ok(())
    }

    /// Takes the next dead child, or `None` when no more are waiting.
    ///
    /// The pid becomes a [`WorkerId`] here and now: after waitpid(2) the kernel may hand the number to the very next
    /// fork. SIGCHLD coalesces (signal(7)), so call this until it answers `None`.
    ///
    /// A worker's group is swept first (SIGKILL), while its dead leader still pins the number, unless `keeps_grace`
    /// says that the worker was asked to stop.
    pub fn reap(&mut self, keeps_grace: impl FnOnce(WorkerId) -> bool) -> Option<Reaped> {
        // ECHILD, the only error there can be, is: nobody to wait for.
        let pid = wait::peek().ok().flatten()?;
        let worker = self.groups.iter().find_map(|(worker, group)| {
            (group.pid == pid && group.leader == Leader::Unreaped).then_some(*worker)
        });
        if let Some(worker) = worker
            && !keeps_grace(worker)
        {
            signal_group(pid, Signal::SIGKILL);
        }
        let exit = wait::reap(pid).ok().flatten()?;
        let Some(worker) = worker else {
            return Some(Reaped::Other);
        };
        let remains = if has_members(pid) {
            self.groups.insert(worker, Group { pid, leader: Leader::Reaped });
            Remains::Members
        } else {
            self.groups.remove(&worker);
            Remains::Nothing
        };
        Some(Reaped::Worker { worker, exit, remains })
    }

    /// Takes the workers whose groups had outlived their leaders and are empty by now.
    ///
    /// Members reparent to pm, the subreaper, so the end of the last one is a [`Reaped::Other`]. Ask after each, before
    /// anything can fork: its number is free from then on.
    pub fn emptied(&mut self) -> Vec<WorkerId> {
        let empty = |group: &mut Group| group.leader == Leader::Reaped && !has_members(group.pid);
        self.groups.extract_if(.., |_, group| empty(group)).map(|(worker, _)| worker).collect()
    }

    /// SIGTERM to the worker's group, and SIGCONT so that a stopped member can act on it.
    pub fn terminate(&self, worker: WorkerId) {
        if let Some(group) = self.groups.get(&worker) {
            signal_group(group.pid, Signal::SIGTERM);
            signal_group(group.pid, Signal::SIGCONT);
        }
    }

    /// SIGKILL to the worker's group.
    pub fn kill(&self, worker: WorkerId) {
        if let Some(group) = self.groups.get(&worker) {
            signal_group(group.pid, Signal::SIGKILL);
        }
    }

    /// The pid of the worker's leader, for messages.
    pub fn pid(&self, worker: WorkerId) -> Option<Pid> {
        self.groups.get(&worker).map(|group| group.pid)
    }

    /// Who is left of the worker's group, for messages.
    pub fn members(&self, worker: WorkerId) -> Vec<Seen> {
        let group = self.groups.get(&worker);
        group.map(|group| processes::members_of(group.pid, libc::SIGTERM)).unwrap_or_default()
    }

    /// SIGKILL to every child that pm has adopted. Returns how many there were: 0 means that pm is alone.
    ///
    /// For the end, when all groups are gone: what left its group (setsid(2)) is an orphan and so a child of pm's.
    /// Its own children come to pm when it dies, so call this after each round of reaping.
    pub fn sweep_orphans(&self) -> usize {
        // Nobody at all to wait for is the common case, and spares a walk through /proc.
        if wait::peek() == Err(Errno::ECHILD) {
            return 0;
        }
        let children = processes::children_of(getpid());
        let orphans = children.iter().filter(|pid| !self.inherited.contains(pid));
        orphans.inspect(|pid| signalled(kill(**pid, Signal::SIGKILL))).count()
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        for worker in self.groups.keys() {
            self.kill(*worker);
        }
    }
}

/// True if the group has a member, dead ones that nobody has reaped included.
fn has_members(group: Pid) -> bool {
    // EPERM: there are some, of another user (kill(2)).
    killpg(group, None) != Err(Errno::ESRCH)
}

fn signal_group(group: Pid, signal: Signal) {
    signalled(killpg(group, signal));
}

/// ESRCH: it was gone before us, which is what was wanted. EPERM: all that is left belongs to another user, and stays;
/// the wait for an empty group will name it.
fn signalled(result: nix::Result<()>) {
    debug_assert!(matches!(result, Ok(()) | Err(Errno::ESRCH | Errno::EPERM)), "{result:?}");
}
