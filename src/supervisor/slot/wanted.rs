//! Commands and plans: what a slot is wanted to be, and what its next worker is spawned by.
//!
//! Nothing here touches the worker that is there. Which input leads here is in [`super`].

use super::super::phase::{Target, Wanted};
use super::super::policy::Policy;
use super::Slot;

impl Slot {
    /// It is started: what went before no longer counts.
    pub(super) fn want_up(&mut self) {
        self.wanted = Wanted::Up;
        self.forget_failures();
    }

    /// It is started while its worker is there: a worker that waited to be stopped stays.
    pub(super) fn stay_up(&mut self) {
        if self.wanted != Wanted::Up {
            self.want_up();
        }
    }

    /// It is started while its worker is being stopped or killed: another one follows.
    pub(super) fn come_back(&mut self) {
        if !self.is_followed() {
            self.want_up();
        }
    }

    /// Another worker of the same revision is to follow this one when the roll of the pool comes to it.
    pub(super) fn roll(&mut self) {
        self.stay_up();
        if !self.roll.is_due() {
            self.roll.set_due(Target { revision: self.revision, policy: self.policy });
        }
    }

    /// A roll that was asked for does not come to it.
    pub(super) fn withdraw(&mut self) {
        if self.roll.is_asked(self.revision) {
            self.roll.withdraw();
        }
    }

    pub(super) fn want_down(&mut self) {
        if self.wanted != Wanted::Gone {
            self.wanted = Wanted::Down;
        }
    }

    /// The plan has it. If the last plan had not, it is like a new one.
    pub(super) fn reinstate(&mut self) {
        if self.wanted == Wanted::Gone {
            self.wanted = Wanted::Unset;
        }
    }

    /// The worker that is there is what the plan wants: a replacement that the plan wanted is withdrawn, one that was
    /// asked for is not.
    pub(super) fn keep(&mut self, policy: Policy) {
        self.reinstate();
        if self.roll.is_asked(self.revision) {
            self.roll.set_due(Target { revision: self.revision, policy });
        } else {
            self.roll.withdraw();
        }
        self.policy = policy;
    }

    /// The worker that is there is what the plan wants, but it is being stopped or killed: the next one is like it.
    pub(super) fn keep_next(&mut self, policy: Policy) {
        self.reinstate();
        if self.roll.is_due() {
            self.roll.set_due(Target { revision: self.revision, policy });
        } else {
            self.policy = policy;
        }
    }

    /// The next worker is to be this one.
    pub(super) fn replace(&mut self, target: Target) {
        self.reinstate();
        self.resume();
        self.roll.set_due(target);
    }

    /// There is no worker, and the next one is as the last one was.
    pub(super) fn keep_idle(&mut self, policy: Policy) {
        self.reinstate();
        self.policy = policy;
    }

    /// There is no worker, and the next one is to be this one.
    pub(super) fn change_idle(&mut self, target: Target) {
        self.reinstate();
        self.resume();
        self.adopt(target);
    }

    /// The plan wants another revision. A slot that has ended runs again by it: what ended was the old one.
    fn resume(&mut self) {
        match self.wanted {
            Wanted::Ended(_) => self.want_up(),
            Wanted::Unset | Wanted::Down | Wanted::Up | Wanted::Gone => {}
        }
    }

    pub(super) fn adopt(&mut self, target: Target) {
        self.policy = target.policy;
        self.revision = target.revision;
    }

    pub(super) fn forget_failures(&mut self) {
        self.failures = 0;
        self.restarts.forget();
    }
}
