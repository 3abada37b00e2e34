//! Spares that slots share: which slot holds them, which gets one, and what a changed plan leaves of them.

use std::num::NonZeroU32;
use std::time::Duration;

use Action::{Admit, Prepare, Terminate};

use super::super::test_table::{Table, probed, respawn, slot, worker};
use super::super::{
    Action, Event, MaxRestarts, Phase, Policy, PoolId, Revision, SparePhase, SpareRule, TableSpec,
};

const WITHIN: Duration = Duration::from_secs(10);
const AFTER: Duration = Duration::from_millis(100);

fn shared() -> SpareRule {
    SpareRule::Shared { within: WITHIN, after: AFTER, max_age: None }
}

fn own() -> SpareRule {
    SpareRule::Always { within: WITHIN, after: AFTER, max_age: None }
}

/// A pool of `slots` ready slots that share `spares` spares. None is prepared yet.
fn table(slots: usize, spares: usize, policy: Policy) -> Table {
    let mut table = Table::up(&[(slots, &[])], Policy { spare: shared(), ..policy });
    assert_eq!(table.revise(&[], 0, |spec| spec.pools[0].spares = spares), []);
    table
}

fn prepare(slot: usize, generation: u64) -> Action {
    Prepare { worker: worker(slot, generation), revision: Revision(0) }
}

/// A spare goes from one slot to another, and takes over.
fn lent(from: (usize, u64), to: (usize, u64)) -> [Action; 2] {
    let (from, to) = (worker(from.0, from.1), worker(to.0, to.1));
    [Action::Move { from, to, revision: Revision(0) }, Admit(to)]
}

fn set_rule(rule: SpareRule, spares: usize) -> impl FnOnce(&mut TableSpec) {
    move |spec| {
        spec.slots.iter_mut().for_each(|entry| entry.policy.spare = rule);
        spec.pools[0].spares = spares;
    }
}

fn spare_phase(table: &Table, slot: usize) -> Option<SparePhase> {
    table.at(slot).spare().map(|(_, phase)| phase)
}

#[test]
fn a_spare_that_waits_takes_over_in_the_slot_whose_worker_dies() {
    let mut table = table(3, 1, probed());
    assert_eq!(table.wait(), [prepare(0, 2)]);
    assert_eq!(table.exited(worker(2, 1)), [respawn(2, 2)], "it does not wait yet");
    table.on(Event::Waits(worker(0, 2)));
    assert_eq!(table.exited(worker(1, 1)), lent((0, 2), (1, 2)));
    table.on(Event::Ready(worker(1, 2)));
    assert_eq!(table.wait(), [prepare(1, 3)], "the next one is beside it");
}

#[test]
fn a_slot_that_gives_up_gets_no_spare() {
    let count = NonZeroU32::MIN;
    let max_restarts = Some(MaxRestarts { count, within: Duration::from_secs(60) });
    let mut table = table(3, 2, Policy { max_restarts, ..probed() });
    assert_eq!(table.wait(), [prepare(0, 2), prepare(1, 2)]);
    table.on(Event::Waits(worker(0, 2)));
    table.on(Event::Waits(worker(1, 2)));
    assert_eq!(table.exited(worker(2, 1)), lent((0, 2), (2, 2)));
    table.on(Event::Ready(worker(2, 2)));
    assert_eq!(table.exited(worker(2, 2)), [prepare(0, 3)], "the other slot holds it now");
    assert_eq!(table.phase(2), Phase::GivenUp);
    assert!(matches!(spare_phase(&table, 1), Some(SparePhase::Waiting { .. })));
}

/// Its turn would wait for another spare, of which nothing reminds it.
#[test]
fn a_spare_that_waits_for_the_turn_of_its_slot_is_not_lent() {
    let mut table = table(2, 1, probed());
    assert_eq!(table.wait(), [prepare(0, 2)]);
    table.on(Event::Waits(worker(0, 2)));
    assert_eq!(table.on(Event::Restart(slot(0))), [Admit(worker(0, 2))]);
    assert_eq!(table.on(Event::Ready(worker(0, 2))), [Terminate(worker(0, 1))]);
    assert_eq!(table.wait(), [prepare(0, 3)]);
    table.on(Event::Waits(worker(0, 3)));
    assert_eq!(table.on(Event::Restart(slot(0))), [], "the first worker is not gone yet");
    assert_eq!(table.exited(worker(1, 1)), [respawn(1, 2)]);
    assert_eq!(table.exited(worker(0, 1)), [Admit(worker(0, 3))]);
}

