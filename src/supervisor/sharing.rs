//! Spares that the slots of a pool share: which slots hold them, and which slot gets one.
//!
//! As many slots of the pool as it has spares hold one each, beside their ready workers. When the worker of another
//! slot is gone, a spare that waits moves there and takes over. That slot holds the next one.
//!
//! What a spare is at is in [`super::slot`].

use std::collections::BTreeSet;
use std::time::Instant;

use super::Supervisor;
use super::event::Action;
use super::ids::{PoolId, SlotId};
use super::slot::Slot;
use super::slot::flags::Flag;
use super::spec::TableSpec;

impl Supervisor {
    /// In each pool that shares spares, as many slots hold one as the plan says, as far as there are ready ones.
    pub(super) fn share_spares(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.take_surplus_spares(|_| true, now, actions);
        for pool in Vec::from_iter(self.table.pools(Flag::MayHoldSpare)) {
            let held = self.table.flagged(Flag::HoldsSpare, pool).count();
            let missing = self.ordering.spares(pool).saturating_sub(held);
            let ready = self.table.flagged(Flag::MayHoldSpare, pool);
            for slot in Vec::from_iter(ready.take(missing)) {
                self.table.change(slot, |slot| slot.hold_spare(now, actions));
            }
        }
    }

    /// Takes in a changed plan before the slots do: one that is not to hold a spare any more has none prepared, and
    /// what is there stays if it can.
    pub(super) fn revise_spares(
        &mut self,
        spec: &TableSpec,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        self.ordering.revise_spares(&spec.pools);
        for entry in &spec.slots {
            self.table.change(entry.slot, |slot| slot.revise_spare(entry));
        }
        let shares = spec.slots.iter().filter(|entry| entry.policy.spare.is_shared());
        let shares: BTreeSet<SlotId> = shares.map(|entry| entry.slot).collect();
        // One that is to have its own keeps it.
        self.take_surplus_spares(|slot| shares.contains(&slot), now, actions);
    }

    /// Of these slots no more hold a spare than the plan says: those without one hold none any more, then those whose
    /// spare does not wait, then others.
    pub(super) fn take_surplus_spares(
        &mut self,
        is_meant: impl Fn(SlotId) -> bool,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        for pool in Vec::from_iter(self.table.pools(Flag::HoldsSpare)) {
            let holders = self.table.flagged(Flag::HoldsSpare, pool);
            let mut holders = Vec::from_iter(holders.filter(|slot| is_meant(*slot)));
            let surplus = holders.len().saturating_sub(self.ordering.spares(pool));
            holders.sort_by_key(|slot| self.slot(*slot).map(Slot::spare_rank));
            for slot in holders.into_iter().take(surplus) {
                self.table.change(slot, |slot| slot.let_spare_go(now, actions));
            }
        }
    }

    /// The worker of a slot of this pool is about to be replaced, by what has happened to it: a spare moves there.
    pub(super) fn lend_spare(&mut self, pool: PoolId, to: SlotId, actions: &mut Vec<Action>) {
        let may_lend = |slot: &SlotId| self.slot(*slot).is_some_and(|slot| slot.may_lend());
        let lender = self.table.flagged(Flag::HoldsSpare, pool).find(may_lend);
        let Some(from) = lender else { return };
        let mut lent = None;
        self.table.change(from, |slot| lent = slot.lend_spare());
        let Some((worker, since)) = lent else { return };
        self.table.change(to, |slot| slot.borrow_spare(worker, since, actions));
    }
}

#[cfg(test)]
mod tests;
