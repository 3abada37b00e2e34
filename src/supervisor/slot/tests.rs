//! One slot in all its phases.

use std::num::NonZeroU32;
use std::time::Duration;

use super::super::backoff::Backoff;
use super::super::event::{Action, Event, Next, Outcome, Transition, Wish};
use super::super::ids::Exit;
use super::super::phase::Phase;
use super::super::policy::{MaxRestarts, Policy, Readiness, Restart, SpareRule};
use super::super::test_table::{Table, at_exec, probed, respawn, slot, spawn, worker};

#[test]
fn a_ready_worker_that_exits_is_replaced_at_once_every_time() {
    let mut table = Table::ready(3);
    for generation in 1..200 {
        let spawned = table.exited(worker(1, generation));
        assert_eq!(spawned, [respawn(1, generation + 1)]);
        table.on(Event::Ready(worker(1, generation + 1)));
    }
    assert_eq!(table.at(0).generation(), 1);
}

#[test]
fn failed_starts_back_off_longer_each_time_until_a_worker_is_ready() {
    let mut table = Table::of(1, &probed());
    assert_eq!(table.exited(worker(0, 1)), [spawn(0, 2)]);
    assert_eq!(table.exited(worker(0, 2)), []);
    let before = table.now;
    assert_eq!(table.wait(), [spawn(0, 3)]);
    assert!(table.now - before >= Duration::from_millis(100));
    table.on(Event::Ready(worker(0, 3)));
    assert_eq!(table.exited(worker(0, 3)), [respawn(0, 4)]);
    assert_eq!(table.exited(worker(0, 4)), [spawn(0, 5)]);
}

#[test]
fn a_spawn_that_the_kernel_refuses_is_a_failed_start() {
    let mut table = Table::of(1, &probed());
    assert_eq!(table.on(Event::SpawnFailed(worker(0, 1))), [spawn(0, 2)]);
    assert_eq!(table.on(Event::SpawnFailed(worker(0, 2))), []);
    assert!(matches!(table.phase(0), Phase::Backoff { .. }));
}

#[test]
fn no_worker_is_spawned_before_the_swept_group_is_empty() {
    let mut table = Table::ready(1);
    assert_eq!(table.leader_exited(worker(0, 1)), []);
    assert!(matches!(table.phase(0), Phase::Killing { .. }));
    assert_eq!(table.on(Event::Emptied(worker(0, 1))), [respawn(0, 2)]);
}

#[test]
fn members_that_outlive_a_stopped_leader_keep_the_rest_of_the_grace() {
    let mut table = Table::ready(1);
    assert_eq!(table.on(Event::Stop(slot(0))), [Action::Terminate(worker(0, 1))]);
    let phase = table.phase(0);
    assert_eq!(table.leader_exited(worker(0, 1)), []);
    assert_eq!(table.phase(0), phase);
    assert_eq!(table.wait(), [Action::Kill(worker(0, 1))]);
    assert_eq!(table.on(Event::Emptied(worker(0, 1))), []);
    assert_eq!(table.phase(0), Phase::Idle);
}

#[test]
fn a_stopped_slot_is_not_respawned() {
    let mut table = Table::ready(1);
    table.on(Event::Stop(slot(0)));
    assert_eq!(table.exited(worker(0, 1)), []);
    assert_eq!(table.phase(0), Phase::Idle);
    assert_eq!(table.supervisor.next_deadline(), None);
}

#[test]
fn a_slot_started_while_it_stops_gets_a_worker_when_the_group_is_empty() {
    let mut table = Table::ready(1);
    table.on(Event::Stop(slot(0)));
    assert_eq!(table.on(Event::Start(slot(0))), []);
    assert_eq!(table.exited(worker(0, 1)), [respawn(0, 2)]);
}

#[test]
fn a_kill_does_not_wait_for_the_grace() {
    let mut table = Table::ready(1);
    table.asked(Wish::Terminate);
    assert_eq!(table.asked(Wish::Quit), [Action::Kill(worker(0, 1))]);
    assert_eq!(table.wait(), [Action::Kill(worker(0, 1))]);
}

#[test]
fn a_grace_of_zero_kills_at_once() {
    let mut table = Table::of(1, &Policy { grace: Duration::ZERO, ..probed() });
    assert_eq!(table.asked(Wish::Terminate), [Action::Kill(worker(0, 1))]);
}

#[test]
fn a_worker_that_is_not_ready_in_time_is_terminated_and_counts_as_a_failed_start() {
    let mut table = Table::of(1, &probed());
    assert_eq!(table.wait(), [Action::Terminate(worker(0, 1))]);
    assert_eq!(table.reports, [Transition::NeverReady(worker(0, 1))]);
    assert_eq!(table.exited(worker(0, 1)), [spawn(0, 2)]);
    table.wait();
    assert_eq!(table.exited(worker(0, 2)), []);
}

