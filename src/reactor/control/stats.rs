//! What workers use, for those that ask for it. A sample is used again until it is a quarter of a second old, so any
//! number of clients costs four samples a second. Of many workers a wakeup samples a part, so that an exit never waits
//! for the rest.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::call::PageCall;
use crate::supervisor::{SlotId, WorkerId};
use crate::wire::Stats;

/// A sample of this age is not used any more.
const FRESH_FOR: Duration = Duration::from_millis(250);

/// A status that waits until its workers are sampled.
#[derive(Debug)]
pub struct Sampling {
    pub slots: Vec<SlotId>,
    /// What becomes of it.
    pub form: Form,
    left: VecDeque<SlotId>,
    taken: BTreeMap<WorkerId, Stats>,
}

/// What is made of a status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Form {
    #[default]
    Json,
    Page(PageCall),
}

impl Sampling {
    /// For the page.
    pub fn for_page(self, call: PageCall) -> Self {
        Self { form: Form::Page(call), ..self }
    }

    pub fn of(slots: Vec<SlotId>) -> Self {
        Self {
            left: slots.iter().copied().collect(),
            slots,
            form: Form::Json,
            taken: BTreeMap::new(),
        }
    }

    /// A status of these slots without samples.
    pub fn skipped(slots: Vec<SlotId>) -> Self {
        Self { left: VecDeque::new(), slots, form: Form::Json, taken: BTreeMap::new() }
    }

    pub fn is_over(&self) -> bool {
        self.left.is_empty()
    }

    /// The next slot to look at.
    pub fn take_next(&mut self) -> Option<SlotId> {
        self.left.pop_front()
    }

    pub fn add(&mut self, worker: WorkerId, stats: Stats) {
        self.taken.insert(worker, stats);
    }

    /// What was taken of this worker, and not of another one of its slot.
    pub fn stats(&self, worker: WorkerId) -> Option<Stats> {
        self.taken.get(&worker).cloned()
    }
}

/// The last sample of each slot.
#[derive(Debug, Default)]
pub struct Samples(BTreeMap<SlotId, Sample>);

#[derive(Debug)]
struct Sample {
    worker: WorkerId,
    at: Instant,
    /// `None` if there was nothing to see.
    stats: Option<Stats>,
}

impl Samples {
    /// What this worker uses, by its last sample, or by a new one if that is too old.
    pub fn of(
        &mut self,
        worker: WorkerId,
        now: Instant,
        take: impl FnOnce() -> Option<Stats>,
    ) -> Option<Stats> {
        let last = self.0.get(&worker.slot).filter(|sample| {
            sample.worker == worker && now.saturating_duration_since(sample.at) < FRESH_FOR
        });
        if let Some(sample) = last {
            return sample.stats.clone();
        }
        let stats = take();
        self.0.insert(worker.slot, Sample { worker, at: now, stats: stats.clone() });
        stats
    }

    /// Forgets what can not be used any more.
    pub fn expire(&mut self, now: Instant) {
        self.0.retain(|_, sample| now.saturating_duration_since(sample.at) < FRESH_FOR);
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::wire::Time;

    #[test]
    fn a_sample_is_used_again_for_a_quarter_of_a_second_by_the_same_worker() {
        let mut samples = Samples::default();
        let start = Instant::now();
        let worker = |generation| WorkerId { slot: SlotId(1), generation };
        let mut taken = |generation, millis: u64| {
            let mut is_taken = false;
            let at = |millis: u64| Time(Timestamp::from_millisecond(millis as i64).unwrap());
            let take = || {
                is_taken = true;
                Some(Stats {
                    sampled_at: at(millis),
                    cpu_seconds: 0.0,
                    cpu_cores: 0.0,
                    memory_bytes: 0,
                    processes: 1,
                })
            };
            let now = start + Duration::from_millis(millis);
            let stats = samples.of(worker(generation), now, take).unwrap();
            assert!(!is_taken || stats.sampled_at == at(millis));
            samples.expire(now);
            is_taken
        };
        assert!(taken(1, 0));
        assert!(!taken(1, 249));
        assert!(taken(1, 250), "the age is that of the sample, not of the last question");
        assert!(!taken(1, 499));
        assert!(taken(2, 500));
        assert!(taken(2, 750));
    }
}
