//! Floor 0: the decisions. What a slot does next, and nothing else.
//!
//! A [`Supervisor`] is told what happened ([`Event`]) and when (`now`), and answers with what to do ([`Action`]).
//! It uses nothing but `std`; it never reads a clock, sees a pid, opens a file, logs, or rolls a die. That is why
//! `tests/simulation` can run years of bad luck through it in a second.
//!
//! Where to look next: [`slot`] holds the state table, [`ordering`] the rules that concern more than one slot, [`event`]
//! what is told and answered, [`phase`] what a slot can be at, [`policy`], [`spec`] and [`restarts`] the numbers it
//! works with, [`ids`] what things are called.

pub mod event;
pub mod ids;
mod ordering;
pub mod phase;
pub mod policy;
mod restarts;
pub mod slot;
pub mod spec;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

pub use event::{Action, Event, Next, Outcome, Remains, Transition};
pub use ids::{Exit, PoolId, SlotId, WorkerId};
use ordering::Ordering;
pub use phase::{Input, Phase, Wanted};
pub use policy::{Backoff, MaxRestarts, Policy, Readiness, Restart};
pub use slot::Slot;
pub use spec::{PoolEntry, SlotEntry, TableSpec};

/// The slot table, and the questions that concern all slots: whose turn is it, and is this run over?
#[derive(Clone, Debug)]
pub struct Supervisor {
    slots: BTreeMap<SlotId, Slot>,
    ordering: Ordering,
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
    /// A table of idle slots. Nothing starts before it is told to, and nothing that comes after a pool starts before
    /// each slot of that pool was told to start or to stop.
    pub fn new(roster: TableSpec) -> Self {
        let slots = roster.slots.iter().map(|entry| (entry.slot, Slot::new(entry))).collect();
        let mut ordering = Ordering::default();
        ordering.revise(roster.pools, &slots);
        Self { slots, ordering, course: Course::Running, first_failure: None }
    }

    /// Takes in one event and appends what follows from it to `actions`.
    ///
    /// Spurious and late events are safe: news of a worker that is not its slot's current one changes nothing, nor does
    /// an event about a slot that is not in the table.
    pub fn handle(&mut self, event: Event, now: Instant, actions: &mut Vec<Action>) {
        match event {
            Event::Start(slot) => {
                if self.course == Course::Running {
                    self.step(slot, Input::Start, now, actions);
                }
            }
            Event::Stop(slot) => self.step(slot, Input::Stop, now, actions),
            Event::Shutdown => self.drain(Input::Stop, now, actions),
            Event::Kill => self.drain(Input::Kill, now, actions),
            Event::Ready(worker) => self.inform(worker, Input::Ready, now, actions),
            Event::Hung(worker) => self.inform(worker, Input::Hung, now, actions),
            Event::Spawned(worker) => self.inform(worker, Input::Spawned, now, actions),
            Event::SpawnFailed(worker) => self.inform(worker, Input::SpawnFailed, now, actions),
            Event::Exited { worker, exit, remains } => {
                self.inform(worker, Input::Exited { exit, remains }, now, actions);
                self.note_failure(worker);
            }
            Event::Emptied(worker) => self.inform(worker, Input::Emptied, now, actions),
            Event::Tick => self.tick(now, actions),
        }
        self.settle(now, actions);
    }

    /// Takes in a changed plan, and appends what follows from it to `actions`.
    ///
    /// A slot that the roster has not is stopped and forgotten; a new one is added, idle and wanted down. The policy of
    /// an unchanged one is replaced in place. A changed one is renewed: its next worker is the first to be kept by the
    /// new policy. Who does not serve is renewed at once, those who serve one by one in each pool. While draining
    /// nobody is renewed, and a run that is over takes in no plan.
    pub fn revise(&mut self, roster: TableSpec, now: Instant, actions: &mut Vec<Action>) {
        if self.course == Course::Finished {
            return;
        }
        let planned: BTreeSet<SlotId> = roster.slots.iter().map(|entry| entry.slot).collect();
        debug_assert_eq!(planned.len(), roster.slots.len(), "a slot stands in a roster once");
        for slot in self.slots.values_mut().filter(|slot| !planned.contains(&slot.id())) {
            slot.step(Input::Remove, now, actions);
        }
        for entry in &roster.slots {
            let slot = self.slots.entry(entry.slot).or_insert_with(|| Slot::new(entry));
            slot.move_to(entry.pool);
            let input = if entry.is_changed { Input::Replace } else { Input::Keep };
            slot.step(input(entry.policy), now, actions);
        }
        self.ordering.revise(roster.pools, &self.slots);
        self.settle(now, actions);
    }

