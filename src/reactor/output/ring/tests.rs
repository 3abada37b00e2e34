//! What the ring keeps, what it drops, and what its readers are told of that.

use super::*;

const RING_BYTES: usize = 8 * 4 * 1024;

/// What follows a reader's last line.
pub struct After<L> {
    pub lost: u64,
    pub lines: L,
}

impl Ring {
    /// An empty ring that takes at most this many bytes.
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes_max, ..Self::default() }
    }

    /// All that follows the line with the number `cursor`.
    pub fn after(&self, cursor: u64) -> After<impl DoubleEndedIterator<Item = Line<'_>>> {
        After {
            lost: self.lost_after(cursor),
            lines: self.lines(cursor.saturating_add(1), |_| true),
        }
    }

    /// What the kept lines take, in bytes.
    pub fn held(&self) -> usize {
        self.held + self.open.as_ref().map_or(0, Page::held)
    }
}

fn worker(slot: usize, generation: u64) -> WorkerId {
    WorkerId { slot: SlotId(slot), generation }
}

fn name(slot: usize) -> Rc<str> {
    format!("web.{slot}").into()
}

fn origin(worker: WorkerId, kind: Kind, at: u64) -> Origin {
    let author = Author { worker, slot: name(worker.slot.0) };
    Origin { author: Rc::new(author), kind, at: WallTime(at) }
}

fn write(ring: &mut Ring, worker: WorkerId, text: &str) -> u64 {
    ring.push(origin(worker, Kind::Output, 5), [text.as_bytes(), b""])
}

fn texts<'a>(lines: impl IntoIterator<Item = Line<'a>>) -> Vec<String> {
    let text = |line: Line<'_>| String::from_utf8(line.bytes.to_owned()).unwrap();
    lines.into_iter().map(text).collect()
}

/// What is kept must be what is counted, without a hole.
fn check(ring: &Ring) {
    assert!(ring.held() <= ring.bytes_max, "{} of {}", ring.held(), ring.bytes_max);
    let numbers: Vec<_> = ring.after(0).lines.map(|line| line.n).collect();
    assert_eq!(numbers, Vec::from_iter(ring.first()..=ring.last()));
    let mut backwards: Vec<_> = ring.after(0).lines.rev().map(|line| line.n).collect();
    backwards.reverse();
    assert_eq!(numbers, backwards);
}

#[test]
fn a_line_is_kept_as_it_came_with_its_number_time_and_source() {
    let mut ring = Ring::new(RING_BYTES);
    let (first, second) = (worker(1, 3), worker(2, 1));
    assert_eq!(ring.push(origin(first, Kind::Output, 11), [b"on", b"e"]), 1);
    assert_eq!(ring.push(origin(second, Kind::Continuation, 12), [b"", b""]), 2);
    assert_eq!(ring.push(origin(first, Kind::Death, 1 << 40), [b"\xff\n\0", b""]), 3);
    let lines: Vec<_> = ring.after(0).lines.collect();
    let facts = lines.iter().map(|line| (line.n, line.at.0, line.worker, line.kind, line.bytes));
    let expected: [(u64, u64, WorkerId, Kind, &[u8]); 3] = [
        (1, 11, first, Kind::Output, b"one"),
        (2, 12, second, Kind::Continuation, b""),
        (3, 1 << 40, first, Kind::Death, b"\xff\n\0"),
    ];
    assert_eq!(Vec::from_iter(facts), expected);
    assert_eq!(&**lines[1].slot, "web.2");
}

#[test]
fn lines_that_come_at_once_are_lines_of_their_own() {
    let mut ring = Ring::new(RING_BYTES);
    write(&mut ring, worker(2, 1), "before");
    ring.push_lines(origin(worker(1, 1), Kind::Output, 5), b"one\n\nthree\n\n", 4);
    write(&mut ring, worker(2, 1), "after");
    check(&ring);
    let all = ["before", "one", "", "three", "", "after"];
    assert_eq!(texts(ring.after(0).lines), all);
    for cursor in 0..all.len() {
        assert_eq!(texts(ring.after(cursor as u64).lines), all[cursor..]);
    }
    let backwards: Vec<_> = ring.after(2).lines.rev().map(|line| line.n).collect();
    assert_eq!(backwards, [6, 5, 4, 3]);
    assert_eq!(ring.counts(SlotId(1)), Counts { lines: 4, bytes: 8, dropped: 0 });
}

