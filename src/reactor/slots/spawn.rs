//! From the supervisor's `Spawn` to the first instruction of a worker; and the start of a probe command.

use std::io::{self, PipeReader};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::Slots;
use super::launch::LaunchSpec;
use super::record::{Begun, Record};
use crate::plan::{HoldPort, Stdin};
use crate::reactor::health::{Health, Purpose, Subject};
use crate::reactor::held_ports::{Admission, HeldPorts};
use crate::reactor::output::{Device, Output, Seat};
use crate::reactor::report::{SpawnFailure, StaleWorkers};
use crate::reactor::tokens::Registrar;
use crate::supervisor::{Event, PortProbe, Revision, WorkerId};
use crate::sys::ports::{self, HolderProcess};
use crate::sys::{
    Children, Inheritance, OwnProcess, ProbeId, SpawnError, notify, sealed, stale_worker,
};

/// A worker that has not exec'd after this time is reported.
const SLOW_START: Duration = Duration::from_secs(1);

/// What every child gets from pm.
#[derive(Debug)]
pub struct Inherited {
    /// What pm was started with.
    pub own: OwnProcess,
    /// The signals that are not at their default action in pm.
    pub altered_signals: Vec<libc::c_int>,
}

/// The other parts of the reactor that a spawn needs.
pub struct Parts<'a> {
    pub children: &'a mut Children,
    pub health: &'a mut Health,
    pub held_ports: &'a mut HeldPorts,
    pub output: &'a mut Output,
    pub registrar: Registrar<'a>,
    pub now: Instant,
}

impl Parts<'_> {
    fn begun(&self) -> Begun {
        Begun { at: self.now, last_line: self.output.last_line() }
    }
}

/// What a worker is started as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Current(PortProbe),
    Spare,
}

impl Role {
    /// When it may bind its port.
    fn admission(self) -> Admission {
        match self {
            Self::Current(_) => Admission::Now,
            Self::Spare => Admission::Later,
        }
    }
}

impl Slots {
    /// Begins to start a worker by this revision of its slot. Returns what is to be told at once: nothing while the
    /// worker is on its way to exec.
    pub fn spawn(
        &mut self,
        worker: WorkerId,
        revision: Revision,
        port: PortProbe,
        parts: &mut Parts<'_>,
    ) -> Option<Event> {
        let logs = self.record_mut(worker.slot).begin(worker, revision, parts.begun());
        self.unused_logs.extend(logs);
        self.record_mut(worker.slot).measures.begin(parts.now);
        self.begin(worker, revision, Role::Current(port), parts)
    }

    /// Begins to start a spare, as [`Slots::spawn`] a worker.
    pub fn prepare(
        &mut self,
        worker: WorkerId,
        revision: Revision,
        parts: &mut Parts<'_>,
    ) -> Option<Event> {
        self.record_mut(worker.slot).begin_spare(worker, revision, parts.begun());
        let event = self.begin(worker, revision, Role::Spare, parts);
        parts.output.take_seat(worker, Seat::Spare);
        if let Some((spec, subject)) = self.subject(worker, parts.children) {
            let plan = &spec.plan;
            parts.health.on_spare(subject, &plan.ready, plan.alive.as_ref());
        }
        event
    }

    /// The spare is one of another slot from now on, by this revision of that slot.
    pub fn move_spare(
        &mut self,
        from: WorkerId,
        to: WorkerId,
        revision: Revision,
        parts: &mut Parts<'_>,
    ) {
        let begun = self.records.get(&from.slot).and_then(|record| record.spawned_at(from));
        if let Some(late_at) = begun.map(|begun| begun + SLOW_START)
            && self.starts.remove(&(late_at, from))
        {
            self.starts.insert((late_at, to));
        }
        if let Some(spare) = self.record_mut(from.slot).take_spare(from) {
            self.record_mut(to.slot).take_in_spare(spare, to, revision);
        }
        parts.health.forget_spare(from);
        let Some(spec) = self.spec(to) else { return };
        let plan = &spec.plan;
        let label = parts.output.label(&spec.pool_name, &plan.name, to.slot.0, plan.label);
        let device = match parts.output.device_of(from) {
            Device::Terminal(_) => Device::Terminal(parts.output.terminal_size_of(to.slot)),
            Device::Pipe => Device::Pipe,
        };
        parts.output.rename(from, to, spec.output(label, device), &mut parts.registrar);
        if let Some(port) = plan.port {
            // A slot that was stopped and started again meanwhile has let its port go.
            parts.held_ports.prepare(to.slot);
            parts.held_ports.rename(from, to, port, &mut parts.registrar);
        }
        if let Some((_, subject)) = self.subject(to, parts.children) {
            parts.health.on_spare(subject, &plan.ready, plan.alive.as_ref());
        }
    }

