//! The three workers that a slot may have at once, and what concerns more than one of them.
//!
//! The current worker is what the phase is about. A [`super::spare`] takes its place; it is [`super::retiring`] then,
//! if it is still there.

use std::time::Instant;

use super::super::event::{Action, PortProbe, Transition};
use super::super::ids::{Revision, WorkerId};
use super::super::phase::{Input, News, Phase, Roll, Target, Wanted};
use super::super::policy::SpareRule;
use super::Slot;
use super::retiring::Retiring;
use super::spare::Spare;

/// Which of its workers a slot is told about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Seat {
    Current,
    Spare,
    Retiring,
}

impl Slot {
    /// Which worker of this slot it is. `None` if it is not there any more.
    pub(in super::super) fn seat(&self, worker: WorkerId) -> Option<Seat> {
        if worker.generation == self.generation {
            return Some(Seat::Current);
        }
        let spare = self.spare().filter(|(spare, phase)| *spare == worker && phase.has_worker());
        let retiring = self.retiring().filter(|(retiring, _)| *retiring == worker);
        spare.map(|_| Seat::Spare).or(retiring.map(|_| Seat::Retiring))
    }

    /// Something has happened to one of its workers.
    pub(in super::super) fn step_at(
        &mut self,
        seat: Seat,
        news: News,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        match seat {
            Seat::Current => self.step_current(news.into(), now, actions),
            Seat::Spare => self.step_spare(news, now, actions),
            Seat::Retiring => self.step_retiring(news, now, actions),
        }
        self.settle_others(now, actions);
    }

    /// A deadline of the slot has come.
    pub(in super::super) fn tick(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let is_due = |deadline: Option<Instant>| deadline.is_some_and(|at| at <= now);
        if is_due(self.phase.deadline()) {
            self.step_current(Input::Tick, now, actions);
        }
        if is_due(self.spare.as_ref().and_then(|spare| spare.phase().deadline())) {
            self.step_spare(News::Tick, now, actions);
        }
        if is_due(self.retiring.as_ref().and_then(|retiring| retiring.phase().deadline())) {
            self.step_retiring(News::Tick, now, actions);
        }
        self.settle_others(now, actions);
    }

    /// When the slot changes by itself: the earliest deadline of its workers.
    pub fn deadline(&self) -> Option<Instant> {
        let others = [
            self.spare.as_ref().and_then(|spare| spare.phase().deadline()),
            self.retiring.as_ref().and_then(|retiring| retiring.phase().deadline()),
            self.spare_deadline(),
        ];
        others.into_iter().flatten().chain(self.phase.deadline()).min()
    }

    /// True if a worker of this revision is there or may still be spawned. The launch specs of all other revisions can
    /// be forgotten.
    pub fn needs(&self, revision: Revision) -> bool {
        let of_others = [
            self.spare.as_ref().map(|spare| spare.revision()),
            self.retiring.as_ref().map(|retiring| retiring.revision()),
        ];
        self.revision == revision
            || self.due_revision() == Some(revision)
            || of_others.contains(&Some(revision))
    }

    /// Its workers of which some process is there.
    pub fn workers(&self) -> impl Iterator<Item = WorkerId> {
        let current = self.phase.has_worker().then(|| self.worker());
        let spare = self.spare().filter(|(_, phase)| phase.has_worker());
        let others = [spare.map(|(worker, _)| worker), self.retiring().map(|(worker, _)| worker)];
        current.into_iter().chain(others.into_iter().flatten())
    }

    /// True if it is idle and no process of any worker is there.
    pub fn is_empty(&self) -> bool {
        self.phase == Phase::Idle && !self.has_others()
    }

    /// Its workers that were sent a stop signal or SIGKILL and are not gone.
    pub fn ending(&self) -> impl Iterator<Item = WorkerId> {
        let current = self.phase.is_ending().then(|| self.worker());
        let spare = self.spare().filter(|(_, phase)| phase.is_ending());
        let retiring = self.retiring().filter(|(_, phase)| phase.is_ending());
        let others = [spare.map(|(worker, _)| worker), retiring.map(|(worker, _)| worker)];
        current.into_iter().chain(others.into_iter().flatten())
    }

