//! What comes to the reactor at random: answers of probes, late events, commands, and wishes to stop.

use std::time::Duration;

use fastrand::Rng;
use pm::supervisor::{Event, Exit, SlotId, Wish, WorkerId};

use super::Rig;
use crate::life::{Life, events_of};

impl Rig {
    /// Begins to probe a worker. It may never be ready, be ready late, or be reported ready twice; and it may hang.
    pub(super) fn probe(&mut self, worker: WorkerId) {
        if self.is_calm {
            return self.be_ready_soon(worker);
        }
        let answers = if self.has_probe(worker) { one_of(&mut self.rng, [0, 1, 1, 2]) } else { 0 };
        for _ in 0..answers {
            let wait = below_one_of(&mut self.rng, [20, 500, 5_000]);
            self.mail.push((self.now + wait, Event::Ready(worker)));
        }
        if self.rng.u32(0..4) == 0 {
            let wait = below_one_of(&mut self.rng, [20, 500]);
            self.mail.push((self.now + wait, Event::Listens(worker)));
        }
        if self.rng.u32(0..4) == 0 {
            let wait = below_one_of(&mut self.rng, [500, 5_000, 20_000]);
            self.mail.push((self.now + wait, Event::Hung(worker)));
        }
    }

    /// A worker has exec'd: it is probed, or it comes to its bind if it is a spare.
    pub(super) fn on_execd(&mut self, worker: WorkerId) {
        if !self.record.of(worker.slot).is_some_and(|facts| facts.others.is_spare(worker)) {
            if self.record.life(worker).is_some_and(Life::is_starting) {
                self.probe(worker);
            }
            return;
        }
        if self.is_calm {
            return self.wait_soon(worker);
        }
        for _ in 0..one_of(&mut self.rng, [0, 1, 1, 1, 2]) {
            let wait = below_one_of(&mut self.rng, [20, 500, 5_000]);
            self.mail.push((self.now + wait, Event::Waits(worker)));
        }
    }

    pub(super) fn wait_soon(&mut self, worker: WorkerId) {
        if self.record.of(worker.slot).is_some_and(|facts| facts.others.is_spare(worker)) {
            let wait = Duration::from_millis(self.rng.u64(0..20));
            self.mail.push((self.now + wait, Event::Waits(worker)));
        }
    }

    pub(super) fn be_ready_soon(&mut self, worker: WorkerId) {
        if self.has_probe(worker) {
            let wait = Duration::from_millis(self.rng.u64(0..20));
            self.mail.push((self.now + wait, Event::Ready(worker)));
        }
    }

    fn has_probe(&self, worker: WorkerId) -> bool {
        self.record.of(worker.slot).is_some_and(|facts| facts.has_probe())
    }

    /// The mail that is due, and sometimes an event about an older worker.
    pub(super) fn arrived(&mut self) -> Vec<Event> {
        let now = self.now;
        let due = self.mail.extract_if(.., |(at, _)| *at <= now);
        let mut events: Vec<Event> = due.map(|(_, event)| event).collect();
        if self.rng.u32(0..4) == 0 {
            events.extend(self.late_event());
        }
        events
    }

    fn late_event(&mut self) -> Option<Event> {
        let slot = self.any_slot()?;
        let latest = self.record.of(slot).map_or(9, |facts| facts.last_generation);
        let generation = self.rng.u64(0..latest.max(1));
        let worker = WorkerId { slot, generation };
        let exit = Exit::Code(self.rng.u8(..));
        let is_late = self.record.any_life(worker).is_none();
        let is_latest = self.record.is_latest(worker);
        let event = self.rng.choice(events_of(worker, exit));
        event.filter(|_| generation > 0 && is_late && !is_latest)
    }

    pub(super) fn command(&mut self) -> Vec<Event> {
        let Some(slot) = self.any_slot() else { return Vec::new() };
        let command = |rng: &mut Rng| {
            let commands = [
                Event::Start,
                Event::Stop,
                Event::Kill,
                Event::Restart,
                Event::Roll,
                Event::Withdraw,
            ];
            one_of(rng, commands)(slot)
        };
        match self.rng.u32(0..24) {
            23 => self.plans.all_slots().map(Event::Stop).collect(),
            22 => self.plans.all_slots().map(Event::Restart).collect(),
            20 | 21 => self.plans.all_slots().map(Event::Roll).collect(),
            0..=6 => vec![Event::Start(slot)],
            7..=10 => vec![Event::Stop(slot)],
            11..=15 => vec![command(&mut self.rng)],
            // Commands that contradict each other in one wakeup.
            _ => vec![command(&mut self.rng), command(&mut self.rng)],
        }
    }

    /// Mostly nothing; rarely a wish to stop.
    pub(super) fn rare_wishes(&mut self) -> Vec<Event> {
        if self.rng.u32(0..200) == 0 { self.wishes() } else { Vec::new() }
    }

    /// A wish to stop, or two in one instant. A third of them kill.
    pub(super) fn wishes(&mut self) -> Vec<Event> {
        let count = one_of(&mut self.rng, [1, 1, 2]);
        let gentle =
            [Wish::Interrupt, Wish::Terminate, Wish::Hangup, Wish::GuardGone, Wish::Shutdown];
        let wish = |rng: &mut Rng| {
            if rng.u32(0..3) == 0 {
                one_of(rng, [Wish::Quit, Wish::ShutdownNow])
            } else {
                one_of(rng, gentle)
            }
        };
        (0..count).map(|_| Event::Asked(wish(&mut self.rng))).collect()
    }

    /// A slot that is in the table, or sometimes any that was ever in a plan.
    fn any_slot(&mut self) -> Option<SlotId> {
        let all: Vec<SlotId> = self.plans.all_slots().collect();
        let present: Vec<SlotId> = self.record.slots.iter().map(|facts| facts.slot).collect();
        let slots = if self.rng.u32(0..8) == 0 { all } else { present };
        self.rng.choice(slots)
    }
}

pub(super) fn one_of<T: Copy, const N: usize>(rng: &mut Rng, values: [T; N]) -> T {
    values[rng.usize(0..N)]
}

/// A time below one of these numbers of milliseconds, so that short times are as frequent as long ones.
pub(super) fn below_one_of<const N: usize>(rng: &mut Rng, millis: [u64; N]) -> Duration {
    let most = one_of(rng, millis);
    Duration::from_millis(rng.u64(0..most))
}
