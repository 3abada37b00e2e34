//! The laws of an answer about reports and about the end of the run.

use pm::supervisor::{Action, Event, Next, Phase, Transition, Wanted, WorkerId};

use super::{Answer, Law, OfAnswer, Verdict, broken, ensure, forbid, is_late, longest};
use crate::facts::{Due, Facts};
use crate::life::Life;

pub const OF_REPORTS: &[Law<OfAnswer>] = laws![
    a_run_finishes_once_and_only_when_it_is_over,
    the_outcome_is_what_happened,
    every_report_is_true,
    every_end_is_reported_once,
    every_signal_to_a_worker_that_is_wanted_up_is_reported,
    what_a_report_announces_happens,
];

fn a_run_finishes_once_and_only_when_it_is_over(answer: &Answer) -> Verdict {
    let is_finish = |action: &&Action| matches!(action, Action::Finish { .. });
    let now = answer.actions.iter().filter(is_finish).count();
    let before = answer.before.finished.len();
    match now {
        0 => Ok(()),
        1 if before == 0 && answer.after.is_over() => Ok(()),
        _ => broken(format!("{now} times now, {before} times before")),
    }
}

/// A run that was asked to stop has stopped; one that a pool has ended has the outcome of that pool. Else it gave up if
/// a slot did, or ended with the first failure.
fn the_outcome_is_what_happened(answer: &Answer) -> Verdict {
    let due = answer.after.outcome();
    answer.actions.iter().try_for_each(|action| match action {
        Action::Finish { outcome, .. } if *outcome != due => {
            broken(format!("{outcome:?}, not {due:?}"))
        }
        _ => Ok(()),
    })
}

/// Every report is about what just happened, and about the worker to which it happened.
fn every_report_is_true(answer: &Answer) -> Verdict {
    answer.each_report(|report, worker| {
        if answer.before.other_life(answer.name_before(worker)).is_some() {
            // Of a spare, or of a worker that a spare has replaced: laws of their own.
            return Ok(());
        }
        let (Some(life), Some(facts)) = (answer.before.life(worker), answer.before.of(worker.slot))
        else {
            let is_spawn_failure = matches!(report, Transition::SpawnFailed { .. });
            let is_true = is_spawn_failure && answer.is(Event::SpawnFailed(worker));
            return ensure(is_true, || format!("{report:?}: there is no such worker"));
        };
        let (now, was_ready) = (answer.now, answer.had_been_ready(life));
        let is_unsignalled = life.is_unsignalled();
        let is_tick = answer.is(Event::Tick);
        let is_exit = |reported| match answer.event() {
            Some(Event::Exited { worker: of, exit, .. }) => of == worker && exit == reported,
            _ => false,
        };
        let is_grace_over = life.signalled_at.is_some_and(|at| now >= at + life.grace);
        let is_due = answer
            .after
            .of(worker.slot)
            .is_some_and(|facts| facts.is_to_be_replaced() || facts.is_restarted());
        let is_true = match report {
            Transition::Ready(_) => life.is_starting() && (was_ready || answer.makes_ready(worker)),
            Transition::Crashed { exit, .. } => is_unsignalled && was_ready && is_exit(exit),
            Transition::FailedStart { exit, .. } => is_unsignalled && !was_ready && is_exit(exit),
            Transition::SpawnFailed { .. } => {
                is_unsignalled && life.execd_at.is_none() && answer.is(Event::SpawnFailed(worker))
            }
            Transition::NeverReady(_) => is_tick && facts.is_never_ready(now),
            Transition::Hung(_) => life.is_ready() && answer.is(Event::Hung(worker)),
            Transition::Replacing(_) => is_unsignalled && is_due,
            Transition::Stopped { .. } => !is_unsignalled && answer.after.life(worker).is_none(),
            Transition::SpareWaits(_)
            | Transition::SpareFailed { .. }
            | Transition::SpareStopped(_) => false,
            Transition::GraceOver { grace, .. } => {
                is_tick && is_grace_over && grace == life.grace && life.killed_at.is_none()
            }
        };
        ensure(is_true, || format!("{report:?} of {life:?}"))
    })
}

/// Each exit that was not asked for, each failed spawn, and each end of a group that was signalled.
fn every_end_is_reported_once(answer: &Answer) -> Verdict {
    let Some(event) = answer.event().filter(|event| !is_late(*event, answer.before)) else {
        return Ok(());
    };
    let Some(worker) = answer.worker() else { return Ok(()) };
    if answer.before.other_life(worker).is_some() {
        return Ok(());
    }
    let life = answer.before.life(worker);
    let is_due = match event {
        Event::Exited { .. } | Event::Emptied(_) => {
            let is_unasked = life.is_some_and(Life::is_unsignalled);
            is_unasked || (life.is_some() && answer.after.life(worker).is_none())
        }
        Event::SpawnFailed(_) => true,
        _ => false,
    };
    let mut reports = 0;
    answer.each_report(|report, of| {
        reports += usize::from(of == worker && next_of(report).is_some());
        Ok(())
    })?;
    ensure(reports == usize::from(is_due), || format!("{event:?} was reported {reports} times"))
}

