//! One worker or probe as the kernel knows it: its leader, the process group of the leader, and its orphans.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{kill, killpg};
use nix::unistd::{Pid, getpgid};

use crate::plan::{StopSpec, StopTarget};
use crate::sys::child_watch::StartId;
use crate::sys::proc;
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
    /// The CPU time of its orphans that are reaped.
    pub reaped_cpu: Duration,
    /// The last stop signal or SIGKILL that was sent.
    pub sent: Option<libc::c_int>,
}

#[derive(Debug)]
pub enum Leader {
    /// It has not exec'd, as far as is known.
    Starting { start: StartId, pidfd: Option<OwnedFd> },
    /// It has exec'd, or has failed to. The pidfd is there where the kernel has pidfds.
    Unreaped { pidfd: Option<OwnedFd> },
    /// Other members of its group are left, as far as is known: one can go to another group without notice.
    Reaped,
    /// Nothing that lives is left of the group, so the kernel may give its number to another. Orphans are left
    /// elsewhere.
    Gone,
}

impl Group {
    /// A child that is on its way to exec.
    pub fn of(pid: Pid, start: StartId, pidfd: Option<OwnedFd>, stop: StopSpec) -> Self {
        let leader = Leader::Starting { start, pidfd };
        let (orphans, reaped_cpu) = (BTreeSet::new(), Duration::ZERO);
        Self { stop, pid, leader, orphans, reaped_cpu, sent: None }
    }

    /// Its leader, if it is not reaped, and its orphans: all its other processes descend from these.
    pub fn tops(&self) -> impl Iterator<Item = Pid> {
        let leader = self.has_leader().then_some(self.pid);
        leader.into_iter().chain(self.orphans.iter().copied())
    }

    pub fn has_leader(&self) -> bool {
        match self.leader {
            Leader::Starting { .. } | Leader::Unreaped { .. } => true,
            Leader::Reaped | Leader::Gone => false,
        }
    }

    /// True if the number of the group belongs to it: to its leader, which is not reaped, or to members of the group.
    fn has_number(&self) -> bool {
        let is_member = |pid: &Pid| getpgid(Some(*pid)) == Ok(self.pid);
        // For an orphan in the group, /proc need not be searched. All processes of a worker are below pm.
        let has_one = || self.orphans.iter().any(is_member) || proc::has_descendant_in(self.pid);
        self.has_leader() || (self.may_have_number() && has_one())
    }

    /// False if the number of the group is known to stand for another process by now.
    fn may_have_number(&self) -> bool {
        match self.leader {
            Leader::Starting { .. } | Leader::Unreaped { .. } => true,
            // The kernel gives it to no process while the group has members.
            Leader::Reaped => kill(self.pid, None) == Err(Errno::ESRCH),
            Leader::Gone => false,
        }
    }

    /// A process of it was reaped. True if that was the last one of its group: its number must not be used any more.
    pub fn loses_number(&mut self) -> bool {
        let is_last = matches!(self.leader, Leader::Reaped) && !self.has_members();
        if is_last {
            self.leader = Leader::Gone;
        }
        is_last
    }

    /// All members of its group are dead, and another process has not reaped them: they hold nothing, and the group
    /// counts as empty.
    pub fn has_only_dead(&mut self) {
        if matches!(self.leader, Leader::Reaped) {
            self.leader = Leader::Gone;
        }
    }

    /// True if its group has members, dead ones that are not reaped included.
    pub fn has_members(&self) -> bool {
        // EPERM: they belong to another user (kill(2)). Asked first, since it is the shortest answer.
        let exist = || killpg(self.pid, None) != Err(Errno::ESRCH);
        !matches!(self.leader, Leader::Gone) && exist() && self.has_number()
    }

    /// The start that is not known to have ended.
    pub fn start(&self) -> Option<StartId> {
        match self.leader {
            Leader::Starting { start, .. } => Some(start),
            Leader::Unreaped { .. } | Leader::Reaped | Leader::Gone => None,
        }
    }

