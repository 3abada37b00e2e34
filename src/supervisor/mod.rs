//! Floor 0: the decisions. What a slot does next, and nothing else.
//!
//! A [`Supervisor`] is told what happened ([`Event`]) and when (`now`), and answers with what to do ([`Action`]).
//! It uses only `std`; it never reads a clock, sees a pid, opens a file, logs, or draws a random number. That is why
//! `tests/simulation` can run years of faults through it in a second.
//!
//! Where to look next:
//! - [`event`]: what it is told and what it answers; [`ids`]: the names in both; [`spec`]: a plan as a table
//! - [`slot`]: the state table of one slot; [`phase`]: its states and inputs
//! - [`policy`], [`backoff`], [`restarts`]: the rules of one slot, the wait after failed starts, the restart limit
//! - [`ordering`], [`rollout`]: start order, stop order and rolling restarts across slots
//! - [`sharing`]: the spares that the slots of a pool share
//! - [`stop`]: what follows when pm is asked to stop; [`run_end`]: when a pool ends the run
//! - [`table`]: all slots and their index; [`state_hash`]: when two states go on alike

mod backoff;
mod event;
mod ids;
mod ordering;
mod phase;
mod policy;
mod restarts;
mod rollout;
mod run_end;
mod sharing;
mod slot;
mod spec;
mod state_hash;
mod stop;
mod table;
#[cfg(test)]
mod test_table;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Instant;

pub use backoff::Backoff;
pub use event::{
    Action, Event, Failed, Next, Outcome, PoolEnd, PortProbe, Remains, SlotFailure, SpareFailure,
    Stop, StopKind, StopOrder, StopReason, Transition, Wish,
};
pub use ids::{Exit, PoolId, Revision, SlotId, WorkerId};
use ordering::Ordering;
use phase::{Input, KILL_AGAIN, News};
pub use phase::{Phase, RetiringPhase, SparePhase, Wanted};
pub use policy::{MaxRestarts, Policy, Readiness, Restart, SpareRule};
pub use slot::Slot;
use slot::seats::Seat;
pub use spec::{PoolEntry, SlotEntry, TableSpec};
pub use state_hash::Memory;
use table::SlotTable;

/// All slots, and how far the run has come.
#[derive(Clone, Debug)]
pub struct Supervisor {
    table: SlotTable,
    ordering: Ordering,
    course: Course,
    /// The first exit that ended a slot and was not a success.
    first_failure: Option<Exit>,
}

/// How far the run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    /// A pool ends the run since `over_at`; the next tick stops all workers.
    Running { over_at: Option<Instant> },
    /// pm was asked to stop or a pool has ended the run at `since`, and pm was asked to kill at `killing_since`. The
    /// outcome is known already.
    Draining { since: Instant, killing_since: Option<Instant>, outcome: Outcome },
    /// The run is over. `since` is when all workers began to be stopped, if that was before.
    Finished { since: Option<Instant> },
}

impl Supervisor {
    /// A table of idle slots. No slot starts before it is told to, and no pool that comes after another starts before
    /// each slot of the other was told to start or to stop.
    pub fn new(spec: TableSpec) -> Self {
        let mut table = SlotTable::default();
        spec.slots.iter().for_each(|entry| table.insert(entry));
        let mut ordering = Ordering::default();
        ordering.revise(spec.pools, &table);
        Self { table, ordering, course: Course::Running { over_at: None }, first_failure: None }
    }

