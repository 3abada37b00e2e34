//! Whole lines on their way to stdout or stderr, bounded, and never waited for.
//!
//! Lines queue here until the reader takes them. While it takes some, nothing is lost: a full queue makes the
//! reactor stop reading workers ([`Outlet::has_room`]). A reader that has taken nothing for [`STALLED_AFTER`] is
//! stalled (Ctrl-S, a hung pager): from then on the oldest whole lines are dropped so that workers go on, and counted.

use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::errno::Errno;

use crate::sys::stream::Stream;

/// A full queue: the reactor reads no more from workers until some of it has gone.
const QUEUED_BYTES_MAX: usize = 256 * 1024;

/// A reader that has taken nothing for this long does not count as moving.
pub const STALLED_AFTER: Duration = Duration::from_secs(2);

/// One output and the lines that wait for it.
#[derive(Debug)]
pub struct Outlet {
    stream: Stream,
    queue: Queue,
    reader: Reader,
    trouble: Trouble,
}

/// Why nothing can be written, if that is not for want of a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    None,
    /// It is still to be said.
    New(Errno),
    Known,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    /// It took all it was given.
    Moving,
    /// It has taken nothing since then.
    Still { since: Instant },
    /// It will never take anything again, and that is still to be said.
    Gone,
    /// It will never take anything again.
    Forgotten,
}

/// What there is to say about an outlet after a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incident {
    /// The reader moves again; so many lines were dropped while it did not.
    Dropped(u64),
    /// It cannot be written: what comes is dropped until it can.
    Broken(Errno),
    /// It can be written again; so many lines were dropped while it could not.
    Mended(u64),
    /// The reader is gone: what comes from now on is thrown away.
    Closed,
}

impl Outlet {
    /// An outlet to what `fd` is open on, woken through `token` when its reader moves.
    ///
    /// # Errors
    /// If the descriptor cannot be duplicated.
    pub fn to(fd: BorrowedFd<'_>, registry: &Registry, token: Token) -> io::Result<Self> {
        let stream = Stream::to(fd)?;
        let source = stream.as_raw_fd();
        match registry.register(&mut SourceFd(&source), token, Interest::WRITABLE) {
            // EPERM: a regular file or /dev/null, which never makes anybody wait (epoll_ctl(2)).
            Err(error) if error.raw_os_error() != Some(libc::EPERM) => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let (queue, reader, trouble) = (Queue::default(), Reader::Moving, Trouble::None);
        Ok(Self { stream, queue, reader, trouble })
    }

    /// True if a worker's output may be read: it will be kept, or is meant to be dropped.
    pub fn has_room(&self, now: Instant) -> bool {
        self.queue.len() < QUEUED_BYTES_MAX || self.is_stalled(now)
    }

    /// True if nothing waits, or nothing will come of waiting.
    pub fn is_settled(&self, now: Instant) -> bool {
        self.queue.len() == 0 || self.is_stalled(now)
    }

    /// When a reader that takes nothing will count as stalled, if that makes a difference.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        match self.reader {
            Reader::Still { since } if !self.is_stalled(now) => Some(since + STALLED_AFTER),
            Reader::Still { .. } | Reader::Moving | Reader::Gone | Reader::Forgotten => None,
        }
    }

    /// Appends one line, given in pieces without its newline.
    pub fn push(&mut self, pieces: &[&[u8]], now: Instant) {
        if self.is_gone() {
            return;
        }
        for piece in pieces {
            self.queue.bytes.extend_from_slice(piece);
        }
        self.queue.bytes.push(b'\n');
        if self.queue.len() >= QUEUED_BYTES_MAX {
            self.write(now);
        }
        // Down to half in one go, so that dropping costs a stalled reader's workers next to nothing a line.
        if self.queue.len() > 2 * QUEUED_BYTES_MAX {
            self.queue.drop_oldest(QUEUED_BYTES_MAX);
        }
    }

    /// Writes what the reader takes now. Never waits.
    pub fn flush(&mut self, now: Instant) -> Option<Incident> {
        self.write(now);
        if let Trouble::New(errno) = self.trouble {
            self.trouble = Trouble::Known;
            return Some(Incident::Broken(errno));
        }
        if self.reader == Reader::Moving && self.trouble == Trouble::Known {
            self.trouble = Trouble::None;
            return Some(Incident::Mended(std::mem::take(&mut self.queue.dropped)));
        }
        if self.queue.dropped > 0 && !self.is_stalled(now) {
            return Some(Incident::Dropped(std::mem::take(&mut self.queue.dropped)));
        }
        if self.reader == Reader::Gone {
            self.reader = Reader::Forgotten;
            return Some(Incident::Closed);
        }
        None
    }

    fn is_stalled(&self, now: Instant) -> bool {
        match self.reader {
            Reader::Still { since } => now >= since + STALLED_AFTER,
            Reader::Moving => false,
            Reader::Gone | Reader::Forgotten => true,
        }
    }

    fn is_gone(&self) -> bool {
        matches!(self.reader, Reader::Gone | Reader::Forgotten)
    }

    fn write(&mut self, now: Instant) {
        while self.queue.len() > 0 && !self.is_gone() {
            match self.stream.write(self.queue.unwritten()) {
                Ok(count) => {
                    self.queue.advance(count);
                    self.reader = Reader::Moving;
                }
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    // The reader closed its end, or the terminal was hung up (EIO).
                    _ if matches!(error.raw_os_error(), Some(libc::EPIPE | libc::EIO)) => {
                        self.reader = Reader::Gone;
                        self.queue = Queue::default();
                    }
                    // Full for now; or, as with a full disk, broken for now. Tried again at the next chance.
                    kind => {
                        if kind != ErrorKind::WouldBlock && self.trouble == Trouble::None {
                            let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
                            self.trouble = Trouble::New(errno);
                        }
                        if self.reader == Reader::Moving {
                            self.reader = Reader::Still { since: now };
                        }
                        return;
                    }
                },
            }
        }
    }
}

