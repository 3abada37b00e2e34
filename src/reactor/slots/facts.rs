//! What is known of slots and their workers, for reports and for those that ask.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::history::{History, PhaseChange};
use super::record::FailureKind;
use super::{LaunchSpec, Slots};
use crate::plan::LabelStyle;
use crate::reactor::report::{
    Cause, FailedSlot, LimitedBy, PoolFacts, RunEvent, SpawnFailure, StaleWorkers, WorkerFacts,
};
use crate::supervisor::{Exit, Failed, Next, PoolId, Slot, SlotId, WorkerId};
use crate::wire::Time;

/// What identifies a slot for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotFacts<'a> {
    /// That of its worker, or of the next one: `web.2`.
    pub name: &'a str,
    pub pool: &'a str,
    pub number: usize,
    pub port: Option<u16>,
    /// Of its latest worker.
    pub pid: Option<Pid>,
}

impl Slots {
    /// What identifies this slot, if it is there.
    pub fn identity(&self, slot: SlotId) -> Option<SlotFacts<'_>> {
        let record = self.records.get(&slot)?;
        let wanted = record.wanted();
        Some(SlotFacts {
            name: record.name(),
            pool: &wanted.pool_name,
            number: wanted.plan.n,
            port: wanted.plan.port,
            pid: record.pid(),
        })
    }

    /// What became of this slot over time.
    pub fn history(&self, slot: SlotId) -> Option<&History> {
        self.records.get(&slot).map(|record| &record.history)
    }

    /// What the next worker of this slot runs.
    pub fn next_spec(&self, slot: SlotId) -> Option<&LaunchSpec> {
        self.records.get(&slot).map(|record| record.wanted())
    }

    /// The history of this slot, to be written on.
    pub fn history_mut(&mut self, slot: SlotId) -> Option<&mut History> {
        self.records.get_mut(&slot).map(|record| &mut record.history)
    }

    /// Looks at what this slot is at now.
    pub fn note_phase(&mut self, slot: &Slot, now: impl FnOnce() -> Time) -> Option<PhaseChange> {
        let record = self.records.get_mut(&slot.id())?;
        record.measures.note_phase(slot);
        record.history.note_phase(slot, now)
    }

    /// The facts of a worker: its slot's latest, the one before it, or a spare.
    pub fn facts(&self, worker: WorkerId, now: Instant) -> WorkerFacts {
        self.record(worker.slot).facts(worker, now)
    }

    /// Its lines come after the one with this number. `None` if it has ended without a line.
    pub fn lines_before(&self, worker: WorkerId) -> Option<u64> {
        self.record(worker.slot).lines_before(worker)
    }

    /// What this worker was as a spare of another slot, if it was one: some of its lines are that one's.
    pub fn former(&self, worker: WorkerId) -> Option<WorkerId> {
        self.record(worker.slot).former(worker)
    }

    /// All that this worker has written is read, and that is nothing: its lines are not searched for.
    pub fn note_silence(&mut self, worker: WorkerId) {
        self.record_mut(worker.slot).note_silence(worker);
    }

    /// How long its process is there: a spare has used the processor before it took over.
    pub fn process_age(&self, worker: WorkerId, now: Instant) -> Duration {
        let spawned_at = self.record(worker.slot).spawned_at(worker);
        spawned_at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at))
    }

    /// What is known of a worker's death besides its exit.
    pub fn cause(&self, worker: WorkerId) -> Option<Cause> {
        self.record(worker.slot).cause(worker)
    }

    /// The exit of this worker is reported, with what comes next.
    pub fn announce(&mut self, worker: WorkerId, next: Next) {
        self.record_mut(worker.slot).announce(worker, next);
    }

    /// True if it was reported that this comes after the exit of this worker.
    pub fn has_announced(&self, worker: WorkerId, next: Next) -> bool {
        self.record(worker.slot).announced(worker) == Some(next)
    }

    /// Why the last spawn in this slot failed, and whether that is new.
    pub fn failure(&self, slot: SlotId) -> Option<(Rc<SpawnFailure>, FailureKind)> {
        self.record(slot).failure().cloned()
    }

    pub fn stale_workers(&self) -> StaleWorkers {
        self.stale_workers
    }

    /// What this worker was started by, while that is needed.
    pub fn spec(&self, worker: WorkerId) -> Option<&LaunchSpec> {
        self.records.get(&worker.slot)?.spec_of(worker)
    }

    /// The leader of a worker was reaped.
    pub fn on_exited(&mut self, worker: WorkerId, exit: Exit, now: Instant) {
        self.end_start(worker);
        let Self { records, memory_limit, .. } = self;
        let Some(record) = records.get_mut(&worker.slot) else { return };
        // Only SIGKILL can be the kernel's, and only a limit by a control group counts its kills.
        let limited = record.spec_of(worker).filter(|spec| spec.memory_bytes().is_some());
        let kills = limited
            .filter(|_| exit == Exit::Signal(libc::SIGKILL as u8))
            .map(|spec| memory_limit.kills(&spec.plan.name));
        record.on_exited(worker, kills, now);
        record.history.note_exit(worker.generation, exit);
    }

    /// Nothing is left of a worker.
    pub fn on_emptied(&mut self, worker: WorkerId) {
        if let Some(record) = self.records.get_mut(&worker.slot) {
            record.on_emptied(worker);
        }
    }

    /// The pool of this slot.
    pub fn pool(&self, slot: SlotId) -> PoolId {
        self.record(slot).pool
    }

    pub fn pool_name(&self, pool: PoolId) -> String {
        self.pools[&pool].clone()
    }

    pub fn pool_names(&self, pools: &[PoolId]) -> Vec<String> {
        pools.iter().map(|pool| self.pool_name(*pool)).collect()
    }

    /// The slot, by the name that its last worker had.
    pub fn failed_slot(&self, Failed { slot, how: failure }: Failed) -> FailedSlot {
        FailedSlot { name: self.record(slot).name().to_owned(), failure }
    }

    /// The pool of a slot, and what stands before its lines, as the plan wants it.
    pub fn label_style(&self, slot: SlotId) -> (&str, LabelStyle) {
        let spec = self.record(slot).wanted();
        (&spec.pool_name, spec.plan.label)
    }

    /// Every slot with the name that its latest worker has, or that its next one will have.
    pub fn names(&self) -> impl Iterator<Item = (SlotId, &str)> {
        self.records.iter().map(|(slot, record)| (*slot, record.name()))
    }

    /// True if a worker or the plan writes its lines to this file.
    pub fn is_log(&self, path: &Path) -> bool {
        let mut specs = self.records.values().flat_map(|record| record.specs());
        specs.any(|spec| spec.plan.log.as_ref().is_some_and(|log| log.path == path))
    }

    /// Takes the log files of workers that were replaced, if no other worker or slot writes to them.
    pub fn take_unused_logs(&mut self) -> Vec<PathBuf> {
        let mut logs = std::mem::take(&mut self.unused_logs);
        logs.retain(|path| !self.is_log(path));
        logs
    }

    /// The pools and their slots, for the first report of a run.
    pub fn pool_facts(&self) -> Vec<PoolFacts> {
        let mut pools: Vec<PoolFacts> = Vec::new();
        for record in self.records.values() {
            let LaunchSpec { pool_name, plan, .. } = record.wanted();
            let slot = (plan.name.clone(), plan.port);
            match pools.last_mut().filter(|pool| pool.name == *pool_name) {
                Some(pool) => pool.slots.push(slot),
                None => pools.push(PoolFacts { name: pool_name.clone(), slots: vec![slot] }),
            }
        }
        pools
    }

    /// How memory is limited, if it is.
    pub fn memory_limit(&self) -> Option<RunEvent> {
        let specs = self.records.values().map(|record| record.wanted());
        let (pool, bytes) =
            specs.filter_map(|spec| Some((spec.pool_name.clone(), spec.memory_bytes()?))).next()?;
        let by = LimitedBy::from(self.memory_limit.why_not_by_cgroups());
        Some(RunEvent::MemoryLimit { pool, bytes, by })
    }
}
