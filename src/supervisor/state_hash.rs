//! What decides what comes next, as a hash: two states with one hash go on alike. For a search through all states, as
//! in `tests/simulation/exhaustive`.
//!
//! A moment counts by its distance from `now`, and the number of a worker not at all. Each type is taken apart with all
//! of its fields, so that a new field cannot be forgotten here. The slots are hashed by [`Slot::hash_state`].
//!
//! [`Slot::hash_state`]: super::Slot::hash_state

use std::hash::{Hash, Hasher};
use std::time::{Duration, Instant};

use super::stop::ONE_WISH;
use super::{Course, Supervisor};

/// How far back the rules of a plan look. What lies further back is alike.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// After this many failed starts in a row the backoff is at its longest, and a slot that may give up has given up.
    pub failures: u32,
    /// The longest time within which restarts are counted.
    pub restarts: Duration,
}

impl Supervisor {
    /// The state of the run, without its slots.
    pub fn hash_state(&self, now: Instant, to: &mut impl Hasher) {
        let Self { table: _, ordering, course, first_failure } = self;
        ordering.hash(to);
        first_failure.hash(to);
        match course {
            // A tick is due at once, or none is: the slots tell.
            Course::Running { over_at: _ } => 0.hash(to),
            Course::Draining { since, killing_since: _, outcome } => {
                (1, now < *since + ONE_WISH, self.may_leave(now), outcome).hash(to);
            }
            Course::Finished { since } => (2, since.map(|at| now < at + ONE_WISH)).hash(to),
        }
    }
}
