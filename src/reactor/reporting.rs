//! From a transition to the lines on stderr: which facts a report needs, and when it is time for one.
//!
//! What a report is, and its sentences, are in [`super::report`].

use std::time::Duration;

use super::Reactor;
use super::output::{LastOutput, Progress};
use super::report::{
    Death, Delay, Delays, ProbeFailure, Rejected, Report, Retry, RunEvent, SpareEnd, WorkerEvent,
};
use super::slots::FailureKind;
use super::slots::history::PhaseChange;
use crate::supervisor::{
    Exit, Next, Policy, PoolEnd, SlotId, SpareFailure, Stop, StopReason, Transition, Wanted,
    WorkerId,
};
use crate::sys::port_calls::CannotHold;
use crate::wire::{EventKind, Reason};

/// How many lines before a death are kept with it.
const LAST_LINES: usize = 20;

impl Reactor {
    pub(super) fn say(&mut self, event: RunEvent) {
        let report = Report::of_run(self.clock.moment(), event);
        report.write(&mut self.output);
        let kind = EventKind::Report { slot: None, generation: None, words: report.words };
        self.control.note(self.clock.time(), kind);
    }

    /// The slot may be at another phase: other programs are told, and it holds its port or lets it go.
    pub(super) fn note_phase(&mut self, slot: SlotId) {
        let Self { supervisor, slots, held_ports, control, clock, .. } = self;
        let Some(slot) = supervisor.slot(slot) else { return };
        if !slot.holds_port() {
            held_ports.let_go(slot.id());
        }
        let Some(PhaseChange { at, generation, from, to }) =
            slots.note_phase(slot, || clock.time())
        else {
            return;
        };
        let name = slots.identity(slot.id()).map(|facts| facts.name.to_owned());
        let slot = name.unwrap_or_default();
        control.note(at, EventKind::Phase { slot, generation, from, to });
    }

    pub(super) fn note_all_phases(&mut self) {
        for slot in Vec::from_iter(self.supervisor.ids()) {
            self.note_phase(slot);
        }
    }

    /// Reports that all workers are stopped.
    pub(super) fn report_stop(&mut self, stop: Stop) {
        let slots = &self.slots;
        let event = match stop.reason {
            StopReason::Asked(wish) => RunEvent::Stop(wish, stop),
            StopReason::Ended(PoolEnd::Ended { pool, failed }) => {
                let failed = failed.map(|failed| slots.failed_slot(failed));
                RunEvent::PoolEnded { pool: slots.pool_name(pool), failed, stop }
            }
            StopReason::Ended(PoolEnd::Blocked { pool, failed }) => {
                let (pool, needed) =
                    (slots.pool_name(pool), slots.pool_name(slots.pool(failed.slot)));
                RunEvent::PoolBlocked { pool, needed, failed: slots.failed_slot(failed), stop }
            }
        };
        self.say(event);
    }

    /// Reports what became of a worker, with the facts of this very worker.
    pub(super) fn report(&mut self, transition: Transition) {
        let worker = transition.worker();
        let stopped_by = self.stopped_by(worker.slot);
        self.slots.measure_transition(transition, stopped_by, self.clock.now());
        match transition {
            Transition::Ready(worker) => self.report_worker(worker, WorkerEvent::Ready),
            Transition::Crashed { worker, exit, next } => {
                let death = self.death(worker, exit);
                self.report_worker(worker, WorkerEvent::Crashed { death, next });
                self.slots.announce(worker, next);
                self.report_waiting_in_vain(worker.slot, next);
            }
            Transition::FailedStart { worker, exit, next } => {
                let death = self.death(worker, exit);
                self.report_worker(worker, WorkerEvent::FailedStart { death, next });
                self.slots.announce(worker, next);
                self.report_waiting_in_vain(worker.slot, next);
            }
            Transition::SpawnFailed { worker, next } => self.report_spawn_failed(worker, next),
            Transition::NeverReady(worker) => {
                let last = self.health.last_sign(worker, self.clock.now());
                if let Some(ready) = self.slots.spec(worker).map(|spec| spec.plan.ready.clone()) {
                    let (awaited, within) = (ready.by, ready.within);
                    self.report_worker(worker, WorkerEvent::NeverReady { awaited, within, last });
                }
            }
            Transition::Hung(worker) => {
                let failure = self.health.failure(worker);
                let alive = self.slots.spec(worker).and_then(|spec| spec.plan.alive.as_ref());
                let failures = alive.map_or(1, |alive| alive.failures.get());
                self.report_worker(worker, WorkerEvent::Hung { failure, failures });
            }
            Transition::Replacing(worker) => self.report_worker(worker, WorkerEvent::Replacing),
            Transition::SpareWaits(worker) => self.report_worker(worker, WorkerEvent::SpareWaits),
            Transition::SpareFailed { worker, how, wait } => {
                self.report_spare_failed(worker, how, wait);
            }
            Transition::SpareStopped(worker) => {
                self.read_last(worker);
                self.report_worker(worker, WorkerEvent::SpareStopped);
            }
            Transition::Stopped { worker, next } => {
                self.read_last(worker);
                // What comes after an unasked exit was reported with the exit.
                if !self.slots.has_announced(worker, next) {
                    self.report_worker(worker, WorkerEvent::Stopped { next });
                }
                self.report_waiting_in_vain(worker.slot, next);
            }
            Transition::GraceOver { worker, grace } => {
                let is_named = self.agenda.stop_progress.names_grace_over(self.clock.now());
                let members = is_named.then(|| self.children.find_members(&[worker]).concat());
                let members = members.unwrap_or_default();
                self.report_worker(worker, WorkerEvent::GraceOver { grace, members });
            }
        }
    }

