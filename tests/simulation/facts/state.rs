//! What is true of a slot, by what is known of it.

use std::time::{Duration, Instant};

use pm::supervisor::{Exit, Readiness, Restart, SlotFailure, Wanted};

use super::{AT_ONCE, Asked, Due, Facts};
use crate::life::Life;

impl Facts {
    /// What is due if the slot is empty, or would be if it were empty now.
    pub fn prospect(&self) -> Due {
        if self.life.is_none() { self.due } else { self.due_when_empty() }
    }

    pub(super) fn due_when_empty(&self) -> Due {
        let rules = &self.policy.backoff;
        let is_once = self.policy.restart == Restart::Never;
        let limit = rules.give_up_after.map_or(u32::MAX, |limit| limit.get());
        let most = if is_once { 1 } else { limit };
        if self.wanted != Wanted::Up {
            Due::Nothing
        } else if self.replacement.is_some() {
            AT_ONCE
        } else if self.failed_starts >= most {
            Due::GiveUp
        } else if self.has_too_many_restarts {
            Due::TooManyRestarts
        } else {
            let doublings = self.failed_starts.saturating_sub(2).min(20);
            let wait = (rules.first * 2_u32.pow(doublings)).min(rules.max);
            Due::Spawn { backoff: if self.failed_starts < 2 { Duration::ZERO } else { wait } }
        }
    }

    /// True if a worker is ready as soon as it has exec'd.
    pub fn is_ready_at_exec(&self) -> bool {
        self.policy.ready == Readiness::Lived { after: Duration::ZERO }
    }

    pub fn has_probe(&self) -> bool {
        matches!(self.policy.ready, Readiness::Probe { .. })
    }

    /// True if the time to become ready is over and the worker is not ready.
    pub fn is_never_ready(&self, now: Instant) -> bool {
        let Readiness::Probe { within } = self.policy.ready else { return false };
        self.life.as_ref().is_some_and(|life| life.is_starting() && now >= life.spawned_at + within)
    }

    pub fn is_ready(&self) -> bool {
        self.life.as_ref().is_some_and(Life::is_ready)
    }

    pub fn is_unsignalled(&self) -> bool {
        self.life.as_ref().is_some_and(Life::is_unsignalled)
    }

    /// True if it is to be down: by a command, by the plan, or because it was never started.
    pub fn is_wanted_down(&self) -> bool {
        matches!(self.wanted, Wanted::Down | Wanted::Gone | Wanted::Unset)
    }

    /// True if what its pool comes after must stay because of it.
    pub fn blocks_stop(&self) -> bool {
        (self.life.is_some() || !self.others.are_gone()) && self.is_wanted_down()
    }

    /// True if the pools that come after its pool need not wait for it.
    pub fn is_met(&self) -> bool {
        match self.wanted {
            Wanted::Unset => false,
            Wanted::Up => self.is_ready(),
            Wanted::Down | Wanted::Gone => true,
            Wanted::Ended(exit) => exit == Some(Exit::Code(0)) && self.life.is_none(),
        }
    }

    /// True if the roll of its pool waits for it: it is part of the roll and not ready.
    pub fn blocks_roll(&self) -> bool {
        let is_rolling = self.replacement.is_some() || self.was_replaced;
        self.wanted == Wanted::Up && is_rolling && (self.others.has_turn || !self.is_ready())
    }

    /// True if its worker waits to be replaced, or is about to be.
    pub fn is_to_be_replaced(&self) -> bool {
        self.wanted == Wanted::Up && self.replacement.is_some()
    }

    /// True if it is empty and waits for other pools.
    pub fn waits_to_start(&self) -> bool {
        self.life.is_none() && self.others.are_gone() && self.due == Due::Start
    }

    /// True if it is empty and has given up.
    pub fn has_given_up(&self) -> bool {
        self.life.is_none() && matches!(self.due, Due::GiveUp | Due::TooManyRestarts)
    }

    /// Why nothing more comes of it, if that is because of a failure.
    pub fn failure(&self) -> Option<SlotFailure> {
        match self.wanted {
            Wanted::Ended(Some(exit)) if self.life.is_none() && exit != Exit::Code(0) => {
                Some(SlotFailure::Exit(exit))
            }
            _ => self.has_given_up().then_some(SlotFailure::GaveUp),
        }
    }

    /// True if nothing more comes of it: it has ended or given up.
    pub fn has_ended(&self) -> bool {
        let ended = self.life.is_none() && matches!(self.wanted, Wanted::Ended(_));
        (ended || self.has_given_up()) && self.others.are_gone()
    }

    /// True if the plan has no such slot and nothing of its worker is left.
    pub fn is_forgotten(&self) -> bool {
        self.wanted == Wanted::Gone && self.life.is_none() && self.others.are_gone()
    }

    /// True if a command wants another worker in place of the one that is there.
    pub fn is_restarted(&self) -> bool {
        self.asked == Asked::Restart
    }

    /// True if a command, and not the plan, has its worker replaced.
    pub fn is_asked(&self) -> bool {
        self.replacement.is_some_and(|replacement| replacement.revision == self.revision)
    }
}
