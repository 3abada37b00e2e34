//! Single steps inside pm, without a process: a death in the supervisor, and the cutting of lines.

use std::hint::black_box;
use std::time::{Duration, Instant};

use pm::reactor::{Cutter, HandedOn};
use pm::supervisor::{
    Action, Event, Exit, Policy, PoolEntry, PoolId, Readiness, Remains, Revision, SlotEntry,
    SlotId, Supervisor, TableSpec, WorkerId,
};

/// What pm reads from a pipe at once.
const READ_BYTES: usize = 64 << 10;
const READS: usize = 16;

/// Lines that come in reads which begin and end within a line.
pub struct Reads {
    text: Vec<u8>,
    cutter: Cutter,
    done: usize,
}

impl Reads {
    pub fn of(line_bytes: usize) -> Self {
        let line = [b".".repeat(line_bytes - 1), b"\n".to_vec()].concat();
        let text = line.iter().copied().cycle().take(READS * READ_BYTES).collect();
        Self { text, cutter: Cutter::default(), done: 0 }
    }

    pub fn cut_one(&mut self) {
        let from = self.done % READS * READ_BYTES;
        self.done += 1;
        let read = &self.text[from..from + READ_BYTES];
        self.cutter.push(black_box(read), |handed_on: HandedOn<'_>| {
            black_box(handed_on);
        });
    }

    pub fn bytes() -> usize {
        READ_BYTES
    }
}

/// A supervisor of one pool, whose workers are ready once they are there.
pub struct Table {
    supervisor: Supervisor,
    /// Of each slot.
    generations: Vec<u64>,
    deaths: usize,
    now: Instant,
    actions: Vec<Action>,
}

impl Table {
    pub fn ready(slots: usize) -> Self {
        let pool = PoolId(0);
        let policy =
            Policy { ready: Readiness::Lived { after: Duration::ZERO }, ..Policy::default() };
        let entry = |slot| SlotEntry { slot: SlotId(slot), pool, policy, revision: Revision(0) };
        let spec = TableSpec {
            pools: vec![PoolEntry { pool, after: Vec::new(), ends_run: false, spares: 0 }],
            slots: (0..slots).map(entry).collect(),
        };
        let mut table = Self {
            supervisor: Supervisor::new(spec),
            generations: vec![1; slots],
            deaths: 0,
            now: Instant::now(),
            actions: Vec::new(),
        };
        for slot in 0..slots {
            table.tell(Event::Start(SlotId(slot)));
            table.tell(Event::Spawned(WorkerId { slot: SlotId(slot), generation: 1 }));
        }
        table
    }

    pub fn death(&mut self) {
        // Slots that are far from each other, one after another.
        let slot = self.deaths * 7 % self.generations.len();
        self.deaths += 1;
        self.now += Duration::from_millis(1);
        let next = self.exit(slot);
        self.tell(Event::Spawned(next));
    }

    /// All workers exit before the next of one is there.
    pub fn storm(&mut self) {
        self.now += Duration::from_millis(1);
        let next: Vec<_> = (0..self.generations.len()).map(|slot| self.exit(slot)).collect();
        next.into_iter().for_each(|next| self.tell(Event::Spawned(next)));
    }

    /// Returns the next worker, which is to be spawned.
    fn exit(&mut self, slot: usize) -> WorkerId {
        let dead = WorkerId { slot: SlotId(slot), generation: self.generations[slot] };
        let (exit, remains) = (Exit::Code(1), Remains::Nothing);
        self.tell(Event::Exited { worker: dead, exit, remains });
        let next = WorkerId { generation: dead.generation + 1, ..dead };
        let is_next =
            |action: &Action| matches!(action, Action::Spawn { worker, .. } if *worker == next);
        assert!(self.actions.iter().any(is_next), "{:?}", self.actions);
        self.generations[slot] = next.generation;
        next
    }

    fn tell(&mut self, event: Event) {
        self.actions.clear();
        self.supervisor.handle(event, self.now, &mut self.actions);
    }
}
