//! What is known of the slots, here and nowhere else: what to run in each, and the facts of its workers.
//!
//! Nothing is decided here. The supervisor names a worker by its slot and generation and what to run by a [`Revision`];
//! both lead to a [`Record`]. [`launch`] is what a plan says of a slot, prepared; [`spawn`] starts workers and probe
//! commands; [`memory_limit`] finds the means to limit memory; [`waiting`] knows which slots have failed for good, and
//! which pools wait for them; [`measures`] counts what becomes of workers, and [`histogram`] how long it takes.

mod facts;
pub mod histogram;
pub mod history;
mod launch;
pub mod measures;
mod memory_limit;
mod preview;
mod record;
mod spawn;
mod waiting;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Instant;

pub use self::facts::SlotFacts;
pub use self::launch::LaunchSpec;
pub use self::record::FailureKind;
pub use self::spawn::{Inherited, Parts};

use self::measures::PoolTimes;
use self::memory_limit::MemoryLimit;
use self::record::Record;
use super::health::Health;
use super::held_ports::HeldPorts;
use super::report::{Changes, StaleWorkers};
use super::tokens::Registrar;
use crate::plan::{Plan, Pool, SlotPlan};
use crate::supervisor::{
    Phase, PoolEntry, PoolId, SlotEntry, SlotId, Supervisor, TableSpec, Wanted, WorkerId,
};
use crate::sys::Texts;

/// All slots that the plan has, and those that it has no longer and whose workers are not gone yet.
#[derive(Debug)]
pub struct Slots {
    /// Boxed, since a map has room for up to twice as many entries.
    records: BTreeMap<SlotId, Box<Record>>,
    /// The names of the pools that there are or were.
    pools: BTreeMap<PoolId, String>,
    times: BTreeMap<PoolId, PoolTimes>,
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
    /// The slots that had given up, and have not changed.
    pub given_up: Vec<SlotId>,
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
            times: BTreeMap::new(),
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
        mut plan: Plan,
        supervisor: &Supervisor,
        health: &mut Health,
        registrar: &mut Registrar<'_>,
    ) -> io::Result<Revised> {
        self.memory_limit.prepare(&plan);
        let pools = self.pool_entries(&plan);
        let mut texts = Texts::default();
        let mut known: BTreeMap<Key, SlotId> = BTreeMap::new();
        for (slot, record) in &self.records {
            let LaunchSpec { pool_name, plan, .. } = record.wanted();
            known.insert(Key::of(pool_name, plan), *slot);
        }
        let mut specs = Vec::new();
        let mut opened = Vec::new();
        for (n, pool) in plan.pools.iter_mut().enumerate() {
            for slot in std::mem::take(&mut pool.slots) {
                let key = Key::of(&pool.name, &slot);
                let id = known.remove(&key).unwrap_or_else(|| self.new_slot());
                if slot.exec.notifies && !health.has_socket(id) {
                    opened.push(id);
                }
                match self.launch_spec(id, pool, slot, &mut texts, health, registrar) {
                    Ok(spec) => specs.push((id, n, spec)),
                    Err(error) => {
                        opened.into_iter().for_each(|id| health.close_socket(id, registrar));
                        return Err(error);
                    }
                }
            }
        }
        let mut revised = Revised {
            table: TableSpec { pools, slots: Vec::new() },
            changes: Changes::default(),
            added: Vec::new(),
            given_up: Vec::new(),
            kept: Vec::new(),
        };
        let is_there =
            |slot: SlotId| supervisor.slot(slot).is_some_and(|slot| slot.wanted() != Wanted::Gone);
        let removed = known.values().filter(|slot| is_there(**slot));
        revised.changes.removed =
            removed.map(|slot| self.records[slot].wanted().plan.name.clone()).collect();
        for (slot, n, spec) in specs {
            self.place(slot, &plan.pools[n], spec, supervisor, &mut revised);
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
        slot: SlotPlan,
        texts: &mut Texts,
        health: &mut Health,
        registrar: &mut Registrar<'_>,
    ) -> io::Result<LaunchSpec> {
        let socket =
            if slot.exec.notifies { Some(health.open_socket(id, registrar)?) } else { None };
        let spec = LaunchSpec::new(pool, slot, &self.variables, socket, texts);
        let is_by_cgroups = self.memory_limit.is_by_cgroups();
        Ok(if is_by_cgroups { spec.without_address_space_limit() } else { spec })
    }

    fn pool_entries(&mut self, plan: &Plan) -> Vec<PoolEntry> {
        let ids: Vec<_> = plan.pools.iter().map(|pool| self.pool_id(&pool.name)).collect();
        let entries = ids.iter().zip(&plan.pools).map(|(id, pool)| PoolEntry {
            pool: *id,
            after: pool.after.iter().map(|other| ids[*other]).collect(),
            ends_run: pool.ends_run,
            spares: pool.spares,
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
            Entry::Vacant(entry) => entry.insert(Box::new(Record::new(pool_id, spec))),
            Entry::Occupied(entry) => {
                let record = entry.into_mut();
                record.pool = pool_id;
                record.want(spec);
                record
            }
        };
        let revision = record.wanted_revision();
        revised.table.slots.push(SlotEntry { slot, pool: pool_id, policy: pool.policy, revision });
        let is_same = state.is_some_and(|state| state.revision() == revision);
        match state.filter(|state| state.wanted() != Wanted::Gone) {
            None => {
                revised.added.push(slot);
                revised.changes.added.push(name);
            }
            Some(state) if is_same => {
                if state.phase() == Phase::GivenUp {
                    revised.given_up.push(slot);
                }
                revised.changes.note_same(name, state);
            }
            Some(state) => revised.changes.note_changed(name, state),
        }
        if let Some((ready, alive)) = before
            && is_same
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
        held_ports: &mut HeldPorts,
        registrar: &mut Registrar<'_>,
    ) {
        self.records.retain(|slot, _| {
            let is_there = supervisor.slot(*slot).is_some();
            if !is_there {
                health.forget(*slot, registrar);
                held_ports.forget(*slot);
            }
            is_there
        });
    }

    /// How many slots there are.
    pub fn count(&self) -> usize {
        self.records.len()
    }

    fn record(&self, slot: SlotId) -> &Record {
        self.records.get(&slot).expect("a slot of the supervisor has its record")
    }

    fn record_mut(&mut self, slot: SlotId) -> &mut Record {
        self.records.get_mut(&slot).expect("a slot of the supervisor has its record")
    }
}
