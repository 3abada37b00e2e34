//! What follows an exit, a failed spawn, or an empty group: the next worker, a backoff, or the end.
//!
//! Which input leads here is in [`super`]; how long a backoff is, in [`super::super::backoff`].

use std::time::Instant;

use super::super::event::{Action, Next, PortProbe, Remains, Transition};
use super::super::ids::Exit;
use super::super::phase::{Phase, Wanted};
use super::super::policy::Restart;
use super::Slot;

/// Whether the restart policy has a failed worker followed by another.
enum Successor {
    Follows,
    /// None. The exit that ended the slot, if it is known yet.
    Ends(Option<Exit>),
}

impl Slot {
    /// A worker that was ready has exited and had not been asked to.
    pub(super) fn crash(
        &mut self,
        exit: Exit,
        remains: Remains,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        let worker = self.worker();
        let next = self.follow(exit, remains, now, actions);
        actions.push(Action::Report(Transition::Crashed { worker, exit, next }));
    }

    /// A worker has exited before it was ready.
    pub(super) fn fail_start(
        &mut self,
        exit: Exit,
        remains: Remains,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        let worker = self.worker();
        self.failures = self.failures.saturating_add(1);
        let next = self.follow(exit, remains, now, actions);
        actions.push(Action::Report(Transition::FailedStart { worker, exit, next }));
    }

    /// A worker could not be spawned.
    pub(super) fn fail_spawn(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.note_failed_start(now);
        let worker = self.worker();
        let next = self.next_worker();
        // Reported before the next spawn: that one may fail for another reason.
        actions.push(Action::Report(Transition::SpawnFailed { worker, next }));
        self.enter(next, now, actions);
    }

    /// A start has failed, and there is no exit that could end the slot.
    pub(super) fn note_failed_start(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.restarts.note(self.policy.max_restarts, now);
    }

    /// A worker hangs. It is followed by another unless the slot never restarts, whatever its exit will be.
    pub(super) fn note_hang(&mut self, now: Instant) {
        self.note_failure(
            match self.policy.restart {
                Restart::Always | Restart::OnFailure => Successor::Follows,
                Restart::Never => Successor::Ends(None),
            },
            now,
        );
    }

    /// The leader of a worker that was asked to stop has exited. If the worker hung and none follows, the slot has
    /// ended with a failure, even if the exit was a success.
    pub(super) fn note_exit_after_hang(&mut self, exit: Exit) {
        if self.wanted == Wanted::Ended(None) {
            self.wanted = Wanted::Ended(Some(if exit.is_success() { Exit::Code(1) } else { exit }));
        }
    }

    /// Nothing is left of a worker that was terminated or killed, or that crashed and left members.
    pub(super) fn be_empty(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let worker = self.worker();
        let next = self.next_worker();
        self.enter(next, now, actions);
        actions.push(Action::Report(Transition::Stopped { worker, next }));
    }

    /// The leader has exited unasked and its group was swept. The next worker waits until the group is empty: a member
    /// that is still dying may hold the port.
    fn follow(
        &mut self,
        exit: Exit,
        remains: Remains,
        now: Instant,
        actions: &mut Vec<Action>,
    ) -> Next {
        let follows = self.policy.restart.follows(exit);
        let successor = if follows { Successor::Follows } else { Successor::Ends(Some(exit)) };
        self.note_failure(successor, now);
        let next = self.next_worker();
        match remains {
            Remains::Nothing => self.enter(next, now, actions),
            Remains::Members => self.await_empty(now),
        }
        next
    }

    fn note_failure(&mut self, successor: Successor, now: Instant) {
        match (self.wanted, successor) {
            (Wanted::Up, Successor::Follows) => self.restarts.note(self.policy.max_restarts, now),
            // The plan has changed, and the next worker is of the new revision.
            (Wanted::Up, Successor::Ends(_)) if self.roll.is_due() => {}
            (Wanted::Up, Successor::Ends(exit)) => self.wanted = Wanted::Ended(exit),
            // It waited for other slots before it was to be stopped: its failure changes nothing.
            (
                Wanted::Unset | Wanted::Down | Wanted::Gone,
                Successor::Follows | Successor::Ends(_),
            ) => {}
            (Wanted::Ended(_), Successor::Follows | Successor::Ends(_)) => {
                debug_assert!(false, "{:?}: a slot that has ended has no worker", self.id);
            }
        }
    }

    /// What comes next, by what is wanted and what has happened.
    pub(super) fn next(&self) -> Next {
        match self.wanted {
            Wanted::Unset | Wanted::Down | Wanted::Gone => return Next::Down,
            Wanted::Ended(_) => return Next::End,
            Wanted::Up => {}
        }
        if self.roll.is_due() {
            // The failures of the old revision do not count for the new one.
            return Next::Spawn;
        }
        let has_failed = self.failures > 0;
        let never_restarts = self.policy.restart == Restart::Never;
        if has_failed && (never_restarts || self.policy.backoff.gives_up(self.failures)) {
            return Next::GiveUp;
        }
        if self.restarts.are_too_many() {
            return Next::TooManyRestarts;
        }
        let wait = self.policy.backoff.wait_after(self.failures, self.id);
        if wait.is_zero() { Next::Spawn } else { Next::Backoff(wait) }
    }

    /// As [`Slot::next`], and whether the next worker is the spare.
    fn next_worker(&self) -> Next {
        match self.next() {
            Next::Spawn if self.usable_spare().is_some() => Next::TakeOver,
            next => next,
        }
    }

    pub(super) fn is_followed(&self) -> bool {
        match self.next() {
            Next::Spawn | Next::TakeOver | Next::Backoff(_) => true,
            Next::GiveUp | Next::TooManyRestarts | Next::End | Next::Down => false,
            Next::Replaced => false,
        }
    }

    fn enter(&mut self, next: Next, now: Instant, actions: &mut Vec<Action>) {
        match next {
            Next::Spawn | Next::TakeOver => self.spawn(now, actions),
            Next::Replaced => {}
            Next::Backoff(wait) => self.phase = Phase::Backoff { until: now + wait },
            Next::GiveUp | Next::TooManyRestarts => {
                self.phase = Phase::GivenUp;
                self.port = PortProbe::Needed;
            }
            Next::End | Next::Down => self.be_idle(),
        }
    }

    pub(super) fn be_idle(&mut self) {
        self.phase = Phase::Idle;
        self.port = PortProbe::Needed;
        if let Some(target) = std::mem::take(&mut self.roll).target() {
            self.adopt(target);
        }
    }
}