#[test]
fn without_a_probe_a_worker_is_ready_when_it_has_lived_long_enough() {
    let mut table = Table::of(1, &Policy::default());
    assert_eq!(table.supervisor.next_deadline(), None, "it is on its way to its program");
    table.now += Duration::from_secs(60);
    assert_eq!(table.on(Event::Spawned(worker(0, 1))), []);
    assert_eq!(table.on(Event::Tick), []);
    assert_eq!(table.reports, []);
    assert_eq!(table.wait(), []);
    assert_eq!(table.reports, [Transition::Ready(worker(0, 1))]);
}

#[test]
fn a_worker_that_is_stopped_on_its_way_to_its_program_may_exec_or_fail_to() {
    for is_killed in [false, true] {
        let mut table = Table::of(1, &Policy::default());
        assert_eq!(table.on(Event::Stop(slot(0))), [Action::Terminate(worker(0, 1))]);
        if is_killed {
            assert_eq!(table.wait(), [Action::Kill(worker(0, 1))]);
        }
        assert_eq!(table.on(Event::Spawned(worker(0, 1))), []);
        assert_eq!(table.on(Event::SpawnFailed(worker(0, 1))), []);
        assert_eq!(table.phase(0), Phase::Idle);
    }
}

#[test]
fn a_worker_that_is_ready_at_exec_can_only_fail_to_spawn() {
    let mut table = Table::of(1, &at_exec());
    for generation in 1..10 {
        table.on(Event::Spawned(worker(0, generation)));
        let spawned = table.exited(worker(0, generation));
        assert_eq!(spawned, [respawn(0, generation + 1)]);
    }
    assert_eq!(table.on(Event::SpawnFailed(worker(0, 10))), [spawn(0, 11)]);
    assert_eq!(table.on(Event::SpawnFailed(worker(0, 11))), []);
}

#[test]
fn a_worker_that_lived_long_enough_was_ready_even_if_its_exit_comes_before_the_tick() {
    let mut table = Table::of(1, &Policy::default());
    table.exited(worker(0, 1));
    table.on(Event::Spawned(worker(0, 2)));
    table.now += Duration::from_secs(1);
    assert_eq!(table.exited(worker(0, 2)), [respawn(0, 3)]);
    assert!(
        matches!(table.reports[..], [Transition::Ready(_), Transition::Crashed { .. }]),
        "{:?}",
        table.reports
    );
}

#[test]
fn a_slot_gives_up_after_the_configured_number_of_failed_starts_until_it_is_started_again() {
    let backoff = Backoff { give_up_after: NonZeroU32::new(2), ..Default::default() };
    let mut table = Table::of(2, &Policy { backoff, ..probed() });
    table.on(Event::Ready(worker(1, 1)));
    table.exited(worker(0, 1));
    assert_eq!(table.exited(worker(0, 2)), []);
    assert_eq!(table.phase(0), Phase::GivenUp);
    assert_eq!(table.on(Event::Start(slot(0))), [spawn(0, 3)]);
    table.exited(worker(0, 3));
    table.exited(worker(0, 4));
    assert_eq!(table.on(Event::Stop(slot(1))), [Action::Terminate(worker(1, 1))]);
}

#[test]
fn a_slot_gives_up_at_the_first_restart_above_max_restarts() {
    let count = NonZeroU32::new(2).unwrap();
    let within = Duration::from_secs(60);
    let max_restarts = Some(MaxRestarts { count, within });
    let mut table = Table::of(1, &Policy { max_restarts, ..at_exec() });
    for generation in 1..3 {
        table.on(Event::Spawned(worker(0, generation)));
        let spawned = table.exited(worker(0, generation));
        assert_eq!(spawned, [respawn(0, generation + 1)]);
    }
    table.on(Event::Spawned(worker(0, 3)));
    assert_eq!(
        table.exited(worker(0, 3)),
        [Action::Finish { outcome: Outcome::GaveUp, stopping_since: None }]
    );
    let next = Next::TooManyRestarts;
    let exit = Exit::Code(255);
    assert_eq!(table.reports, [Transition::Crashed { worker: worker(0, 3), exit, next }]);
}

#[test]
fn a_hung_worker_is_terminated_killed_and_replaced_at_once() {
    let mut table = Table::ready(1);
    assert_eq!(table.on(Event::Hung(worker(0, 1))), [Action::Terminate(worker(0, 1))]);
    assert_eq!(table.reports, [Transition::Hung(worker(0, 1))]);
    assert_eq!(table.on(Event::Hung(worker(0, 1))), []);
    assert_eq!(table.wait(), [Action::Kill(worker(0, 1))]);
    assert_eq!(table.exited(worker(0, 1)), [respawn(0, 2)]);
    assert_eq!(table.on(Event::Hung(worker(0, 2))), []);
    assert_eq!(table.at(0).failures(), 0);
}

#[test]
fn a_hang_is_a_failure_even_if_the_worker_then_exits_with_0() {
    for (restart, ends) in [(Restart::Never, true), (Restart::OnFailure, false)] {
        let mut table = Table::of(1, &Policy { restart, ..probed() });
        table.on(Event::Ready(worker(0, 1)));
        table.on(Event::Hung(worker(0, 1)));
        let answer = table.succeeded(worker(0, 1));
        let outcome = Outcome::Ended(Some(Exit::Code(1)));
        let ended = Action::Finish { outcome, stopping_since: None };
        assert_eq!(answer, [if ends { ended } else { respawn(0, 2) }]);
    }
}

