//! What became of the slots: deaths, and how long each slot had no ready worker. Made of the events of pm and of the
//! faults that were caused. Values only.

use std::time::Duration;

use jiff::Timestamp;

use super::Fault;
use crate::cli::remote::times::between;
use crate::wire::{Event, EventKind, Phase, SlotStatus, Time, Wanted};

pub struct Record {
    pub slots: Vec<SlotRecord>,
}

/// What became of one slot.
#[derive(Clone, Debug)]
pub struct SlotRecord {
    pub name: String,
    phase: Phase,
    generation: u64,
    pub faults: Vec<Fault>,
    pub deaths: u32,
    /// How long no worker was ready, each time.
    pub gaps: Vec<Duration>,
    /// Since when none is. A worker that was killed or hangs counts from that moment, whatever pm knows of it.
    down_since: Option<Time>,
    /// What was done to workers whose end was not told yet. Such a worker may be ahead of the events that were read.
    open: Vec<OpenFault>,
    /// Workers that hung as long as they may.
    pub unnoticed: u32,
}

#[derive(Clone, Copy, Debug)]
struct OpenFault {
    generation: u64,
    fault: Fault,
}

impl Record {
    /// Of these slots as they are; those that are not wanted are left out.
    pub fn new(slots: &[SlotStatus]) -> Self {
        let wanted = slots.iter().filter(|slot| slot.wanted == Wanted::Up);
        let slots = wanted.map(|slot| SlotRecord {
            name: slot.slot.clone(),
            phase: slot.phase,
            generation: slot.worker.as_ref().map_or(0, |worker| worker.generation),
            faults: Vec::new(),
            deaths: 0,
            gaps: Vec::new(),
            down_since: (slot.phase != Phase::Ready).then_some(slot.phase_since),
            open: Vec::new(),
            unnoticed: 0,
        });
        Self { slots: slots.collect() }
    }

    /// The slots whose workers serve, as far as is known.
    pub fn serving(&self) -> Vec<&str> {
        let serving = self.slots.iter().filter(|slot| slot.is_serving());
        serving.map(|slot| slot.name.as_str()).collect()
    }

    /// The slots that have no ready worker.
    pub fn missing(&self) -> Vec<&str> {
        let missing = self.slots.iter().filter(|slot| !slot.is_serving());
        missing.map(|slot| slot.name.as_str()).collect()
    }

    /// True if nothing more is to be waited for: each slot serves, or has given up.
    pub fn is_settled(&self) -> bool {
        self.slots.iter().all(|slot| slot.is_serving() || slot.phase == Phase::GivenUp)
    }

    /// True if a worker that got SIGTERM has not ended.
    pub fn is_any_stopping(&self) -> bool {
        self.slots.iter().any(|slot| slot.open.iter().any(|open| open.fault == Fault::Stop))
    }

    /// This worker got the signal of this fault.
    pub fn note_fault(&mut self, name: &str, generation: u64, fault: Fault, at: Timestamp) {
        let Some(slot) = self.slot(name) else { return };
        slot.faults.push(fault);
        slot.open.push(OpenFault { generation, fault });
        // One that stops may serve until it has done its work.
        if fault != Fault::Stop {
            slot.down_since = slot.down_since.or(Some(Time(at)));
        }
    }

    /// True if this worker hangs and pm has not replaced it.
    pub fn is_hanging(&self, name: &str, generation: u64) -> bool {
        let slot = self.slots.iter().find(|slot| slot.name == name);
        slot.is_some_and(|slot| slot.open.iter().any(|open| open.is_hang_of(generation)))
    }

    /// The worker that hung serves again.
    pub fn note_continued(&mut self, name: &str, generation: u64, at: Timestamp) {
        let Some(slot) = self.slot(name) else { return };
        slot.open.retain(|open| !open.is_hang_of(generation));
        slot.unnoticed += 1;
        if !slot.is_held_down() {
            slot.end_gap(Time(at));
        }
    }

