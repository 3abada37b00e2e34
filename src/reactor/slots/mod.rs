//! What is known of the slots, here and nowhere else: what to run in each, and the facts of its workers.
//!
//! Nothing is decided here. The supervisor names a worker by its slot and generation and what to run by a [`Revision`];
//! both lead to a [`Record`]. [`launch`] is what a plan says of a slot, prepared; [`spawn`] starts workers and probe
//! commands; [`memory_limit`] finds the means to limit memory; [`waiting`] knows which slots have failed for good, and
//! which pools wait for them.

mod launch;
mod memory_limit;
mod record;
mod spawn;
mod waiting;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

pub use self::launch::LaunchSpec;
pub use self::record::FailureKind;
pub use self::spawn::{Inherited, Parts};

use self::memory_limit::MemoryLimit;
use self::record::Record;
use super::health::Health;
use super::report::{
    Cause, Changes, FailedSlot, LimitedBy, PoolFacts, RunEvent, SpawnFailure, StaleWorkers,
    WorkerFacts,
};
use super::tokens::Registrar;
use crate::plan::{Plan, Pool, SlotPlan};
use crate::supervisor::{
    Exit, Failed, Next, PoolEntry, PoolId, SlotEntry, SlotId, Supervisor, TableSpec, Wanted,
    WorkerId,
};

/// All slots that the plan has, and those that it has no longer and whose workers are not gone yet.
#[derive(Debug)]
pub struct Slots {
    records: BTreeMap<SlotId, Record>,
    /// The names of the pools that there are or were.
    pools: BTreeMap<PoolId, String>,
    /// Never given to a slot yet.
    next_slot: SlotId,
    memory_limit: MemoryLimit,
    /// Log files of workers that were replaced: none may use them any more.
    unused_logs: Vec<PathBuf>,
    /// pm's own environment.
    variables: Vec<(OsString, OsString)>,
    inherited: Inherited,
    stale_workers: StaleWorkers,
    /// The workers that are on their way to exec, and when that is to be reported.
    starts: BTreeSet<(Instant, WorkerId)>,
}

/// What identifies a slot in a changed plan. A slot owns its port for life.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Port(u16),
    Number(String, usize),
}

/// A plan that has been taken in, for the supervisor.
#[derive(Debug)]
pub struct Revised {
    pub table: TableSpec,
    pub changes: Changes,
    /// The slots that are to be started.
    pub added: Vec<SlotId>,
    /// The slots whose workers stay, and what is different for them.
    pub kept: Vec<Kept>,
}

/// A worker that stays, and which of its rules have changed.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    pub slot: SlotId,
    pub has_new_ready: bool,
    pub has_new_alive: bool,
}

impl Key {
    fn of(pool: &str, slot: &SlotPlan) -> Self {
        match slot.port {
            Some(port) => Self::Port(port),
            None => Self::Number(pool.to_owned(), slot.n),
        }
    }
}

impl Slots {
    /// No slots yet. `variables` is pm's own environment.
    pub fn new(
        variables: Vec<(OsString, OsString)>,
        inherited: Inherited,
        stale_workers: StaleWorkers,
    ) -> Self {
        Self {
            records: BTreeMap::new(),
            pools: BTreeMap::new(),
            next_slot: SlotId(0),
            memory_limit: MemoryLimit::default(),
            unused_logs: Vec::new(),
            variables,
            inherited,
            stale_workers,
            starts: BTreeSet::new(),
        }
    }

    /// Takes in a plan: gives every slot its record and its launch spec. What follows is the supervisor's to decide.
    ///
    /// # Errors
    /// If there is no notify socket for a slot. Then nothing has changed.
    pub fn take_in(
        &mut self,
        plan: &Plan,
        supervisor: &Supervisor,
        health: &mut Health,
        registrar: &mut Registrar<'_>,
    ) -> io::Result<Revised> {
        self.memory_limit.prepare(plan);
        let mut known: BTreeMap<Key, SlotId> = BTreeMap::new();
        for (slot, record) in &self.records {
            let LaunchSpec { pool_name, plan, .. } = record.wanted();
            known.insert(Key::of(pool_name, plan), *slot);
        }
        let mut specs = Vec::new();
        let mut opened = Vec::new();
        for (pool, slot) in plan.slots() {
            let id = known.remove(&Key::of(&pool.name, slot)).unwrap_or_else(|| self.new_slot());
            if slot.exec.notifies && !health.has_socket(id) {
                opened.push(id);
            }
            match self.launch_spec(id, pool, slot, health, registrar) {
                Ok(spec) => specs.push((id, pool, spec)),
                Err(error) => {
                    opened.into_iter().for_each(|id| health.close_socket(id, registrar));
                    return Err(error);
                }
            }
        }
        let mut revised = Revised {
            table: TableSpec { pools: self.pool_entries(plan), slots: Vec::new() },
            changes: Changes::default(),
            added: Vec::new(),
            kept: Vec::new(),
        };
        let is_there =
            |slot: SlotId| supervisor.slot(slot).is_some_and(|slot| slot.wanted() != Wanted::Gone);
        let removed = known.values().filter(|slot| is_there(**slot));
        revised.changes.removed =
            removed.map(|slot| self.records[slot].wanted().plan.name.clone()).collect();
        for (slot, pool, spec) in specs {
            self.place(slot, pool, spec, supervisor, &mut revised);
        }
        Ok(revised)
    }

