//! The whole table as a plan wants it: which slots there are, and which pool needs which. Values only.

use super::ids::{PoolId, Revision, SlotId};
use super::policy::Policy;

/// Every slot and every pool of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableSpec {
    pub pools: Vec<PoolEntry>,
    pub slots: Vec<SlotEntry>,
}

/// One pool, and the pools that it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolEntry {
    pub pool: PoolId,
    /// The slots of the pool start when these pools are ready, and are gone before these are stopped. No pool comes
    /// after itself, directly or indirectly. A pool without slots is ready.
    pub after: Vec<PoolId>,
    /// When all of its slots have ended, all other pools are stopped and the run ends with the outcome of this pool.
    pub ends_run: bool,
    /// How many spares its slots share, if they share them ([`super::SpareRule::Shared`]).
    pub spares: usize,
}

/// One slot, its rules and its launch spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotEntry {
    pub slot: SlotId,
    pub pool: PoolId,
    pub policy: Policy,
    /// The launch spec that the plan wants. A worker of this revision is kept; a worker of another one is replaced.
    pub revision: Revision,
}
