//! What people are told, and when. The sentences themselves are in [`super::words`].

use std::time::Duration;

use super::Reactor;
use super::delays::Delay;
use super::words::{self, Subject};
use crate::supervisor::{News, Phase, Readiness, WorkerId};
use crate::sys::{Caught, SpawnError};

impl Reactor {
    /// Passes on the supervisor's news.
    pub(super) fn tell(&mut self, news: News) {
        let line = match news {
            News::Ready(worker) => {
                let age = self.now.saturating_duration_since(self.place(worker).spawned_at);
                self.subject(worker, age).is_ready(self.children.pid(worker))
            }
            News::Crashed { worker, exit, next } => {
                self.hear_out(worker);
                self.last_seen(worker).crashed(exit, next)
            }
            News::FailedStart { worker, exit, next } => {
                self.hear_out(worker);
                self.last_seen(worker).failed_to_start(exit, next)
            }
            News::Unspawned { worker, next } => {
                let place = self.place(worker);
                let Some(refusal) = place.refusal.as_ref().filter(|refusal| !refusal.is_known)
                else {
                    return;
                };
                let subject = self.last_seen(worker);
                match &refusal.error {
                    held @ SpawnError::PortHeld { .. } => {
                        let policy = self.supervisor.slot(worker.slot).policy();
                        subject.is_shut_out(held, self.takes_over, policy.rest.max)
                    }
                    missing @ (SpawnError::NotFound { .. } | SpawnError::Wrapper { .. }) => {
                        subject.cannot_start(missing, place.missing_hint.as_deref(), next)
                    }
                    other => subject.cannot_start(other, None, next),
                }
            }
            News::NeverReady(worker) => {
                let ready = self.supervisor.slot(worker.slot).policy().ready;
                let (Readiness::Probe { within: wait } | Readiness::Lived { after: wait }) = ready;
                self.last_seen(worker).was_never_ready(wait)
            }
            News::Stopped { worker, next } => {
                self.hear_out(worker);
                self.last_seen(worker).is_gone(next)
            }
            News::GraceOver(worker) => {
                let grace = self.supervisor.slot(worker.slot).policy().grace;
                let members = self.children.members(worker);
                self.last_seen(worker).outlived_the_grace(grace, &members)
            }
        };
        self.console.say(&line, self.now);
    }

    /// The first line of a run.
    pub(super) fn tell_start(&mut self) {
        let names: Vec<_> = self.places.iter().map(|place| place.name.as_str()).collect();
        let ports: Vec<_> = self.places.iter().filter_map(|place| place.port).collect();
        self.console.say(&words::greeting(&names, &ports), self.now);
    }

    /// A signal asks for an end, with or without the grace.
    pub(super) fn tell_stop(&mut self, signal: Caught, is_kill: bool) {
        let has_worker = |phase| match phase {
            Phase::Starting { .. } | Phase::Ready { .. } => true,
            Phase::Stopping { .. } | Phase::Killing { .. } => true,
            Phase::Idle | Phase::Resting { .. } | Phase::GivenUp => false,
        };
        let slots = self.supervisor.slots().iter().filter(|slot| has_worker(slot.phase()));
        let workers = slots.clone().count();
        let grace = slots.map(|slot| slot.policy().grace).max().unwrap_or_default();
        let line = match is_kill || grace.is_zero() {
            _ if workers == 0 => words::leaving(signal),
            true => words::killing(signal, workers),
            false => words::stopping(signal, workers, grace),
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
        let (name, port, generation) = (place.name.as_str(), place.port, worker.generation);
        Subject { name, port, generation, age }
    }

    fn place(&self, worker: WorkerId) -> &super::Place {
        &self.places[worker.slot.0]
    }
}
