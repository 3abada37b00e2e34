//! Start order and stop order across pools, and slots that a plan drops.

use std::num::NonZeroU32;

use Action::{Finish, Kill, Terminate};

use super::super::test_table::{Table, probed, respawn, slot, spawn, worker};
use super::super::{
    Action, Backoff, Event, Next, Outcome, Phase, Policy, PoolId, Restart, Transition, Wanted, Wish,
};

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
        assert_eq!(table.on(Event::Start(slot(id))), [spawn(id, 1)]);
    }
    table.on(Event::Ready(worker(1, 1)));
    table.on(Event::Ready(worker(3, 1)));
    assert_eq!(table.supervisor.waits_for(slot(0)), [PoolId(1)]);
    assert_eq!(table.supervisor.waiting_for(PoolId(1)), [PoolId(0)]);
    assert_eq!(table.supervisor.waiting_for(PoolId(2)), []);
    assert_eq!(table.on(Event::Ready(worker(2, 1))), [spawn(0, 1)]);
    assert_eq!(table.supervisor.waits_for(slot(0)), []);
}

#[test]
fn a_one_shot_that_succeeded_lets_others_start_and_one_that_failed_blocks_them() {
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
    assert_eq!(table.on(Event::Start(slot(1))), [spawn(1, 2)]);
    assert_eq!(table.succeeded(worker(1, 2)), [spawn(0, 1)]);
}

#[test]
fn a_pool_that_was_stopped_or_has_no_slots_blocks_no_start() {
    let mut table = Table::idle(&[(1, &[1, 2, 7]), (1, &[]), (0, &[])], probed());
    table.on(Event::Start(slot(0)));
    assert_eq!(table.on(Event::Stop(slot(1))), [spawn(0, 1)]);
}

#[test]
fn only_a_start_from_idle_waits_for_other_pools() {
    let mut table = Table::up(&[(1, &[1]), (1, &[])], probed());
    table.exited(worker(1, 1));
    assert_eq!(table.exited(worker(0, 1)), [respawn(0, 2)]);
    table.on(Event::Stop(slot(0)));
    table.exited(worker(0, 2));
    assert_eq!(table.on(Event::Start(slot(0))), []);
    assert_eq!(table.on(Event::Ready(worker(1, 2))), [spawn(0, 3)]);
}

#[test]
fn a_run_is_over_when_every_slot_that_is_left_waits_for_one_that_gave_up() {
    let mut table = Table::idle(CHAIN, gives_up());
    (0..3).for_each(|id| drop(table.on(Event::Start(slot(id)))));
    assert_eq!(
        table.exited(worker(2, 1)),
        [Finish { outcome: Outcome::GaveUp, stopping_since: None }]
    );
}

#[test]
fn a_drain_stops_each_pool_before_the_pools_that_it_comes_after() {
    let mut table = Table::up(CHAIN, probed());
    let since = table.now;
    assert_eq!(table.asked(Wish::Terminate), [Terminate(worker(0, 1))]);
    assert_eq!(table.leader_exited(worker(0, 1)), []);
    assert_eq!(table.on(Event::Emptied(worker(0, 1))), [Terminate(worker(1, 1))]);
    let waited = table.now;
    assert_eq!(table.wait(), [Kill(worker(1, 1))]);
    assert_eq!(table.now - waited, probed().grace);
    assert_eq!(table.succeeded(worker(1, 1)), [Terminate(worker(2, 1))]);
    let finish = Finish { outcome: Outcome::Stopped, stopping_since: Some(since) };
    assert_eq!(table.succeeded(worker(2, 1)), [finish]);
}

#[test]
fn the_stop_order_holds_across_an_empty_pool() {
    let mut table = Table::up(CHAIN, probed());
    table.on(Event::Stop(slot(1)));
    table.succeeded(worker(1, 1));
    assert_eq!(table.asked(Wish::Terminate), [Terminate(worker(0, 1))]);
}

