//! The current worker of a slot, from its spawn to its last signal.
//!
//! Which input leads here is in [`super`]; what follows an exit, in [`super::after_exit`].

use std::time::{Duration, Instant};

use super::super::event::{Action, PortProbe, Remains, Transition};
use super::super::ids::Exit;
use super::super::phase::{Phase, Roll, Wanted};
use super::super::policy::Readiness;
use super::Slot;

/// SIGKILL is repeated this often until the group is empty: a fork that was under way may have missed the last one.
const KILL_AGAIN: Duration = Duration::from_secs(1);

impl Slot {
    pub(super) fn spawn(&mut self, now: Instant, actions: &mut Vec<Action>) {
        debug_assert_eq!(self.wanted, Wanted::Up, "only a slot that is wanted up is filled");
        if let Some(target) = self.roll.target() {
            self.adopt(target);
            self.roll = Roll::Done;
            self.forget_failures();
        }
        self.generation += 1;
        let worker = self.worker();
        let port = std::mem::replace(&mut self.port, PortProbe::Needed);
        actions.push(Action::Spawn { worker, revision: self.revision, port });
        self.phase = Phase::Starting { ready_by: now + self.policy.ready.wait() };
    }

    pub(super) fn become_ready(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.failures = 0;
        self.port = PortProbe::Skipped;
        self.phase = Phase::Ready { since: now };
        actions.push(Action::Report(Transition::Ready(self.worker())));
    }

    /// The time to become ready is over.
    pub(super) fn end_start(&mut self, now: Instant, actions: &mut Vec<Action>) {
        match self.policy.ready {
            Readiness::Lived { .. } => self.become_ready(now, actions),
            Readiness::Probe { .. } => {
                self.note_failed_start(now);
                actions.push(Action::Report(Transition::NeverReady(self.worker())));
                // Even if it waits to be stopped: no other slot can need a worker that is not ready.
                self.terminate(now, actions);
            }
        }
    }

    pub(super) fn begin_replacement(&mut self, now: Instant, actions: &mut Vec<Action>) {
        actions.push(Action::Report(Transition::Replacing(self.worker())));
        self.terminate(now, actions);
    }

    pub(super) fn terminate(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if self.policy.grace.is_zero() {
            return self.kill(now, actions);
        }
        self.phase = Phase::Stopping { kill_at: now + self.policy.grace };
        actions.push(Action::Terminate(self.worker()));
    }

    pub(super) fn kill(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.await_empty(now);
        actions.push(Action::Kill(self.worker()));
    }

    /// The group was sent SIGKILL.
    pub(super) fn await_empty(&mut self, now: Instant) {
        self.phase = Phase::Killing { again_at: now + KILL_AGAIN };
    }

    /// The leader of a worker that is being stopped or killed has exited.
    pub(super) fn lose_leader(
        &mut self,
        exit: Exit,
        remains: Remains,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        self.note_exit_after_hang(exit);
        match remains {
            Remains::Nothing => self.be_empty(now, actions),
            // Members keep the rest of the grace.
            Remains::Members => {}
        }
    }
}
