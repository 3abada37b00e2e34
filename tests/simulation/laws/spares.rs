//! The laws of spares and of the workers that they replace.

use pm::supervisor::{
    Action, Event, RetiringPhase, SpareFailure, SparePhase, Transition, WorkerId,
};

use super::{
    Answer, Law, OfAnswer, OfState, Settled, Told, Verdict, broken, ensure, forbid, longest,
};
use crate::facts::{Facts, SpareDue};
use crate::life::Life;
use crate::record::{Grant, Record};

pub const OF_ANSWERS: &[Law<OfAnswer>] = laws![
    a_spare_is_prepared_only_where_it_is_due,
    no_spare_is_prepared_before_its_backoff_is_over,
    only_a_spare_is_admitted_and_only_into_a_slot_that_is_empty_or_whose_turn_has_come,
    a_spare_is_stopped_only_if_it_is_not_wanted_or_has_failed,
    a_worker_that_was_replaced_serves_until_the_next_one_is_ready,
    a_worker_that_was_replaced_is_stopped_when_the_next_one_listens,
    no_other_worker_is_killed_before_its_grace_is_over,
    every_report_of_a_spare_is_true,
    every_end_of_a_spare_is_reported_once,
];

pub const OF_SLOTS: &[Law<OfState>] = laws![
    the_phase_of_a_spare_is_the_truth,
    the_phase_of_a_retiring_worker_is_the_truth,
    a_spare_is_there_where_it_is_due,
    a_spare_that_is_not_wanted_is_stopped,
    a_spare_that_waits_takes_its_turn,
    a_worker_that_was_replaced_is_stopped_once_the_next_one_is_ready,
    the_start_of_a_spare_ends_in_bounded_time,
    a_spare_does_not_wait_for_longer_than_it_may,
];

/// Beside a worker of a slot that is wanted up, which has been ready for long enough or whose turn has come; one at
/// most, of the revision that is due; and none while pm drains. Slots that share spares have no more than their pool is
/// to have, but for those that are stopped in the same answer.
fn a_spare_is_prepared_only_where_it_is_due(answer: &Answer) -> Verdict {
    answer.each_action(|action, record| {
        let Action::Prepare { worker, revision } = action else { return Ok(()) };
        let Some(facts) = record.of(worker.slot) else {
            return broken(format!("{worker:?}: there is no such slot"));
        };
        let has_none = facts.others.spare.is_none();
        let is_next = worker.generation == facts.last_generation + 1;
        let is_due = match facts.spare_due(answer.now) {
            SpareDue::One(due) => due == revision,
            SpareDue::May(due) => {
                let stays = |facts: &&Facts| {
                    let spare = facts.others.spare.as_ref().map(|spare| spare.life.worker);
                    facts.has_shared_spare() && spare.is_some_and(|spare| !answer.signals(spare))
                };
                let others = record.slots_of(facts.pool).filter(stays).count();
                due == revision && others < record.spares_of(facts.pool)
            }
            SpareDue::None | SpareDue::Any => false,
        };
        let holds = is_due && has_none && is_next && !record.is_draining();
        ensure(holds, || format!("{action:?}: {facts:?}"))
    })
}

fn no_spare_is_prepared_before_its_backoff_is_over(answer: &Answer) -> Verdict {
    answer.each_action(|action, record| {
        let Action::Prepare { worker, revision } = action else { return Ok(()) };
        let facts = record.of(worker.slot);
        let failure = facts.and_then(|facts| facts.spare_failure(revision));
        let is_shared = facts.is_some_and(Facts::shares_spares);
        let failure = failure.filter(|failed| !failed.is_shared && !is_shared);
        let is_over =
            failure.is_none_or(|failed| failed.next_at.is_some_and(|at| at <= answer.now));
        ensure(is_over, || format!("{action:?} after {failure:?}"))
    })
}

/// It takes the place of a worker that is gone; or of a ready one whose turn has come, when it waits at its bind and
/// the worker that was replaced before is gone.
fn only_a_spare_is_admitted_and_only_into_a_slot_that_is_empty_or_whose_turn_has_come(
    answer: &Answer,
) -> Verdict {
    answer.each_action(|action, record| {
        let Action::Admit(worker) = action else { return Ok(()) };
        let Some(facts) = record.of(worker.slot) else {
            return broken(format!("{worker:?}: there is no such slot"));
        };
        let spare = facts.others.spare.as_ref().filter(|spare| spare.life.worker == worker);
        let Some(spare) = spare.filter(|spare| spare.life.is_unsignalled()) else {
            return broken(format!("{worker:?} is no spare: {facts:?}"));
        };
        let is_planned = spare.life.revision == facts.planned;
        let takes_turn = facts.is_ready() && facts.others.has_turn && spare.waits();
        let is_free = facts.life.is_none() || (takes_turn && facts.others.retiring.is_none());
        let is_later = worker.generation > facts.generation;
        ensure(is_planned && is_free && is_later, || format!("{action:?}: {facts:?}"))
    })
}