    /// The earliest moment at which a [`Event::Tick`] will change something, or `None` if time changes nothing.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.slots.values().filter_map(|slot| slot.phase().deadline()).min()
    }

    /// Every slot's id, in the order of the table.
    pub fn ids(&self) -> impl Iterator<Item = SlotId> + use<> {
        Vec::from_iter(self.slots.keys().copied()).into_iter()
    }

    /// Every slot, in the order of the table.
    pub fn slots(&self) -> impl Iterator<Item = &Slot> + Clone {
        self.slots.values()
    }

    /// How many slots there are.
    pub fn slot_count(&self) -> usize {
        self.slots.len()
    }

    /// `None` if the plan has no such slot and nothing of it is left.
    pub fn slot(&self, slot: SlotId) -> Option<&Slot> {
        self.slots.get(&slot)
    }

    /// True once everything is wanted down for good.
    pub fn is_draining(&self) -> bool {
        self.course != Course::Running
    }

    /// True if this worker was asked to stop, so that what its leader leaves behind keeps the rest of the grace.
    pub fn keeps_grace(&self, worker: WorkerId) -> bool {
        self.phase_of(worker).is_some_and(|phase| matches!(phase, Phase::Stopping { .. }))
    }

    /// True if this is its slot's current worker and it is not known to serve yet.
    pub fn awaits_ready(&self, worker: WorkerId) -> bool {
        self.phase_of(worker).is_some_and(|phase| matches!(phase, Phase::Starting { .. }))
    }

    /// True if this is its slot's current worker and it serves: an alive probe may go on.
    pub fn serves(&self, worker: WorkerId) -> bool {
        self.phase_of(worker).is_some_and(|phase| matches!(phase, Phase::Ready { .. }))
    }

    /// What this very worker is at, or `None` if it is history.
    fn phase_of(&self, worker: WorkerId) -> Option<Phase> {
        let slot = self.slot(worker.slot)?;
        (slot.generation() == worker.generation).then_some(slot.phase())
    }

    fn inform(&mut self, worker: WorkerId, input: Input, now: Instant, actions: &mut Vec<Action>) {
        if self.phase_of(worker).is_some() {
            self.step(worker.slot, input, now, actions);
        }
    }

    fn step(&mut self, slot: SlotId, input: Input, now: Instant, actions: &mut Vec<Action>) {
        // A command can be about a slot that the plan has just lost.
        if let Some(slot) = self.slots.get_mut(&slot) {
            slot.step(input, now, actions);
            self.ordering.note(slot);
        }
    }

    fn tick(&mut self, now: Instant, actions: &mut Vec<Action>) {
        for slot in self.slots.values_mut() {
            let before = slot.phase();
            slot.step(Input::Tick, now, actions);
            if slot.phase() != before {
                self.ordering.note(slot);
            }
        }
    }

    fn drain(&mut self, input: Input, now: Instant, actions: &mut Vec<Action>) {
        if self.course == Course::Running {
            self.course = Course::Draining;
        }
        for slot in self.slots.values_mut() {
            slot.step(input, now, actions);
            self.ordering.note(slot);
        }
    }

    fn note_failure(&mut self, worker: WorkerId) {
        let is_current = |slot: &&Slot| slot.worker() == worker;
        let end = self.slot(worker.slot).filter(is_current).and_then(Slot::end);
        if let Some(exit) = end.filter(|exit| !exit.is_success()) {
            self.first_failure.get_or_insert(exit);
        }
    }

    /// What follows from a change for the table as a whole.
    fn settle(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.settle_order(now, actions);
        self.finish_if_over(actions);
        self.check_invariants();
    }

    fn finish_if_over(&mut self, actions: &mut Vec<Action>) {
        let over = match self.course {
            // Whoever waits to start now waits for one that does not come by itself, for nobody else is left to do
            // anything.
            Course::Running => !self.slots.is_empty() && self.slots().all(Slot::has_ended),
            Course::Draining => self.slots().all(|slot| slot.phase() == Phase::Idle),
            Course::Finished => false,
        };
        if !over {
            return;
        }
        let outcome = if self.course == Course::Draining {
            Outcome::Stopped
        } else if self.slots().any(|slot| slot.phase() == Phase::GivenUp) {
            Outcome::GaveUp
        } else {
            Outcome::Ended(self.first_failure)
        };
        self.course = Course::Finished;
        actions.push(Action::Finish(outcome));
    }

    fn check_invariants(&self) {
        if cfg!(debug_assertions) {
            if self.course == Course::Finished {
                debug_assert!(self.next_deadline().is_none(), "a finished run waits for nothing");
            }
            if self.course == Course::Draining {
                let wanted = self.slots().any(|slot| slot.wanted() == Wanted::Up);
                debug_assert!(!wanted, "nothing is wanted up while draining");
            }
            self.check_ordering();
        }
    }
}

/// A table with a clock of its own, for the tests of this floor.
#[cfg(test)]
mod table {
    use std::collections::VecDeque;
    use std::time::{Duration, Instant};

