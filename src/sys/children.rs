//! The pids: every worker's process group and every exec probe's, from spawn until the last process has ended.
//!
//! This is the one reaper and the one table of pids. No other file waits for a child or signals a group, and above this
//! floor a worker is known by its [`WorkerId`], a probe by its [`ProbeId`], never by a number of the kernel. Such a
//! number is safe to use only while the kernel cannot give it to another process: as long as its process is not reaped,
//! or its group has members.
//!
//! Where to look next: [`super::spawn`] starts a process, [`super::wait`] reaps it, [`super::worker_tag`] says which
//! worker an orphan came from.

use std::collections::BTreeMap;

use nix::errno::Errno;
use nix::sys::signal::killpg;
use nix::unistd::{Pid, getpgid, getpid};

use super::child_list::ChildList;
use super::proc::{self, ProcessInfo};
use super::signals::send;
use super::spawn::{Inheritance, Launch, SpawnError};
use super::wait;
use super::worker_tag::{ProbeId, WorkerTag};
use crate::supervisor::{Exit, Remains, WorkerId};

/// The process groups of all workers and probes, and the orphans of workers. Dropping it kills them, so a panic leaves
/// no process behind.
#[derive(Debug)]
pub struct Children {
    list: ChildList,
    groups: BTreeMap<WorkerId, Group>,
    /// The probes that run. Each leads a process group of its own.
    probes: BTreeMap<ProbeId, Pid>,
    /// What each of these process groups belongs to.
    owners: BTreeMap<Pid, Owner>,
    next_probe: ProbeId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Worker(WorkerId),
    Probe(ProbeId),
}

#[derive(Clone, Debug)]
struct Group {
    /// The signal that asks it to stop.
    stop_signal: libc::c_int,
    /// The leader's pid, and so the group's number.
    pid: Pid,
    leader: Leader,
    /// Descendants that left the group (setsid(2)) and lost their parents: orphans, and so pm's children.
    adopted: Vec<Pid>,
    /// The last stop signal or SIGKILL that the group was sent. Orphans that are adopted later are sent it too.
    sent: Option<libc::c_int>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leader {
    Unreaped,
    /// Other members of its group, or orphans of it, are left.
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
    /// A probe that [`Children::probe`] had started.
    Probe {
        probe: ProbeId,
        exit: Exit,
    },
    /// A member of a worker's group, an orphan, or a child that never got as far as exec.
    Other,
}

impl Children {
    /// No workers yet.
    pub fn empty() -> Self {
        Self {
            list: ChildList::open(),
            groups: BTreeMap::new(),
            probes: BTreeMap::new(),
            owners: BTreeMap::new(),
            next_probe: ProbeId(0),
        }
    }

    /// Starts a worker. [`Children::terminate`] will send it `stop_signal`.
    ///
    /// # Errors
    /// As [`Launch::spawn`].
    pub fn spawn(
        &mut self,
        worker: WorkerId,
        launch: &Launch,
        stop_signal: libc::c_int,
        given: Inheritance<'_>,
    ) -> Result<(), SpawnError> {
        let tag = WorkerTag { pm: getpid(), worker, probe: None };
        let pid = launch.spawn(tag, given)?;
        let group =
            Group { stop_signal, pid, leader: Leader::Unreaped, adopted: Vec::new(), sent: None };
        self.groups.insert(worker, group);
        self.owners.insert(pid, Owner::Worker(worker));
        Ok(())
    }

    /// Starts an exec probe of a worker: a command whose exit status is the answer. It is reaped as a
    /// [`Reaped::Probe`] of the id that is returned here.
    ///
    /// # Errors
    /// As [`Launch::spawn`].
    pub fn probe(
        &mut self,
        worker: WorkerId,
        launch: &Launch,
        given: Inheritance<'_>,
    ) -> Result<ProbeId, SpawnError> {
        let probe = self.next_probe;
        let tag = WorkerTag { pm: getpid(), worker, probe: Some(probe) };
        let pid = launch.spawn(tag, given)?;
        self.next_probe = ProbeId(probe.0 + 1);
        self.probes.insert(probe, pid);
        self.owners.insert(pid, Owner::Probe(probe));
        Ok(probe)
    }

    /// Sends SIGKILL to the process group of this probe, if it still runs.
    pub fn kill_probe(&self, probe: ProbeId) {
        if let Some(pid) = self.probes.get(&probe) {
            expect_sent(send(group(*pid), libc::SIGKILL));
        }
    }

