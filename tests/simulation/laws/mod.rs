//! The laws: what must be true of every answer, of every settled state, and of every end, whatever the kernel does.
//!
//! Each is a function with a sentence; a new rule in the supervisor brings its own. They compare the supervisor's
//! actions and phases with the [`Record`] of what happened and with the kernel's own processes.
//!
//! Of single answers: `spawns.rs` has who is spawned, `signals.rs` who is signalled, `sayings.rs` what is said. Of
//! states when all is done: `settled.rs` has those of one slot, `turns.rs` those of several, `ends.rs` those of the two
//! ends.

/// Pairs each law with its name.
macro_rules! laws {
    ($($law:ident),* $(,)?) => { &[$((stringify!($law), $law)),*] };
}

mod ends;
mod sayings;
mod settled;
mod signals;
mod spawns;
mod turns;

use std::time::{Duration, Instant};

use pm::supervisor::{
    Action, Event, Readiness, Slot, SlotId, Supervisor, TableSpec, Transition, WorkerId,
};

use crate::facts::Facts;
use crate::life::Life;
use crate::record::{Record, worker_of};

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
    /// True if the event was late and yet something in the supervisor is not as it was.
    pub changed: bool,
}

/// The world when all that followed from one event is done; at the end of a phase and after a new plan there is none.
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
    check(sayings::OF_SAYINGS, answer)
}

pub fn check_settled(settled: &Settled) -> Result<(), Broken> {
    check(settled::OF_SLOTS, settled)?;
    check(turns::OF_TURNS, settled)
}

pub fn check_kindness(settled: &Settled) -> Result<(), Broken> {
    check(ends::OF_KINDNESS, settled)
}

pub fn check_end(settled: &Settled) -> Result<(), Broken> {
    check(ends::OF_THE_END, settled)
}

/// What follows from one event comes to an end: a spawn that fails is not tried again for ever in one wakeup.
pub fn check_bound(events: u32) -> Result<(), Broken> {
    let bounded = ensure(events <= EVENTS_PER_EVENT_MAX, || format!("{events} events from one"));
    bounded.map_err(|how| Broken { law: "a_wakeup_comes_to_an_end", how })
}

/// True for news of a worker that is no longer the latest of its slot, and for what is about a slot that is not there.
pub fn is_late(event: Event, record: &Record) -> bool {
    match event {
        Event::Start(slot) | Event::Stop(slot) => record.of(slot).is_none(),
        _ => worker_of(event).is_some_and(|worker| !record.is_latest(worker)),
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

/// The longest that a rest may be: up to a tenth is added so that slots do not come back together.
fn most(rest: Duration) -> Duration {
    rest + rest / 10 + Duration::from_nanos(u64::from(!rest.is_zero()))
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

    /// The worker that this was news of.
    fn worker(&self) -> Option<WorkerId> {
        self.event().and_then(worker_of)
    }

    fn spawns(&self, slot: SlotId) -> bool {
        let spawn =
            |action: &Action| matches!(action, Action::Spawn(worker) if worker.slot == slot);
        self.actions.iter().any(spawn)
    }

    /// The law gets the worker to be and its slot's facts.
    fn each_spawn(&self, law: impl Fn(WorkerId, &Facts) -> Verdict) -> Verdict {
        self.actions.iter().try_for_each(|action| match action {
            Action::Spawn(worker) => match self.after.of(worker.slot) {
                Some(facts) => law(*worker, facts),
                None => broken(format!("{worker:?}: there is no such slot")),
            },
            _ => Ok(()),
        })
    }

    /// The law gets the worker, its life if it has one, its slot's facts, and whether the signal is SIGKILL.
    fn each_signal(
        &self,
        law: impl Fn(WorkerId, Option<&Life>, &Facts, bool) -> Verdict,
    ) -> Verdict {
        self.actions.iter().try_for_each(|action| match action {
            Action::Terminate(worker) | Action::Kill(worker) => {
                let kill = matches!(action, Action::Kill(_));
                match self.after.of(worker.slot) {
                    Some(facts) => law(*worker, self.after.life(*worker), facts, kill),
                    None => broken(format!("{worker:?}: there is no such slot")),
                }
            }
            _ => Ok(()),
        })
    }

    /// True if it was known to serve, or lives and has lived long enough by now.
    fn had_been_ready(&self, life: &Life) -> bool {
        let policy = self.before.of(life.worker.slot).map(|facts| facts.policy);
        let long_enough = match policy.map(|policy| policy.ready) {
            Some(Readiness::Lived { after }) => self.now >= life.born + after,
            Some(Readiness::Probe { .. }) | None => false,
        };
        life.ready || (life.is_unready() && long_enough)
    }
}

fn subject(news: Transition) -> WorkerId {
    match news {
        Transition::Ready(worker)
        | Transition::NeverReady(worker)
        | Transition::Hung(worker)
        | Transition::Replacing(worker)
        | Transition::GraceOver(worker)
        | Transition::Crashed { worker, .. }
        | Transition::FailedStart { worker, .. }
        | Transition::SpawnFailed { worker, .. }
        | Transition::Stopped { worker, .. } => worker,
    }
}
