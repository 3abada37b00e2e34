//! The laws of a stop of all workers: of the answer to a wish, and to the tick by which a pool ends the run.

use std::time::Duration;

use pm::supervisor::{Action, Event, Stop, StopKind, StopOrder, StopReason};

use super::{Answer, Law, OfAnswer, Verdict, broken, ensure, forbid};
use crate::facts::Facts;
use crate::record::Grant;

pub const OF_WISHES: &[Law<OfAnswer>] = laws![
    a_wish_that_is_not_granted_changes_nothing,
    pm_leaves_exactly_when_a_wish_comes_after_the_end_or_a_kill_in_vain,
    a_stop_is_reported_once_and_first,
    the_report_of_a_stop_is_true,
    a_kill_reaches_every_group,
    the_start_of_the_stop_is_that_of_the_first_wish,
];

/// A second wish in the same instant, and a SIGHUP or the end of the guard while pm drains.
fn a_wish_that_is_not_granted_changes_nothing(answer: &Answer) -> Verdict {
    let is_refused = answer.grant() == Some(Grant::Nothing);
    forbid(is_refused && (answer.is_changed || !answer.actions.is_empty()), || {
        format!("{:?} was answered with {:?}", answer.told, answer.actions)
    })
}

/// When the run is over, or a kill has left workers for a second, a wish changes nothing but makes the reactor leave.
fn pm_leaves_exactly_when_a_wish_comes_after_the_end_or_a_kill_in_vain(answer: &Answer) -> Verdict {
    if answer.grant() == Some(Grant::Leave) {
        return ensure(answer.actions == [Action::Leave] && !answer.is_changed, || {
            format!("the answer is {:?}", answer.actions)
        });
    }
    forbid(answer.actions.contains(&Action::Leave), || format!("{:?}", answer.told))
}

/// By a wish that is granted, or by the tick after a pool that ends the run has ended. The report stands before the
/// signals that follow.
fn a_stop_is_reported_once_and_first(answer: &Answer) -> Verdict {
    let is_granted = answer.stop_reason().is_some();
    let is_report = |action: &&Action| matches!(action, Action::ReportStop(_));
    let reports = answer.actions.iter().filter(is_report).count();
    let is_first = answer.actions.first().is_some_and(|first| is_report(&first));
    ensure(reports == usize::from(is_granted) && is_first == is_granted, || {
        format!("{:?} was answered with {:?}", answer.told, answer.actions)
    })
}

/// It has the reason, the number of workers, their longest grace, how they are stopped and in which order.
fn the_report_of_a_stop_is_true(answer: &Answer) -> Verdict {
    let Some(reason) = answer.stop_reason() else { return Ok(()) };
    let slots = || answer.after.slots.iter().filter(|facts| facts.lives().next().is_some());
    let longest_grace = slots().map(|facts| facts.policy.grace).max().unwrap_or(Duration::ZERO);
    let is_kill = answer.grant() == Some(Grant::Kill);
    let must_wait = slots().any(|facts| {
        facts.is_unsignalled() && answer.after.stopping_that_needs(facts.pool).is_some()
    });
    let is_at_once = is_kill || longest_grace.is_zero();
    let how = if is_at_once { StopKind::Kill } else { StopKind::Terminate };
    let is_ordered = must_wait && !is_kill;
    let order = if is_ordered { StopOrder::PoolByPool } else { StopOrder::AllAtOnce };
    let due =
        Stop { reason, how, workers: slots().flat_map(Facts::lives).count(), longest_grace, order };
    answer.actions.iter().try_for_each(|action| match action {
        Action::ReportStop(stop) if *stop != due => broken(format!("{stop:?}, not {due:?}")),
        _ => Ok(()),
    })
}

/// A wish that kills reaches every group that was not killed before.
fn a_kill_reaches_every_group(answer: &Answer) -> Verdict {
    if answer.grant() != Some(Grant::Kill) {
        return Ok(());
    }
    let mut lives = answer.after.slots.iter().flat_map(Facts::lives);
    let left = lives.find(|life| {
        life.killed_at.is_none() && !answer.actions.contains(&Action::Kill(life.worker))
    });
    left.map_or(Ok(()), |life| broken(format!("{life:?}")))
}

/// `Finish` has the moment of the first wish or of the end by a pool, even if a later wish killed.
fn the_start_of_the_stop_is_that_of_the_first_wish(answer: &Answer) -> Verdict {
    answer.actions.iter().try_for_each(|action| match action {
        Action::Finish { stopping_since, .. } => {
            ensure(*stopping_since == answer.after.asked_at, || format!("{stopping_since:?}"))
        }
        _ => Ok(()),
    })
}

impl Answer<'_> {
    /// Why all workers must be stopped now, if they must be.
    fn stop_reason(&self) -> Option<StopReason> {
        match (self.event()?, self.grant()) {
            (Event::Asked(wish), Some(Grant::Drain | Grant::Kill)) => Some(StopReason::Asked(wish)),
            (Event::Tick, _) => self.before.run_end().map(StopReason::Ended),
            _ => None,
        }
    }
}
