//! What people are told, and when. The sentences themselves are in [`super::words`].

use std::time::Duration;

use super::Reactor;
use super::delays::Delay;
use super::log_files::Incident;
use super::words::{self, Kept, Subject};
use crate::supervisor::{Exit, Next, Phase, Policy, Readiness, Transition, WorkerId};
use crate::sys::{Caught, SpawnError};

impl Reactor {
    /// Passes on the supervisor's news.
    pub(super) fn tell(&mut self, news: Transition) {
        let line = match news {
            Transition::Ready(worker) => {
                let age = self.now.saturating_duration_since(self.place(worker).spawned_at);
                self.subject(worker, age).is_ready(self.children.pid(worker))
            }
            Transition::Crashed { worker, exit, next } => {
                self.hear_out(worker);
                let why = self.why(worker, exit);
                self.last_seen(worker).crashed(exit, why.as_deref(), next)
            }
            Transition::FailedStart { worker, exit, next } => {
                self.hear_out(worker);
                let why = self.why(worker, exit);
                self.last_seen(worker).failed_to_start(exit, why.as_deref(), next)
            }
            Transition::SpawnFailed { worker, next } => match self.cannot_start(worker, next) {
                Some(line) => line,
                None => return,
            },
            Transition::NeverReady(worker) => {
                let ready = self.policy(worker).ready;
                let (Readiness::Probe { within: wait } | Readiness::Lived { after: wait }) = ready;
                let place = self.place(worker);
                let trouble = self.probes.last_trouble(worker.slot);
                let last = trouble.map(ToString::to_string).or(place.status.clone());
                let awaited = &place.orders.plan.ready.by;
                self.last_seen(worker).was_never_ready(awaited, wait, last.as_deref())
            }
            Transition::Hung(worker) => {
                let place = self.place(worker);
                let failures =
                    place.orders.plan.alive.as_ref().map_or(1, |alive| alive.failures.get());
                self.last_seen(worker).hangs(place.trouble.as_ref(), failures)
            }
            Transition::Replacing(worker) => self.last_seen(worker).makes_way(),
            Transition::Stopped { worker, next } => {
                self.hear_out(worker);
                self.last_seen(worker).is_gone(next)
            }
            Transition::GraceOver(worker) => {
                let grace = self.policy(worker).grace;
                let members = self.children.members(worker);
                self.last_seen(worker).outlived_the_grace(grace, &members)
            }
        };
        self.console.say(&line, self.now);
        if let Some((worker, Next::GiveUp | Next::TooManyRestarts)) = ended(news) {
            self.tell_who_waits_for(worker);
        }
    }

    /// Why a worker cannot be spawned; `None` if people know.
    fn cannot_start(&self, worker: WorkerId, next: Next) -> Option<String> {
        let place = self.place(worker);
        let refusal = place.refusal.as_ref().filter(|refusal| !refusal.is_known)?;
        let subject = self.last_seen(worker);
        Some(match &refusal.error {
            held @ SpawnError::PortHeld { .. } => {
                subject.is_shut_out(held, self.takes_over, self.policy(worker).backoff.max)
            }
            missing @ (SpawnError::NotFound { .. } | SpawnError::Wrapper { .. }) => {
                subject.cannot_start(missing, place.orders.missing_hint.as_deref(), next)
            }
            other => subject.cannot_start(other, None, next),
        })
    }

    /// What is known of an end besides its status.
    fn why(&mut self, worker: WorkerId, exit: Exit) -> Option<String> {
        let limit = self.place(worker).orders.plan.exec.limits.memory_bytes?;
        if exit != Exit::Signal(9) {
            return None;
        }
        let kills = self.memory.kills(self.place(worker).name());
        let place = self.places.get_mut(&worker.slot)?;
        let is_new = std::mem::replace(&mut place.memory_kills, kills) < kills;
        is_new.then(|| words::used_too_much(limit))
    }

    /// The first lines of a run.
    pub(super) fn tell_start(&mut self) {
        let mut kept: Vec<Kept> = Vec::new();
        for place in self.places.values() {
            let (name, port) = (place.name().to_owned(), place.orders.plan.port);
            match kept.last_mut().filter(|kept| kept.pool == place.orders.pool_name) {
                Some(kept) => kept.slots.push((name, port)),
                None => {
                    let pool = place.orders.pool_name.clone();
                    kept.push(Kept { pool, slots: vec![(name, port)] });
                }
            }
        }
        self.console.say(&words::greeting(&kept), self.now);
        let limited = self.places.values().find_map(|place| {
            let bytes = place.orders.plan.exec.limits.memory_bytes?;
            Some((place.orders.pool_name.clone(), bytes))
        });
        if let Some((pool, bytes)) = limited {
            let line = words::memory_limit(&pool, bytes, self.memory.why_not_by_cgroups());
            self.console.say(&line, self.now);
        }
    }

