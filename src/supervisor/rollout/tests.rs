//! Rolling restarts: which worker is replaced when, and by which revision.

use std::num::NonZeroU32;
use std::time::Duration;

use Action::Terminate;

use super::super::test_table::{Table, probed, slot, spawn, worker};
use super::super::{
    Action, Backoff, Event, Phase, Policy, PortProbe, Revision, SpareRule, TableSpec, Transition,
    Wish,
};

/// The replacement of a worker that was ready.
fn replacement(slot: usize, generation: u64, revision: u64) -> Action {
    let revision = Revision(revision);
    Action::Spawn { worker: worker(slot, generation), revision, port: PortProbe::Skipped }
}

#[test]
fn a_roll_replaces_the_next_worker_only_when_the_last_one_is_ready() {
    let mut table = Table::ready(3);
    assert_eq!(table.revise(&[0, 2], 1, |_| {}), [Terminate(worker(0, 1))]);
    assert_eq!(table.reports, [Transition::Replacing(worker(0, 1))]);
    assert_eq!(table.succeeded(worker(0, 1)), [replacement(0, 2, 1)]);
    assert_eq!(table.on(Event::Tick), []);
    assert_eq!(table.on(Event::Ready(worker(0, 2))), [Terminate(worker(2, 1))]);
    assert_eq!(table.succeeded(worker(2, 1)), [replacement(2, 2, 1)]);
    assert_eq!(table.on(Event::Ready(worker(2, 2))), []);
    assert_eq!(table.at(1).generation(), 1);
}

#[test]
fn a_roll_waits_for_a_replaced_worker_that_has_crashed_since() {
    let mut table = Table::ready(3);
    table.revise(&[0, 1, 2], 1, |_| {});
    table.succeeded(worker(0, 1));
    table.on(Event::Ready(worker(0, 2)));
    table.exited(worker(0, 2));
    table.succeeded(worker(1, 1));
    assert_eq!(table.on(Event::Ready(worker(1, 2))), []);
    assert_eq!(table.on(Event::Ready(worker(0, 3))), [Terminate(worker(2, 1))]);
}

#[test]
fn a_worker_replaced_in_an_earlier_roll_does_not_block_the_next_roll() {
    let mut table = Table::ready(2);
    table.revise(&[0], 1, |_| {});
    table.succeeded(worker(0, 1));
    table.on(Event::Ready(worker(0, 2)));
    table.exited(worker(0, 2));
    assert_eq!(table.revise(&[1], 1, |_| {}), [Terminate(worker(1, 1))]);
}

#[test]
fn a_blocked_roll_goes_on_when_the_plan_changes_again() {
    let mut table = Table::ready(2);
    table.revise(&[0, 1], 1, |_| {});
    table.succeeded(worker(0, 1));
    assert_eq!(table.revise(&[0, 1], 2, |_| {}), [Terminate(worker(0, 2))]);
    table.succeeded(worker(0, 2));
    assert_eq!(table.on(Event::Ready(worker(0, 3))), [Terminate(worker(1, 1))]);
}

#[test]
fn a_plan_that_goes_back_to_the_old_revision_withdraws_the_replacement() {
    let mut table = Table::ready(2);
    table.revise(&[0, 1], 1, |_| {});
    assert!(table.at(1).needs(Revision(0)));
    assert!(table.at(1).needs(Revision(1)));
    assert_eq!(table.revise(&[1], 0, |_| {}), []);
    assert!(!table.at(1).needs(Revision(1)));
    table.succeeded(worker(0, 1));
    assert_eq!(table.on(Event::Ready(worker(0, 2))), []);
}

#[test]
fn a_worker_that_is_being_replaced_is_followed_by_the_revision_that_the_plan_goes_back_to() {
    let mut table = Table::ready(1);
    assert_eq!(table.revise(&[0], 1, |_| {}), [Terminate(worker(0, 1))]);
    assert_eq!(table.revise(&[0], 0, |_| {}), []);
    assert_eq!(table.at(0).due_revision(), Some(Revision(0)));
    assert_eq!(table.succeeded(worker(0, 1)), [replacement(0, 2, 0)]);
}

#[test]
fn a_replaced_worker_blocks_the_roll_even_if_a_second_replacement_of_it_is_withdrawn() {
    let mut table = Table::ready(3);
    table.revise(&[0, 1, 2], 1, |_| {});
    table.succeeded(worker(0, 1));
    table.on(Event::Ready(worker(0, 2)));
    table.revise(&[0, 1, 2], 2, |_| {});
    table.revise(&[0], 1, |_| {});
    table.exited(worker(0, 2));
    table.succeeded(worker(1, 1));
    assert_eq!(table.on(Event::Ready(worker(1, 2))), []);
    assert_eq!(table.on(Event::Ready(worker(0, 3))), [Terminate(worker(2, 1))]);
}

#[test]
fn a_worker_that_exits_while_it_waits_to_be_replaced_is_followed_by_the_new_revision() {
    let mut table = Table::ready(2);
    table.revise(&[0, 1], 1, |_| {});
    assert_eq!(table.exited(worker(1, 1)), [replacement(1, 2, 1)]);
    table.succeeded(worker(0, 1));
    assert_eq!(table.on(Event::Ready(worker(0, 2))), []);
    assert_eq!(table.on(Event::Ready(worker(1, 2))), []);
}

