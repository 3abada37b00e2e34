//! Is a worker ready, does it hang? By probes from outside and by what workers notify themselves.
//!
//! Health finds out; the supervisor decides. What was found is a [`Finding`], for the loop to pass on. Readiness by a
//! line of output is found in [`super::output`], by listen(2) in [`super::held_ports`], by time or exit in the
//! supervisor.
//!
//! [`probes`] asks and keeps the schedule of each [`aim`], [`attempt`] is one probe of a port, [`http`] judges an
//! answer, [`claim`] whether the worker gave it; [`watched`] is what is known of one worker; [`notify`] has the sockets
//! of sd_notify(3).

mod aim;
mod attempt;
mod claim;
mod http;
mod notify;
mod probes;
mod watched;

use std::collections::BTreeMap;
use std::io;
use std::time::Instant;

pub use self::aim::{Concluded, Purpose};
pub use self::watched::Subject;

use self::notify::Notifications;
use self::probes::Probes;
use self::watched::{Heeded, Watched};
use super::output::Progress;
use super::report::{LastSign, ProbeFailure, Rejected};
use super::tokens::Registrar;
use crate::plan::{Alive, Ready, ReadyBy};
use crate::supervisor::{Exit, SlotId, WorkerId};
use crate::sys::ProbeId;
use crate::sys::notify::{Datagram, Notification, may_notify_for};
use crate::sys::sealed::outer_pid;

/// What is known of the health of all workers.
#[derive(Debug)]
pub struct Health {
    watched: BTreeMap<SlotId, Watched>,
    /// Spares, and workers that a spare has replaced: what they notify is known as theirs. Few.
    others: Vec<Watched>,
    probes: Probes,
    notifications: Notifications,
}

/// What health has found out, for the loop to act on.
#[derive(Debug, PartialEq)]
pub enum Finding {
    Ready(WorkerId),
    /// The failure is kept for the report: [`Health::failure`].
    Hung(WorkerId),
    /// It is about to end and answers no more: it must not be probed any more.
    Stopping(WorkerId),
    /// The probe command is to be started: [`Health::on_probe_started`] or [`Health::on_probe_start_failed`] follows.
    StartProbe(WorkerId, Purpose),
    KillProbe(ProbeId),
    /// The worker is ready, and its probe cannot be started: to be reported.
    NotWatched(WorkerId, ProbeFailure),
    /// A notification does not count, and that is to be reported.
    Rejected(WorkerId, Rejected),
}

impl Health {
    pub fn new(now: Instant) -> Self {
        Self {
            watched: BTreeMap::new(),
            others: Vec::new(),
            probes: Probes::new(now),
            notifications: Notifications::default(),
        }
    }

    // A worker's life.

    /// Opens the notify socket of a slot if it has none, and returns what `NOTIFY_SOCKET` is to be.
    ///
    /// # Errors
    /// EMFILE or ENFILE: too many files are open.
    pub fn open_socket(
        &mut self,
        slot: SlotId,
        registrar: &mut Registrar<'_>,
    ) -> io::Result<String> {
        self.notifications.open(slot, registrar)
    }

    pub fn has_socket(&self, slot: SlotId) -> bool {
        self.notifications.are_open(slot)
    }

    /// Closes the notify socket of a slot, if it has one.
    pub fn close_socket(&mut self, slot: SlotId, registrar: &mut Registrar<'_>) {
        self.notifications.close(slot, registrar);
    }

    /// Drops what the last worker of the slot had notified and pm has not read: the next one is about to be spawned.
    /// What that one notifies is read once it is watched.
    pub fn discard_notifications(&mut self, slot: SlotId) {
        self.notifications.discard(slot);
    }

    /// A worker has exec'd: is it ready?
    pub fn on_spawned(
        &mut self,
        subject: Subject,
        ready: &Ready,
        alive: Option<&Alive>,
        now: Instant,
        registrar: &mut Registrar<'_>,
    ) {
        let worker = subject.worker;
        self.notifications.release(worker.slot);
        self.others.retain(|other| other.worker != worker);
        let before = self.watched.insert(worker.slot, Watched::of(subject, ready, alive));
        self.others.extend(before.filter(|before| before.leader.is_some()));
        self.await_ready(worker, ready, now, registrar);
    }

    /// A spare is on its way: what it notifies before it takes over is its own.
    pub fn on_spare(&mut self, subject: Subject, ready: &Ready, alive: Option<&Alive>) {
        self.others.push(Watched::of(subject, ready, alive));
    }

    /// The spare is one of another slot from now on.
    pub fn forget_spare(&mut self, worker: WorkerId) {
        self.others.retain(|other| other.worker != worker);
    }