    /// The spare is the latest worker of its slot from now on.
    pub fn admit(&mut self, worker: WorkerId, now: Instant) {
        let record = self.record_mut(worker.slot);
        let logs = record.admit(worker, now);
        record.measures.begin(now);
        self.unused_logs.extend(logs);
    }

    fn begin(
        &mut self,
        worker: WorkerId,
        revision: Revision,
        role: Role,
        parts: &mut Parts<'_>,
    ) -> Option<Event> {
        let result = self.try_spawn(worker, revision, role, parts);
        let record = self.record_mut(worker.slot);
        match result {
            Ok(()) => {
                record.on_begun(worker, parts.children.pid(worker).map(sealed::outer_pid));
                self.starts.insert((parts.now + SLOW_START, worker));
                None
            }
            Err(failure) => {
                record.on_spawn_failed(worker, failure);
                Some(Event::SpawnFailed(worker))
            }
        }
    }

    /// The worker has exec'd.
    pub fn on_execd(&mut self, worker: WorkerId) {
        self.end_start(worker);
        if let Some(record) = self.records.get_mut(&worker.slot) {
            record.on_execd();
        }
    }

    /// The worker has exec'd: is it ready?
    pub fn watch_start(&self, worker: WorkerId, parts: &mut Parts<'_>) {
        let Some((spec, subject)) = self.subject(worker, parts.children) else { return };
        let plan = &spec.plan;
        let (health, registrar) = (&mut *parts.health, &mut parts.registrar);
        health.on_spawned(subject, &plan.ready, plan.alive.as_ref(), parts.now, registrar);
    }

    /// What health knows a worker by, if it has a process.
    fn subject(&self, worker: WorkerId, children: &Children) -> Option<(&LaunchSpec, Subject)> {
        let (spec, leader) = (self.spec(worker)?, children.pid(worker)?);
        let identity = spec.plan.exec.identity.as_ref();
        let uid = identity.map_or_else(notify::own_uid, |identity| identity.uid);
        let tagged_as = children.tagged_as(worker);
        Some((spec, Subject { worker, tagged_as, leader, uid, port: spec.plan.port }))
    }

    /// The worker could not exec.
    pub fn on_not_execd(&mut self, worker: WorkerId, error: SpawnError) {
        self.end_start(worker);
        if let Some(record) = self.records.get_mut(&worker.slot) {
            record.on_spawn_failed(worker, error.into());
        }
    }

    /// The worker has exec'd, or it has ended.
    pub fn end_start(&mut self, worker: WorkerId) {
        let begun = self.records.get(&worker.slot).and_then(|record| record.spawned_at(worker));
        if let Some(begun) = begun {
            self.starts.remove(&(begun + SLOW_START, worker));
        }
    }

    /// The workers that are on their way to exec for too long now. Each is returned once.
    pub fn slow_starts(&mut self, now: Instant) -> Vec<WorkerId> {
        let mut slow = Vec::new();
        while self.next_deadline().is_some_and(|at| at <= now) {
            slow.extend(self.starts.pop_first().map(|(_, worker)| worker));
        }
        slow
    }

