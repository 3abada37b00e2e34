//! The reaper: what has become of each child, in an order in which it can be told.

use std::collections::BTreeSet;
use std::time::Duration;

use nix::unistd::{Pid, getpgid};

use super::group::{Group, expect_sent};
use super::{Children, Owner};
use crate::supervisor::{Exit, Remains, WorkerId};
use crate::sys::child_watch::{Found, StartId};
use crate::sys::proc;
use crate::sys::signals::send;
use crate::sys::spawn::SpawnError;
use crate::sys::starting::Starting;
use crate::sys::wait;
use crate::sys::worker_tag::ProbeId;

/// What has become of a child. It is reaped, except after [`ChildEvent::Execd`].
#[derive(Debug)]
pub enum ChildEvent {
    /// This worker has exec'd.
    Execd(WorkerId),
    /// This worker could not exec.
    NotExecd { worker: WorkerId, error: SpawnError },
    Exited {
        worker: WorkerId,
        exit: Exit,
        /// The CPU time that its leader has used, with that of the children which the leader has reaped.
        cpu: Duration,
        remains: Remains,
    },
    /// A probe that [`Children::probe`] had started.
    ProbeExited { probe: ProbeId, exit: Exit },
    /// As above.
    ProbeNotExecd { probe: ProbeId, error: SpawnError },
    /// An orphan has ended.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    Needed,
    /// No child was reaped since the last search.
    Done,
}

impl Children {
    /// Takes what has become of a child, or `None` when nothing more is waiting. A child that has died is reaped.
    ///
    /// The pid becomes a [`WorkerId`] here and now: after waitpid(2) the kernel may hand the number to the very next
    /// fork. SIGCHLD coalesces (signal(7)), so call this until it answers `None`, and after each child
    /// [`Children::take_emptied`].
    ///
    /// The group of a worker is swept first (SIGKILL), while its dead leader still pins the number, unless the worker
    /// was asked to stop: then the other members keep the rest of the grace.
    pub fn next_event(&mut self) -> Option<ChildEvent> {
        loop {
            if let Some(worker) = self.execd.pop_front() {
                return Some(ChildEvent::Execd(worker));
            }
            if let Some(pid) = self.dead.pop_front() {
                if let Some(event) = self.bury(pid) {
                    return Some(event);
                }
                continue;
            }
            match std::mem::replace(&mut self.search, Search::Done) {
                Search::Needed => self.search(),
                Search::Done => {
                    self.search = Search::Needed;
                    return None;
                }
            }
        }
    }

    /// True if [`Children::next_event`] has something to tell that no descriptor reports.
    pub fn has_news(&self) -> bool {
        !self.execd.is_empty()
    }

    /// Takes all workers that have exec'd by now and of which that is not told, whatever else waits.
    pub fn take_execd(&mut self) -> Vec<WorkerId> {
        loop {
            let pending = self.starts.len();
            self.watch.reported().into_iter().for_each(|start| self.on_reported(start));
            if self.starts.len() == pending {
                return std::mem::take(&mut self.execd).into();
            }
        }
    }

    /// Finds children that have exec'd or died: some of the workers and probes, and all orphans.
    ///
    /// A dead process has lost its children already, so the orphans of all of them arrive in one look at the list.
    fn search(&mut self) {
        let Found { reported, dead } = self.watch.find();
        reported.into_iter().for_each(|start| self.on_reported(start));
        self.dead.extend(dead);
        for pid in &self.dead {
            let group = self.leaders.get(pid).and_then(|owner| self.groups.get_mut(owner));
            match group {
                Some(group) if group.has_grace() => group.on_leader_dead(),
                Some(group) => group.kill_rest(),
                None => {}
            }
        }
        self.orphans.expire();
        self.adopt();
        let dead = self.dead.len();
        self.dead.extend(self.orphans.find_dead());
        if self.dead.len() > dead {
            // Its own orphans are recognized by it, as long as it is not reaped.
            self.orphans.expire();
            self.adopt();
        }
    }

    /// The child of this start has exec'd, or has ended without that.
    pub(super) fn on_reported(&mut self, start: StartId) {
        let Some((owner, starting)) = self.starts.remove(&start) else { return };
        if let Some(report) = starting.report() {
            self.watch.remove_start(report);
        }
        self.on_left(owner, starting);
    }

