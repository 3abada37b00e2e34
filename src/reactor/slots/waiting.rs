//! Which slots have failed for good, and which pools wait for which.

use super::Slots;
use crate::reactor::report::{FailedSlot, RunEvent};
use crate::supervisor::{Failed, PoolId, Supervisor};

impl Slots {
    /// The slots that do not go on because of a failure, each with its pool.
    pub fn failed(&self, supervisor: &Supervisor) -> impl Iterator<Item = (PoolId, FailedSlot)> {
        supervisor.slots().filter_map(|slot| {
            let failed = Failed { slot: slot.id(), how: slot.failure()? };
            Some((self.pool(slot.id()), self.failed_slot(failed)))
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
