//! What concerns the run as a whole, and what an event costs.

use std::num::NonZeroU32;
use std::time::Duration;

use super::table::take_visits;
use super::test_table::{Table, at_exec, probed, respawn, slot, spawn, worker};
use super::*;

#[test]
fn the_run_finishes_once_and_only_when_every_slot_is_empty() {
    let mut table = Table::ready(2);
    let since = table.now;
    assert_eq!(table.asked(Wish::Terminate).len(), 2);
    assert_eq!(table.exited(worker(0, 1)), []);
    table.now += Duration::from_secs(1);
    let finish = Action::Finish { outcome: Outcome::Stopped, stopping_since: Some(since) };
    assert_eq!(table.exited(worker(1, 1)), [finish]);
    assert_eq!(table.on(Event::Tick), []);
    assert_eq!(table.on(Event::Start(slot(0))), []);
}

#[test]
fn a_run_finishes_when_its_last_slot_gives_up() {
    let backoff = Backoff { give_up_after: NonZeroU32::new(1), ..Default::default() };
    let mut table = Table::of(1, &Policy { backoff, ..probed() });
    let finish = Action::Finish { outcome: Outcome::GaveUp, stopping_since: None };
    assert_eq!(table.exited(worker(0, 1)), [finish]);
}

#[test]
fn a_run_that_ends_by_itself_has_the_first_failure() {
    let mut table = Table::of(3, &Policy { restart: Restart::Never, ..Policy::default() });
    for (slot, code) in [(0, 0), (1, 7)] {
        let worker = worker(slot, 1);
        let exit = Exit::Code(code);
        assert_eq!(table.on(Event::Exited { worker, exit, remains: Remains::Nothing }), []);
    }
    let outcome = Outcome::Ended(Some(Exit::Code(7)));
    let finish = Action::Finish { outcome, stopping_since: None };
    assert_eq!(table.exited(worker(2, 1)), [finish]);
}

#[test]
fn a_late_event_about_an_older_generation_changes_nothing() {
    let mut table = Table::ready(1);
    table.exited(worker(0, 1));
    let phase = table.phase(0);
    assert_eq!(table.exited(worker(0, 1)), []);
    assert_eq!(table.on(Event::Ready(worker(0, 1))), []);
    assert_eq!(table.on(Event::Emptied(worker(0, 1))), []);
    assert_eq!(table.phase(0), phase);
}

#[test]
fn a_tick_reaches_only_the_slots_whose_deadlines_have_come() {
    let mut table = Table::of(3, &probed());
    table.on(Event::Ready(worker(1, 1)));
    table.now += Duration::from_secs(1);
    table.on(Event::Stop(slot(1)));
    assert_eq!(table.wait(), [Action::Kill(worker(1, 1))]);
    assert!(matches!(table.phase(0), Phase::Starting { .. }));
}

/// How many slots are looked at in the life of a worker, in a table of this many slots.
fn visits(slots: usize) -> Vec<usize> {
    let mut table = Table::up(&[(slots, &[1]), (1, &[])], probed());
    let mut visits = Vec::new();
    let mut count = || visits.push(take_visits());
    count();
    assert_eq!(table.exited(worker(0, 1)), [respawn(0, 2)]);
    count();
    table.on(Event::Spawned(worker(0, 2)));
    count();
    table.on(Event::Ready(worker(0, 2)));
    count();
    table.on(Event::Tick);
    count();
    table.on(Event::Stop(slot(0)));
    table.supervisor.next_deadline();
    count();
    assert_eq!(table.wait(), [Action::Kill(worker(0, 2))]);
    count();
    visits.remove(0);
    visits
}

#[test]
fn the_cost_of_an_event_does_not_depend_on_the_number_of_slots() {
    let few = visits(2);
    assert_eq!(few, visits(200));
    assert!(few.iter().all(|visits| *visits <= 6), "{few:?}");
}

#[test]
fn the_workers_that_are_ending_are_known_without_a_look_at_the_others() {
    let mut table = Table::ready(200);
    let ending = |table: &Table| Vec::from_iter(table.supervisor.ending().map(Slot::id));
    take_visits();
    assert!(!table.supervisor.is_any_ending());
    assert_eq!(ending(&table), []);
    table.on(Event::Stop(slot(7)));
    table.on(Event::Stop(slot(3)));
    take_visits();
    assert_eq!(ending(&table), [slot(3), slot(7)]);
    assert_eq!(take_visits(), 2);
    assert_eq!(table.wait(), [Action::Kill(worker(3, 1)), Action::Kill(worker(7, 1))]);
    assert_eq!(ending(&table), [slot(3), slot(7)]);
    table.exited(worker(3, 1));
    table.exited(worker(7, 1));
    assert!(!table.supervisor.is_any_ending());
}

#[test]
fn a_start_that_waits_for_many_slots_does_not_walk_over_them() {
    let mut table = Table::idle(&[(1, &[1]), (200, &[])], at_exec());
    assert_eq!(table.on(Event::Start(slot(0))), []);
    assert_eq!(table.on(Event::Start(slot(1))), [spawn(1, 1)]);
    take_visits();
    table.on(Event::Spawned(worker(1, 1)));
    assert!(take_visits() <= 4);
}
