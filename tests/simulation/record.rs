//! What an observer knows of the whole table: commands, wishes and plans, which pool needs which, and how the run must
//! end.
//!
//! The laws compare this with what the supervisor answers. Nothing here is asked of the supervisor under test; only its
//! actions are noted, when they have been carried out. What is known of one slot is in `facts/`.

mod spares;

use std::time::{Duration, Instant};

use pm::supervisor::{
    Action, Event, Exit, Failed, Outcome, PoolEnd, PoolId, Remains, SlotFailure, SlotId, TableSpec,
    Wish, WorkerId,
};

use crate::facts::Facts;
use crate::life::Life;

/// Two wishes within this time are one.
const ONE_WISH: Duration = Duration::from_millis(20);

/// What is left so long after a kill is not ended by SIGKILL.
const KILL_AGAIN: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub struct Record {
    /// What each pool comes after. A pool that the plan has lost is kept as it was.
    pub pools: Vec<(PoolId, Vec<PoolId>)>,
    /// In the order of their ids.
    pub slots: Vec<Facts>,
    /// How many spares the slots of each pool share.
    pub spares: Vec<(PoolId, usize)>,
    /// The pools that end the run, in order.
    pub ends_run: Vec<PoolId>,
    /// How a pool has ended the run, if one has.
    pub ended_by: Option<PoolEnd>,
    /// When pm was first asked to stop, or a pool has ended the run.
    pub asked_at: Option<Instant>,
    /// When a wish first led to a kill.
    pub killing_since: Option<Instant>,
    pub finished: Vec<Outcome>,
    /// The first exit that was not a success among the exits that ended their slots.
    pub first_failure: Option<Exit>,
}

/// What a wish must lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    Drain,
    Kill,
    Leave,
    Nothing,
}

impl Record {
    pub fn new(spec: &TableSpec, now: Instant) -> Self {
        let slots = spec.slots.iter().map(|entry| Facts::new(entry, now));
        let pools = spec.pools.iter().map(|entry| (entry.pool, entry.after.clone()));
        Self {
            pools: pools.collect(),
            spares: spares(spec),
            ends_run: ends_run(spec),
            ended_by: None,
            slots: slots.collect(),
            asked_at: None,
            killing_since: None,
            finished: Vec::new(),
            first_failure: None,
        }
    }

    /// What is known of this slot, if it is in the table.
    pub fn of(&self, slot: SlotId) -> Option<&Facts> {
        self.slots.iter().find(|facts| facts.slot == slot)
    }

    /// True if this is the latest worker of its slot.
    pub fn is_latest(&self, worker: WorkerId) -> bool {
        self.of(worker.slot).is_some_and(|facts| facts.generation == worker.generation)
    }

    /// The life of this current worker, while it lasts.
    pub fn life(&self, worker: WorkerId) -> Option<&Life> {
        self.of(worker.slot)?.life.as_ref().filter(|life| life.worker == worker)
    }

    pub fn slots_of(&self, pool: PoolId) -> impl Iterator<Item = &Facts> {
        self.slots.iter().filter(move |facts| facts.pool == pool)
    }

    pub fn is_draining(&self) -> bool {
        self.asked_at.is_some()
    }

    pub fn is_finished(&self) -> bool {
        !self.finished.is_empty()
    }

    /// What this wish must lead to now.
    pub fn grant(&self, wish: Wish, now: Instant) -> Grant {
        let is_kill = matches!(wish, Wish::Quit | Wish::ShutdownNow);
        let may_repeat = !is_kill && wish != Wish::GuardGone;
        let is_repeated = self.asked_at.is_some_and(|at| now - at < ONE_WISH) && may_repeat;
        let is_gentle = matches!(wish, Wish::Hangup | Wish::GuardGone);
        let is_first = !self.is_draining() && !self.is_finished();
        if is_repeated || (is_gentle && !is_first) {
            Grant::Nothing
        } else if self.is_finished() || self.has_killed_in_vain(now) {
            Grant::Leave
        } else if is_first && !is_kill {
            Grant::Drain
        } else {
            Grant::Kill
        }
    }

