//! The end of a run by a pool that ends it: all workers are stopped, and the outcome is that of the pool.
//!
//! Such a pool ends the run when all of its slots have ended, and when a slot of it waits for a slot that has failed
//! for good. An event that leads there makes a tick due at once, and the tick stops the workers: so what came with the
//! last exit is taken in before. How they are stopped is in [`super::stop`].

use std::time::Instant;

use super::event::{Action, Failed, Outcome, PoolEnd, SlotFailure, StopReason};
use super::ids::{PoolId, SlotId};
use super::slot::Slot;
use super::slot::flags::Flag;
use super::{Course, Supervisor};

impl Supervisor {
    /// Notes since when a pool ends the run, if one does: a tick is due.
    pub(super) fn note_run_end(&mut self, now: Instant) {
        let is_due = self.run_end().is_some();
        if let Course::Running { over_at } = &mut self.course {
            *over_at = is_due.then(|| over_at.unwrap_or(now));
        }
    }

    /// Begins to stop all workers if a pool ends the run now.
    pub(super) fn end_run(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if let Some(end) = self.run_end() {
            self.drain(StopReason::Ended(end), end.outcome(), now, actions);
        }
    }

    /// The pool that ends the run now, and why. The first one if there are several.
    pub(super) fn run_end(&self) -> Option<PoolEnd> {
        match self.course {
            Course::Running { .. } => {}
            Course::Draining { .. } | Course::Finished { .. } => return None,
        }
        self.ordering.ends_run().find_map(|pool| {
            if self.table.has_pool_ended(pool) {
                return Some(PoolEnd::Ended { pool, failed: self.failed(pool) });
            }
            let waits = self.table.has(Flag::WaitsToStart, pool);
            let failed = waits.then(|| self.blocking(pool)).flatten()?;
            Some(PoolEnd::Blocked { pool, failed })
        })
    }

    /// The slot of this pool that has failed for good: the first that has given up, else the first.
    fn failed(&self, pool: PoolId) -> Option<Failed> {
        let failed = || self.table.flagged(Flag::HasFailed, pool).filter_map(|id| self.failure(id));
        let gave_up = failed().find(|failed| failed.how == SlotFailure::GaveUp);
        gave_up.or_else(|| failed().next())
    }

    fn failure(&self, slot: SlotId) -> Option<Failed> {
        let how = self.slot(slot).and_then(Slot::failure)?;
        Some(Failed { slot, how })
    }

    /// The slot that has failed for good and that this pool waits for, directly or because a pool waits that it comes
    /// after.
    fn blocking(&self, pool: PoolId) -> Option<Failed> {
        let mut open = vec![pool];
        let mut known = open.clone();
        while let Some(waiting) = open.pop() {
            for needed in self.ordering.after(waiting).iter().copied() {
                if let Some(failed) = self.failed(needed) {
                    return Some(failed);
                }
                if self.table.has(Flag::WaitsToStart, needed) && !known.contains(&needed) {
                    known.push(needed);
                    open.push(needed);
                }
            }
        }
        None
    }
}

impl PoolEnd {
    /// How a run ends that this pool has ended.
    fn outcome(self) -> Outcome {
        let failed = match self {
            Self::Ended { failed, .. } => failed,
            Self::Blocked { failed, .. } => Some(failed),
        };
        match failed.map(|failed| failed.how) {
            None => Outcome::Ended(None),
            Some(SlotFailure::Exit(exit)) => Outcome::Ended(Some(exit)),
            Some(SlotFailure::GaveUp) => Outcome::GaveUp,
        }
    }
}

#[cfg(test)]
mod tests;
