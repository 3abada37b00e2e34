//! What a slot is at, what it is wanted to be, its part in a roll, and what can happen to it. Values only.
//!
//! The rules that change them are in [`super::slot`].

use std::time::{Duration, Instant};

use super::event::Remains;
use super::ids::{Exit, Revision};
use super::policy::Policy;

/// SIGKILL is repeated this often until the group is empty: a fork that was under way may have missed the last one.
/// What is left after this time may be left behind.
pub(super) const KILL_AGAIN: Duration = Duration::from_secs(1);

/// What a slot is wanted to be. The phase follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// The plan has it, and it was not started or stopped since. Kept down.
    Unset,
    Down,
    Up,
    /// Down, because its last worker ended and the restart policy does not restart it. The exit of that worker; `None`
    /// while a worker that hung is being stopped.
    Ended(Option<Exit>),
    /// Down, because the plan no longer has it. It is forgotten when nothing of its worker is left.
    Gone,
}

/// What a slot is at. A phase that ends by itself carries its deadline, so leaving the phase cancels the deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No worker. If it is wanted up, it waits for the pools that its own pool comes after.
    Idle,
    /// A worker is there and not ready yet. It is spawned, and unless `execd_at` is set it is still on its way to its
    /// program. `ready_by` is when that ends: in a failure, or for one that needs to live a while, in being ready. Such
    /// a worker has no deadline before it has exec'd.
    Starting { spawned_at: Instant, execd_at: Option<Instant>, ready_by: Option<Instant> },
    /// A worker is ready.
    Ready { since: Instant },
    /// The worker's group was sent the stop signal and is not empty yet. `grace` is the time it was given.
    Stopping { grace: Duration, kill_at: Instant },
    /// The worker's group was sent SIGKILL, the first one at `since`, and is not empty yet.
    Killing { since: Instant, again_at: Instant },
    /// No worker. The next one is spawned at `until`.
    Backoff { until: Instant },
    /// No worker, and none is spawned until the slot is started again or its revision changes.
    GivenUp,
}

/// What the spare of a slot is at. As with a [`Phase`], leaving it cancels its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SparePhase {
    /// There is no process. The next one is prepared at `until`.
    Backoff { until: Instant },
    /// There is no process, and none is prepared until another revision or another worker is wanted.
    GivenUp,
    /// It is on its way to its bind(2), and has failed if it is not there at `wait_by`.
    Starting { execd_at: Option<Instant>, wait_by: Instant },
    /// It waits at its bind(2), until `until` at most.
    Waiting { since: Instant, until: Option<Instant> },
    /// It is not needed any more, and was sent the stop signal.
    Stopping { grace: Duration, kill_at: Instant },
    /// It was sent SIGKILL, first at `since`.
    Killing { since: Instant, again_at: Instant },
}

/// What a worker is at that a spare takes over from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetiringPhase {
    /// It serves until the one that takes over is ready.
    Serving,
    Stopping {
        grace: Duration,
        kill_at: Instant,
    },
    Killing {
        since: Instant,
        again_at: Instant,
    },
}

/// The part of a slot in the roll of its pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Roll {
    /// It takes no part.
    #[default]
    None,
    /// Its worker is to be replaced.
    Due(Target),
    /// Its turn has come: its ready worker stays until a spare takes over.
    Turn(Target),
    /// Its worker was replaced, and the roll of the pool is not over.
    Done,
    /// As `Done`, and the plan has changed again: its worker is to be replaced once more.
    DoneAndDue(Target),
    /// As `DoneAndDue`, and its turn has come once more.
    DoneAndTurn(Target),
}

/// What the next worker of a slot is spawned by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Target {
    pub revision: Revision,
    pub policy: Policy,
}

/// What can happen to a worker of a slot, whether it is the current one, a spare or one that retires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    Ready,
    Hung,
    Spawned,
    SpawnFailed,
    Exited {
        exit: Exit,
        remains: Remains,
    },
    Emptied,
    /// A spare has come to its bind(2).
    Waits,
    /// A deadline of it has come.
    Tick,
}

/// What can happen to a slot. What happens to a worker that is not the current one of its slot never gets here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    Start,
    Stop,
    Kill,
    /// Another worker is wanted, at once.
    Restart,
    /// Another worker is wanted, in its turn.
    Roll,
    /// The worker is not to be replaced after all.
    Withdraw,
    /// The plan has the slot with the revision of its worker, by these rules.
    Keep(Policy),
    /// The plan has the slot with another revision.
    Replace(Target),
    /// The plan no longer has the slot.
    Remove,
    /// The pools that its pool comes after are ready.
    StartAllowed,
    /// The workers that need its pool and are wanted down are gone.
    StopAllowed,
    /// No other slot of its pool keeps the roll waiting.
    RollAllowed,
    Ready,
    Hung,
    Spawned,
    SpawnFailed,
    Exited {
        exit: Exit,
        remains: Remains,
    },
    Emptied,
    /// A spare has come to its bind(2).
    Waits,
    /// The deadline of the phase has come.
    Tick,
}

impl Phase {
    /// When the phase ends by itself.
    pub fn deadline(self) -> Option<Instant> {
        match self {
            Self::Starting { ready_by, .. } => ready_by,
            Self::Stopping { kill_at, .. } => Some(kill_at),
            Self::Killing { again_at, .. } => Some(again_at),
            Self::Backoff { until } => Some(until),
            Self::Idle | Self::Ready { .. } | Self::GivenUp => None,
        }
    }

