//! The rules of one slot, as numbers. Values only.
//!
//! What is done with them is in [`super::slot`]; the wait after failed starts is in [`super::backoff`].

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use super::backoff::Backoff;
use super::ids::Exit;

/// The rules by which one slot is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Policy {
    pub restart: Restart,
    /// The slot gives up at the first restart above this; never if `None`.
    pub max_restarts: Option<MaxRestarts>,
    pub ready: Readiness,
    pub backoff: Backoff,
    /// The time from the stop signal to SIGKILL. Zero: SIGKILL at once.
    pub grace: Duration,
    pub spare: SpareRule,
}

/// When a slot has a spare: a worker that has started and waits at its bind(2) until it is to serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpareRule {
    /// A worker is replaced when it is gone.
    Never,
    /// A ready worker is replaced by a spare, and stopped when that one is ready. A spare that does not come to its
    /// bind within this time has failed.
    ToReplace { within: Duration },
    /// A spare is there while the worker is ready. It is prepared once that one has been ready for `after`: a worker
    /// that has just taken over has clients that wait, and needs the processor for itself. A spare that has waited for
    /// `max_age` is replaced by another.
    Always { within: Duration, after: Duration, max_age: Option<Duration> },
    /// As `Always` in as many slots of the pool as it has spares ([`super::PoolEntry`]), as `ToReplace` in the others.
    /// The spare of one slot moves to the slot of the pool whose worker dies first.
    Shared { within: Duration, after: Duration, max_age: Option<Duration> },
}

/// Which exits are followed by a new worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Restart {
    Always,
    OnFailure,
    Never,
}

/// At most `count` restarts within `within`, after crashes, failed starts and hangs together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MaxRestarts {
    /// Each slot stores this many instants, so a plan allows at most 1000.
    pub count: NonZeroU32,
    pub within: Duration,
}

/// How a worker becomes ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Readiness {
    /// By [`super::Event::Ready`]. If that does not come within this time, the start has failed.
    Probe { within: Duration },
    /// By having lived this long. Zero: ready as soon as it has exec'd.
    Lived { after: Duration },
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            restart: Restart::Always,
            max_restarts: None,
            ready: Readiness::Lived { after: Duration::from_secs(1) },
            backoff: Backoff::default(),
            grace: Duration::from_secs(5),
            spare: SpareRule::Never,
        }
    }
}

impl Restart {
    /// True if a worker that exited like this is followed by a new one.
    pub(super) fn follows(self, exit: Exit) -> bool {
        match self {
            Self::Always => true,
            Self::OnFailure => !exit.is_success(),
            Self::Never => false,
        }
    }
}

impl SpareRule {
    /// The time within which a spare has to come to its bind; `None` if there is none.
    pub fn within(self) -> Option<Duration> {
        match self {
            Self::Never => None,
            Self::ToReplace { within } => Some(within),
            Self::Always { within, .. } | Self::Shared { within, .. } => Some(within),
        }
    }

    pub(super) fn is_shared(self) -> bool {
        matches!(self, Self::Shared { .. })
    }

    /// What it comes to in a slot that holds a spare of its pool.
    pub(super) fn held(self) -> Self {
        match self {
            Self::Shared { within, after, max_age } => Self::Always { within, after, max_age },
            Self::Never | Self::ToReplace { .. } | Self::Always { .. } => self,
        }
    }

    /// What it comes to in a slot that holds none.
    pub(super) fn not_held(self) -> Self {
        match self {
            Self::Shared { within, .. } => Self::ToReplace { within },
            Self::Never | Self::ToReplace { .. } | Self::Always { .. } => self,
        }
    }

    /// When a spare that waits is replaced by another; never if `None`.
    pub fn max_age(self) -> Option<Duration> {
        match self {
            Self::Never | Self::ToReplace { .. } => None,
            Self::Always { max_age, .. } | Self::Shared { max_age, .. } => max_age,
        }
    }
}

impl Readiness {
    /// When a worker is ready or its start has failed, if nothing is heard of it. `None` while that is not known: only
    /// a worker that has exec'd lives.
    pub(super) fn deadline(
        self,
        spawned_at: Instant,
        execd_at: Option<Instant>,
    ) -> Option<Instant> {
        match self {
            Self::Probe { within } => Some(spawned_at + within),
            Self::Lived { after } => execd_at.map(|at| at + after),
        }
    }

    /// The time that a worker has to become ready, or has to live.
    pub fn wait(self) -> Duration {
        match self {
            Self::Probe { within } => within,
            Self::Lived { after } => after,
        }
    }

    /// True if a worker is ready as soon as it has exec'd.
    pub(super) fn is_at_exec(self) -> bool {
        self == Self::Lived { after: Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_death_by_signal_is_a_failure() {
        assert!(Restart::OnFailure.follows(Exit::Signal(9)));
        assert!(!Restart::OnFailure.follows(Exit::Code(0)));
        assert!(Restart::Always.follows(Exit::Code(0)));
        assert!(!Restart::Never.follows(Exit::Code(1)));
    }
}
