//! Floor 0: the decisions. What a slot does next, and nothing else.
//!
//! A [`Supervisor`] is told what happened ([`Event`]) and when (`now`), and answers with what to do ([`Action`]).
//! It uses nothing but `std`; it never reads a clock, sees a pid, opens a file, logs, or rolls a die. That is why
//! `tests/simulation` can run years of bad luck through it in a second.
//!
//! Where to look next: [`slot`] holds the state table, [`policy`] the numbers it works with, [`name`] what things
//! are called.

pub mod name;
pub mod policy;
pub mod slot;

use std::time::Instant;

pub use name::{Exit, SlotId, WorkerId};
pub use policy::{Policy, Readiness, Rest, Restart};
pub use slot::{Input, Phase, Slot, Wanted};

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The slot is wanted up.
    Start(SlotId),
    /// The slot is wanted down.
    Stop(SlotId),
    /// Everything is wanted down: terminate all, start none.
    Shutdown,
    /// As `Shutdown`, and nobody keeps a grace: kill all.
    Kill,
    /// The worker serves.
    Ready(WorkerId),
    /// The worker was spawned: it has exec'd.
    Spawned(WorkerId),
    /// The worker could not be spawned: there is no process.
    Unspawned(WorkerId),
    /// The worker's leader is dead and reaped. `remains` tells whether its group still has members.
    Exited { worker: WorkerId, exit: Exit, remains: Remains },
    /// The last member of a group that had outlived its leader is gone.
    Emptied(WorkerId),
    /// Time has passed.
    Tick,
}

/// What a dead leader left of its process group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remains {
    Nothing,
    /// Others are still in the group. An [`Event::Emptied`] follows when they are not.
    Members,
}

/// Something to do, in the order given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Fork and exec this worker, and answer with [`Event::Spawned`] or [`Event::Unspawned`].
    Spawn(WorkerId),
    /// The stop signal to the worker's group.
    Terminate(WorkerId),
    /// SIGKILL to the worker's group.
    Kill(WorkerId),
    /// Something a person wants to know.
    Tell(News),
    /// Nothing is left to do. Said once.
    Finish(Outcome),
}

/// What a person wants to know about a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    Ready(WorkerId),
    /// It ended without having been asked to, after it had been ready.
    Crashed {
        worker: WorkerId,
        exit: Exit,
        next: Next,
    },
    /// It ended before it was ready.
    FailedStart {
        worker: WorkerId,
        exit: Exit,
        next: Next,
    },
    /// There was no way to start it.
    Unspawned {
        worker: WorkerId,
        next: Next,
    },
    /// It was not ready in time and is being terminated.
    NeverReady(WorkerId),
    /// It was to go, or its leader had crashed before the rest of its group: nothing of it is left.
    Stopped {
        worker: WorkerId,
        next: Next,
    },
    /// The grace is over and something of it is left: it is being killed.
    GraceOver(WorkerId),
}

/// What comes after an exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A new worker, as soon as the old group is empty.
    Spawn,
    /// A new worker after this long.
    Rest(std::time::Duration),
    /// Nothing, until somebody asks for it: too many failed starts.
    GiveUp,
    /// Nothing: the restart policy says that this was the end.
    End,
    /// Nothing: it is wanted down.
    Down,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was asked to stop and everything is gone.
    Stopped,
    /// Every worker ended by itself; the first exit that was not a success, if any.
    Ended(Option<Exit>),
    /// Every worker ended by itself, and at least one slot gave up.
    GaveUp,
}

/// The slot table and the one question that concerns all slots: is this run over?
#[derive(Clone, Debug)]
pub struct Supervisor {
    slots: Vec<Slot>,
    course: Course,
    first_failure: Option<Exit>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    Running,
    Draining,
    Finished,
}

impl Supervisor {
    /// A table of idle slots, one for each policy. Nothing starts before it is told to.
    pub fn new(policies: impl IntoIterator<Item = Policy>) -> Self {
        let slots = policies.into_iter().enumerate();
        Self {
            slots: slots.map(|(n, policy)| Slot::new(SlotId(n), policy)).collect(),
            course: Course::Running,
            first_failure: None,
        }
    }

