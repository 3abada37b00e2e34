//! The laws: what must be true of every answer, of every settled state, and of every end, whatever the kernel does.
//!
//! Each is a function with a sentence; a new rule in the supervisor brings its own. They compare the supervisor's
//! actions and phases with the [`Record`] of what happened and with the kernel's own processes.
//!
//! Laws of one answer: `spawns.rs`, `signals.rs`, `reports.rs`, and `wishes.rs` for what follows when pm is asked to
//! stop. Laws of a settled state, when all that follows from an event is done: `settled.rs` for each slot,
//! `ordering.rs` across slots. Both: `spares.rs`, for the workers beside the current one, and `shared_spares.rs`. Laws
//! of a calm end and of a stopped run: `ends.rs`.

/// Pairs each law with its name.
macro_rules! laws {
    ($($law:ident),* $(,)?) => { &[$((stringify!($law), $law)),*] };
}

mod ends;
mod ordering;
mod reports;
mod settled;
mod shared_spares;
mod signals;
mod spares;
mod spawns;
mod wishes;

use std::time::{Duration, Instant};

use pm::supervisor::{Action, Event, Readiness, Slot, SlotId, Supervisor, TableSpec, WorkerId};

use crate::facts::Facts;
use crate::life::Life;
use crate::record::{Grant, Record, worker_of};

/// At most this many events follow from one.
const EVENTS_PER_EVENT_MAX: u32 = 100;

type Verdict = Result<(), String>;
type Law<F> = (&'static str, F);
type OfAnswer = fn(&Answer<'_>) -> Verdict;
type OfState = fn(&Settled<'_>) -> Verdict;

/// Which law was broken, and how.
#[derive(Debug)]
pub struct Broken {
    pub law: &'static str,
    pub how: String,
}

/// What the supervisor was told.
#[derive(Clone, Copy, Debug)]
pub enum Told<'a> {
    Event(Event),
    Plan(&'a TableSpec),
}

/// Something that the supervisor was told, and what it answered.
pub struct Answer<'a> {
    pub told: Told<'a>,
    pub now: Instant,
    pub actions: &'a [Action],
    pub slots_before: &'a [Slot],
    pub slots: &'a [Slot],
    /// Before it was told.
    pub before: &'a Record,
    /// After that, before the actions.
    pub after: &'a Record,
    /// True if the event must change nothing, and something in the supervisor has changed.
    pub is_changed: bool,
}

/// The state when all that followed from one event is done. At the end of a part of the run and after a new plan there
/// is no event.
pub struct Settled<'a> {
    pub event: Option<Event>,
    pub now: Instant,
    pub supervisor: &'a Supervisor,
    pub record: &'a Record,
    /// The worker of each group of processes that the kernel has.
    pub groups: Vec<WorkerId>,
}

pub fn check_answer(answer: &Answer) -> Result<(), Broken> {
    check(spawns::OF_SPAWNS, answer)?;
    check(signals::OF_SIGNALS, answer)?;
    check(spares::OF_ANSWERS, answer)?;
    check(shared_spares::OF_ANSWERS, answer)?;
    check(reports::OF_REPORTS, answer)?;
    check(wishes::OF_WISHES, answer)
}

pub fn check_settled(settled: &Settled) -> Result<(), Broken> {
    check(settled::OF_SLOTS, settled)?;
    check(spares::OF_SLOTS, settled)?;
    check(shared_spares::OF_POOLS, settled)?;
    check(ordering::OF_ORDERING, settled)
}

pub fn check_calm(settled: &Settled) -> Result<(), Broken> {
    check(ends::OF_CALM, settled)
}

pub fn check_end(settled: &Settled) -> Result<(), Broken> {
    check(ends::OF_STOPPED, settled)
}

/// A wakeup ends: a spawn that fails is not tried again without a limit.
pub fn check_bound(events: u32) -> Result<(), Broken> {
    let bounded = ensure(events <= EVENTS_PER_EVENT_MAX, || format!("{events} events from one"));
    bounded.map_err(|how| Broken { law: "a_wakeup_ends", how })
}

/// True for an event that must change nothing: a late one, or a wish that is not granted or comes when the run is over.
pub fn changes_nothing(event: Event, record: &Record, now: Instant) -> bool {
    let is_ignored = match event {
        Event::Asked(wish) => matches!(record.grant(wish, now), Grant::Nothing | Grant::Leave),
        _ => false,
    };
    is_ignored || is_late(event, record)
}

/// True for an event about a worker that is not there any more and is not the latest of its slot, or about a slot that
/// is not in the table.
pub fn is_late(event: Event, record: &Record) -> bool {
    match worker_of(event) {
        Some(worker) => !record.is_latest(worker) && record.other_life(worker).is_none(),
        None => event.slot().is_some_and(|slot| record.of(slot).is_none()),
    }
}

fn check<T>(laws: &[Law<impl Fn(&T) -> Verdict>], subject: &T) -> Result<(), Broken> {
    laws.iter().try_for_each(|(law, holds)| holds(subject).map_err(|how| Broken { law, how }))
}

fn ensure(holds: bool, how: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(how()) }
}

