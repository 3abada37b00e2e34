//! The connections that wait for a worker.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The connections that wait in the listening sockets of a slot, which pm holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Backlog {
    /// Not accepted by a worker yet.
    pub waiting: u32,
    /// As many may wait; the kernel drops what comes beyond.
    pub limit: u32,
}
