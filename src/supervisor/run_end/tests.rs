//! When a pool ends the run, with which outcome, and what is stopped.

use std::num::NonZeroU32;

use Action::{Finish, Kill, ReportStop, Terminate};

use super::super::test_table::{Table, probed, slot, spawn, worker};
use super::super::{
    Backoff, Event, Exit, Policy, PoolId, Remains, Restart, Revision, Stop, StopKind, StopOrder,
    Wish,
};
use super::*;

/// Pool 0, which ends the run, comes after pool 1.
const PAIR: &[(usize, &[usize])] = &[(2, &[1]), (1, &[])];

fn never() -> Policy {
    Policy { restart: Restart::Never, ..probed() }
}

/// Pool 0 ends the run and is never restarted; the others are always.
fn table(pools: &[(usize, &[usize])]) -> Table {
    let mut table = Table::idle(pools, probed());
    table.revise(&[], 0, |spec| {
        spec.pools[0].ends_run = true;
        for entry in spec.slots.iter_mut().filter(|entry| entry.pool == PoolId(0)) {
            entry.policy = never();
        }
    });
    table
}

fn up(pools: &[(usize, &[usize])]) -> Table {
    let mut table = table(pools);
    let slots = table.spec.slots.len();
    for id in (0..slots).rev() {
        table.on(Event::Start(slot(id)));
        table.on(Event::Ready(worker(id, 1)));
    }
    assert_eq!(table.on(Event::Tick), []);
    table
}

fn exit(table: &mut Table, id: usize, exit: Exit) {
    let exited = Event::Exited { worker: worker(id, 1), exit, remains: Remains::Nothing };
    assert_eq!(table.on(exited), []);
}

fn failed(id: usize, exit: Exit) -> Failed {
    Failed { slot: slot(id), how: SlotFailure::Exit(exit) }
}

fn report(end: PoolEnd, workers: usize) -> Action {
    let (how, longest_grace) = if workers == 0 {
        (StopKind::Kill, std::time::Duration::ZERO)
    } else {
        (StopKind::Terminate, probed().grace)
    };
    let (reason, order) = (StopReason::Ended(end), StopOrder::AllAtOnce);
    ReportStop(Stop { reason, how, workers, longest_grace, order })
}

#[test]
fn when_all_slots_of_the_pool_have_ended_the_others_are_stopped() {
    let mut table = up(PAIR);
    exit(&mut table, 0, Exit::Code(0));
    assert_eq!(table.on(Event::Tick), [], "one is left");
    exit(&mut table, 1, Exit::Code(0));
    let end = PoolEnd::Ended { pool: PoolId(0), failed: None };
    assert_eq!(table.on(Event::Tick), [report(end, 1), Terminate(worker(2, 1))]);
    let finish = Finish { outcome: Outcome::Ended(None), stopping_since: Some(table.now) };
    assert_eq!(table.exited(worker(2, 1)), [finish], "how the others end does not count");
}

#[test]
fn the_outcome_is_the_first_failure_in_the_order_of_the_slots() {
    let mut table = up(&[(3, &[]), (1, &[])]);
    exit(&mut table, 2, Exit::Code(3));
    exit(&mut table, 1, Exit::Signal(9));
    exit(&mut table, 0, Exit::Code(0));
    let first = Exit::Signal(9);
    let end = PoolEnd::Ended { pool: PoolId(0), failed: Some(failed(1, first)) };
    assert_eq!(table.on(Event::Tick)[0], report(end, 1));
    let outcome = Outcome::Ended(Some(first));
    assert_eq!(
        table.succeeded(worker(3, 1)),
        [Finish { outcome, stopping_since: Some(table.now) }]
    );
}

#[test]
fn a_pool_of_which_a_slot_has_given_up_has_given_up() {
    let mut table = table(&[(2, &[]), (1, &[])]);
    (0..3).for_each(|id| drop(table.on(Event::Start(slot(id)))));
    exit(&mut table, 0, Exit::Code(7));
    assert_eq!(table.on(Event::SpawnFailed(worker(1, 1))), []);
    let failed = Failed { slot: slot(1), how: SlotFailure::GaveUp };
    let end = PoolEnd::Ended { pool: PoolId(0), failed: Some(failed) };
    assert_eq!(table.on(Event::Tick), [report(end, 1), Terminate(worker(2, 1))]);
    let finish = Finish { outcome: Outcome::GaveUp, stopping_since: Some(table.now) };
    assert_eq!(table.succeeded(worker(2, 1)), [finish]);
}

