//! Plans at random: pools that come after others, policies of every kind, and what an editor makes of them.

use std::num::NonZeroU32;
use std::time::Duration;

use fastrand::Rng;
use pm::supervisor::{
    Backoff, MaxRestarts, Policy, PoolEntry, PoolId, Readiness, Restart, SlotEntry, SlotId,
    TableSpec,
};

use crate::record::Record;

/// A plan with as many slots as this gets no more.
const SLOTS_MAX: usize = 6;

/// Nor one with as many pools.
const POOLS_MAX: usize = 3;

/// The plan as it is, and what was ever in one.
pub struct Plans {
    rng: Rng,
    pub roster: TableSpec,
    next_slot: usize,
    next_pool: usize,
}

impl Plans {
    pub fn new(mut rng: Rng) -> Self {
        let pools = rng.usize(1..=POOLS_MAX);
        let slots = if rng.u32(0..64) == 0 { 0 } else { rng.usize(1..=4) };
        let mut plans = Self { rng, roster: TableSpec::default(), next_slot: 0, next_pool: 0 };
        (0..pools).for_each(|_| plans.add_pool());
        (0..slots).for_each(|_| plans.add_slot());
        plans.order_anew();
        plans
    }

    /// Every slot that was ever in a plan.
    pub fn ever(&self) -> impl Iterator<Item = SlotId> + use<> {
        (0..self.next_slot).map(SlotId)
    }

    /// Edits the plan. Which slots were changed is what a reactor would say: relative to the workers that are there.
    pub fn edit(&mut self, record: &Record) {
        let drops_per_slot = [0, 0, 1, 1, 10][self.rng.usize(0..5)];
        self.roster.slots.retain(|_| self.rng.u32(0..12) >= drops_per_slot);
        if self.rng.u32(0..16) == 0 && self.roster.pools.len() > 1 {
            let pool = self.roster.pools.remove(self.rng.usize(0..self.roster.pools.len())).pool;
            self.roster.slots.retain(|entry| entry.pool != pool);
            self.roster.pools.iter_mut().for_each(|entry| entry.after.retain(|id| *id != pool));
        }
        self.add_again(record);
        if self.rng.u32(0..12) == 0 && self.roster.pools.len() < POOLS_MAX {
            self.add_pool();
        }
        if self.rng.u32(0..4) == 0 && self.roster.slots.len() < SLOTS_MAX {
            self.add_slot();
        }
        if self.rng.u32(0..4) == 0 {
            self.order_anew();
        }
        let changes_per_slot = [0, 3, 6, 8][self.rng.usize(0..4)];
        for entry in &mut self.roster.slots {
            let was_due = record.of(entry.slot).is_some_and(|facts| facts.stale.is_some());
            entry.is_changed =
                self.rng.u32(0..8) < changes_per_slot || (was_due && self.rng.u32(0..4) > 0);
            if self.rng.u32(0..8) < 3 {
                entry.policy = policy(&mut self.rng);
            }
        }
    }

    /// Somebody saves the plan half-written.
    pub fn drop_most(&mut self) {
        self.roster.slots.retain(|_| self.rng.u32(0..6) == 0);
        let used = |entry: &PoolEntry| self.roster.slots.iter().any(|slot| slot.pool == entry.pool);
        self.roster.pools.retain(used);
        let known: Vec<PoolId> = self.roster.pools.iter().map(|entry| entry.pool).collect();
        self.roster.pools.iter_mut().for_each(|entry| entry.after.retain(|id| known.contains(id)));
    }

    /// Somebody has second thoughts on slots that were dropped, before they are gone.
    fn add_again(&mut self, record: &Record) {
        let comebacks_per_slot = [0, 1, 4][self.rng.usize(0..3)];
        for facts in &record.slots {
            let is_dropped = !self.roster.slots.iter().any(|entry| entry.slot == facts.slot);
            if is_dropped && self.rng.u32(0..4) < comebacks_per_slot {
                let (slot, pool, policy) = (facts.slot, facts.pool, facts.policy);
                self.roster.slots.push(SlotEntry { slot, pool, policy, is_changed: false });
                if !self.roster.pools.iter().any(|entry| entry.pool == pool) {
                    self.roster.pools.push(PoolEntry { pool, after: Vec::new() });
                }
            }
        }
    }

    fn add_pool(&mut self) {
        let pool = PoolId(self.next_pool);
        self.next_pool += 1;
        self.roster.pools.push(PoolEntry { pool, after: Vec::new() });
    }

    fn add_slot(&mut self) {
        let pool = self.roster.pools[self.rng.usize(0..self.roster.pools.len())].pool;
        let (slot, policy) = (SlotId(self.next_slot), policy(&mut self.rng));
        self.next_slot += 1;
        self.roster.slots.push(SlotEntry { slot, pool, policy, is_changed: self.rng.bool() });
    }

    /// Each pool comes after some of those before it in a line of them all.
    fn order_anew(&mut self) {
        let mut line: Vec<PoolId> = self.roster.pools.iter().map(|entry| entry.pool).collect();
        self.rng.shuffle(&mut line);
        for entry in &mut self.roster.pools {
            let sooner = line.iter().take_while(|pool| **pool != entry.pool).copied();
            entry.after = sooner.filter(|_| self.rng.u32(0..3) > 0).collect();
        }
    }
}

/// A policy at random: every kind of each, and times on both sides of what the kernel takes.
fn policy(rng: &mut Rng) -> Policy {
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
    Policy { restart, max_restarts, ready, backoff, grace }
}
