//! What an observer notes of spares, and of the workers that they replace.

use std::time::Instant;

use pm::supervisor::{Event, Remains, WorkerId};

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
