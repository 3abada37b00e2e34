//! What decides what comes next of a slot, as a hash. See [`super::super::state_hash`].

use std::hash::{Hash, Hasher};
use std::time::Instant;

use super::super::phase::{Phase, SparePhase};
use super::super::state_hash::Memory;
use super::Slot;
use super::retiring::Retiring;
use super::spare::{Spare, Then};

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
            last_generation: _,
            failures,
            restarts,
            port,
            spare,
            holds_spare,
            retiring,
        } = self;
        (pool, policy, revision, wanted, roll, port, holds_spare).hash(to);
        (*failures).min(memory.failures).hash(to);
        restarts.hash_state(now, memory.restarts, to);
        std::mem::discriminant(phase).hash(to);
        match phase {
            // What reports show decides nothing: since when it is ready or killed, and the grace that it has.
            Phase::Idle | Phase::Ready { since: _ } | Phase::GivenUp => {}
            Phase::Starting { spawned_at, execd_at, ready_by } => {
                ready_by.map(|at| at.saturating_duration_since(now)).hash(to);
                // From these the time to become ready counts if the plan changes it.
                now.saturating_duration_since(*spawned_at).hash(to);
                execd_at.map(|at| now.saturating_duration_since(at)).hash(to);
            }
            Phase::Stopping { grace: _, kill_at: at }
            | Phase::Killing { since: _, again_at: at }
            | Phase::Backoff { until: at } => at.saturating_duration_since(now).hash(to),
        }
        let until_spare = self.spare_deadline().map(|at| at.saturating_duration_since(now));
        (spare.is_some(), until_spare).hash(to);
        spare.iter().for_each(|spare| spare.hash_state(now, memory, to));
        retiring.is_some().hash(to);
        retiring.iter().for_each(|retiring| retiring.hash_state(now, to));
    }
}

impl Spare {
    fn hash_state(&self, now: Instant, memory: Memory, to: &mut impl Hasher) {
        let Self { generation: _, target, phase, failures, then } = self;
        target.hash(to);
        (*failures).min(memory.failures).hash(to);
        std::mem::discriminant(then).hash(to);
        match then {
            Then::Nothing | Then::GiveUp => {}
            Then::Retry(at) => at.saturating_duration_since(now).hash(to),
        }
        std::mem::discriminant(phase).hash(to);
        match phase {
            SparePhase::Backoff { until: _ } | SparePhase::GivenUp => {}
            SparePhase::Starting { execd_at, wait_by: _ } => execd_at.is_some().hash(to),
            SparePhase::Waiting { since: _, until: _ } => {}
            SparePhase::Stopping { grace: _, kill_at: _ } => {}
            SparePhase::Killing { since: _, again_at: _ } => {}
        }
        phase.deadline().map(|at| at.saturating_duration_since(now)).hash(to);
    }
}

impl Retiring {
    fn hash_state(&self, now: Instant, to: &mut impl Hasher) {
        let Self { generation: _, revision, grace, phase } = self;
        (revision, grace).hash(to);
        std::mem::discriminant(phase).hash(to);
        phase.deadline().map(|at| at.saturating_duration_since(now)).hash(to);
    }
}
