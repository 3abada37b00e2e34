//! What comes to the reactor by chance: what probes hear, news that is late or long history, and people's commands.

use std::time::Duration;

use fastrand::Rng;
use pm::supervisor::{Event, Exit, Remains, SlotId, WorkerId};

use super::World;

impl World {
    /// Probes start to ask. They may hear nothing, hear late, or hear twice; and what serves may come to hang.
    pub(super) fn watch(&mut self, worker: WorkerId) {
        if self.kind {
            return self.serves_soon(worker);
        }
        let answers = if self.has_probe(worker) { one_of(&mut self.rng, [0, 1, 1, 2]) } else { 0 };
        for _ in 0..answers {
            let wait = below_one_of(&mut self.rng, [20, 500, 5_000]);
            self.mail.push((self.now + wait, Event::Ready(worker)));
        }
        if self.rng.u32(0..4) == 0 {
            let wait = below_one_of(&mut self.rng, [500, 5_000, 20_000]);
            self.mail.push((self.now + wait, Event::Hung(worker)));
        }
    }

    pub(super) fn serves_soon(&mut self, worker: WorkerId) {
        if self.has_probe(worker) {
            let wait = Duration::from_millis(self.rng.u64(0..20));
            self.mail.push((self.now + wait, Event::Ready(worker)));
        }
    }

    fn has_probe(&self, worker: WorkerId) -> bool {
        self.record.of(worker.slot).is_some_and(|facts| facts.has_probe())
    }

    /// The mail that is due, and sometimes news of a worker that is history.
    pub(super) fn arrived(&mut self) -> Vec<Event> {
        let now = self.now;
        let due = self.mail.extract_if(.., |(at, _)| *at <= now);
        let mut events: Vec<Event> = due.map(|(_, event)| event).collect();
        if self.rng.u32(0..4) == 0 {
            events.extend(self.stale());
        }
        events
    }

    fn stale(&mut self) -> Option<Event> {
        let slot = self.any_slot()?;
        let latest = self.record.of(slot).map_or(9, |facts| facts.generation);
        let generation = self.rng.u64(0..latest.max(1));
        let worker = WorkerId { slot, generation };
        let exit = Exit::Code(self.rng.u8(..));
        let (nothing, members) = (Remains::Nothing, Remains::Members);
        let news = [
            Event::Ready(worker),
            Event::Hung(worker),
            Event::Spawned(worker),
            Event::SpawnFailed(worker),
            Event::Exited { worker, exit, remains: nothing },
            Event::Exited { worker, exit, remains: members },
            Event::Emptied(worker),
        ];
        self.rng.choice(news).filter(|_| generation > 0)
    }

    pub(super) fn command(&mut self) -> Vec<Event> {
        let Some(slot) = self.any_slot() else { return Vec::new() };
        match self.rng.u32(0..16) {
            15 => self.plans.ever().map(Event::Stop).collect(),
            0..=6 => vec![Event::Start(slot)],
            7..=10 => vec![Event::Stop(slot)],
            11 | 12 => vec![Event::Stop(slot), Event::Start(slot)],
            _ => vec![Event::Start(slot), Event::Stop(slot)],
        }
    }

    /// One of those that are or were in a plan.
    fn any_slot(&mut self) -> Option<SlotId> {
        let ever: Vec<SlotId> = self.plans.ever().collect();
        let now: Vec<SlotId> = self.record.slots.iter().map(|facts| facts.slot).collect();
        let these = if self.rng.u32(0..8) == 0 { ever } else { now };
        self.rng.choice(these)
    }
}

pub(super) fn one_of<T: Copy, const N: usize>(rng: &mut Rng, these: [T; N]) -> T {
    these[rng.usize(0..N)]
}

/// Less than one of these many milliseconds, so that short times are as frequent as long ones.
pub(super) fn below_one_of<const N: usize>(rng: &mut Rng, millis: [u64; N]) -> Duration {
    let most = one_of(rng, millis);
    Duration::from_millis(rng.u64(0..most))
}
