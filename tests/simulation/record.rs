//! What an observer knows: commands, births, signals and deaths, kept apart from the supervisor's own view.
//!
//! The laws compare the two. Nothing here is asked of the supervisor under test; only its actions are noted, when
//! they have been carried out.

use std::time::{Duration, Instant};

use pm::supervisor::{
    Action, Event, Exit, Outcome, Policy, Readiness, Remains, Restart, SlotId, WorkerId,
};

#[derive(Clone)]
pub struct Record {
    pub slots: Vec<Facts>,
    /// Shutdown or Kill was commanded.
    pub draining: bool,
    /// Kill was commanded.
    pub killing: bool,
    pub finished: Vec<Outcome>,
    /// The first exit that was not a success among those that ended their slot.
    pub first_failure: Option<Exit>,
}

/// What is known of one slot.
#[derive(Clone)]
pub struct Facts {
    pub policy: Policy,
    pub wish: Wish,
    /// The worker that fills it, from its spawn until its group is empty.
    pub life: Option<Life>,
    pub generation: u64,
    /// Failed starts in a row.
    pub failed_starts: u32,
    pub empty_since: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    Up,
    Down,
    /// It ended by itself and its policy wants no other.
    Ended,
}

#[derive(Clone, Debug)]
pub struct Life {
    pub worker: WorkerId,
    pub born: Instant,
    pub ready: bool,
    /// Its leader is not known to be dead.
    pub led: bool,
    /// When the first stop signal was sent.
    pub asked: Option<Instant>,
    /// When SIGKILL was last sent, by command, by grace or as a sweep.
    pub killed: Option<Instant>,
}

/// What an empty slot is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    Nobody,
    GivenUp,
    /// The next worker, not before this much rest, and not later than a tenth more.
    Worker {
        rest: Duration,
    },
}

impl Record {
    pub fn new(policies: &[Policy], now: Instant) -> Self {
        Self {
            slots: policies.iter().map(|policy| Facts::new(policy.clone(), now)).collect(),
            draining: false,
            killing: false,
            finished: Vec::new(),
            first_failure: None,
        }
    }

    pub fn of(&self, slot: SlotId) -> &Facts {
        &self.slots[slot.0]
    }

    /// True if this is the latest worker of its slot.
    pub fn is_latest(&self, worker: WorkerId) -> bool {
        self.of(worker.slot).generation == worker.generation
    }

    /// The life of this very worker, while it lasts.
    pub fn life(&self, worker: WorkerId) -> Option<&Life> {
        self.of(worker.slot).life.as_ref().filter(|life| life.worker == worker)
    }

    /// True if nothing is left to do.
    pub fn is_over(&self) -> bool {
        let ended = |facts: &Facts| facts.wish == Wish::Ended || facts.due() == Due::GivenUp;
        let empty = self.slots.iter().all(|facts| facts.life.is_none());
        let all_ended = !self.slots.is_empty() && self.slots.iter().all(ended);
        empty && (self.draining || all_ended)
    }

    /// The outcome that a run which is over must have.
    pub fn outcome(&self) -> Outcome {
        if self.draining {
            Outcome::Stopped
        } else if self.slots.iter().any(|facts| facts.due() == Due::GivenUp) {
            Outcome::GaveUp
        } else {
            Outcome::Ended(self.first_failure)
        }
    }

    /// Notes what happened, before the answer to it is carried out.
    pub fn happened(&mut self, event: Event, now: Instant) {
        match event {
            Event::Start(slot) => {
                if !self.draining && self.finished.is_empty() {
                    self.slots[slot.0].start(now);
                }
            }
            Event::Stop(slot) => self.slots[slot.0].wish = Wish::Down,
            Event::Shutdown | Event::Kill => {
                self.draining = true;
                self.killing |= event == Event::Kill;
                self.slots.iter_mut().for_each(|facts| facts.wish = Wish::Down);
            }
            Event::Ready(worker) if self.life(worker).is_some() => {
                self.slots[worker.slot.0].said_to_serve();
            }
            Event::Spawned(worker) if self.life(worker).is_some() => {
                if self.of(worker.slot).is_born_ready() {
                    self.slots[worker.slot.0].said_to_serve();
                }
            }
            Event::Unspawned(worker) if self.is_latest(worker) => {
                self.slots[worker.slot.0].failed_starts += 1;
                self.slots[worker.slot.0].empty_since = now;
            }
            Event::Exited { worker, exit, remains } if self.life(worker).is_some() => {
                self.slots[worker.slot.0].time_passed(now);
                if self.slots[worker.slot.0].leader_died(exit, now) && !exit.is_success() {
                    self.first_failure.get_or_insert(exit);
                }
                if remains == Remains::Nothing {
                    self.slots[worker.slot.0].emptied(now);
                }
            }
            Event::Emptied(worker) if self.life(worker).is_some() => {
                self.slots[worker.slot.0].emptied(now);
            }
            Event::Ready(_) | Event::Spawned(_) | Event::Unspawned(_) => {}
            Event::Exited { .. } | Event::Emptied(_) => {}
            Event::Tick => self.slots.iter_mut().for_each(|facts| facts.time_passed(now)),
        }
    }

