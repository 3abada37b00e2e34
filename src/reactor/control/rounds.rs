//! What all workers use, again and again, for those that follow it: one round for all of them. Nothing is sampled while
//! none does.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::supervisor::SlotId;
use crate::wire::{SlotSample, StatsRound};

/// From one round to the next, at least.
const ROUND_EVERY: Duration = Duration::from_secs(1);

/// The reading of /proc for one worker takes about 60 us: so rounds take at most 2 % of a core, however many there are.
const ROUND_EVERY_PER_SLOT: Duration = Duration::from_millis(3);

/// The rounds of samples.
#[derive(Debug, Default)]
pub struct Rounds {
    current: Option<Round>,
    last: Option<Rc<str>>,
    /// How many rounds were completed.
    count: u64,
    next_at: Option<Instant>,
}

/// One that is being taken: some workers in each wakeup, so that an exit never waits for the rest.
#[derive(Debug)]
struct Round {
    left: VecDeque<SlotId>,
    samples: Vec<SlotSample>,
}

impl Rounds {
    /// A client follows them.
    pub fn follow(&mut self, slots: impl Iterator<Item = SlotId>, now: Instant) {
        if self.current.is_some() || self.next_at.is_some_and(|at| now < at) {
            return;
        }
        let left: VecDeque<_> = slots.collect();
        let count = u32::try_from(left.len()).unwrap_or(u32::MAX);
        self.next_at = Some(now + ROUND_EVERY.max(ROUND_EVERY_PER_SLOT.saturating_mul(count)));
        self.current = Some(Round { samples: Vec::with_capacity(left.len()), left });
    }

    /// No client follows them any more.
    pub fn rest(&mut self) {
        *self = Self { count: self.count, ..Self::default() };
    }

    /// The next slot to look at, if a round is being taken.
    pub fn take_next(&mut self) -> Option<SlotId> {
        self.current.as_mut()?.left.pop_front()
    }

    pub fn add(&mut self, sample: SlotSample) {
        if let Some(round) = &mut self.current {
            round.samples.push(sample);
        }
    }

    /// Ends the round if all slots were looked at. True if some are left.
    pub fn end(&mut self) -> bool {
        let Some(round) = self.current.take_if(|round| round.left.is_empty()) else {
            return self.current.is_some();
        };
        let data = serde_json::to_string(&StatsRound { slots: round.samples }).unwrap_or_default();
        self.last = Some(format!("event: stats\ndata: {data}\n\n").into());
        self.count += 1;
        false
    }

    /// The last round, as an event, if it is a later one than this; and its number.
    pub fn after(&self, number: u64) -> Option<(u64, Rc<str>)> {
        let last = self.last.as_ref().filter(|_| self.count > number)?;
        Some((self.count, Rc::clone(last)))
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        self.next_at.filter(|_| self.current.is_none())
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::wire::Time;

    fn sample() -> SlotSample {
        let sampled_at = Time(Timestamp::UNIX_EPOCH);
        let slot = "web.1".to_owned();
        SlotSample { slot, generation: 1, sampled_at, cpu_seconds: 0.5, memory_bytes: 1 }
    }

    #[test]
    fn a_round_is_taken_once_for_all_and_ends_when_no_slot_is_left() {
        let mut rounds = Rounds::default();
        let start = Instant::now();
        let slots = || [SlotId(1), SlotId(2)].into_iter();
        rounds.follow(slots(), start);
        rounds.follow(slots(), start);
        assert_eq!(rounds.take_next(), Some(SlotId(1)));
        rounds.add(sample());
        assert!(rounds.end() && rounds.after(0).is_none() && rounds.next_deadline().is_none());
        assert_eq!(rounds.take_next(), Some(SlotId(2)));
        assert!(!rounds.end());
        let (number, text) = rounds.after(0).unwrap();
        assert!(text.starts_with("event: stats\ndata: {\"slots\":[{\"slot\":\"web.1\""), "{text}");
        assert!(rounds.after(number).is_none());
        let next = rounds.next_deadline().unwrap();
        assert_eq!(next, start + ROUND_EVERY);
        rounds.follow(slots(), next - Duration::from_millis(1));
        assert_eq!(rounds.take_next(), None);
        rounds.follow(slots(), next);
        assert_eq!(rounds.take_next(), Some(SlotId(1)));
        rounds.rest();
        assert!(rounds.next_deadline().is_none() && rounds.after(0).is_none());
        assert!(!rounds.end());
    }

    #[test]
    fn rounds_of_many_workers_are_rarer() {
        let mut rounds = Rounds::default();
        let start = Instant::now();
        rounds.follow((0..1_000).map(SlotId), start);
        while rounds.take_next().is_some() {}
        rounds.end();
        assert_eq!(rounds.next_deadline(), Some(start + Duration::from_secs(3)));
    }
}
