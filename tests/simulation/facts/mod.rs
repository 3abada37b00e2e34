//! What an observer knows of one slot: commands, spawns, signals and exits, and what must follow from them.

mod spare;
mod state;
mod wishes;
mod worker;

use std::time::{Duration, Instant};

use pm::supervisor::{MaxRestarts, Policy, PoolId, Revision, SlotEntry, SlotId, Wanted};

pub use self::spare::{FailedSpare, Others, Spare, SpareDue};
use crate::life::Life;

#[derive(Clone, Debug)]
pub struct Facts {
    pub slot: SlotId,
    pub pool: PoolId,
    /// Of the worker that is there, or of the next one. So is the revision.
    pub policy: Policy,
    pub revision: Revision,
    /// What the last plan that had this slot wants there.
    pub planned: Revision,
    /// What the slot must be wanted to be.
    pub wanted: Wanted,
    /// The worker that fills it, from its spawn until its group is empty.
    pub life: Option<Life>,
    pub generation: u64,
    /// The highest one, a spare's among them.
    pub last_generation: u64,
    pub others: Others,
    /// Failed starts in a row.
    pub failed_starts: u32,
    /// When its workers failed and were to be restarted.
    pub failed_at: Vec<Instant>,
    /// The restart limit at the last failure.
    pub limit: Option<MaxRestarts>,
    /// It failed more often than the limit allows.
    pub has_too_many_restarts: bool,
    /// What is due while it is empty, fixed when it became empty.
    pub due: Due,
    pub empty_since: Instant,
    /// Its worker is to be replaced by this.
    pub replacement: Option<Replacement>,
    /// Its worker was replaced in the roll that goes on in its pool.
    pub was_replaced: bool,
    /// A roll took its ready worker away, and the next one is not ready yet.
    pub is_away: bool,
    pub asked: Asked,
}

/// What a command has asked for and is not done yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Asked {
    #[default]
    Nothing,
    /// Another worker now. The one that is there was not signalled yet.
    Restart,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Replacement {
    pub revision: Revision,
    pub policy: Policy,
}

/// What is due to an empty slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Due {
    Nothing,
    /// The start from idle, as soon as the pools that its pool comes after are ready.
    Start,
    GiveUp,
    TooManyRestarts,
    /// The next worker after this backoff, or up to a tenth later.
    Spawn {
        backoff: Duration,
    },
}

const AT_ONCE: Due = Due::Spawn { backoff: Duration::ZERO };

impl Facts {
    pub fn new(entry: &SlotEntry, now: Instant) -> Self {
        Self {
            slot: entry.slot,
            pool: entry.pool,
            policy: entry.policy,
            revision: entry.revision,
            planned: entry.revision,
            wanted: Wanted::Unset,
            life: None,
            generation: 0,
            last_generation: 0,
            others: Others::default(),
            failed_starts: 0,
            failed_at: Vec::new(),
            limit: None,
            has_too_many_restarts: false,
            due: Due::Nothing,
            empty_since: now,
            replacement: None,
            was_replaced: false,
            is_away: false,
            asked: Asked::Nothing,
        }
    }

    fn forget_failures(&mut self) {
        self.failed_starts = 0;
        self.failed_at.clear();
        self.has_too_many_restarts = false;
    }

    fn be_idle(&mut self) {
        self.due = Due::Nothing;
        if let Some(replacement) = self.replacement.take() {
            self.adopt(replacement);
        }
        self.was_replaced = false;
        self.others.has_turn = false;
        self.is_away = false;
    }

    fn adopt(&mut self, replacement: Replacement) {
        self.policy = replacement.policy;
        self.revision = replacement.revision;
    }
}
