//! What an observer knows of one worker, from its spawn until its group is empty.

use std::time::{Duration, Instant};

use pm::supervisor::WorkerId;

#[derive(Clone, Debug)]
pub struct Life {
    pub worker: WorkerId,
    pub born: Instant,
    pub ready: bool,
    /// It was said to hang.
    pub hung: bool,
    /// Its leader is not known to be dead.
    pub led: bool,
    /// When the first stop signal was sent.
    pub asked: Option<Instant>,
    /// The grace that it had when it was asked.
    pub grace: Duration,
    /// When SIGKILL was last sent, by command, by grace or as a sweep.
    pub killed: Option<Instant>,
}

impl Life {
    pub fn new(worker: WorkerId, now: Instant) -> Self {
        Self {
            worker,
            born: now,
            ready: false,
            hung: false,
            led: true,
            asked: None,
            grace: Duration::ZERO,
            killed: None,
        }
    }

    /// Alive, not told to go, and nothing says yet that it serves.
    pub fn is_unready(&self) -> bool {
        self.is_undisturbed() && !self.ready
    }

    /// Alive, not told to go, and said to serve.
    pub fn serves(&self) -> bool {
        self.is_undisturbed() && self.ready
    }

    /// Alive and not told to go.
    pub fn is_undisturbed(&self) -> bool {
        self.led && self.asked.is_none() && self.killed.is_none()
    }
}
