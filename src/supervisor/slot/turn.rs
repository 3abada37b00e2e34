//! What a slot says of itself to the rules that concern more than one: what it waits for, and who need not wait for it.
//!
//! Nothing is changed or decided here; [`super::super::turns`] does that.

use super::super::name::Exit;
use super::super::phase::{Phase, Wanted};
use super::Slot;

/// What a slot waits for that only the whole table can grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// To start, until what its pool comes after is ready.
    Start,
    /// To be told to stop, until those that need it are gone.
    Stop,
    /// To be renewed: one after another if they serve.
    Renewal,
    /// To be forgotten.
    Removal,
}

impl Slot {
    /// What it waits for that only the whole table can grant.
    pub fn turn(&self) -> Option<Turn> {
        match (self.phase, self.wanted) {
            (Phase::Idle, Wanted::Up) => Some(Turn::Start),
            (Phase::Idle, Wanted::Gone) => Some(Turn::Removal),
            (Phase::Starting { .. } | Phase::Ready { .. }, Wanted::Down | Wanted::Gone) => {
                Some(Turn::Stop)
            }
            (Phase::Starting { .. } | Phase::Ready { .. }, Wanted::Up) => {
                self.due.is_some().then_some(Turn::Renewal)
            }
            (Phase::Idle, Wanted::Down | Wanted::Ended) => None,
            (Phase::Starting { .. } | Phase::Ready { .. }, Wanted::Ended) => None,
            (Phase::Stopping { .. } | Phase::Killing { .. }, Wanted::Up | Wanted::Down) => None,
            (Phase::Stopping { .. } | Phase::Killing { .. }, Wanted::Ended | Wanted::Gone) => None,
            (Phase::Resting { .. } | Phase::GivenUp, Wanted::Up | Wanted::Down) => None,
            (Phase::Resting { .. } | Phase::GivenUp, Wanted::Ended | Wanted::Gone) => None,
        }
    }

    /// True if nothing comes of it by itself: its run is over, or it waits for others to start.
    pub(in super::super) fn has_ended(&self) -> bool {
        match self.phase {
            Phase::GivenUp => true,
            Phase::Idle => matches!(self.wanted, Wanted::Up | Wanted::Ended),
            Phase::Starting { .. } | Phase::Ready { .. } | Phase::Resting { .. } => false,
            Phase::Stopping { .. } | Phase::Killing { .. } => false,
        }
    }

    /// True if those that come after its pool need not wait for it.
    pub(in super::super) fn is_met(&self) -> bool {
        match self.wanted {
            Wanted::Up => matches!(self.phase, Phase::Ready { .. }),
            Wanted::Ended => self.phase == Phase::Idle && self.end.is_some_and(Exit::is_success),
            Wanted::Down => !self.is_new,
            Wanted::Gone => true,
        }
    }

    /// True if it is to go and something of it is left, so that what it needs must stay.
    pub(in super::super) fn is_leaving(&self) -> bool {
        self.phase.has_worker() && matches!(self.wanted, Wanted::Down | Wanted::Gone)
    }

    /// True if it is in a roll: to be renewed, or renewed already.
    pub(in super::super) fn is_rolling(&self) -> bool {
        self.due.is_some() || self.is_renewed
    }

    /// True if the others of its pool must not be renewed now, because this one is about to be or was, and does not serve.
    pub(in super::super) fn holds_the_roll(&self) -> bool {
        let serves = matches!(self.phase, Phase::Ready { .. });
        self.is_rolling() && self.wanted == Wanted::Up && !serves
    }

    /// The roll of its pool is over.
    pub(in super::super) fn leave_roll(&mut self) {
        self.is_renewed = false;
    }
}