    /// True if a wish has led to a kill so long ago that what is left cannot be killed.
    pub fn has_killed_in_vain(&self, now: Instant) -> bool {
        self.killing_since.is_some_and(|since| now - since >= KILL_AGAIN)
    }

    /// The pools that this one comes after and that are not ready.
    pub fn unmet(&self, pool: PoolId) -> Vec<PoolId> {
        let unmet = |pool: &&PoolId| self.slots_of(**pool).any(|facts| !facts.is_met());
        self.after(pool).iter().filter(unmet).copied().collect()
    }

    /// True if `pool` comes after `needed`, directly or indirectly.
    pub fn comes_after(&self, pool: PoolId, needed: PoolId) -> bool {
        self.after(pool).iter().any(|direct| *direct == needed || self.comes_after(*direct, needed))
    }

    /// A slot that needs this pool, is wanted down and is not empty.
    pub fn stopping_that_needs(&self, pool: PoolId) -> Option<SlotId> {
        let needs = |facts: &&Facts| facts.blocks_stop() && self.comes_after(facts.pool, pool);
        self.slots.iter().find(needs).map(|facts| facts.slot)
    }

    /// True if nothing is left to do.
    pub fn is_over(&self) -> bool {
        let mut left = self.slots.iter().filter(|facts| !facts.is_forgotten()).peekable();
        if self.is_draining() {
            return left.all(|facts| facts.life.is_none() && facts.others.are_gone());
        }
        // The next tick ends it.
        if self.run_end().is_some() {
            return false;
        }
        let is_blocked =
            |facts: &Facts| facts.waits_to_start() && !self.unmet(facts.pool).is_empty();
        left.peek().is_some() && left.all(|facts| facts.has_ended() || is_blocked(facts))
    }

    /// The outcome that a run which is over must have.
    pub fn outcome(&self) -> Outcome {
        if let Some(end) = self.ended_by {
            let failed = match end {
                PoolEnd::Ended { failed, .. } => failed,
                PoolEnd::Blocked { failed, .. } => Some(failed),
            };
            return match failed.map(|failed| failed.how) {
                None => Outcome::Ended(None),
                Some(SlotFailure::Exit(exit)) => Outcome::Ended(Some(exit)),
                Some(SlotFailure::GaveUp) => Outcome::GaveUp,
            };
        }
        if self.is_draining() {
            Outcome::Stopped
        } else if self.slots.iter().any(Facts::has_given_up) {
            Outcome::GaveUp
        } else {
            Outcome::Ended(self.first_failure)
        }
    }

    /// How the next tick must end the run: a pool that ends it has ended, or waits for a slot that has failed for good.
    pub fn run_end(&self) -> Option<PoolEnd> {
        if self.is_draining() || self.is_finished() {
            return None;
        }
        self.ends_run.iter().copied().find_map(|pool| {
            let mut slots = self.slots_of(pool).filter(|facts| !facts.is_forgotten()).peekable();
            let waits = self.slots_of(pool).any(Facts::waits_to_start);
            if slots.peek().is_some() && slots.all(Facts::has_ended) {
                return Some(PoolEnd::Ended { pool, failed: self.failed(pool) });
            }
            let failed = if waits { self.blocking(pool)? } else { return None };
            Some(PoolEnd::Blocked { pool, failed })
        })
    }

    /// The first slot of this pool that has given up, or else the first that has failed.
    fn failed(&self, pool: PoolId) -> Option<Failed> {
        let failed = |facts: &Facts| Some(Failed { slot: facts.slot, how: facts.failure()? });
        let all: Vec<Failed> = self.slots_of(pool).filter_map(failed).collect();
        let gave_up = all.iter().find(|failed| failed.how == SlotFailure::GaveUp);
        gave_up.or(all.first()).copied()
    }

