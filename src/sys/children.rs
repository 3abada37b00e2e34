//! The pids. Every worker's process group, and the orphans that left it, from spawn to the last one's end, under the
//! name of its [`WorkerId`].
//!
//! This is the one reaper and the one table of pids: nobody else waits for a child or signals a group, and above this
//! floor no worker is known by its number. A number means somebody only while it cannot be given to another: as long
//! as its process is unreaped, or as its group has members.

use std::collections::BTreeMap;

use nix::errno::Errno;
use nix::sys::signal::killpg;
use nix::unistd::{Pid, getpgid, getpid};

use super::proc::{self, ChildList, Seen, WorkerTag};
use super::signals::send;
use super::spawn::{Inheritance, Launch, SpawnError};
use super::wait;
use crate::supervisor::{Exit, Remains, WorkerId};

/// The workers' process groups and what has left them. Dropping it kills them: a panic leaves nobody behind.
#[derive(Debug)]
pub struct Children {
    list: ChildList,
    groups: BTreeMap<WorkerId, Group>,
    /// Looks at workers that are under way, each in a process group of its own.
    checks: BTreeMap<WorkerId, Pid>,
    /// Whose each of these process groups is.
    owners: BTreeMap<Pid, Owner>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Worker(WorkerId),
    Check(WorkerId),
}

#[derive(Clone, Debug)]
struct Group {
    /// What asked it to stop, if anything did.
    stop_signal: libc::c_int,
    /// The leader's pid, and so the group's number.
    pid: Pid,
    leader: Leader,
    /// Descendants that left the group (setsid(2)) and lost their parents: orphans, and so pm's children.
    adopted: Vec<Pid>,
    /// What those who are adopted from now on are sent too.
    sent: Option<libc::c_int>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leader {
    Unreaped,
    /// Others of its group, or orphans of it, are left.
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
    /// A look at this worker, by [`Children::check`].
    Check {
        worker: WorkerId,
        exit: Exit,
    },
    /// An orphan that a worker left, or a child that never got as far as exec.
    Other,
}

impl Children {
    /// No workers yet.
    pub fn none() -> Self {
        let (groups, checks, owners) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { list: ChildList::open(), groups, checks, owners }
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
        let pid = launch.spawn(worker, given)?;
        let (leader, adopted, sent) = (Leader::Unreaped, Vec::new(), None);
        let stop_signal = libc::SIGTERM;
        self.groups.insert(worker, Group { stop_signal, pid, leader, adopted, sent });
        self.owners.insert(pid, Owner::Worker(worker));
        Ok(())
    }

    /// Starts a look at a worker: a command whose exit status is the answer, a [`Reaped::Check`]. There is one at a
    /// time for each worker.
    ///
    /// # Errors
    /// As [`Launch::spawn`].
    pub fn check(
        &mut self,
        worker: WorkerId,
        launch: &Launch,
        given: Inheritance<'_>,
    ) -> Result<(), SpawnError> {
        let pid = launch.spawn(worker, given)?;
        self.checks.insert(worker, pid);
        self.owners.insert(pid, Owner::Check(worker));
        Ok(())
    }

    /// SIGKILL to the look at this worker and its process group, if one is under way.
    pub fn kill_check(&self, worker: WorkerId) {
        if let Some(pid) = self.checks.get(&worker) {
            signalled(send(group(*pid), libc::SIGKILL));
        }
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
        let owner = self.owners.get(&pid).copied();
        match owner {
            Some(Owner::Worker(worker)) if !keeps_grace(worker) => {
                self.send(worker, libc::SIGKILL);
            }
            Some(Owner::Check(worker)) => self.kill_check(worker),
            Some(Owner::Worker(_)) | None => {}
        }
        let exit = wait::reap(pid).ok().flatten()?;
        match owner {
            Some(Owner::Worker(worker)) => Some(self.has_lost_leader(worker, exit)),
            Some(Owner::Check(worker)) => {
                self.checks.remove(&worker);
                self.owners.remove(&pid);
                // What it left outside its group.
                self.adopt(None);
                Some(Reaped::Check { worker, exit })
            }
            None => {
                for group in self.groups.values_mut() {
                    group.adopted.retain(|orphan| *orphan != pid);
                }
                Some(Reaped::Other)
            }
        }
    }

    fn has_lost_leader(&mut self, worker: WorkerId, exit: Exit) -> Reaped {
        self.groups.entry(worker).and_modify(|group| group.leader = Leader::Reaped);
        self.adopt(Some(worker));
        let remains = match self.groups.get(&worker) {
            Some(group) if !group.is_empty() => Remains::Members,
            Some(_) | None => Remains::Nothing,
        };
        if remains == Remains::Nothing
            && let Some(group) = self.groups.remove(&worker)
        {
            self.owners.remove(&group.pid);
        }
        Reaped::Worker { worker, exit, remains }
    }

    /// Takes the workers whose groups had outlived their leaders and are empty by now.
    ///
    /// Members and orphans are pm's children, the subreaper's, so the end of the last one is a [`Reaped::Other`]. Ask after each, before
    /// anything can fork: its number is free from then on.
    pub fn emptied(&mut self) -> Vec<WorkerId> {
        if self.groups.values().any(|group| group.leader == Leader::Reaped) {
            // The orphans of an orphan are pm's too.
            self.adopt(None);
        }
        let is_over = |group: &mut Group| group.leader == Leader::Reaped && group.is_empty();
        let over: Vec<_> = self.groups.extract_if(.., |_, group| is_over(group)).collect();
        for (_, group) in &over {
            self.owners.remove(&group.pid);
        }
        over.into_iter().map(|(worker, _)| worker).collect()
    }

