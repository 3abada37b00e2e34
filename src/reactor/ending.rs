//! When the loop waits, and when it ends.

use std::time::{Duration, Instant};

use super::Reactor;
use super::agenda::{Leaving, Urgency};
use super::output::Progress;
use super::report::{RunEvent, SlotFailure};
use crate::supervisor::Outcome;

/// How long orphans that are no worker's may delay pm's exit once all workers are gone.
const ORPHANS_WITHIN: Duration = Duration::from_secs(1);

impl Reactor {
    /// The supervisor has finished with this outcome. `stopping_since` is when all workers began to be stopped.
    pub(super) fn begin_to_leave(&mut self, outcome: Outcome, stopping_since: Option<Instant>) {
        let now = self.clock.now();
        if let Some(since) = stopping_since {
            let after = now.saturating_duration_since(since);
            // Where there was no worker to stop, that was the last line.
            if !after.is_zero() {
                self.say(RunEvent::AllStopped(after));
            }
        } else if self.supervisor.slot_count() > 1 {
            // With one slot, the report of its end was the last line.
            let failed = self.slots.failed(&self.supervisor).map(|(_, failed)| failed);
            let failed = { failed }.find(|failed| match (outcome, failed.failure) {
                (Outcome::Ended(first), SlotFailure::Exit(exit)) => first == Some(exit),
                (Outcome::GaveUp, SlotFailure::GaveUp) => true,
                (Outcome::Ended(_), SlotFailure::GaveUp) => false,
                (Outcome::GaveUp, SlotFailure::Exit(_)) => false,
                (Outcome::Stopped | Outcome::LeftBehind, _) => false,
            });
            if let Some(failed) = failed {
                self.say(RunEvent::EndedWithFailure(failed));
            }
        }
        let orphans_until = now + ORPHANS_WITHIN;
        self.agenda.leaving = Some(Leaving { outcome, orphans_until, urgency: Urgency::None });
    }

    /// pm was asked to stop once more after the supervisor had finished, or where SIGKILL had not ended all workers:
    /// those are left to the guard.
    pub(super) fn leave_now(&mut self) {
        let now = self.clock.now();
        let outcome = match &self.agenda.leaving {
            Some(leaving) => leaving.outcome,
            None => {
                self.agenda.stop_progress.hasten(now);
                self.report_delays();
                self.say(RunEvent::LeftBehind(self.supervisor.ending().count()));
                Outcome::LeftBehind
            }
        };
        self.agenda.leaving = Some(Leaving { outcome, orphans_until: now, urgency: Urgency::Now });
    }

    /// The outcome, once no process is left and every line is written.
    pub(super) fn outcome(&mut self) -> Option<Outcome> {
        let leaving = self.agenda.leaving.as_ref()?;
        let now = self.clock.now();
        let is_alone = self.children.sweep_orphans() == 0 && self.output.are_all_ended();
        let is_over = (is_alone || now >= leaving.orphans_until) && self.output.is_settled(now);
        let outcome = (is_over || leaving.urgency == Urgency::Now).then_some(leaving.outcome)?;
        self.report_lost_lines();
        Some(outcome)
    }

    /// What could not be written until now never will be.
    fn report_lost_lines(&mut self) {
        let now = self.clock.now();
        for incident in self.output.close(now) {
            self.say(RunEvent::Output(incident));
        }
        self.output.flush_own(now);
    }

    /// How long the poll may wait; `None`: without a limit.
    pub(super) fn timeout(&self, progress: Progress) -> Option<Duration> {
        match progress {
            Progress::MayHaveMore => Some(Duration::ZERO),
            Progress::Idle => self.next_deadline().map(|deadline| self.clock.until(deadline)),
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let now = self.clock.now();
        let leaving = self.agenda.leaving.as_ref().map(|leaving| leaving.orphans_until);
        let deadlines = [
            self.supervisor.next_deadline(),
            self.health.next_deadline(),
            self.held_ports.next_deadline(),
            self.slots.next_deadline(),
            self.agenda.stop_progress.next_deadline(),
            self.agenda.kept_dead.next_deadline(),
            self.output.next_deadline(now),
            self.control.next_deadline(),
            leaving.filter(|until| *until > now),
        ];
        deadlines.into_iter().flatten().min()
    }
}
