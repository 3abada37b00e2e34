//! What is known of one slot besides what the supervisor knows: its launch specs, and its latest workers.

use std::io::PipeWriter;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::history::History;
use super::launch::LaunchSpec;
use super::measures::Measures;
use crate::reactor::report::{Cause, SpawnFailure, WorkerFacts};
use crate::supervisor::{Next, PoolId, Revision, WorkerId};

/// One slot.
#[derive(Debug)]
pub struct Record {
    pub pool: PoolId,
    pub history: History,
    pub measures: Measures,
    /// Those that a worker or the plan still needs: at most that of the worker that is there and that of the next one.
    /// In the order of the revisions.
    specs: Vec<(Revision, LaunchSpec)>,
    /// The revision that the plan wants.
    wanted: Revision,
    latest: Option<WorkerRecord>,
    /// The worker before the latest: its end may be reported after the next spawn.
    previous: Option<WorkerRecord>,
    /// The latest spares, and a worker before the previous one that is still there. Few.
    others: Vec<WorkerRecord>,
    failure: Option<(Rc<SpawnFailure>, FailureKind)>,
    /// How often the kernel had killed for lack of memory in its control group when this was last asked.
    memory_kills: u64,
}

/// One worker of the slot.
#[derive(Debug)]
struct WorkerRecord {
    id: WorkerId,
    /// What it was as a spare of another slot. Its first lines are that one's.
    former: Option<WorkerId>,
    revision: Revision,
    name: String,
    port: Option<u16>,
    pid: Option<Pid>,
    /// The writing end of its stdin, if that is to stay open. Nothing is written to it.
    stdin: Option<PipeWriter>,
    spawned_at: Instant,
    /// The number of the last line of all workers before it was spawned. `None` once it has ended without a line.
    lines_before: Option<u64>,
    /// When it took over, if it was a spare.
    admitted_at: Option<Instant>,
    exited_at: Option<Instant>,
    /// Some process of it may be there.
    is_there: bool,
    cause: Option<Cause>,
    /// What was reported to come after its exit, when that was reported before its group was empty.
    announced: Option<Next>,
}

/// A spare on its way to another slot.
#[derive(Debug)]
pub struct SpareRecord(WorkerRecord);

/// When a worker was begun to be spawned.
#[derive(Clone, Copy, Debug)]
pub struct Begun {
    pub at: Instant,
    /// The number of the last line of all workers.
    pub last_line: u64,
}

/// More are not kept beside the latest worker and the one before it: at most two of them are there.
const OTHERS_MAX: usize = 4;

/// Whether the latest spawn failed as the one before did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    New,
    /// The same process holds the same port. It has been reported.
    Repeated,
}

impl Record {
    pub fn new(pool: PoolId, spec: LaunchSpec) -> Self {
        let wanted = Revision(1);
        Self {
            pool,
            history: History::default(),
            measures: Measures::default(),
            specs: vec![(wanted, spec)],
            wanted,
            latest: None,
            previous: None,
            others: Vec::new(),
            failure: None,
            memory_kills: 0,
        }
    }

    // Specs.

    /// What the plan wants of the slot, whether or not its worker runs by it yet.
    pub fn wanted(&self) -> &LaunchSpec {
        self.spec(self.wanted)
    }

    pub fn wanted_revision(&self) -> Revision {
        self.wanted
    }

    pub fn spec(&self, revision: Revision) -> &LaunchSpec {
        self.known_spec(revision).expect("a revision in use has its spec")
    }

    fn known_spec(&self, revision: Revision) -> Option<&LaunchSpec> {
        self.specs.iter().find(|(known, _)| *known == revision).map(|(_, spec)| spec)
    }

    /// The spec of this worker, while it is needed.
    pub fn spec_of(&self, worker: WorkerId) -> Option<&LaunchSpec> {
        let mut records = self.records().filter(|record| record.id == worker);
        self.known_spec(records.next()?.revision)
    }

    /// The spec of this revision, or the one that the plan wants.
    pub fn spec_or_wanted(&self, revision: Option<Revision>) -> &LaunchSpec {
        revision.and_then(|revision| self.known_spec(revision)).unwrap_or_else(|| self.wanted())
    }

    /// The name that the latest worker has, or that the next one will have.
    pub fn name(&self) -> &str {
        match &self.latest {
            Some(worker) => &worker.name,
            None => &self.wanted().plan.name,
        }
    }

