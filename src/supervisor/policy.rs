//! The numbers a slot works with. Values only; the rules that use them stand in [`super::slot`].

use std::num::NonZeroU32;
use std::time::Duration;

use super::ids::{Exit, SlotId};

/// How one slot is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    pub restart: Restart,
    /// More replacements than this and the slot gives up; `None` never.
    pub max_restarts: Option<MaxRestarts>,
    pub ready: Readiness,
    pub backoff: Backoff,
    /// From the stop signal to SIGKILL. Zero kills at once.
    pub grace: Duration,
}

/// Which exits are followed by a new worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    Always,
    OnFailure,
    Never,
}

/// So many replacements after a crash, a failed start or a hang are borne within so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxRestarts {
    /// As many instants are kept of each slot, so that a plan allows 1000 at most.
    pub count: NonZeroU32,
    pub within: Duration,
}

/// How a worker comes to be ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Somebody says so with [`super::Event::Ready`]. Without that, `within` makes it a failed start.
    Probe { within: Duration },
    /// It has lived this long. Zero: born ready.
    Lived { after: Duration },
}

/// The wait before the next spawn, by the number of failed starts in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The wait after the second failed start; there is none after the first.
    pub first: Duration,
    /// Doubling stops here.
    pub max: Duration,
    /// This many failed starts in a row end it; `None` never.
    pub give_up_after: Option<NonZeroU32>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            restart: Restart::Always,
            max_restarts: None,
            ready: Readiness::Lived { after: Duration::from_secs(1) },
            backoff: Backoff::default(),
            grace: Duration::from_secs(5),
        }
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(100),
            max: Duration::from_secs(10),
            give_up_after: None,
        }
    }
}

impl Restart {
    /// True if a worker that ended like this is to be followed by another.
    pub fn follows(self, exit: Exit) -> bool {
        match self {
            Self::Always => true,
            Self::OnFailure => !exit.is_success(),
            Self::Never => false,
        }
    }
}

impl Readiness {
    /// From the spawn to the moment at which it is ready or has failed.
    pub fn wait(self) -> Duration {
        match self {
            Self::Probe { within } => within,
            Self::Lived { after } => after,
        }
    }
}

impl Backoff {
    /// The wait after `failures` failed starts in a row: nothing, nothing, `first`, then doubling up to `max`.
    ///
    /// Up to a tenth is added so that slots which failed together do not come back together. It is a hash of slot
    /// and count: the same history gives the same wait.
    pub fn after(&self, failures: u32, slot: SlotId) -> Duration {
        let Some(doublings) = failures.checked_sub(2) else {
            return Duration::ZERO;
        };
        let factor = 1_u32.checked_shl(doublings).filter(|factor| *factor > 0).unwrap_or(u32::MAX);
        let wait = self.first.saturating_mul(factor).min(self.max);
        wait + wait.mul_f64(0.1 * spread(slot, failures))
    }

    pub fn gives_up(&self, failures: u32) -> bool {
        self.give_up_after.is_some_and(|most| failures >= most.get())
    }
}

/// A number in 0..1 that looks random and is not (the finalizer of splitmix64).
fn spread(slot: SlotId, failures: u32) -> f64 {
    let mut hash =
        ((slot.0 as u64) << 32 | u64::from(failures)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((hash ^ (hash >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(failures: u32) -> u128 {
        Backoff::default().after(failures, SlotId(0)).as_millis()
    }

    #[test]
    fn the_rest_is_nothing_then_100_ms_then_doubles_to_10_s() {
        assert_eq!((millis(0), millis(1)), (0, 0));
        for (failures, wait) in
            [(2, 100), (3, 200), (4, 400), (8, 6_400), (9, 10_000), (400, 10_000)]
        {
            assert!(
                (wait..=wait * 11 / 10).contains(&millis(failures)),
                "{failures}: {}",
                millis(failures)
            );
        }
    }

    #[test]
    fn slots_that_failed_together_rest_for_different_times() {
        let rests: Vec<_> = (0..8).map(|slot| Backoff::default().after(9, SlotId(slot))).collect();
        let distinct = rests.iter().collect::<std::collections::HashSet<_>>();
        assert_eq!(distinct.len(), rests.len());
    }

    #[test]
    fn on_failure_takes_a_signal_for_a_failure() {
        assert!(Restart::OnFailure.follows(Exit::Signal(9)));
        assert!(!Restart::OnFailure.follows(Exit::Code(0)));
        assert!(Restart::Always.follows(Exit::Code(0)));
        assert!(!Restart::Never.follows(Exit::Code(1)));
    }
}
