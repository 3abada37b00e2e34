//! Whose turn it is: the rules that concern more than one slot.
//!
//! A slot starts when the pools that its own comes after are ready, is told to stop when those that need it and are to
//! go are gone, and is renewed when no other of its pool is away for that. Decided anew after every event from what the
//! slots are at, so that nothing can be missed.
//!
//! What a slot means to others is kept as [`Flag`]s in order, so that nobody has to look for it: a table whose slots
//! all serve has none. What a slot does with its turn stands in [`super::slot`].

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Instant;

use super::event::Action;
use super::ids::{PoolId, SlotId};
use super::phase::Input;
use super::slot::Slot;
use super::slot::flags::Flag;
use super::spec::PoolEntry;
use super::{Course, Supervisor};

/// The pools, and what their slots mean to each other.
#[derive(Clone, Debug, Default)]
pub(super) struct Ordering {
    pools: BTreeMap<PoolId, Pool>,
    flags: BTreeSet<(Flag, PoolId, SlotId)>,
}

#[derive(Clone, Debug, Default)]
struct Pool {
    after: Vec<PoolId>,
    /// Those that come after it, directly or by way of others.
    needed_by: Vec<PoolId>,
}

impl Ordering {
    /// Takes in what the plan says of pools. Those that it no longer has keep their place in the order of stopping
    /// until all of their slots are gone.
    pub(super) fn revise(&mut self, entries: Vec<PoolEntry>, slots: &BTreeMap<SlotId, Slot>) {
        let planned: BTreeSet<PoolId> = entries.iter().map(|entry| entry.pool).collect();
        if slots.values().all(|slot| planned.contains(&slot.pool())) {
            // Until then, even one that is empty may stand between two that are not.
            self.pools.clear();
        }
        for entry in entries {
            self.pools.entry(entry.pool).or_default().after = entry.after;
        }
        for id in Vec::from_iter(self.pools.keys().copied()) {
            let needed_by = self.all_after(id);
            debug_assert!(!needed_by.contains(&id), "{id:?} comes after itself");
            self.pools.entry(id).or_default().needed_by = needed_by;
        }
        self.flags.clear();
        slots.values().for_each(|slot| self.note(slot));
    }

    /// Notes what this slot means to others as it is now. To be called whenever it has changed.
    pub(super) fn note(&mut self, slot: &Slot) {
        for mark in Flag::ALL {
            let mark_of_slot = (mark, slot.pool(), slot.id());
            if slot.has(mark) {
                self.flags.insert(mark_of_slot);
            } else {
                self.flags.remove(&mark_of_slot);
            }
        }
    }

    fn forget(&mut self, slot: &Slot) {
        for mark in Flag::ALL {
            self.flags.remove(&(mark, slot.pool(), slot.id()));
        }
    }

    /// The pools that come after this one, directly or by way of others.
    fn all_after(&self, pool: PoolId) -> Vec<PoolId> {
        let mut found = BTreeSet::new();
        let mut open = vec![pool];
        while let Some(needed) = open.pop() {
            let direct = self.pools.iter().filter(|(_, pool)| pool.after.contains(&needed));
            open.extend(direct.filter(|(id, _)| found.insert(**id)).map(|(id, _)| *id));
        }
        found.into_iter().collect()
    }

    /// True if every pool that this one comes after is ready.
    fn may_start(&self, pool: PoolId) -> bool {
        !self.after(pool).iter().any(|needed| self.has(Flag::IsUnmet, *needed))
    }

    /// True if nobody who needs this pool is on the way out.
    fn may_stop(&self, pool: PoolId) -> bool {
        let needed_by = self.pools.get(&pool).map_or(&[][..], |pool| &pool.needed_by);
        !needed_by.iter().any(|other| self.has(Flag::IsLeaving, *other))
    }

    fn after(&self, pool: PoolId) -> &[PoolId] {
        self.pools.get(&pool).map_or(&[], |pool| &pool.after)
    }

