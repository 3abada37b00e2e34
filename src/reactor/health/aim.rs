//! What a slot is probed for, by what, and how long one probe may take. Values only.

use std::time::{Duration, Instant};

use crate::plan::{Alive, AliveBy, Probe};

/// A probe of a worker that is not ready is given up after this; then the next one begins.
const READY_PROBE_MAX: Duration = Duration::from_secs(5);

/// What a probe is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Ready,
    Alive,
}

#[derive(Debug)]
pub enum Aim {
    /// Ends with the first probe that passes.
    Ready { probe: Probe, began: Instant },
    /// Ends with the n-th failure in a row.
    Alive { alive: Alive, failures: u32 },
}

impl Aim {
    /// How long one probe may take; of a worker that notifies, how long it may be silent.
    pub fn patience(&self) -> Duration {
        match self {
            Self::Ready { .. } => READY_PROBE_MAX,
            Self::Alive { alive: Alive { by: AliveBy::Probe(_), timeout, .. }, .. } => *timeout,
            Self::Alive { alive: Alive { by: AliveBy::Notify, every, .. }, .. } => *every,
        }
    }

    pub fn probe(&self) -> Option<&Probe> {
        match self {
            Self::Ready { probe, .. }
            | Self::Alive { alive: Alive { by: AliveBy::Probe(probe), .. }, .. } => Some(probe),
            Self::Alive { alive: Alive { by: AliveBy::Notify, .. }, .. } => None,
        }
    }

    pub fn purpose(&self) -> Purpose {
        match self {
            Self::Ready { .. } => Purpose::Ready,
            Self::Alive { .. } => Purpose::Alive,
        }
    }
}
