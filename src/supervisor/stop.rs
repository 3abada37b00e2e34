//! What follows when pm is asked to stop: drain, kill, or leave. A run that a pool ends drains too ([`run_end`]).
//!
//! The first wish drains: all workers are terminated, none is spawned. A second one kills. One that comes when the run
//! is over, or when SIGKILL has not ended all workers, makes the reactor leave at once. In which order workers are
//! terminated is in [`super::ordering`].
//!
//! [`run_end`]: super::run_end

use std::time::{Duration, Instant};

use super::event::{Action, Outcome, Stop, StopKind, StopOrder, StopReason, Wish};
use super::phase::Input;
use super::{Course, Supervisor};

/// Two wishes within this time are one: timeout(1) signals pm and then pm's process group, and a terminal that is
/// closed sends SIGHUP before its shell sends SIGTERM. A person cannot press Ctrl-C twice within it.
pub(super) const ONE_WISH: Duration = Duration::from_millis(20);

/// What a wish leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grant {
    Drain,
    Kill,
    Leave,
    Nothing,
}

impl Supervisor {
    pub(super) fn asked(&mut self, wish: Wish, now: Instant, actions: &mut Vec<Action>) {
        match self.grant(wish, now) {
            Grant::Drain => self.drain(StopReason::Asked(wish), Outcome::Stopped, now, actions),
            Grant::Kill => self.kill(wish, now, actions),
            Grant::Leave => actions.push(Action::Leave),
            Grant::Nothing => {}
        }
    }

    fn grant(&self, wish: Wish, now: Instant) -> Grant {
        let is_first = match self.course {
            Course::Running { .. } => true,
            Course::Draining { .. } | Course::Finished { .. } => false,
        };
        let is_same = self.stopping_since().is_some_and(|since| now < since + ONE_WISH);
        let may_leave = self.may_leave(now);
        match wish {
            Wish::Interrupt | Wish::Terminate | Wish::Shutdown if is_first => Grant::Drain,
            Wish::Hangup | Wish::GuardGone if is_first => Grant::Drain,
            // The kernel and the shell may each report one closed terminal: a repetition is not a second wish.
            Wish::Hangup | Wish::GuardGone => Grant::Nothing,
            Wish::Interrupt | Wish::Terminate | Wish::Shutdown if is_same => Grant::Nothing,
            Wish::Interrupt | Wish::Terminate | Wish::Quit if may_leave => Grant::Leave,
            Wish::Shutdown | Wish::ShutdownNow if may_leave => Grant::Leave,
            Wish::Interrupt | Wish::Terminate | Wish::Quit => Grant::Kill,
            Wish::Shutdown | Wish::ShutdownNow => Grant::Kill,
        }
    }

    /// Stops all workers. `outcome` is that of the run when they are gone.
    pub(super) fn drain(
        &mut self,
        reason: StopReason,
        outcome: Outcome,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        self.course = Course::Draining { since: now, killing_since: None, outcome };
        // This stops spares alone: the stop order decides which workers are terminated now.
        let mut stops = Vec::new();
        self.step_all(Input::Stop, now, &mut stops);
        let order =
            if self.stops_in_order() { StopOrder::PoolByPool } else { StopOrder::AllAtOnce };
        let stop = self.report_stop(reason, StopKind::Terminate, order);
        actions.push(Action::ReportStop(stop));
        actions.append(&mut stops);
    }

    fn kill(&mut self, wish: Wish, now: Instant, actions: &mut Vec<Action>) {
        let (since, killing_since, outcome) = match self.course {
            Course::Draining { since, killing_since, outcome } => (since, killing_since, outcome),
            Course::Running { .. } | Course::Finished { .. } => (now, None, Outcome::Stopped),
        };
        let killing_since = Some(killing_since.unwrap_or(now));
        self.course = Course::Draining { since, killing_since, outcome };
        let reason = StopReason::Asked(wish);
        let stop = self.report_stop(reason, StopKind::Kill, StopOrder::AllAtOnce);
        actions.push(Action::ReportStop(stop));
        self.step_all(Input::Kill, now, actions);
    }

    fn report_stop(&self, reason: StopReason, how: StopKind, order: StopOrder) -> Stop {
        let mut workers = 0;
        let mut longest_grace = Duration::ZERO;
        for slot in self.table.iter() {
            let of_slot = slot.workers().count();
            workers += of_slot;
            if of_slot > 0 {
                longest_grace = longest_grace.max(slot.policy().grace);
            }
        }
        let how = if longest_grace.is_zero() { StopKind::Kill } else { how };
        Stop { reason, how, workers, longest_grace, order }
    }

    fn step_all(&mut self, input: Input, now: Instant, actions: &mut Vec<Action>) {
        for slot in Vec::from_iter(self.table.ids()) {
            self.step(slot, input, now, actions);
        }
    }
}

#[cfg(test)]
mod tests;
