//! What an observer notes of spares, and of the workers that they replace.

use std::time::Instant;

use pm::supervisor::{Event, PoolId, Remains, Revision, WorkerId};

use super::Record;
use crate::facts::Facts;
use crate::life::Life;

impl Record {
    /// The life of this worker, while it lasts, whether it is the current one of its slot or not.
    pub fn any_life(&self, worker: WorkerId) -> Option<&Life> {
        self.life(worker).or_else(|| self.other_life(worker))
    }

    /// The life of this spare or retiring worker, while it lasts.
    pub fn other_life(&self, worker: WorkerId) -> Option<&Life> {
        self.of(worker.slot)?.others.life(worker)
    }

    /// Something has happened to a spare, or to a worker that a spare has replaced.
    pub(super) fn note_event_of_other(&mut self, worker: WorkerId, event: Event, now: Instant) {
        let facts = self.facts(worker);
        match event {
            Event::Spawned(_) => {
                if let Some(spare) = &mut facts.others.spare
                    && spare.life.worker == worker
                {
                    spare.life.execd_at.get_or_insert(now);
                }
            }
            Event::Waits(_) if facts.others.is_spare(worker) => facts.be_waiting(now),
            Event::SpawnFailed(_) => facts.lose_other(worker, Remains::Nothing, now),
            Event::Exited { remains, .. } => facts.lose_other(worker, remains, now),
            Event::Emptied(_) => facts.empty_other(worker),
            _ => {}
        }
    }

    /// How many spares the slots of this pool are to share.
    pub fn spares_of(&self, pool: PoolId) -> usize {
        let known = self.spares.iter().find(|(known, _)| *known == pool);
        known.map_or(0, |(_, spares)| *spares)
    }

    /// How many of them there are.
    pub fn shared_spares(&self, pool: PoolId) -> usize {
        self.slots_of(pool).filter(|facts| facts.has_shared_spare()).count()
    }

    pub(super) fn move_spare(&mut self, from: WorkerId, to: WorkerId, revision: Revision) {
        if let Some(spare) = self.facts(from).lend_spare() {
            self.facts(to).borrow_spare(spare, to, revision);
        }
    }

    /// In each pool the first ready slot that is due has its turn, if the roll waits for no other slot.
    pub fn take_turns(&mut self) {
        for pool in Vec::from_iter(self.pools.iter().map(|(pool, _)| *pool)) {
            if self.slots_of(pool).any(Facts::blocks_roll) {
                continue;
            }
            let mut slots = self.slots.iter_mut().filter(|facts| facts.pool == pool);
            let next = slots.find(|facts| facts.is_to_be_replaced());
            if let Some(next) = next.filter(|facts| facts.is_ready() && facts.has_spares()) {
                next.take_turn();
            }
        }
    }
}