    /// A failed slot that this pool waits for, directly or by way of pools that wait.
    fn blocking(&self, pool: PoolId) -> Option<Failed> {
        self.after(pool).iter().copied().find_map(|needed| {
            let waits = self.slots_of(needed).any(Facts::waits_to_start);
            self.failed(needed).or_else(|| if waits { self.blocking(needed) } else { None })
        })
    }

    /// Notes what happened, before the answer to it is carried out.
    pub fn note_event(&mut self, event: Event, now: Instant) {
        self.note_any_event(event, now);
        self.take_turns();
    }

    fn note_any_event(&mut self, event: Event, now: Instant) {
        if let Some(worker) = worker_of(event)
            && self.other_life(worker).is_some()
        {
            return self.note_event_of_other(worker, event, now);
        }
        let is_alive = worker_of(event).is_none_or(|worker| self.life(worker).is_some());
        let may_start = !self.is_draining() && !self.is_finished();
        match event {
            Event::Asked(wish) => match self.grant(wish, now) {
                Grant::Drain => self.be_asked(now),
                Grant::Kill => {
                    self.be_asked(now);
                    self.killing_since.get_or_insert(now);
                }
                Grant::Leave | Grant::Nothing => {}
            },
            Event::Tick => {
                if let Some(end) = self.run_end() {
                    self.ended_by = Some(end);
                    self.be_asked(now);
                }
                self.slots.iter_mut().for_each(|facts| facts.pass_time(now));
                self.slots.iter_mut().for_each(|facts| facts.judge_spare(now));
            }
            Event::Start(slot) => {
                if let Some(facts) = self.slot(slot).filter(|_| may_start) {
                    facts.start(now);
                }
            }
            Event::Restart(slot) => {
                if let Some(facts) = self.slot(slot).filter(|_| may_start) {
                    facts.restart(now);
                }
            }
            Event::Roll(slot) => {
                if let Some(facts) = self.slot(slot).filter(|_| may_start) {
                    facts.roll(now);
                }
            }
            Event::Withdraw(slot) => {
                if let Some(facts) = self.slot(slot) {
                    facts.withdraw();
                }
            }
            Event::Stop(slot) | Event::Kill(slot) => {
                if let Some(facts) = self.slot(slot) {
                    facts.stop();
                }
            }
            Event::SpawnFailed(worker) => {
                if self.is_latest(worker) {
                    self.facts(worker).fail_spawn(now);
                }
            }
            Event::Ready(_) | Event::Hung(_) | Event::Spawned(_) if !is_alive => {}
            Event::Exited { .. } | Event::Emptied(_) if !is_alive => {}
            Event::Waits(_) | Event::Listens(_) => {}
            Event::Ready(worker) => self.facts(worker).become_ready(now),
            Event::Hung(worker) => self.facts(worker).hang(now),
            Event::Spawned(worker) => self.facts(worker).be_execd(now),
            Event::Exited { worker, exit, remains } => {
                self.facts(worker).pass_time(now);
                if let Some(failure) = self.facts(worker).lose_leader(exit, now) {
                    self.first_failure.get_or_insert(failure);
                }
                self.facts(worker).be_emptied(remains, now);
            }
            Event::Emptied(worker) => self.facts(worker).be_emptied(Remains::Nothing, now),
        }
    }

    /// Notes that the plan has changed, before the answer to it is carried out. A run that is over takes in no plan.
    pub fn note_plan(&mut self, spec: &TableSpec, now: Instant) {
        if self.is_finished() {
            return;
        }
        let is_planned = |id: &SlotId| spec.slots.iter().any(|entry| entry.slot == *id);
        for facts in self.slots.iter_mut().filter(|facts| !is_planned(&facts.slot)) {
            facts.remove();
        }
        for entry in &spec.slots {
            match self.slot(entry.slot) {
                Some(facts) => facts.revise(entry, now),
                None => self.slots.push(Facts::new(entry, now)),
            }
        }
        self.slots.sort_by_key(|facts| facts.slot);
        self.pools.retain(|(pool, _)| !spec.pools.iter().any(|entry| entry.pool == *pool));
        self.pools.extend(spec.pools.iter().map(|entry| (entry.pool, entry.after.clone())));
        self.spares = spares(spec);
        self.ends_run = ends_run(spec);
        self.take_turns();
    }

