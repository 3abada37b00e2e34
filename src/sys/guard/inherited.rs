//! The children that the guard had before it was one: a shell's `exec pm > >(tee log)` has children that pm must not
//! kill.

use nix::unistd::Pid;

use crate::sys::child_list::ChildList;
use crate::sys::wait;

/// The children from before the fork of the reactor that are not reaped.
#[derive(Debug)]
pub struct Inherited(Vec<Pid>);

impl Inherited {
    /// All children that this process has now.
    pub fn find() -> Self {
        let mut pids = Vec::new();
        ChildList::open().for_each(|pid| pids.push(pid));
        Self(pids)
    }

    pub fn contains(&self, pid: Pid) -> bool {
        self.0.contains(&pid)
    }

    /// Reaps a child that is dead, inherited or not. The kernel may give its number to one that is not inherited.
    pub fn reap(&mut self, pid: Pid) {
        // It cannot fail: it is a dead child.
        let _ = wait::reap(pid);
        self.0.retain(|one| *one != pid);
    }
}