    /// True if some slot of the pool has this mark.
    fn has(&self, mark: Flag, pool: PoolId) -> bool {
        self.slots(mark, pool).next().is_some()
    }

    /// The slots of this pool that have this mark, in order.
    fn slots(&self, mark: Flag, pool: PoolId) -> impl Iterator<Item = SlotId> {
        let all = (mark, pool, SlotId(0))..=(mark, pool, SlotId(usize::MAX));
        self.flags.range(all).map(|(_, _, slot)| *slot)
    }

    /// The pools some slots of which have this mark, in order.
    fn pools(&self, mark: Flag) -> Vec<PoolId> {
        let mut found = Vec::new();
        let mut from = Bound::Included((mark, PoolId(0), SlotId(0)));
        while let Some((next, pool, _)) = self.flags.range((from, Bound::Unbounded)).next()
            && *next == mark
        {
            found.push(*pool);
            from = Bound::Excluded((mark, *pool, SlotId(usize::MAX)));
        }
        found
    }

    /// The slots that have this mark and are of a pool that `may`.
    fn slots_that(&self, may: impl Fn(PoolId) -> bool, mark: Flag) -> Vec<SlotId> {
        let pools = self.pools(mark).into_iter().filter(|pool| may(*pool));
        pools.flat_map(|pool| self.slots(mark, pool)).collect()
    }
}

impl Supervisor {
    /// The pools that this slot waits for before it may start; none if it does not wait.
    pub fn waits_for(&self, slot: SlotId) -> Vec<PoolId> {
        let waits = |slot: &&Slot| slot.has(Flag::WaitsToStart);
        let Some(slot) = self.slot(slot).filter(waits) else { return Vec::new() };
        let after = self.ordering.after(slot.pool()).iter().copied();
        after.filter(|needed| self.ordering.has(Flag::IsUnmet, *needed)).collect()
    }

    /// The pools that have slots which wait for this one before they may start.
    pub fn waiting_for(&self, pool: PoolId) -> Vec<PoolId> {
        if !self.ordering.has(Flag::IsUnmet, pool) {
            return Vec::new();
        }
        let waiting = self.ordering.pools(Flag::WaitsToStart).into_iter();
        waiting.filter(|other| self.ordering.after(*other).contains(&pool)).collect()
    }

    /// Gives everybody a turn whose turn it is.
    ///
    /// Once is enough: what a turn leads to at once, a worker that is not yet ready or not yet gone, is nobody's turn.
    /// Starts come first, while what they saw ready is; then what is to go, then what is to be another.
    pub(super) fn settle_order(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if self.ordering.flags.is_empty() {
            return;
        }
        for id in self.ordering.slots_that(|_| true, Flag::IsForgotten) {
            if let Some(slot) = self.slots.remove(&id) {
                self.ordering.forget(&slot);
            }
        }
        if self.course == Course::Running {
            let may = |pool| self.ordering.may_start(pool);
            for slot in self.ordering.slots_that(may, Flag::WaitsToStart) {
                self.step(slot, Input::StartAllowed, now, actions);
            }
        }
        let may = |pool| self.ordering.may_stop(pool);
        for slot in self.ordering.slots_that(may, Flag::WaitsToStop) {
            self.step(slot, Input::StopAllowed, now, actions);
        }
        for pool in self.ordering.pools(Flag::IsRolling) {
            self.roll(pool, now, actions);
        }
    }

