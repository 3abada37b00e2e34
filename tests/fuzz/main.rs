//! Random texts for the readers of `pm.toml`, Procfile, `.env`, notifications (sd_notify) and requests (HTTP): no
//! panic, no long wait, and each fault within its text.
//!
//! A seed changes a right text at random places, with words of a dictionary and with random bytes. Each reader is given
//! 20,000 texts, a million with PM_PROOF=1, N with PM_FUZZ=N. A failure names its seed; PM_SEED=N tries that one alone.

mod changes;
mod host;
mod notifications;
mod plans;
mod repetitions;
mod requests;

use std::time::Duration;

/// A reader takes less than a second for the longest text. If it takes this long it hangs, even on a busy machine.
const TIME_MAX: Duration = Duration::from_secs(10);

fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    if let Some(seed) = number("PM_SEED") {
        return seed..seed + 1;
    }
    0..number("PM_FUZZ").unwrap_or(if is_proof() { 1_000_000 } else { 20_000 })
}

fn is_proof() -> bool {
    std::env::var_os("PM_PROOF").is_some()
}
