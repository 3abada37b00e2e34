//! The spare of a slot: a worker that has started, and waits at its bind(2) until it is to serve.
//!
//! It takes over when the current worker is gone, and in a roll. Its failures are no failures of the slot: the next one
//! is prepared after a backoff of its own.

use std::time::{Duration, Instant};

use super::super::event::{Action, Remains, SpareFailure, Transition};
use super::super::ids::{Exit, Revision, WorkerId};
use super::super::phase::{KILL_AGAIN, News, Phase, SparePhase, Target, Wanted};
use super::super::policy::SpareRule;
use super::Slot;

#[derive(Clone, Debug)]
pub(super) struct Spare {
    pub(super) generation: u64,
    pub(super) target: Target,
    pub(super) phase: SparePhase,
    /// Failed spares in a row.
    pub(super) failures: u32,
    /// What comes when nothing is left of it.
    pub(super) then: Then,
}

/// What comes after a spare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Then {
    /// It was not needed. Another one is prepared if it is.
    Nothing,
    Retry(Instant),
    GiveUp,
}

/// Which spare a slot is to have.
enum Due {
    None,
    /// What is there may stay, and none is prepared.
    Any,
    One(Target),
}

impl Spare {
    pub fn revision(&self) -> Revision {
        self.target.revision
    }

    pub fn phase(&self) -> SparePhase {
        self.phase
    }

    pub fn has_execd(&self) -> bool {
        match self.phase {
            SparePhase::Starting { execd_at, .. } => execd_at.is_some(),
            SparePhase::Waiting { .. } => true,
            SparePhase::Backoff { .. } | SparePhase::GivenUp => false,
            SparePhase::Stopping { .. } | SparePhase::Killing { .. } => false,
        }
    }

    /// True if it can take over.
    fn is_usable(&self) -> bool {
        matches!(self.phase, SparePhase::Starting { .. } | SparePhase::Waiting { .. })
    }
}

impl Slot {
    /// Its spare, or the last one while the next one has to wait.
    pub fn spare(&self) -> Option<(WorkerId, SparePhase)> {
        let spare = self.spare.as_ref()?;
        let worker = WorkerId { slot: self.id, generation: spare.generation };
        Some((worker, spare.phase))
    }

    pub(super) fn step_spare(&mut self, news: News, now: Instant, actions: &mut Vec<Action>) {
        let Some(spare) = &self.spare else { return };
        match spare.phase {
            SparePhase::Starting { .. } => self.spare_starting(news, now, actions),
            SparePhase::Waiting { .. } => self.spare_waiting(news, now, actions),
            SparePhase::Stopping { grace, .. } => {
                if news == News::Tick {
                    let worker = WorkerId { slot: self.id, generation: spare.generation };
                    actions.push(Action::Report(Transition::GraceOver { worker, grace }));
                }
                self.spare_ending(news, now, actions);
            }
            SparePhase::Killing { .. } => self.spare_ending(news, now, actions),
            // There is no process. The next one is prepared when the slot is settled.
            SparePhase::Backoff { .. } | SparePhase::GivenUp => {}
        }
    }

    fn spare_starting(&mut self, news: News, now: Instant, actions: &mut Vec<Action>) {
        match news {
            News::Spawned => self.note_spare_execd(now),
            News::Waits => self.spare_waits(now, actions),
            News::SpawnFailed => {
                self.fail_spare(SpareFailure::NotSpawned, now, actions);
                self.lose_spare(now);
            }
            News::Exited { exit, remains } => self.spare_exited(exit, remains, now, actions),
            News::Tick => {
                self.fail_spare(SpareFailure::NeverWaited, now, actions);
                self.end_spare(now, actions);
            }
            // Early: it is asked for nothing before it has taken over.
            News::Ready | News::Hung => {}
            News::Emptied => self.impossible(news.into()),
        }
    }

    fn spare_waiting(&mut self, news: News, now: Instant, actions: &mut Vec<Action>) {
        match news {
            News::Exited { exit, remains } => self.spare_exited(exit, remains, now, actions),
            // It has waited for too long.
            News::Tick => self.end_spare(now, actions),
            // Repeated: a signal interrupts a call, which is made again. Late: it was there before its exec was told.
            News::Waits | News::Spawned => {}
            // Early: it is asked for nothing before it has taken over.
            News::Ready | News::Hung => {}
            News::SpawnFailed | News::Emptied => self.impossible(news.into()),
        }
    }

