//! Single steps inside pm: a death in the supervisor, and the cutting of lines.
//!
//!     cargo bench --bench micro
//!
//! No process is started. divan runs them, prints their times and takes its options after `--`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use divan::Bencher;
use pm::reactor::{Cutter, HandedOn};
use pm::supervisor::{
    Action, Event, Exit, Policy, PoolEntry, PoolId, Readiness, Remains, Revision, SlotEntry,
    SlotId, Supervisor, TableSpec, WorkerId,
};

/// What pm reads from a pipe at once.
const READ_BYTES: usize = 64 << 10;

fn main() {
    divan::main();
}

/// A ready worker exits, and the next one is there: two events.
#[divan::bench(args = [3, 1_000, 10_000])]
fn death_by_slots(bencher: Bencher<'_, '_>, slots: usize) {
    let mut table = Table::ready(slots);
    bencher.bench_local(|| table.death());
}

/// A read of 64 KiB, of lines of this many bytes; the first and the last of them are not whole.
#[divan::bench(args = [10, 100, 1_000])]
fn cut_read_by_line_bytes(bencher: Bencher<'_, '_>, line_bytes: usize) {
    let line = [b".".repeat(line_bytes - 1), b"\n".to_vec()].concat();
    let read: Vec<u8> = line.iter().copied().cycle().skip(1).take(READ_BYTES).collect();
    let mut cutter = Cutter::default();
    bencher.bench_local(|| {
        cutter.push(black_box(&read), |handed_on: HandedOn<'_>| {
            black_box(handed_on);
        });
    });
}

/// A supervisor of one pool, whose workers are ready once they are there.
struct Table {
    supervisor: Supervisor,
    /// Of each slot.
    generations: Vec<u64>,
    deaths: usize,
    now: Instant,
    actions: Vec<Action>,
}

impl Table {
    fn ready(slots: usize) -> Self {
        let pool = PoolId(0);
        let policy =
            Policy { ready: Readiness::Lived { after: Duration::ZERO }, ..Policy::default() };
        let entry = |slot| SlotEntry { slot: SlotId(slot), pool, policy, revision: Revision(0) };
        let spec = TableSpec {
            pools: vec![PoolEntry { pool, after: Vec::new(), ends_run: false }],
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

    fn death(&mut self) {
        // Slots that are far from each other, one after another.
        let slot = self.deaths * 7 % self.generations.len();
        self.deaths += 1;
        self.now += Duration::from_millis(1);
        let dead = WorkerId { slot: SlotId(slot), generation: self.generations[slot] };
        let (exit, remains) = (Exit::Code(1), Remains::Nothing);
        self.tell(Event::Exited { worker: dead, exit, remains });
        let next = WorkerId { generation: dead.generation + 1, ..dead };
        let is_next =
            |action: &Action| matches!(action, Action::Spawn { worker, .. } if *worker == next);
        assert!(self.actions.iter().any(is_next), "{:?}", self.actions);
        self.generations[slot] = next.generation;
        self.tell(Event::Spawned(next));
    }

    fn tell(&mut self, event: Event) {
        self.actions.clear();
        self.supervisor.handle(event, self.now, &mut self.actions);
    }
}