fn a_spare_is_stopped_only_if_it_is_not_wanted_or_has_failed(answer: &Answer) -> Verdict {
    answer.each_signal_to_other(|worker, life, facts, _| {
        let Some(spare) = facts.others.spare.as_ref().filter(|_| facts.others.is_spare(worker))
        else {
            return Ok(());
        };
        let is_wanted = facts.wants(spare, answer.now);
        let is_over = answer.is(Event::Tick) && (spare.has_failed || spare.is_too_old(answer.now));
        let is_killed = answer.kills_slot(worker);
        // By a new plan, or if it was there for the turn of its slot, another slot may be to have one.
        let is_surplus = facts.shares_spares()
            && (matches!(answer.told, Told::Plan(_))
                || answer.is(Event::Withdraw(worker.slot))
                || answer.after.shared_spares(facts.pool) > answer.after.spares_of(facts.pool));
        // It was not wanted any more before the plan gave the slot its turn.
        let before = answer.before.of(worker.slot);
        let is_early = matches!(answer.told, Told::Plan(_))
            && facts.others.has_turn
            && before.is_some_and(|before| !before.others.has_turn);
        let is_wanted = is_wanted && !is_surplus && !is_early;
        forbid(life.is_unsignalled() && is_wanted && !is_over && !is_killed, || {
            format!("{worker:?}: {facts:?}")
        })
    })
}

/// Or until that one listens. Also while the next one fails, and once the slot has given up on it; but not in a slot
/// that is wanted down or has ended.
fn a_worker_that_was_replaced_serves_until_the_next_one_is_ready(answer: &Answer) -> Verdict {
    answer.each_signal_to_other(|worker, life, facts, _| {
        let serves = !facts.others.is_spare(worker) && life.is_unsignalled();
        let current = WorkerId { slot: worker.slot, generation: facts.generation };
        let is_needed = facts.needs_retiring() && !answer.is(Event::Listens(current));
        forbid(serves && is_needed && !answer.kills_slot(worker), || {
            format!("{worker:?}: {facts:?}")
        })
    })
}

/// Both would take connections.
fn a_worker_that_was_replaced_is_stopped_when_the_next_one_listens(answer: &Answer) -> Verdict {
    let Some(Event::Listens(worker)) = answer.event() else { return Ok(()) };
    let Some(facts) = answer.after.of(worker.slot) else { return Ok(()) };
    let retiring = facts.others.retiring.as_ref().filter(|life| life.is_unsignalled());
    let Some(life) = retiring.filter(|_| facts.generation == worker.generation) else {
        return Ok(());
    };
    let signals = [Action::Terminate(life.worker), Action::Kill(life.worker)];
    let is_signalled = answer.actions.iter().any(|action| signals.contains(action));
    ensure(is_signalled, || format!("{life:?} was answered with {:?}", answer.actions))
}

fn no_other_worker_is_killed_before_its_grace_is_over(answer: &Answer) -> Verdict {
    answer.each_signal_to_other(|worker, life, _, is_kill| {
        let is_over = match life {
            Life { killed_at: Some(_), .. } => true,
            Life { signalled_at: Some(at), grace, .. } => answer.now >= *at + *grace,
            Life { grace, .. } => grace.is_zero(),
        };
        let is_commanded = answer.kills_slot(worker) || answer.after.killing_since.is_some();
        ensure(!is_kill || is_over || is_commanded, || format!("{worker:?} is {life:?}"))
    })
}

