//! What was asked for and is not done yet: exits to reap, a file to read again, a run to leave.

use std::time::Instant;

use super::report::{KeptDead, NoFile, StopProgress};
use super::tokens::Unread;
use crate::plan::{Counts, LoadError, Plan};
use crate::supervisor::Outcome;

/// Makes the plan again, with other numbers of workers where `Counts` has any.
pub type MakePlan = Box<dyn Fn(&Counts) -> Result<Plan, LoadError>>;

/// Where the plan came from.
pub struct Origin {
    pub make: MakePlan,
    /// As messages and other programs show it.
    pub file: Result<String, NoFile>,
}

pub struct Agenda {
    /// A SIGCHLD came, and not all exits are reaped since.
    pub has_exits: bool,
    /// Clients have waited in the last wakeup, since a child had died.
    pub has_broken_off: bool,
    /// A SIGUSR1 came. It waits until the exits are reaped, so that the plan meets the truth.
    pub is_reload_due: bool,
    /// `None` if the plan cannot be made again.
    pub origin: Option<Origin>,
    /// The numbers of workers that commands have asked for.
    pub counts: Counts,
    pub leaving: Option<Leaving>,
    /// When what delays a stop is reported.
    pub stop_progress: StopProgress,
    /// When dead workers that cannot be reaped are reported.
    pub kept_dead: KeptDead,
    /// In how many wakeups in a row no deadline was judged.
    postponed: u32,
}

/// Deadlines are judged at the latest after this many wakeups in which something was left to read.
const POSTPONED_MAX: u32 = 64;

/// The supervisor has finished; pm ends when no process is left and every line is written.
#[derive(Clone, Copy, Debug)]
pub struct Leaving {
    pub outcome: Outcome,
    /// Orphans that are no worker's may delay the end until then. What is left after that, even after SIGKILL, is left
    /// to the guard.
    pub orphans_until: Instant,
    pub urgency: Urgency,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// pm waits for orphans, and for the reader of the last lines.
    None,
    /// pm was asked to stop again: it waits for nothing.
    Now,
}

impl Agenda {
    pub fn new(origin: Option<Origin>) -> Self {
        // The program that became pm by exec may have left it children that are dead by now.
        Self {
            has_exits: true,
            has_broken_off: false,
            is_reload_due: false,
            origin,
            counts: Counts::default(),
            leaving: None,
            stop_progress: StopProgress::default(),
            kept_dead: KeptDead::default(),
            postponed: 0,
        }
    }

    /// True if deadlines may be judged now: all that had arrived before is read. An exit, a message or an answer that
    /// waits to be read may have come in time. So where a thousand workers end at once, none of those is called late.
    pub fn may_judge(&mut self, unread: Unread) -> bool {
        let is_all_read = unread == Unread::Nothing && !self.has_exits;
        let may_judge = is_all_read || self.postponed >= POSTPONED_MAX;
        self.postponed = if may_judge { 0 } else { self.postponed + 1 };
        may_judge
    }
}
