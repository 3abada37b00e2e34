//! What a command or a plan wants of a slot, and what it changes.

use std::time::Instant;

use pm::supervisor::{SlotEntry, Wanted};

use super::{AT_ONCE, Asked, Due, Facts, Replacement};

impl Facts {
    /// What went before no longer counts, unless it is on its way up already.
    pub fn start(&mut self, now: Instant) {
        let gives_up = matches!(self.prospect(), Due::GiveUp | Due::TooManyRestarts);
        let is_restarted = gives_up && !self.is_unsignalled();
        if self.wanted == Wanted::Up && !is_restarted {
            return;
        }
        if self.life.is_none() {
            self.due = if is_restarted { AT_ONCE } else { Due::Start };
            self.empty_since = now;
        }
        self.wanted = Wanted::Up;
        self.forget_failures();
    }

    /// Another worker is wanted now, and neither a backoff nor a failure counts.
    pub fn restart(&mut self, now: Instant) {
        if self.is_ready() && self.has_spares() {
            self.wanted = Wanted::Up;
            self.forget_failures();
            let same = Replacement { revision: self.revision, policy: self.policy };
            self.replacement.get_or_insert(same);
            self.take_turn();
        } else if self.is_unsignalled() {
            self.asked = Asked::Restart;
            self.wanted = Wanted::Up;
            self.forget_failures();
        } else if self.life.is_some() || matches!(self.due, Due::Nothing | Due::Start) {
            self.start(now);
        } else {
            self.wanted = Wanted::Up;
            self.due = AT_ONCE;
            self.empty_since = now;
            self.forget_failures();
        }
    }

    /// As a restart, but a worker that is there waits for its turn.
    pub fn roll(&mut self, now: Instant) {
        if !self.is_unsignalled() {
            return self.restart(now);
        }
        self.start(now);
        let same = Replacement { revision: self.revision, policy: self.policy };
        self.replacement.get_or_insert(same);
    }

    pub fn withdraw(&mut self) {
        if self.is_unsignalled() && self.is_asked() {
            self.replacement = None;
            self.others.has_turn = false;
        }
    }

    pub fn stop(&mut self) {
        if self.wanted != Wanted::Gone {
            self.wanted = Wanted::Down;
        }
        self.go_down();
    }

    pub fn remove(&mut self) {
        self.wanted = Wanted::Gone;
        self.go_down();
    }

    fn go_down(&mut self) {
        self.is_away = false;
        self.others.has_turn = false;
        if self.life.is_none() {
            self.be_idle();
        }
    }

    /// The plan has it, perhaps again.
    pub fn revise(&mut self, entry: &SlotEntry, now: Instant) {
        if self.wanted == Wanted::Gone {
            self.wanted = Wanted::Unset;
        }
        // It was the roll of its pool before.
        self.is_away &= self.pool == entry.pool;
        self.pool = entry.pool;
        self.planned = entry.revision;
        if let Some(spare) = &mut self.others.spare
            && spare.life.revision == entry.revision
            && spare.life.is_unsignalled()
        {
            spare.policy = entry.policy;
            spare.life.grace = entry.policy.grace;
        }
        let replacement = Replacement { revision: entry.revision, policy: entry.policy };
        let is_ending = self.life.is_some() && !self.is_unsignalled();
        let is_empty = self.life.is_none();
        let is_changed = entry.revision != self.revision;
        let runs_again = is_changed && matches!(self.wanted, Wanted::Ended(_));
        if runs_again {
            self.wanted = Wanted::Up;
            self.forget_failures();
        }
        if is_empty && matches!(self.due, Due::Nothing | Due::Start) {
            if runs_again {
                self.due = Due::Start;
                self.empty_since = now;
            }
            self.adopt(replacement);
        } else if is_changed {
            self.replacement = Some(replacement);
            if is_empty {
                self.due = AT_ONCE;
                self.empty_since = now;
            }
        } else if is_ending && self.replacement.is_some() {
            self.replacement = Some(replacement);
        } else if self.is_unsignalled() && self.is_asked() {
            self.replacement = Some(replacement);
            self.policy = entry.policy;
        } else {
            self.replacement = None;
            self.others.has_turn = false;
            self.policy = entry.policy;
        }
        self.others.has_turn &= self.has_spares();
    }
}
