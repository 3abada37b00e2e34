//! When to report a dead worker that its tracer keeps: after a second, and then more and more rarely.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::supervisor::WorkerId;

/// The first report: a tracer that runs takes the end of a process in at once, and then pm can.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// Each pause is twice as long as the one before, up to this.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// The schedule of these reports.
#[derive(Debug, Default)]
pub struct KeptDead {
    workers: BTreeMap<WorkerId, Next>,
}

#[derive(Debug)]
struct Next {
    at: Instant,
    pause: Duration,
}

impl KeptDead {
    /// This worker is dead and cannot be reaped.
    pub fn on_found(&mut self, worker: WorkerId, now: Instant) {
        let first = Next { at: now + PAUSE_MIN, pause: PAUSE_MIN };
        self.workers.entry(worker).or_insert(first);
    }

    pub fn on_reaped(&mut self, worker: WorkerId) {
        self.workers.remove(&worker);
    }

    /// The workers that are to be reported now.
    pub fn due(&mut self, now: Instant) -> Vec<WorkerId> {
        let due = self.workers.iter_mut().filter(|(_, next)| next.at <= now);
        let due = due.map(|(worker, next)| {
            next.pause = (next.pause * 2).min(PAUSE_MAX);
            next.at = now + next.pause;
            *worker
        });
        due.collect()
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        self.workers.values().map(|next| next.at).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::SlotId;

    #[test]
    fn a_dead_worker_that_is_kept_is_reported_more_and_more_rarely_until_it_is_reaped() {
        let worker = WorkerId { slot: SlotId(0), generation: 1 };
        let (mut kept, began) = (KeptDead::default(), Instant::now());
        kept.on_found(worker, began);
        let mut reported = Vec::new();
        while reported.len() < 9 {
            let at = kept.next_deadline().unwrap();
            // It is found again and again.
            kept.on_found(worker, at);
            assert_eq!(kept.due(at), [worker]);
            assert_eq!(kept.due(at), []);
            reported.push((at - began).as_secs());
        }
        assert_eq!(reported, [1, 3, 7, 15, 31, 63, 123, 183, 243]);
        kept.on_reaped(worker);
        assert_eq!(kept.next_deadline(), None);
    }
}