#[test]
fn of_the_spares_of_slots_a_plan_keeps_as_many_as_their_pool_is_to_have() {
    let mut table = Table::up(&[(3, &[])], Policy { spare: own(), ..probed() });
    assert_eq!(table.wait(), [prepare(0, 2), prepare(1, 2), prepare(2, 2)]);
    table.on(Event::Waits(worker(1, 2)));
    let stopped = [Terminate(worker(0, 2)), Terminate(worker(2, 2))];
    assert_eq!(table.revise(&[], 0, set_rule(shared(), 1)), stopped, "these do not wait yet");
    assert_eq!(table.exited(worker(2, 1)), [respawn(2, 3)], "its own is not gone yet");
    table.succeeded(worker(0, 2));
    assert_eq!(table.exited(worker(0, 1)), lent((1, 2), (0, 3)));
}

#[test]
fn a_spare_of_a_pool_stays_where_each_slot_is_to_have_its_own() {
    let mut table = table(2, 1, probed());
    assert_eq!(table.wait(), [prepare(0, 2)]);
    table.on(Event::Waits(worker(0, 2)));
    assert_eq!(table.revise(&[], 0, set_rule(own(), 0)), [prepare(1, 2)]);
    assert_eq!(table.exited(worker(0, 1)), [Admit(worker(0, 2))]);
}

#[test]
fn a_changed_plan_says_how_long_a_spare_that_is_there_may_start_and_wait() {
    let age = Duration::from_secs(60);
    let rule = |within, max_age| SpareRule::Always { within, after: AFTER, max_age };
    let mut table = Table::up(&[(2, &[])], Policy { spare: own(), ..probed() });
    let began = table.now;
    assert_eq!(table.wait(), [prepare(0, 2), prepare(1, 2)]);
    table.on(Event::Waits(worker(0, 2)));
    assert_eq!(table.revise(&[], 0, set_rule(rule(WITHIN * 2, Some(age)), 0)), []);
    assert_eq!(table.wait(), [Terminate(worker(1, 2))]);
    assert_eq!(table.now - began, AFTER + WITHIN * 2);
    table.succeeded(worker(1, 2));
    table.on(Event::Tick);
    while table.now - began < AFTER + age {
        assert_ne!(table.wait(), [], "the spare of the other slot fails again and again");
    }
    assert!(matches!(spare_phase(&table, 0), Some(SparePhase::Stopping { .. })));
}

#[test]
fn a_slot_that_goes_to_another_pool_takes_no_spare_along() {
    let mut table = Table::up(&[(2, &[]), (2, &[])], Policy { spare: shared(), ..probed() });
    table.revise(&[], 0, |spec| spec.pools.iter_mut().for_each(|pool| pool.spares = 1));
    assert_eq!(table.wait(), [prepare(0, 2), prepare(2, 2)]);
    table.on(Event::Waits(worker(0, 2)));
    table.on(Event::Waits(worker(2, 2)));
    let answer = table.revise(&[], 0, |spec| spec.slots[0].pool = PoolId(1));
    assert_eq!(answer, [Terminate(worker(0, 2)), prepare(1, 2)]);
    assert_eq!(table.exited(worker(3, 1)), lent((2, 2), (3, 2)));
    assert_eq!(table.exited(worker(1, 1)), [Admit(worker(1, 2))]);
}

#[test]
fn a_restart_does_not_wait_for_the_backoff_of_a_spare() {
    let mut table = table(1, 1, probed());
    assert_eq!(table.wait(), [prepare(0, 2)]);
    assert_eq!(table.exited(worker(0, 2)), [prepare(0, 3)]);
    assert_eq!(table.exited(worker(0, 3)), []);
    assert!(matches!(spare_phase(&table, 0), Some(SparePhase::Backoff { .. })));
    assert_eq!(table.on(Event::Restart(slot(0))), [prepare(0, 4)]);
    assert_eq!(table.on(Event::Waits(worker(0, 4))), [Admit(worker(0, 4))]);
}
