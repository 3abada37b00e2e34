//! What comes after a worker: the sequel to each way to end, and when nothing comes any more.

use std::time::Instant;

use super::super::event::{Action, Next, Remains, Transition};
use super::super::ids::Exit;
use super::super::phase::{Phase, Wanted};
use super::super::policy::Restart;
use super::{KILL_AGAIN, Slot};

impl Slot {
    /// The leader ended unasked and its group was swept. What comes next must wait until the group is empty: the
    /// dying may still hold the port.
    pub(super) fn outlive(
        &mut self,
        exit: Exit,
        remains: Remains,
        now: Instant,
        actions: &mut Vec<Action>,
    ) -> Next {
        self.expect_a_successor(self.policy.restart.follows(exit), now);
        if self.wanted == Wanted::Ended {
            self.end = Some(exit);
        }
        match remains {
            Remains::Nothing => self.refill(now, actions),
            Remains::Members => {
                self.phase = Phase::Killing { again_at: now + KILL_AGAIN };
                self.next()
            }
        }
    }

    /// A worker fails or has ended, and nobody had asked for that: either another `follows`, or it is the end.
    pub(super) fn expect_a_successor(&mut self, follows: bool, now: Instant) {
        match (self.wanted, follows) {
            (Wanted::Up, true) => self.restarts.note(self.policy.max_restarts, now),
            (Wanted::Up, false) => self.wanted = Wanted::Ended,
            // It waited for its turn to stop.
            (Wanted::Down | Wanted::Ended | Wanted::Gone, true | false) => {}
        }
    }

    /// A worker that hung and is followed by none has ended as a failure, even if it obeyed the stop signal and said
    /// that all was well.
    pub(super) fn note_end_of_hung(&mut self, exit: Exit) {
        if self.wanted == Wanted::Ended && self.end.is_none() {
            self.end = Some(if exit.is_success() { Exit::Code(1) } else { exit });
        }
    }

    /// Nothing is left of a worker that was to go.
    pub(super) fn be_gone(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let worker = self.worker();
        let next = self.refill(now, actions);
        actions.push(Action::Report(Transition::Stopped { worker, next }));
    }

    /// The slot is empty: what is wanted comes next.
    pub(super) fn refill(&mut self, now: Instant, actions: &mut Vec<Action>) -> Next {
        let next = self.next();
        self.enter(next, now, actions);
        next
    }

    pub(super) fn enter(&mut self, next: Next, now: Instant, actions: &mut Vec<Action>) {
        match next {
            Next::Spawn => self.spawn(now, actions),
            Next::Backoff(wait) => self.phase = Phase::Backoff { until: now + wait },
            Next::GiveUp | Next::TooManyRestarts => self.phase = Phase::GivenUp,
            Next::End | Next::Down => self.lie_idle(),
        }
    }

    pub(super) fn lie_idle(&mut self) {
        self.phase = Phase::Idle;
        self.policy = self.due.take().unwrap_or(self.policy);
        self.is_rolled = false;
    }

    pub(super) fn next(&self) -> Next {
        match self.wanted {
            Wanted::Down | Wanted::Gone => return Next::Down,
            Wanted::Ended => return Next::End,
            Wanted::Up => {}
        }
        if self.due.is_some() {
            // Whatever became of the old worker says nothing of the new one.
            return Next::Spawn;
        }
        let failed = self.failures > 0;
        if failed
            && (self.policy.backoff.gives_up(self.failures)
                || self.policy.restart == Restart::Never)
        {
            return Next::GiveUp;
        }
        if self.restarts.are_too_many() {
            return Next::TooManyRestarts;
        }
        let wait = self.policy.backoff.after(self.failures, self.id);
        if wait.is_zero() { Next::Spawn } else { Next::Backoff(wait) }
    }

    pub(super) fn is_coming_back(&self) -> bool {
        match self.next() {
            Next::Spawn | Next::Backoff(_) => true,
            Next::GiveUp | Next::TooManyRestarts | Next::End | Next::Down => false,
        }
    }
}