    /// The leader has exec'd, or has ended without that.
    pub fn on_left(&mut self) {
        self.leader = match std::mem::replace(&mut self.leader, Leader::Reaped) {
            Leader::Starting { pidfd, .. } => Leader::Unreaped { pidfd },
            other @ (Leader::Unreaped { .. } | Leader::Reaped | Leader::Gone) => other,
        };
    }

    /// The leader is reaped. Returns its pidfd.
    pub fn on_leader_reaped(&mut self) -> Option<OwnedFd> {
        match std::mem::replace(&mut self.leader, Leader::Reaped) {
            Leader::Starting { pidfd, .. } | Leader::Unreaped { pidfd } => pidfd,
            Leader::Reaped | Leader::Gone => None,
        }
    }

    /// Sends a signal to the group, if its number still belongs to it, and to each process of it that is in another
    /// group. The numbers of those cannot stand for other processes: they are pm's children and not reaped.
    pub fn signal(&self, signal: libc::c_int) {
        let leader = self.has_leader().then_some(self.pid);
        let has_number = self.has_number();
        let contains = |pid: Pid| has_number && getpgid(Some(pid)) == Ok(self.pid);
        // One that changes its group meanwhile, as a child before its exec does, was perhaps not reached with the
        // group.
        let was_apart = leader.is_some_and(|leader| !contains(leader));
        if has_number {
            send_and_continue(signal, |signal| send(Pid::from_raw(-self.pid.as_raw()), signal));
        }
        for pid in leader.into_iter().chain(self.orphans.iter().copied()) {
            if (was_apart && Some(pid) == leader) || !contains(pid) {
                send_and_continue(signal, |signal| send(pid, signal));
            }
        }
    }

    /// Asks it to stop: all of its processes, or its leader alone.
    pub fn terminate(&mut self) {
        let StopSpec { signal, to } = self.stop;
        self.sent = Some(signal);
        match to {
            StopTarget::Leader if self.has_leader() => {
                send_and_continue(signal, |signal| send(self.pid, signal));
            }
            StopTarget::Leader | StopTarget::Group => self.signal(signal),
        }
    }

    /// Its leader is dead, and still pins the number of its group: what it has left is killed.
    pub fn kill_rest(&mut self) {
        self.sent = Some(libc::SIGKILL);
        expect_sent(send(Pid::from_raw(-self.pid.as_raw()), libc::SIGKILL));
        for orphan in self.orphans.iter().filter(|orphan| !self.contains(**orphan)) {
            expect_sent(send(*orphan, libc::SIGKILL));
        }
    }

    /// Its leader has died in its grace. It does not need its children any more: if it alone was asked to stop, they
    /// are asked now.
    pub fn on_leader_dead(&mut self) {
        match self.stop.to {
            StopTarget::Leader => {
                self.stop.to = StopTarget::Group;
                self.signal(self.stop.signal);
            }
            StopTarget::Group => {}
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
        self.orphans.is_empty() && !self.has_members()
    }

    /// True if this child of pm is in its group.
    pub fn contains(&self, pid: Pid) -> bool {
        self.may_have_number() && getpgid(Some(pid)) == Ok(self.pid)
    }

    /// True if nothing is left of it, its leader included.
    pub fn is_over(&self) -> bool {
        !self.has_leader() && self.is_empty()
    }
}

/// Sends a signal, and SIGCONT after it: a stopped process acts on a signal only once it continues. SIGKILL needs no
/// SIGCONT, and after a signal that stops it would undo the stop.
pub fn send_and_continue(
    signal: libc::c_int,
    mut send: impl FnMut(libc::c_int) -> nix::Result<()>,
) {
    expect_sent(send(signal));
    let stops = [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
    if !stops.contains(&signal) && !matches!(signal, libc::SIGKILL | libc::SIGCONT) {
        expect_sent(send(libc::SIGCONT));
    }
}

/// ESRCH: the process had ended already. EPERM: all that is left belongs to another user, and stays; messages about the
/// delayed stop name it.
pub fn expect_sent(result: nix::Result<()>) {
    debug_assert!(matches!(result, Ok(()) | Err(Errno::ESRCH | Errno::EPERM)), "{result:?}");
}
