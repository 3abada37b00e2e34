//! The probes: is a new worker ready yet, does a ready one still answer?
//!
//! A slot has at most one probe: until its worker is ready, or from then on. It asks, waits, and asks again, without
//! blocking, in the one poll loop. A probe command is a child like any other: the reactor starts it
//! ([`Finding::StartProbe`]), and the one reaper brings its end: [`command`].
//!
//! Nothing is decided here about a worker: a [`Finding`] becomes an event for the supervisor. [`super::attempt`] is one
//! probe of a port, [`super::http`] the judgement of an answer.

mod command;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use mio::Token;

use super::aim::{Aim, Concluded, Purpose, share};
use super::attempt::{Attempt, Progress};
use super::claim::{Claim, Searches};
use crate::plan::{Alive, AliveBy, Probe};
use crate::reactor::report::ProbeFailure;
use crate::reactor::tokens::{Registrar, Source};
use crate::supervisor::{SlotId, WorkerId};
use crate::sys::ProbeId;

/// Between two probes of a worker that is not ready: short for a new one, longer for a slow one, and longer still where
/// many are probed, so that the cost stays low.
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(250);
const PAUSE_PART_OF_AGE: u32 = 8;
const MANY: usize = 20;
const PAUSE_PER_PROBE: Duration = Duration::from_millis(2);

/// Probes start on a grid of this, or of this part of their pause if that is finer, so that one wakeup serves several.
const GRID_MAX: Duration = Duration::from_millis(25);
const GRID_PART_OF_PAUSE: u32 = 8;

/// The probes of all slots.
#[derive(Debug)]
pub struct Probes {
    /// Where the grid begins.
    epoch: Instant,
    probes: BTreeMap<SlotId, Probing>,
    /// When each has something to do.
    due: BTreeSet<(Instant, SlotId)>,
    /// Those whose connection the poll has reported.
    woken: Vec<SlotId>,
    /// The slot of each probe command that runs.
    running: BTreeMap<ProbeId, SlotId>,
    searches: Searches,
    /// Those that have come to an end since they were taken last.
    concluded: Vec<Concluded>,
}

/// The probe of one slot.
#[derive(Debug)]
struct Probing {
    worker: WorkerId,
    aim: Aim,
    state: State,
    /// Of its connections.
    token: Token,
    /// Its entry in `due`.
    at: Option<Instant>,
    /// When the last probe began.
    asked_at: Instant,
    last_failure: Option<ProbeFailure>,
}

#[derive(Debug)]
enum State {
    /// Until the next probe.
    Waiting,
    Connecting(Attempt),
    /// The reactor was asked to start the command.
    Starting,
    /// The command runs.
    Running(ProbeId),
    /// The command took too long, which is counted, was killed, and is not reaped yet.
    Killed(ProbeId),
}

/// What comes of a probe.
#[derive(Debug, PartialEq)]
pub enum Finding {
    Ready(WorkerId),
    Hung(WorkerId, ProbeFailure),
    /// The probe command is to be started: [`Probes::on_started`] or [`Probes::on_start_failed`] follows.
    StartProbe(WorkerId, Purpose),
    /// The probe command took too long and is to be killed.
    KillProbe(ProbeId),
    /// The worker is ready, and its probe cannot be started. Found once, until a probe can.
    NotWatched(WorkerId, ProbeFailure),
}

impl Probing {
    /// For how long the probe under way has been asked.
    fn waited(&self, now: Instant) -> Option<Duration> {
        let left = self.at?.saturating_duration_since(now);
        Some(self.aim.patience().saturating_sub(left))
    }
}

impl Probes {
    pub fn new(now: Instant) -> Self {
        Self {
            epoch: now,
            probes: BTreeMap::new(),
            due: BTreeSet::new(),
            woken: Vec::new(),
            running: BTreeMap::new(),
            searches: Searches::default(),
            concluded: Vec::new(),
        }
    }

    /// Probes a worker that has just been spawned until it is ready; `claim` as in [`Aim::Ready`].
    pub fn await_ready(
        &mut self,
        worker: WorkerId,
        probe: Probe,
        claim: Option<Claim>,
        now: Instant,
        registrar: &mut Registrar<'_>,
    ) {
        // Nothing listens in the first moments.
        let first = now + PAUSE_MIN;
        self.begin(worker, Aim::Ready { probe, began: now, claim }, first, registrar);
    }

    /// Probes a ready worker until it hangs.
    pub fn keep_alive(
        &mut self,
        worker: WorkerId,
        alive: Alive,
        now: Instant,
        registrar: &mut Registrar<'_>,
    ) {
        let first = match alive.by {
            // Workers that became ready together are not probed together.
            AliveBy::Probe(_) => {
                self.on_grid(now + alive.every.mul_f64(share(worker.slot)), alive.every)
            }
            AliveBy::Notify => now + alive.every,
        };
        self.begin(worker, Aim::Alive { alive, failures: 0 }, first, registrar);
    }

