//! Whole lines on their way to stdout or stderr: a bounded queue that never waits for its reader.
//!
//! While the reader takes lines, nothing is lost: a full queue makes the reactor stop reading workers
//! ([`LineQueue::has_room`]). A reader that has taken nothing for [`STALLED_AFTER`] is stalled (Ctrl-S, a hung pager):
//! from then on the oldest whole lines are dropped and counted, so that workers go on.

use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use mio::Interest;
use mio::unix::SourceFd;
use nix::errno::Errno;

use crate::reactor::tokens::{Registrar, Source};
use crate::sys::stream::Stream;

/// Lines are written when there are more, even in the middle of a wakeup. No more memory is kept for those to come.
const WRITE_BYTES: usize = 64 * 1024;

/// A full queue: the reactor reads no more from workers until some of it has been written.
const QUEUED_BYTES_MAX: usize = 256 * 1024;

/// A reader that has taken nothing for this long is stalled.
pub const STALLED_AFTER: Duration = Duration::from_secs(2);

/// One output and the lines that wait for it.
#[derive(Debug)]
pub struct LineQueue {
    stream: Stream,
    pending: Pending,
    reader: Reader,
    failure: Failure,
    /// All lines that were not written.
    lost: u64,
}

/// Why nothing can be written, if the cause is not the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    None,
    Unreported(Errno),
    Reported,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    /// It took all it was given.
    Moving,
    /// It has taken nothing since then.
    Waiting { since: Instant },
    /// It has closed its end, and that is not reported yet.
    Closed,
    /// It has closed its end.
    ClosedReported,
}

/// What a flush has to report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incident {
    /// The reader moves again; this many lines were dropped while it did not.
    Dropped(u64),
    /// It cannot be written: new lines are dropped until it can.
    Broken(Errno),
    /// It can be written again; this many lines were dropped while it could not.
    Restored(u64),
    /// pm ends before this many lines were written.
    Lost(u64),
    /// The reader has closed its end: all further lines are discarded.
    Closed,
}

impl LineQueue {
    /// A queue to what `fd` is open on, woken as `source` when its reader moves.
    ///
    /// # Errors
    /// If the descriptor cannot be duplicated or watched.
    pub fn to(
        fd: BorrowedFd<'_>,
        source: Source,
        registrar: &mut Registrar<'_>,
    ) -> io::Result<Self> {
        let stream = Stream::to(fd)?;
        let descriptor = stream.as_raw_fd();
        match registrar.register(&mut SourceFd(&descriptor), source, Interest::WRITABLE) {
            // EPERM: a regular file or /dev/null, which is always writable (epoll_ctl(2)).
            Err(error) if error.raw_os_error() != Some(libc::EPERM) => return Err(error),
            Ok(_) | Err(_) => {}
        }
        Ok(Self {
            stream,
            pending: Pending::default(),
            reader: Reader::Moving,
            failure: Failure::None,
            lost: 0,
        })
    }

    /// True if a worker's output may be read: there is room, or the lines will be dropped.
    pub fn has_room(&self, now: Instant) -> bool {
        self.pending.len() < QUEUED_BYTES_MAX || self.is_stalled(now)
    }

    /// True if no line waits, or waiting is of no use.
    pub fn is_settled(&self, now: Instant) -> bool {
        self.pending.len() == 0 || self.is_stalled(now)
    }