#[test]
fn a_new_time_to_become_ready_counts_from_the_spawn() {
    let mut table = Table::of(1, &probed());
    table.now += Duration::from_secs(10);
    table.revise(&[], 0, |spec| {
        let within = Duration::from_secs(15);
        spec.slots[0].policy.ready = Readiness::Probe { within };
    });
    let before = table.now;
    assert_eq!(table.wait(), [Action::Terminate(worker(0, 1))]);
    assert_eq!(table.now - before, Duration::from_secs(5));
}

#[test]
fn a_start_during_the_last_failed_start_resets_the_count() {
    let backoff = Backoff { give_up_after: NonZeroU32::new(1), ..Backoff::default() };
    let mut table = Table::of(1, &Policy { backoff, ..probed() });
    assert_eq!(table.leader_exited(worker(0, 1)), []);
    table.on(Event::Start(slot(0)));
    assert_eq!(table.on(Event::Emptied(worker(0, 1))), [spawn(0, 2)]);
}

#[test]
fn the_port_is_probed_unless_the_spawn_replaces_a_worker_that_was_ready() {
    let mut table = Table::of(1, &probed());
    assert_eq!(table.exited(worker(0, 1)), [spawn(0, 2)]);
    table.on(Event::Ready(worker(0, 2)));
    assert_eq!(table.exited(worker(0, 2)), [respawn(0, 3)]);
    assert_eq!(table.exited(worker(0, 3)), [spawn(0, 4)]);
    table.on(Event::Ready(worker(0, 4)));
    table.on(Event::Stop(slot(0)));
    table.succeeded(worker(0, 4));
    assert_eq!(table.on(Event::Start(slot(0))), [spawn(0, 5)]);
}

#[test]
fn a_hang_reported_before_the_worker_is_ready_leaves_its_start_alone() {
    let mut table = Table::of(1, &probed());
    let phase = table.phase(0);
    assert_eq!(table.on(Event::Hung(worker(0, 1))), []);
    assert_eq!(table.phase(0), phase);
}

#[test]
#[should_panic(expected = "cannot meet")]
#[cfg(debug_assertions)]
fn a_second_exit_of_a_worker_is_impossible() {
    let mut table = Table::ready(1);
    table.on(Event::Stop(slot(0)));
    table.succeeded(worker(0, 1));
    table.succeeded(worker(0, 1));
}

#[test]
fn a_slot_holds_its_port_as_long_as_a_worker_may_serve_there() {
    let mut table = Table::ready(1);
    let holds = |table: &Table| table.at(0).holds_port();
    assert!(holds(&table));
    table.leader_exited(worker(0, 1));
    assert!(holds(&table), "killing what it has left");
    table.on(Event::Emptied(worker(0, 1)));
    assert!(holds(&table), "starting");
    table.exited(worker(0, 2));
    table.exited(worker(0, 3));
    assert!(matches!(table.phase(0), Phase::Backoff { .. }) && holds(&table));
    table.wait();
    table.on(Event::Ready(worker(0, 4)));
    table.on(Event::Restart(slot(0)));
    assert!(matches!(table.phase(0), Phase::Stopping { .. }) && holds(&table));
    table.exited(worker(0, 4));
    table.on(Event::Stop(slot(0)));
    assert!(!holds(&table), "the stop signal is sent");
    table.exited(worker(0, 5));
    assert!(!holds(&table), "stopped");
    table.on(Event::Start(slot(0)));
    assert!(holds(&table), "started");
    table.on(Event::Asked(Wish::Terminate));
    assert!(!holds(&table), "draining");
}

#[test]
fn a_slot_that_has_given_up_holds_no_port() {
    let backoff = Backoff { give_up_after: NonZeroU32::new(1), ..Backoff::default() };
    let mut table = Table::of(1, &Policy { backoff, ..probed() });
    assert!(table.at(0).holds_port());
    table.exited(worker(0, 1));
    assert!(matches!(table.phase(0), Phase::GivenUp) && !table.at(0).holds_port());
}

#[test]
fn a_slot_that_has_given_up_holds_its_port_while_the_worker_serves_that_was_to_be_replaced() {
    let backoff = Backoff { give_up_after: NonZeroU32::new(1), ..Backoff::default() };
    let spare = SpareRule::ToReplace { within: Duration::from_secs(1) };
    let mut table = Table::of(2, &Policy { backoff, spare, ..probed() });
    table.on(Event::Ready(worker(0, 1)));
    table.on(Event::Restart(slot(0)));
    assert_eq!(table.on(Event::Waits(worker(0, 2))), [Action::Admit(worker(0, 2))]);
    assert_eq!(table.exited(worker(0, 2)), []);
    assert!(matches!(table.phase(0), Phase::GivenUp) && table.at(0).holds_port());
    assert_eq!(table.exited(worker(0, 1)), []);
    assert!(!table.at(0).holds_port());
    assert_eq!(table.on(Event::Start(slot(0))), [spawn(0, 3)]);
}