    /// Something has happened. Returns how long the slot was down, if it is up again by this.
    pub fn note_event(&mut self, event: &Event) -> Option<(&str, Duration)> {
        let EventKind::Phase { slot, generation, from, to } = &event.kind else { return None };
        let slot = self.slot(slot)?;
        let runs = |phase: Phase| matches!(phase, Phase::Starting | Phase::Ready);
        let is_death = runs(*from) && (*generation > slot.generation || !runs(*to));
        let ended = if is_death { slot.generation } else { generation.saturating_sub(1) };
        slot.open.retain(|open| open.generation > ended);
        if is_death {
            slot.deaths += 1;
            slot.down_since = slot.down_since.or(Some(event.at));
        }
        (slot.phase, slot.generation) = (*to, *generation);
        if *to != Phase::Ready || slot.is_held_down() {
            return None;
        }
        slot.end_gap(event.at).map(|gap| (slot.name.as_str(), gap))
    }

    /// The time is over: a slot that is still down was so until now.
    pub fn end(&mut self, at: Timestamp) {
        for slot in &mut self.slots {
            if let Some(since) = slot.down_since {
                slot.gaps.push(between(since, Time(at)));
            }
        }
    }

    fn slot(&mut self, name: &str) -> Option<&mut SlotRecord> {
        self.slots.iter_mut().find(|slot| slot.name == name)
    }
}

impl SlotRecord {
    fn is_serving(&self) -> bool {
        self.phase == Phase::Ready && self.down_since.is_none()
    }

    /// True if something was done to its worker, or to the next one, after which none serves.
    fn is_held_down(&self) -> bool {
        self.open.iter().any(|open| open.fault != Fault::Stop)
    }

    fn end_gap(&mut self, at: Time) -> Option<Duration> {
        let gap = between(self.down_since.take()?, at);
        self.gaps.push(gap);
        Some(gap)
    }
}