    /// A worker is ready: does it stay alive? Returns the probe command that is to be killed.
    pub fn on_ready(
        &mut self,
        worker: WorkerId,
        alive: Option<&Alive>,
        now: Instant,
        registrar: &mut Registrar<'_>,
    ) -> Option<ProbeId> {
        let superseded = self.probes.stop(worker, registrar);
        if let Some(alive) = alive {
            self.probes.keep_alive(worker, alive.clone(), now, registrar);
        }
        superseded
    }

    /// A worker has exited. Returns the probe command that is to be killed.
    pub fn on_exited(
        &mut self,
        worker: WorkerId,
        registrar: &mut Registrar<'_>,
    ) -> Option<ProbeId> {
        if let Some(watched) = self.watched_mut(worker) {
            watched.leader = None;
        }
        self.others.retain(|other| other.worker != worker);
        self.probes.stop(worker, registrar)
    }

    /// A worker is to end: it is not probed any more. Returns the probe command that is to be killed.
    pub fn stop(&mut self, worker: WorkerId, registrar: &mut Registrar<'_>) -> Option<ProbeId> {
        self.probes.stop(worker, registrar)
    }

    /// The plan has changed how a worker that is there becomes ready. Returns the probe command that is to be killed.
    pub fn on_ready_changed(
        &mut self,
        worker: WorkerId,
        ready: &Ready,
        now: Instant,
        registrar: &mut Registrar<'_>,
    ) -> Option<ProbeId> {
        let superseded = self.probes.stop(worker, registrar);
        self.await_ready(worker, ready, now, registrar);
        superseded
    }

    /// The plan has changed which notifications of a worker mean something.
    pub fn heed(&mut self, worker: WorkerId, ready: &Ready, alive: Option<&Alive>) {
        if let Some(watched) = self.watched_mut(worker) {
            watched.heeded = Heeded::by(ready, alive);
        }
    }

    /// The slot is gone.
    pub fn forget(&mut self, slot: SlotId, registrar: &mut Registrar<'_>) {
        self.watched.remove(&slot);
        self.others.retain(|other| other.worker.slot != slot);
        self.notifications.close(slot, registrar);
    }

    fn await_ready(
        &mut self,
        worker: WorkerId,
        ready: &Ready,
        now: Instant,
        registrar: &mut Registrar<'_>,
    ) {
        match &ready.by {
            ReadyBy::Probe(probe) => {
                let claim = self.watched(worker).and_then(|watched| watched.claim(probe));
                self.probes.await_ready(worker, probe.clone(), claim, now, registrar);
            }
            // Time, a notification, a line of output, the exit or a call makes it ready.
            ReadyBy::Lived | ReadyBy::Notify | ReadyBy::Line(_) => {}
            ReadyBy::Exit | ReadyBy::Listen => {}
        }
    }

    // Events.

    /// The poll has reported the connection of this slot's probe.
    pub fn wake_probe(&mut self, slot: SlotId) {
        self.probes.wake(slot);
    }

    /// The poll says that the worker of this slot has notified.
    pub fn mark_readable(&mut self, slot: SlotId) {
        self.notifications.mark_readable(slot);
    }

    /// The probe command that [`Finding::StartProbe`] asked for runs.
    pub fn on_probe_started(&mut self, worker: WorkerId, probe: ProbeId) {
        self.probes.on_started(worker, probe);
    }

    /// The probe command that [`Finding::StartProbe`] asked for could not be started.
    pub fn on_probe_start_failed(
        &mut self,
        worker: WorkerId,
        why: String,
        now: Instant,
        registrar: &mut Registrar<'_>,
    ) -> Option<Finding> {
        let found = self.probes.on_start_failed(worker, why, now, registrar)?;
        Some(self.note(found))
    }

    /// A probe command that was on its way to exec could not.
    pub fn on_probe_not_execd(
        &mut self,
        probe: ProbeId,
        why: String,
        now: Instant,
        registrar: &mut Registrar<'_>,
    ) -> Option<Finding> {
        let found = self.probes.on_not_execd(probe, why, now, registrar)?;
        Some(self.note(found))
    }

    /// A probe command has ended.
    pub fn on_probe_exit(
        &mut self,
        probe: ProbeId,
        exit: Exit,
        now: Instant,
        registrar: &mut Registrar<'_>,
    ) -> Option<Finding> {
        let found = self.probes.on_exit(probe, exit, now, registrar)?;
        Some(self.note(found))
    }

    /// Goes on with the probes whose connection was reported. Call it until it returns `None`.
    pub fn advance(&mut self, now: Instant, registrar: &mut Registrar<'_>) -> Option<Finding> {
        let found = self.probes.advance(now, registrar)?;
        Some(self.note(found))
    }

