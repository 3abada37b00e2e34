//! What the guarded process has left behind: asked to stop first, if there is a grace, and then killed and reaped.
//!
//! All of it are children of the guard, which is their subreaper, or become so when their parents end.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill as send_signal};
use nix::unistd::{Pid, getpgid};

use crate::sys::child_list::ChildList;
use crate::sys::signals;
use crate::sys::wait::{self, Change, Waiter};

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
pub fn wait(leader: Pid, grace: Duration, waiter: &Waiter, inherited: &[Pid]) {
    let list = ChildList::open();
    let until = Instant::now().checked_add(grace);
    let mut terminated = Vec::new();
    loop {
        while let Some((pid, change)) = wait::next_change() {
            if change == Change::Ended {
                let _ = wait::reap(pid);
                terminated.retain(|one| *one != pid);
            }
        }
        let mut left = 0;
        list.for_each(|pid| {
            if inherited.contains(&pid) {
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

/// Kills and reaps every child, until only the inherited children remain.
pub fn kill(inherited: &[Pid]) {
    loop {
        let mut left = 0;
        ChildList::open().for_each(|pid| {
            if !inherited.contains(&pid) {
                left += 1;
                // Only this thread can reap the child, so its number cannot stand for another process.
                let _ = send_signal(pid, Signal::SIGKILL);
            }
        });
        if left == 0 || wait::any().is_err() {
            return;
        }
    }
}