/// Lines in one run of bytes, the written part in front.
#[derive(Debug, Default)]
struct Queue {
    bytes: Vec<u8>,
    written: usize,
    /// Lines dropped since the reader last moved.
    dropped: u64,
}

impl Queue {
    fn len(&self) -> usize {
        self.bytes.len() - self.written
    }

    fn unwritten(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    fn advance(&mut self, count: usize) {
        self.written += count;
        if self.written == self.bytes.len() {
            self.bytes.clear();
            self.bytes.shrink_to(8 * 1024);
            self.written = 0;
        } else if self.written >= QUEUED_BYTES_MAX {
            self.bytes.drain(..self.written);
            self.written = 0;
        }
    }

    /// Drops the oldest lines until at most `most` bytes wait. A line that is partly written keeps its rest.
    fn drop_oldest(&mut self, most: usize) {
        let is_partly_written = self.written > 0 && self.bytes[self.written - 1] != b'\n';
        let line_end =
            |from: usize| memchr::memchr(b'\n', &self.bytes[from..]).map(|n| from + n + 1);
        let from = match is_partly_written {
            true => line_end(self.written).unwrap_or(self.bytes.len()),
            false => self.written,
        };
        let mut to = from;
        let mut count = 0;
        while self.len() - (to - from) > most {
            let Some(end) = line_end(to) else { break };
            to = end;
            count += 1;
        }
        self.bytes.drain(from..to);
        self.dropped += count;
        // What is written is no longer needed, but for the byte that tells whether a line is partly written.
        let spent = self.written.saturating_sub(1);
        self.bytes.drain(..spent);
        self.written -= spent;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsFd;

    use super::*;

    struct Piped {
        outlet: Outlet,
        reader: io::PipeReader,
        now: Instant,
        _poll: mio::Poll,
    }

    fn piped() -> Piped {
        let poll = mio::Poll::new().unwrap();
        let (reader, writer) = io::pipe().unwrap();
        let outlet = Outlet::to(writer.as_fd(), poll.registry(), Token(0)).unwrap();
        Piped { outlet, reader, now: Instant::now(), _poll: poll }
    }

    impl Piped {
        /// Pushes numbered lines until the queue is full and returns how many.
        fn fill(&mut self) -> u64 {
            let mut pushed = 0;
            while self.outlet.has_room(self.now) {
                self.push(pushed);
                pushed += 1;
            }
            pushed
        }

        fn push(&mut self, n: u64) {
            let line = format!("line {n:090}");
            self.outlet.push(&[b"web.1 | ", line.as_bytes()], self.now);
        }

        /// Reads and flushes until nothing waits; returns the numbers of the lines and the incidents.
        fn read_all(mut self) -> (Vec<u64>, Vec<Incident>) {
            let (mut text, mut incidents) = (Vec::new(), Vec::new());
            let mut chunk = [0; 65536];
            while self.outlet.queue.len() > 0 {
                let count = self.reader.read(&mut chunk).unwrap();
                text.extend_from_slice(&chunk[..count]);
                incidents.extend(self.outlet.flush(self.now));
            }
            drop(self.outlet);
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
        assert!(!piped.outlet.has_room(piped.now + STALLED_AFTER / 2));
        let (lines, incidents) = piped.read_all();
        assert_eq!(lines, Vec::from_iter(0..pushed));
        assert_eq!(incidents, []);
    }

    #[test]
    fn a_stalled_reader_loses_the_oldest_whole_lines_and_is_told_how_many() {
        let mut piped = piped();
        let pushed = piped.fill();
        assert_eq!(piped.outlet.deadline(piped.now), Some(piped.now + STALLED_AFTER));
        piped.now += STALLED_AFTER;
        assert!(piped.outlet.has_room(piped.now));
        for n in pushed..pushed + 10_000 {
            piped.push(n);
        }
        assert_eq!(piped.outlet.flush(piped.now), None);
        let (lines, incidents) = piped.read_all();
        let dropped = pushed + 10_000 - lines.len() as u64;
        assert_eq!(incidents, [Incident::Dropped(dropped)]);
        assert!(dropped > 5_000, "{dropped}");
        assert_eq!(lines.last(), Some(&(pushed + 9_999)));
        let gaps = lines.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
        assert_eq!(gaps, 1, "one gap where the oldest were dropped");
    }

    #[test]
    fn an_output_that_cannot_be_written_is_said_once() {
        let poll = mio::Poll::new().unwrap();
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut outlet = Outlet::to(full.as_fd(), poll.registry(), Token(0)).unwrap();
        let now = Instant::now();
        outlet.push(&[b"lost"], now);
        assert_eq!(outlet.flush(now), Some(Incident::Broken(Errno::ENOSPC)));
        outlet.push(&[b"lost"], now);
        assert_eq!(outlet.flush(now), None);
        assert!(outlet.is_settled(now + STALLED_AFTER), "it holds nobody up");
    }

    #[test]
    fn a_reader_that_is_gone_is_said_once_and_keeps_nobody_waiting() {
        let mut piped = piped();
        piped.push(0);
        let (_, other) = io::pipe().unwrap();
        piped.reader = io::pipe().unwrap().0;
        drop(other);
        assert_eq!(piped.outlet.flush(piped.now), Some(Incident::Closed));
        for n in 0..10_000 {
            piped.push(n);
        }
        assert!(piped.outlet.has_room(piped.now) && piped.outlet.is_settled(piped.now));
        assert_eq!(piped.outlet.flush(piped.now), None);
    }
}
