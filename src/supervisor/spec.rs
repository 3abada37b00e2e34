//! The whole table as a plan wants it: which slots there are, and which pool needs which. Values only.

use super::ids::{PoolId, SlotId};
use super::policy::Policy;

/// Every slot of a plan, and every pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableSpec {
    pub pools: Vec<PoolEntry>,
    pub slots: Vec<SlotEntry>,
}

/// What one pool needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolEntry {
    pub pool: PoolId,
    /// Its slots start when these are ready, and are gone before these are stopped. No pool comes after itself, however
    /// long the way round. A pool that has no slots is ready.
    pub after: Vec<PoolId>,
}

/// How one slot is to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotEntry {
    pub slot: SlotId,
    pub pool: PoolId,
    pub policy: Policy,
    /// Its worker must be replaced to become what the plan wants. Means nothing of a slot that is new.
    pub is_changed: bool,
}