fn forbid(happened: bool, how: impl FnOnce() -> String) -> Verdict {
    ensure(!happened, how)
}

fn broken(how: impl Into<String>) -> Verdict {
    Err(how.into())
}

/// The longest wait for this backoff: up to a tenth is added, so that slots do not start together.
pub fn longest(backoff: Duration) -> Duration {
    backoff + backoff / 10 + Duration::from_nanos(u64::from(!backoff.is_zero()))
}

impl Answer<'_> {
    fn event(&self) -> Option<Event> {
        match self.told {
            Told::Event(event) => Some(event),
            Told::Plan(_) => None,
        }
    }

    fn is(&self, event: Event) -> bool {
        self.event() == Some(event)
    }

    /// What the wish must lead to, if the event is one.
    fn grant(&self) -> Option<Grant> {
        match self.event() {
            Some(Event::Asked(wish)) => Some(self.before.grant(wish, self.now)),
            _ => None,
        }
    }

    /// The worker that the event is about.
    fn worker(&self) -> Option<WorkerId> {
        self.event().and_then(worker_of)
    }

    fn spawns(&self, slot: SlotId) -> bool {
        self.actions.iter().any(|action| match action {
            Action::Spawn { worker, .. } | Action::Admit(worker) => worker.slot == slot,
            _ => false,
        })
    }

    /// The law gets the new worker of an empty slot and the facts of that slot. It may have been the spare.
    fn each_spawn(&self, law: impl Fn(WorkerId, &Facts) -> Verdict) -> Verdict {
        self.actions.iter().try_for_each(|action| match action {
            Action::Spawn { worker, .. } | Action::Admit(worker) => {
                match self.after.of(worker.slot) {
                    // Its ready worker retires: a law of spares.
                    Some(facts) if matches!(action, Action::Admit(_)) && facts.life.is_some() => {
                        Ok(())
                    }
                    Some(facts) => law(*worker, facts),
                    None => broken(format!("{worker:?}: there is no such slot")),
                }
            }
            _ => Ok(()),
        })
    }

    /// The law gets the worker, its life if it has one, the facts of its slot, and whether the signal is SIGKILL.
    fn each_signal(
        &self,
        law: impl Fn(WorkerId, Option<&Life>, &Facts, bool) -> Verdict,
    ) -> Verdict {
        self.actions.iter().try_for_each(|action| match action {
            Action::Terminate(worker) | Action::Kill(worker) => {
                let kill = matches!(action, Action::Kill(_));
                if self.is_of_other(*worker) {
                    return Ok(());
                }
                match self.after.of(worker.slot) {
                    Some(facts) => law(*worker, self.after.life(*worker), facts, kill),
                    None => broken(format!("{worker:?}: there is no such slot")),
                }
            }
            _ => Ok(()),
        })
    }

    /// What this worker was known by before, if it was a spare of another slot.
    fn name_before(&self, worker: WorkerId) -> WorkerId {
        let moved = self.actions.iter().find_map(|action| match action {
            Action::Move { from, to, .. } if *to == worker => Some(*from),
            _ => None,
        });
        moved.unwrap_or(worker)
    }

    /// True if this is not the current worker of its slot.
    fn is_of_other(&self, worker: WorkerId) -> bool {
        let retires = |action: &Action| match action {
            Action::Admit(next) => next.slot == worker.slot && next.generation > worker.generation,
            _ => false,
        };
        self.after.other_life(worker).is_some() || self.actions.iter().any(retires)
    }

    /// True if it was ready, or is alive and has lived long enough by now.
    fn had_been_ready(&self, life: &Life) -> bool {
        let policy = self.before.of(life.worker.slot).map(|facts| facts.policy);
        let long_enough = match policy.map(|policy| policy.ready) {
            Some(Readiness::Lived { after }) => life.has_lived(after, self.now),
            Some(Readiness::Probe { .. }) | None => false,
        };
        life.was_ready() || (life.is_starting() && long_enough)
    }
}