    /// The stop signal to the worker's group and its orphans, and SIGCONT so that a stopped one can act on it.
    pub fn terminate(&mut self, worker: WorkerId, stop_signal: libc::c_int) {
        self.adopt(None);
        if let Some(group) = self.groups.get_mut(&worker) {
            group.stop_signal = stop_signal;
        }
        self.send(worker, stop_signal);
    }

    /// SIGKILL to the worker's group and its orphans.
    pub fn kill(&mut self, worker: WorkerId) {
        self.adopt(None);
        self.send(worker, libc::SIGKILL);
    }

    /// SIGSTOP to every worker: pm itself is about to be suspended.
    pub fn suspend(&mut self) {
        self.adopt(None);
        self.groups.values().for_each(|group| group.signal(libc::SIGSTOP));
    }

    /// SIGCONT to every worker.
    pub fn resume(&self) {
        self.groups.values().for_each(|group| group.signal(libc::SIGCONT));
    }

    /// The pid of the worker's leader, for messages.
    pub fn pid(&self, worker: WorkerId) -> Option<Pid> {
        self.groups.get(&worker).map(|group| group.pid)
    }

    /// Who is left of the worker, for messages.
    pub fn members(&mut self, worker: WorkerId) -> Vec<Seen> {
        self.adopt(None);
        let Some(group) = self.groups.get(&worker) else {
            return Vec::new();
        };
        let mut members = proc::members_of(group.pid, group.stop_signal);
        let orphans = group.adopted.iter();
        members.extend(orphans.filter_map(|pid| proc::look_at(*pid, group.stop_signal)));
        members
    }

    /// SIGKILL to every child that is left. Returns how many there were: 0 means that pm is alone.
    ///
    /// For the end, when all groups are gone: nobody knows whose these orphans were. Their own children come to pm when
    /// they die, so call this after each round of reaping.
    pub fn sweep_orphans(&self) -> usize {
        let mut count = 0;
        // Nobody at all to wait for is the common case.
        if wait::peek() != Err(Errno::ECHILD) {
            self.list.for_each(|pid| {
                count += 1;
                signalled(send(pid, libc::SIGKILL));
            });
        }
        count
    }

    /// Finds the orphans that have come to pm, and sends them what the rest of their worker was sent.
    ///
    /// Nothing tells of an orphan's coming, so this is asked whenever it matters. An orphan belongs to the worker that
    /// its environment names; without one, to the worker that has `just_died`, which is what made it an orphan.
    fn adopt(&mut self, just_died: Option<WorkerId>) {
        let mut orphans = Vec::new();
        let (owners, groups) = (&self.owners, &self.groups);
        self.list.for_each(|pid| {
            // Members of a group that lost their parents are pm's children too, and are known by the group.
            let is_known = owners.contains_key(&pid)
                || getpgid(Some(pid)).is_ok_and(|group| owners.contains_key(&group))
                || groups.values().any(|group| group.adopted.contains(&pid));
            if !is_known {
                orphans.push(pid);
            }
        });
        let me = getpid();
        for pid in orphans {
            let employment = WorkerTag::of(pid).filter(|employment| employment.pm == me);
            let worker = match (employment, just_died) {
                (Some(WorkerTag { worker, is_check: true, .. }), _) => {
                    // No part of the worker: it goes with the look that it is of.
                    if !self.checks.contains_key(&worker) {
                        signalled(send(pid, libc::SIGKILL));
                    }
                    continue;
                }
                (Some(WorkerTag { worker, .. }), _) | (None, Some(worker)) => worker,
                (None, None) => continue,
            };
            match self.groups.get_mut(&worker) {
                Some(group) => {
                    group.adopted.push(pid);
                    if let Some(signal) = group.sent {
                        send_all(signal, |signal| send(pid, signal));
                    }
                }
                // Its worker has been gone for a while.
                None => signalled(send(pid, libc::SIGKILL)),
            }
        }
    }

    fn send(&mut self, worker: WorkerId, signal: libc::c_int) {
        if let Some(group) = self.groups.get_mut(&worker) {
            group.sent = Some(signal);
            group.signal(signal);
        }
    }
}

impl Group {
    fn signal(&self, signal: libc::c_int) {
        send_all(signal, |signal| send(group(self.pid), signal));
        for orphan in &self.adopted {
            send_all(signal, |signal| send(*orphan, signal));
        }
    }

    /// True if neither the group nor an orphan is left, dead ones that nobody has reaped included.
    fn is_empty(&self) -> bool {
        // EPERM: there are some, of another user (kill(2)).
        self.adopted.is_empty() && killpg(self.pid, None) == Err(Errno::ESRCH)
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        self.groups.values().for_each(|group| group.signal(libc::SIGKILL));
        self.checks.keys().for_each(|worker| self.kill_check(*worker));
    }
}

/// The process group of this leader, as kill(2) takes it.
fn group(leader: Pid) -> Pid {
    Pid::from_raw(-leader.as_raw())
}

/// A stopped process acts on a signal only once it goes on, unless that kills it or concerns the stop itself.
fn send_all(signal: libc::c_int, mut send: impl FnMut(libc::c_int) -> nix::Result<()>) {
    signalled(send(signal));
    if !matches!(signal, libc::SIGKILL | libc::SIGSTOP | libc::SIGCONT) {
        signalled(send(libc::SIGCONT));
    }
}

/// ESRCH: it was gone before us, which is what was wanted. EPERM: all that is left belongs to another user, and stays;
/// the wait for an empty group will name it.
fn signalled(result: nix::Result<()>) {
    debug_assert!(matches!(result, Ok(()) | Err(Errno::ESRCH | Errno::EPERM)), "{result:?}");
}
