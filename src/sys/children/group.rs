//! One worker or probe as the kernel knows it: its leader, the process group of the leader, and its orphans.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::sys::signal::killpg;
use nix::unistd::{Pid, getpgid};

use crate::plan::{StopSpec, StopTarget};
use crate::sys::signals::send;

#[derive(Debug)]
pub struct Group {
    /// How it is asked to stop.
    pub stop: StopSpec,
    /// The leader's pid, and so the group's number.
    pub pid: Pid,
    pub leader: Leader,
    /// Its descendants that have lost their parents and so are pm's children, whatever group they are in.
    pub orphans: BTreeSet<Pid>,
    /// The last stop signal or SIGKILL that was sent.
    pub sent: Option<libc::c_int>,
}

#[derive(Debug)]
pub enum Leader {
    /// With its pidfd, where the kernel has pidfds.
    Unreaped(Option<OwnedFd>),
    /// Other members of its group, or orphans of it, are left.
    Reaped,
}

impl Group {
    pub fn of(pid: Pid, pidfd: Option<OwnedFd>, stop: StopSpec) -> Self {
        let leader = Leader::Unreaped(pidfd);
        Self { stop, pid, leader, orphans: BTreeSet::new(), sent: None }
    }

    pub fn has_leader(&self) -> bool {
        matches!(self.leader, Leader::Unreaped(_))
    }

    /// Sends a signal to the group, and to each process of it that is in another group. None of their numbers can stand
    /// for another process: they are pm's children and not reaped.
    pub fn signal(&self, signal: libc::c_int) {
        send_and_continue(signal, |signal| send(Pid::from_raw(-self.pid.as_raw()), signal));
        let leader = self.has_leader().then_some(self.pid);
        for pid in leader.into_iter().chain(self.orphans.iter().copied()) {
            if getpgid(Some(pid)) != Ok(self.pid) {
                send_and_continue(signal, |signal| send(pid, signal));
            }
        }
    }

    /// What its orphans that are found later are sent too: not a stop signal for the leader alone, while there is a
    /// leader.
    pub fn sent_to_all(&self) -> Option<libc::c_int> {
        let is_for_leader = self.stop.to == StopTarget::Leader && self.has_leader();
        self.sent.filter(|signal| *signal == libc::SIGKILL || !is_for_leader)
    }

    /// True if it was asked to stop and its grace is not over yet.
    pub fn has_grace(&self) -> bool {
        self.sent.is_some_and(|signal| signal != libc::SIGKILL)
    }

    /// True if neither a member of the group nor an orphan is left, dead ones that are not reaped included.
    pub fn is_empty(&self) -> bool {
        // EPERM: there are members, of another user (kill(2)).
        self.orphans.is_empty() && killpg(self.pid, None) == Err(Errno::ESRCH)
    }

    /// True if nothing is left of it, its leader included.
    pub fn is_over(&self) -> bool {
        !self.has_leader() && self.is_empty()
    }
}

/// Sends a signal, and SIGCONT after it: a stopped process acts on a signal only once it continues. SIGKILL needs no
/// SIGCONT, and after SIGSTOP it would undo the stop.
pub fn send_and_continue(
    signal: libc::c_int,
    mut send: impl FnMut(libc::c_int) -> nix::Result<()>,
) {
    expect_sent(send(signal));
    if !matches!(signal, libc::SIGKILL | libc::SIGSTOP | libc::SIGCONT) {
        expect_sent(send(libc::SIGCONT));
    }
}

/// ESRCH: the process had ended already. EPERM: all that is left belongs to another user, and stays; messages about the
/// delayed stop name it.
pub fn expect_sent(result: nix::Result<()>) {
    debug_assert!(matches!(result, Ok(()) | Err(Errno::ESRCH | Errno::EPERM)), "{result:?}");
}
