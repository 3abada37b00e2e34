//! The last things that happened, each with its number. Readers hold a number, and no queue of their own.

use std::collections::VecDeque;

use crate::wire::{Event, EventKind, Time};

/// How many events are kept.
pub const EVENTS_MAX: usize = 4096;

/// How many bytes of text they have at most. It is reached only by long reports, as that of a file with many faults.
pub const TEXT_BYTES_MAX: usize = 4 << 20;

/// The last events of the run.
#[derive(Debug, Default)]
pub struct Events {
    kept: VecDeque<Event>,
    /// Of all that are kept.
    text_bytes: usize,
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
        self.text_bytes += text_bytes(&kind);
        self.kept.push_back(Event { seq: self.last, at, kind });
        // The last one is kept in any case.
        while self.kept.len() > EVENTS_MAX
            || self.text_bytes > TEXT_BYTES_MAX && self.kept.len() > 1
        {
            let first = self.kept.pop_front();
            self.text_bytes -= first.map_or(0, |event| text_bytes(&event.kind));
        }
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

fn text_bytes(kind: &EventKind) -> usize {
    match kind {
        EventKind::Report { words, .. } | EventKind::Bye { words } => words.len(),
        EventKind::Phase { .. } | EventKind::Gap { .. } => 0,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn event(n: u64) -> EventKind {
        EventKind::Report { slot: None, generation: None, words: n.to_string() }
    }

    #[test]
    fn each_event_follows_the_one_before_it() {
        let mut events = Events::default();
        assert!(matches!(events.after(0), After::Nothing));
        (1..=3).for_each(|n| events.add(Time(Timestamp::UNIX_EPOCH), event(n)));
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
        (1..=count).for_each(|n| events.add(Time(Timestamp::UNIX_EPOCH), event(n)));
        assert!(matches!(events.after(0), After::Gap(10)));
        assert!(matches!(events.after(4), After::Gap(6)));
        let After::Event(first) = events.after(10) else { panic!("no event") };
        assert_eq!(first.seq, 11);
    }

    #[test]
    fn long_reports_are_kept_up_to_a_number_of_bytes() {
        let mut events = Events::default();
        let words = "x".repeat(TEXT_BYTES_MAX / 4);
        let long = || EventKind::Report { slot: None, generation: None, words: words.clone() };
        (0..10).for_each(|_| events.add(Time(Timestamp::UNIX_EPOCH), long()));
        assert!(matches!(events.after(0), After::Gap(6)));
        let longest = "x".repeat(TEXT_BYTES_MAX + 1);
        events.add(Time(Timestamp::UNIX_EPOCH), EventKind::Bye { words: longest });
        assert!(matches!(events.after(0), After::Gap(10)));
        assert!(matches!(events.after(10), After::Event(_)));
        events.add(Time(Timestamp::UNIX_EPOCH), event(12));
        assert!(matches!(events.after(0), After::Gap(11)), "it is forgotten in its turn");
        events.add(Time(Timestamp::UNIX_EPOCH), event(13));
        assert!(matches!(events.after(0), After::Gap(11)));
    }
}