    /// Takes in one event and appends what follows from it to `actions`.
    ///
    /// Spurious and late events are safe: news of a worker that is not its slot's current one changes nothing.
    pub fn handle(&mut self, event: Event, now: Instant, actions: &mut Vec<Action>) {
        match event {
            Event::Start(slot) => {
                if self.course == Course::Running {
                    self.slots[slot.0].step(Input::Start, now, actions);
                }
            }
            Event::Stop(slot) => self.slots[slot.0].step(Input::Stop, now, actions),
            Event::Shutdown => self.drain(Input::Stop, now, actions),
            Event::Kill => self.drain(Input::Kill, now, actions),
            Event::Ready(worker) => self.inform(worker, Input::Ready, now, actions),
            Event::Spawned(worker) => self.inform(worker, Input::Spawned, now, actions),
            Event::Unspawned(worker) => self.inform(worker, Input::Unspawned, now, actions),
            Event::Exited { worker, exit, remains } => {
                self.inform(worker, Input::Exited { exit, remains }, now, actions);
                self.note_failure(worker, exit);
            }
            Event::Emptied(worker) => self.inform(worker, Input::Emptied, now, actions),
            Event::Tick => {
                for slot in &mut self.slots {
                    slot.step(Input::Tick, now, actions);
                }
            }
        }
        self.finish_if_over(actions);
        self.check_invariants();
    }

    /// The earliest moment at which a [`Event::Tick`] will change something, or `None` if time changes nothing.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.slots.iter().filter_map(|slot| slot.phase().deadline()).min()
    }

    /// Every slot's id, in the order of the table.
    pub fn ids(&self) -> impl Iterator<Item = SlotId> + use<> {
        (0..self.slots.len()).map(SlotId)
    }

    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    pub fn slot(&self, slot: SlotId) -> &Slot {
        &self.slots[slot.0]
    }

    /// True once everything is wanted down for good.
    pub fn is_draining(&self) -> bool {
        self.course != Course::Running
    }

    /// True if this worker was asked to stop, so that what its leader leaves behind keeps the rest of the grace.
    pub fn keeps_grace(&self, worker: WorkerId) -> bool {
        self.is_current(worker)
            && matches!(self.slots[worker.slot.0].phase(), Phase::Stopping { .. })
    }

    /// True if this is its slot's current worker and it is not known to serve yet.
    pub fn awaits_ready(&self, worker: WorkerId) -> bool {
        self.is_current(worker)
            && matches!(self.slots[worker.slot.0].phase(), Phase::Starting { .. })
    }

    fn is_current(&self, worker: WorkerId) -> bool {
        self.slots[worker.slot.0].generation() == worker.generation
    }

    fn inform(&mut self, worker: WorkerId, input: Input, now: Instant, actions: &mut Vec<Action>) {
        if self.is_current(worker) {
            self.slots[worker.slot.0].step(input, now, actions);
        }
    }

    fn drain(&mut self, input: Input, now: Instant, actions: &mut Vec<Action>) {
        if self.course == Course::Running {
            self.course = Course::Draining;
        }
        for slot in &mut self.slots {
            slot.step(input, now, actions);
        }
    }

    fn note_failure(&mut self, worker: WorkerId, exit: Exit) {
        let ended = self.slots[worker.slot.0].wanted() == Wanted::Ended;
        if ended && self.is_current(worker) && !exit.is_success() {
            self.first_failure.get_or_insert(exit);
        }
    }

    fn finish_if_over(&mut self, actions: &mut Vec<Action>) {
        let over = match self.course {
            Course::Running => !self.slots.is_empty() && self.slots.iter().all(Slot::has_ended),
            Course::Draining => self.slots.iter().all(|slot| slot.phase() == Phase::Idle),
            Course::Finished => false,
        };
        if !over {
            return;
        }
        let outcome = if self.course == Course::Draining {
            Outcome::Stopped
        } else if self.slots.iter().any(|slot| slot.phase() == Phase::GivenUp) {
            Outcome::GaveUp
        } else {
            Outcome::Ended(self.first_failure)
        };
        self.course = Course::Finished;
        actions.push(Action::Finish(outcome));
    }

    fn check_invariants(&self) {
        if self.course == Course::Finished {
            debug_assert!(self.next_deadline().is_none(), "a finished run waits for nothing");
        }
        if self.course == Course::Draining {
            let wanted = self.slots.iter().any(|slot| slot.wanted() == Wanted::Up);
            debug_assert!(!wanted, "nothing is wanted up while draining");
        }
    }
}