    fn spare_ending(&mut self, news: News, now: Instant, actions: &mut Vec<Action>) {
        match news {
            News::Exited { remains: Remains::Nothing, .. } | News::Emptied | News::SpawnFailed => {
                let worker = self.spare().map(|(worker, _)| worker);
                let stopped = worker.map(Transition::SpareStopped).map(Action::Report);
                actions.extend(stopped);
                self.lose_spare(now);
            }
            News::Tick => self.kill_spare(now, actions),
            // Members keep the rest of the grace.
            News::Exited { remains: Remains::Members, .. } => {}
            // Late: it was on its way when it was asked to stop.
            News::Spawned | News::Waits | News::Ready | News::Hung => {}
        }
    }

    fn note_spare_execd(&mut self, now: Instant) {
        if let Some(Spare { phase: SparePhase::Starting { execd_at, .. }, .. }) =
            self.spare.as_deref_mut()
        {
            execd_at.get_or_insert(now);
        }
    }

    /// It has exited unasked, and its group was swept.
    fn spare_exited(
        &mut self,
        exit: Exit,
        remains: Remains,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        self.fail_spare(SpareFailure::Exited(exit), now, actions);
        match remains {
            Remains::Nothing => self.lose_spare(now),
            Remains::Members => self.await_spare(now),
        }
    }

    /// Prepares a spare, or ends the one that is not wanted.
    pub(super) fn settle_spare(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let due = self.due_spare(now);
        let Some(spare) = &self.spare else {
            if let Due::One(target) = due {
                self.prepare(target, 0, now, actions);
            }
            return;
        };
        let failures = spare.failures;
        let is_other = |target: Target| target.revision != spare.target.revision;
        // A worker of another revision was spawned meanwhile: generations never go back.
        let is_overtaken = spare.generation < self.generation;
        match (spare.phase, due) {
            (SparePhase::Starting { .. } | SparePhase::Waiting { .. }, _) if is_overtaken => {
                self.end_spare(now, actions);
            }
            (SparePhase::Backoff { .. } | SparePhase::GivenUp, Due::None | Due::Any) => {
                self.spare = None;
            }
            (SparePhase::Backoff { .. } | SparePhase::GivenUp, Due::One(target))
                if is_other(target) =>
            {
                self.prepare(target, 0, now, actions);
            }
            (SparePhase::Backoff { until }, Due::One(target)) if until <= now => {
                self.prepare(target, failures, now, actions);
            }
            (SparePhase::Backoff { .. } | SparePhase::GivenUp, Due::One(_)) => {}
            (SparePhase::Starting { .. } | SparePhase::Waiting { .. }, Due::None) => {
                self.end_spare(now, actions);
            }
            (SparePhase::Starting { .. } | SparePhase::Waiting { .. }, Due::One(target))
                if is_other(target) =>
            {
                self.end_spare(now, actions);
            }
            (SparePhase::Starting { .. } | SparePhase::Waiting { .. }, Due::Any | Due::One(_)) => {}
            (SparePhase::Stopping { .. } | SparePhase::Killing { .. }, _) => {}
        }
    }

    /// Another worker is asked for: what went before no longer counts, and the next spare does not wait.
    pub(super) fn retry_spare(&mut self) {
        let Some(spare) = &mut self.spare else { return };
        if !spare.phase.has_worker() {
            self.spare = None;
            return;
        }
        spare.failures = 0;
        spare.then = Then::Nothing;
    }

    /// The spare, if the next worker may be it.
    pub(super) fn usable_spare(&self) -> Option<&Spare> {
        let revision = self.due_revision().unwrap_or(self.revision);
        let is_usable = |spare: &&Spare| spare.is_usable() && spare.revision() == revision;
        self.spare.as_deref().filter(is_usable)
    }

    /// Takes the spare as the next worker.
    pub(super) fn take_usable_spare(&mut self) -> Option<Spare> {
        self.usable_spare()?;
        self.spare.take().map(|spare| *spare)
    }

    /// Takes the spare as the next worker if it waits.
    pub(super) fn take_waiting_spare(&mut self) -> Option<Spare> {
        let waits = |spare: &&Spare| matches!(spare.phase, SparePhase::Waiting { .. });
        self.usable_spare().filter(waits)?;
        self.take_usable_spare()
    }

    pub(super) fn kill_spare(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let Some((worker, phase)) = self.spare() else { return };
        if phase.has_worker() {
            self.await_spare(now);
            actions.push(Action::Kill(worker));
        }
    }

    /// When a spare is prepared if nothing happens before.
    pub(super) fn spare_deadline(&self) -> Option<Instant> {
        let Phase::Ready { since } = self.phase else { return None };
        let is_due = self.spare.is_none() && self.wanted == Wanted::Up;
        let SpareRule::Always { after, .. } = self.spare_rule() else { return None };
        is_due.then_some(since + after)
    }