#[test]
fn a_new_policy_holds_at_once_for_a_kept_worker_and_from_the_next_worker_on_for_a_replaced_one() {
    let mut table = Table::ready(2);
    let short = Duration::from_millis(7);
    let alter = |spec: &mut TableSpec| {
        spec.slots.iter_mut().for_each(|entry| entry.policy.grace = short);
    };
    table.revise(&[0], 1, alter);
    assert_eq!(table.at(0).policy().grace, probed().grace);
    assert_eq!(table.at(1).policy().grace, short);
    table.succeeded(worker(0, 1));
    assert_eq!(table.at(0).policy().grace, short);
}

#[test]
fn slots_that_are_not_ready_are_replaced_immediately() {
    let backoff = Backoff { give_up_after: NonZeroU32::new(1), ..Backoff::default() };
    let mut table = Table::idle(&[(4, &[])], Policy { backoff, ..probed() });
    (0..3).for_each(|id| drop(table.on(Event::Start(slot(id)))));
    table.on(Event::Ready(worker(0, 1)));
    table.exited(worker(2, 1));
    assert_eq!(table.phase(2), Phase::GivenUp);
    let revision = Revision(1);
    let spawn = Action::Spawn { worker: worker(2, 2), revision, port: PortProbe::Needed };
    let answer = table.revise(&[0, 1, 2, 3], 1, |_| {});
    assert_eq!(answer, [spawn, Terminate(worker(1, 1))]);
    assert_eq!(table.phase(3), Phase::Idle);
    assert_eq!(table.at(3).revision(), revision);
}

#[test]
fn a_drain_ends_all_rolls() {
    let mut table = Table::ready(2);
    assert_eq!(table.asked(Wish::Terminate).len(), 2);
    assert_eq!(table.revise(&[0, 1], 1, |_| {}), []);
    assert_eq!(table.succeeded(worker(0, 1)), []);
}

#[test]
fn a_new_slot_is_not_started_by_a_plan() {
    let mut table = Table::ready(1);
    let answer = table.revise(&[], 0, |spec| {
        let entry = spec.slots[0];
        spec.slots.push(crate::supervisor::SlotEntry { slot: slot(1), ..entry });
    });
    assert_eq!(answer, []);
    assert_eq!(table.on(Event::Start(slot(1))), [spawn(1, 1)]);
}

/// As above, where spares replace the workers and its second turn had come.
#[test]
fn a_replaced_worker_blocks_the_roll_even_if_its_second_turn_is_withdrawn() {
    let spare = SpareRule::ToReplace { within: Duration::from_secs(10) };
    let mut table = Table::up(&[(3, &[])], Policy { spare, ..probed() });
    let prepare = |slot, generation, revision| Action::Prepare {
        worker: worker(slot, generation),
        revision: Revision(revision),
    };
    assert_eq!(table.revise(&[0, 1, 2], 1, |_| {}), [prepare(0, 2, 1)]);
    table.on(Event::Waits(worker(0, 2)));
    assert_eq!(table.on(Event::Ready(worker(0, 2))), [Terminate(worker(0, 1)), prepare(1, 2, 1)]);
    table.on(Event::Waits(worker(1, 2)));
    assert_eq!(table.revise(&[0], 2, |_| {}), [], "the worker of the other slot is not ready yet");
    assert_eq!(table.on(Event::Ready(worker(1, 2))), [Terminate(worker(1, 1)), prepare(0, 3, 2)]);
    table.exited(worker(1, 2));
    assert_eq!(table.revise(&[0], 1, |_| {}), [Terminate(worker(0, 3))]);
    assert_eq!(table.exited(worker(0, 2)), [replacement(0, 4, 1)]);
    assert_eq!(table.on(Event::Ready(worker(1, 3))), [], "it waits for the first slot");
    assert_eq!(table.on(Event::Ready(worker(0, 4))), [prepare(2, 2, 1)]);
}

/// Its pool is needed, so that its worker stays meanwhile, and the other slot has had its turn.
#[test]
fn a_slot_that_was_stopped_and_started_waits_for_its_turn_again() {
    let spare = SpareRule::ToReplace { within: Duration::from_secs(10) };
    let mut table = Table::up(&[(2, &[]), (1, &[0])], Policy { spare, ..probed() });
    let prepare = |slot, generation| Action::Prepare {
        worker: worker(slot, generation),
        revision: Revision(1),
    };
    assert_eq!(table.revise(&[0, 1], 1, |_| {}), [prepare(0, 2)]);
    assert_eq!(table.on(Event::Stop(slot(2))), [Terminate(worker(2, 1))]);
    assert_eq!(table.on(Event::Stop(slot(0))), [Terminate(worker(0, 2)), prepare(1, 2)]);
    table.on(Event::Waits(worker(1, 2)));
    table.succeeded(worker(0, 2));
    assert_eq!(table.on(Event::Start(slot(0))), []);
    assert_eq!(table.on(Event::Ready(worker(1, 2))), [Terminate(worker(1, 1)), prepare(0, 3)]);
}