    /// When the reader will count as stalled; `None` if it moves or is stalled already.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        match self.reader {
            Reader::Waiting { since } if !self.is_stalled(now) => Some(since + STALLED_AFTER),
            Reader::Waiting { .. } | Reader::Moving => None,
            Reader::Closed | Reader::ClosedReported => None,
        }
    }

    /// How many lines were dropped or discarded since the start.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Appends one line, given in pieces without its newline.
    pub fn push(&mut self, pieces: &[&[u8]], now: Instant) {
        let bytes = pieces.iter().map(|piece| piece.len()).sum::<usize>() + 1;
        if self.takes(bytes, now) {
            for piece in pieces {
                self.pending.bytes.extend_from_slice(piece);
            }
            self.pending.bytes.push(b'\n');
        }
    }

    /// Appends lines, each with its newline, behind a label. Returns how many there are.
    pub fn push_lines(&mut self, label: &[u8], lines: &[u8], now: Instant) -> usize {
        let (mut from, mut count) = (0, 0);
        for newline in memchr::memchr_iter(b'\n', lines) {
            let line = &lines[from..=newline];
            (from, count) = (newline + 1, count + 1);
            let bytes = label.len() + line.len();
            // What fits into the next write, as most lines do, asks for nothing else.
            let fits = self.reader == Reader::Moving && self.pending.len() + bytes <= WRITE_BYTES;
            if fits || self.takes(bytes, now) {
                self.pending.bytes.extend_from_slice(label);
                self.pending.bytes.extend_from_slice(line);
            }
        }
        count
    }

    /// Makes room for a line of this length, with its newline. False if there is no reader: then it counts as lost.
    fn takes(&mut self, bytes: usize, now: Instant) -> bool {
        // What a reader has not taken, or what is broken, is tried again by each flush only.
        if self.pending.len() + bytes > WRITE_BYTES && self.reader == Reader::Moving {
            self.write(now);
        }
        // Down to half at once, so that dropping costs little per line.
        if self.pending.len() > 2 * QUEUED_BYTES_MAX && self.is_stalled(now) {
            self.lost += self.pending.drop_oldest(QUEUED_BYTES_MAX);
        }
        self.lost += u64::from(self.is_closed());
        !self.is_closed()
    }

    /// Writes what the reader takes now, without waiting.
    pub fn flush(&mut self, now: Instant) -> Option<Incident> {
        self.write(now);
        if let Failure::Unreported(errno) = self.failure {
            self.failure = Failure::Reported;
            return Some(Incident::Broken(errno));
        }
        if self.reader == Reader::Moving && self.failure == Failure::Reported {
            self.failure = Failure::None;
            return Some(Incident::Restored(std::mem::take(&mut self.pending.dropped)));
        }
        if self.pending.dropped > 0 && !self.is_stalled(now) {
            return Some(Incident::Dropped(std::mem::take(&mut self.pending.dropped)));
        }
        if self.reader == Reader::Closed {
            self.reader = Reader::ClosedReported;
            return Some(Incident::Closed);
        }
        None
    }

    /// Writes what the reader takes now. What it does not take is lost, and counted.
    pub fn close(&mut self, now: Instant) -> Option<Incident> {
        self.write(now);
        if self.is_closed() {
            return None;
        }
        let lost = std::mem::take(&mut self.pending).lines();
        (lost > 0).then_some(Incident::Lost(lost))
    }

    /// True if waiting is of no use: nothing was read for long, or the cause is not the reader.
    fn is_stalled(&self, now: Instant) -> bool {
        match self.reader {
            Reader::Waiting { .. } if self.failure != Failure::None => true,
            Reader::Waiting { since } => now >= since + STALLED_AFTER,
            Reader::Moving => false,
            Reader::Closed | Reader::ClosedReported => true,
        }
    }

    fn is_closed(&self) -> bool {
        matches!(self.reader, Reader::Closed | Reader::ClosedReported)
    }

    fn write(&mut self, now: Instant) {
        while self.pending.len() > 0 && !self.is_closed() {
            match self.stream.write(self.pending.unwritten()) {
                Ok(count) => {
                    self.pending.advance(count);
                    self.reader = Reader::Moving;
                }
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    _ if self.stream.has_lost_its_reader(&error) => {
                        self.reader = Reader::Closed;
                        self.lost += std::mem::take(&mut self.pending).waiting();
                    }
                    // Full (EAGAIN) or broken (ENOSPC) for now; the next flush tries again.
                    kind => {
                        if kind != ErrorKind::WouldBlock && self.failure == Failure::None {
                            let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
                            self.failure = Failure::Unreported(errno);
                        }
                        if self.reader == Reader::Moving {
                            self.reader = Reader::Waiting { since: now };
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
struct Pending {
    bytes: Vec<u8>,
    written: usize,
    /// Lines dropped since the reader last moved.
    dropped: u64,
}

impl Pending {
    fn len(&self) -> usize {
        self.bytes.len() - self.written
    }

    /// How many lines were dropped or are not wholly written.
    fn lines(&self) -> u64 {
        self.dropped + self.waiting()
    }

    /// How many lines are not wholly written.
    fn waiting(&self) -> u64 {
        memchr::memchr_iter(b'\n', self.unwritten()).count() as u64
    }

    fn unwritten(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    fn advance(&mut self, count: usize) {
        self.written += count;
        if self.written == self.bytes.len() {
            self.bytes.clear();
            self.bytes.shrink_to(WRITE_BYTES);
            self.written = 0;
        } else if self.written >= QUEUED_BYTES_MAX {
            self.free_written();
        }
    }

    /// Frees the bytes that are written, except the last: it tells whether a line is partly written.
    fn free_written(&mut self) {
        let spent = self.written.saturating_sub(1);
        self.bytes.drain(..spent);
        self.written -= spent;
    }

    /// Drops the oldest lines until at most `most` bytes wait, and returns how many. A line that is partly written
    /// keeps its rest.
    fn drop_oldest(&mut self, most: usize) -> u64 {
        let is_partly_written = self.written > 0 && self.bytes[self.written - 1] != b'\n';
        let line_end =
            |from: usize| memchr::memchr(b'\n', &self.bytes[from..]).map(|n| from + n + 1);
        let from = if is_partly_written {
            line_end(self.written).unwrap_or(self.bytes.len())
        } else {
            self.written
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
        self.free_written();
        count
    }
}

#[cfg(test)]
mod tests;