    /// Reports which processes delay a stop, when it is time to.
    pub(super) fn report_delays(&mut self) {
        let Delays { named, more } =
            self.agenda.stop_progress.due(&self.supervisor, self.clock.now());
        if named.is_empty() {
            return;
        }
        let workers: Vec<_> = named.iter().map(|delay| delay.worker()).collect();
        let members = self.children.find_members(&workers);
        self.note_emptied();
        for (delay, members) in named.into_iter().zip(members) {
            match delay {
                // It was found to be gone just now.
                gone if self.children.pid(gone.worker()).is_none() => {}
                Delay::Stopping(worker, left) => {
                    self.report_worker(worker, WorkerEvent::StillStopping { members, left });
                }
                Delay::Killing(worker) => {
                    let may_leave = self.supervisor.may_leave(self.clock.now());
                    self.report_worker(worker, WorkerEvent::StillKilling { members, may_leave });
                }
            }
        }
        if more.stopping + more.killing > 0 {
            self.say(RunEvent::MoreDelays(more));
        }
    }

    /// Reports which workers have not exec'd for a while.
    pub(super) fn report_slow_starts(&mut self) {
        for worker in self.slots.slow_starts(self.clock.now()) {
            if let Some(awaiting) = self.children.awaiting(worker) {
                self.report_worker(worker, WorkerEvent::SlowStart { awaiting });
            }
        }
    }

    /// Reports which workers are dead and cannot be reaped. Of one that is being stopped, that is reported as a delay.
    pub(super) fn report_kept_dead(&mut self) {
        let now = self.clock.now();
        for worker in self.children.take_kept() {
            self.agenda.kept_dead.on_found(worker, now);
        }
        for worker in self.agenda.kept_dead.due(now) {
            let slot = self.supervisor.slot(worker.slot);
            if slot.is_none_or(|slot| slot.phase().is_ending()) {
                continue;
            }
            if let Some(tracer) = self.children.tracer_of_dead(worker) {
                self.report_worker(worker, WorkerEvent::KeptDead(tracer));
            }
        }
    }

    pub(super) fn report_not_watched(&mut self, worker: WorkerId, failure: ProbeFailure) {
        self.report_worker(worker, WorkerEvent::NotWatched(failure));
    }

    pub(super) fn report_not_held(&mut self, worker: WorkerId, why: CannotHold) {
        if self.slots.spec(worker).is_none() {
            // What it has left is not known any more.
            return;
        }
        self.report_worker(worker, WorkerEvent::NotHeld(why));
    }

    pub(super) fn report_rejected(&mut self, worker: WorkerId, rejected: Rejected) {
        self.report_worker(worker, WorkerEvent::Rejected(rejected));
    }

    /// Writes what can be written, and reports what could not. Says whether log files have to be written on.
    pub(super) fn flush(&mut self) -> Progress {
        let now = self.clock.now();
        let unused = self.slots.take_unused_logs();
        if !unused.is_empty() {
            self.output.retain_files(|path| !unused.iter().any(|unused| unused == path));
        }
        for incident in self.output.flush(now) {
            self.say(RunEvent::Output(incident));
        }
        self.output.flush_own(now);
        self.output.progress(now)
    }

