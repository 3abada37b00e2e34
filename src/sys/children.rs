//! The pids: every worker's process group and every exec probe's, from spawn until the last process has ended.
//!
//! This is the one reaper and the one table of pids. No other file waits for a child or signals a group, and above this
//! floor a worker is known by its [`WorkerId`], a probe by its [`ProbeId`], never by a number of the kernel. Such a
//! number is safe to use only while the kernel cannot give it to another process: as long as its process is not reaped,
//! or its group has members, of which one is below pm.
//!
//! Each child of pm has one owner, from its spawn or its adoption until it is reaped. No call walks over all workers,
//! except to suspend and to resume them.
//!
//! A child is one from its fork on. Whether it could exec is told later, as its end is: pm waits for the first a
//! moment, and never for the second.
//!
//! Where to look next: [`events`] is the reaper; [`group`] is one worker or probe; [`orphans`] says whose an orphan is;
//! [`sending`] sends signals;
//! [`super::spawn`] starts a process, [`super::child_watch`] knows which have exec'd or died, [`super::wait`] reaps
//! them.

mod events;
mod group;
mod orphans;
mod sending;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::fd::{AsFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::unistd::{Pid, getpid};

pub use self::events::ChildEvent;
use self::events::Search;
use self::group::{Group, expect_sent};
use self::orphans::Orphans;
use super::child_list::ChildList;
use super::child_watch::{ChildWatch, StartId};
use super::low_files::LowFiles;
use super::port_calls::PortCalls;
use super::proc::{self, ProcessInfo, SignalState};
use super::signals::send;
use super::spawn::{Inheritance, Launch, SpawnError};
use super::starting::{Awaiting, GIVE_WAY, GIVE_WAY_BESIDE_ANOTHER, Starting};
use super::usage::{TotalUsage, usage_of_all};
use super::wait;
use super::worker_tag::{ProbeId, WorkerTag};
use crate::plan::{StopSpec, StopTarget};
use crate::supervisor::WorkerId;

/// The process groups of all workers and probes, and their orphans. Dropping it kills them, so that a reactor that
/// fails leaves none behind.
#[derive(Debug)]
pub struct Children {
    pm: Pid,
    groups: BTreeMap<Owner, Group>,
    /// The owner of each group, by the number of the group, until nothing is left of the group.
    leaders: BTreeMap<Pid, Owner>,
    orphans: Orphans,
    watch: ChildWatch,
    low_files: LowFiles,
    /// The children that are not known to have exec'd.
    starts: BTreeMap<StartId, (Owner, Starting)>,
    next_start: StartId,
    /// What the next start takes, if it needs longer. It is watched.
    report: Option<OwnedFd>,
    /// The children that could not exec, and are not reaped.
    failed: BTreeMap<Owner, Starting>,
    /// Workers that have exec'd, which is not told yet.
    execd: VecDeque<WorkerId>,
    /// Dead children that were found and are not reaped yet.
    dead: VecDeque<Pid>,
    /// Dead leaders that another process keeps from being reaped, found since they were last taken.
    kept: BTreeSet<WorkerId>,
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

impl Children {
    /// No workers yet.
    ///
    /// # Errors
    /// If there is no /dev/null, or too many files are open.
    pub fn open() -> Result<Self, Errno> {
        Ok(Self {
            pm: getpid(),
            groups: BTreeMap::new(),
            leaders: BTreeMap::new(),
            orphans: Orphans::new(),
            watch: ChildWatch::open(),
            low_files: LowFiles::open()?,
            starts: BTreeMap::new(),
            next_start: StartId(0),
            report: None,
            failed: BTreeMap::new(),
            execd: VecDeque::new(),
            dead: VecDeque::new(),
            kept: BTreeSet::new(),
            search: Search::Needed,
            maybe_empty: BTreeSet::new(),
            next_probe: ProbeId(0),
        })
    }

    /// Readable when there may be a [`ChildEvent`]; `None` if there is no such descriptor.
    pub fn descriptor(&self) -> Option<RawFd> {
        self.watch.descriptor()
    }

