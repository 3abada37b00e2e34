//! The workers of a slot besides the one that serves.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Time;

/// A spare, or the last one while the next one has to wait.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Spare {
    pub generation: u64,
    pub pid: Option<i32>,
    pub phase: SparePhase,
    /// When the phase ends by itself.
    pub phase_until: Option<Time>,
}

/// What a spare is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SparePhase {
    Starting,
    /// It waits at its bind(2).
    Waiting,
    Stopping,
    Killing,
    /// It has failed, and the next one is prepared later.
    Backoff,
    GivenUp,
}

/// A worker from which a spare has taken over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Retiring {
    pub generation: u64,
    pub pid: Option<i32>,
    /// It serves until the other one listens or is ready, and is stopped then.
    pub serving: bool,
}
