//! How long a command still waits. The only place of the commands that reads the clock for it.

use std::time::{Duration, Instant};

/// When a wait is over; it may have no end.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// After this time from now on; `None`: never.
    pub fn after(time: Option<Duration>) -> Self {
        Self(time.map(|time| Instant::now() + time))
    }

    /// What is left, zero if it has passed; `None` if it has no end.
    pub fn left(self) -> Option<Duration> {
        self.0.map(|at| at.saturating_duration_since(Instant::now()))
    }

    pub fn is_over(self) -> bool {
        self.left().is_some_and(|left| left.is_zero())
    }
}
