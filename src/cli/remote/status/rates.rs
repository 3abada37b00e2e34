//! How much CPU workers use while their status is shown again and again: since the last look, not since their start.

use std::collections::BTreeMap;

use super::super::times::between;
use crate::wire::{Stats, Status};

/// The last look at each worker, by slot and generation.
#[derive(Default)]
pub struct Rates(BTreeMap<(String, u64), Stats>);

impl Rates {
    /// Replaces the means since the start of each worker that was there at the last look.
    pub fn take_in(&mut self, status: &mut Status) {
        let mut looks = BTreeMap::new();
        for slot in &mut status.slots {
            let (Some(worker), Some(stats)) = (&slot.worker, &mut slot.stats) else { continue };
            let key = (slot.slot.clone(), worker.generation);
            if let Some(last) = self.0.get(&key) {
                let time = between(last.sampled_at, stats.sampled_at);
                stats.cpu_cores = if time.is_zero() {
                    last.cpu_cores
                } else {
                    (stats.cpu_seconds - last.cpu_seconds).max(0.0) / time.as_secs_f64()
                };
            }
            looks.insert(key, stats.clone());
        }
        self.0 = looks;
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::{ready, status, time};
    use super::*;

    #[test]
    fn a_rate_is_since_the_last_look_at_the_same_worker() {
        let mut rates = Rates::default();
        let mut look = |generation, at: &str, cpu_seconds| {
            let mut slot = ready("web.1", 8080, 100.0);
            slot.worker.as_mut().unwrap().generation = generation;
            let sampled_at = time(at);
            let (cpu_cores, memory_bytes, processes) = (0.25, 0, 1);
            let stats = Stats { sampled_at, cpu_seconds, cpu_cores, memory_bytes, processes };
            slot.stats = Some(stats);
            let mut status = Status { slots: vec![slot], ..status() };
            rates.take_in(&mut status);
            status.slots[0].stats.as_ref().unwrap().cpu_cores
        };
        assert_eq!(look(1, "12:00:00", 25.0), 0.25);
        assert_eq!(look(1, "12:00:02", 26.0), 0.5);
        assert_eq!(look(1, "12:00:02", 26.0), 0.5, "the same sample");
        assert_eq!(look(1, "12:00:03", 25.0), 0.0, "what was lost is not negative");
        assert_eq!(look(2, "12:00:04", 1.0), 0.25, "another worker");
    }
}