    /// True if a worker was sent a stop signal or SIGKILL and some process of it is there.
    pub fn is_ending(self) -> bool {
        match self {
            Self::Stopping { .. } | Self::Killing { .. } => true,
            Self::Idle | Self::Starting { .. } | Self::Ready { .. } => false,
            Self::Backoff { .. } | Self::GivenUp => false,
        }
    }

    /// True if some process of a worker is there.
    pub fn has_worker(self) -> bool {
        match self {
            Self::Starting { .. } | Self::Ready { .. } => true,
            Self::Stopping { .. } | Self::Killing { .. } => true,
            Self::Idle | Self::Backoff { .. } | Self::GivenUp => false,
        }
    }
}

impl From<News> for Input {
    /// What it means for the slot if it is about the current worker.
    fn from(news: News) -> Self {
        match news {
            News::Ready => Self::Ready,
            News::Hung => Self::Hung,
            News::Spawned => Self::Spawned,
            News::SpawnFailed => Self::SpawnFailed,
            News::Exited { exit, remains } => Self::Exited { exit, remains },
            News::Emptied => Self::Emptied,
            News::Waits => Self::Waits,
            News::Tick => Self::Tick,
        }
    }
}

impl SparePhase {
    pub fn deadline(self) -> Option<Instant> {
        match self {
            Self::Backoff { until } => Some(until),
            Self::Starting { wait_by, .. } => Some(wait_by),
            Self::Waiting { until, .. } => until,
            Self::Stopping { kill_at, .. } => Some(kill_at),
            Self::Killing { again_at, .. } => Some(again_at),
            Self::GivenUp => None,
        }
    }

    /// True if some process of it is there.
    pub fn has_worker(self) -> bool {
        match self {
            Self::Starting { .. } | Self::Waiting { .. } => true,
            Self::Stopping { .. } | Self::Killing { .. } => true,
            Self::Backoff { .. } | Self::GivenUp => false,
        }
    }

    /// True if it was sent a stop signal or SIGKILL and some process of it is there.
    pub fn is_ending(self) -> bool {
        matches!(self, Self::Stopping { .. } | Self::Killing { .. })
    }
}

impl RetiringPhase {
    pub fn deadline(self) -> Option<Instant> {
        match self {
            Self::Serving => None,
            Self::Stopping { kill_at, .. } => Some(kill_at),
            Self::Killing { again_at, .. } => Some(again_at),
        }
    }

    /// True if it was sent a stop signal or SIGKILL.
    pub fn is_ending(self) -> bool {
        self != Self::Serving
    }
}

impl Roll {
    /// What the next worker is spawned by, if the slot is due.
    pub fn target(self) -> Option<Target> {
        match self {
            Self::Due(target) | Self::Turn(target) => Some(target),
            Self::DoneAndDue(target) | Self::DoneAndTurn(target) => Some(target),
            Self::None | Self::Done => None,
        }
    }

    /// What a spare is prepared by that is to take over from the ready worker.
    pub fn turn(self) -> Option<Target> {
        match self {
            Self::Turn(target) | Self::DoneAndTurn(target) => Some(target),
            Self::None | Self::Due(_) | Self::Done | Self::DoneAndDue(_) => None,
        }
    }

    /// The ready worker is to be replaced now, by a spare.
    pub fn take_turn(&mut self) {
        *self = match *self {
            Self::Due(target) => Self::Turn(target),
            Self::DoneAndDue(target) => Self::DoneAndTurn(target),
            same @ (Self::None | Self::Done | Self::Turn(_) | Self::DoneAndTurn(_)) => same,
        };
    }

    /// True if the slot is due because a command asked for another worker: the next one is of this revision too.
    pub fn is_asked(self, revision: Revision) -> bool {
        self.target().is_some_and(|target| target.revision == revision)
    }

    pub fn is_due(&self) -> bool {
        self.target().is_some()
    }

    pub fn has_turn(&self) -> bool {
        self.turn().is_some()
    }

    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done | Self::DoneAndDue(_) | Self::DoneAndTurn(_))
    }

    /// No spare replaces the ready worker after all: it waits again.
    pub fn lose_turn(&mut self) {
        *self = match *self {
            Self::Turn(target) => Self::Due(target),
            Self::DoneAndTurn(target) => Self::DoneAndDue(target),
            same @ (Self::None | Self::Done | Self::Due(_) | Self::DoneAndDue(_)) => same,
        };
    }

    /// The plan wants another worker there.
    pub fn set_due(&mut self, target: Target) {
        *self = match self {
            Self::None | Self::Due(_) => Self::Due(target),
            Self::Turn(_) => Self::Turn(target),
            Self::DoneAndTurn(_) => Self::DoneAndTurn(target),
            Self::Done | Self::DoneAndDue(_) => Self::DoneAndDue(target),
        };
    }

    /// The plan wants the worker that is there after all.
    pub fn withdraw(&mut self) {
        *self = if self.is_done() { Self::Done } else { Self::None };
    }

    /// The roll of the pool is over.
    pub fn end(&mut self) {
        debug_assert!(self.turn().is_none(), "a turn ends before the roll");
        *self = self.target().map_or(Self::None, Self::Due);
    }
}
