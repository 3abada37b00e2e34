//! Single steps inside pm: a death in the supervisor, and the cutting of lines.
//!
//!     cargo bench --bench micro
//!
//! No process is started. divan runs them, prints their times and takes its options after `--`.

mod support;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use support::steps::{Reads, Table};

fn main() {
    divan::main();
}

/// A ready worker exits, and the next one is there: two events.
#[divan::bench(args = [3, 1_000, 10_000])]
fn death_by_slots(bencher: Bencher<'_, '_>, slots: usize) {
    let mut table = Table::ready(slots);
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| table.death());
}

/// Lines of this many bytes come in reads that begin and end within a line.
#[divan::bench(args = [10, 100, 1_000])]
fn cut_by_line_bytes(bencher: Bencher<'_, '_>, line_bytes: usize) {
    let mut reads = Reads::of(line_bytes);
    let bytes = BytesCount::new(Reads::bytes());
    let lines = ItemsCount::new(Reads::bytes() / line_bytes);
    bencher.counter(bytes).counter(lines).bench_local(|| reads.cut_one());
}