    /// Takes the next dead child, or `None` when no more are waiting.
    ///
    /// The pid becomes a [`WorkerId`] here and now: after waitpid(2) the kernel may hand the number to the very next
    /// fork. SIGCHLD coalesces (signal(7)), so call this until it answers `None`.
    ///
    /// The group of a worker is swept first (SIGKILL), while its dead leader still pins the number, unless the worker
    /// was asked to stop: then the other members keep the rest of the grace.
    pub fn reap(&mut self) -> Option<Reaped> {
        // The only possible error is ECHILD: there are no children.
        let pid = wait::peek().ok().flatten()?;
        let owner = self.owners.get(&pid).copied();
        match owner {
            Some(Owner::Worker(worker)) => self.sweep(worker),
            Some(Owner::Probe(probe)) => self.kill_probe(probe),
            None => {}
        }
        let exit = wait::reap(pid).ok().flatten()?;
        match owner {
            Some(Owner::Worker(worker)) => Some(self.on_leader_reaped(worker, exit)),
            Some(Owner::Probe(probe)) => {
                self.probes.remove(&probe);
                self.owners.remove(&pid);
                // The orphans of the probe, which left its group.
                self.adopt(None);
                Some(Reaped::Probe { probe, exit })
            }
            None => {
                for group in self.groups.values_mut() {
                    group.adopted.retain(|orphan| *orphan != pid);
                }
                Some(Reaped::Other)
            }
        }
    }

    /// Kills what a dead worker has left in its group, unless it has its grace.
    fn sweep(&mut self, worker: WorkerId) {
        if self.groups.get(&worker).is_some_and(|group| !group.has_grace()) {
            self.send(worker, libc::SIGKILL);
        }
    }