    /// When the next start will have taken too long.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.starts.first().map(|(at, _)| *at)
    }

    fn try_spawn(
        &mut self,
        worker: WorkerId,
        revision: Revision,
        role: Role,
        parts: &mut Parts<'_>,
    ) -> Result<(), SpawnFailure> {
        let Self { records, memory_limit, inherited, stale_workers, .. } = self;
        let record =
            records.get_mut(&worker.slot).expect("a slot of the supervisor has its record");
        let stdin = open_stdin(record, worker, revision).map_err(SpawnFailure::Stdin)?;
        let spec = record.spec(revision);
        let plan = &spec.plan;
        if !plan.exec.hold_port.holds() {
            parts.held_ports.forget(worker.slot);
        }
        match role {
            // The socket that is there is pm's own.
            Role::Current(PortProbe::Needed) if parts.held_ports.has_socket(worker.slot) => {}
            Role::Current(PortProbe::Needed) => probe_port(spec, *stale_workers)?,
            Role::Current(PortProbe::Skipped) | Role::Spare => {}
        }
        let Parts { children, health, held_ports, output, registrar, .. } = parts;
        let socket = match (plan.exec.hold_port, plan.port) {
            (HoldPort::Passed(address), Some(port)) => {
                let name = SocketAddr::new(address, port);
                let socket = held_ports.prepare_passed(worker.slot, name);
                Some(socket.map_err(|error| SpawnFailure::Socket(name, error))?.as_fd())
            }
            (HoldPort::Calls, _) => {
                held_ports.prepare(worker.slot);
                None
            }
            (HoldPort::No | HoldPort::Passed(_), _) => None,
        };
        if plan.exec.notifies && role != Role::Spare {
            health.discard_notifications(worker.slot);
        }
        let cgroup = memory_limit.group(&plan.name, spec.memory_bytes());
        let cgroup = cgroup.map_err(SpawnFailure::Cgroup)?;
        let device = if plan.exec.pty {
            Device::Terminal(output.terminal_size_of(worker.slot))
        } else {
            Device::Pipe
        };
        let opened = output.open_pipe(device, registrar);
        let opened = opened.map_err(SpawnFailure::Output)?;
        let stdin = match &stdin {
            WorkerStdin::Null => None,
            WorkerStdin::Pipe(reader) => Some(reader.as_fd()),
            WorkerStdin::Output => Some(opened.writer.as_fd()),
        };
        let cgroup = cgroup.as_ref().map(AsFd::as_fd);
        let given = inherited.given(stdin, Some(opened.writer.as_fd()), cgroup);
        let given = Inheritance { socket, ..given };
        match children.spawn(worker, &spec.launch, spec.stop, given) {
            Ok(calls) => {
                if let (Some(calls), Some(port)) = (calls, plan.port) {
                    held_ports.watch(worker, port, role.admission(), calls, registrar);
                }
            }
            Err(error) => {
                output.take_back_pipe(device, opened, registrar);
                return Err(error.into());
            }
        }
        // The worker does not wait for what follows.
        let label = output.label(&spec.pool_name, &plan.name, worker.slot.0, plan.label);
        let written = spec.output(label, device);
        output.add_pipe(worker, written, opened, registrar);
        Ok(())
    }

    /// Starts the probe command of a worker.
    ///
    /// # Errors
    /// As [`crate::sys::Children::spawn`].
    pub fn start_probe(
        &self,
        worker: WorkerId,
        purpose: Purpose,
        children: &mut Children,
    ) -> Option<Result<ProbeId, SpawnError>> {
        let spec = self.spec(worker)?;
        let launch = match purpose {
            Purpose::Ready => spec.ready_probe.as_ref(),
            Purpose::Alive => spec.alive_probe.as_ref(),
        };
        let given = self.inherited.given(None, None, None);
        Some(children.probe(worker, launch?, given))
    }
}

impl Inherited {
    fn given<'a>(
        &'a self,
        stdin: Option<BorrowedFd<'a>>,
        output: Option<BorrowedFd<'a>>,
        cgroup: Option<BorrowedFd<'a>>,
    ) -> Inheritance<'a> {
        let altered_signals = &self.altered_signals;
        Inheritance { stdin, output, own: self.own, altered_signals, cgroup, socket: None }
    }
}

/// What a worker gets as its stdin.
enum WorkerStdin {
    Null,
    /// A pipe of the worker's own: O_NONBLOCK, which Node sets, is shared by all that have the description (open(2)).
    Pipe(PipeReader),
    /// What its output is: its terminal.
    Output,
}

fn open_stdin(
    record: &mut Record,
    worker: WorkerId,
    revision: Revision,
) -> io::Result<WorkerStdin> {
    match record.spec(revision).plan.exec.stdin {
        Stdin::Null => Ok(WorkerStdin::Null),
        Stdin::Terminal => Ok(WorkerStdin::Output),
        Stdin::Open => {
            let (reader, writer) = io::pipe()?;
            record.keep_stdin(worker, writer);
            Ok(WorkerStdin::Pipe(reader))
        }
    }
}

/// Fails if another process listens on the slot's port. A worker that an earlier pm has left there is killed if the
/// user asked for that; the next try finds the port free.
fn probe_port(spec: &LaunchSpec, stale_workers: StaleWorkers) -> Result<(), SpawnFailure> {
    let Some(port) = spec.plan.port.filter(|port| ports::is_held(*port)) else {
        return Ok(());
    };
    let folder = spec.launch.folder();
    let Some(holder) = ports::holder(port, folder) else {
        return Ok(());
    };
    match (&holder.process, stale_workers) {
        (HolderProcess::StaleWorker { pid, .. }, StaleWorkers::Kill) => {
            stale_worker::kill(*pid, folder)
        }
        (HolderProcess::StaleWorker { .. }, StaleWorkers::Keep) => {}
        (HolderProcess::Other { .. } | HolderProcess::Hidden(_), _) => {}
    }
    Err(SpawnFailure::PortHeld(holder))
}
