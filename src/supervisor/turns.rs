//! Whose turn it is: the rules that concern more than one slot.
//!
//! A slot starts when the pools that its own comes after are ready, is told to stop when those that need it and are to
//! go are gone, and is renewed when no other of its pool is away for that. Decided anew after every event from what the
//! slots are at, so that nothing can be missed; and only for those that wait, so that it costs nothing while nobody does.
//!
//! What a slot does with its turn stands in [`super::slot`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::event::Action;
use super::name::{PoolId, SlotId};
use super::phase::{Input, Wanted};
use super::roster::PoolEntry;
use super::slot::Slot;
use super::slot::turn::Turn;
use super::{Course, Supervisor};

/// The pools, and who waits.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns {
    pools: BTreeMap<PoolId, Pool>,
    /// The slots that wait for a turn.
    waiting: BTreeSet<SlotId>,
    /// The pools in which slots are to be renewed or were, until all of them serve.
    rolls: BTreeSet<PoolId>,
}

#[derive(Clone, Debug, Default)]
struct Pool {
    /// In order.
    slots: Vec<SlotId>,
    after: Vec<PoolId>,
    /// Those that come after it, directly or by way of others.
    needed_by: Vec<PoolId>,
}

impl Turns {
    /// Takes in what the plan says of pools. Those that it no longer has keep their place in the order of stopping until
    /// all of their slots are gone.
    pub(super) fn revise(&mut self, entries: Vec<PoolEntry>, slots: &BTreeMap<SlotId, Slot>) {
        let known = std::mem::take(&mut self.pools);
        for slot in slots.values() {
            self.pools.entry(slot.pool()).or_default().slots.push(slot.id());
        }
        let planned: BTreeSet<PoolId> = entries.iter().map(|entry| entry.pool).collect();
        if self.pools.keys().any(|id| !planned.contains(id)) {
            // Even one that is empty may stand between two that are not.
            for (id, pool) in known {
                self.pools.entry(id).or_default().after = pool.after;
            }
        }
        for entry in entries {
            self.pools.entry(entry.pool).or_default().after = entry.after;
        }
        let all: Vec<PoolId> = self.pools.keys().copied().collect();
        for id in all {
            let needed_by = self.all_after(id);
            debug_assert!(!needed_by.contains(&id), "{id:?} comes after itself");
            self.pools.entry(id).or_default().needed_by = needed_by;
        }
        self.waiting.clear();
        slots.values().for_each(|slot| self.note(slot));
    }

    /// Notes whether this slot waits, as it is now. To be called whenever it has changed.
    pub(super) fn note(&mut self, slot: &Slot) {
        if slot.turn().is_some() {
            self.waiting.insert(slot.id());
        } else {
            self.waiting.remove(&slot.id());
        }
        if slot.is_rolling() {
            self.rolls.insert(slot.pool());
        }
    }