    /// Takes in one event and appends what follows from it to `actions`.
    ///
    /// Late events are safe: an event about a worker that is none of its slot any more changes nothing, nor does an
    /// event about a slot that is not in the table.
    pub fn handle(&mut self, event: Event, now: Instant, actions: &mut Vec<Action>) {
        match event {
            Event::Start(slot) => self.start(slot, Input::Start, now, actions),
            Event::Restart(slot) => self.start(slot, Input::Restart, now, actions),
            Event::Roll(slot) => self.start(slot, Input::Roll, now, actions),
            Event::Withdraw(slot) => self.step(slot, Input::Withdraw, now, actions),
            Event::Stop(slot) => self.step(slot, Input::Stop, now, actions),
            Event::Kill(slot) => self.step(slot, Input::Kill, now, actions),
            Event::Asked(wish) => self.asked(wish, now, actions),
            Event::Ready(worker) => self.inform(worker, News::Ready, now, actions),
            Event::Hung(worker) => self.inform(worker, News::Hung, now, actions),
            Event::Spawned(worker) => self.inform(worker, News::Spawned, now, actions),
            Event::SpawnFailed(worker) => self.inform(worker, News::SpawnFailed, now, actions),
            Event::Exited { worker, exit, remains } => {
                self.inform(worker, News::Exited { exit, remains }, now, actions);
                self.note_failure(worker);
            }
            Event::Emptied(worker) => self.inform(worker, News::Emptied, now, actions),
            Event::Waits(worker) => self.inform(worker, News::Waits, now, actions),
            Event::Listens(worker) => {
                self.table.change(worker.slot, |slot| slot.on_listening(worker, now, actions));
            }
            Event::Tick => self.tick(now, actions),
        }
        self.settle(now, actions);
    }

    /// Takes in a changed plan and appends what follows from it to `actions`.
    ///
    /// A slot that the plan no longer has is stopped and forgotten. A new slot is added; it starts when it is told to.
    /// A worker whose slot keeps its revision stays, by the new rules. A worker whose slot has another revision is
    /// replaced: at once if it is not ready, else one after another in each pool. A plan that goes back to the revision
    /// of the worker that is there withdraws its replacement. Until a worker is replaced it is kept by the old rules.
    /// A slot that has ended runs again if it has another revision, and does not otherwise.
    ///
    /// While pm drains no worker is replaced. A run that is over takes in no plan.
    pub fn revise(&mut self, spec: TableSpec, now: Instant, actions: &mut Vec<Action>) {
        if matches!(self.course, Course::Finished { .. }) {
            return;
        }
        let planned: BTreeSet<SlotId> = spec.slots.iter().map(|entry| entry.slot).collect();
        debug_assert_eq!(planned.len(), spec.slots.len(), "a plan has each slot once");
        let removed = self.table.ids().filter(|slot| !planned.contains(slot));
        for slot in Vec::from_iter(removed) {
            self.step(slot, Input::Remove, now, actions);
        }
        self.revise_spares(&spec, now, actions);
        for entry in &spec.slots {
            self.table.insert(entry);
            self.table.change(entry.slot, |slot| slot.plan(entry, now, actions));
        }
        self.ordering.revise(spec.pools, &self.table);
        self.settle(now, actions);
    }

    /// The earliest moment at which an [`Event::Tick`] changes something; `None` if no tick does.
    pub fn next_deadline(&self) -> Option<Instant> {
        match self.course {
            Course::Running { over_at: Some(at) } => Some(at),
            Course::Running { over_at: None } => self.table.next_deadline(),
            Course::Draining { .. } | Course::Finished { .. } => self.table.next_deadline(),
        }
    }

    /// The id of every slot, in order.
    pub fn ids(&self) -> impl Iterator<Item = SlotId> {
        self.table.ids()
    }

    /// Every slot, in the order of the ids.
    pub fn slots(&self) -> impl Iterator<Item = &Slot> + Clone {
        self.table.iter()
    }

    /// True if the worker of some slot was sent a stop signal or SIGKILL and is not gone. It looks at no slot.
    pub fn is_any_ending(&self) -> bool {
        self.table.is_any_ending()
    }

    /// The slots whose worker was sent a stop signal or SIGKILL and is not gone, in the order of the ids.
    pub fn ending(&self) -> impl Iterator<Item = &Slot> {
        self.table.ending()
    }

    pub fn slot_count(&self) -> usize {
        self.table.len()
    }

    /// `None` if the plan has no such slot and nothing is left of it.
    pub fn slot(&self, slot: SlotId) -> Option<&Slot> {
        self.table.get(slot)
    }

    /// True if no slot is started any more: all workers are being stopped, or the run is over.
    pub fn is_draining(&self) -> bool {
        !matches!(self.course, Course::Running { .. })
    }

    /// When pm was first asked to stop, or a pool has ended the run.
    pub fn stopping_since(&self) -> Option<Instant> {
        match self.course {
            Course::Running { .. } => None,
            Course::Draining { since, .. } => Some(since),
            Course::Finished { since } => since,
        }
    }