    /// A port that the same process still holds is not reported again, unless that ends the tries.
    fn report_spawn_failed(&mut self, worker: WorkerId, next: Next) {
        let Some((failure, kind)) = self.slots.failure(worker.slot) else { return };
        if kind == FailureKind::Repeated && matches!(next, Next::Spawn | Next::Backoff(_)) {
            return;
        }
        let hint = self.slots.spec(worker).and_then(|spec| spec.hint(&failure));
        let backoff_max = self.policy(worker.slot).backoff.max;
        let retry = Retry { backoff_max, stale_workers: self.slots.stale_workers() };
        self.report_worker(worker, WorkerEvent::SpawnFailed { failure, hint, next, retry });
        self.report_waiting_in_vain(worker.slot, next);
    }

    fn report_spare_failed(&mut self, worker: WorkerId, how: SpareFailure, wait: Option<Duration>) {
        let how = match how {
            SpareFailure::Exited(exit) => SpareEnd::Exited(self.death(worker, exit)),
            SpareFailure::NotSpawned => match self.slots.failure(worker.slot) {
                Some((failure, _)) => SpareEnd::NotSpawned(failure),
                None => return,
            },
            SpareFailure::NeverWaited => {
                let within = self.policy(worker.slot).spare.within();
                SpareEnd::NeverWaited(within.unwrap_or_default())
            }
        };
        self.report_worker(worker, WorkerEvent::SpareFailed { how, wait });
    }

    /// If a slot has failed for good, the pools that wait for its own are not started. Reported for the first slot of a
    /// pool, once nothing is left of its worker.
    fn report_waiting_in_vain(&mut self, slot: SlotId, next: Next) {
        match next {
            Next::GiveUp | Next::TooManyRestarts | Next::End => {}
            Next::Spawn | Next::TakeOver | Next::Replaced => return,
            Next::Backoff(_) | Next::Down => return,
        }
        let pool = self.slots.pool(slot);
        let waiting = self.slots.pool_names(&self.supervisor.waiting_for(pool));
        if waiting.is_empty() {
            return;
        }
        let failed = self.slots.failed(&self.supervisor).filter(|(other, _)| *other == pool);
        let mut failed: Vec<_> = failed.map(|(_, failed)| failed).take(2).collect();
        if let (Some(failed), true) = (failed.pop(), failed.is_empty()) {
            let pool = self.slots.pool_name(pool);
            self.say(RunEvent::WaitingInVain { waiting, pool, failed });
        }
    }

    fn report_worker(&mut self, worker: WorkerId, event: WorkerEvent) {
        let at = self.clock.moment();
        let mut facts = self.slots.facts(worker, at.now);
        if let Some(slot) = self.supervisor.slot(worker.slot) {
            facts.successor = slot.successor_of(worker);
            facts.is_alone = slot.workers().all(|other| other == worker);
        }
        let (slot, time) = (facts.name.clone(), self.clock.time());
        let report = Report::of_worker(at, facts, event);
        report.write(&mut self.output);
        let stopped_by = self.stopped_by(worker.slot);
        let before = self.slots.lines_before(worker);
        let authors = [worker, self.slots.former(worker).unwrap_or(worker)];
        if let Some(history) = self.slots.history_mut(worker.slot) {
            let output = &self.output;
            let last_lines =
                || before.map_or_else(Vec::new, |at| output.last_lines(&authors, at, LAST_LINES));
            history.note_report(&report, stopped_by, time, last_lines);
        }
        let (slot, generation, words) = (Some(slot), Some(worker.generation), report.words);
        self.output.note_on_screen(worker.slot, &words);
        self.control.note(time, EventKind::Report { slot, generation, words });
    }

    /// Why a worker of this slot is stopped that did nothing wrong.
    fn stopped_by(&self, slot: SlotId) -> Reason {
        if self.supervisor.is_draining() {
            return Reason::Shutdown;
        }
        let is_changed = self.supervisor.slot(slot).is_some_and(|slot| {
            let has_new = slot.due_revision().is_some_and(|due| due != slot.revision());
            has_new || slot.wanted() == Wanted::Gone
        });
        if is_changed { Reason::Changed } else { Reason::Asked }
    }

    fn death(&mut self, worker: WorkerId, exit: Exit) -> Death {
        let last_output = self.read_last(worker);
        Death { exit, cause: self.slots.cause(worker), last_output }
    }

    /// What a worker has written stands before the report of its end.
    fn read_last(&mut self, worker: WorkerId) -> LastOutput {
        let registrar = &mut self.poller.registrar();
        let last = self.output.read_last(worker, self.clock.moment(), registrar);
        if last.is_empty() {
            self.slots.note_silence(worker);
        }
        last
    }

    fn policy(&self, slot: SlotId) -> Policy {
        self.supervisor.slot(slot).map(|slot| *slot.policy()).unwrap_or_default()
    }
}