    /// Ends the probe of this worker, if there is one. Returns the command that runs and is to be killed.
    pub fn stop(&mut self, worker: WorkerId, registrar: &mut Registrar<'_>) -> Option<ProbeId> {
        self.of(worker)?;
        let probing = self.end(worker.slot, registrar)?;
        match probing.state {
            State::Running(probe) => Some(probe),
            State::Waiting | State::Connecting(_) | State::Starting | State::Killed(_) => None,
        }
    }

    /// The worker notified that it is alive: the next notification is due after `every`.
    pub fn on_alive(&mut self, worker: WorkerId, now: Instant) {
        if let Some(probing) = self.of(worker)
            && let Aim::Alive { alive: Alive { by: AliveBy::Notify, every, .. }, .. } = &probing.aim
        {
            let at = now + *every;
            self.schedule(worker.slot, Some(at));
        }
    }

    /// Why the last probe of this worker failed, or that the one under way has no answer for a while.
    pub fn last_failure(&self, worker: WorkerId, now: Instant) -> Option<ProbeFailure> {
        let probing = self.of(worker)?;
        let waited = match (&probing.state, &probing.last_failure) {
            // It has waited for longer than this one by now.
            (_, Some(ProbeFailure::NoAnswer(_))) => None,
            (State::Connecting(_) | State::Running(_), _) => probing.waited(now),
            (State::Waiting | State::Starting | State::Killed(_), _) => None,
        };
        let waited = waited.filter(|waited| *waited >= PAUSE_MAX);
        waited.map(ProbeFailure::NoAnswerYet).or_else(|| probing.last_failure.clone())
    }

    /// The poll has reported the connection of this slot.
    pub fn wake(&mut self, slot: SlotId) {
        self.woken.push(slot);
    }

    /// Takes the probes that have come to an end.
    pub fn take_concluded(&mut self) -> Vec<Concluded> {
        std::mem::take(&mut self.concluded)
    }

    /// When there is something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Goes on with what the poll has reported. Call it until it returns `None`.
    pub fn advance(&mut self, now: Instant, registrar: &mut Registrar<'_>) -> Option<Finding> {
        while let Some(slot) = self.woken.pop() {
            if let Some(finding) = self.step(slot, now, registrar) {
                return Some(finding);
            }
        }
        None
    }

    /// Goes on with what is due. Call it until it returns `None`.
    pub fn judge(&mut self, now: Instant, registrar: &mut Registrar<'_>) -> Option<Finding> {
        while let Some((_, slot)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            if let Some(finding) = self.step(slot, now, registrar) {
                return Some(finding);
            }
        }
        None
    }

    /// The slots whose worker is to notify that it is alive and has not done so in time, as far as is read.
    pub fn silent(&self, now: Instant) -> Vec<SlotId> {
        let due = self.due.range(..=(now, SlotId(usize::MAX))).map(|(_, slot)| *slot);
        due.filter(|slot| self.probes[slot].aim.probe().is_none()).collect()
    }

    /// Goes on with one slot. What was due is not due any more.
    fn step(
        &mut self,
        slot: SlotId,
        now: Instant,
        registrar: &mut Registrar<'_>,
    ) -> Option<Finding> {
        let probing = self.probes.get_mut(&slot)?;
        let is_due = probing.at.is_some_and(|at| at <= now);
        let patience = probing.aim.patience();
        match std::mem::replace(&mut probing.state, State::Waiting) {
            // A late event about a connection that is closed by now.
            State::Waiting if !is_due => None,
            State::Waiting => self.ask(slot, now, registrar),
            State::Connecting(attempt) => match attempt.advance(registrar) {
                Progress::Pending(_) if is_due => {
                    let failure = ProbeFailure::NoAnswer(patience);
                    self.conclude(slot, Err(failure), now, registrar)
                }
                Progress::Pending(attempt) => {
                    probing.state = State::Connecting(attempt);
                    None
                }
                Progress::Passed => self.conclude(slot, Ok(()), now, registrar),
                Progress::Failed(failure) => self.conclude(slot, Err(failure), now, registrar),
            },
            State::Running(probe) if is_due => {
                // It stays due.
                probing.state = State::Killed(probe);
                Some(Finding::KillProbe(probe))
            }
            State::Killed(probe) if is_due => self.give_up(slot, probe, now, registrar),
            same @ (State::Starting | State::Running(_) | State::Killed(_)) => {
                probing.state = same;
                None
            }
        }
    }

