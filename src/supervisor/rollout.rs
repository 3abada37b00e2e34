//! Rolling restarts: after a plan has changed, the workers of a pool are replaced one after another.
//!
//! Slots that are not ready are replaced immediately. Ready ones are replaced in order, each when all slots that were
//! replaced before are ready again: if one of those never becomes ready, the other workers stay as they are.
//!
//! Which slots are due is in [`super::slot`]; start order and stop order are in [`super::ordering`].

use std::time::Instant;

use super::Supervisor;
use super::event::Action;
use super::ids::PoolId;
use super::phase::Input;
use super::slot::Slot;
use super::slot::flags::Flag;

impl Supervisor {
    /// Goes on with the rolls of all pools.
    pub(super) fn roll_pools(&mut self, now: Instant, actions: &mut Vec<Action>) {
        for pool in Vec::from_iter(self.table.pools(Flag::IsRolling)) {
            self.roll(pool, now, actions);
        }
    }

    /// Replaces the next worker of this pool if it may be replaced now, and ends the roll if there is none. Where a
    /// spare waits that is ready as soon as it takes over, the one after that is next in the same event.
    fn roll(&mut self, pool: PoolId, now: Instant, actions: &mut Vec<Action>) {
        for slot in Vec::from_iter(self.table.flagged(Flag::RollsAtOnce, pool)) {
            self.step(slot, Input::RollAllowed, now, actions);
        }
        while !self.table.has(Flag::BlocksRoll, pool) {
            let Some(next) = self.table.flagged(Flag::WaitsToRoll, pool).next() else {
                return self.end_roll(pool);
            };
            self.step(next, Input::RollAllowed, now, actions);
        }
    }

    fn end_roll(&mut self, pool: PoolId) {
        for slot in Vec::from_iter(self.table.flagged(Flag::IsRolling, pool)) {
            self.table.change(slot, Slot::end_roll);
        }
    }
}

#[cfg(test)]
mod tests;