    fn on_leader_reaped(&mut self, worker: WorkerId, exit: Exit) -> Reaped {
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

    /// Takes the workers whose leader was reaped earlier and whose group is empty now.
    ///
    /// Members and orphans are pm's children, since pm is their subreaper, so the end of the last one is a
    /// [`Reaped::Other`]. Call this after each of those and before the next fork, which may be given the number.
    pub fn take_emptied(&mut self) -> Vec<WorkerId> {
        if self.groups.values().any(|group| group.leader == Leader::Reaped) {
            // The orphans of an orphan are pm's children too.
            self.adopt(None);
        }
        let is_over = |group: &mut Group| group.leader == Leader::Reaped && group.is_empty();
        let over: Vec<_> = self.groups.extract_if(.., |_, group| is_over(group)).collect();
        for (_, group) in &over {
            self.owners.remove(&group.pid);
        }
        over.into_iter().map(|(worker, _)| worker).collect()
    }

    /// Sends the worker's stop signal to its group and its orphans, and SIGCONT so that a stopped process can act on
    /// it.
    pub fn terminate(&mut self, worker: WorkerId) {
        self.adopt(None);
        if let Some(stop_signal) = self.groups.get(&worker).map(|group| group.stop_signal) {
            self.send(worker, stop_signal);
        }
    }

    /// Changes the signal that [`Children::terminate`] sends to a worker that runs.
    pub fn set_stop_signal(&mut self, worker: WorkerId, stop_signal: libc::c_int) {
        if let Some(group) = self.groups.get_mut(&worker) {
            group.stop_signal = stop_signal;
        }
    }

    /// Sends SIGKILL to the worker's group and its orphans.
    pub fn kill(&mut self, worker: WorkerId) {
        self.adopt(None);
        self.send(worker, libc::SIGKILL);
    }

    /// Sends SIGSTOP to every worker: pm itself is about to be suspended.
    pub fn suspend(&mut self) {
        self.adopt(None);
        self.groups.values().for_each(|group| group.signal(libc::SIGSTOP));
    }

    /// Sends SIGCONT to every worker.
    pub fn resume(&self) {
        self.groups.values().for_each(|group| group.signal(libc::SIGCONT));
    }

    /// The pid of the worker's leader, for messages.
    pub fn pid(&self, worker: WorkerId) -> Option<Pid> {
        self.groups.get(&worker).map(|group| group.pid)
    }

    /// Finds the living processes of the worker, for messages.
    pub fn find_members(&mut self, worker: WorkerId) -> Vec<ProcessInfo> {
        self.adopt(None);
        let Some(group) = self.groups.get(&worker) else {
            return Vec::new();
        };
        let mut members = proc::members_of(group.pid, group.stop_signal);
        let orphans = group.adopted.iter();
        members.extend(orphans.filter_map(|pid| proc::info(*pid, group.stop_signal)));
        members
    }

    /// Sends SIGKILL to every child that is left. Returns how many there were: 0 means that pm has no children.
    ///
    /// For the end, when all groups are gone: which worker these orphans came from is not known. When they die, their
    /// own children come to pm, so call this after each round of reaping.
    pub fn sweep_orphans(&self) -> usize {
        let mut count = 0;
        // Usually there are no children, and one system call shows it.
        if wait::peek() != Err(Errno::ECHILD) {
            self.list.for_each(|pid| {
                count += 1;
                expect_sent(send(pid, libc::SIGKILL));
            });
        }
        count
    }

    /// Finds the orphans that have come to pm, and sends them what the rest of their worker was sent.
    ///
    /// The kernel gives no notice of an orphan, so this is called whenever it matters. An orphan belongs to the worker
    /// that its tag names. One without a tag belongs to the worker that has `just_died`, whose death made it an orphan.
    fn adopt(&mut self, just_died: Option<WorkerId>) {
        let mut orphans = Vec::new();
        let owners = &self.owners;
        let groups = &self.groups;
        self.list.for_each(|pid| {
            // Members of a group that lost their parents are pm's children too, and are known by their group.
            let is_known = owners.contains_key(&pid)
                || getpgid(Some(pid)).is_ok_and(|group| owners.contains_key(&group))
                || groups.values().any(|group| group.adopted.contains(&pid));
            if !is_known {
                orphans.push(pid);
            }
        });
        let me = getpid();
        for pid in orphans {
            let tag = WorkerTag::of(pid).filter(|tag| tag.pm == me);
            let worker = match (tag, just_died) {
                (Some(WorkerTag { probe: Some(probe), .. }), _) => {
                    // Not a part of the worker: it lives as long as the probe that it belongs to.
                    if !self.probes.contains_key(&probe) {
                        expect_sent(send(pid, libc::SIGKILL));
                    }
                    continue;
                }
                (Some(WorkerTag { worker, probe: None, .. }), _) | (None, Some(worker)) => worker,
                (None, None) => continue,
            };
            match self.groups.get_mut(&worker) {
                Some(group) => {
                    group.adopted.push(pid);
                    if let Some(signal) = group.sent {
                        send_and_continue(signal, |signal| send(pid, signal));
                    }
                }
                // Its worker has ended, and so has its group.
                None => expect_sent(send(pid, libc::SIGKILL)),
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
        send_and_continue(signal, |signal| send(group(self.pid), signal));
        for orphan in &self.adopted {
            send_and_continue(signal, |signal| send(*orphan, signal));
        }
    }

    /// True if it was asked to stop and its grace is not over yet.
    fn has_grace(&self) -> bool {
        self.sent.is_some_and(|signal| signal != libc::SIGKILL)
    }

    /// True if neither a member of the group nor an orphan is left, dead ones that are not reaped included.
    fn is_empty(&self) -> bool {
        // EPERM: there are members, of another user (kill(2)).
        self.adopted.is_empty() && killpg(self.pid, None) == Err(Errno::ESRCH)
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        self.groups.values().for_each(|group| group.signal(libc::SIGKILL));
        self.probes.keys().for_each(|probe| self.kill_probe(*probe));
    }
}

/// The process group of this leader, as kill(2) takes it.
fn group(leader: Pid) -> Pid {
    Pid::from_raw(-leader.as_raw())
}

/// Sends a signal, and SIGCONT after it: a stopped process acts on a signal only once it continues. SIGKILL needs no
/// SIGCONT, and after SIGSTOP it would undo the stop.
fn send_and_continue(signal: libc::c_int, mut send: impl FnMut(libc::c_int) -> nix::Result<()>) {
    expect_sent(send(signal));
    if !matches!(signal, libc::SIGKILL | libc::SIGSTOP | libc::SIGCONT) {
        expect_sent(send(libc::SIGCONT));
    }
}

/// ESRCH: the process had ended already. EPERM: all that is left belongs to another user, and stays; messages about the
/// delayed stop name it.
fn expect_sent(result: nix::Result<()>) {
    debug_assert!(matches!(result, Ok(()) | Err(Errno::ESRCH | Errno::EPERM)), "{result:?}");
}
