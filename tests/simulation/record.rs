//! What an observer knows of the whole table: commands and plans, who needs whom, and how the run must end.
//!
//! The laws compare this with what the supervisor says and does. Nothing here is asked of the supervisor under test;
//! only its actions are noted, when they have been carried out. What is known of one slot is in `facts.rs`.

use std::time::Instant;

use pm::supervisor::{Action, Event, Exit, Outcome, PoolId, SlotId, TableSpec, WorkerId};

use crate::facts::{Due, Facts, Wish};
use crate::life::Life;

#[derive(Clone)]
pub struct Record {
    /// What each pool comes after; that of a pool which the plan has lost is as it was then.
    pub pools: Vec<(PoolId, Vec<PoolId>)>,
    /// In the order of their ids.
    pub slots: Vec<Facts>,
    /// Shutdown or Kill was commanded.
    pub draining: bool,
    /// Kill was commanded.
    pub killing: bool,
    pub finished: Vec<Outcome>,
    /// The first exit that was not a success among those that ended their slot.
    pub first_failure: Option<Exit>,
}

impl Record {
    pub fn new(roster: &TableSpec, now: Instant) -> Self {
        let slots = roster.slots.iter().map(|entry| Facts::new(entry, now));
        let pools = roster.pools.iter().map(|entry| (entry.pool, entry.after.clone()));
        Self {
            pools: pools.collect(),
            slots: slots.collect(),
            draining: false,
            killing: false,
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

    /// The life of this very worker, while it lasts.
    pub fn life(&self, worker: WorkerId) -> Option<&Life> {
        self.of(worker.slot)?.life.as_ref().filter(|life| life.worker == worker)
    }

    pub fn slots_of(&self, pool: PoolId) -> impl Iterator<Item = &Facts> {
        self.slots.iter().filter(move |facts| facts.pool == pool)
    }

    /// The pools that this one comes after and that are not ready.
    pub fn unmet(&self, pool: PoolId) -> Vec<PoolId> {
        let unmet = |pool: &&PoolId| self.slots_of(**pool).any(|facts| !facts.is_met());
        self.after(pool).iter().filter(unmet).copied().collect()
    }

    /// True if `pool` comes after `needed`, directly or by way of others.
    pub fn comes_after(&self, pool: PoolId, needed: PoolId) -> bool {
        self.after(pool).iter().any(|direct| *direct == needed || self.comes_after(*direct, needed))
    }

    /// Somebody who is to go, is not gone, and needs this pool.
    pub fn leaving_that_needs(&self, pool: PoolId) -> Option<SlotId> {
        let needs = |facts: &&Facts| facts.is_leaving() && self.comes_after(facts.pool, pool);
        self.slots.iter().find(needs).map(|facts| facts.slot)
    }

    /// True if nothing is left to do.
    pub fn is_over(&self) -> bool {
        let mut left = self.slots.iter().filter(|facts| !facts.is_forgotten()).peekable();
        if self.draining {
            return left.all(|facts| facts.life.is_none());
        }
        let blocked = |facts: &Facts| facts.due == Due::Turn && !self.unmet(facts.pool).is_empty();
        let idle = |facts: &Facts| facts.life.is_none() && blocked(facts);
        left.peek().is_some() && left.all(|facts| facts.is_at_an_end() || idle(facts))
    }

    /// The outcome that a run which is over must have.
    pub fn outcome(&self) -> Outcome {
        let gave_up = |facts: &Facts| {
            facts.life.is_none() && matches!(facts.due, Due::GivenUp | Due::TooOften)
        };
        if self.draining {
            Outcome::Stopped
        } else if self.slots.iter().any(gave_up) {
            Outcome::GaveUp
        } else {
            Outcome::Ended(self.first_failure)
        }
    }

    /// Notes what happened, before the answer to it is carried out.
    pub fn happened(&mut self, event: Event, now: Instant) {
        let alive = worker_of(event).is_none_or(|worker| self.life(worker).is_some());
        let may_start = !self.draining && self.finished.is_empty();
        match event {
            Event::Shutdown | Event::Kill => {
                self.draining = true;
                self.killing |= event == Event::Kill;
                self.slots.iter_mut().for_each(Facts::stop);
            }
            Event::Tick => self.slots.iter_mut().for_each(|facts| facts.time_passed(now)),
            Event::Start(slot) => {
                if let Some(facts) = self.slot(slot).filter(|_| may_start) {
                    facts.start(now);
                }
            }
            Event::Stop(slot) => {
                if let Some(facts) = self.slot(slot) {
                    facts.stop();
                }
            }
            Event::SpawnFailed(worker) => {
                if self.is_latest(worker) && !alive {
                    self.facts(worker).unspawned(now);
                }
            }
            Event::Ready(_) | Event::Hung(_) | Event::Spawned(_) if !alive => {}
            Event::Exited { .. } | Event::Emptied(_) if !alive => {}
            Event::Ready(worker) => self.facts(worker).said_to_serve(),
            Event::Hung(worker) => self.facts(worker).said_to_hang(now),
            Event::Spawned(worker) => {
                if self.facts(worker).is_born_ready() {
                    self.facts(worker).said_to_serve();
                }
            }
            Event::Exited { worker, exit, remains } => {
                self.facts(worker).time_passed(now);
                if let Some(failure) = self.facts(worker).leader_died(exit, now) {
                    self.first_failure.get_or_insert(failure);
                }
                self.facts(worker).emptied(remains, now);
            }
            Event::Emptied(worker) => {
                self.facts(worker).emptied(pm::supervisor::Remains::Nothing, now);
            }
        }
    }

    /// Notes that the plan has changed, before the answer to it is carried out. It comes too late for a run that is
    /// over.
    pub fn revised(&mut self, roster: &TableSpec, now: Instant) {
        if !self.finished.is_empty() {
            return;
        }
        let planned = |id: &SlotId| roster.slots.iter().any(|entry| entry.slot == *id);
        for facts in self.slots.iter_mut().filter(|facts| !planned(&facts.slot)) {
            facts.remove();
        }
        for entry in &roster.slots {
            match self.slot(entry.slot) {
                Some(facts) => facts.revise(entry, now),
                None => self.slots.push(Facts::new(entry, now)),
            }
        }
        self.slots.sort_by_key(|facts| facts.slot);
        self.pools.retain(|(pool, _)| !roster.pools.iter().any(|entry| entry.pool == *pool));
        self.pools.extend(roster.pools.iter().map(|entry| (entry.pool, entry.after.clone())));
    }

    /// Notes what was done. `spawned` tells whether a spawn succeeded.
    pub fn done(&mut self, action: Action, spawned: bool, now: Instant) {
        match action {
            Action::Spawn(worker) => self.facts(worker).spawned(worker, spawned, now),
            Action::Terminate(worker) => self.facts(worker).signalled(false, now),
            Action::Kill(worker) => self.facts(worker).signalled(true, now),
            Action::Finish(outcome) => self.finished.push(outcome),
            Action::Report(_) => {}
        }
    }

    /// All that followed at once was done: who is gone is forgotten, and a roll in which all serve is over.
    pub fn settle(&mut self) {
        self.slots.retain(|facts| !facts.is_forgotten());
        for pool in Vec::from_iter(self.slots.iter().map(|facts| facts.pool)) {
            let wanted = |facts: &Facts| facts.wish == Wish::Up;
            let goes_on = |facts: &Facts| facts.stale.is_some() || facts.holds_the_roll();
            if !self.slots_of(pool).any(|facts| wanted(facts) && goes_on(facts)) {
                let slots = self.slots.iter_mut().filter(|facts| facts.pool == pool);
                slots.for_each(|facts| facts.renewed = false);
            }
        }
    }

    fn after(&self, pool: PoolId) -> &[PoolId] {
        let known = self.pools.iter().find(|(known, _)| *known == pool);
        known.map_or(&[], |(_, after)| after)
    }

    fn slot(&mut self, slot: SlotId) -> Option<&mut Facts> {
        self.slots.iter_mut().find(|facts| facts.slot == slot)
    }

    fn facts(&mut self, worker: WorkerId) -> &mut Facts {
        self.slot(worker.slot).expect("the laws have seen to it that there is such a slot")
    }
}

/// The worker that this is news of.
pub fn worker_of(event: Event) -> Option<WorkerId> {
    match event {
        Event::Ready(worker)
        | Event::Hung(worker)
        | Event::Spawned(worker)
        | Event::SpawnFailed(worker)
        | Event::Exited { worker, .. }
        | Event::Emptied(worker) => Some(worker),
        Event::Start(_) | Event::Stop(_) | Event::Shutdown | Event::Kill | Event::Tick => None,
    }
}
