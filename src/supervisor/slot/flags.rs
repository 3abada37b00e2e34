//! What a slot says of itself to the rules that concern more than one: what it waits for, and who must wait for it.
//!
//! Nothing is changed or decided here; [`super::super::ordering`] does that.

use super::super::ids::Exit;
use super::super::phase::{Phase, Wanted};
use super::Slot;

/// Something about a slot that concerns others, or that it waits for others to allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Flag {
    /// It starts when the pools that its own comes after are ready.
    WaitsToStart,
    /// It serves or is about to, and is told to stop when those that need it and are to go are gone.
    WaitsToStop,
    /// It serves, and its worker is replaced when nobody holds the roll of its pool.
    WaitsToRoll,
    /// Its worker is to be replaced, and nobody would miss it.
    RollsAtOnce,
    /// The plan no longer has it, and nothing of it is left.
    IsForgotten,
    /// Its pool is not ready, because of it.
    IsUnmet,
    /// It is to go and something of it is left, so that what it needs must stay.
    IsLeaving,
    /// It is in a roll: its worker is to be replaced, or was.
    IsRolling,
    /// It is in a roll and does not serve: those of its pool that do must wait.
    HoldsTheRoll,
}

impl Flag {
    pub(in super::super) const ALL: [Self; 9] = [
        Self::WaitsToStart,
        Self::WaitsToStop,
        Self::WaitsToRoll,
        Self::RollsAtOnce,
        Self::IsForgotten,
        Self::IsUnmet,
        Self::IsLeaving,
        Self::IsRolling,
        Self::HoldsTheRoll,
    ];
}

impl Slot {
    pub(in super::super) fn has(&self, mark: Flag) -> bool {
        let is_up = self.wanted == Wanted::Up;
        let is_to_go = matches!(self.wanted, Wanted::Down | Wanted::Gone);
        let starts = matches!(self.phase, Phase::Starting { .. });
        let serves = matches!(self.phase, Phase::Ready { .. });
        let is_due = self.due.is_some();
        match mark {
            Flag::WaitsToStart => is_up && self.phase == Phase::Idle,
            Flag::WaitsToStop => is_to_go && (starts || serves),
            Flag::WaitsToRoll => is_up && serves && is_due,
            Flag::RollsAtOnce => is_up && starts && is_due,
            Flag::IsForgotten => self.wanted == Wanted::Gone && self.phase == Phase::Idle,
            Flag::IsUnmet => !self.is_met(),
            Flag::IsLeaving => is_to_go && self.phase.has_worker(),
            Flag::IsRolling => self.is_rolled || (is_up && is_due),
            Flag::HoldsTheRoll => is_up && !serves && (self.is_rolled || is_due),
        }
    }

    /// True if those that come after its pool need not wait for it.
    fn is_met(&self) -> bool {
        match self.wanted {
            Wanted::Up => matches!(self.phase, Phase::Ready { .. }),
            Wanted::Ended => self.phase == Phase::Idle && self.end.is_some_and(Exit::is_success),
            Wanted::Down => !self.is_new,
            Wanted::Gone => true,
        }
    }

    /// True if nothing comes of it by itself: its run is over, or it waits for others to start.
    pub(in super::super) fn has_ended(&self) -> bool {
        match self.phase {
            Phase::GivenUp => true,
            Phase::Idle => matches!(self.wanted, Wanted::Up | Wanted::Ended),
            Phase::Starting { .. } | Phase::Ready { .. } | Phase::Backoff { .. } => false,
            Phase::Stopping { .. } | Phase::Killing { .. } => false,
        }
    }

    /// The roll of its pool is over.
    pub(in super::super) fn leave_roll(&mut self) {
        self.is_rolled = false;
    }
}
