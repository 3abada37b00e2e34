//! The laws: what must be true of every answer, of every settled state, and of every end, whatever the kernel does.
//!
//! Each is a function with a sentence; a new rule in the supervisor brings its own. They compare the supervisor's
//! actions and phases with the [`Record`] of what happened and with the kernel's own processes.
//!
//! `answers.rs` has the laws of single answers, `settled.rs` those of states and ends.

/// Pairs each law with its name.
macro_rules! laws {
    ($($law:ident),* $(,)?) => { &[$((stringify!($law), $law)),*] };
}

mod answers;
mod settled;

use std::time::{Duration, Instant};

use pm::supervisor::{Action, Event, Slot, Supervisor, WorkerId};

use crate::kernel::Kernel;
use crate::record::Record;

/// No event needs more handling than this.
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

/// One event and what the supervisor answered.
pub struct Answer<'a> {
    pub event: Event,
    pub now: Instant,
    pub actions: &'a [Action],
    pub slots_before: &'a [Slot],
    pub slots: &'a [Slot],
    /// Before the event.
    pub before: &'a Record,
    /// After the event, before the actions.
    pub after: &'a Record,
    /// True if the event was late and yet something in the supervisor is not as it was.
    pub changed: bool,
}

/// The world when all that followed from one event is done; at the end of a phase there is none.
pub struct Settled<'a> {
    pub event: Option<Event>,
    pub now: Instant,
    pub supervisor: &'a Supervisor,
    pub record: &'a Record,
    pub kernel: &'a Kernel,
}

pub fn check_answer(answer: &Answer) -> Result<(), Broken> {
    check(answers::OF_ANSWERS, answer)
}

pub fn check_settled(settled: &Settled) -> Result<(), Broken> {
    check(settled::OF_SETTLED_STATES, settled)
}

pub fn check_kindness(settled: &Settled) -> Result<(), Broken> {
    check(settled::OF_KINDNESS, settled)
}

pub fn check_end(settled: &Settled) -> Result<(), Broken> {
    check(settled::OF_THE_END, settled)
}

/// What follows from one event comes to an end: a spawn that fails is not tried again for ever in one wakeup.
pub fn check_bound(events: u32) -> Result<(), Broken> {
    let bounded = ensure(events <= EVENTS_PER_EVENT_MAX, || format!("{events} events from one"));
    bounded.map_err(|how| Broken { law: "a_wakeup_comes_to_an_end", how })
}

/// True for news of a worker that is no longer the latest of its slot.
pub fn is_late(event: Event, record: &Record) -> bool {
    worker_of(event).is_some_and(|worker| !record.is_latest(worker))
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

/// The longest that a rest may be: up to a tenth is added so that slots do not come back together.
fn most(rest: Duration) -> Duration {
    rest + rest / 10 + Duration::from_nanos(u64::from(!rest.is_zero()))
}

fn worker_of(event: Event) -> Option<WorkerId> {
    match event {
        Event::Ready(worker)
        | Event::Spawned(worker)
        | Event::Unspawned(worker)
        | Event::Exited { worker, .. }
        | Event::Emptied(worker) => Some(worker),
        Event::Start(_) | Event::Stop(_) | Event::Shutdown | Event::Kill | Event::Tick => None,
    }
}