fn every_report_of_a_spare_is_true(answer: &Answer) -> Verdict {
    answer.actions.iter().try_for_each(|action| {
        let Action::Report(report) = action else { return Ok(()) };
        let worker = report.worker();
        let before = answer.before.of(worker.slot);
        let spare = before.and_then(|facts| facts.others.spare.as_ref());
        let spare = spare.filter(|spare| spare.life.worker == worker);
        let is_unsignalled = spare.is_some_and(|spare| spare.life.is_unsignalled());
        let is_gone = answer.after.any_life(worker).is_none();
        let is_true = match *report {
            Transition::SpareWaits(_) => {
                is_unsignalled
                    && answer.is(Event::Waits(worker))
                    && spare.is_some_and(|spare| spare.waits_since.is_none())
            }
            Transition::SpareFailed { how, wait, .. } => {
                let after = answer.after.of(worker.slot).and_then(|facts| facts.others.failed);
                // How many of a slot that shares spares have failed in a row is not known here.
                let is_shared = after.is_some_and(|failed| failed.is_shared);
                let is_due = match (wait, after) {
                    _ if is_shared => true,
                    (None, Some(failed)) => failed.next_at.is_none(),
                    (Some(wait), Some(failed)) => failed.next_at.is_some_and(|at| {
                        let due = at - answer.now;
                        wait >= due && wait <= longest(due)
                    }),
                    (_, None) => false,
                };
                let is_how = match how {
                    SpareFailure::Exited(exit) => matches!(answer.event(),
                        Some(Event::Exited { exit: told, .. }) if told == exit),
                    SpareFailure::NotSpawned => answer.is(Event::SpawnFailed(worker)),
                    SpareFailure::NeverWaited => answer.is(Event::Tick),
                };
                is_unsignalled && is_due && is_how
            }
            Transition::SpareStopped(_) => spare.is_some() && !is_unsignalled && is_gone,
            _ => true,
        };
        ensure(is_true, || format!("{report:?}: {before:?}"))
    })
}

/// Each failure, and each end of a group that was signalled.
fn every_end_of_a_spare_is_reported_once(answer: &Answer) -> Verdict {
    let Some(worker) = answer.worker() else { return Ok(()) };
    let facts = answer.before.of(worker.slot);
    let Some(life) = answer.before.other_life(worker) else { return Ok(()) };
    let is_spare = facts.is_some_and(|facts| facts.others.is_spare(worker));
    let is_end = matches!(
        answer.event(),
        Some(Event::Exited { .. } | Event::Emptied(_) | Event::SpawnFailed(_))
    );
    let is_gone = answer.after.other_life(worker).is_none();
    let is_lost = is_end && (life.is_unsignalled() || is_gone);
    let is_spawn = matches!(answer.event(), Some(Event::SpawnFailed(_)));
    let due = is_lost && (is_spare || !is_spawn);
    let reports = answer.actions.iter().filter(|action| match action {
        Action::Report(
            Transition::SpareFailed { worker: of, .. }
            | Transition::SpareStopped(of)
            | Transition::Crashed { worker: of, .. }
            | Transition::Stopped { worker: of, .. },
        ) => *of == worker,
        _ => false,
    });
    let reports = reports.count();
    ensure(reports == usize::from(due), || {
        format!("{:?} of {life:?} was reported {reports} times", answer.told)
    })
}

fn the_phase_of_a_spare_is_the_truth(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| {
        let spare = facts.others.spare.as_ref();
        let holds = match (slot.spare(), spare) {
            (None, None) => true,
            (Some((_, SparePhase::Backoff { .. })), None) => facts
                .others
                .failed
                .is_some_and(|failed| failed.next_at.is_some() || failed.is_shared),
            (Some((_, SparePhase::GivenUp)), None) => facts
                .others
                .failed
                .is_some_and(|failed| failed.next_at.is_none() || failed.is_shared),
            (Some((worker, phase)), Some(spare)) if worker == spare.life.worker => {
                let life = &spare.life;
                settled.groups.contains(&worker)
                    && match phase {
                        SparePhase::Starting { .. } => {
                            life.is_unsignalled() && spare.waits_since.is_none()
                        }
                        SparePhase::Waiting { .. } => spare.waits(),
                        SparePhase::Stopping { .. } => life.keeps_grace(),
                        SparePhase::Killing { .. } => life.killed_at.is_some(),
                        SparePhase::Backoff { .. } | SparePhase::GivenUp => false,
                    }
            }
            (_, _) => false,
        };
        ensure(holds, || format!("{:?}, but {:?}", slot.spare(), facts.others))
    })
}

fn the_phase_of_a_retiring_worker_is_the_truth(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| {
        let holds = match (slot.retiring(), &facts.others.retiring) {
            (None, None) => true,
            (Some((worker, phase)), Some(life)) => {
                let is_there = worker == life.worker && settled.groups.contains(&worker);
                is_there
                    && match phase {
                        RetiringPhase::Serving => life.is_unsignalled(),
                        RetiringPhase::Stopping { .. } => life.keeps_grace(),
                        RetiringPhase::Killing { .. } => life.killed_at.is_some(),
                    }
            }
            (_, _) => false,
        };
        ensure(holds, || format!("{:?}, but {:?}", slot.retiring(), facts.others))
    })
}

