//! What an observer knows of one worker, from its spawn until its group is empty.

use std::time::{Duration, Instant};

use pm::supervisor::{Event, Exit, Remains, Revision, WorkerId};

/// All that can be told of a worker.
pub fn events_of(worker: WorkerId, exit: Exit) -> [Event; 9] {
    [
        Event::Ready(worker),
        Event::Hung(worker),
        Event::Spawned(worker),
        Event::SpawnFailed(worker),
        Event::Exited { worker, exit, remains: Remains::Nothing },
        Event::Exited { worker, exit, remains: Remains::Members },
        Event::Emptied(worker),
        Event::Waits(worker),
        Event::Listens(worker),
    ]
}

#[derive(Clone, Debug)]
pub struct Life {
    pub worker: WorkerId,
    pub revision: Revision,
    pub spawned_at: Instant,
    /// When it was told to have exec'd.
    pub execd_at: Option<Instant>,
    /// When it was reported ready, or was seen to have lived long enough.
    pub ready_at: Option<Instant>,
    /// It was reported to hang.
    pub has_hung: bool,
    /// Its leader is not known to have exited.
    pub has_leader: bool,
    /// When the first signal was sent to it.
    pub signalled_at: Option<Instant>,
    /// Its grace at that moment.
    pub grace: Duration,
    /// When SIGKILL was last sent: by a wish, at the end of the grace, or as a sweep.
    pub killed_at: Option<Instant>,
}

impl Life {
    pub fn new(worker: WorkerId, revision: Revision, now: Instant) -> Self {
        Self {
            worker,
            revision,
            spawned_at: now,
            execd_at: None,
            ready_at: None,
            has_hung: false,
            has_leader: true,
            signalled_at: None,
            grace: Duration::ZERO,
            killed_at: None,
        }
    }

    /// Alive, not signalled, and not ready yet.
    pub fn is_starting(&self) -> bool {
        self.is_unsignalled() && !self.was_ready()
    }

    /// Alive, not signalled, and ready.
    pub fn is_ready(&self) -> bool {
        self.is_unsignalled() && self.was_ready()
    }

    pub fn was_ready(&self) -> bool {
        self.ready_at.is_some()
    }

    /// It is known to have lived this long in its program.
    pub fn has_lived(&self, time: Duration, now: Instant) -> bool {
        self.execd_at.is_some_and(|at| now >= at + time)
    }

    /// Alive and not signalled.
    pub fn is_unsignalled(&self) -> bool {
        self.has_leader && !self.was_signalled()
    }

    pub fn was_signalled(&self) -> bool {
        self.signalled_at.is_some() || self.killed_at.is_some()
    }

    /// It was sent the stop signal and no SIGKILL: what its leader leaves behind keeps the grace.
    pub fn keeps_grace(&self) -> bool {
        self.signalled_at.is_some() && self.killed_at.is_none()
    }
}
