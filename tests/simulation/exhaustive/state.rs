//! One state of a search, what may happen in it, and what follows.
//!
//! A state is the supervisor, the record of an observer, and the processes. What the reactor owes to the supervisor at
//! once, the answer to a spawn, comes before anything else.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use pm::supervisor::{Action, Event, Exit, Remains, Slot, Supervisor, Wish, WorkerId};

use super::table::{Table, UNIT};
use crate::facts::Facts;
use crate::laws::{self, Answer, Broken, Settled, Told};
use crate::life::{Life, events_of};
use crate::record::Record;

const WISHES: [Wish; 7] = [
    Wish::Interrupt,
    Wish::Terminate,
    Wish::Hangup,
    Wish::Quit,
    Wish::GuardGone,
    Wish::Shutdown,
    Wish::ShutdownNow,
];

#[derive(Clone)]
pub struct State {
    pub now: Instant,
    pub supervisor: Supervisor,
    pub record: Record,
    /// The workers whose groups are not empty.
    pub groups: Vec<WorkerId>,
    /// Answers to spawns, which are told before anything else happens.
    pub pending: VecDeque<Event>,
    /// The event that the pending ones follow from.
    pub cause: Option<Event>,
}

/// What may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    Tell(Event),
    /// The plan is changed to the n-th of the table.
    Plan(usize),
    /// The clock moves on by one unit.
    Later,
}

/// What happened in one step, for a trace.
pub struct Step {
    pub actions: Vec<Action>,
    /// One state for each way in which the spawns can end. In the first all succeed.
    pub next: Vec<State>,
}

impl State {
    pub fn first(table: &Table, now: Instant) -> Self {
        let spec = &table.plans[0];
        Self {
            now,
            supervisor: Supervisor::new(spec.clone()),
            record: Record::new(spec, now),
            groups: Vec::new(),
            pending: VecDeque::new(),
            cause: None,
        }
    }

    pub fn moves(&self, table: &Table) -> Vec<Move> {
        if let Some(event) = self.pending.front() {
            return vec![Move::Tell(*event)];
        }
        if table.is_prompt && self.is_due() {
            return vec![Move::Tell(Event::Tick)];
        }
        let mut moves = Vec::new();
        for facts in &self.record.slots {
            self.moves_of(facts, table, &mut moves);
        }
        moves.extend(WISHES.map(|wish| Move::Tell(Event::Asked(wish))));
        moves.push(Move::Tell(Event::Tick));
        if table.plans.len() > 1 {
            moves.extend((0..table.plans.len()).map(Move::Plan));
        }
        if !self.is_due() {
            moves.push(Move::Later);
        }
        moves
    }

    fn moves_of(&self, facts: &Facts, table: &Table, moves: &mut Vec<Move>) {
        let mut tell = |event| moves.push(Move::Tell(event));
        let slot = facts.slot;
        table.commands.iter().for_each(|command| tell(command(slot)));
        for life in facts.others.lives() {
            let worker = life.worker;
            if life.has_leader {
                let exit = table.exits[0];
                for remains in table.remains.iter().copied() {
                    tell(Event::Exited { worker, exit, remains });
                }
            } else {
                tell(Event::Emptied(worker));
            }
            if facts.others.is_spare(worker) {
                tell(Event::Waits(worker));
            }
        }
        if facts.generation == 0 || (facts.life.is_none() && !table.has_late_events) {
            return;
        }
        let worker = WorkerId { slot, generation: facts.generation };
        if facts.others.retiring.is_some() {
            tell(Event::Listens(worker));
        }
        if facts.has_probe() {
            tell(Event::Ready(worker));
        }
        tell(Event::Hung(worker));
        match &facts.life {
            Some(life) if life.has_leader => {
                for exit in table.exits.iter().copied() {
                    for remains in table.remains.iter().copied() {
                        tell(Event::Exited { worker, exit, remains });
                    }
                }
            }
            Some(_) => tell(Event::Emptied(worker)),
            None => {}
        }
        if table.has_late_events {
            let last = WorkerId { slot, generation: facts.generation - 1 };
            events_of(last, Exit::Code(1)).into_iter().for_each(tell);
        }
    }

    /// True if a deadline has come and no tick was told since.
    pub fn is_due(&self) -> bool {
        self.supervisor.next_deadline().is_some_and(|deadline| deadline <= self.now)
    }