    /// Renews the next of this pool if it is time for that, and ends the roll if there is none.
    ///
    /// Who does not serve is renewed without further ado. Those who serve go one by one in order, each when all that
    /// were renewed before serve again: if a renewed one never does, the others keep serving as they are.
    fn roll(&mut self, pool: PoolId, now: Instant, actions: &mut Vec<Action>) {
        for slot in Vec::from_iter(self.ordering.slots(Flag::RollsAtOnce, pool)) {
            self.step(slot, Input::RollAllowed, now, actions);
        }
        if self.ordering.has(Flag::HoldsTheRoll, pool) {
            return;
        }
        let next = self.ordering.slots(Flag::WaitsToRoll, pool).next();
        if let Some(next) = next {
            return self.step(next, Input::RollAllowed, now, actions);
        }
        for id in Vec::from_iter(self.ordering.slots(Flag::IsRolling, pool)) {
            if let Some(slot) = self.slots.get_mut(&id) {
                slot.leave_roll();
                self.ordering.note(slot);
            }
        }
    }

    /// What must be true between two events.
    pub(super) fn check_ordering(&self) {
        let slots = self.slots.values();
        let marks = slots.flat_map(|slot| {
            let of = move |mark: Flag| (mark, slot.pool(), slot.id());
            Flag::ALL.into_iter().filter(|mark| slot.has(*mark)).map(of)
        });
        debug_assert_eq!(
            self.ordering.flags,
            marks.collect(),
            "the marks are what the slots are at"
        );
        let is_forgotten = self.ordering.pools(Flag::IsForgotten).is_empty();
        debug_assert!(is_forgotten, "who is gone is forgotten");
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use super::super::table::{Table, probed, slot, worker};
    use super::super::{Backoff, Event, Next, Outcome, Phase, Policy, Restart, Transition, Wanted};
    use super::*;

    use Action::{Finish, Kill, Spawn, Terminate};

    /// Slot 0 is web, which comes after api, slot 1, which comes after db, slot 2.
    const CHAIN: &[(usize, &[usize])] = &[(1, &[1]), (1, &[2]), (1, &[])];

    fn one_shot() -> Policy {
        Policy { restart: Restart::OnFailure, ..probed() }
    }

    fn gives_up() -> Policy {
        let backoff = Backoff { give_up_after: NonZeroU32::new(1), ..Backoff::default() };
        Policy { backoff, ..probed() }
    }

    #[test]
    fn a_slot_starts_when_all_that_its_pool_comes_after_is_ready() {
        let mut table = Table::idle(&[(1, &[1, 2]), (2, &[]), (1, &[])], probed());
        assert_eq!(table.on(Event::Start(slot(0))), []);
        for id in 1..4 {
            assert_eq!(table.on(Event::Start(slot(id))), [Spawn(worker(id, 1))]);
        }
        table.on(Event::Ready(worker(1, 1)));
        table.on(Event::Ready(worker(3, 1)));
        assert_eq!(table.supervisor.waits_for(slot(0)), [PoolId(1)]);
        assert_eq!(table.supervisor.waiting_for(PoolId(1)), [PoolId(0)]);
        assert_eq!(table.supervisor.waiting_for(PoolId(2)), []);
        assert_eq!(table.on(Event::Ready(worker(2, 1))), [Spawn(worker(0, 1))]);
        assert_eq!(table.supervisor.waits_for(slot(0)), []);
    }

    #[test]
    fn a_one_shot_that_succeeded_is_ready_and_one_that_failed_blocks_until_it_is_started_again() {
        let mut table = Table::idle(&[(1, &[1]), (1, &[])], one_shot());
        table.on(Event::Start(slot(0)));
        table.on(Event::Start(slot(1)));
        table.on(Event::Ready(worker(1, 1)));
        assert!(matches!(table.phase(0), Phase::Starting { .. }));

        let never = Policy { restart: Restart::Never, ..probed() };
        let mut table = Table::idle(&[(1, &[1]), (1, &[]), (1, &[])], never);
        (0..3).for_each(|id| drop(table.on(Event::Start(slot(id)))));
        assert_eq!(table.exited(worker(1, 1)), []);
        assert_eq!(table.supervisor.waits_for(slot(0)), [PoolId(1)]);
        assert_eq!(table.on(Event::Start(slot(1))), [Spawn(worker(1, 2))]);
        assert_eq!(table.succeeded(worker(1, 2)), [Spawn(worker(0, 1))]);
    }

    #[test]
    fn a_pool_that_was_stopped_or_has_no_slots_keeps_nobody_waiting() {
        let mut table = Table::idle(&[(1, &[1, 2, 7]), (1, &[]), (0, &[])], probed());
        table.on(Event::Start(slot(0)));
        assert_eq!(table.on(Event::Stop(slot(1))), [Spawn(worker(0, 1))]);
    }

    #[test]
    fn only_the_start_from_idle_waits() {
        let mut table = Table::up(&[(1, &[1]), (1, &[])], probed());
        table.exited(worker(1, 1));
        assert_eq!(table.exited(worker(0, 1)), [Spawn(worker(0, 2))]);
        table.on(Event::Stop(slot(0)));
        table.exited(worker(0, 2));
        assert_eq!(table.on(Event::Start(slot(0))), []);
        assert_eq!(table.on(Event::Ready(worker(1, 2))), [Spawn(worker(0, 3))]);
    }

    #[test]
    fn a_run_is_over_when_all_that_is_left_waits_for_one_that_gave_up() {
        let mut table = Table::idle(CHAIN, gives_up());
        (0..3).for_each(|id| drop(table.on(Event::Start(slot(id)))));
        assert_eq!(table.exited(worker(2, 1)), [Finish(Outcome::GaveUp)]);
    }

    #[test]
    fn a_drain_ends_those_first_that_need_others() {
        let mut table = Table::up(CHAIN, probed());
        assert_eq!(table.on(Event::Shutdown), [Terminate(worker(0, 1))]);
        assert_eq!(table.leader_exited(worker(0, 1)), []);
        assert_eq!(table.on(Event::Emptied(worker(0, 1))), [Terminate(worker(1, 1))]);
        let waited = table.now;
        assert_eq!(table.wait(), [Kill(worker(1, 1))]);
        assert_eq!(table.now - waited, probed().grace);
        assert_eq!(table.succeeded(worker(1, 1)), [Terminate(worker(2, 1))]);
        assert_eq!(table.succeeded(worker(2, 1)), [Finish(Outcome::Stopped)]);
    }

    #[test]
    fn the_order_of_a_drain_reaches_over_a_pool_that_is_empty() {
        let mut table = Table::up(CHAIN, probed());
        table.on(Event::Stop(slot(1)));
        table.succeeded(worker(1, 1));
        assert_eq!(table.on(Event::Shutdown), [Terminate(worker(0, 1))]);
    }

    #[test]
    fn a_kill_waits_for_nobodys_turn() {
        let mut table = Table::up(CHAIN, probed());
        let kills = [Kill(worker(0, 1)), Kill(worker(1, 1)), Kill(worker(2, 1))];
        assert_eq!(table.on(Event::Kill), kills);
    }

    #[test]
    fn one_slot_stops_at_once_although_others_need_it() {
        let mut table = Table::up(CHAIN, probed());
        assert_eq!(table.on(Event::Stop(slot(2))), [Terminate(worker(2, 1))]);
    }

    #[test]
    fn who_waits_for_its_turn_to_stop_stays_if_it_is_started_and_is_not_replaced_if_it_dies() {
        let mut table = Table::up(CHAIN, probed());
        (0..3).for_each(|id| drop(table.on(Event::Stop(slot(id)))));
        assert_eq!(table.on(Event::Start(slot(1))), []);
        assert_eq!(table.exited(worker(2, 1)), []);
        assert!(
            matches!(table.news[..], [Transition::Crashed { next: Next::Down, .. }]),
            "{:?}",
            table.news
        );
        assert_eq!(table.succeeded(worker(0, 1)), []);
        assert!(matches!(table.phase(1), Phase::Ready { .. }));
    }

    #[test]
    fn a_roll_renews_one_after_another_and_the_next_only_when_the_last_serves() {
        let mut table = Table::serving(3);
        assert_eq!(table.revise(&[0, 2], |_| {}), [Terminate(worker(0, 1))]);
        assert_eq!(table.news, [Transition::Replacing(worker(0, 1))]);
        assert_eq!(table.succeeded(worker(0, 1)), [Spawn(worker(0, 2))]);
        assert_eq!(table.on(Event::Tick), []);
        assert_eq!(table.on(Event::Ready(worker(0, 2))), [Terminate(worker(2, 1))]);
        assert_eq!(table.succeeded(worker(2, 1)), [Spawn(worker(2, 2))]);
        assert_eq!(table.on(Event::Ready(worker(2, 2))), []);
        assert_eq!(table.at(1).generation(), 1);
    }

    #[test]
    fn a_roll_waits_for_one_that_it_renewed_and_that_has_crashed_since() {
        let mut table = Table::serving(3);
        table.revise(&[0, 1, 2], |_| {});
        table.succeeded(worker(0, 1));
        table.on(Event::Ready(worker(0, 2)));
        table.exited(worker(0, 2));
        table.succeeded(worker(1, 1));
        assert_eq!(table.on(Event::Ready(worker(1, 2))), []);
        assert_eq!(table.on(Event::Ready(worker(0, 3))), [Terminate(worker(2, 1))]);
    }

    #[test]
    fn when_a_roll_is_over_a_crash_of_the_past_does_not_hold_the_next_one() {
        let mut table = Table::serving(2);
        table.revise(&[0], |_| {});
        table.succeeded(worker(0, 1));
        table.on(Event::Ready(worker(0, 2)));
        table.exited(worker(0, 2));
        assert_eq!(table.revise(&[1], |_| {}), [Terminate(worker(1, 1))]);
    }

    #[test]
    fn a_roll_that_stands_still_goes_on_when_the_plan_changes_again() {
        let mut table = Table::serving(2);
        table.revise(&[0, 1], |_| {});
        table.succeeded(worker(0, 1));
        assert_eq!(table.revise(&[0, 1], |_| {}), [Terminate(worker(0, 2))]);
        table.succeeded(worker(0, 2));
        assert_eq!(table.on(Event::Ready(worker(0, 3))), [Terminate(worker(1, 1))]);
    }

    #[test]
    fn a_renewal_that_was_not_yet_due_can_be_taken_back() {
        let mut table = Table::serving(2);
        table.revise(&[0, 1], |_| {});
        assert_eq!(table.revise(&[0], |_| {}), []);
        table.succeeded(worker(0, 1));
        assert_eq!(table.on(Event::Ready(worker(0, 2))), []);
    }

    #[test]
    fn one_that_was_renewed_holds_the_roll_even_if_another_renewal_of_it_is_taken_back() {
        let mut table = Table::serving(3);
        table.revise(&[0, 1, 2], |_| {});
        table.succeeded(worker(0, 1));
        table.on(Event::Ready(worker(0, 2)));
        table.revise(&[0, 1, 2], |_| {});
        table.revise(&[1, 2], |_| {});
        table.exited(worker(0, 2));
        table.succeeded(worker(1, 1));
        assert_eq!(table.on(Event::Ready(worker(1, 2))), []);
        assert_eq!(table.on(Event::Ready(worker(0, 3))), [Terminate(worker(2, 1))]);
    }

    #[test]
    fn who_dies_while_it_waits_to_be_renewed_comes_back_renewed() {
        let mut table = Table::serving(2);
        table.revise(&[0, 1], |_| {});
        assert_eq!(table.exited(worker(1, 1)), [Spawn(worker(1, 2))]);
        table.succeeded(worker(0, 1));
        assert_eq!(table.on(Event::Ready(worker(0, 2))), []);
        assert_eq!(table.on(Event::Ready(worker(1, 2))), []);
    }

    #[test]
    fn a_changed_slot_takes_its_new_policy_with_its_next_worker_and_an_unchanged_one_at_once() {
        let mut table = Table::serving(2);
        let short = Duration::from_millis(7);
        let alter = |roster: &mut crate::supervisor::TableSpec| {
            roster.slots.iter_mut().for_each(|entry| entry.policy.grace = short);
        };
        table.revise(&[0], alter);
        assert_eq!(table.at(0).policy().grace, probed().grace);
        assert_eq!(table.at(1).policy().grace, short);
        table.succeeded(worker(0, 1));
        assert_eq!(table.at(0).policy().grace, short);
    }

    #[test]
    fn who_does_not_serve_is_renewed_at_once() {
        let mut table = Table::idle(&[(4, &[])], gives_up());
        (0..3).for_each(|id| drop(table.on(Event::Start(slot(id)))));
        table.on(Event::Ready(worker(0, 1)));
        table.exited(worker(2, 1));
        assert_eq!(table.phase(2), Phase::GivenUp);
        let answer = table.revise(&[0, 1, 2, 3], |_| {});
        assert_eq!(answer, [Spawn(worker(2, 2)), Terminate(worker(1, 1))]);
        assert_eq!(table.phase(3), Phase::Idle);
    }

    #[test]
    fn a_slot_that_the_plan_drops_is_stopped_and_forgotten_and_another_is_added() {
        let mut table = Table::serving(2);
        let answer = table.revise(&[], |roster| {
            let mut last = roster.slots.pop().unwrap();
            last.slot = slot(2);
            roster.slots.push(last);
        });
        assert_eq!(answer, [Terminate(worker(1, 1))]);
        assert_eq!(table.at(1).wanted(), Wanted::Gone);
        table.on(Event::Stop(slot(1)));
        assert_eq!(table.succeeded(worker(1, 1)), []);
        assert!(table.supervisor.slot(slot(1)).is_none());
        assert_eq!(table.on(Event::Start(slot(1))), []);
        assert_eq!(table.succeeded(worker(1, 1)), []);
        assert_eq!(table.on(Event::Start(slot(2))), [Spawn(worker(2, 1))]);
    }

    #[test]
    fn a_slot_that_is_gone_and_comes_back_in_time_keeps_its_worker() {
        let mut table = Table::up(CHAIN, probed());
        let mut all = Vec::new();
        table.revise(&[], |roster| all = std::mem::take(&mut roster.slots));
        table.revise(&[], |roster| roster.slots = all);
        assert_eq!(table.on(Event::Start(slot(2))), []);
        (0..2).for_each(|id| drop(table.on(Event::Start(slot(id)))));
        assert_eq!(table.succeeded(worker(0, 1)), [Spawn(worker(0, 2))]);
        assert_eq!(table.at(2).generation(), 1);
    }

    #[test]
    fn pools_that_the_plan_drops_still_stop_in_order() {
        let mut table = Table::up(CHAIN, probed());
        let answer = table.revise(&[], |roster| {
            roster.pools.clear();
            roster.slots.clear();
        });
        assert_eq!(answer, [Terminate(worker(0, 1))]);
        assert_eq!(table.succeeded(worker(0, 1)), [Terminate(worker(1, 1))]);
        assert_eq!(table.succeeded(worker(1, 1)), [Terminate(worker(2, 1))]);
        assert_eq!(table.succeeded(worker(2, 1)), []);
        assert_eq!(table.supervisor.slots().count(), 0);
    }

    #[test]
    fn after_a_shutdown_nothing_is_rolled() {
        let mut table = Table::up(CHAIN, probed());
        table.on(Event::Shutdown);
        assert_eq!(table.revise(&[0, 1, 2], |_| {}), []);
        assert_eq!(table.succeeded(worker(0, 1)), [Terminate(worker(1, 1))]);
    }
}
