//! What a slot shows to the rules across slots: what it waits for, and which other slots must wait for it.
//!
//! Nothing is changed or decided here. The flags are kept by [`super::super::table`] and used by
//! [`super::super::ordering`] and [`super::super::rollout`].

use super::super::event::SlotFailure;
use super::super::ids::Exit;
use super::super::phase::{Phase, Wanted};
use super::Slot;

/// One fact about a slot that concerns other slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Flag {
    /// It starts when the pools that its pool comes after are ready.
    WaitsToStart,
    /// Its pool is not ready because of it.
    BlocksStart,
    /// It is stopped when the workers that need its pool and are wanted down are gone.
    WaitsToStop,
    /// It is wanted down and its group is not empty, so that what it needs must stay.
    BlocksStop,
    /// It is ready, and its worker is replaced when no slot of its pool blocks the roll.
    WaitsToRoll,
    /// It is part of a roll and not ready, so that the ready slots of its pool must wait.
    BlocksRoll,
    /// Its worker is to be replaced and is not ready, so that it need not wait.
    RollsAtOnce,
    /// It is part of a roll: its worker is to be replaced, or was.
    IsRolling,
    /// It holds a spare of its pool.
    HoldsSpare,
    /// It is ready and may hold one.
    MayHoldSpare,
    /// The plan no longer has it, and nothing of its worker is left.
    IsForgotten,
    /// It does not go on by itself, because of a failure.
    HasFailed,
}

/// Whether a slot goes on by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Going {
    /// It does, or it was stopped and can be started again.
    On,
    /// It waits for other slots to start.
    Waits,
    /// It has ended or given up.
    Over,
}

impl Flag {
    pub const ALL: [Self; 12] = [
        Self::WaitsToStart,
        Self::BlocksStart,
        Self::WaitsToStop,
        Self::BlocksStop,
        Self::WaitsToRoll,
        Self::BlocksRoll,
        Self::RollsAtOnce,
        Self::IsRolling,
        Self::HoldsSpare,
        Self::MayHoldSpare,
        Self::IsForgotten,
        Self::HasFailed,
    ];
}

impl Slot {
    pub(in super::super) fn has(&self, flag: Flag) -> bool {
        let is_up = self.wanted == Wanted::Up;
        let is_down = matches!(self.wanted, Wanted::Unset | Wanted::Down | Wanted::Gone);
        let is_starting = matches!(self.phase, Phase::Starting { .. });
        let is_ready = matches!(self.phase, Phase::Ready { .. });
        let is_due = self.roll.is_due();
        let has_turn = self.roll.has_turn();
        match flag {
            Flag::WaitsToStart => is_up && self.is_empty(),
            Flag::BlocksStart => !self.is_met(),
            Flag::WaitsToStop => is_down && (is_starting || is_ready),
            Flag::BlocksStop => is_down && (self.phase.has_worker() || self.has_others()),
            Flag::WaitsToRoll => is_up && is_ready && is_due && !has_turn,
            Flag::BlocksRoll => is_up && (has_turn || !is_ready && (is_due || self.roll.is_done())),
            Flag::RollsAtOnce => is_up && is_starting && is_due,
            Flag::IsRolling => self.roll.is_done() || (is_up && is_due),
            Flag::HoldsSpare => self.holds_spare,
            Flag::MayHoldSpare => is_ready && !self.holds_spare && self.may_hold_spare(),
            Flag::IsForgotten => self.wanted == Wanted::Gone && self.is_empty(),
            Flag::HasFailed => self.failure().is_some(),
        }
    }

    /// True if the pools that come after its pool need not wait for it.
    fn is_met(&self) -> bool {
        match self.wanted {
            Wanted::Up => matches!(self.phase, Phase::Ready { .. }),
            Wanted::Ended(exit) => self.phase == Phase::Idle && exit.is_some_and(Exit::is_success),
            Wanted::Unset => false,
            Wanted::Down | Wanted::Gone => true,
        }
    }

    /// Why it does not go on by itself, if that is because of a failure.
    pub fn failure(&self) -> Option<SlotFailure> {
        match (self.phase, self.wanted) {
            (Phase::GivenUp, _) => Some(SlotFailure::GaveUp),
            (Phase::Idle, Wanted::Ended(exit)) => {
                exit.filter(|exit| !exit.is_success()).map(SlotFailure::Exit)
            }
            (Phase::Idle, Wanted::Unset | Wanted::Down | Wanted::Up | Wanted::Gone) => None,
            (Phase::Starting { .. } | Phase::Ready { .. } | Phase::Backoff { .. }, _) => None,
            (Phase::Stopping { .. } | Phase::Killing { .. }, _) => None,
        }
    }

    /// True if connections to its port may wait for a worker: one is there that is not to end, or another is to come.
    pub fn holds_port(&self) -> bool {
        match (self.wanted, self.phase) {
            (_, Phase::Starting { .. } | Phase::Ready { .. }) => true,
            (_, Phase::GivenUp) => self.is_served_by_retiring(),
            (Wanted::Up, Phase::Stopping { .. } | Phase::Killing { .. }) => true,
            (Wanted::Up, Phase::Idle | Phase::Backoff { .. }) => true,
            (Wanted::Unset | Wanted::Down | Wanted::Ended(_) | Wanted::Gone, _) => false,
        }
    }

    /// Whether it goes on by itself.
    pub(in super::super) fn going(&self) -> Going {
        if self.has_others() {
            // They are being stopped, or one of them serves.
            return Going::On;
        }
        match (self.phase, self.wanted) {
            (Phase::GivenUp, _) | (Phase::Idle, Wanted::Ended(_)) => Going::Over,
            (Phase::Idle, Wanted::Up) => Going::Waits,
            (Phase::Idle, Wanted::Unset | Wanted::Down | Wanted::Gone) => Going::On,
            (Phase::Starting { .. } | Phase::Ready { .. } | Phase::Backoff { .. }, _) => Going::On,
            (Phase::Stopping { .. } | Phase::Killing { .. }, _) => Going::On,
        }
    }
}