    /// Notes what was done. `spawned` tells whether a spawn succeeded.
    pub fn done(&mut self, action: Action, spawned: bool, now: Instant) {
        match action {
            Action::Spawn(worker) => self.slots[worker.slot.0].spawned(worker, spawned, now),
            Action::Terminate(worker) => self.slots[worker.slot.0].signalled(false, now),
            Action::Kill(worker) => self.slots[worker.slot.0].signalled(true, now),
            Action::Finish(outcome) => self.finished.push(outcome),
            Action::Tell(_) => {}
        }
    }
}

impl Facts {
    fn new(policy: Policy, now: Instant) -> Self {
        let (wish, life) = (Wish::Down, None);
        Self { policy, wish, life, generation: 0, failed_starts: 0, empty_since: now }
    }

    /// What comes next, once the slot is empty.
    pub fn due(&self) -> Due {
        let rest = &self.policy.rest;
        let most = match self.policy.restart {
            Restart::Never => 1,
            Restart::Always | Restart::OnFailure => {
                rest.give_up_after.map_or(u32::MAX, |most| most.get())
            }
        };
        if self.wish != Wish::Up {
            Due::Nobody
        } else if self.failed_starts >= most {
            Due::GivenUp
        } else {
            let doublings = self.failed_starts.saturating_sub(2).min(20);
            let wait = (rest.first * 2_u32.pow(doublings)).min(rest.max);
            Due::Worker { rest: if self.failed_starts < 2 { Duration::ZERO } else { wait } }
        }
    }

    /// True if a worker serves as soon as it has exec'd.
    pub fn is_born_ready(&self) -> bool {
        self.policy.ready == Readiness::Lived { after: Duration::ZERO }
    }

    pub fn has_probe(&self) -> bool {
        matches!(self.policy.ready, Readiness::Probe { .. })
    }

    /// True if the time to become ready is over at `now`, and it did not.
    pub fn missed_ready(&self, now: Instant) -> bool {
        let Readiness::Probe { within } = self.policy.ready else { return false };
        self.life.as_ref().is_some_and(|life| life.is_unready() && now >= life.born + within)
    }

    /// Somebody asks for it: what went before no longer counts, unless it is on its way up already.
    fn start(&mut self, now: Instant) {
        let given_up = self.life.is_none() && self.due() == Due::GivenUp;
        if self.wish != Wish::Up || given_up {
            self.failed_starts = 0;
            self.empty_since = now;
        }
        self.wish = Wish::Up;
    }

    fn said_to_serve(&mut self) {
        if let Some(life) = self.life.as_mut().filter(|life| life.is_unready()) {
            life.ready = true;
            self.failed_starts = 0;
        }
    }

    fn time_passed(&mut self, now: Instant) {
        let Readiness::Lived { after } = self.policy.ready else { return };
        if self.life.as_ref().is_some_and(|life| now >= life.born + after) {
            self.said_to_serve();
        }
    }

    /// True if this was the end of the slot too.
    fn leader_died(&mut self, exit: Exit, now: Instant) -> bool {
        let Some(life) = &mut self.life else { return false };
        life.led = false;
        if life.asked.is_some() || life.killed.is_some() {
            return false;
        }
        life.killed = Some(now);
        self.failed_starts += u32::from(!life.ready);
        let ended = match self.policy.restart {
            Restart::Always => false,
            Restart::OnFailure => exit == Exit::Code(0),
            Restart::Never => true,
        };
        if ended {
            self.wish = Wish::Ended;
        }
        ended
    }

    fn emptied(&mut self, now: Instant) {
        self.life = None;
        self.empty_since = now;
    }

    fn spawned(&mut self, worker: WorkerId, succeeded: bool, now: Instant) {
        self.generation = worker.generation;
        if succeeded {
            let (asked, killed, led) = (None, None, true);
            self.life = Some(Life { worker, born: now, ready: false, led, asked, killed });
        }
    }

    /// A signal to one who is wanted up can only mean that its start took too long.
    fn signalled(&mut self, kill: bool, now: Instant) {
        let Some(life) = &mut self.life else { return };
        if life.is_unready() && self.wish == Wish::Up {
            self.failed_starts += 1;
        }
        if life.killed.is_none() {
            life.asked.get_or_insert(now);
        }
        if kill {
            life.killed = Some(now);
        }
    }
}

impl Life {
    /// Alive, not told to go, and nothing says yet that it serves.
    pub fn is_unready(&self) -> bool {
        self.is_undisturbed() && !self.ready
    }

    /// Alive and not told to go.
    pub fn is_undisturbed(&self) -> bool {
        self.led && self.asked.is_none() && self.killed.is_none()
    }
}
