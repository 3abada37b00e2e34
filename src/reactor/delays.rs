//! Who delays a stop. While a group does not go, people are told who is left of it and how long that may last.

use std::time::{Duration, Instant};

use crate::supervisor::{Phase, Supervisor, WorkerId};

/// Nothing is said before this, nor more often.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// Then after this part of the time that is left: a long grace is not counted down second by second.
const PAUSE_PART_OF_REST: u32 = 4;

/// When to speak next.
#[derive(Debug, Default)]
pub struct Delays {
    next: Option<Instant>,
}

/// A worker that is to be gone and is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delay {
    /// It has this long until SIGKILL.
    Stop(WorkerId, Duration),
    /// SIGKILL was sent.
    Kill(WorkerId),
}

impl Delays {
    /// The delays to speak of now; none as long as it is not time, or nobody delays anything.
    pub fn due(&mut self, supervisor: &Supervisor, now: Instant) -> Vec<Delay> {
        let delays: Vec<_> = supervisor
            .slots()
            .filter_map(|slot| {
                let worker = slot.worker();
                match slot.phase() {
                    Phase::Stopping { kill_at } => {
                        Some(Delay::Stop(worker, kill_at.saturating_duration_since(now)))
                    }
                    Phase::Killing { .. } => Some(Delay::Kill(worker)),
                    Phase::Idle
                    | Phase::Starting { .. }
                    | Phase::Ready { .. }
                    | Phase::Backoff { .. }
                    | Phase::GivenUp => None,
                }
            })
            .collect();
        let rest = delays.iter().map(|delay| match delay {
            Delay::Stop(_, rest) => *rest / PAUSE_PART_OF_REST,
            Delay::Kill(_) => Duration::ZERO,
        });
        let Some(pause) = rest.min() else {
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
            let (slot, pool) = (SlotId(0), PoolId(0));
            let roster = TableSpec {
                pools: vec![PoolEntry { pool, after: Vec::new() }],
                slots: vec![SlotEntry { slot, pool, policy, revision: Revision(0) }],
            };
            let mut supervisor = Supervisor::new(roster);
            let mut now = Instant::now();
            supervisor.handle(Event::Start(SlotId(0)), now, &mut Vec::new());
            let mut delays = Delays::default();
            assert_eq!(delays.due(&supervisor, now), []);
            assert_eq!(delays.next_deadline(), None);
            supervisor.handle(Event::Asked(Wish::Terminate), now, &mut Vec::new());
            assert_eq!(delays.due(&supervisor, now), []);
            let mut said = Vec::new();
            while said.len() < 4 {
                now = delays.next_deadline().unwrap();
                match delays.due(&supervisor, now)[..] {
                    [Delay::Stop(_, rest)] => said.push(rest.as_secs()),
                    ref other => panic!("{other:?}"),
                }
            }
            assert_eq!(said, expected);
        }
    }
}