    /// Which pools wait for which, if any does.
    pub(super) fn tell_who_waits(&mut self) {
        let mut waiting: Vec<(&str, Vec<&str>)> = Vec::new();
        for (slot, place) in &self.places {
            let pool = place.orders.pool_name.as_str();
            let is_known = waiting.iter().any(|(known, _)| *known == pool);
            let others = self.supervisor.waits_for(*slot);
            if !is_known && !others.is_empty() {
                waiting.push((pool, others.iter().map(|pool| self.pools[pool].as_str()).collect()));
            }
        }
        let lines = waiting.iter().map(|(pool, others)| words::waits(pool, others));
        for line in lines.collect::<Vec<_>>() {
            self.console.say(&line, self.now);
        }
    }

    /// Who will not be started, because this slot has given up.
    fn tell_who_waits_for(&mut self, worker: WorkerId) {
        let pool = self.place(worker).pool;
        let waiting = self.supervisor.waiting_for(pool);
        let waiting: Vec<_> = waiting.iter().map(|pool| self.pools[pool].as_str()).collect();
        if !waiting.is_empty() {
            let line = words::waits_in_vain(&waiting, &self.pools[&pool]);
            self.console.say(&line, self.now);
        }
    }

    /// Writes what there is to write, and says what could not be written.
    pub(super) fn flush(&mut self) {
        for incident in self.logs.files.flush() {
            let line = match incident {
                Incident::Broken { path, error } => words::cannot_log(&path, &error),
                Incident::Mended { path, lost } => words::logs_again(&path, lost),
            };
            self.console.say(&line, self.now);
        }
        self.console.flush(self.now);
    }

    /// A signal asks for an end, with or without the grace.
    pub(super) fn tell_stop(&mut self, signal: Caught, is_kill: bool) {
        let has_worker = |phase| match phase {
            Phase::Starting { .. } | Phase::Ready { .. } => true,
            Phase::Stopping { .. } | Phase::Killing { .. } => true,
            Phase::Idle | Phase::Backoff { .. } | Phase::GivenUp => false,
        };
        let slots = self.supervisor.slots().filter(|slot| has_worker(slot.phase()));
        let (mut workers, mut grace) = (0, Duration::ZERO);
        for slot in slots {
            workers += 1;
            grace = grace.max(slot.policy().grace);
        }
        let line = match is_kill || grace.is_zero() {
            _ if workers == 0 => words::leaving(signal),
            true => words::killing(signal, workers),
            false => words::stopping(signal, workers, grace, self.has_turns),
        };
        self.console.say(&line, self.now);
    }

    /// The last line of a run that was asked to stop.
    pub(super) fn tell_end(&mut self) {
        if let Some(began) = self.stop_began {
            let after = self.now.saturating_duration_since(began);
            self.console.say(&words::all_gone(after), self.now);
        }
    }

    /// Names those who hold up a stop, when it is time to.
    pub(super) fn tell_delays(&mut self) {
        for delay in self.delays.due(&self.supervisor, self.now) {
            let line = match delay {
                Delay::Stop(worker, rest) => {
                    let members = self.children.members(worker);
                    self.last_seen(worker).delays_the_stop(&members, rest)
                }
                Delay::Kill(worker) => {
                    let members = self.children.members(worker);
                    self.last_seen(worker).delays_the_kill(&members)
                }
            };
            self.console.say(&line, self.now);
        }
    }

    /// What a worker has still to say comes before what is said of it.
    fn hear_out(&mut self, worker: WorkerId) {
        self.logs.read_last(worker, self.console.workers(), self.now);
    }

    fn last_seen(&self, worker: WorkerId) -> Subject<'_> {
        self.subject(worker, self.place(worker).lived)
    }

    fn subject(&self, worker: WorkerId, age: Duration) -> Subject<'_> {
        let place = self.place(worker);
        let (name, port, generation) = (place.name(), place.orders.plan.port, worker.generation);
        Subject { name, port, generation, age }
    }

    fn policy(&self, worker: WorkerId) -> Policy {
        self.supervisor.slot(worker.slot).map(|slot| *slot.policy()).unwrap_or_default()
    }
}

/// Whose end this is the news of, and what comes next.
fn ended(news: Transition) -> Option<(WorkerId, Next)> {
    match news {
        Transition::Crashed { worker, next, .. }
        | Transition::FailedStart { worker, next, .. }
        | Transition::SpawnFailed { worker, next }
        | Transition::Stopped { worker, next } => Some((worker, next)),
        Transition::Ready(_)
        | Transition::NeverReady(_)
        | Transition::Hung(_)
        | Transition::Replacing(_)
        | Transition::GraceOver(_) => None,
    }
}
