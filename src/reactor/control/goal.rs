//! What an answer waits for, and whether it is so.

use std::time::Instant;

use super::problems;
use super::status::View;
use crate::supervisor::{Exit, Phase, Slot, SlotId, SparePhase, Wanted};
use crate::wire::{Outcome, Problem};

/// A request whose answer waits.
#[derive(Debug)]
pub struct Pending {
    pub goal: Goal,
    /// With the generation that each had when the request came.
    pub slots: Vec<(SlotId, u64)>,
    pub deadline: Instant,
    /// What the answer says if it is so.
    pub outcome: Outcome,
    pub words: Option<String>,
}

/// What is to be so for each of its slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// It is ready, or it is a job that has ended well.
    Ready,
    /// As `Ready`, by another worker than when the request came.
    Replaced,
    /// As `Replaced`, and the first slot that does not come up ends the roll.
    Rolled,
    /// A new slot is ready, and nothing is left of a removed one.
    Scaled,
    /// It has no worker, and none is wanted: a command has asked for it.
    Stopped,
    /// The same, whenever that will be.
    Down,
    /// The worker that was there when the request came is gone.
    Exited,
}

/// How far a request has come.
#[derive(Debug)]
pub enum State {
    Reached,
    Open,
    /// It will not be so.
    Failed(Box<Problem>),
}

impl Pending {
    /// Looks at each slot now.
    pub fn state(&self, view: View<'_>) -> State {
        let mut state = State::Reached;
        for (id, generation) in &self.slots {
            match self.goal.state_of(*id, *generation, view) {
                State::Reached => {}
                State::Open => state = State::Open,
                State::Failed(mut problem) => {
                    problem.slots = view.slots(self.slots.iter().map(|(id, _)| *id));
                    return State::Failed(problem);
                }
            }
        }
        state
    }

    /// The answer when the time is over.
    pub fn late(&self, view: View<'_>) -> Box<Problem> {
        let open: Vec<_> = self
            .slots
            .iter()
            .filter(|(id, generation)| {
                matches!(self.goal.state_of(*id, *generation, view), State::Open)
            })
            .filter_map(|(id, _)| view.slot(*id))
            .collect();
        let names: Vec<_> = open.iter().map(|slot| slot.slot.as_str()).collect();
        let are = if names.len() == 1 { "is" } else { "are" };
        let mut detail = format!("{} {are} not {} in time", names.join(", "), self.goal.words());
        let last = open.first().and_then(|slot| slot.last_death.as_ref());
        if let (Some(death), Goal::Ready | Goal::Replaced | Goal::Rolled) = (last, self.goal) {
            detail = format!("{detail}; last: {}", death.words);
        }
        let mut problem = problems::new(504, "not-in-time", "Not in time", detail);
        problem.slots = view.slots(self.slots.iter().map(|(id, _)| *id));
        problem
    }
}

impl Goal {
    fn words(self) -> &'static str {
        match self {
            Self::Ready | Self::Rolled | Self::Scaled => "ready",
            Self::Replaced => "restarted and ready",
            Self::Stopped | Self::Down => "stopped",
            Self::Exited => "gone",
        }
    }

    fn state_of(self, id: SlotId, generation: u64, view: View<'_>) -> State {
        let Some(slot) = view.supervisor.slot(id) else {
            return match self {
                Self::Stopped | Self::Down | Self::Exited | Self::Scaled => State::Reached,
                Self::Ready | Self::Replaced | Self::Rolled => lost("it was removed"),
            };
        };
        let is_new = slot.generation() > generation;
        match self {
            Self::Scaled if slot.wanted() == Wanted::Gone => State::Open,
            Self::Ready | Self::Scaled => up(slot, view),
            Self::Replaced if is_new => up(slot, view),
            Self::Rolled if is_new && slot.failures() > 0 => failed(slot, view),
            Self::Rolled if is_new => up(slot, view),
            Self::Rolled if has_no_successor(slot) => failed(slot, view),
            Self::Replaced | Self::Rolled => match up(slot, view) {
                State::Reached | State::Open => State::Open,
                State::Failed(problem) => State::Failed(problem),
            },
            Self::Stopped if slot.wanted() == Wanted::Up => superseded(slot, view, "started"),
            Self::Stopped | Self::Down if slot.wanted() != Wanted::Up && slot.is_empty() => {
                State::Reached
            }
            Self::Stopped | Self::Down => State::Open,
            Self::Exited if is_new || !slot.phase().has_worker() => State::Reached,
            Self::Exited => State::Open,
        }
    }
}

/// True if the spare has failed that was to replace its worker.
fn has_no_successor(slot: &Slot) -> bool {
    let failed = |phase| matches!(phase, SparePhase::Backoff { .. } | SparePhase::GivenUp);
    slot.has_turn() && slot.spare().is_some_and(|(_, phase)| failed(phase))
}

/// Whether a slot is up.
fn up(slot: &Slot, view: View<'_>) -> State {
    match (slot.phase(), slot.wanted()) {
        (Phase::Ready { .. }, Wanted::Up) => State::Reached,
        (Phase::GivenUp, _) => failed(slot, view),
        (Phase::Idle, Wanted::Ended(exit)) if exit.is_some_and(Exit::is_success) => State::Reached,
        (Phase::Idle, Wanted::Ended(_)) => failed(slot, view),
        (_, Wanted::Unset | Wanted::Down | Wanted::Gone) => superseded(slot, view, "stopped"),
        (_, Wanted::Up | Wanted::Ended(_)) => State::Open,
    }
}

/// It does not come up by itself. The worker that was last started says why; one that it was to replace may have died
/// after it.
fn failed(slot: &Slot, view: View<'_>) -> State {
    let known = view.detail(slot.id());
    let name = known.as_ref().map_or("it", |known| &known.status.slot);
    let deaths = known.iter().flat_map(|known| &known.deaths);
    let detail = match deaths.max_by_key(|death| death.generation) {
        Some(death) => death.words.clone(),
        None => format!("{name} did not come up"),
    };
    let mut problem = problems::new(409, "failed", "It did not come up", detail);
    problem.hint = Some(format!("`pm why {name}`"));
    State::Failed(problem)
}

fn superseded(slot: &Slot, view: View<'_>, what: &str) -> State {
    let name = view.slots.identity(slot.id()).map_or("it", |facts| facts.name);
    let detail = format!("{name} was {what} by another command meanwhile");
    State::Failed(problems::new(409, "superseded", "Superseded", detail))
}

fn lost(why: &str) -> State {
    State::Failed(problems::new(409, "superseded", "Superseded", why))
}
