//! The kinds of reports: their names for programs, and which of them are about what usually happens.

use super::{RunEvent, What, WorkerEvent};
use crate::supervisor::Next;

impl What {
    /// In one word, for programs. Words are added to these, and none is changed.
    pub fn event(&self) -> &'static str {
        match self {
            Self::Worker(_, event) => event.name(),
            Self::Run(event) => event.name(),
        }
    }

    /// True if nothing has failed: `--quiet` leaves it out.
    pub fn is_usual(&self) -> bool {
        match self {
            Self::Worker(_, event) => event.is_usual(),
            Self::Run(event) => event.is_usual(),
        }
    }
}

impl WorkerEvent {
    /// True if the worker has ended, and this is the report of it.
    pub fn is_end(&self) -> bool {
        match self {
            Self::Crashed { .. } | Self::FailedStart { .. } | Self::Stopped { .. } => true,
            Self::Ready | Self::SpawnFailed { .. } | Self::SlowStart { .. } => false,
            Self::NeverReady { .. } | Self::Hung { .. } | Self::Replacing => false,
            Self::SpareWaits | Self::SpareFailed { .. } | Self::SpareStopped => false,
            Self::GraceOver { .. } | Self::StillStopping { .. } => false,
            Self::StillKilling { .. } | Self::KeptDead(_) => false,
            Self::NotWatched(_) | Self::NotHeld(_) | Self::Rejected(_) => false,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Crashed { .. } => "crashed",
            Self::FailedStart { .. } if self.is_usual() => "done",
            Self::FailedStart { .. } => "failed_start",
            Self::SpawnFailed { .. } => "spawn_failed",
            Self::SlowStart { .. } => "slow_start",
            Self::NeverReady { .. } => "never_ready",
            Self::Hung { .. } => "hung",
            Self::Replacing => "replacing",
            Self::SpareWaits => "spare_waits",
            Self::SpareFailed { .. } => "spare_failed",
            Self::SpareStopped => "spare_stopped",
            Self::Stopped { .. } => "stopped",
            Self::GraceOver { .. } => "grace_over",
            Self::StillStopping { .. } => "still_stopping",
            Self::StillKilling { .. } => "still_killing",
            Self::KeptDead(_) => "kept_dead",
            Self::NotWatched(_) => "not_watched",
            Self::NotHeld(_) => "not_held",
            Self::Rejected(_) => "rejected",
        }
    }

    fn is_usual(&self) -> bool {
        match self {
            Self::Ready | Self::Replacing | Self::SpareWaits | Self::SpareStopped => true,
            // It has done its work.
            Self::Crashed { death, next } | Self::FailedStart { death, next } => {
                death.exit.is_success() && *next == Next::End
            }
            Self::Stopped { next } => match next {
                Next::Down | Next::End | Next::Spawn | Next::TakeOver | Next::Replaced => true,
                Next::Backoff(_) | Next::GiveUp | Next::TooManyRestarts => false,
            },
            Self::SpawnFailed { .. } | Self::SlowStart { .. } | Self::SpareFailed { .. } => false,
            Self::NeverReady { .. } | Self::Hung { .. } | Self::GraceOver { .. } => false,
            Self::StillStopping { .. } | Self::StillKilling { .. } => false,
            Self::KeptDead(_) | Self::NotWatched(_) => false,
            Self::NotHeld(_) | Self::Rejected(_) => false,
        }
    }
}

impl RunEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::Started(_) => "started",
            Self::MemoryLimit { .. } => "memory_limit",
            Self::Waiting { .. } => "waiting",
            Self::WaitingInVain { .. } => "waiting_in_vain",
            Self::EndedWithFailure(_) => "ended_with_failure",
            Self::NoControl(_) => "no_control_socket",
            Self::Page(_) => "page",
            Self::PageClosed => "page_closed",
            Self::NoPage(_) => "no_page",
            Self::LowLocksLimit(_) => "low_locks_limit",
            Self::Reloaded(_) => "reloaded",
            Self::Scaled(_) => "scaled",
            Self::ReloadRefused(_) => "reload_refused",
            Self::Stop(..) => "stopping",
            Self::PoolEnded { .. } => "pool_ended",
            Self::PoolBlocked { .. } => "pool_blocked",
            Self::MoreDelays(_) => "more_delays",
            Self::AllStopped(_) => "all_stopped",
            Self::LeftBehind(_) => "left_behind",
            Self::User2 => "ignored_signal",
            Self::Output(_) => "output",
        }
    }

    fn is_usual(&self) -> bool {
        match self {
            Self::Started(_) | Self::MemoryLimit { .. } | Self::Waiting { .. } => true,
            Self::Reloaded(_) | Self::Scaled(_) | Self::Stop(..) | Self::AllStopped(_) => true,
            Self::Page(_) | Self::PageClosed => true,
            Self::NoControl(_) | Self::NoPage(_) | Self::LowLocksLimit(_) => false,
            Self::PoolEnded { .. } | Self::PoolBlocked { .. } => false,
            Self::WaitingInVain { .. } | Self::EndedWithFailure(_) => false,
            Self::ReloadRefused(_) | Self::MoreDelays(_) | Self::LeftBehind(_) => false,
            Self::User2 | Self::Output(_) => false,
        }
    }
}
