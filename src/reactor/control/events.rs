//! The last things that happened, each with its number. Readers hold a number, and no queue of their own.

use std::collections::VecDeque;

use crate::wire::{Event, EventKind, Time};

/// How many events are kept.
pub const EVENTS_MAX: usize = 4096;

/// The last events of the run.
#[derive(Debug, Default)]
pub struct Events {
    kept: VecDeque<Event>,
    /// The number of the last event; 0 before the first.
    last: u64,
}

/// What follows a number.
pub enum After<'a> {
    /// This many events were forgotten.
    Gap(u64),
    Event(&'a Event),
    Nothing,
}

impl Events {
    /// Something happened.
    pub fn add(&mut self, at: Time, kind: EventKind) {
        self.last += 1;
        if self.kept.len() == EVENTS_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back(Event { seq: self.last, at, kind });
    }

    /// The number of the last event.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// What comes after the event of this number.
    pub fn after(&self, seq: u64) -> After<'_> {
        let first = self.kept.front().map_or(self.last + 1, |event| event.seq);
        if seq >= self.last {
            After::Nothing
        } else if seq + 1 < first {
            After::Gap(first - seq - 1)
        } else {
            let index = usize::try_from(seq + 1 - first).unwrap_or(usize::MAX);
            self.kept.get(index).map_or(After::Nothing, After::Event)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(n: u64) -> EventKind {
        EventKind::Report { slot: None, generation: None, words: n.to_string() }
    }

    #[test]
    fn each_event_follows_the_one_before_it() {
        let mut events = Events::default();
        assert!(matches!(events.after(0), After::Nothing));
        (1..=3).for_each(|n| events.add(Time(String::new()), event(n)));
        for seq in 0..3 {
            let After::Event(next) = events.after(seq) else { panic!("nothing after {seq}") };
            assert_eq!(next.seq, seq + 1);
        }
        assert!(matches!(events.after(3), After::Nothing));
    }

    #[test]
    fn what_was_forgotten_is_a_gap_of_the_right_size() {
        let mut events = Events::default();
        let count = u64::try_from(EVENTS_MAX).unwrap() + 10;
        (1..=count).for_each(|n| events.add(Time(String::new()), event(n)));
        assert!(matches!(events.after(0), After::Gap(10)));
        assert!(matches!(events.after(4), After::Gap(6)));
        let After::Event(first) = events.after(10) else { panic!("no event") };
        assert_eq!(first.seq, 11);
    }
}