    /// Goes on with the probes that are due. Call it until it returns `None`, and [`Health::hear_silent`] before.
    pub fn judge(&mut self, now: Instant, registrar: &mut Registrar<'_>) -> Option<Finding> {
        let found = self.probes.judge(now, registrar)?;
        Some(self.note(found))
    }

    /// Reads all that workers have notified which seem to be silent for too long. The findings are to be acted on in
    /// this order.
    pub fn hear_silent(&mut self, now: Instant) -> Vec<Finding> {
        let mut findings = Vec::new();
        for slot in self.probes.silent(now) {
            for datagram in self.notifications.read_all(slot) {
                self.on_datagram(slot, datagram, now, &mut findings);
            }
        }
        findings
    }

    /// Reads what workers notify. The findings are to be acted on in this order.
    pub fn read_notifications(&mut self, now: Instant) -> (Vec<Finding>, Progress) {
        let mut received = Vec::new();
        let progress = self.notifications.read(|slot, datagram| received.push((slot, datagram)));
        let mut findings = Vec::new();
        for (slot, datagram) in received {
            self.on_datagram(slot, datagram, now, &mut findings);
        }
        (findings, progress)
    }

    fn on_datagram(
        &mut self,
        slot: SlotId,
        datagram: Datagram,
        now: Instant,
        findings: &mut Vec<Finding>,
    ) {
        let Some(watched) = self.watched.get_mut(&slot) else { return };
        // What a worker sent before its exit no longer matters.
        let Some(leader) = watched.leader else { return };
        if !may_notify_for(datagram.sender, watched.worker, leader, watched.uid) {
            if let Some(other) = self.others.iter().find(|other| other.has_sent(slot, &datagram)) {
                findings.extend(other.said_ready(&datagram));
                return;
            }
            findings.extend(watched.reject(Rejected::Sender(outer_pid(datagram.sender.pid))));
            return;
        }
        for notification in datagram.notifications {
            findings.extend(self.on_notification(slot, notification, now));
        }
    }

    fn on_notification(
        &mut self,
        slot: SlotId,
        notification: Notification,
        now: Instant,
    ) -> Option<Finding> {
        let watched = self.watched.get_mut(&slot)?;
        let worker = watched.worker;
        match notification {
            Notification::Ready if watched.heeded.ready => Some(Finding::Ready(worker)),
            Notification::Hung if watched.heeded.trigger => {
                watched.failure = Some(ProbeFailure::Triggered);
                Some(Finding::Hung(worker))
            }
            Notification::Ready | Notification::Hung => None,
            Notification::Alive => {
                self.probes.on_alive(worker, now);
                None
            }
            Notification::Stopping => Some(Finding::Stopping(worker)),
            Notification::Status(status) => {
                watched.status = Some(status);
                None
            }
            Notification::MainPid(pid) => watched.reject(Rejected::MainPid(pid)),
        }
    }

    fn note(&mut self, found: probes::Finding) -> Finding {
        match found {
            probes::Finding::Ready(worker) => Finding::Ready(worker),
            probes::Finding::Hung(worker, failure) => {
                if let Some(watched) = self.watched_mut(worker) {
                    watched.failure = Some(failure);
                }
                Finding::Hung(worker)
            }
            probes::Finding::StartProbe(worker, purpose) => Finding::StartProbe(worker, purpose),
            probes::Finding::KillProbe(probe) => Finding::KillProbe(probe),
            probes::Finding::NotWatched(worker, failure) => Finding::NotWatched(worker, failure),
        }
    }

    // Facts for reports, and time.

    /// Why this worker hangs.
    pub fn failure(&self, worker: WorkerId) -> Option<ProbeFailure> {
        self.watched(worker)?.failure.clone()
    }

    /// The last sign of a worker that is not ready: why its last probe failed, or else its last STATUS.
    pub fn last_sign(&self, worker: WorkerId, now: Instant) -> Option<LastSign> {
        let failure = self.probes.last_failure(worker, now).map(LastSign::Failure);
        failure.or_else(|| self.watched(worker)?.status.clone().map(LastSign::Status))
    }

    /// Takes the probes that have come to an end.
    pub fn take_concluded(&mut self) -> Vec<Concluded> {
        self.probes.take_concluded()
    }

    /// When a probe has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.probes.next_deadline()
    }

    fn watched(&self, worker: WorkerId) -> Option<&Watched> {
        self.watched.get(&worker.slot).filter(|watched| watched.worker == worker)
    }

    fn watched_mut(&mut self, worker: WorkerId) -> Option<&mut Watched> {
        self.watched.get_mut(&worker.slot).filter(|watched| watched.worker == worker)
    }
}