    /// Starts a worker. [`Children::terminate`] will stop it as `stop` says. Whether it could exec is told later:
    /// [`ChildEvent::Execd`] or [`ChildEvent::NotExecd`].
    ///
    /// Returns what its calls of bind(2) and listen(2) come by, if its launch asks for that.
    ///
    /// # Errors
    /// As [`Launch::begin`], or if the kernel refuses a pipe.
    pub fn spawn(
        &mut self,
        worker: WorkerId,
        launch: &Launch,
        stop: StopSpec,
        given: Inheritance<'_>,
    ) -> Result<Option<PortCalls>, SpawnError> {
        let tag = WorkerTag { pm: self.pm, worker, probe: None };
        self.start(Owner::Worker(worker), launch, stop, tag, given)
    }

    /// Starts an exec probe of a worker: a command whose exit status is the answer. It ends as a
    /// [`ChildEvent::ProbeExited`] or [`ChildEvent::ProbeNotExecd`] of the id that is returned here.
    ///
    /// # Errors
    /// As [`Children::spawn`].
    pub fn probe(
        &mut self,
        worker: WorkerId,
        launch: &Launch,
        given: Inheritance<'_>,
    ) -> Result<ProbeId, SpawnError> {
        let probe = self.next_probe;
        let tag = WorkerTag { pm: self.pm, worker, probe: Some(probe) };
        let stop = StopSpec { signal: libc::SIGKILL, to: StopTarget::Group };
        let calls = self.start(Owner::Probe(probe), launch, stop, tag, given)?;
        debug_assert!(calls.is_none(), "a probe has no port");
        self.next_probe = ProbeId(probe.0 + 1);
        Ok(probe)
    }

    fn start(
        &mut self,
        owner: Owner,
        launch: &Launch,
        stop: StopSpec,
        tag: WorkerTag,
        given: Inheritance<'_>,
    ) -> Result<Option<PortCalls>, SpawnError> {
        self.open_report().map_err(SpawnError::Watch)?;
        let most = if self.starts.is_empty() { GIVE_WAY } else { GIVE_WAY_BESIDE_ANOTHER };
        let mut starting = launch.begin(tag, given, &self.low_files, &mut self.report, most)?;
        let (pid, pidfd) = (starting.pid, starting.pidfd.take());
        let port_calls = starting.port_calls.take();
        self.watch.add(pid, pidfd.as_ref());
        let start = self.next_start;
        self.groups.insert(owner, Group::of(pid, start, pidfd, stop));
        self.leaders.insert(pid, owner);
        if starting.report().is_none() {
            self.on_left(owner, starting);
        } else {
            self.next_start = StartId(start.0 + 1);
            self.starts.insert(start, (owner, starting));
        }
        Ok(port_calls)
    }

    /// The processes of this worker are those of another one from now on, also those that have its tag.
    pub fn rename(&mut self, from: WorkerId, to: WorkerId) {
        let (before, after) = (Owner::Worker(from), Owner::Worker(to));
        let Some(group) = self.groups.remove(&before) else { return };
        if let Some(owner) = self.leaders.get_mut(&group.pid)
            && *owner == before
        {
            *owner = after;
        }
        self.groups.insert(after, group);
        self.orphans.rename(from, to);
        let starts = self.starts.values_mut().map(|(owner, _)| owner);
        starts.filter(|owner| **owner == before).for_each(|owner| *owner = after);
        if let Some(starting) = self.failed.remove(&before) {
            self.failed.insert(after, starting);
        }
        self.execd.iter_mut().filter(|worker| **worker == from).for_each(|worker| *worker = to);
        for workers in [&mut self.kept, &mut self.maybe_empty] {
            if workers.remove(&from) {
                workers.insert(to);
            }
        }
    }

    /// The worker whose tag the processes of this one have.
    pub fn tagged_as(&self, worker: WorkerId) -> WorkerId {
        self.orphans.tagged_as(worker)
    }

    /// Makes sure that there is a report for the next start, which is watched.
    fn open_report(&mut self) -> Result<(), Errno> {
        if self.report.is_none() {
            let report = self.low_files.open_report()?;
            self.watch.add_start(self.next_start, report.as_fd())?;
            self.report = Some(report);
        }
        Ok(())
    }

    /// What this worker is waiting for, if it has not exec'd.
    pub fn awaiting(&self, worker: WorkerId) -> Option<Awaiting> {
        let start = self.group(worker)?.start()?;
        self.starts.get(&start).map(|(_, starting)| starting.awaiting())
    }

    /// True if this worker is known to have exec'd, and is not reaped.
    pub fn has_execd(&self, worker: WorkerId) -> bool {
        let is_on_its_way = |group: &Group| group.start().is_some();
        let has_failed = self.failed.contains_key(&Owner::Worker(worker));
        self.group(worker).is_some_and(|group| !is_on_its_way(group)) && !has_failed
    }