    /// Takes in what a changed plan wants: the revision whose workers are started alike, or a new one.
    pub fn want(&mut self, spec: LaunchSpec) {
        let newest = self.specs.last().map(|(revision, _)| *revision).unwrap_or_default();
        let alike = self.specs.iter_mut().find(|(_, known)| known.plan.exec == spec.plan.exec);
        match alike {
            Some((revision, known)) => {
                self.wanted = *revision;
                *known = spec;
            }
            None => {
                self.wanted = Revision(newest.0 + 1);
                self.specs.push((self.wanted, spec));
            }
        }
        self.forget_unused_specs();
    }

    /// Returns the log files of the forgotten specs.
    fn forget_unused_specs(&mut self) -> Vec<PathBuf> {
        let Self { wanted, latest, previous, others, specs, .. } = self;
        let others = previous.iter().chain(others.iter());
        let others = others.filter(|worker| worker.is_there).map(|worker| worker.revision);
        let latest = latest.iter().map(|worker| worker.revision);
        let needed = Vec::from_iter(latest.chain(others).chain([*wanted]));
        let mut logs = Vec::new();
        specs.retain(|(revision, spec)| {
            let is_needed = needed.contains(revision);
            if !is_needed {
                logs.extend(spec.plan.log.as_ref().map(|log| log.path.clone()));
            }
            is_needed
        });
        logs
    }

    /// All specs that are kept.
    pub fn specs(&self) -> impl Iterator<Item = &LaunchSpec> {
        self.specs.iter().map(|(_, spec)| spec)
    }

    // Workers.

    /// A worker is about to be spawned. Returns the log files that this slot may have stopped to use.
    pub fn begin(&mut self, id: WorkerId, revision: Revision, begun: Begun) -> Vec<PathBuf> {
        let record = self.new_worker(id, revision, begun);
        self.follow(record);
        self.forget_unused_specs()
    }

    /// A spare is about to be spawned.
    pub fn begin_spare(&mut self, id: WorkerId, revision: Revision, begun: Begun) {
        let record = self.new_worker(id, revision, begun);
        self.keep_other(record);
    }

    /// Gives away what is known of a spare.
    pub fn take_spare(&mut self, spare: WorkerId) -> Option<SpareRecord> {
        let place = self.others.iter().position(|record| record.id == spare)?;
        Some(SpareRecord(self.others.remove(place)))
    }

    /// The spare of another slot is one of this slot from now on, by this revision.
    pub fn take_in_spare(&mut self, spare: SpareRecord, id: WorkerId, revision: Revision) {
        let plan = &self.spec(revision).plan;
        let (name, port) = (plan.name.clone(), plan.port);
        let former = Some(spare.0.id);
        self.keep_other(WorkerRecord { id, former, revision, name, port, ..spare.0 });
    }

    /// The spare is the latest worker from now on. Returns the log files that this slot may have stopped to use.
    pub fn admit(&mut self, spare: WorkerId, now: Instant) -> Vec<PathBuf> {
        if let Some(place) = self.others.iter().position(|record| record.id == spare) {
            let record = self.others.remove(place);
            self.follow(WorkerRecord { admitted_at: Some(now), ..record });
        }
        self.forget_unused_specs()
    }

    fn new_worker(&self, id: WorkerId, revision: Revision, begun: Begun) -> WorkerRecord {
        let plan = &self.spec(revision).plan;
        WorkerRecord {
            id,
            former: None,
            revision,
            name: plan.name.clone(),
            port: plan.port,
            pid: None,
            stdin: None,
            spawned_at: begun.at,
            lines_before: Some(begun.last_line),
            admitted_at: None,
            exited_at: None,
            is_there: true,
            cause: None,
            announced: None,
        }
    }

    fn follow(&mut self, next: WorkerRecord) {
        let before = std::mem::replace(&mut self.previous, self.latest.replace(next));
        if let Some(before) = before.filter(|record| record.is_there) {
            self.keep_other(before);
        }
    }

    fn keep_other(&mut self, record: WorkerRecord) {
        self.others.push(record);
        if self.others.len() > OTHERS_MAX {
            let gone = self.others.iter().position(|record| !record.is_there).unwrap_or(0);
            self.others.remove(gone);
        }
    }

    /// True if this is the latest worker, and no spare.
    pub fn is_latest(&self, worker: WorkerId) -> bool {
        self.latest.as_ref().is_some_and(|record| record.id == worker)
    }

    /// Nothing is left of this worker.
    pub fn on_emptied(&mut self, worker: WorkerId) {
        if let Some(record) = self.worker_mut(worker) {
            record.is_there = false;
        }
    }

    fn records(&self) -> impl Iterator<Item = &WorkerRecord> {
        self.latest.iter().chain(&self.previous).chain(&self.others)
    }

