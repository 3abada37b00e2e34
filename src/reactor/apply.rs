//! From an event to the end of all that follows from it: each action goes to the part that carries it out.

use std::collections::VecDeque;

use super::Reactor;
use super::health::Purpose;
use super::output::Seat;
use super::slots::Parts;
use crate::supervisor::{Action, Event, PortProbe, Revision, Slot, Transition, WorkerId};
use crate::sys::{ProbeId, SpawnError};

impl Reactor {
    /// Tells the supervisor of an event, and carries out what it answers.
    pub(super) fn handle(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.supervisor.handle(event, self.clock.now(), &mut actions);
        self.apply(actions);
        if matches!(event, Event::Asked(_)) {
            // It can change slots without an action.
            self.note_all_phases();
        } else {
            event.slot().into_iter().for_each(|slot| self.note_phase(slot));
        }
    }

    /// Carries out actions, and tells the supervisor how each spawn went, until there is nothing to do.
    pub(super) fn apply(&mut self, mut actions: Vec<Action>) {
        let mut events = VecDeque::new();
        loop {
            let touched: Vec<_> = actions.iter().filter_map(|action| action.worker()).collect();
            for action in actions.drain(..) {
                events.extend(self.carry_out(action));
            }
            touched.into_iter().for_each(|worker| self.note_phase(worker.slot));
            match events.pop_front() {
                Some(event) => self.supervisor.handle(event, self.clock.now(), &mut actions),
                None => break,
            }
        }
        if self.slots.count() > self.supervisor.slot_count() {
            let Self { slots, supervisor, health, held_ports, output, poller, .. } = self;
            slots.forget_removed(supervisor, health, held_ports, &mut poller.registrar());
            output.retain_slots(|slot| supervisor.slot(slot).is_some());
            self.close_unused_files();
        }
    }