    use super::*;

    pub struct Table {
        pub supervisor: Supervisor,
        pub roster: TableSpec,
        pub now: Instant,
        /// What the last step told people.
        pub news: Vec<Transition>,
    }

    pub fn slot(slot: usize) -> SlotId {
        SlotId(slot)
    }

    pub fn worker(slot: usize, generation: u64) -> WorkerId {
        WorkerId { slot: SlotId(slot), generation }
    }

    pub fn probed() -> Policy {
        let within = Duration::from_secs(30);
        Policy { ready: Readiness::Probe { within }, ..Policy::default() }
    }

    impl Table {
        /// Pools of so many slots, each kept by the policy and after the pools given; nothing is started.
        pub fn idle(pools: &[(usize, &[usize])], policy: Policy) -> Self {
            let mut roster = TableSpec::default();
            for (n, (slots, after)) in pools.iter().enumerate() {
                let (pool, after) = (PoolId(n), after.iter().copied().map(PoolId).collect());
                roster.pools.push(PoolEntry { pool, after });
                for _ in 0..*slots {
                    let slot = SlotId(roster.slots.len());
                    roster.slots.push(SlotEntry { slot, pool, policy, is_changed: false });
                }
            }
            let (supervisor, now) = (Supervisor::new(roster.clone()), Instant::now());
            Self { supervisor, roster, now, news: Vec::new() }
        }

        /// One pool, its slots started.
        pub fn of(slots: usize, policy: &Policy) -> Self {
            let mut table = Self::idle(&[(slots, &[])], *policy);
            for slot in 0..slots {
                let spawned = table.on(Event::Start(SlotId(slot)));
                assert_eq!(spawned, [Action::Spawn(worker(slot, 1))]);
            }
            table
        }

        /// One pool, its slots ready.
        pub fn serving(slots: usize) -> Self {
            Self::up(&[(slots, &[])], probed())
        }

        /// Started from the last slot to the first, and ready as they come.
        pub fn up(pools: &[(usize, &[usize])], policy: Policy) -> Self {
            let mut table = Self::idle(pools, policy);
            let mut spawned = VecDeque::new();
            for id in Vec::from_iter(table.supervisor.ids()).into_iter().rev() {
                spawned.extend(table.on(Event::Start(id)));
            }
            while let Some(action) = spawned.pop_front() {
                let Action::Spawn(worker) = action else { panic!("{action:?}") };
                spawned.extend(table.on(Event::Ready(worker)));
            }
            assert!(
                table.supervisor.slots().all(|slot| matches!(slot.phase(), Phase::Ready { .. }))
            );
            table
        }

        /// Every step returns what was asked for, news aside.
        pub fn on(&mut self, event: Event) -> Vec<Action> {
            let mut actions = Vec::new();
            self.supervisor.handle(event, self.now, &mut actions);
            self.without_news(actions)
        }

        pub fn exited(&mut self, worker: WorkerId) -> Vec<Action> {
            self.on(Event::Exited { worker, exit: Exit::Code(255), remains: Remains::Nothing })
        }

        pub fn succeeded(&mut self, worker: WorkerId) -> Vec<Action> {
            self.on(Event::Exited { worker, exit: Exit::Code(0), remains: Remains::Nothing })
        }

        pub fn leader_exited(&mut self, worker: WorkerId) -> Vec<Action> {
            self.on(Event::Exited { worker, exit: Exit::Code(0), remains: Remains::Members })
        }

        /// The plan changes: these slots, and what else `alter` says.
        pub fn revise(
            &mut self,
            changed: &[usize],
            alter: impl FnOnce(&mut TableSpec),
        ) -> Vec<Action> {
            for entry in &mut self.roster.slots {
                entry.is_changed = changed.contains(&entry.slot.0);
            }
            alter(&mut self.roster);
            let mut actions = Vec::new();
            self.supervisor.revise(self.roster.clone(), self.now, &mut actions);
            self.without_news(actions)
        }

        /// Jumps to the next deadline.
        pub fn wait(&mut self) -> Vec<Action> {
            self.now = self.supervisor.next_deadline().expect("somebody waits for time");
            self.on(Event::Tick)
        }

        pub fn at(&self, slot: usize) -> &Slot {
            self.supervisor.slot(SlotId(slot)).expect("it is in the table")
        }

        pub fn phase(&self, slot: usize) -> Phase {
            self.at(slot).phase()
        }

        fn without_news(&mut self, actions: Vec<Action>) -> Vec<Action> {
            self.news.clear();
            let mut rest = Vec::new();
            for action in actions {
                match action {
                    Action::Report(news) => self.news.push(news),
                    Action::Spawn(_)
                    | Action::Terminate(_)
                    | Action::Kill(_)
                    | Action::Finish(_) => {
                        rest.push(action);
                    }
                }
            }
            rest
        }
    }
}