    /// A new wakeup begins: orphans may have arrived since the last one.
    pub fn begin_wakeup(&mut self) {
        self.orphans.expire();
    }

    fn forget(&mut self, owner: Owner) {
        if let Some(group) = self.groups.remove(&owner) {
            self.forget_number(group.pid, owner);
            self.orphans.disown(owner, group.orphans);
        }
    }

    /// The number of a group is not that of this owner any more. It may be that of another one by now.
    fn forget_number(&mut self, number: Pid, owner: Owner) {
        if self.leaders.get(&number) == Some(&owner) {
            self.leaders.remove(&number);
        }
    }

    /// A process of this owner, or one in its group, has ended.
    fn suspect(&mut self, owner: Option<Owner>) {
        let Some(owner) = owner else { return };
        self.release_number(owner);
        match owner {
            Owner::Worker(worker) => self.maybe_empty.extend([worker]),
            Owner::Probe(_) => {}
        }
    }

    /// The number of a group without members may be given to the very next fork.
    fn release_number(&mut self, owner: Owner) {
        if let Some(group) = self.groups.get_mut(&owner)
            && group.loses_number()
        {
            let number = group.pid;
            self.forget_number(number, owner);
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

    /// The pid of the worker's leader, for messages.
    pub fn pid(&self, worker: WorkerId) -> Option<Pid> {
        self.group(worker).map(|group| group.pid)
    }

    /// The process that traces the dead leader of this worker and so keeps it, for messages. `None`: it can be reaped.
    pub fn tracer_of_dead(&self, worker: WorkerId) -> Option<Pid> {
        let leader = self.group(worker).filter(|group| group.has_leader())?.pid;
        match proc::info(leader, libc::SIGKILL)?.signal_state {
            SignalState::DeadAndTraced(tracer) => Some(tracer),
            SignalState::Delivered | SignalState::Ignored(_) | SignalState::Blocked(_) => None,
            SignalState::Dead | SignalState::Stopped | SignalState::Traced(_) => None,
            SignalState::FirstThreadEnded(_) | SignalState::NotPermitted(_) => None,
            SignalState::Uninterruptible => None,
        }
    }

    /// Finds the living processes of each of these workers, for messages.
    ///
    /// Where none is found, the worker may be gone: a process can leave a group without notice (setpgid(2)), and one
    /// that is dead can stay in it until a process of another worker reaps it. So call [`Children::take_emptied`] after
    /// this.
    pub fn find_members(&mut self, workers: &[WorkerId]) -> Vec<Vec<ProcessInfo>> {
        self.adopt();
        let found: Vec<_> = workers.iter().map(|worker| self.members_of(*worker)).collect();
        for (worker, _) in workers.iter().zip(&found).filter(|(_, found)| found.is_empty()) {
            self.look_for_the_dead(*worker);
        }
        found
    }

    /// What all processes of a worker use now, with what those that pm has reaped have used, but for its leader. `None`
    /// if it has not exec'd, or is gone.
    pub fn usage(&mut self, worker: WorkerId) -> Option<TotalUsage> {
        self.adopt();
        let group = self.group(worker).filter(|group| group.start().is_none())?;
        let living = usage_of_all(group.tops());
        Some(TotalUsage { cpu: living.cpu + group.reaped_cpu, ..living })
    }

    fn look_for_the_dead(&mut self, worker: WorkerId) {
        let owner = Owner::Worker(worker);
        let Some(group) = self.groups.get_mut(&owner).filter(|group| !group.has_leader()) else {
            return;
        };
        if group.has_members() && proc::are_all_dead(group.pid) {
            group.has_only_dead();
            let number = group.pid;
            self.forget_number(number, owner);
        }
        self.suspect(Some(owner));
    }

    fn members_of(&self, worker: WorkerId) -> Vec<ProcessInfo> {
        let Some(group) = self.group(worker) else {
            return Vec::new();
        };
        let members = proc::descendants_of(group.tops(), group.stop.signal);
        if members.is_empty() && group.has_members() {
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

    /// True if this is the leader of a worker or a probe, and not reaped.
    fn is_leader(&self, pid: Pid) -> bool {
        let group = self.leaders.get(&pid).and_then(|owner| self.groups.get(owner));
        group.is_some_and(Group::has_leader)
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

#[cfg(test)]
mod tests;
