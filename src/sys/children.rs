//! The pids: every worker's process group and every exec probe's, from spawn until the last process has ended.
//!
//! This is the one reaper and the one table of pids. No other file waits for a child or signals a group, and above this
//! floor a worker is known by its [`WorkerId`], a probe by its [`ProbeId`], never by a number of the kernel. Such a
//! number is safe to use only while the kernel cannot give it to another process: as long as its process is not reaped,
//! or its group has members.
//!
//! Each child of pm has one owner, from its spawn or its adoption until it is reaped. No call walks over all workers,
//! except to suspend and to resume them.
//!
//! Where to look next: [`group`] is one worker or probe; [`orphans`] says whose an orphan is; [`super::spawn`] starts a
//! process, [`super::exit_watch`] knows which have died, [`super::wait`] reaps them.

mod group;
mod orphans;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use nix::unistd::{Pid, getpgid, getpid};

use self::group::{Group, Leader, expect_sent, send_and_continue};
use self::orphans::Orphans;
use super::child::Child;
use super::child_list::ChildList;
use super::exit_watch::ExitWatch;
use super::proc::{self, ProcessInfo};
use super::signals::send;
use super::spawn::{Inheritance, Launch, SpawnError};
use super::wait;
use super::worker_tag::{ProbeId, WorkerTag};
use crate::plan::{StopSpec, StopTarget};
use crate::supervisor::{Exit, Remains, WorkerId};

/// The process groups of all workers and probes, and their orphans. Dropping it kills them, so a panic leaves none
/// behind.
#[derive(Debug)]
pub struct Children {
    groups: BTreeMap<Owner, Group>,
    /// The owner of each group, by the number of the group, until the group is empty.
    leaders: BTreeMap<Pid, Owner>,
    orphans: Orphans,
    exits: ExitWatch,
    /// Dead children that were found and are not reaped yet.
    dead: VecDeque<Pid>,
    /// Whether more children may be dead than were found last.
    search: Search,
    /// Workers without a leader of which a process may have ended since they were last looked at.
    maybe_empty: BTreeSet<WorkerId>,
    next_probe: ProbeId,
}