    /// The next worker is by the new revision, whether its turn comes first or a crash.
    pub(super) fn next_target(&self) -> Target {
        let own = Target { revision: self.revision, policy: self.policy };
        self.roll.target().unwrap_or(own)
    }

    /// When the slot has a spare: the rule of its next worker.
    fn spare_rule(&self) -> SpareRule {
        let rule = self.next_target().policy.spare;
        if self.holds_spare { rule.held() } else { rule.not_held() }
    }

    fn due_spare(&self, now: Instant) -> Due {
        let is_up = self.wanted == Wanted::Up;
        match self.phase {
            Phase::Ready { since } if is_up => {
                let next = self.next_target();
                let has_turn = self.roll.turn().is_some();
                let has_none = self.spare.is_none() && !has_turn;
                match self.spare_rule() {
                    SpareRule::Always { after, .. } if has_none && now < since + after => Due::Any,
                    SpareRule::Always { .. } => Due::One(next),
                    SpareRule::ToReplace { .. } if has_turn => Due::One(next),
                    SpareRule::ToReplace { .. } | SpareRule::Never => Due::None,
                    // It is one of the others in each slot.
                    SpareRule::Shared { .. } => Due::None,
                }
            }
            Phase::Starting { .. } | Phase::Backoff { .. } if is_up => Due::Any,
            Phase::Stopping { .. } | Phase::Killing { .. } if is_up => Due::Any,
            Phase::Idle | Phase::GivenUp | Phase::Ready { .. } => Due::None,
            Phase::Starting { .. } | Phase::Backoff { .. } => Due::None,
            Phase::Stopping { .. } | Phase::Killing { .. } => Due::None,
        }
    }

    fn prepare(&mut self, target: Target, failures: u32, now: Instant, actions: &mut Vec<Action>) {
        // A turn is taken only where both policies have spares.
        let within = target.policy.spare.within().unwrap_or_default();
        let generation = self.number_worker();
        let phase = SparePhase::Starting { execd_at: None, wait_by: now + within };
        let then = Then::Nothing;
        self.spare = Some(Box::new(Spare { generation, target, phase, failures, then }));
        let worker = WorkerId { slot: self.id, generation };
        actions.push(Action::Prepare { worker, revision: target.revision });
    }

    fn spare_waits(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let Some(spare) = &mut self.spare else { return };
        let until = spare.target.policy.spare.max_age().map(|age| now + age);
        spare.phase = SparePhase::Waiting { since: now, until };
        spare.failures = 0;
        let worker = WorkerId { slot: self.id, generation: spare.generation };
        actions.push(Action::Report(Transition::SpareWaits(worker)));
    }

    fn fail_spare(&mut self, how: SpareFailure, now: Instant, actions: &mut Vec<Action>) {
        let id = self.id;
        let Some(spare) = &mut self.spare else { return };
        spare.failures = spare.failures.saturating_add(1);
        let backoff = spare.target.policy.backoff;
        let gives_up = backoff.gives_up(spare.failures);
        let wait = (!gives_up).then(|| backoff.wait_after(spare.failures, id));
        spare.then = wait.map_or(Then::GiveUp, |wait| Then::Retry(now + wait));
        let worker = WorkerId { slot: id, generation: spare.generation };
        actions.push(Action::Report(Transition::SpareFailed { worker, how, wait }));
    }

    /// It is stopped.
    fn end_spare(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let Some(spare) = &mut self.spare else { return };
        let grace: Duration = spare.target.policy.grace;
        if grace.is_zero() {
            return self.kill_spare(now, actions);
        }
        spare.phase = SparePhase::Stopping { grace, kill_at: now + grace };
        let worker = WorkerId { slot: self.id, generation: spare.generation };
        actions.push(Action::Terminate(worker));
    }

    fn await_spare(&mut self, now: Instant) {
        if let Some(spare) = &mut self.spare {
            let since =
                if let SparePhase::Killing { since, .. } = spare.phase { since } else { now };
            spare.phase = SparePhase::Killing { since, again_at: now + KILL_AGAIN };
        }
    }

    /// Nothing is left of it.
    fn lose_spare(&mut self, now: Instant) {
        let Some(spare) = &mut self.spare else { return };
        match spare.then {
            Then::Nothing => self.spare = None,
            Then::Retry(at) => spare.phase = SparePhase::Backoff { until: at.max(now) },
            Then::GiveUp => spare.phase = SparePhase::GivenUp,
        }
    }
}
