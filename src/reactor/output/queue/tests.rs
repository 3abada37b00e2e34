//! Readers are real pipes; a stalled one is a clock that is moved on.

use std::io::Read;
use std::os::fd::AsFd;

use super::*;
use crate::reactor::tokens::Poller;

struct Piped {
    queue: LineQueue,
    reader: io::PipeReader,
    now: Instant,
    _poller: Poller,
}

fn piped() -> Piped {
    let mut poller = Poller::open().unwrap();
    let (reader, writer) = io::pipe().unwrap();
    let queue = LineQueue::to(writer.as_fd(), Source::Stdout, &mut poller.registrar()).unwrap();
    Piped { queue, reader, now: Instant::now(), _poller: poller }
}

impl Piped {
    /// Pushes numbered lines until the queue is full and returns how many.
    fn fill(&mut self) -> u64 {
        let mut pushed = 0;
        while self.queue.has_room(self.now) {
            self.push(pushed);
            pushed += 1;
        }
        pushed
    }

    fn push(&mut self, n: u64) {
        let line = format!("line {n:090}");
        self.queue.push(&[b"web.1 | ", line.as_bytes()], self.now);
    }

    /// Reads and flushes until nothing waits; returns the numbers of the lines and the incidents.
    fn read_all(self) -> (Vec<u64>, Vec<Incident>) {
        self.read_all_after(Vec::new())
    }

    /// As [`Piped::read_all`], with what was read before.
    fn read_all_after(mut self, mut text: Vec<u8>) -> (Vec<u64>, Vec<Incident>) {
        let mut incidents = Vec::new();
        let mut chunk = [0; 65536];
        while self.queue.pending.len() > 0 {
            let count = self.reader.read(&mut chunk).unwrap();
            text.extend_from_slice(&chunk[..count]);
            incidents.extend(self.queue.flush(self.now));
        }
        drop(self.queue);
        self.reader.read_to_end(&mut text).unwrap();
        let lines = String::from_utf8(text).unwrap();
        let number = |line: &str| line.strip_prefix("web.1 | line ").unwrap().parse().unwrap();
        (lines.lines().map(number).collect(), incidents)
    }
}

#[test]
fn a_slow_reader_gets_every_line() {
    let mut piped = piped();
    let pushed = piped.fill();
    assert!(!piped.queue.has_room(piped.now + STALLED_AFTER / 2));
    let (lines, incidents) = piped.read_all();
    assert_eq!(lines, Vec::from_iter(0..pushed));
    assert_eq!(incidents, []);
}

