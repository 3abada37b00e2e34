//! What workers use over time, as `/v1/stream` tells it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Time;

/// What all workers use at one moment: the event `stats` of `/v1/stream`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatsRound {
    pub slots: Vec<SlotSample>,
}

/// What the processes of one worker use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SlotSample {
    pub slot: String,
    pub generation: u64,
    pub sampled_at: Time,
    /// User and system time since its start. What it uses of a core is the difference of two of these by the time
    /// between them.
    pub cpu_seconds: f64,
    /// Resident memory.
    pub memory_bytes: u64,
}