#[test]
fn of_lines_that_are_larger_than_the_ring_together_the_last_are_kept() {
    let mut ring = Ring::new(2_000);
    let lines: String = (1..=1_000).map(|n| format!("line {n}\n")).collect();
    ring.push_lines(origin(worker(1, 1), Kind::Output, 5), lines.as_bytes(), 1_000);
    check(&ring);
    assert_eq!(texts(ring.after(999).lines), ["line 1000"]);
    assert!(ring.first() > 900, "{}", ring.first());
}

#[test]
fn the_oldest_lines_are_dropped_and_a_reader_is_told_how_many() {
    let mut ring = Ring::new(RING_BYTES);
    let count = 5_000_u64;
    for n in 1..=count {
        write(&mut ring, worker(1, 1), &format!("line {n}"));
    }
    check(&ring);
    let first = ring.first();
    assert!(first > 1 && first < count - 200, "{first}");
    let after = ring.after(0);
    assert_eq!(after.lost, first - 1);
    assert_eq!(texts(after.lines.take(1)), [format!("line {first}")]);
    assert_eq!(ring.after(first - 1).lost, 0);
    assert_eq!(ring.after(first - 2).lost, 1);
    let last = ring.after(count - 2);
    assert_eq!((last.lost, texts(last.lines)), (0, vec!["line 4999".into(), "line 5000".into()]));
    for cursor in [count, count + 1, u64::MAX] {
        let after = ring.after(cursor);
        assert_eq!((after.lost, after.lines.count()), (0, 0));
    }
}

#[test]
fn the_ring_stays_within_its_size_whatever_is_written() {
    let mut random = fastrand::Rng::with_seed(7);
    for bytes_max in [0, 1, 100, 300, 5_000, RING_BYTES, 300_000] {
        let mut ring = Ring::new(bytes_max);
        let mut counts = [Counts::default(); 40];
        for n in 1..=3_000 {
            let slot = random.usize(..counts.len());
            if random.u8(..4) == 0 {
                let lines = random.u64(1..500);
                let text = "\nline".repeat(lines as usize - 1) + "\n";
                let last = ring.last();
                ring.push_lines(
                    origin(worker(slot, 1), Kind::Output, n),
                    text.as_bytes(),
                    lines as usize,
                );
                assert_eq!(ring.last(), last + lines);
                counts[slot].lines += lines;
                counts[slot].bytes += 4 * (lines - 1);
                continue;
            }
            let length = [0, 1, 30, 200, 5_000, 70_000][random.usize(..6)];
            let length = if random.u8(..20) == 0 { length } else { length.min(200) };
            let last = ring.last();
            let number = write(&mut ring, worker(slot, random.u64(1..3)), &"x".repeat(length));
            assert_eq!(number, last + 1);
            counts[slot].lines += 1;
            counts[slot].bytes += length as u64;
            assert!(ring.held() <= bytes_max, "{} of {bytes_max}", ring.held());
            if random.u8(..=255) == 0 {
                check(&ring);
            }
        }
        check(&ring);
        for (slot, counts) in counts.iter_mut().enumerate() {
            let kept = ring.lines(0, |worker| worker.slot == SlotId(slot)).count() as u64;
            counts.dropped = counts.lines - kept;
            assert_eq!(ring.counts(SlotId(slot)), *counts, "{slot} of {bytes_max}");
        }
    }
}

#[test]
fn a_line_that_is_larger_than_the_ring_has_a_number_and_is_lost() {
    let mut ring = Ring::new(4_000);
    write(&mut ring, worker(1, 1), "before");
    assert_eq!(write(&mut ring, worker(1, 1), &"x".repeat(4_000)), 2);
    check(&ring);
    assert_eq!(ring.after(0).lost, 2);
    assert_eq!(write(&mut ring, worker(1, 1), "after"), 3);
    let after = ring.after(0);
    assert_eq!((after.lost, texts(after.lines)), (2, vec!["after".into()]));
    assert_eq!(ring.counts(SlotId(1)), Counts { lines: 3, bytes: 4_011, dropped: 2 });
}