    /// Makes one move. A panic is a broken law too: the supervisor asserts what cannot happen.
    pub fn step(&self, made: Move, table: &Table) -> Result<Step, Broken> {
        let caught = catch_unwind(AssertUnwindSafe(|| match made {
            Move::Later => {
                let later = Self { now: self.now + UNIT, cause: None, ..self.clone() };
                Ok(Step { actions: Vec::new(), next: vec![later] })
            }
            Move::Tell(event) => self.tell(Told::Event(event)),
            Move::Plan(n) => self.tell(Told::Plan(&table.plans[n])),
        }));
        caught.unwrap_or_else(|_| {
            Err(Broken { law: "the supervisor does not panic", how: "see above".into() })
        })
    }

    /// The answer to a move that breaks a law, as far as it came.
    pub fn answer(&self, made: Move, table: &Table) -> Vec<Action> {
        let mut supervisor = self.supervisor.clone();
        let mut actions = Vec::new();
        let answer = AssertUnwindSafe(|| match made {
            Move::Later => {}
            Move::Tell(event) => supervisor.handle(event, self.now, &mut actions),
            Move::Plan(n) => supervisor.revise(table.plans[n].clone(), self.now, &mut actions),
        });
        // A panic was told before.
        let _ = catch_unwind(answer);
        actions
    }

    fn tell(&self, told: Told) -> Result<Step, Broken> {
        let mut state = self.clone();
        let State { now, supervisor, record, .. } = &mut state;
        let mut actions = Vec::new();
        let mut is_ignored = false;
        match told {
            Told::Event(event) => {
                is_ignored = laws::changes_nothing(event, record, *now);
                supervisor.handle(event, *now, &mut actions);
                record.note_event(event, *now);
            }
            Told::Plan(spec) => {
                supervisor.revise(spec.clone(), *now, &mut actions);
                record.note_plan(spec, *now);
            }
        }
        let debug = |supervisor: &Supervisor| format!("{supervisor:?}");
        laws::check_answer(&Answer {
            told,
            now: *now,
            actions: &actions,
            slots_before: &slots(&self.supervisor),
            slots: &slots(supervisor),
            before: &self.record,
            after: record,
            is_changed: is_ignored && debug(&self.supervisor) != debug(supervisor),
        })?;
        match told {
            Told::Event(event) if self.pending.front() == Some(&event) => {
                state.pending.pop_front();
            }
            Told::Event(event) => state.cause = Some(event),
            Told::Plan(_) => state.cause = None,
        }
        if let Told::Event(
            Event::Exited { worker, remains: Remains::Nothing, .. } | Event::Emptied(worker),
        ) = told
        {
            state.groups.retain(|group| *group != worker);
        }
        Ok(Step { next: state.carry_out(&actions), actions })
    }

    /// One state for each way in which the spawns among the actions can end.
    fn carry_out(mut self, actions: &[Action]) -> Vec<Self> {
        let is_spawn =
            |action: &&Action| matches!(action, Action::Spawn { .. } | Action::Prepare { .. });
        let spawns = actions.iter().filter(is_spawn).count();
        if spawns == 0 {
            self.note(actions, 0);
            return vec![self];
        }
        let with_failures = |failures| {
            let mut state = self.clone();
            state.note(actions, failures);
            state
        };
        (0..1 << spawns).map(with_failures).collect()
    }

    /// Notes that the actions were carried out. Bit n of `failures` tells whether the n-th spawn has failed.
    fn note(&mut self, actions: &[Action], failures: u32) {
        let mut spawns = 0;
        for action in actions {
            let mut has_process = false;
            if let Action::Move { from, to, .. } = action {
                let own = self.groups.iter_mut().filter(|group| **group == *from);
                own.for_each(|group| *group = *to);
                self.rename_pending(*from, *to);
            }
            if let Action::Spawn { worker, .. } | Action::Prepare { worker, .. } = action {
                has_process = failures & 1 << spawns == 0;
                spawns += 1;
                if has_process {
                    self.groups.push(*worker);
                }
                let answer = if has_process { Event::Spawned } else { Event::SpawnFailed };
                self.pending.push_back(answer(*worker));
            }
            self.record.note_action(*action, has_process, self.now);
        }
        self.record.settle(self.now);
    }

    /// What is under way about one worker is about another one from now on.
    fn rename_pending(&mut self, from: WorkerId, to: WorkerId) {
        for event in &mut self.pending {
            if *event == Event::Spawned(from) {
                *event = Event::Spawned(to);
            }
        }
    }

