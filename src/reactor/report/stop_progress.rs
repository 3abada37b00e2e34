//! When to report what delays a stop: a group that is not gone is reported, with the time left until SIGKILL.

use std::time::{Duration, Instant};

use crate::supervisor::{Phase, Supervisor, WorkerId};

/// The first report, and the shortest pause between two.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// The pause is this part of the time left: a long grace is not counted down second by second.
const PAUSE_PART_OF_TIME_LEFT: u32 = 4;

/// The schedule of these reports.
#[derive(Debug, Default)]
pub struct StopProgress {
    next: Option<Instant>,
}

/// A worker that is to be gone and is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delay {
    /// SIGKILL follows after this time.
    Stopping(WorkerId, Duration),
    /// SIGKILL was sent.
    Killing(WorkerId),
}

impl StopProgress {
    /// The delays to report now: none before it is time, or while nothing is stopping.
    pub fn due(&mut self, supervisor: &Supervisor, now: Instant) -> Vec<Delay> {
        let delays: Vec<_> = supervisor
            .slots()
            .filter_map(|slot| {
                let worker = slot.worker();
                match slot.phase() {
                    Phase::Stopping { kill_at } => {
                        Some(Delay::Stopping(worker, kill_at.saturating_duration_since(now)))
                    }
                    Phase::Killing { .. } => Some(Delay::Killing(worker)),
                    Phase::Idle | Phase::Starting { .. } | Phase::Ready { .. } => None,
                    Phase::Backoff { .. } | Phase::GivenUp => None,
                }
            })
            .collect();
        let pauses = delays.iter().map(|delay| match delay {
            Delay::Stopping(_, left) => *left / PAUSE_PART_OF_TIME_LEFT,
            Delay::Killing(_) => Duration::ZERO,
        });
        let Some(pause) = pauses.min() else {
            self.next = None;
            return Vec::new();
        };
        match self.next {
            Some(next) if now >= next => {
                self.next = Some(now + pause.max(PAUSE_MIN));
                delays
            }
            Some(_) => Vec::new(),
            None => {
                self.next = Some(now + PAUSE_MIN);
                Vec::new()
            }
        }
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::{
        Event, Policy, PoolEntry, PoolId, Revision, SlotEntry, SlotId, TableSpec, Wish,
    };

    #[test]
    fn a_grace_of_5_s_is_counted_down_each_second_and_a_minute_more_slowly() {
        for (grace, expected) in [(5, vec![4, 3, 2, 1]), (60, vec![59, 44, 33, 24])] {
            let policy = Policy { grace: Duration::from_secs(grace), ..Policy::default() };
            let (slot, pool, revision) = (SlotId(0), PoolId(0), Revision(1));
            let table = TableSpec {
                pools: vec![PoolEntry { pool, after: Vec::new() }],
                slots: vec![SlotEntry { slot, pool, policy, revision }],
            };
            let mut supervisor = Supervisor::new(table);
            let mut now = Instant::now();
            supervisor.handle(Event::Start(slot), now, &mut Vec::new());
            let mut progress = StopProgress::default();
            assert_eq!(progress.due(&supervisor, now), []);
            assert_eq!(progress.next_deadline(), None);
            supervisor.handle(Event::Asked(Wish::Interrupt), now, &mut Vec::new());
            assert_eq!(progress.due(&supervisor, now), []);
            let mut reported = Vec::new();
            while reported.len() < 4 {
                now = progress.next_deadline().unwrap();
                match progress.due(&supervisor, now)[..] {
                    [Delay::Stopping(_, left)] => reported.push(left.as_secs()),
                    ref other => panic!("{other:?}"),
                }
            }
            assert_eq!(reported, expected);
        }
    }
}