    /// This child has exec'd, or has ended without that.
    pub(super) fn on_left(&mut self, owner: Owner, starting: Starting) {
        self.search = Search::Needed;
        if let Some(group) = self.groups.get_mut(&owner) {
            group.on_left();
        }
        if starting.has_failed() {
            // Told when it is reaped, which is soon.
            self.failed.insert(owner, starting);
            return;
        }
        // One that was killed in the midst of its exec has needed longer, and only then it is looked at.
        let is_late = starting.report().is_some();
        let was_killed = starting.was_killed() || (is_late && !proc::has_execd(starting.pid));
        let finished = starting.finish();
        debug_assert!(finished.is_ok(), "it has not failed");
        match owner {
            // Its exit alone is told.
            Owner::Worker(_) if was_killed => {}
            Owner::Worker(worker) => self.execd.push_back(worker),
            Owner::Probe(_) => {}
        }
    }

    /// Reaps a dead child. If it was not told yet that it had exec'd, that comes first.
    fn bury(&mut self, pid: Pid) -> Option<ChildEvent> {
        let group = self.leaders.get(&pid).and_then(|owner| self.groups.get(owner));
        if let Some(start) = group.and_then(Group::start) {
            self.on_reported(start);
        }
        if let Some(worker) = self.execd.pop_front() {
            self.dead.push_front(pid);
            return Some(ChildEvent::Execd(worker));
        }
        let number = getpgid(Some(pid));
        let Some((exit, cpu)) = wait::reap_dead(pid).ok().flatten() else {
            // A debugger keeps it. A SIGCHLD follows when the debugger lets it go (ptrace(2)).
            self.note_kept(pid);
            return None;
        };
        self.search = Search::Needed;
        self.orphans.expire();
        self.suspect(number.ok().and_then(|number| self.leaders.get(&number)).copied());
        let leads = |owner: &&Owner| self.groups.get(owner).is_some_and(Group::has_leader);
        match self.leaders.get(&pid).filter(leads).copied() {
            Some(owner) => Some(self.on_leader_reaped(owner, exit, cpu)),
            None => {
                let owner = self.orphans.remove(pid);
                if let Some(group) = owner.and_then(|owner| self.groups.get_mut(&owner)) {
                    group.orphans.remove(&pid);
                    group.reaped_cpu += cpu;
                }
                self.suspect(owner);
                Some(ChildEvent::Other)
            }
        }
    }

    fn note_kept(&mut self, pid: Pid) {
        match self.leaders.get(&pid) {
            Some(Owner::Worker(worker)) => self.kept.extend([*worker]),
            Some(Owner::Probe(_)) | None => {}
        }
    }

    /// Takes the workers that were found dead and could not be reaped. One may be found again and again.
    pub fn take_kept(&mut self) -> BTreeSet<WorkerId> {
        std::mem::take(&mut self.kept)
    }

    fn on_leader_reaped(&mut self, owner: Owner, exit: Exit, cpu: Duration) -> ChildEvent {
        if let Some(group) = self.groups.get_mut(&owner) {
            let pidfd = group.on_leader_reaped();
            self.watch.remove(group.pid, pidfd);
        }
        self.release_number(owner);
        let failed = self.failed.remove(&owner);
        let error = failed.and_then(|starting| starting.finish().err());
        match (owner, error) {
            (Owner::Worker(worker), Some(error)) => {
                self.forget(owner);
                ChildEvent::NotExecd { worker, error }
            }
            (Owner::Worker(worker), None) => self.on_worker_reaped(worker, exit, cpu),
            (Owner::Probe(probe), Some(error)) => {
                self.forget(owner);
                ChildEvent::ProbeNotExecd { probe, error }
            }
            (Owner::Probe(probe), None) => {
                self.on_probe_reaped(probe);
                ChildEvent::ProbeExited { probe, exit }
            }
        }
    }

    fn on_worker_reaped(&mut self, worker: WorkerId, exit: Exit, cpu: Duration) -> ChildEvent {
        let is_over = self.is_over(worker);
        let remains = if is_over { Remains::Nothing } else { Remains::Members };
        if is_over {
            self.forget(Owner::Worker(worker));
        }
        ChildEvent::Exited { worker, exit, cpu, remains }
    }

    /// A probe leaves no process behind.
    fn on_probe_reaped(&mut self, probe: ProbeId) {
        let owner = Owner::Probe(probe);
        if let Some(group) = self.groups.get(&owner) {
            for orphan in &group.orphans {
                expect_sent(send(*orphan, libc::SIGKILL));
            }
        }
        self.forget(owner);
    }
}
