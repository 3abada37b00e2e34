//! Single steps inside pm: a death in the supervisor, the cutting of lines, and a frame of `pm top`.
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

/// A frame of 160 columns and 50 rows, with 5 MB of lines in the log. 333 lines have come since the last one: 10,000 in
/// a second at 30 frames.
#[cfg(feature = "top")]
#[divan::bench(args = ["plain", "wrapped", "filtered", "held"])]
fn top_frame(bencher: Bencher<'_, '_>, view: &str) {
    let line = "12:01:09.402 GET /some/path/that/is/not/short?with=a&query=of+words 200 \x1b[32m1ms\x1b[0m";
    let mut trial = pm::cli::top_trial::Trial::of((5_000_000 / line.len()) as u64, line);
    let keys = match view {
        "wrapped" => "W",
        "filtered" => "/get",
        "held" => "f",
        _ => "",
    };
    keys.chars().for_each(|key| trial.press(key));
    bencher.bench_local(|| {
        trial.push(333, line);
        trial.draw();
    });
}

/// The same with lines of 64 KiB, the longest that there are, of wide characters.
#[cfg(feature = "top")]
#[divan::bench(args = ["plain", "wrapped"])]
fn top_frame_of_long_lines(bencher: Bencher<'_, '_>, view: &str) {
    let line = "日本語 ".repeat(6_500);
    let mut trial = pm::cli::top_trial::Trial::of(80, &line);
    if view == "wrapped" {
        trial.press('W');
    }
    bencher.bench_local(|| trial.draw());
}

/// A letter is added to what `/` looks for, in 5 MB of lines.
#[cfg(feature = "top")]
#[divan::bench]
fn top_filter_key(bencher: Bencher<'_, '_>) {
    let line = "12:01:09.402 GET /some/path/that/is/not/short?with=a&query=of+words 200 \x1b[32m1ms\x1b[0m";
    let mut trial = pm::cli::top_trial::Trial::of((5_000_000 / line.len()) as u64, line);
    trial.press('/');
    bencher.bench_local(|| {
        trial.press('q');
        trial.draw();
    });
}
