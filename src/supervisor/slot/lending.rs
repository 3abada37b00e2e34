//! A spare that the slots of a pool share, in one slot of them: whether it holds it, lends it or needs it.
//!
//! Which slots do, across the pool, is in [`super::super::sharing`].

use std::time::Instant;

use super::super::event::{Action, Next, Remains};
use super::super::ids::WorkerId;
use super::super::phase::{News, Phase, Roll, SparePhase, Target, Wanted};
use super::super::spec::SlotEntry;
use super::Slot;
use super::spare::{Spare, Then};

impl Slot {
    /// True if it may hold a spare of its pool, or go on holding it: its worker is there, or the next one is to come at
    /// once.
    pub(super) fn may_hold_spare(&self) -> bool {
        if !self.shares_spares() || self.wanted != Wanted::Up || self.failures > 0 {
            return false;
        }
        match self.phase {
            Phase::Starting { .. } | Phase::Ready { .. } => true,
            Phase::Stopping { .. } | Phase::Killing { .. } => true,
            Phase::Idle | Phase::Backoff { .. } | Phase::GivenUp => false,
        }
    }

    /// True if the spares of its next worker are those of its pool.
    fn shares_spares(&self) -> bool {
        let next = match &self.roll {
            Roll::Due(target) | Roll::Turn(target) => &target.policy,
            Roll::DoneAndDue(target) | Roll::DoneAndTurn(target) => &target.policy,
            Roll::None | Roll::Done => &self.policy,
        };
        next.spare.is_shared()
    }

    /// From now on it holds a spare of its pool.
    pub(in super::super) fn hold_spare(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.holds_spare = true;
        self.settle_others(now, actions);
    }

    /// It holds none any more.
    pub(in super::super) fn let_spare_go(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.holds_spare = false;
        self.settle_others(now, actions);
    }

    /// True if a worker follows the current one by what has happened to that, and no spare of its own can.
    pub(in super::super) fn needs_spare(&self, news: News, now: Instant) -> bool {
        let has_one = || self.spare.as_ref().is_some_and(|spare| spare.phase.has_worker());
        if !self.may_hold_spare() || has_one() {
            return false;
        }
        match (self.phase, news) {
            (Phase::Ready { .. }, News::Exited { exit, remains: Remains::Nothing }) => {
                let policy = &self.policy;
                let is_last = || self.restarts.would_be_too_many(policy.max_restarts, now);
                self.roll.is_due() || (policy.restart.follows(exit) && !is_last())
            }
            (
                Phase::Stopping { .. } | Phase::Killing { .. },
                News::Exited { remains: Remains::Nothing, .. } | News::Emptied,
            ) => self.next() == Next::Spawn,
            (Phase::Ready { .. }, _) => false,
            (Phase::Stopping { .. } | Phase::Killing { .. }, _) => false,
            // What fails at its start would use up the spares of the others.
            (Phase::Starting { .. }, _) => false,
            (Phase::Idle | Phase::Backoff { .. } | Phase::GivenUp, _) => false,
        }
    }

    /// True if its spare waits and may go to another slot.
    pub(in super::super) fn may_lend(&self) -> bool {
        let waits = |spare: &Spare| matches!(spare.phase, SparePhase::Waiting { .. });
        !self.roll.has_turn() && self.usable_spare().is_some_and(waits)
    }

    /// How much its spare is worth to the pool, if it holds one.
    pub(in super::super) fn spare_rank(&self) -> u8 {
        match self.spare.as_ref().map(|spare| spare.phase) {
            Some(SparePhase::Waiting { .. }) => 2,
            Some(SparePhase::Starting { .. }) => 1,
            Some(SparePhase::Backoff { .. } | SparePhase::GivenUp) | None => 0,
            Some(SparePhase::Stopping { .. } | SparePhase::Killing { .. }) => 0,
        }
    }

    /// The plan is about to give the slot these rules. They hold for a spare of this revision too, and one that is
    /// there may be one of the pool. None goes along to another pool.
    pub(in super::super) fn revise_spare(&mut self, entry: &SlotEntry) {
        let target = Target { revision: entry.revision, policy: entry.policy };
        let is_moved = entry.pool != self.pool;
        let may_hold = target.policy.spare.is_shared() && !self.roll.has_turn() && !is_moved;
        self.holds_spare &= !is_moved;
        let Some(spare) = &mut self.spare else { return };
        if spare.target.revision != target.revision {
            return;
        }
        let before = std::mem::replace(&mut spare.target, target).policy.spare;
        let after = target.policy.spare;
        match &mut spare.phase {
            SparePhase::Starting { wait_by, .. } => {
                let began = *wait_by - before.within().unwrap_or_default();
                *wait_by = began + after.within().unwrap_or_default();
            }
            SparePhase::Waiting { since, until } => {
                *until = after.max_age().map(|age| *since + age);
            }
            SparePhase::Backoff { .. } | SparePhase::GivenUp => return,
            SparePhase::Stopping { .. } | SparePhase::Killing { .. } => return,
        }
        self.holds_spare |= may_hold;
    }

    /// Gives its spare away, and holds none any more. Returns since when the spare waits.
    pub(in super::super) fn lend_spare(&mut self) -> Option<(WorkerId, Instant)> {
        let spare = self.take_waiting_spare()?;
        self.holds_spare = false;
        let worker = WorkerId { slot: self.id, generation: spare.generation };
        let SparePhase::Waiting { since, .. } = spare.phase else { return None };
        Some((worker, since))
    }

    /// Takes the spare of another slot, which waits since then, and holds the next one.
    pub(in super::super) fn borrow_spare(
        &mut self,
        from: WorkerId,
        since: Instant,
        actions: &mut Vec<Action>,
    ) {
        let (target, generation) = (self.next_target(), self.number_worker());
        let until = target.policy.spare.max_age().map(|age| since + age);
        let phase = SparePhase::Waiting { since, until };
        let then = Then::Nothing;
        self.spare = Some(Box::new(Spare { generation, target, phase, failures: 0, then }));
        self.holds_spare = true;
        let to = WorkerId { slot: self.id, generation };
        actions.push(Action::Move { from, to, revision: target.revision });
    }
}