    /// Notes what was done. `has_process` tells whether a spawn succeeded.
    pub fn note_action(&mut self, action: Action, has_process: bool, now: Instant) {
        match action {
            Action::Spawn { worker, revision, port: _ } => {
                let life = has_process.then(|| Life::new(worker, revision, now));
                self.facts(worker).be_spawned(worker, life);
            }
            Action::Prepare { worker, revision } => {
                self.facts(worker).prepare_spare(worker, revision, now);
            }
            Action::Move { from, to, revision } => self.move_spare(from, to, revision),
            Action::Admit(worker) => self.facts(worker).admit_spare(now),
            Action::Terminate(worker) if !self.is_latest(worker) => {
                self.facts(worker).signal_other(worker, false, now);
            }
            Action::Kill(worker) if !self.is_latest(worker) => {
                self.facts(worker).signal_other(worker, true, now);
            }
            Action::Terminate(worker) => self.facts(worker).be_signalled(now),
            Action::Kill(worker) => self.facts(worker).be_killed(now),
            Action::Finish { outcome, stopping_since: _ } => self.finished.push(outcome),
            Action::Report(_) | Action::ReportStop(_) | Action::Leave => {}
        }
    }

    /// All that followed at once was done: forgets the slots that are gone, and ends the rolls in which all slots are
    /// ready.
    pub fn settle(&mut self, now: Instant) {
        self.slots.retain(|facts| !facts.is_forgotten());
        self.slots.iter_mut().for_each(|facts| facts.settle_spare(now));
        for pool in Vec::from_iter(self.slots.iter().map(|facts| facts.pool)) {
            let goes_on = |facts: &Facts| facts.is_to_be_replaced() || facts.blocks_roll();
            if !self.slots_of(pool).any(goes_on) {
                let slots = self.slots.iter_mut().filter(|facts| facts.pool == pool);
                slots.for_each(|facts| facts.was_replaced = false);
            }
        }
        self.take_turns();
    }

    /// A wish to stop was granted, or a pool has ended the run.
    fn be_asked(&mut self, now: Instant) {
        self.asked_at.get_or_insert(now);
        self.slots.iter_mut().for_each(Facts::stop);
    }

    fn after(&self, pool: PoolId) -> &[PoolId] {
        let known = self.pools.iter().find(|(known, _)| *known == pool);
        known.map_or(&[], |(_, after)| after)
    }

    fn slot(&mut self, slot: SlotId) -> Option<&mut Facts> {
        self.slots.iter_mut().find(|facts| facts.slot == slot)
    }

    fn facts(&mut self, worker: WorkerId) -> &mut Facts {
        self.slot(worker.slot).expect("a law has checked that there is such a slot")
    }
}

fn spares(spec: &TableSpec) -> Vec<(PoolId, usize)> {
    spec.pools.iter().map(|entry| (entry.pool, entry.spares)).collect()
}

fn ends_run(spec: &TableSpec) -> Vec<PoolId> {
    let entries = spec.pools.iter().filter(|entry| entry.ends_run);
    let mut pools: Vec<PoolId> = entries.map(|entry| entry.pool).collect();
    pools.sort();
    pools
}

/// The worker that this event is about.
pub fn worker_of(event: Event) -> Option<WorkerId> {
    match event {
        Event::Ready(worker)
        | Event::Hung(worker)
        | Event::Spawned(worker)
        | Event::SpawnFailed(worker)
        | Event::Exited { worker, .. }
        | Event::Emptied(worker)
        | Event::Waits(worker)
        | Event::Listens(worker) => Some(worker),
        Event::Start(_) | Event::Stop(_) | Event::Kill(_) => None,
        Event::Restart(_) | Event::Roll(_) | Event::Withdraw(_) => None,
        Event::Asked(_) | Event::Tick => None,
    }
}
