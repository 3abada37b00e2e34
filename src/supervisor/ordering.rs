//! Start order and stop order across slots.
//!
//! A slot starts when the pools that its pool comes after are ready. It is stopped when the workers that need its pool
//! and are wanted down are gone. This is decided again after every event, from what the slots are at, so that no event
//! can be missed.
//!
//! What a slot shows to others are its [`Flag`]s. Replacing the slots of a pool one after another is in
//! [`super::rollout`]; what a slot does when it is allowed to act, in [`super::slot`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::Supervisor;
use super::event::Action;
use super::ids::{PoolId, SlotId};
use super::phase::Input;
use super::slot::flags::Flag;
use super::spec::PoolEntry;
use super::table::SlotTable;

/// Which pools need which.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Ordering {
    pools: BTreeMap<PoolId, Needs>,
    /// The pools that end the run.
    ends_run: BTreeSet<PoolId>,
}

#[derive(Clone, Debug, Default, Hash)]
struct Needs {
    /// The pools that this one comes after.
    after: Vec<PoolId>,
    /// The pools that come after this one, directly or indirectly.
    needed_by: Vec<PoolId>,
    spares: usize,
}

impl Ordering {
    /// Takes in the pools of a plan. A pool that the plan no longer has keeps its place in the stop order until all of
    /// its slots are gone.
    pub(super) fn revise(&mut self, entries: Vec<PoolEntry>, table: &SlotTable) {
        let planned: BTreeSet<PoolId> = entries.iter().map(|entry| entry.pool).collect();
        if table.iter().all(|slot| planned.contains(&slot.pool())) {
            // Until then even an empty pool is kept: it may stand between two pools that are not empty.
            self.pools.clear();
        }
        self.ends_run.clear();
        self.revise_spares(&entries);
        for PoolEntry { pool, after, ends_run, spares } in entries {
            let needs = self.pools.entry(pool).or_default();
            (needs.after, needs.spares) = (after, spares);
            self.ends_run.extend(ends_run.then_some(pool));
        }
        for id in Vec::from_iter(self.pools.keys().copied()) {
            let needed_by = self.all_after(id);
            debug_assert!(!needed_by.contains(&id), "{id:?} comes after itself");
            self.pools.entry(id).or_default().needed_by = needed_by;
        }
    }

    /// Takes in how many spares the slots of each pool share.
    pub(super) fn revise_spares(&mut self, entries: &[PoolEntry]) {
        let wanted = |id: &PoolId| entries.iter().find(|entry| entry.pool == *id);
        for (id, pool) in &mut self.pools {
            pool.spares = wanted(id).map_or(0, |entry| entry.spares);
        }
    }

    /// The pools that come after this one, directly or indirectly.
    fn all_after(&self, pool: PoolId) -> Vec<PoolId> {
        let mut found = BTreeSet::new();
        let mut open = vec![pool];
        while let Some(needed) = open.pop() {
            let direct = self.pools.iter().filter(|(_, pool)| pool.after.contains(&needed));
            open.extend(direct.filter(|(id, _)| found.insert(**id)).map(|(id, _)| *id));
        }
        found.into_iter().collect()
    }

    /// The pools that end the run, in order.
    pub(super) fn ends_run(&self) -> impl Iterator<Item = PoolId> {
        self.ends_run.iter().copied()
    }

    pub(super) fn after(&self, pool: PoolId) -> &[PoolId] {
        self.pools.get(&pool).map_or(&[], |needs| &needs.after)
    }

    /// How many spares the slots of this pool share.
    pub(super) fn spares(&self, pool: PoolId) -> usize {
        self.pools.get(&pool).map_or(0, |needs| needs.spares)
    }

    fn needed_by(&self, pool: PoolId) -> &[PoolId] {
        self.pools.get(&pool).map_or(&[], |needs| &needs.needed_by)
    }
}

impl Supervisor {
    /// The pools that this slot waits for before it starts. Empty if it does not wait.
    pub fn waits_for(&self, slot: SlotId) -> Vec<PoolId> {
        let Some(slot) = self.slot(slot).filter(|slot| slot.has(Flag::WaitsToStart)) else {
            return Vec::new();
        };
        let after = self.ordering.after(slot.pool()).iter().copied();
        after.filter(|needed| self.table.has(Flag::BlocksStart, *needed)).collect()
    }

    /// The pools that have slots which wait for this pool before they start.
    pub fn waiting_for(&self, pool: PoolId) -> Vec<PoolId> {
        if !self.table.has(Flag::BlocksStart, pool) {
            return Vec::new();
        }
        let waiting = self.table.pools(Flag::WaitsToStart);
        waiting.filter(|other| self.ordering.after(*other).contains(&pool)).collect()
    }

    /// Lets each slot act that may act now.
    ///
    /// One pass is enough: a slot that was just allowed to act is not eligible again in this event, because its worker
    /// is then not yet ready or not yet gone. Starts come first, while the pools that they depend on are still ready.
    pub(super) fn settle_order(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if self.table.has_no_flags() {
            return;
        }
        self.forget_slots();
        if !self.is_draining() {
            let starting = self.allowed(Flag::WaitsToStart, |pool| self.may_start(pool));
            for slot in starting {
                self.step(slot, Input::StartAllowed, now, actions);
            }
        }
        let stopping = self.allowed(Flag::WaitsToStop, |pool| self.may_stop(pool));
        for slot in stopping {
            self.step(slot, Input::StopAllowed, now, actions);
        }
        self.roll_pools(now, actions);
        self.share_spares(now, actions);
    }

    /// True if some worker has to wait for the workers of another pool before it is stopped.
    pub(super) fn stops_in_order(&self) -> bool {
        self.table.pools(Flag::WaitsToStop).any(|pool| !self.may_stop(pool))
    }

    fn forget_slots(&mut self) {
        for slot in self.allowed(Flag::IsForgotten, |_| true) {
            self.table.remove(slot);
        }
    }

    /// The slots that have this flag and whose pool may act.
    fn allowed(&self, flag: Flag, may_act: impl Fn(PoolId) -> bool) -> Vec<SlotId> {
        let pools = self.table.pools(flag).filter(|pool| may_act(*pool));
        pools.flat_map(|pool| self.table.flagged(flag, pool)).collect()
    }

    /// True if every pool that this one comes after is ready.
    fn may_start(&self, pool: PoolId) -> bool {
        !self.ordering.after(pool).iter().any(|needed| self.table.has(Flag::BlocksStart, *needed))
    }

    /// True if no worker that needs this pool is being stopped or is to be.
    fn may_stop(&self, pool: PoolId) -> bool {
        !self.ordering.needed_by(pool).iter().any(|other| self.table.has(Flag::BlocksStop, *other))
    }
}

#[cfg(test)]
mod tests;
