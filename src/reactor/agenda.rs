//! What was asked for and is not done yet: exits to reap, a file to read again, a run to leave.

use std::time::Instant;

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
}

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
        Self { has_exits: true, is_reload_due: false, reread, leaving: None }
    }
}