#[test]
fn a_pool_that_waits_for_a_failed_slot_ends_the_run_with_that_failure() {
    let mut table = table(PAIR);
    table.revise(&[], 0, |spec| spec.slots[2].policy = never());
    (0..3).for_each(|id| drop(table.on(Event::Start(slot(id)))));
    assert_eq!(table.on(Event::Tick), []);
    exit(&mut table, 2, Exit::Code(4));
    let failed = failed(2, Exit::Code(4));
    let end = PoolEnd::Blocked { pool: PoolId(0), failed };
    let outcome = Outcome::Ended(Some(Exit::Code(4)));
    let finish = Finish { outcome, stopping_since: Some(table.now) };
    assert_eq!(table.on(Event::Tick), [report(end, 0), finish]);
}

#[test]
fn a_pool_that_waits_by_way_of_another_ends_the_run_too_and_the_rest_is_stopped() {
    let backoff = Backoff { give_up_after: NonZeroU32::new(1), ..Backoff::default() };
    let mut table = table(&[(1, &[1]), (1, &[2]), (1, &[]), (1, &[])]);
    table.revise(&[], 0, |spec| spec.slots[2].policy.backoff = backoff);
    (0..4).for_each(|id| drop(table.on(Event::Start(slot(id)))));
    exit(&mut table, 2, Exit::Code(1));
    let failed = Failed { slot: slot(2), how: SlotFailure::GaveUp };
    let end = PoolEnd::Blocked { pool: PoolId(0), failed };
    assert_eq!(table.on(Event::Tick), [report(end, 1), Terminate(worker(3, 1))]);
}

#[test]
fn a_failure_of_what_it_comes_after_does_not_count_once_it_runs() {
    let mut table = up(PAIR);
    table.revise(&[], 0, |spec| spec.slots[2].policy = never());
    exit(&mut table, 2, Exit::Code(4));
    assert_eq!(table.on(Event::Tick), []);
}

#[test]
fn a_slot_that_was_stopped_keeps_the_run_and_one_that_the_plan_drops_does_not() {
    let mut table = up(PAIR);
    exit(&mut table, 0, Exit::Code(0));
    assert_eq!(table.on(Event::Stop(slot(1))), [Terminate(worker(1, 1))]);
    exit(&mut table, 1, Exit::Code(0));
    assert_eq!(table.on(Event::Tick), []);
    assert_eq!(table.revise(&[], 0, |spec| spec.slots.retain(|entry| entry.slot != slot(1))), []);
    assert_eq!(table.on(Event::Tick).len(), 2);
}

#[test]
fn a_plan_that_makes_a_pool_end_the_run_is_heeded_by_the_next_tick_and_one_that_runs_it_again_wins()
{
    let mut table = up(PAIR);
    table.revise(&[], 0, |spec| spec.pools[0].ends_run = false);
    (0..2).for_each(|id| exit(&mut table, id, Exit::Code(0)));
    assert_eq!(table.on(Event::Tick), []);
    let again = table.revise(&[0], 1, |spec| spec.pools[0].ends_run = true);
    let revision = Revision(1);
    assert!(matches!(again[..], [Action::Spawn { revision: of, .. }] if of == revision));
    assert_eq!(table.on(Event::Tick), []);
    table.on(Event::Ready(worker(0, 2)));
    table.succeeded(worker(0, 2));
    assert_eq!(table.on(Event::Tick).len(), 2);
}

#[test]
fn a_run_of_that_pool_alone_ends_with_its_outcome_and_not_with_an_older_failure() {
    let mut table = up(&[(1, &[])]);
    exit(&mut table, 0, Exit::Code(5));
    assert_eq!(table.on(Event::Start(slot(0))), [spawn(0, 2)]);
    table.on(Event::Ready(worker(0, 2)));
    assert_eq!(table.succeeded(worker(0, 2)), []);
    let end = PoolEnd::Ended { pool: PoolId(0), failed: None };
    let finish = Finish { outcome: Outcome::Ended(None), stopping_since: Some(table.now) };
    assert_eq!(table.on(Event::Tick), [report(end, 0), finish]);
}

#[test]
fn a_wish_before_the_end_stops_the_run_and_one_after_it_kills_and_keeps_the_outcome() {
    let mut table = up(PAIR);
    (0..2).for_each(|id| exit(&mut table, id, Exit::Code(2)));
    assert_eq!(table.asked(Wish::Interrupt), [Terminate(worker(2, 1))]);
    let finish = Finish { outcome: Outcome::Stopped, stopping_since: Some(table.now) };
    assert_eq!(table.succeeded(worker(2, 1)), [finish]);

    let mut table = up(PAIR);
    (0..2).for_each(|id| exit(&mut table, id, Exit::Code(2)));
    table.on(Event::Tick);
    let since = Some(table.now);
    table.now += std::time::Duration::from_secs(1);
    assert_eq!(table.asked(Wish::Interrupt), [Kill(worker(2, 1))]);
    let outcome = Outcome::Ended(Some(Exit::Code(2)));
    assert_eq!(table.exited(worker(2, 1)), [Finish { outcome, stopping_since: since }]);
}