    fn forget(&mut self, slot: &Slot) {
        self.waiting.remove(&slot.id());
        if let Some(pool) = self.pools.get_mut(&slot.pool()) {
            pool.slots.retain(|id| *id != slot.id());
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
}

impl Supervisor {
    /// The pools that this slot waits for before it may start; none if it does not wait.
    pub fn waits_for(&self, slot: SlotId) -> Vec<PoolId> {
        let waits = |slot: &&Slot| slot.turn() == Some(Turn::Start);
        let Some(slot) = self.slot(slot).filter(waits) else { return Vec::new() };
        let after = self.pool(slot.pool()).map_or(&[][..], |pool| &pool.after);
        after.iter().copied().filter(|pool| !self.is_met(*pool)).collect()
    }

    /// The pools that have slots which wait for this one before they may start.
    pub fn waiting_for(&self, pool: PoolId) -> Vec<PoolId> {
        if self.is_met(pool) {
            return Vec::new();
        }
        let waits =
            |id: &SlotId| self.slot(*id).is_some_and(|slot| slot.turn() == Some(Turn::Start));
        let pools = self.turns.pools.iter();
        let waiting =
            pools.filter(|(_, other)| other.after.contains(&pool) && other.slots.iter().any(waits));
        waiting.map(|(id, _)| *id).collect()
    }

    /// Gives everybody a turn whose turn it is.
    ///
    /// Once is enough: what a turn leads to at once, a worker that is not yet ready or not yet gone, is nobody's turn.
    /// Starts come first, while what they saw ready is; then what is to go, then what is to be another.
    pub(super) fn take_turns(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if !self.turns.waiting.is_empty() {
            for slot in self.whose_turn_it_is(Turn::Removal) {
                if let Some(gone) = self.slots.remove(&slot) {
                    self.turns.forget(&gone);
                }
            }
            if self.course == Course::Running {
                for slot in self.whose_turn_it_is(Turn::Start) {
                    self.step(slot, Input::MayStart, now, actions);
                }
            }
            for slot in self.whose_turn_it_is(Turn::Stop) {
                self.step(slot, Input::MayStop, now, actions);
            }
        }
        if !self.turns.rolls.is_empty() {
            for pool in Vec::from_iter(self.turns.rolls.iter().copied()) {
                self.roll(pool, now, actions);
            }
        }
    }

    /// Those who wait for this turn and may have it. Neighbours are mostly of one pool, which is looked at once.
    fn whose_turn_it_is(&self, turn: Turn) -> Vec<SlotId> {
        let mut last = None;
        let mut may = |pool| match last {
            Some((of, verdict)) if of == pool => verdict,
            Some(..) | None => {
                let verdict = self.may(pool, turn);
                last = Some((pool, verdict));
                verdict
            }
        };
        let waiting = self.turns.waiting.iter().filter_map(|id| self.slot(*id));
        let these = waiting.filter(|slot| slot.turn() == Some(turn) && may(slot.pool()));
        these.map(Slot::id).collect()
    }

    /// True if it is this pool's turn.
    fn may(&self, pool: PoolId, turn: Turn) -> bool {
        let Some(pool) = self.pool(pool) else { return true };
        match turn {
            Turn::Start => pool.after.iter().all(|needed| self.is_met(*needed)),
            Turn::Stop => !pool.needed_by.iter().any(|other| self.is_leaving(*other)),
            Turn::Renewal | Turn::Removal => true,
        }
    }

    /// Renews the next of this pool if it is time for that, and ends the roll if there is none.
    ///
    /// Who does not serve is renewed without further ado. Those who serve go one by one in order, each when all that
    /// were renewed before serve again: if a renewed one never does, the others keep serving as they are.
    fn roll(&mut self, pool: PoolId, now: Instant, actions: &mut Vec<Action>) {
        let due = |slot: &&Slot| slot.turn() == Some(Turn::Renewal);
        let unready = |slot: &&Slot| !slot.is_met();
        let idle_hands =
            Vec::from_iter(self.slots_of(pool).filter(due).filter(unready).map(Slot::id));
        for slot in idle_hands {
            self.step(slot, Input::MayRenew, now, actions);
        }
        if self.slots_of(pool).any(Slot::holds_the_roll) {
            return;
        }
        let next = self.slots_of(pool).find(due).map(Slot::id);
        if let Some(next) = next {
            return self.step(next, Input::MayRenew, now, actions);
        }
        let all = self.pool(pool).map(|pool| pool.slots.clone()).unwrap_or_default();
        for id in all {
            if let Some(slot) = self.slots.get_mut(&id) {
                slot.leave_roll();
            }
        }
        if !self.slots_of(pool).any(Slot::is_rolling) {
            self.turns.rolls.remove(&pool);
        }
    }

    /// True if those that come after this pool may start.
    fn is_met(&self, pool: PoolId) -> bool {
        self.slots_of(pool).all(Slot::is_met)
    }

    /// True if somebody of this pool is on the way out, so that what it needs must stay.
    fn is_leaving(&self, pool: PoolId) -> bool {
        self.slots_of(pool).any(Slot::is_leaving)
    }

    fn pool(&self, pool: PoolId) -> Option<&Pool> {
        self.turns.pools.get(&pool)
    }

    fn slots_of(&self, pool: PoolId) -> impl Iterator<Item = &Slot> {
        let ids = self.pool(pool).map_or(&[][..], |pool| &pool.slots);
        ids.iter().filter_map(|id| self.slots.get(id))
    }

    /// What must be true between two events.
    pub(super) fn check_turns(&self) {
        for slot in self.slots.values() {
            let waits = self.turns.waiting.contains(&slot.id());
            debug_assert_eq!(waits, slot.turn().is_some(), "{slot:?} waits");
            let is_member = self
                .pool(slot.pool())
                .is_some_and(|pool| pool.slots.binary_search(&slot.id()).is_ok());
            debug_assert!(is_member, "{slot:?} is in its pool");
            let rolls = self.turns.rolls.contains(&slot.pool());
            debug_assert!(rolls || !slot.is_rolling(), "{slot:?} is in a roll of its pool");
            debug_assert!(
                slot.wanted() != Wanted::Gone || slot.phase().has_worker(),
                "{slot:?} is forgotten once it is empty"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use super::super::table::{Table, probed, slot, worker};
    use super::super::{Event, News, Next, Outcome, Phase, Policy, Rest, Restart};
    use super::*;

    use Action::{Finish, Kill, Spawn, Terminate};

    /// Slot 0 is web, which comes after api, slot 1, which comes after db, slot 2.
    const CHAIN: &[(usize, &[usize])] = &[(1, &[1]), (1, &[2]), (1, &[])];

    fn one_shot() -> Policy {
        Policy { restart: Restart::OnFailure, ..probed() }
    }

    fn gives_up() -> Policy {
        let rest = Rest { give_up_after: NonZeroU32::new(1), ..Rest::default() };
        Policy { rest, ..probed() }
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
            matches!(table.news[..], [News::Crashed { next: Next::Down, .. }]),
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
        assert_eq!(table.news, [News::Renewing(worker(0, 1))]);
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
        let alter = |roster: &mut crate::supervisor::Roster| {
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
