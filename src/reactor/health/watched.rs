//! What is known of the health of one worker besides its probe: which process may notify for it, and what it has said.

use nix::unistd::Pid;

use super::Finding;
use super::claim::Claim;
use crate::plan::{Alive, AliveBy, Probe, Ready, ReadyBy};
use crate::reactor::report::{ProbeFailure, Rejected};
use crate::supervisor::{SlotId, WorkerId};
use crate::sys::listener::Claimant;
use crate::sys::notify::{Datagram, Notification, may_notify_for};

/// A worker whose health is of interest.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    pub worker: WorkerId,
    /// The worker whose tag its processes have.
    pub tagged_as: WorkerId,
    /// Its first process, and the leader of its group.
    pub leader: Pid,
    /// The user it runs as.
    pub uid: u32,
    /// The port that it is to have.
    pub port: Option<u16>,
}

/// What is known of the health of a slot's latest worker.
#[derive(Debug)]
pub struct Watched {
    pub worker: WorkerId,
    pub tagged_as: WorkerId,
    /// `None` once it has exited: the pid may be another process's by now.
    pub leader: Option<Pid>,
    pub uid: u32,
    pub port: Option<u16>,
    pub heeded: Heeded,
    /// What it last notified of itself (sd_notify(3), STATUS).
    pub status: Option<String>,
    /// Why it hangs, once it does.
    pub failure: Option<ProbeFailure>,
    pub rejection: Rejection,
}

/// Which notifications of a worker mean something.
#[derive(Clone, Copy, Debug)]
pub struct Heeded {
    /// READY=1: its readiness is not found out in another way.
    pub ready: bool,
    /// WATCHDOG=trigger: the plan asks whether it hangs.
    pub trigger: bool,
}

/// Whether a notification of this worker was rejected, which is reported once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    None,
    Reported,
}

impl Watched {
    /// A worker that was spawned just now.
    pub fn of(subject: Subject, ready: &Ready, alive: Option<&Alive>) -> Self {
        Self {
            worker: subject.worker,
            tagged_as: subject.tagged_as,
            leader: Some(subject.leader),
            uid: subject.uid,
            port: subject.port,
            heeded: Heeded::by(ready, alive),
            status: None,
            failure: None,
            rejection: Rejection::None,
        }
    }

    /// The claim of the worker to the port that this probe connects to; `None` if it is not to have that port.
    pub fn claim(&self, probe: &Probe) -> Option<Claim> {
        match probe {
            Probe::Tcp { port } | Probe::Http { port, .. } => {
                let leader = self.leader.filter(|_| self.port == Some(*port))?;
                Some(Claim::of(Claimant { worker: self.tagged_as, leader }, *port))
            }
            Probe::Exec { .. } => None,
        }
    }

    /// True if this worker of this slot has sent it, which is not the current one.
    pub fn has_sent(&self, slot: SlotId, datagram: &Datagram) -> bool {
        self.worker.slot == slot
            && self.leader.is_some_and(|leader| {
                may_notify_for(datagram.sender, self.worker, leader, self.uid)
            })
    }

    /// A spare may say that it is ready before it takes over. All else that it notifies until then means nothing.
    pub fn said_ready(&self, datagram: &Datagram) -> Option<Finding> {
        let is_ready = self.heeded.ready && datagram.notifications.contains(&Notification::Ready);
        is_ready.then_some(Finding::Ready(self.worker))
    }

    /// A notification that does not count is reported once for each worker.
    pub fn reject(&mut self, rejected: Rejected) -> Option<Finding> {
        let before = std::mem::replace(&mut self.rejection, Rejection::Reported);
        let worker = self.worker;
        (before == Rejection::None).then_some(Finding::Rejected(worker, rejected))
    }
}

impl Heeded {
    pub fn by(ready: &Ready, alive: Option<&Alive>) -> Self {
        Self {
            ready: ready.by == ReadyBy::Notify,
            trigger: alive.is_some_and(|alive| alive.by == AliveBy::Notify),
        }
    }
}
