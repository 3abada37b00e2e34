//! Waiting for facts: each with a deadline, none by sleeping for a fixed time.

use std::thread;
use std::time::{Duration, Instant};

/// The longest wait for any fact.
pub const DEADLINE: Duration = Duration::from_secs(20);

const PAUSE: Duration = Duration::from_millis(3);

/// Waits until `found` returns something. Fails after [`DEADLINE`].
pub fn eventually<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < until, "this did not become true in {DEADLINE:?}: {what}");
        thread::park_timeout(PAUSE);
    }
}

/// Checks again and again for this long: the fact is that something does not happen.
pub fn for_as_long_as(time: Duration, mut check: impl FnMut()) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        check();
        thread::park_timeout(PAUSE);
    }
    check();
}
