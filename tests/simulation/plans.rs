//! Random plans: pools that come after others, policies of every kind, and edits.

use std::num::NonZeroU32;
use std::time::Duration;

use fastrand::Rng;
use pm::supervisor::{
    Backoff, MaxRestarts, Policy, PoolEntry, PoolId, Readiness, Restart, Revision, SlotEntry,
    SlotId, SpareRule, TableSpec,
};

use crate::record::Record;

/// A plan with this many slots gets no more.
const SLOTS_MAX: usize = 6;

/// A plan with this many pools gets no more.
const POOLS_MAX: usize = 3;

/// The plan as it is now, and how far its ids are used up.
pub struct Plans {
    rng: Rng,
    pub spec: TableSpec,
    next_slot: usize,
    next_pool: usize,
    next_revision: u64,
    /// One of how many pools ends the run; none if 0.
    pools_per_end: u32,
    /// How many slots in ten share the spares of their pool.
    shared_in_ten: u32,
}

impl Plans {
    pub fn new(mut rng: Rng) -> Self {
        let pools = rng.usize(1..=POOLS_MAX);
        let slots = if rng.u32(0..64) == 0 { 0 } else { rng.usize(1..=4) };
        let spec = TableSpec::default();
        let pools_per_end = [0, 0, 0, 8, 2][rng.usize(0..5)];
        let shared_in_ten = [1, 1, 9][rng.usize(0..3)];
        let (next_slot, next_pool, next_revision) = (0, 0, 0);
        let mut plans =
            Self { rng, spec, next_slot, next_pool, next_revision, pools_per_end, shared_in_ten };
        (0..pools).for_each(|_| plans.add_pool());
        (0..slots).for_each(|_| plans.add_slot());
        plans.reorder_pools();
        plans
    }

    /// Every slot that was ever in a plan.
    pub fn all_slots(&self) -> impl Iterator<Item = SlotId> + use<> {
        (0..self.next_slot).map(SlotId)
    }

    /// Edits the plan. A slot may get a new revision, or go back to the revision of the worker that is there.
    pub fn edit(&mut self, record: &Record) {
        let drops_per_slot = [0, 0, 1, 1, 10][self.rng.usize(0..5)];
        self.spec.slots.retain(|_| self.rng.u32(0..12) >= drops_per_slot);
        if self.rng.u32(0..16) == 0 && self.spec.pools.len() > 1 {
            let pool = self.spec.pools.remove(self.rng.usize(0..self.spec.pools.len())).pool;
            self.spec.slots.retain(|entry| entry.pool != pool);
            self.spec.pools.iter_mut().for_each(|entry| entry.after.retain(|id| *id != pool));
        }
        self.take_back(record);
        if self.rng.u32(0..12) == 0 && self.spec.pools.len() < POOLS_MAX {
            self.add_pool();
        }
        if self.rng.u32(0..4) == 0 && self.spec.slots.len() < SLOTS_MAX {
            self.add_slot();
        }
        if self.rng.u32(0..4) == 0 {
            self.reorder_pools();
        }
        for n in 0..self.spec.pools.len() {
            if self.rng.u32(0..4) == 0 {
                self.spec.pools[n].ends_run = self.ends_run();
            }
            if self.rng.u32(0..8) == 0 {
                self.spec.pools[n].spares = self.rng.usize(0..3);
            }
        }
        if self.rng.u32(0..6) == 0 {
            self.move_a_slot();
        }
        let revisions_per_slot = [0, 3, 6, 8][self.rng.usize(0..4)];
        for entry in &mut self.spec.slots {
            if self.rng.u32(0..8) < revisions_per_slot {
                entry.revision = Revision(self.next_revision);
                self.next_revision += 1;
            } else if self.rng.u32(0..4) == 0
                && let Some(facts) = record.of(entry.slot)
            {
                entry.revision = facts.revision;
            }
            if self.rng.u32(0..8) < 3 {
                entry.policy = policy(&mut self.rng, self.shared_in_ten);
            }
        }
    }

    /// The file was saved when it was half-written.
    pub fn drop_most(&mut self) {
        self.spec.slots.retain(|_| self.rng.u32(0..6) == 0);
        let is_used =
            |entry: &PoolEntry| self.spec.slots.iter().any(|slot| slot.pool == entry.pool);
        self.spec.pools.retain(is_used);
        let known: Vec<PoolId> = self.spec.pools.iter().map(|entry| entry.pool).collect();
        self.spec.pools.iter_mut().for_each(|entry| entry.after.retain(|id| known.contains(id)));
    }

