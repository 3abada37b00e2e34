//! What a slot is at, what it should come to, and what can happen to it. Values only.

use std::time::Instant;

use super::event::Remains;
use super::ids::Exit;
use super::policy::Policy;

/// What the slot should come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Up,
    Down,
    /// Down, because its last worker ended by itself and the restart policy lets that be the end.
    Ended,
    /// Down, because the plan no longer has this slot: it is forgotten as soon as it is empty.
    Gone,
}

/// What the slot is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No worker. If it is wanted up, it waits for the pools that its own comes after; else none is coming.
    Idle,
    /// A worker is there; nothing says yet that it serves.
    Starting { ready_by: Instant },
    /// A worker serves.
    Ready { since: Instant },
    /// The worker's group was sent the stop signal and is not yet gone.
    Stopping { kill_at: Instant },
    /// The worker's group was sent SIGKILL and is not yet gone.
    Killing { again_at: Instant },
    /// No worker; the next one comes then.
    Backoff { until: Instant },
    /// No worker, and none is coming until somebody asks or the plan changes.
    GivenUp,
}

/// What can happen to a slot. Transition of workers other than the current one never gets here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    Start,
    Stop,
    Kill,
    /// The plan has it, and its worker is what the plan wants.
    Keep(Policy),
    /// The plan has it, and its next worker is to be another.
    Replace(Policy),
    /// The plan no longer has it.
    Remove,
    /// The pools that its own comes after are ready.
    StartAllowed,
    /// Those that need it and are to go are gone.
    StopAllowed,
    /// No other of its pool is away to be renewed.
    RollAllowed,
    Ready,
    Hung,
    Spawned,
    SpawnFailed,
    Exited {
        exit: Exit,
        remains: Remains,
    },
    Emptied,
    Tick,
}

impl Phase {
    /// When a tick will change this phase.
    pub fn deadline(self) -> Option<Instant> {
        match self {
            Self::Starting { ready_by } => Some(ready_by),
            Self::Stopping { kill_at } => Some(kill_at),
            Self::Killing { again_at } => Some(again_at),
            Self::Backoff { until } => Some(until),
            Self::Idle | Self::Ready { .. } | Self::GivenUp => None,
        }
    }

    /// True if something of a worker is there.
    pub fn has_worker(self) -> bool {
        match self {
            Self::Starting { .. } | Self::Ready { .. } => true,
            Self::Stopping { .. } | Self::Killing { .. } => true,
            Self::Idle | Self::Backoff { .. } | Self::GivenUp => false,
        }
    }
}