/// What a process group belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    Worker(WorkerId),
    Probe(ProbeId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Search {
    Needed,
    /// No child was reaped since the last search.
    Done,
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
    /// An orphan.
    Other,
}

impl Children {
    /// No workers yet.
    pub fn empty() -> Self {
        Self {
            groups: BTreeMap::new(),
            leaders: BTreeMap::new(),
            orphans: Orphans::new(),
            exits: ExitWatch::open(),
            dead: VecDeque::new(),
            search: Search::Needed,
            maybe_empty: BTreeSet::new(),
            next_probe: ProbeId(0),
        }
    }

    /// Starts a worker. [`Children::terminate`] will stop it as `stop` says.
    ///
    /// # Errors
    /// As [`Launch::spawn`].
    pub fn spawn(
        &mut self,
        worker: WorkerId,
        launch: &Launch,
        stop: StopSpec,
        given: Inheritance<'_>,
    ) -> Result<(), SpawnError> {
        let tag = WorkerTag { pm: getpid(), worker, probe: None };
        let child = launch.spawn(tag, given)?;
        self.insert(Owner::Worker(worker), child, stop);
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
        let child = launch.spawn(tag, given)?;
        self.next_probe = ProbeId(probe.0 + 1);
        let stop = StopSpec { signal: libc::SIGKILL, to: StopTarget::Group };
        self.insert(Owner::Probe(probe), child, stop);
        Ok(probe)
    }

    fn insert(&mut self, owner: Owner, Child { pid, pidfd }: Child, stop: StopSpec) {
        self.exits.add(pid, pidfd.as_ref());
        self.groups.insert(owner, Group::of(pid, pidfd, stop));
        self.leaders.insert(pid, owner);
    }

    /// A new wakeup begins: orphans may have arrived since the last one.
    pub fn begin_wakeup(&mut self) {
        self.orphans.expire();
    }

    /// Takes the next dead child, or `None` when no more are waiting.
    ///
    /// The pid becomes a [`WorkerId`] here and now: after waitpid(2) the kernel may hand the number to the very next
    /// fork. SIGCHLD coalesces (signal(7)), so call this until it answers `None`, and after each child
    /// [`Children::take_emptied`].
    ///
    /// The group of a worker is swept first (SIGKILL), while its dead leader still pins the number, unless the worker
    /// was asked to stop: then the other members keep the rest of the grace.
    pub fn reap(&mut self) -> Option<Reaped> {
        loop {
            while let Some(pid) = self.dead.pop_front() {
                let number = getpgid(Some(pid));
                // None: a debugger holds it. A SIGCHLD follows when the debugger lets it go (ptrace(2)).
                let Some(exit) = wait::reap(pid).ok().flatten() else { continue };
                self.search = Search::Needed;
                self.orphans.expire();
                self.suspect(number.ok().and_then(|number| self.leaders.get(&number)).copied());
                return Some(self.on_reaped(pid, exit));
            }
            match std::mem::replace(&mut self.search, Search::Done) {
                Search::Needed => self.find_dead(),
                Search::Done => {
                    self.search = Search::Needed;
                    return None;
                }
            }
        }
    }

    /// Finds dead children: some of the workers and probes, and all orphans.
    ///
    /// A dead process has lost its children already, so the orphans of all of them arrive in one look at the list.
    fn find_dead(&mut self) {
        self.dead.extend(self.exits.find_dead());
        let mut left_by_leader = Vec::new();
        for pid in &self.dead {
            let owner = self.leaders.get(pid).copied();
            let group = owner.and_then(|owner| self.groups.get_mut(&owner));
            match group {
                Some(group) if !group.has_grace() => {
                    group.sent = Some(libc::SIGKILL);
                    group.signal(libc::SIGKILL);
                }
                Some(group) if group.stop.to == StopTarget::Leader => left_by_leader.extend(owner),
                Some(_) | None => {}
            }
        }
        self.orphans.expire();
        self.adopt();
        // The leader does not need them any more, and they were not asked to stop yet.
        for group in left_by_leader.iter().filter_map(|owner| self.groups.get(owner)) {
            group.signal(group.stop.signal);
        }
        self.dead.extend(self.orphans.find_dead());
    }

    fn on_reaped(&mut self, pid: Pid, exit: Exit) -> Reaped {
        let leads = |owner: &&Owner| self.groups.get(owner).is_some_and(Group::has_leader);
        match self.leaders.get(&pid).filter(leads).copied() {
            Some(Owner::Worker(worker)) => self.on_worker_reaped(worker, exit),
            Some(Owner::Probe(probe)) => {
                self.on_probe_reaped(probe);
                Reaped::Probe { probe, exit }
            }
            None => {
                let owner = self.orphans.remove(pid);
                if let Some(group) = owner.and_then(|owner| self.groups.get_mut(&owner)) {
                    group.orphans.remove(&pid);
                }
                self.suspect(owner);
                Reaped::Other
            }
        }
    }

    fn on_worker_reaped(&mut self, worker: WorkerId, exit: Exit) -> Reaped {
        let owner = Owner::Worker(worker);
        self.unwatch_leader(owner);
        let is_over = self.groups.get(&owner).is_none_or(Group::is_over);
        let remains = if is_over { Remains::Nothing } else { Remains::Members };
        if is_over {
            self.forget(owner);
        }
        Reaped::Worker { worker, exit, remains }
    }

    /// A probe leaves no process behind.
    fn on_probe_reaped(&mut self, probe: ProbeId) {
        let owner = Owner::Probe(probe);
        self.unwatch_leader(owner);
        if let Some(group) = self.groups.get(&owner) {
            for orphan in &group.orphans {
                expect_sent(send(*orphan, libc::SIGKILL));
            }
        }
        self.forget(owner);
    }

    fn unwatch_leader(&mut self, owner: Owner) {
        if let Some(group) = self.groups.get_mut(&owner)
            && let Leader::Unreaped(pidfd) = std::mem::replace(&mut group.leader, Leader::Reaped)
        {
            self.exits.remove(group.pid, pidfd.as_ref());
        }
    }

    fn forget(&mut self, owner: Owner) {
        if let Some(group) = self.groups.remove(&owner) {
            self.leaders.remove(&group.pid);
            self.orphans.disown(group.orphans);
        }
    }

    /// A process of this owner, or one in its group, has ended.
    fn suspect(&mut self, owner: Option<Owner>) {
        match owner {
            Some(Owner::Worker(worker)) => self.maybe_empty.extend([worker]),
            Some(Owner::Probe(_)) | None => {}
        }
    }

    /// Takes the workers whose leader was reaped earlier and of which no process is left now.
    ///
    /// The end of the last one is a child's end, since pm is their subreaper. But a process that another worker reaps
    /// may have been in the group too, so what is killed is looked at as well. Call this after each child that was
    /// reaped, before the next fork, which may be given the number; and once a wakeup.
    pub fn take_emptied(&mut self) -> Vec<WorkerId> {
        let mut emptied = Vec::from_iter(std::mem::take(&mut self.maybe_empty));
        emptied.retain(|worker| self.is_over(*worker));
        if !emptied.is_empty() {
            // The last process may have left orphans.
            self.adopt();
            emptied.retain(|worker| self.is_over(*worker));
            emptied.iter().for_each(|worker| self.forget(Owner::Worker(*worker)));
        }
        emptied
    }

    fn is_over(&self, worker: WorkerId) -> bool {
        self.group(worker).is_some_and(Group::is_over)
    }

    /// Sends the worker's stop signal to its group and its orphans, or to its leader alone, and SIGCONT so that a
    /// stopped process can act on it.
    pub fn terminate(&mut self, worker: WorkerId) {
        let Some(group) = self.groups.get_mut(&Owner::Worker(worker)) else { return };
        let StopSpec { signal, to } = group.stop;
        match to {
            StopTarget::Leader if group.has_leader() => {
                group.sent = Some(signal);
                send_and_continue(signal, |signal| send(group.pid, signal));
            }
            StopTarget::Leader | StopTarget::Group => self.send(worker, signal),
        }
    }

    /// Changes the signal that [`Children::terminate`] sends to a worker that runs.
    pub fn set_stop(&mut self, worker: WorkerId, stop: StopSpec) {
        if let Some(group) = self.groups.get_mut(&Owner::Worker(worker)) {
            group.stop = stop;
        }
    }

    /// Sends SIGKILL to the worker's group and its orphans.
    pub fn kill(&mut self, worker: WorkerId) {
        self.send(worker, libc::SIGKILL);
        self.suspect(Some(Owner::Worker(worker)));
    }

    /// Sends SIGKILL to the process group of this probe, if it still runs.
    pub fn kill_probe(&self, probe: ProbeId) {
        if let Some(group) = self.groups.get(&Owner::Probe(probe)) {
            group.signal(libc::SIGKILL);
        }
    }

    fn send(&mut self, worker: WorkerId, signal: libc::c_int) {
        self.adopt();
        if let Some(group) = self.groups.get_mut(&Owner::Worker(worker)) {
            group.sent = Some(signal);
            group.signal(signal);
        }
    }

    /// Sends SIGSTOP to every worker: pm itself is about to be suspended.
    pub fn suspend(&mut self) {
        self.adopt();
        self.workers().for_each(|group| group.signal(libc::SIGSTOP));
    }

    /// Sends SIGCONT to every worker.
    pub fn resume(&self) {
        self.workers().for_each(|group| group.signal(libc::SIGCONT));
    }

    /// The pid of the worker's leader, for messages.
    pub fn pid(&self, worker: WorkerId) -> Option<Pid> {
        self.group(worker).map(|group| group.pid)
    }

    /// Finds the living processes of the worker, for messages.
    pub fn find_members(&mut self, worker: WorkerId) -> Vec<ProcessInfo> {
        self.adopt();
        let Some(group) = self.group(worker) else {
            return Vec::new();
        };
        let leader = group.has_leader().then_some(group.pid);
        let tops = leader.into_iter().chain(group.orphans.iter().copied());
        let members = proc::descendants_of(tops, group.stop.signal);
        if members.is_empty() && !group.is_empty() {
            // A descendant of another worker has moved to this group.
            return proc::members_of(group.pid, group.stop.signal);
        }
        members
    }

    /// Sends SIGKILL to every child that is left. Returns how many there were: 0 means that pm has no children.
    ///
    /// For the end, when all groups are gone: which worker these orphans came from is not known. When they die, their
    /// own children come to pm, so call this after each round of reaping.
    pub fn sweep_orphans(&self) -> usize {
        // Usually there are no children, and one system call shows it.
        if !wait::has_children() {
            return 0;
        }
        let mut left = BTreeSet::new();
        for list in [ChildList::open_of_first_thread(), ChildList::open()] {
            list.for_each(|pid| left.extend([pid]));
        }
        left.iter().for_each(|pid| expect_sent(send(*pid, libc::SIGKILL)));
        left.len()
    }

    fn group(&self, worker: WorkerId) -> Option<&Group> {
        self.groups.get(&Owner::Worker(worker))
    }

    fn workers(&self) -> impl Iterator<Item = &Group> {
        let workers = self.groups.iter().take_while(|(owner, _)| matches!(owner, Owner::Worker(_)));
        workers.map(|(_, group)| group)
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        self.groups.values().for_each(|group| group.signal(libc::SIGKILL));
    }
}
