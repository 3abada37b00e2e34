//! The current worker of a slot, from its spawn to its last signal.
//!
//! Which input leads here is in [`super`]; what follows an exit, in [`super::after_exit`].

use std::time::Instant;

use super::super::event::{Action, PortProbe, Remains, Transition};
use super::super::ids::Exit;
use super::super::phase::{KILL_AGAIN, Phase, Roll, Wanted};
use super::super::policy::Readiness;
use super::Slot;

impl Slot {
    pub(super) fn spawn(&mut self, now: Instant, actions: &mut Vec<Action>) {
        debug_assert_eq!(self.wanted, Wanted::Up, "only a slot that is wanted up is filled");
        if let Some(target) = self.roll.target() {
            self.adopt(target);
            self.roll = Roll::Done;
            self.forget_failures();
        }
        let port = std::mem::replace(&mut self.port, PortProbe::Needed);
        if let Some(spare) = self.take_usable_spare() {
            return self.admit(spare, now, actions);
        }
        self.generation = self.number_worker();
        let worker = self.worker();
        actions.push(Action::Spawn { worker, revision: self.revision, port });
        self.start_since(now, None);
    }

    /// The worker was spawned and perhaps has exec'd; the policy says until when it may start.
    pub(super) fn start_since(&mut self, spawned_at: Instant, execd_at: Option<Instant>) {
        let ready_by = self.policy.ready.deadline(spawned_at, execd_at);
        self.phase = Phase::Starting { spawned_at, execd_at, ready_by };
    }

    /// The worker has exec'd.
    pub(super) fn on_execd(
        &mut self,
        spawned_at: Instant,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        if self.policy.ready.is_at_exec() {
            self.become_ready(now, actions);
        } else {
            self.start_since(spawned_at, Some(now));
        }
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

    /// A command wants another worker now.
    pub(super) fn restart(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.want_up();
        if self.has_spares() && matches!(self.phase, Phase::Ready { .. }) {
            return self.take_turn();
        }
        self.begin_replacement(now, actions);
    }

    pub(super) fn terminate(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let grace = self.policy.grace;
        if grace.is_zero() {
            return self.kill(now, actions);
        }
        self.phase = Phase::Stopping { grace, kill_at: now + grace };
        actions.push(Action::Terminate(self.worker()));
    }

    pub(super) fn kill(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.await_empty(now);
        actions.push(Action::Kill(self.worker()));
    }

    /// The group was sent SIGKILL.
    pub(super) fn await_empty(&mut self, now: Instant) {
        let since = if let Phase::Killing { since, .. } = self.phase { since } else { now };
        self.phase = Phase::Killing { since, again_at: now + KILL_AGAIN };
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