/// The report tells why: the worker hangs, was never ready, or is replaced.
fn every_signal_to_a_worker_that_is_wanted_up_is_reported(answer: &Answer) -> Verdict {
    answer.each_signal(|worker, life, facts, _| {
        let is_first = life.is_some_and(Life::is_unsignalled);
        let reasons = [
            Transition::Hung(worker),
            Transition::NeverReady(worker),
            Transition::Replacing(worker),
        ];
        let is_reason =
            |action: &&Action| matches!(action, Action::Report(report) if reasons.contains(report));
        let reports = answer.actions.iter().filter(is_reason).count();
        ensure(facts.is_wanted_down() || reports == usize::from(is_first), || {
            format!("{worker:?}: {reports} reports")
        })
    })
}

/// What a report announces next is what the policy asks for, and if the slot is empty it happens at once.
fn what_a_report_announces_happens(answer: &Answer) -> Verdict {
    answer.each_report(|report, worker| {
        let Some(next) = next_of(report) else { return Ok(()) };
        if let Some(life) = answer.before.other_life(worker) {
            // It served on although the slot had given up on the next one.
            let facts = answer.before.of(worker.slot);
            let is_last = life.is_unsignalled() && facts.is_some_and(Facts::has_given_up);
            let due = if is_last { Next::GiveUp } else { Next::Replaced };
            return ensure(next == due, || format!("{report:?}"));
        }
        let Some(facts) = answer.after.of(worker.slot) else {
            return broken(format!("{report:?}: there is no such slot"));
        };
        let has_ended = matches!(facts.wanted, Wanted::Ended(_));
        let is_due = match (next, facts.prospect()) {
            (Next::Spawn | Next::TakeOver, Due::Spawn { backoff }) => backoff.is_zero(),
            (Next::Backoff(wait), Due::Spawn { backoff }) => {
                wait >= backoff && wait <= longest(backoff)
            }
            (Next::GiveUp, Due::GiveUp) | (Next::TooManyRestarts, Due::TooManyRestarts) => true,
            (Next::End, Due::Nothing) => has_ended,
            (Next::Down, Due::Nothing) => facts.is_wanted_down(),
            _ => false,
        };
        let slot = answer.slots.iter().find(|slot| slot.id() == worker.slot);
        let phase = slot.map(|slot| slot.phase());
        let is = |wanted: fn(&Action) -> bool| {
            let mut of_slot = answer
                .actions
                .iter()
                .filter(|action| action.worker().is_some_and(|of| of.slot == worker.slot));
            of_slot.any(wanted)
        };
        let has_happened = match next {
            Next::Spawn => is(|action| matches!(action, Action::Spawn { .. })),
            Next::TakeOver => is(|action| matches!(action, Action::Admit(_))),
            Next::Replaced => false,
            Next::Backoff(wait) => phase == Some(Phase::Backoff { until: answer.now + wait }),
            Next::GiveUp | Next::TooManyRestarts => phase == Some(Phase::GivenUp),
            Next::End => phase == Some(Phase::Idle),
            Next::Down => phase.is_none_or(|phase| phase == Phase::Idle),
        };
        forbid(!is_due || !has_happened && facts.life.is_none(), || {
            format!("{report:?}, but {phase:?} and {:?}", facts.prospect())
        })
    })
}

impl Answer<'_> {
    /// The law gets the report and the worker that it is about.
    fn each_report(&self, mut law: impl FnMut(Transition, WorkerId) -> Verdict) -> Verdict {
        self.actions.iter().try_for_each(|action| match action {
            Action::Report(report) => law(*report, report.worker()),
            _ => Ok(()),
        })
    }

    /// True if the event itself makes this worker ready.
    fn makes_ready(&self, worker: WorkerId) -> bool {
        let is_at_exec = self.after.of(worker.slot).is_some_and(|facts| facts.is_ready_at_exec());
        match self.event() {
            Some(Event::Ready(of)) => of == worker,
            Some(Event::Spawned(of)) => of == worker && is_at_exec,
            _ => false,
        }
    }
}

/// What comes after the end that this report is about, if it is about one.
fn next_of(report: Transition) -> Option<Next> {
    match report {
        Transition::Crashed { next, .. }
        | Transition::FailedStart { next, .. }
        | Transition::SpawnFailed { next, .. }
        | Transition::Stopped { next, .. } => Some(next),
        Transition::Ready(_) | Transition::NeverReady(_) | Transition::Hung(_) => None,
        Transition::Replacing(_) | Transition::GraceOver { .. } => None,
        Transition::SpareWaits(_) => None,
        Transition::SpareFailed { .. } | Transition::SpareStopped(_) => None,
    }
}