impl OpenFault {
    fn is_hang_of(self, generation: u64) -> bool {
        self.fault == Fault::Hang && self.generation == generation
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::remote::sample::{ready, slot, time};

    fn at(clock: &str) -> Timestamp {
        time(clock).0
    }

    fn event(clock: &str, generation: u64, from: Phase, to: Phase) -> Event {
        let kind = EventKind::Phase { slot: "web.1".into(), generation, from, to };
        Event { seq: 1, at: time(clock), kind }
    }

    /// One slot whose worker, generation 8, is ready.
    fn record() -> Record {
        let stopped = SlotStatus { wanted: Wanted::Down, ..slot("web.2", Phase::Idle) };
        Record::new(&[ready("web.1", 8080, 60.0), stopped])
    }

    #[test]
    fn a_gap_lasts_from_the_kill_until_the_next_worker_is_ready() {
        let mut record = record();
        assert_eq!(record.serving(), ["web.1"]);
        record.note_fault("web.1", 8, Fault::Kill, at("12:00:01"));
        assert_eq!(record.missing(), ["web.1"]);
        assert_eq!(record.note_event(&event("12:00:02", 9, Phase::Ready, Phase::Starting)), None);
        let up = event("12:00:04", 9, Phase::Starting, Phase::Ready);
        assert_eq!(record.note_event(&up), Some(("web.1", Duration::from_secs(3))));
        assert!(record.is_settled());
        assert_eq!((record.slots[0].deaths, record.slots[0].gaps.len()), (1, 1));
    }

    #[test]
    fn a_worker_that_stops_is_missed_when_it_is_gone() {
        let mut record = record();
        record.note_fault("web.1", 8, Fault::Stop, at("12:00:01"));
        assert_eq!(record.serving(), ["web.1"]);
        assert!(record.is_any_stopping());
        record.note_event(&event("12:00:05", 9, Phase::Ready, Phase::Starting));
        let up = event("12:00:06", 9, Phase::Starting, Phase::Ready);
        assert_eq!(record.note_event(&up), Some(("web.1", Duration::from_secs(1))));
        assert!(!record.is_any_stopping());
    }

    #[test]
    fn what_is_done_to_a_worker_before_the_end_of_the_one_before_is_told_is_kept() {
        for fault in [Fault::Kill, Fault::Hang, Fault::Stop] {
            let mut record = record();
            record.note_fault("web.1", 9, fault, at("12:00:03"));
            record.note_event(&event("12:00:01", 9, Phase::Ready, Phase::Starting));
            record.note_event(&event("12:00:02", 9, Phase::Starting, Phase::Ready));
            let is_over = record.is_settled() && !record.is_any_stopping();
            assert!(!is_over, "{fault:?}");
            assert_eq!(record.is_hanging("web.1", 9), fault == Fault::Hang);
            record.note_event(&event("12:00:04", 10, Phase::Ready, Phase::Starting));
            record.note_event(&event("12:00:05", 10, Phase::Starting, Phase::Ready));
            assert!(record.is_settled() && !record.is_any_stopping(), "{fault:?}");
            assert_eq!(record.slots[0].deaths, 2, "{fault:?}");
        }
    }

    #[test]
    fn a_worker_that_ends_before_it_is_ready_is_a_death_too() {
        let mut record = record();
        record.note_event(&event("12:00:01", 9, Phase::Ready, Phase::Starting));
        record.note_fault("web.1", 9, Fault::Kill, at("12:00:02"));
        record.note_event(&event("12:00:02", 9, Phase::Starting, Phase::Backoff));
        record.note_event(&event("12:00:03", 10, Phase::Backoff, Phase::Starting));
        record.note_event(&event("12:00:04", 10, Phase::Starting, Phase::Ready));
        assert_eq!((record.slots[0].deaths, record.is_settled()), (2, true));
    }

    #[test]
    fn a_worker_that_hangs_is_down_until_pm_replaces_it_or_it_continues() {
        let mut noticed = record();
        noticed.note_fault("web.1", 8, Fault::Hang, at("12:00:00"));
        assert!(noticed.is_hanging("web.1", 8));
        noticed.note_event(&event("12:00:10", 8, Phase::Ready, Phase::Stopping));
        assert!(!noticed.is_hanging("web.1", 8));
        noticed.note_event(&event("12:00:15", 9, Phase::Stopping, Phase::Starting));
        let up = event("12:00:16", 9, Phase::Starting, Phase::Ready);
        assert_eq!(noticed.note_event(&up), Some(("web.1", Duration::from_secs(16))));
        assert_eq!((noticed.slots[0].deaths, noticed.slots[0].unnoticed), (1, 0));

        let mut unnoticed = record();
        unnoticed.note_fault("web.1", 8, Fault::Hang, at("12:00:00"));
        unnoticed.note_continued("web.1", 8, at("12:00:30"));
        assert_eq!(unnoticed.slots[0].gaps, [Duration::from_secs(30)]);
        assert_eq!((unnoticed.slots[0].deaths, unnoticed.slots[0].unnoticed), (0, 1));
    }

    #[test]
    fn a_slot_that_gives_up_is_missing_to_the_end() {
        let mut record = record();
        record.note_fault("web.1", 8, Fault::Kill, at("12:00:00"));
        record.note_event(&event("12:00:01", 8, Phase::Ready, Phase::GivenUp));
        assert!(record.is_settled());
        assert_eq!(record.missing(), ["web.1"]);
        record.end(at("12:01:00"));
        assert_eq!(record.slots[0].gaps, [Duration::from_secs(60)]);
    }

    #[test]
    fn a_spare_that_takes_over_is_a_death_and_no_gap_worth_the_name() {
        let mut record = record();
        let both = event("12:00:01", 9, Phase::Ready, Phase::Ready);
        assert_eq!(record.note_event(&both), Some(("web.1", Duration::ZERO)));
        assert_eq!(record.slots[0].deaths, 1);
    }
}
