//! What was asked for and is not done yet: exits to reap, a file to read again, a run to leave.

use std::time::Instant;

use super::tokens::Unread;
use crate::plan::{Counts, LoadError, Plan};
use crate::supervisor::Outcome;

/// Makes the plan again from the file that it was made from, with other numbers of workers where `Counts` has any.
pub type Reread = Box<dyn Fn(&Counts) -> Result<Plan, LoadError>>;

pub struct Agenda {
    /// A SIGCHLD came, and not all exits are reaped since.
    pub has_exits: bool,
    /// A SIGUSR1 came. It waits until the exits are reaped, so that the plan meets the truth.
    pub is_reload_due: bool,
    /// `None` if the plan came from a command line, which does not change.
    pub reread: Option<Reread>,
    pub leaving: Option<Leaving>,
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
    pub fn new(reread: Option<Reread>) -> Self {
        // The program that became pm by exec may have left it children that are dead by now.
        Self { has_exits: true, is_reload_due: false, reread, leaving: None, postponed: 0 }
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
