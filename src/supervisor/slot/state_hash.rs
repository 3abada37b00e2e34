//! What decides what comes next of a slot, as a hash. See [`super::super::state_hash`].

use std::hash::{Hash, Hasher};
use std::time::Instant;

use super::super::phase::Phase;
use super::super::state_hash::Memory;
use super::Slot;

impl Slot {
    /// The state of the slot, but not its id.
    pub fn hash_state(&self, now: Instant, memory: Memory, to: &mut impl Hasher) {
        let Self {
            id: _,
            pool,
            policy,
            revision,
            wanted,
            phase,
            roll,
            // A worker counts as one, whatever its number.
            generation: _,
            failures,
            restarts,
            port,
        } = self;
        (pool, policy, revision, wanted, roll, port).hash(to);
        (*failures).min(memory.failures).hash(to);
        restarts.hash_state(now, memory.restarts, to);
        std::mem::discriminant(phase).hash(to);
        match phase {
            // Since when it is ready decides nothing.
            Phase::Idle | Phase::Ready { since: _ } | Phase::GivenUp => {}
            Phase::Starting { ready_by: at }
            | Phase::Stopping { kill_at: at }
            | Phase::Killing { again_at: at }
            | Phase::Backoff { until: at } => at.saturating_duration_since(now).hash(to),
        }
    }
}
