//! Which slots have failed for good, and which pools wait for which.

use super::Slots;
use crate::reactor::report::{FailedSlot, RunEvent, SlotFailure};
use crate::supervisor::{Phase, PoolId, Slot, Supervisor, Wanted};

impl Slots {
    /// The slots that do not go on because of a failure, each with its pool.
    pub fn failed(&self, supervisor: &Supervisor) -> impl Iterator<Item = (PoolId, FailedSlot)> {
        supervisor.slots().filter_map(|slot| {
            let failure = failure_of(slot)?;
            let record = self.record(slot.id());
            Some((record.pool, FailedSlot { name: record.name().to_owned(), failure }))
        })
    }

    /// Which pools wait for which.
    pub fn waiting(&self, supervisor: &Supervisor) -> Vec<RunEvent> {
        let mut waiting: Vec<RunEvent> = Vec::new();
        let mut known: Vec<PoolId> = Vec::new();
        for (slot, record) in &self.records {
            if known.contains(&record.pool) {
                continue;
            }
            let others = supervisor.waits_for(*slot);
            if !others.is_empty() {
                known.push(record.pool);
                let pool = self.pool_name(record.pool);
                let failed = self.failed(supervisor).find(|(other, _)| others.contains(other));
                waiting.push(match failed {
                    Some((other, failed)) => {
                        let (waiting, pool) = (vec![pool], self.pool_name(other));
                        RunEvent::WaitingInVain { waiting, pool, failed }
                    }
                    None => RunEvent::Waiting { pool, others: self.pool_names(&others) },
                });
            }
        }
        waiting
    }
}

/// Why this slot does not go on by itself, if that is because of a failure.
fn failure_of(slot: &Slot) -> Option<SlotFailure> {
    match slot.phase() {
        Phase::GivenUp => Some(SlotFailure::GaveUp),
        Phase::Idle => match slot.wanted() {
            Wanted::Ended(exit) => exit.filter(|exit| !exit.is_success()).map(SlotFailure::Exit),
            Wanted::Unset | Wanted::Down | Wanted::Up | Wanted::Gone => None,
        },
        Phase::Starting { .. } | Phase::Ready { .. } | Phase::Backoff { .. } => None,
        Phase::Stopping { .. } | Phase::Killing { .. } => None,
    }
}