#[test]
fn a_kill_ignores_the_stop_order() {
    let mut table = Table::up(CHAIN, probed());
    let kills = [Kill(worker(0, 1)), Kill(worker(1, 1)), Kill(worker(2, 1))];
    assert_eq!(table.asked(Wish::Quit), kills);
}

#[test]
fn a_single_slot_stops_at_once_even_if_running_pools_come_after_it() {
    let mut table = Table::up(CHAIN, probed());
    assert_eq!(table.on(Event::Stop(slot(2))), [Terminate(worker(2, 1))]);
}

#[test]
fn a_worker_that_waits_to_be_stopped_stays_if_its_slot_is_started_and_is_not_replaced_if_it_exits()
{
    let mut table = Table::up(CHAIN, probed());
    (0..3).for_each(|id| drop(table.on(Event::Stop(slot(id)))));
    assert_eq!(table.on(Event::Start(slot(1))), []);
    assert_eq!(table.exited(worker(2, 1)), []);
    assert!(
        matches!(table.reports[..], [Transition::Crashed { next: Next::Down, .. }]),
        "{:?}",
        table.reports
    );
    assert_eq!(table.succeeded(worker(0, 1)), []);
    assert!(matches!(table.phase(1), Phase::Ready { .. }));
}

#[test]
fn a_slot_that_the_plan_drops_is_stopped_and_forgotten() {
    let mut table = Table::ready(2);
    let answer = table.revise(&[], 0, |spec| {
        let mut last = spec.slots.pop().unwrap();
        last.slot = slot(2);
        spec.slots.push(last);
    });
    assert_eq!(answer, [Terminate(worker(1, 1))]);
    assert_eq!(table.at(1).wanted(), Wanted::Gone);
    table.on(Event::Stop(slot(1)));
    assert_eq!(table.succeeded(worker(1, 1)), []);
    assert!(table.supervisor.slot(slot(1)).is_none());
    assert_eq!(table.on(Event::Start(slot(1))), []);
    assert_eq!(table.succeeded(worker(1, 1)), []);
    assert_eq!(table.on(Event::Start(slot(2))), [spawn(2, 1)]);
}

#[test]
fn a_slot_that_the_plan_drops_and_takes_back_before_it_is_stopped_keeps_its_worker() {
    let mut table = Table::up(CHAIN, probed());
    let mut all = Vec::new();
    table.revise(&[], 0, |spec| all = std::mem::take(&mut spec.slots));
    table.revise(&[], 0, |spec| spec.slots = all);
    assert_eq!(table.on(Event::Start(slot(2))), []);
    (0..2).for_each(|id| drop(table.on(Event::Start(slot(id)))));
    assert_eq!(table.succeeded(worker(0, 1)), [respawn(0, 2)]);
    assert_eq!(table.at(2).generation(), 1);
}

#[test]
fn pools_that_the_plan_drops_still_stop_in_order() {
    let mut table = Table::up(CHAIN, probed());
    let answer = table.revise(&[], 0, |spec| {
        spec.pools.clear();
        spec.slots.clear();
    });
    assert_eq!(answer, [Terminate(worker(0, 1))]);
    assert_eq!(table.succeeded(worker(0, 1)), [Terminate(worker(1, 1))]);
    assert_eq!(table.succeeded(worker(1, 1)), [Terminate(worker(2, 1))]);
    assert_eq!(table.succeeded(worker(2, 1)), []);
    assert_eq!(table.supervisor.slots().count(), 0);
}

/// The pool that it has left waits for it no more, and what it needs is asked of the other pool.
#[test]
fn what_a_slot_shows_to_others_goes_with_it_to_another_pool() {
    let mut table = Table::idle(&[(1, &[]), (1, &[]), (1, &[0])], probed());
    assert_eq!(table.on(Event::Start(slot(0))), [spawn(0, 1)]);
    assert_eq!(table.on(Event::Start(slot(2))), []);
    let answer = table.revise(&[0], 1, |spec| spec.slots[0].pool = PoolId(1));
    assert_eq!(answer, [spawn(2, 1), Terminate(worker(0, 1))]);
}