    /// Slots that were dropped come back before they are forgotten.
    fn take_back(&mut self, record: &Record) {
        let comebacks_per_slot = [0, 1, 4][self.rng.usize(0..3)];
        for facts in &record.slots {
            let is_dropped = !self.spec.slots.iter().any(|entry| entry.slot == facts.slot);
            if is_dropped && self.rng.u32(0..4) < comebacks_per_slot {
                let pool = facts.pool;
                self.spec.slots.push(SlotEntry {
                    slot: facts.slot,
                    pool,
                    policy: facts.policy,
                    revision: facts.revision,
                });
                if !self.spec.pools.iter().any(|entry| entry.pool == pool) {
                    self.spec.pools.push(PoolEntry {
                        pool,
                        after: Vec::new(),
                        ends_run: false,
                        spares: 1,
                    });
                }
            }
        }
    }

    fn add_pool(&mut self) {
        let pool = PoolId(self.next_pool);
        self.next_pool += 1;
        let ends_run = self.ends_run();
        let spares = self.rng.usize(0..3);
        self.spec.pools.push(PoolEntry { pool, after: Vec::new(), ends_run, spares });
    }

    fn ends_run(&mut self) -> bool {
        self.pools_per_end > 0 && self.rng.u32(0..self.pools_per_end) == 0
    }

    fn add_slot(&mut self) {
        let pool = self.spec.pools[self.rng.usize(0..self.spec.pools.len())].pool;
        let slot = SlotId(self.next_slot);
        let policy = policy(&mut self.rng, self.shared_in_ten);
        let revision = Revision(self.next_revision);
        self.next_slot += 1;
        self.next_revision += 1;
        self.spec.slots.push(SlotEntry { slot, pool, policy, revision });
    }

    /// Its port is one of another pool from now on. As a rule its environment has the name of the pool, so its revision
    /// is another one; but a file may say otherwise.
    fn move_a_slot(&mut self) {
        let Some(slot) = self.rng.choice(0..self.spec.slots.len()) else { return };
        let pool = self.spec.pools[self.rng.usize(0..self.spec.pools.len())].pool;
        let entry = &mut self.spec.slots[slot];
        entry.pool = pool;
        if self.rng.u32(0..4) > 0 {
            entry.revision = Revision(self.next_revision);
            self.next_revision += 1;
        }
    }

    /// Each pool comes after some of the pools before it in a random order, so that no pool comes after itself.
    fn reorder_pools(&mut self) {
        let mut order: Vec<PoolId> = self.spec.pools.iter().map(|entry| entry.pool).collect();
        self.rng.shuffle(&mut order);
        for entry in &mut self.spec.pools {
            let before = order.iter().take_while(|pool| **pool != entry.pool).copied();
            entry.after = before.filter(|_| self.rng.u32(0..3) > 0).collect();
        }
    }
}

/// A random policy: every kind of each rule, and times shorter and longer than what the kernel takes.
fn policy(rng: &mut Rng, shared_in_ten: u32) -> Policy {
    let millis = |rng: &mut Rng, most| Duration::from_millis(rng.u64(1..=most));
    let restart = match rng.u32(0..5) {
        0 => Restart::OnFailure,
        1 => Restart::Never,
        _ => Restart::Always,
    };
    let count = NonZeroU32::new([0, 0, 1, 2, 4][rng.usize(0..5)]);
    let within = [100, 2_000, 60_000][rng.usize(0..3)];
    let max_restarts = count.map(|count| MaxRestarts { count, within: millis(rng, within) });
    let ready = match rng.u32(0..6) {
        0 => Readiness::Lived { after: Duration::ZERO },
        1 | 2 => Readiness::Lived { after: millis(rng, 1_000) },
        _ => Readiness::Probe { within: Duration::from_millis(rng.u64(50..5_000)) },
    };
    let first = millis(rng, 300);
    let max = first + millis(rng, 10_000);
    let give_up_after = NonZeroU32::new([0, 0, 1, 2, 3, 8][rng.usize(0..6)]);
    let grace = if rng.u32(0..6) == 0 { Duration::ZERO } else { millis(rng, 6_000) };
    let backoff = Backoff { first, max, give_up_after };
    let within = millis(rng, 3_000);
    let max_age = (rng.u32(0..3) == 0).then(|| millis(rng, 20_000));
    let spare = match rng.u32(0..8) {
        _ if rng.u32(0..10) < shared_in_ten => {
            SpareRule::Shared { within, after: millis(rng, 500), max_age }
        }
        0..=4 => SpareRule::Never,
        5 => SpareRule::ToReplace { within },
        _ => SpareRule::Always { within, after: millis(rng, 500), max_age },
    };
    Policy { restart, max_restarts, ready, backoff, grace, spare }
}