    fn new_slot(&mut self) -> SlotId {
        let next = SlotId(self.next_slot.0 + 1);
        std::mem::replace(&mut self.next_slot, next)
    }

    fn launch_spec(
        &self,
        id: SlotId,
        pool: &Pool,
        slot: &SlotPlan,
        health: &mut Health,
        registrar: &mut Registrar<'_>,
    ) -> io::Result<LaunchSpec> {
        let socket =
            if slot.exec.notifies { Some(health.open_socket(id, registrar)?) } else { None };
        let spec = LaunchSpec::new(pool, slot, &self.variables, socket);
        let is_by_cgroups = self.memory_limit.is_by_cgroups();
        Ok(if is_by_cgroups { spec.without_address_space_limit() } else { spec })
    }

    fn pool_entries(&mut self, plan: &Plan) -> Vec<PoolEntry> {
        let ids: Vec<_> = plan.pools.iter().map(|pool| self.pool_id(&pool.name)).collect();
        let entries = ids.iter().zip(&plan.pools).map(|(id, pool)| PoolEntry {
            pool: *id,
            after: pool.after.iter().map(|other| ids[*other]).collect(),
            ends_run: pool.ends_run,
        });
        entries.collect()
    }

    /// The id of the pool of this name; a new one if there never was such a pool.
    fn pool_id(&mut self, name: &str) -> PoolId {
        let known = self.pools.iter().find(|(_, known)| *known == name).map(|(id, _)| *id);
        known.unwrap_or_else(|| {
            let id = PoolId(self.pools.len());
            self.pools.insert(id, name.to_owned());
            id
        })
    }

    /// Puts the spec into the slot's record and its entry into the table.
    fn place(
        &mut self,
        slot: SlotId,
        pool: &Pool,
        spec: LaunchSpec,
        supervisor: &Supervisor,
        revised: &mut Revised,
    ) {
        let pool_id = self.pool_id(&pool.name);
        let name = spec.plan.name.clone();
        let state = supervisor.slot(slot);
        let before = self.records.get(&slot).map(|record| {
            let spec = record.spec_or_wanted(state.map(|state| state.revision()));
            (spec.plan.ready.by.clone(), spec.plan.alive.clone())
        });
        let record = match self.records.entry(slot) {
            Entry::Vacant(entry) => entry.insert(Record::new(pool_id, spec)),
            Entry::Occupied(entry) => {
                let record = entry.into_mut();
                record.pool = pool_id;
                record.want(spec);
                record
            }
        };
        let revision = record.wanted_revision();
        revised.table.slots.push(SlotEntry { slot, pool: pool_id, policy: pool.policy, revision });
        match state.filter(|state| state.wanted() != Wanted::Gone) {
            None => {
                revised.added.push(slot);
                revised.changes.added.push(name);
            }
            Some(state) if state.revision() != revision => match state.wanted() {
                Wanted::Ended(_) => revised.changes.again.push(name),
                Wanted::Unset | Wanted::Down | Wanted::Up | Wanted::Gone => {
                    revised.changes.replaced.push(name);
                }
            },
            Some(_) => revised.changes.kept += 1,
        }
        if let Some((ready, alive)) = before
            && state.is_some_and(|state| state.revision() == revision)
        {
            let plan = &record.wanted().plan;
            revised.kept.push(Kept {
                slot,
                has_new_ready: plan.ready.by != ready,
                has_new_alive: plan.alive != alive,
            });
        }
    }

    /// Forgets the slots that the supervisor has forgotten.
    pub fn forget_removed(
        &mut self,
        supervisor: &Supervisor,
        health: &mut Health,
        registrar: &mut Registrar<'_>,
    ) {
        self.records.retain(|slot, _| {
            let is_there = supervisor.slot(*slot).is_some();
            if !is_there {
                health.forget(*slot, registrar);
            }
            is_there
        });
    }

    /// How many slots there are.
    pub fn count(&self) -> usize {
        self.records.len()
    }

    // Facts.

    /// The facts of a worker: its slot's latest, or the one before it.
    pub fn facts(&self, worker: WorkerId, now: Instant) -> WorkerFacts {
        self.record(worker.slot).facts(worker, now)
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

    /// What this worker was started by, while it is its slot's latest.
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

    /// Every slot with the name that its latest worker has, or that its next one will have.
    pub fn names(&self) -> impl Iterator<Item = (SlotId, &str)> {
        self.records.iter().map(|(slot, record)| (*slot, record.name()))
    }

    /// True if a worker or the plan writes its lines to this file.
    pub fn is_log(&self, path: &Path) -> bool {
        let mut specs = self.records.values().flat_map(Record::specs);
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
        let specs = self.records.values().map(Record::wanted);
        let (pool, bytes) =
            specs.filter_map(|spec| Some((spec.pool_name.clone(), spec.memory_bytes()?))).next()?;
        let by = LimitedBy::from(self.memory_limit.why_not_by_cgroups());
        Some(RunEvent::MemoryLimit { pool, bytes, by })
    }

    fn record(&self, slot: SlotId) -> &Record {
        self.records.get(&slot).expect("a slot of the supervisor has its record")
    }

    fn record_mut(&mut self, slot: SlotId) -> &mut Record {
        self.records.get_mut(&slot).expect("a slot of the supervisor has its record")
    }
}