    fn carry_out(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Spawn { worker, revision, port } => {
                return self.spawn(worker, revision, port);
            }
            Action::Prepare { worker, revision } => return self.prepare(worker, revision),
            Action::Move { from, to, revision } => self.move_spare(from, to, revision),
            Action::Admit(worker) => self.admit(worker),
            Action::Terminate(worker) => {
                self.slots.measure_stop(worker, self.clock.now());
                self.stop_probes(worker);
                self.children.terminate(worker);
                self.held_ports.refuse_waiting(worker);
            }
            Action::Kill(worker) => {
                self.slots.measure_stop(worker, self.clock.now());
                self.stop_probes(worker);
                self.children.kill(worker);
                self.agenda.stop_progress.on_killed(self.clock.now());
            }
            Action::Report(transition) => {
                self.report(transition);
                if let Transition::Ready(worker) = transition {
                    self.keep_alive(worker);
                    self.held_ports.on_ready(worker, self.clock.now());
                }
            }
            Action::ReportStop(stop) => {
                // Where it is refused, only time is lost.
                let _ = self.signals.hold_children();
                self.report_stop(stop);
            }
            Action::Finish { outcome, stopping_since } => {
                self.begin_to_leave(outcome, stopping_since);
            }
            Action::Leave => self.leave_now(),
        }
        None
    }

    /// Begins to start a worker. An answer is given now only if there is no process.
    fn spawn(&mut self, worker: WorkerId, revision: Revision, port: PortProbe) -> Option<Event> {
        let Self { slots, children, health, held_ports, output, poller, clock, .. } = self;
        let (registrar, now) = (poller.registrar(), clock.now());
        let mut parts = Parts { children, health, held_ports, output, registrar, now };
        let event = slots.spawn(worker, revision, port, &mut parts);
        parts.output.open_spare_pipe(&mut parts.registrar);
        slots.measure_start(worker, clock.moment().wall.seconds());
        event
    }

    /// Begins to start a spare. As [`Reactor::spawn`].
    fn prepare(&mut self, worker: WorkerId, revision: Revision) -> Option<Event> {
        let Self { slots, children, health, held_ports, output, poller, clock, .. } = self;
        let (registrar, now) = (poller.registrar(), clock.now());
        let mut parts = Parts { children, health, held_ports, output, registrar, now };
        let event = slots.prepare(worker, revision, &mut parts);
        parts.output.open_spare_pipe(&mut parts.registrar);
        event
    }

    /// The spare is one of another slot from now on, in each part that knows it.
    fn move_spare(&mut self, from: WorkerId, to: WorkerId, revision: Revision) {
        self.children.rename(from, to);
        // It is found again by its new name.
        self.agenda.kept_dead.on_reaped(from);
        let Self { slots, children, health, held_ports, output, poller, clock, .. } = self;
        let (registrar, now) = (poller.registrar(), clock.now());
        let mut parts = Parts { children, health, held_ports, output, registrar, now };
        slots.move_spare(from, to, revision, &mut parts);
    }

    /// The spare is the worker of its slot: it may bind its port, and is asked whether it is ready.
    fn admit(&mut self, worker: WorkerId) {
        if let Some((before, _)) = self.supervisor.slot(worker.slot).and_then(Slot::retiring) {
            self.stop_probes(before);
        }
        self.held_ports.admit(worker);
        let Self { slots, children, health, held_ports, output, poller, clock, .. } = self;
        output.take_seat(worker, Seat::Current);
        slots.admit(worker, clock.now());
        slots.measure_start(worker, clock.moment().wall.seconds());
        if children.has_execd(worker) {
            slots.measure_exec(worker, clock.read());
            let (registrar, now) = (poller.registrar(), clock.now());
            let mut parts = Parts { children, health, held_ports, output, registrar, now };
            slots.watch_start(worker, &mut parts);
        }
    }

    /// The worker has exec'd. If it was terminated before that, it is not probed any more.
    pub(super) fn on_execd(&mut self, worker: WorkerId) {
        let awaits_ready = self.supervisor.awaits_ready(worker);
        let Self { slots, children, health, held_ports, output, poller, clock, .. } = self;
        let (registrar, now) = (poller.registrar(), clock.now());
        let mut parts = Parts { children, health, held_ports, output, registrar, now };
        slots.on_execd(worker);
        slots.measure_exec(worker, clock.read());
        if awaits_ready {
            slots.watch_start(worker, &mut parts);
        }
        self.handle(Event::Spawned(worker));
    }

    /// The worker could not exec.
    pub(super) fn on_not_execd(&mut self, worker: WorkerId, error: SpawnError) {
        self.agenda.kept_dead.on_reaped(worker);
        self.stop_probes(worker);
        self.health.forget_spare(worker);
        self.held_ports.on_emptied(worker, &mut self.poller.registrar());
        self.output.close_pipe(worker, &mut self.poller.registrar());
        self.slots.on_not_execd(worker, error);
        self.handle(Event::SpawnFailed(worker));
    }

    /// The worker is ready: its alive probe begins.
    fn keep_alive(&mut self, worker: WorkerId) {
        let alive = self.slots.spec(worker).and_then(|spec| spec.plan.alive.as_ref());
        let registrar = &mut self.poller.registrar();
        let probe = self.health.on_ready(worker, alive, self.clock.now(), registrar);
        self.kill_probe(probe);
    }

    pub(super) fn stop_probes(&mut self, worker: WorkerId) {
        let probe = self.health.stop(worker, &mut self.poller.registrar());
        self.kill_probe(probe);
    }

    pub(super) fn kill_probe(&mut self, probe: Option<ProbeId>) {
        if let Some(probe) = probe {
            self.children.kill_probe(probe);
        }
    }

    pub(super) fn start_probe(&mut self, worker: WorkerId, purpose: Purpose) {
        match self.slots.start_probe(worker, purpose, &mut self.children) {
            Some(Ok(probe)) => self.health.on_probe_started(worker, probe),
            Some(Err(error)) => {
                let (why, now) = (error.to_string(), self.clock.now());
                let registrar = &mut self.poller.registrar();
                let finding = self.health.on_probe_start_failed(worker, why, now, registrar);
                finding.into_iter().for_each(|finding| self.act_on(finding));
            }
            None => debug_assert!(false, "{worker:?} has the probe command that health asks for"),
        }
    }
}
