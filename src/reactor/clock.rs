//! The clock of a run. It stands still while pm and its workers are suspended, so that no deadline passes meanwhile:
//! whoever had two seconds to answer still has them.

use std::time::{Duration, Instant};

#[derive(Debug, Default)]
pub struct Clock {
    /// How long it has stood still.
    stood: Duration,
}

impl Clock {
    pub fn now(&self) -> Instant {
        let now = Instant::now();
        // It stood still no longer than the machine's has gone.
        now.checked_sub(self.stood).unwrap_or(now)
    }

    /// Stands still for as long as `suspend` takes.
    pub fn stand_still(&mut self, suspend: impl FnOnce()) {
        let began = Instant::now();
        suspend();
        self.stood += began.elapsed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_in_suspense_does_not_count() {
        let mut clock = Clock::default();
        let (before, began) = (clock.now(), Instant::now());
        let long = Duration::from_millis(30);
        clock.stand_still(|| while began.elapsed() < long {});
        assert!(clock.now() - before < began.elapsed() - long + Duration::from_millis(1));
    }
}