/// At once for a worker whose turn has come; else by the next tick, or by the tick at the end of a backoff.
fn a_spare_is_there_where_it_is_due(settled: &Settled) -> Verdict {
    settled.each_slot(|_, facts| {
        let SpareDue::One(revision) = facts.spare_due(settled.now) else { return Ok(()) };
        let is_due = match facts.spare_failure(revision) {
            None => facts.others.has_turn || settled.is_tick(),
            Some(failed) => {
                failed.next_at.is_some() && settled.is_tick() && settled.now >= failed.late_at
            }
        };
        forbid(facts.others.spare.is_none() && is_due, || format!("{facts:?}"))
    })
}

fn a_spare_that_is_not_wanted_is_stopped(settled: &Settled) -> Verdict {
    settled.each_slot(|_, facts| {
        let Some(spare) = &facts.others.spare else { return Ok(()) };
        let is_wanted = facts.wants(spare, settled.now);
        ensure(is_wanted || !spare.life.is_unsignalled(), || format!("{facts:?}"))
    })
}

fn a_spare_that_waits_takes_its_turn(settled: &Settled) -> Verdict {
    settled.each_slot(|_, facts| {
        let Some(spare) = &facts.others.spare else { return Ok(()) };
        let is_due = facts.spare_due(settled.now) == SpareDue::One(spare.life.revision)
            && facts.others.has_turn;
        let is_free = facts.others.retiring.is_none();
        forbid(is_due && is_free && spare.waits(), || format!("{facts:?}"))
    })
}

fn a_worker_that_was_replaced_is_stopped_once_the_next_one_is_ready(settled: &Settled) -> Verdict {
    settled.each_slot(|_, facts| {
        let serves = facts.others.retiring.as_ref().is_some_and(Life::is_unsignalled);
        forbid(serves && !facts.needs_retiring(), || format!("{facts:?}"))
    })
}

/// By the next tick.
fn the_start_of_a_spare_ends_in_bounded_time(settled: &Settled) -> Verdict {
    settled.each_slot(|_, facts| {
        let Some(spare) = &facts.others.spare else { return Ok(()) };
        let is_late = spare.has_failed || spare.has_never_waited(settled.now);
        forbid(settled.is_tick() && is_late && spare.life.is_unsignalled(), || format!("{facts:?}"))
    })
}

fn a_spare_does_not_wait_for_longer_than_it_may(settled: &Settled) -> Verdict {
    settled.each_slot(|_, facts| {
        let Some(spare) = &facts.others.spare else { return Ok(()) };
        forbid(settled.is_tick() && spare.is_too_old(settled.now), || format!("{facts:?}"))
    })
}

impl Answer<'_> {
    /// The law gets each action, and what is known then. Where spares come in, that is when the actions before it are
    /// carried out; else it is what was known before the first.
    pub(super) fn each_action(&self, law: impl Fn(Action, &Record) -> Verdict) -> Verdict {
        let is_of_spare = |action: &Action| match action {
            Action::Prepare { .. } | Action::Move { .. } | Action::Admit(_) => true,
            Action::Terminate(worker) | Action::Kill(worker) => self.is_of_other(*worker),
            _ => false,
        };
        if !self.actions.iter().any(is_of_spare) {
            return self.actions.iter().try_for_each(|action| law(*action, self.after));
        }
        let mut record = self.after.clone();
        for action in self.actions {
            law(*action, &record)?;
            record.note_action(*action, true, self.now);
            record.take_turns();
        }
        Ok(())
    }

    /// The law gets a worker that is not the current one of its slot, its life, the facts of its slot, and whether the
    /// signal is SIGKILL.
    fn each_signal_to_other(
        &self,
        law: impl Fn(WorkerId, &Life, &Facts, bool) -> Verdict,
    ) -> Verdict {
        self.each_action(|action, record| match action {
            Action::Terminate(worker) | Action::Kill(worker) => {
                match (record.other_life(worker), record.of(worker.slot)) {
                    (Some(life), Some(facts)) => {
                        law(worker, life, facts, matches!(action, Action::Kill(_)))
                    }
                    (_, _) => Ok(()),
                }
            }
            _ => Ok(()),
        })
    }

    fn signals(&self, worker: WorkerId) -> bool {
        [Action::Terminate(worker), Action::Kill(worker)].iter().any(|to| self.actions.contains(to))
    }

    /// True if a wish or a command kills the workers of this slot.
    fn kills_slot(&self, worker: WorkerId) -> bool {
        self.grant() == Some(Grant::Kill) || self.is(Event::Kill(worker.slot))
    }
}
