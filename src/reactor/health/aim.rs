//! What a slot is probed for, by what, and how long one probe may take.

use std::time::{Duration, Instant};

use super::claim::Claim;
use crate::plan::{Alive, AliveBy, Probe};
use crate::supervisor::SlotId;

/// A probe of a worker that is not ready is given up after this; then the next one begins.
const READY_PROBE_MAX: Duration = Duration::from_secs(5);

/// What a probe is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Ready,
    Alive,
}

/// A probe that has come to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concluded {
    pub slot: SlotId,
    pub purpose: Purpose,
    pub took: Duration,
    pub has_passed: bool,
}

#[derive(Debug)]
pub enum Aim {
    /// Ends with the first probe that passes. `claim` is the worker's to the port, if it is to have that port.
    Ready { probe: Probe, began: Instant, claim: Option<Claim> },
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

/// A number in 0..1, far from those of the neighbours: multiples of the golden ratio.
pub fn share(slot: SlotId) -> f64 {
    (slot.0 as f64 * 0.618_033_988_749_894_9).fract()
}
