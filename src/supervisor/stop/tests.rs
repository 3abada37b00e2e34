//! What each wish to stop leads to, alone and as the second one.

use std::time::Duration;

use Action::{Kill, Leave, ReportStop, Terminate};

use super::super::phase::KILL_AGAIN;
use super::super::test_table::{Table, probed, slot, worker};
use super::super::{Event, Outcome, Policy};
use super::*;

/// The report that a wish is granted, for workers that have the grace of the default policy.
fn report(wish: Wish, how: StopKind, workers: usize) -> Action {
    let longest_grace = Policy::default().grace;
    let (reason, order) = (StopReason::Asked(wish), StopOrder::AllAtOnce);
    ReportStop(Stop { reason, how, workers, longest_grace, order })
}

#[test]
fn the_first_wish_drains_and_is_reported_before_the_terminations() {
    for wish in [Wish::Interrupt, Wish::Terminate, Wish::Hangup, Wish::GuardGone] {
        let mut table = Table::ready(2);
        let report = report(wish, StopKind::Terminate, 2);
        let expected = [report, Terminate(worker(0, 1)), Terminate(worker(1, 1))];
        assert_eq!(table.on(Event::Asked(wish)), expected);
    }
}

#[test]
fn a_second_ctrl_c_kills_at_once() {
    for wish in [Wish::Interrupt, Wish::Terminate] {
        let mut table = Table::ready(1);
        table.on(Event::Asked(Wish::Hangup));
        table.now += ONE_WISH;
        let report = report(wish, StopKind::Kill, 1);
        assert_eq!(table.on(Event::Asked(wish)), [report, Kill(worker(0, 1))]);
    }
}

#[test]
fn two_wishes_in_one_instant_are_one() {
    for wish in [Wish::Interrupt, Wish::Terminate, Wish::Hangup] {
        let mut table = Table::ready(1);
        table.on(Event::Asked(Wish::Terminate));
        assert_eq!(table.on(Event::Asked(wish)), []);
        table.now += ONE_WISH - Duration::from_nanos(1);
        assert_eq!(table.on(Event::Asked(wish)), []);
    }
}

#[test]
fn a_quit_kills_at_once_even_as_the_second_wish_of_one_instant() {
    let mut table = Table::ready(1);
    let killing = [report(Wish::Quit, StopKind::Kill, 1), Kill(worker(0, 1))];
    assert_eq!(table.on(Event::Asked(Wish::Quit)), killing);
    let mut table = Table::ready(1);
    table.on(Event::Asked(Wish::Interrupt));
    assert_eq!(table.on(Event::Asked(Wish::Quit)), killing);
}

#[test]
fn a_hangup_or_the_end_of_the_guard_changes_nothing_while_pm_drains() {
    for wish in [Wish::Hangup, Wish::GuardGone] {
        let mut table = Table::ready(1);
        table.on(Event::Asked(Wish::Interrupt));
        table.now += Duration::from_secs(1);
        assert_eq!(table.on(Event::Asked(wish)), []);
    }
}

#[test]
fn a_wish_after_the_end_of_the_run_makes_pm_leave() {
    let mut table = Table::ready(1);
    table.on(Event::Asked(Wish::Interrupt));
    table.succeeded(worker(0, 1));
    assert_eq!(table.on(Event::Asked(Wish::Interrupt)), []);
    assert_eq!(table.on(Event::Asked(Wish::Quit)), [Leave]);
    table.now += ONE_WISH;
    assert_eq!(table.on(Event::Asked(Wish::Hangup)), []);
    assert_eq!(table.on(Event::Asked(Wish::Interrupt)), [Leave]);
}

#[test]
fn a_wish_a_second_after_a_kill_leaves_what_it_has_not_ended() {
    for kill in [Wish::Interrupt, Wish::Terminate, Wish::Quit] {
        let mut table = Table::ready(1);
        table.on(Event::Asked(Wish::Terminate));
        table.now += Duration::from_secs(60);
        let killing = table.on(Event::Asked(kill));
        table.now += KILL_AGAIN - Duration::from_nanos(1);
        assert_eq!(table.on(Event::Asked(kill)), killing[..1], "it is killed already");
        table.now += Duration::from_nanos(1);
        assert_eq!(table.on(Event::Asked(Wish::Hangup)), []);
        assert_eq!(table.on(Event::Asked(kill)), [Leave]);
    }
}

#[test]
fn without_workers_a_wish_ends_the_run() {
    let mut table = Table::idle(&[(1, &[])], probed());
    let stopping_since = Some(table.now);
    let stop = Stop {
        reason: StopReason::Asked(Wish::Interrupt),
        how: StopKind::Kill,
        workers: 0,
        longest_grace: Duration::ZERO,
        order: StopOrder::AllAtOnce,
    };
    let finish = Action::Finish { outcome: Outcome::Stopped, stopping_since };
    assert_eq!(table.on(Event::Asked(Wish::Interrupt)), [ReportStop(stop), finish]);
}

#[test]
fn the_time_of_the_first_wish_is_kept_when_a_second_one_kills() {
    let mut table = Table::ready(1);
    let since = Some(table.now);
    table.on(Event::Asked(Wish::Interrupt));
    table.now += Duration::from_secs(1);
    table.on(Event::Asked(Wish::Interrupt));
    let finish = Action::Finish { outcome: Outcome::Stopped, stopping_since: since };
    assert_eq!(table.exited(worker(0, 1)), [finish]);
}

#[test]
fn the_report_names_the_longest_grace_and_whether_pools_stop_in_order() {
    let order = |table: &mut Table| match table.on(Event::Asked(Wish::Terminate))[0] {
        ReportStop(stop) => (stop.order, stop.longest_grace.as_secs()),
        ref other => panic!("{other:?}"),
    };
    let pools: &[(usize, &[usize])] = &[(1, &[1]), (1, &[])];
    let mut table = Table::up(pools, probed());
    table.revise(&[], 0, |spec| spec.slots[1].policy.grace = Duration::from_secs(60));
    assert_eq!(order(&mut table), (StopOrder::PoolByPool, 60));
    let mut table = Table::up(pools, probed());
    table.on(Event::Stop(slot(0)));
    table.succeeded(worker(0, 1));
    assert_eq!(order(&mut table), (StopOrder::AllAtOnce, 5));
}

#[test]
fn workers_without_a_grace_are_reported_as_killed() {
    let mut table = Table::of(1, &Policy { grace: Duration::ZERO, ..probed() });
    let stop = Stop {
        reason: StopReason::Asked(Wish::Terminate),
        how: StopKind::Kill,
        workers: 1,
        longest_grace: Duration::ZERO,
        order: StopOrder::AllAtOnce,
    };
    let expected = [ReportStop(stop), Kill(worker(0, 1))];
    assert_eq!(table.on(Event::Asked(Wish::Terminate)), expected);
}
