//! What a worker does and what is done to it, and what that changes.

use std::time::Instant;

use pm::supervisor::{Exit, MaxRestarts, Readiness, Remains, Restart, Wanted, WorkerId};

use super::{AT_ONCE, Asked, Due, Facts};
use crate::life::Life;

impl Facts {
    pub fn become_ready(&mut self, now: Instant) {
        if let Some(life) = self.life.as_mut().filter(|life| life.is_starting()) {
            life.ready_at = Some(now);
            self.failed_starts = 0;
            self.is_away = false;
        }
    }

    pub fn hang(&mut self, now: Instant) {
        let Some(life) = self.life.as_mut().filter(|life| life.is_ready()) else { return };
        life.has_hung = true;
        if self.wanted != Wanted::Up {
            return;
        }
        match self.policy.restart {
            Restart::Never if self.replacement.is_some() => {}
            Restart::Never => self.wanted = Wanted::Ended(None),
            Restart::Always | Restart::OnFailure => self.fail(now),
        }
    }

    pub fn pass_time(&mut self, now: Instant) {
        let Readiness::Lived { after } = self.policy.ready else { return };
        if self.life.as_ref().is_some_and(|life| life.has_lived(after, now)) {
            self.become_ready(now);
        }
    }

    /// Returns the failure that ended the slot, if it was one that did.
    pub fn lose_leader(&mut self, exit: Exit, now: Instant) -> Option<Exit> {
        let life = self.life.as_mut()?;
        life.has_leader = false;
        let is_success = exit == Exit::Code(0);
        if life.was_signalled() {
            if !life.has_hung || self.wanted != Wanted::Ended(None) {
                return None;
            }
            let failure = if is_success { Exit::Code(1) } else { exit };
            self.wanted = Wanted::Ended(Some(failure));
            return Some(failure);
        }
        life.killed_at = Some(now);
        self.failed_starts += u32::from(!life.was_ready());
        if self.wanted != Wanted::Up {
            return None;
        }
        let ends = match self.policy.restart {
            Restart::Always => false,
            Restart::OnFailure => is_success,
            Restart::Never => true,
        };
        if !ends {
            self.fail(now);
            return None;
        }
        if self.replacement.is_some() {
            return None;
        }
        self.wanted = Wanted::Ended(Some(exit));
        self.is_away = false;
        (!is_success).then_some(exit)
    }

    /// The worker has exec'd.
    pub fn be_execd(&mut self, now: Instant) {
        if let Some(life) = &mut self.life {
            life.execd_at.get_or_insert(now);
        }
        if self.is_ready_at_exec() {
            self.become_ready(now);
        }
    }

    /// There is no worker. If it was signalled on its way to its program, the failure does not count.
    pub fn fail_spawn(&mut self, now: Instant) {
        if self.life.as_ref().is_some_and(Life::was_signalled) {
            return self.be_emptied(Remains::Nothing, now);
        }
        self.failed_starts += 1;
        if self.wanted == Wanted::Up {
            self.fail(now);
        }
        self.be_emptied(Remains::Nothing, now);
    }

    pub fn be_emptied(&mut self, remains: Remains, now: Instant) {
        if remains == Remains::Nothing {
            self.life = None;
            self.empty_since = now;
            self.due = self.due_when_empty();
            if self.due == Due::Nothing {
                self.be_idle();
            }
        }
    }

    /// A spawn was carried out. `life` is that of the worker, if there is one.
    pub fn be_spawned(&mut self, worker: WorkerId, life: Option<Life>) {
        if let Some(replacement) = self.replacement.take() {
            self.adopt(replacement);
            self.was_replaced = true;
            self.forget_failures();
        }
        self.others.has_turn = false;
        self.generation = worker.generation;
        self.last_generation = self.last_generation.max(worker.generation);
        self.due = AT_ONCE;
        self.life = life;
    }

    pub fn be_killed(&mut self, now: Instant) {
        self.be_signalled(now);
        if let Some(life) = &mut self.life {
            life.killed_at = Some(now);
        }
    }

    /// A first signal to a worker that is wanted up, not ready and not to be replaced can only mean that it was never
    /// ready.
    pub fn be_signalled(&mut self, now: Instant) {
        let Some(life) = &mut self.life else { return };
        let is_first = life.is_unsignalled();
        if !life.was_signalled() {
            life.signalled_at = Some(now);
            life.grace = self.policy.grace;
        }
        let (was_ready, has_hung) = (life.was_ready(), life.has_hung);
        let is_restarted = std::mem::take(&mut self.asked) == Asked::Restart;
        if !is_restarted && is_first && self.wanted == Wanted::Up {
            if self.replacement.is_none() && !was_ready {
                self.failed_starts += 1;
                self.fail(now);
            }
            self.is_away |= self.replacement.is_some() && was_ready && !has_hung;
        }
    }

    /// A worker has failed and is to be followed by another.
    fn fail(&mut self, now: Instant) {
        self.limit = self.policy.max_restarts;
        let Some(MaxRestarts { count, within }) = self.policy.max_restarts else {
            self.failed_at.clear();
            self.has_too_many_restarts = false;
            return;
        };
        self.failed_at.retain(|at| now < *at + within);
        self.failed_at.push(now);
        self.has_too_many_restarts |= self.failed_at.len() > count.get() as usize;
    }
}
