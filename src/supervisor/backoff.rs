//! The wait before the next spawn after failed starts. Pure: the same history gives the same wait.
//!
//! How many failed starts there were is counted in [`super::slot`].

use std::num::NonZeroU32;
use std::time::Duration;

use super::ids::SlotId;

/// The wait before the next spawn, by the number of failed starts in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Backoff {
    /// The wait after the second failed start. After the first one there is none.
    pub first: Duration,
    /// The wait doubles up to this.
    pub max: Duration,
    /// The slot gives up after this many failed starts in a row; never if `None`.
    pub give_up_after: Option<NonZeroU32>,
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

impl Backoff {
    /// The wait after `failures` failed starts in a row: 0, 0, `first`, then doubling up to `max`, plus up to a tenth.
    ///
    /// The tenth keeps slots that failed together from starting together. It is a hash of slot and count, because this
    /// floor has no random source.
    pub(super) fn wait_after(&self, failures: u32, slot: SlotId) -> Duration {
        let Some(doublings) = failures.checked_sub(2) else {
            return Duration::ZERO;
        };
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        let wait = self.first.saturating_mul(factor).min(self.max);
        wait + wait.mul_f64(0.1 * jitter(slot, failures))
    }

    /// True if this many failed starts in a row are too many.
    pub(super) fn gives_up(&self, failures: u32) -> bool {
        self.give_up_after.is_some_and(|most| failures >= most.get())
    }
}

/// A number in 0..1, by the finalizer of splitmix64 (<https://prng.di.unimi.it/splitmix64.c>).
fn jitter(slot: SlotId, failures: u32) -> f64 {
    let mut hash =
        ((slot.0 as u64) << 32 | u64::from(failures)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((hash ^ (hash >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn millis(failures: u32) -> u128 {
        Backoff::default().wait_after(failures, SlotId(0)).as_millis()
    }

    #[test]
    fn the_wait_is_0_then_100_ms_then_doubles_up_to_10_s() {
        assert_eq!(millis(0), 0);
        assert_eq!(millis(1), 0);
        let waits = [(2, 100), (3, 200), (4, 400), (8, 6_400), (9, 10_000), (400, 10_000)];
        for (failures, wait) in waits {
            let is = millis(failures);
            assert!((wait..=wait * 11 / 10).contains(&is), "after {failures}: {is}");
        }
    }

    #[test]
    fn the_jitter_is_that_of_splitmix64() {
        // Its first outputs from the seed 0 (<https://prng.di.unimi.it/splitmix64.c>).
        let outputs = [0xE220_A839_7B1D_CDAF_u64, 0x6E78_9E6A_A1B9_65F4, 0x06C4_5D18_8009_454F];
        for (failures, output) in (1..).zip(outputs) {
            let part = output as f64 / (1_u128 << 64) as f64;
            assert!((jitter(SlotId(0), failures) - part).abs() < 1e-15, "{failures}");
        }
        assert_ne!(jitter(SlotId(1), 1), jitter(SlotId(0), 1));
    }

    #[test]
    fn slots_that_failed_together_have_different_waits() {
        let wait = |slot| Backoff::default().wait_after(9, SlotId(slot));
        let distinct: HashSet<Duration> = (0..8).map(wait).collect();
        assert_eq!(distinct.len(), 8);
    }
}