#[test]
fn a_ring_that_is_turned_off_counts_and_takes_no_memory() {
    let mut ring = Ring::new(0);
    assert_eq!(write(&mut ring, worker(1, 1), "one"), 1);
    assert_eq!(write(&mut ring, worker(1, 1), ""), 2);
    assert_eq!((ring.held(), ring.first(), ring.last()), (0, 3, 2));
    assert_eq!(ring.counts(SlotId(1)), Counts { lines: 2, bytes: 3, dropped: 2 });
    assert_eq!(ring.after(0).lost, 2);
}

#[test]
fn no_memory_is_taken_before_there_are_lines() {
    let mut ring = Ring::new(4 << 20);
    assert_eq!(ring.held(), 0);
    write(&mut ring, worker(1, 1), "one");
    assert!(ring.held() < 2 * PAGE_BYTES_MAX, "{}", ring.held());
}

#[test]
fn another_size_drops_what_does_not_fit_any_more() {
    let mut ring = Ring::new(RING_BYTES);
    for n in 1..=1_000 {
        write(&mut ring, worker(1, 1), &format!("line {n}"));
    }
    ring.resize(RING_BYTES / 2);
    check(&ring);
    assert!(ring.first() < 1_000, "the last lines are kept");
    ring.resize(0);
    assert_eq!((ring.held(), ring.first()), (0, 1_001));
    ring.resize(RING_BYTES);
    write(&mut ring, worker(1, 1), "again");
    assert_eq!(texts(ring.after(1_000).lines), ["again"]);
}

#[test]
fn the_lines_of_a_slot_or_a_generation_are_found_from_the_end() {
    let mut ring = Ring::new(RING_BYTES);
    for n in 1..=20 {
        let generation = 1 + n / 11;
        write(&mut ring, worker(1, generation), &format!("one {n}"));
        write(&mut ring, worker(2, 1), &format!("two {n}"));
    }
    let of = |slot| move |worker: WorkerId| worker.slot == SlotId(slot);
    assert_eq!(texts(ring.lines(0, of(2)).rev().take(2)), ["two 20", "two 19"]);
    assert_eq!(ring.lines(0, of(3)).count(), 0);
    assert_eq!(texts(ring.lines(38, of(1))), ["one 20"]);
    let first = worker(1, 1);
    assert_eq!(texts(ring.last_lines(&[first], 0, 2)), ["one 9", "one 10"]);
    ring.push(origin(first, Kind::Death, 6), [b"web.1 exited 1", b""]);
    assert_eq!(
        texts(ring.last_lines(&[first], 0, 2)),
        ["one 9", "one 10"],
        "its death is not among them"
    );
    assert_eq!(ring.last_lines(&[first], 0, 100).len(), 10);
}

#[test]
fn a_line_keeps_the_name_that_its_slot_had() {
    let mut ring = Ring::new(RING_BYTES);
    for name in ["web.1", "api.1", "web.1"] {
        let author = Rc::new(Author { worker: worker(1, 1), slot: name.into() });
        let origin = Origin { author, kind: Kind::Output, at: WallTime(5) };
        ring.push(origin, [name.as_bytes(), b""]);
    }
    let names: Vec<_> = ring.after(0).lines.map(|line| line.slot.to_string()).collect();
    assert_eq!(names, ["web.1", "api.1", "web.1"]);
    assert_eq!(ring.counts(SlotId(1)).lines, 3);
}

#[test]
fn the_lines_of_a_removed_slot_are_kept_and_then_it_is_forgotten() {
    let mut ring = Ring::new(RING_BYTES);
    write(&mut ring, worker(1, 1), "last words");
    ring.retain(|slot| slot != SlotId(1));
    assert_eq!(texts(ring.last_lines(&[worker(1, 1)], 0, 9)), ["last words"]);
    assert_eq!(ring.counts(SlotId(1)).lines, 1);
    for _ in 0..5_000 {
        write(&mut ring, worker(2, 1), "and so on");
    }
    assert_eq!(ring.counts(SlotId(1)), Counts::default());
    assert_eq!(ring.tallies.len(), 1);
    ring.retain(|slot| slot == SlotId(2));
    assert_eq!(ring.counts(SlotId(2)).lines, 5_000);
}