    /// The next probe of a slot begins; or no notification has come in time.
    fn ask(
        &mut self,
        slot: SlotId,
        now: Instant,
        registrar: &mut Registrar<'_>,
    ) -> Option<Finding> {
        let probing = self.probes.get_mut(&slot)?;
        let worker = probing.worker;
        let patience = probing.aim.patience();
        let purpose = probing.aim.purpose();
        let Some(probe) = probing.aim.probe() else {
            self.end(slot, registrar);
            return Some(Finding::Hung(worker, ProbeFailure::Silent(patience)));
        };
        probing.asked_at = now;
        match Attempt::begin(probe, registrar, probing.token) {
            None => {
                probing.state = State::Starting;
                self.schedule(slot, Some(now + patience));
                Some(Finding::StartProbe(worker, purpose))
            }
            Some(Progress::Pending(attempt)) => {
                probing.state = State::Connecting(attempt);
                self.schedule(slot, Some(now + patience));
                None
            }
            Some(Progress::Passed) => self.conclude(slot, Ok(()), now, registrar),
            Some(Progress::Failed(failure)) => self.conclude(slot, Err(failure), now, registrar),
        }
    }

    /// A probe is over: what follows from it, and when the next one is due.
    fn conclude(
        &mut self,
        slot: SlotId,
        result: Result<(), ProbeFailure>,
        now: Instant,
        registrar: &mut Registrar<'_>,
    ) -> Option<Finding> {
        let more = self.probes.len().saturating_sub(MANY);
        let pause_min = PAUSE_MIN.max(PAUSE_PER_PROBE * u32::try_from(more).unwrap_or(u32::MAX));
        let probing = self.probes.get_mut(&slot)?;
        let worker = probing.worker;
        probing.state = State::Waiting;
        let result = result.and_then(|()| match &mut probing.aim {
            Aim::Ready { claim: Some(claim), .. } => claim.judge(now, &mut self.searches),
            Aim::Ready { claim: None, .. } | Aim::Alive { .. } => Ok(()),
        });
        self.concluded.push(Concluded {
            slot,
            purpose: probing.aim.purpose(),
            took: now.saturating_duration_since(probing.asked_at),
            has_passed: result.is_ok(),
        });
        let mut unwatched = None;
        let pause = match (&mut probing.aim, result) {
            (Aim::Ready { .. }, Ok(())) => {
                self.end(slot, registrar);
                return Some(Finding::Ready(worker));
            }
            (Aim::Ready { began, .. }, Err(failure)) => {
                probing.last_failure = Some(failure);
                let age = now.saturating_duration_since(*began);
                (age / PAUSE_PART_OF_AGE).min(PAUSE_MAX).max(pause_min)
            }
            (Aim::Alive { alive, failures }, Ok(())) => {
                *failures = 0;
                probing.last_failure = None;
                alive.every
            }
            (Aim::Alive { alive, failures }, Err(failure)) => {
                *failures += u32::from(failure.is_of_worker());
                if *failures >= alive.failures.get() {
                    self.end(slot, registrar);
                    return Some(Finding::Hung(worker, failure));
                }
                let before = probing.last_failure.replace(failure.clone());
                if before.as_ref() != Some(&failure) && !failure.has_asked() {
                    unwatched = Some(Finding::NotWatched(worker, failure));
                }
                alive.every
            }
        };
        let next = self.on_grid(now + pause, pause);
        self.schedule(slot, Some(next));
        unwatched
    }

    /// The next moment of the grid.
    fn on_grid(&self, at: Instant, pause: Duration) -> Instant {
        let grid = GRID_MAX.min(pause / GRID_PART_OF_PAUSE).as_nanos().max(1);
        let past = at.saturating_duration_since(self.epoch).as_nanos() % grid;
        at + Duration::from_nanos(u64::try_from((grid - past) % grid).unwrap_or(0))
    }

    /// The probe of the slot, if it is this worker's.
    fn of(&self, worker: WorkerId) -> Option<&Probing> {
        self.probes.get(&worker.slot).filter(|probing| probing.worker == worker)
    }

    fn begin(&mut self, worker: WorkerId, aim: Aim, at: Instant, registrar: &mut Registrar<'_>) {
        self.end(worker.slot, registrar);
        let token = registrar.reserve(Source::Probe(worker.slot));
        let (state, asked_at) = (State::Waiting, at);
        let probing = Probing { worker, aim, state, token, at: None, asked_at, last_failure: None };
        self.probes.insert(worker.slot, probing);
        self.schedule(worker.slot, Some(at));
    }

    fn end(&mut self, slot: SlotId, registrar: &mut Registrar<'_>) -> Option<Probing> {
        self.schedule(slot, None);
        let probing = self.probes.remove(&slot)?;
        registrar.release(probing.token);
        match probing.state {
            State::Running(probe) | State::Killed(probe) => drop(self.running.remove(&probe)),
            State::Waiting | State::Connecting(_) | State::Starting => {}
        }
        Some(probing)
    }

    fn schedule(&mut self, slot: SlotId, at: Option<Instant>) {
        if let Some(probing) = self.probes.get_mut(&slot) {
            if let Some(before) = std::mem::replace(&mut probing.at, at) {
                self.due.remove(&(before, slot));
            }
            self.due.extend(at.map(|at| (at, slot)));
        }
    }
}

#[cfg(test)]
mod tests;
