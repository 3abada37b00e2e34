//! The clock of a run: monotonic, read once a wakeup, and it does not advance while pm is suspended.
//!
//! A deadline therefore never passes while pm and its workers are stopped by Ctrl-Z.

use std::time::{Duration, Instant};

/// The time of the run, and how much of the machine's time does not count.
#[derive(Debug)]
pub struct Clock {
    now: Instant,
    suspended: Duration,
}

impl Clock {
    /// A clock that has just been read.
    pub fn start() -> Self {
        Self { now: Instant::now(), suspended: Duration::ZERO }
    }

    /// The time at the last [`Clock::read`]: one wakeup sees one time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Reads the machine's clock.
    pub fn read(&mut self) {
        self.now = self.current();
    }

    /// From this very moment until `deadline`; zero if it has passed. For the timeout of the poll.
    pub fn until(&self, deadline: Instant) -> Duration {
        deadline.saturating_duration_since(self.current())
    }

    /// Runs `suspend`, which returns when pm is continued, and takes its duration out of the run's time.
    pub fn exclude(&mut self, suspend: impl FnOnce()) {
        let began = Instant::now();
        suspend();
        self.suspended += began.elapsed();
    }

    fn current(&self) -> Instant {
        let now = Instant::now();
        // `suspended` is a part of the time that the machine has been up, so the subtraction cannot fail.
        now.checked_sub(self.suspended).unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_while_suspended_does_not_count() {
        let mut clock = Clock::start();
        let (before, began) = (clock.now(), Instant::now());
        let long = Duration::from_millis(30);
        clock.exclude(|| while began.elapsed() < long {});
        clock.read();
        assert!(clock.now() - before < began.elapsed() - long + Duration::from_millis(1));
    }
}