#[test]
fn a_slow_reader_gets_every_line_however_long_one_read_becomes_behind_its_labels() {
    let mut piped = piped();
    let pushed = piped.fill();
    let label = "l".repeat(1_000);
    let lines = "\n".repeat(2_000);
    piped.queue.push_lines(label.as_bytes(), lines.as_bytes(), piped.now);
    assert!(piped.queue.pending.len() > 1024 * 1024);
    let mut text = Vec::new();
    while piped.queue.pending.len() > 0 {
        let mut chunk = [0; 65536];
        let count = piped.reader.read(&mut chunk).unwrap();
        text.extend_from_slice(&chunk[..count]);
        assert_eq!(piped.queue.flush(piped.now), None);
    }
    assert!(piped.queue.pending.bytes.capacity() <= WRITE_BYTES, "the memory is given back");
    drop(piped.queue);
    piped.reader.read_to_end(&mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert_eq!(text.lines().filter(|line| *line == label).count(), 2_000);
    assert_eq!(text.lines().count() as u64, pushed + 2_000);
}

#[test]
fn a_stalled_reader_loses_the_oldest_whole_lines_and_the_count_is_reported() {
    let mut piped = piped();
    let pushed = piped.fill();
    assert_eq!(piped.queue.deadline(piped.now), Some(piped.now + STALLED_AFTER));
    piped.now += STALLED_AFTER;
    assert!(piped.queue.has_room(piped.now));
    for n in pushed..pushed + 10_000 {
        piped.push(n);
    }
    assert_eq!(piped.queue.flush(piped.now), None);
    let (lines, incidents) = piped.read_all();
    let dropped = pushed + 10_000 - lines.len() as u64;
    assert_eq!(incidents, [Incident::Dropped(dropped)]);
    assert!(dropped > 5_000, "{dropped}");
    assert_eq!(lines.last(), Some(&(pushed + 9_999)));
    let gaps = lines.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
    assert_eq!(gaps, 1, "one gap where the oldest were dropped");
}

#[test]
fn a_line_that_is_partly_written_keeps_its_rest_however_much_was_written_before() {
    for taken in 1..=8 {
        let mut piped = piped();
        let mut pushed = piped.fill();
        // What one read adds behind its labels goes beyond a full queue.
        for _ in 0..4_000 {
            piped.push(pushed);
            pushed += 1;
        }
        let mut text = Vec::new();
        let mut chunk = [0; 65536];
        for _ in 0..taken {
            let count = piped.reader.read(&mut chunk).unwrap();
            text.extend_from_slice(&chunk[..count]);
            assert_eq!(piped.queue.flush(piped.now), None);
        }
        piped.now += STALLED_AFTER;
        for n in pushed..pushed + 10_000 {
            piped.push(n);
        }
        let (lines, incidents) = piped.read_all_after(text);
        let dropped = pushed + 10_000 - lines.len() as u64;
        assert_eq!(incidents, [Incident::Dropped(dropped)], "{taken}");
    }
}

#[test]
fn an_output_that_cannot_be_written_is_reported_once() {
    let mut poller = Poller::open().unwrap();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut queue = LineQueue::to(full.as_fd(), Source::Stdout, &mut poller.registrar()).unwrap();
    let now = Instant::now();
    queue.push(&[b"lost"], now);
    assert_eq!(queue.flush(now), Some(Incident::Broken(Errno::ENOSPC)));
    queue.push(&[b"lost"], now);
    assert_eq!(queue.flush(now), None);
    assert!(queue.is_settled(now) && queue.has_room(now), "it delays nothing");
    assert_eq!(queue.close(now), Some(Incident::Lost(2)));
}

#[test]
fn an_error_of_a_disk_is_no_closed_reader() {
    // A regular file whose every write fails with EIO (proc_pid_mem(5)): the page at 0 is never mapped.
    let file = std::fs::OpenOptions::new().write(true).open("/proc/self/mem").unwrap();
    let mut poller = Poller::open().unwrap();
    let mut queue = LineQueue::to(file.as_fd(), Source::Stdout, &mut poller.registrar()).unwrap();
    let now = Instant::now();
    queue.push(&[b"a line"], now);
    assert_eq!(queue.flush(now), Some(Incident::Broken(Errno::EIO)));
}

#[test]
fn what_a_stalled_reader_has_not_taken_at_the_end_is_counted() {
    let mut piped = piped();
    let pushed = piped.fill();
    piped.now += STALLED_AFTER;
    let incident = piped.queue.close(piped.now);
    drop(piped.queue);
    let mut text = String::new();
    piped.reader.read_to_string(&mut text).unwrap();
    let whole = text.matches('\n').count() as u64;
    assert_eq!(incident, Some(Incident::Lost(pushed - whole)));
}

#[test]
fn a_closed_reader_is_reported_once_and_delays_no_worker() {
    let mut piped = piped();
    piped.push(0);
    let (_, other) = io::pipe().unwrap();
    piped.reader = io::pipe().unwrap().0;
    drop(other);
    assert_eq!(piped.queue.flush(piped.now), Some(Incident::Closed));
    for n in 0..10_000 {
        piped.push(n);
    }
    assert!(piped.queue.has_room(piped.now) && piped.queue.is_settled(piped.now));
    assert_eq!(piped.queue.flush(piped.now), None);
}