    /// True if some process is there of a worker that is not the current one.
    pub(in super::super) fn has_others(&self) -> bool {
        self.spare.as_ref().is_some_and(|spare| spare.phase().has_worker())
            || self.retiring.is_some()
    }

    /// The number of the worker that has followed this one as the current worker, or that will if it is spawned.
    pub fn successor_of(&self, worker: WorkerId) -> u64 {
        if self.generation > worker.generation { self.generation } else { self.last_generation + 1 }
    }

    /// The number of a new worker.
    pub(super) fn number_worker(&mut self) -> u64 {
        self.last_generation += 1;
        self.last_generation
    }

    /// True if a ready worker is replaced by a spare.
    pub(super) fn has_spares(&self) -> bool {
        let next = self.roll.target().map_or(self.policy.spare, |target| target.policy.spare);
        self.policy.spare != SpareRule::Never && next != SpareRule::Never
    }

    /// False if no spare can be due, whatever the slot is at: neither its rules nor those of its next worker have one.
    fn may_need_spare(&self) -> bool {
        let next = self.roll.target().map(|target| target.policy.spare);
        self.policy.spare != SpareRule::Never || next.is_some_and(|rule| rule != SpareRule::Never)
    }

    /// True if its ready worker stays only until a spare takes over.
    pub fn has_turn(&self) -> bool {
        self.roll.has_turn()
    }

    /// The ready worker is to be replaced by a spare, now.
    pub(super) fn take_turn(&mut self) {
        if !self.roll.is_due() {
            self.roll.set_due(Target { revision: self.revision, policy: self.policy });
        }
        self.roll.take_turn();
        self.retry_spare();
    }

    /// What follows for the spare and for the retiring worker from what the slot is at.
    pub(super) fn settle_others(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.holds_spare = self.holds_spare && self.may_hold_spare();
        let has_turn = self.roll.has_turn();
        let has_others = self.spare.is_some() || self.retiring.is_some();
        if !has_turn && !has_others && !self.may_need_spare() {
            return;
        }
        if has_turn {
            self.go_on_with_turn(now, actions);
        }
        self.settle_retiring(now, actions);
        self.settle_spare(now, actions);
    }

    /// A command kills all that is there.
    pub(super) fn kill_others(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.kill_spare(now, actions);
        self.kill_retiring(now, actions);
    }

    /// The ready worker is to be replaced: its successor takes over once it waits at its bind.
    fn go_on_with_turn(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if self.wanted != Wanted::Up || !self.has_spares() {
            // It was stopped, or the plan has changed: others go on meanwhile, and it waits for its turn again.
            return self.roll.lose_turn();
        }
        if !matches!(self.phase, Phase::Ready { .. }) {
            return;
        }
        let is_free = self.retiring.is_none();
        let Some(spare) = is_free.then(|| self.take_waiting_spare()).flatten() else { return };
        actions.push(Action::Report(Transition::Replacing(self.worker())));
        self.retiring =
            Some(Box::new(Retiring::new(self.generation, self.revision, self.policy.grace)));
        if let Some(target) = self.roll.target() {
            self.adopt(target);
        }
        self.roll = Roll::Done;
        self.forget_failures();
        self.admit(spare, now, actions);
    }

    /// The spare is the current worker from now on.
    pub(super) fn admit(&mut self, spare: Spare, now: Instant, actions: &mut Vec<Action>) {
        self.generation = spare.generation;
        self.port = PortProbe::Needed;
        actions.push(Action::Admit(self.worker()));
        let has_execd = spare.has_execd();
        // Its time to become ready begins now.
        self.start_since(now, has_execd.then_some(now));
        if has_execd && self.policy.ready.is_at_exec() {
            self.become_ready(now, actions);
        }
    }
}