    /// The laws of a settled state, if all that follows from its cause is done.
    pub fn check(&self) -> Result<(), Broken> {
        if self.pending.is_empty() { laws::check_settled(&self.settled()) } else { Ok(()) }
    }

    pub fn settled(&self) -> Settled<'_> {
        Settled {
            event: self.cause,
            now: self.now,
            supervisor: &self.supervisor,
            record: &self.record,
            groups: self.groups.clone(),
        }
    }

    /// What each slot is at, in one line.
    pub fn describe(&self, epoch: Instant) -> String {
        let brief = |slot: &Slot| {
            let phase = slot.phase();
            let until = |at: Instant| format!("@{}", (at - epoch).as_secs_f64().round());
            let until = phase.deadline().map(until).unwrap_or_default();
            let life = self.record.of(slot.id()).and_then(|facts| facts.life.as_ref());
            let is_leaderless = life.is_some_and(|life| !life.has_leader);
            let remark = if is_leaderless { " (no leader)" } else { "" };
            let name = crate::coverage::phase_name(phase);
            format!("{} {:?} {name}{until}{remark}", slot.id().0, slot.wanted())
        };
        self.supervisor.slots().map(brief).collect::<Vec<_>>().join("   ")
    }
}

/// How a run goes on when nothing unexpected happens any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// pm was asked to stop, and each worker exits when it is told to.
    Obedient,
    /// pm was asked to stop, and each worker stays as long as it can.
    Stubborn,
    /// pm was not asked to stop; each worker becomes ready, and exits only when it is told to.
    Calm,
}

impl Course {
    pub const ALL: [Self; 3] = [Self::Obedient, Self::Stubborn, Self::Calm];

    /// The next move on this course. `None` if the run is not on this course, or the course ends here.
    pub fn next(self, state: &State) -> Option<Move> {
        if let Some(event) = state.pending.front() {
            return Some(Move::Tell(*event));
        }
        let is_stop = self != Self::Calm;
        if state.record.is_finished() || state.record.is_draining() != is_stop {
            return None;
        }
        let lives = || state.record.slots.iter().flat_map(Facts::lives);
        let exit = |exit, remains| {
            move |life: &Life| {
                let worker = life.worker;
                Move::Tell(if life.has_leader {
                    Event::Exited { worker, exit, remains }
                } else {
                    Event::Emptied(worker)
                })
            }
        };
        let deadline = state.supervisor.next_deadline();
        let tick = state.is_due().then_some(Move::Tell(Event::Tick));
        let later = deadline.is_some().then_some(Move::Later);
        match self {
            Self::Obedient | Self::Calm => {
                let told = lives().find(|life| life.was_signalled());
                let current = || state.record.slots.iter().filter_map(|facts| facts.life.as_ref());
                let starting = current().find(|life| self == Self::Calm && life.is_starting());
                let is_probed =
                    |life: &&Life| state.record.of(life.worker.slot).is_some_and(Facts::has_probe);
                let spares =
                    state.record.slots.iter().filter_map(|facts| facts.others.spare.as_ref());
                let mut coming = spares.filter(|spare| {
                    self == Self::Calm && !spare.waits() && spare.life.is_unsignalled()
                });
                let coming = coming.next().map(|spare| Move::Tell(Event::Waits(spare.life.worker)));
                told.map(exit(Exit::Code(0), Remains::Nothing))
                    .or(starting
                        .filter(is_probed)
                        .map(|life| Move::Tell(Event::Ready(life.worker))))
                    .or(coming)
                    .or(tick)
                    .or(later)
            }
            Self::Stubborn => {
                let killed = lives().find(|life| life.killed_at.is_some());
                tick.or(killed.map(exit(Exit::Signal(9), Remains::Members))).or(later)
            }
        }
    }

    /// What must be true where this course ends.
    pub fn check_end(self, state: &State) -> Result<(), Broken> {
        match self {
            Self::Calm if !state.record.is_draining() => laws::check_calm(&state.settled()),
            Self::Calm => Ok(()),
            Self::Obedient | Self::Stubborn if !state.record.is_draining() => Ok(()),
            Self::Obedient | Self::Stubborn => laws::check_end(&state.settled()),
        }
    }
}

fn slots(supervisor: &Supervisor) -> Vec<Slot> {
    supervisor.slots().cloned().collect()
}
