//! What the guarded process has left behind: asked to stop first, if there is a grace, and then killed and reaped.
//!
//! All of it are children of the guard, which is their subreaper, or become so when their parents end.

use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill as send_signal};
use nix::unistd::{Pid, getpgid};

use super::inherited::Inherited;
use crate::sys::child_list::ChildList;
use crate::sys::signals;
use crate::sys::wait::{self, Change, Waiter};

/// A process ends within this time after SIGKILL, unless it is in uninterruptible sleep.
const SIGKILL_WITHIN: Duration = Duration::from_secs(1);

/// Sends SIGTERM to a process, or to the process group of minus that number, and SIGCONT so that a stopped process can
/// act on it.
pub fn terminate(target: Pid) {
    for signal in [libc::SIGTERM, libc::SIGCONT] {
        // It may have ended.
        let _ = signals::send(target, signal);
    }
}

/// Terminates each child, unless it is in the process group of `leader`, which was terminated as a whole. Returns when
/// no child is left but the inherited ones, when the grace is over, or at a SIGINT or SIGQUIT.
pub fn wait(leader: Pid, grace: Duration, waiter: &Waiter, inherited: &mut Inherited) {
    let list = ChildList::open();
    let until = Instant::now().checked_add(grace);
    let mut terminated = Vec::new();
    loop {
        while let Some((pid, change)) = wait::next_change() {
            if change == Change::Ended {
                inherited.reap(pid);
                terminated.retain(|one| *one != pid);
            }
        }
        let mut left = 0;
        list.for_each(|pid| {
            if inherited.contains(pid) {
                return;
            }
            left += 1;
            if !terminated.contains(&pid) && getpgid(Some(pid)) != Ok(leader) {
                // Only this thread can reap the child, so its number cannot stand for another process.
                terminate(pid);
                terminated.push(pid);
            }
        });
        let rest =
            until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
        if left == 0 || rest.is_zero() {
            return;
        }
        if let Some(libc::SIGINT | libc::SIGQUIT) = waiter.next_within(rest) {
            return;
        }
    }
}

/// Kills and reaps every child, until only the inherited children remain and those that belong to another user, which
/// the guard may not kill (kill(2), EPERM). SIGKILL does not end a process in uninterruptible sleep: where no child has
/// ended for [`SIGKILL_WITHIN`], a signal to stop ends the wait.
pub fn kill(waiter: &Waiter, inherited: &mut Inherited) {
    let list = ChildList::open();
    let mut last_end = Instant::now();
    loop {
        while let Some((pid, change)) = wait::next_change() {
            if change == Change::Ended {
                inherited.reap(pid);
                last_end = Instant::now();
            }
        }
        let mut left = 0;
        list.for_each(|pid| {
            // Only this thread can reap the child, so its number cannot stand for another process.
            if !inherited.contains(pid) && send_signal(pid, Signal::SIGKILL) != Err(Errno::EPERM) {
                left += 1;
            }
        });
        if left == 0 {
            return;
        }
        let signal = waiter.next();
        let is_stuck = last_end.elapsed() >= SIGKILL_WITHIN;
        if is_stuck && matches!(signal, libc::SIGINT | libc::SIGTERM | libc::SIGQUIT) {
            return;
        }
    }
}