    fn worker_mut(&mut self, worker: WorkerId) -> Option<&mut WorkerRecord> {
        let Self { latest, previous, others, .. } = self;
        let mut records = latest.iter_mut().chain(previous).chain(others);
        records.find(|record| record.id == worker)
    }

    /// Keeps the stdin of this worker open until its leader has exited.
    pub fn keep_stdin(&mut self, worker: WorkerId, stdin: PipeWriter) {
        if let Some(record) = self.worker_mut(worker) {
            record.stdin = Some(stdin);
        }
    }

    /// This worker has a process, which is on its way to exec.
    pub fn on_begun(&mut self, worker: WorkerId, pid: Option<Pid>) {
        if let Some(record) = self.worker_mut(worker) {
            record.pid = pid;
        }
    }

    /// The latest worker has exec'd.
    pub fn on_execd(&mut self) {
        self.failure = None;
    }

    /// When this worker was spawned.
    pub fn spawned_at(&self, worker: WorkerId) -> Option<Instant> {
        self.records().find(|record| record.id == worker).map(|record| record.spawned_at)
    }

    /// Its lines come after the one with this number. `None` if it has ended without a line.
    pub fn lines_before(&self, worker: WorkerId) -> Option<u64> {
        self.records().find(|record| record.id == worker)?.lines_before
    }

    /// What this worker was before it has moved here, if it has.
    pub fn former(&self, worker: WorkerId) -> Option<WorkerId> {
        self.records().find(|record| record.id == worker)?.former
    }

    pub fn note_silence(&mut self, worker: WorkerId) {
        if let Some(record) = self.worker_mut(worker) {
            record.lines_before = None;
        }
    }

    /// This worker could not be spawned.
    pub fn on_spawn_failed(&mut self, worker: WorkerId, failure: SpawnFailure) {
        let last = self.failure.as_ref().map(|(failure, _)| &**failure);
        let kind = if failure.is_still(last) { FailureKind::Repeated } else { FailureKind::New };
        self.failure = Some((Rc::new(failure), kind));
        if let Some(record) = self.worker_mut(worker) {
            record.stdin = None;
            record.is_there = false;
        }
    }

    /// The leader of a worker was reaped. `memory_kills` is how often the kernel has killed in its control group by
    /// now, if it has one and was killed.
    pub fn on_exited(&mut self, worker: WorkerId, memory_kills: Option<u64>, now: Instant) {
        let has_grown = memory_kills
            .is_some_and(|kills| std::mem::replace(&mut self.memory_kills, kills) < kills);
        let limit = self.spec_of(worker).and_then(LaunchSpec::memory_bytes);
        if let Some(record) = self.worker_mut(worker) {
            record.exited_at = Some(now);
            record.stdin = None;
            record.cause = limit.filter(|_| has_grown).map(Cause::MemoryLimit);
        }
    }

    /// The exit of this worker is reported, with what comes next.
    pub fn announce(&mut self, worker: WorkerId, next: Next) {
        if let Some(record) = self.worker_mut(worker) {
            record.announced = Some(next);
        }
    }

    /// What was reported to come after the exit of this worker.
    pub fn announced(&self, worker: WorkerId) -> Option<Next> {
        self.record(worker).announced
    }

    /// Why the last spawn failed.
    pub fn failure(&self) -> Option<&(Rc<SpawnFailure>, FailureKind)> {
        self.failure.as_ref()
    }

    /// The facts of a worker: the latest, the one before it, or a spare.
    pub fn facts(&self, worker: WorkerId, now: Instant) -> WorkerFacts {
        let record = self.record(worker);
        WorkerFacts {
            id: worker,
            name: record.name.clone(),
            port: record.port,
            pid: record.pid,
            age: record.age(now),
            successor: worker.generation + 1,
            is_alone: true,
        }
    }

    /// The process of the latest worker, dead or alive.
    pub fn pid(&self) -> Option<Pid> {
        self.latest.as_ref().and_then(|record| record.pid)
    }

    /// What is known of a worker's death besides its exit.
    pub fn cause(&self, worker: WorkerId) -> Option<Cause> {
        self.record(worker).cause
    }

    fn record(&self, worker: WorkerId) -> &WorkerRecord {
        let mut own = self.records().filter(|record| record.id == worker);
        own.next().expect("a report is of the latest worker, the one before it, or a spare")
    }
}

impl WorkerRecord {
    /// How long it is there for its slot.
    fn age(&self, now: Instant) -> Duration {
        let since = self.admitted_at.unwrap_or(self.spawned_at);
        self.exited_at.unwrap_or(now).saturating_duration_since(since)
    }
}