    /// True if one more wish to stop makes pm leave: the run is over, or a wish to kill has left workers for
    /// [`KILL_AGAIN`], which SIGKILL does not end.
    pub fn may_leave(&self, now: Instant) -> bool {
        match self.course {
            Course::Running { .. } => false,
            Course::Draining { killing_since, .. } => {
                killing_since.is_some_and(|since| now >= since + KILL_AGAIN)
            }
            Course::Finished { .. } => true,
        }
    }

    /// True if this is the current worker of its slot and it is not ready yet.
    pub fn awaits_ready(&self, worker: WorkerId) -> bool {
        self.phase_of(worker).is_some_and(|phase| matches!(phase, Phase::Starting { .. }))
    }

    /// True if this is the current worker of its slot and it is ready.
    pub fn is_serving(&self, worker: WorkerId) -> bool {
        self.phase_of(worker).is_some_and(|phase| matches!(phase, Phase::Ready { .. }))
    }

    /// The phase of this worker, or `None` if it is not the current one of its slot.
    fn phase_of(&self, worker: WorkerId) -> Option<Phase> {
        let slot = self.slot(worker.slot)?;
        (slot.generation() == worker.generation).then_some(slot.phase())
    }

    /// No slot is started while pm drains.
    fn start(&mut self, slot: SlotId, input: Input, now: Instant, actions: &mut Vec<Action>) {
        if !self.is_draining() {
            self.step(slot, input, now, actions);
        }
    }

    fn inform(&mut self, worker: WorkerId, news: News, now: Instant, actions: &mut Vec<Action>) {
        let Some(slot) = self.slot(worker.slot) else { return };
        let Some(seat) = slot.seat(worker) else { return };
        if seat == Seat::Current && slot.needs_spare(news, now) {
            let (to, pool) = (slot.id(), slot.pool());
            self.lend_spare(pool, to, actions);
        }
        self.table.change(worker.slot, |slot| slot.step_at(seat, news, now, actions));
    }

    fn step(&mut self, slot: SlotId, input: Input, now: Instant, actions: &mut Vec<Action>) {
        self.table.change(slot, |slot| slot.step(input, now, actions));
    }

    fn tick(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.end_run(now, actions);
        for slot in self.table.due(now) {
            self.table.change(slot, |slot| slot.tick(now, actions));
        }
    }

    fn note_failure(&mut self, worker: WorkerId) {
        let slot = self.slot(worker.slot).filter(|slot| slot.worker() == worker);
        if let Some(exit) = slot.and_then(Slot::end).filter(|exit| !exit.is_success()) {
            self.first_failure.get_or_insert(exit);
        }
    }

    /// What follows from a change for the table as a whole.
    fn settle(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.settle_order(now, actions);
        self.note_run_end(now);
        self.finish_if_over(actions);
        if cfg!(debug_assertions) {
            self.check_invariants();
        }
    }

    fn finish_if_over(&mut self, actions: &mut Vec<Action>) {
        let is_over = match self.course {
            // A slot that waits to start counts as ended: if no other slot goes on by itself, what it waits for never
            // comes. What a pool ends, the next tick ends, with the outcome of that pool.
            Course::Running { over_at } => {
                self.table.len() > 0 && self.table.have_all_ended() && over_at.is_none()
            }
            Course::Draining { .. } => self.table.are_all_idle(),
            Course::Finished { .. } => false,
        };
        if !is_over {
            return;
        }
        let stopping_since = self.stopping_since();
        let outcome = match self.course {
            Course::Draining { outcome, .. } => outcome,
            Course::Running { .. } | Course::Finished { .. } => {
                let gave_up = self.slots().any(|slot| slot.phase() == Phase::GivenUp);
                if gave_up { Outcome::GaveUp } else { Outcome::Ended(self.first_failure) }
            }
        };
        self.course = Course::Finished { since: stopping_since };
        actions.push(Action::Finish { outcome, stopping_since });
    }

    /// What must be true between two events.
    fn check_invariants(&self) {
        self.table.check_invariants();
        match self.course {
            Course::Running { .. } => {}
            Course::Draining { .. } => {
                debug_assert!(!self.table.is_any_wanted_up(), "a draining pm wants no slot up");
            }
            Course::Finished { .. } => {
                debug_assert!(self.next_deadline().is_none(), "a finished run waits for nothing");
            }
        }
    }
}
