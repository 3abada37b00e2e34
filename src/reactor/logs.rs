//! What workers write: one pipe a worker, read as it comes, cut into lines, each behind its slot's name.
//!
//! A pipe outlives its worker by what is still in it. Reading is fair (a chunk from each in turn) and stops while the
//! outlet is full, so a worker that writes faster than pm's reader reads is slowed down by its own pipe.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read};
use std::os::fd::AsRawFd;
use std::time::Instant;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::fcntl::{FcntlArg, OFlag, fcntl};

use super::outlet::Outlet;
use crate::supervisor::WorkerId;

/// A longer line is handed on in pieces; each piece after the first is marked `+` instead of `|`.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Read from one worker before the next has its turn.
const CHUNK_BYTES: usize = 16 * 1024;

/// Rounds of reading in one wakeup, so that signals and exits never wait long.
const ROUNDS_MAX: usize = 8;

/// More than a pipe holds (pipe(7)): this many chunks empty the pipe of a worker that is dead.
const LAST_CHUNKS_MAX: usize = 5;

/// The output of all workers.
#[derive(Debug)]
pub struct Logs {
    pipes: BTreeMap<usize, Pipe>,
    next_key: usize,
    chunk: Vec<u8>,
}

#[derive(Debug)]
struct Pipe {
    reader: PipeReader,
    worker: WorkerId,
    label: Label,
    /// The start of a line whose end has not come yet.
    partial: Vec<u8>,
    /// The next piece goes on with a line that was too long.
    goes_on: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing to read until the poll says so.
    Empty,
    /// There may be more.
    Readable,
    /// Nobody has the other end any more.
    Ended,
}

/// What stands before a line, in the bytes of the terminal: the slot's name and a bar.
#[derive(Clone, Debug)]
pub struct Label {
    pub line: Vec<u8>,
    pub continuation: Vec<u8>,
}

impl Logs {
    pub fn new() -> Self {
        Self { pipes: BTreeMap::new(), next_key: 0, chunk: vec![0; CHUNK_BYTES] }
    }

    /// Opens a pipe for the output of a worker; the reading end stays here, known to the poll as `token(key)`.
    ///
    /// # Errors
    /// EMFILE or ENFILE: too many files are open.
    pub fn open(
        &mut self,
        worker: WorkerId,
        label: Label,
        registry: &Registry,
        token: impl FnOnce(usize) -> Token,
    ) -> io::Result<PipeWriter> {
        let (reader, writer) = io::pipe()?;
        fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let key = self.next_key;
        registry.register(&mut SourceFd(&reader.as_raw_fd()), token(key), Interest::READABLE)?;
        self.next_key += 1;
        let (partial, goes_on, state) = (Vec::new(), false, State::Empty);
        self.pipes.insert(key, Pipe { reader, worker, label, partial, goes_on, state });
        Ok(writer)
    }

    /// The poll says that there is something to read.
    pub fn is_readable(&mut self, key: usize) {
        if let Some(pipe) = self.pipes.get_mut(&key) {
            pipe.state = State::Readable;
        }
    }

    /// True if no worker's output is still to come.
    pub fn are_all_ended(&self) -> bool {
        self.pipes.is_empty()
    }

    /// Reads what has come, as long as `outlet` has room for it. True if there may be more to read at once.
    pub fn read(&mut self, outlet: &mut Outlet, now: Instant) -> bool {
        for _ in 0..ROUNDS_MAX {
            let mut is_idle = true;
            for pipe in self.pipes.values_mut() {
                if pipe.state == State::Readable && outlet.has_room(now) {
                    pipe.read(&mut self.chunk, outlet, now);
                    is_idle = false;
                }
            }
            self.pipes.retain(|_, pipe| pipe.state != State::Ended);
            if is_idle {
                return false;
            }
        }
        true
    }

    /// Reads what a dead worker has left in its pipe, so that its last words stand before the news of its end.
    pub fn read_last(&mut self, worker: WorkerId, outlet: &mut Outlet, now: Instant) {
        let Some(pipe) = self.pipes.values_mut().find(|pipe| pipe.worker == worker) else {
            return;
        };
        pipe.state = State::Readable;
        for _ in 0..LAST_CHUNKS_MAX {
            if pipe.state == State::Readable && outlet.has_room(now) {
                pipe.read(&mut self.chunk, outlet, now);
            }
        }
        self.pipes.retain(|_, pipe| pipe.state != State::Ended);
    }
}

impl Pipe {
    fn read(&mut self, chunk: &mut [u8], outlet: &mut Outlet, now: Instant) {
        match self.reader.read(chunk) {
            Ok(0) => {
                // The last line need not have an end.
                if !self.partial.is_empty() {
                    self.end_line(&[], outlet, now);
                }
                self.state = State::Ended;
            }
            Ok(count) => self.cut(&chunk[..count], outlet, now),
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => {}
                ErrorKind::WouldBlock => self.state = State::Empty,
                _ => self.state = State::Ended,
            },
        }
    }

    fn cut(&mut self, mut bytes: &[u8], outlet: &mut Outlet, now: Instant) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            self.end_line(&bytes[..end], outlet, now);
            bytes = &bytes[end + 1..];
        }
        self.partial.extend_from_slice(bytes);
        if self.partial.len() >= LINE_BYTES_MAX {
            self.end_line(&[], outlet, now);
            self.goes_on = true;
        }
    }

    fn end_line(&mut self, rest: &[u8], outlet: &mut Outlet, now: Instant) {
        let label = if self.goes_on { &self.label.continuation } else { &self.label.line };
        outlet.push(&[label, &self.partial, rest], now);
        self.goes_on = false;
        self.partial.clear();
        self.partial.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Seek, Write};
    use std::os::fd::AsFd;

    use super::*;
    use crate::supervisor::SlotId;

    /// Feeds `logs` these writes of one worker, reading after each, and returns what came out.
    fn output(writes: &[&[u8]]) -> String {
        let poll = mio::Poll::new().unwrap();
        let mut file: File = tempfile::tempfile().unwrap();
        let mut outlet = Outlet::to(file.as_fd(), poll.registry(), Token(0)).unwrap();
        let mut logs = Logs::new();
        let worker = WorkerId { slot: SlotId(0), generation: 1 };
        let label = Label { line: b"web.1 | ".into(), continuation: b"web.1 + ".into() };
        let mut writer = logs.open(worker, label, poll.registry(), Token).unwrap();
        let now = Instant::now();
        for bytes in writes {
            for part in bytes.chunks(4096) {
                writer.write_all(part).unwrap();
                logs.is_readable(0);
                while logs.read(&mut outlet, now) {}
            }
        }
        drop(writer);
        logs.read_last(worker, &mut outlet, now);
        assert!(logs.are_all_ended());
        outlet.flush(now);
        file.rewind().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn a_line_that_comes_in_pieces_stays_whole() {
        let text = output(&[b"on", b"e\ntw", b"o\n\nthree"]);
        assert_eq!(text, "web.1 | one\nweb.1 | two\nweb.1 | \nweb.1 | three\n");
    }

    #[test]
    fn an_endless_line_is_handed_on_in_marked_pieces() {
        let long = vec![b'x'; LINE_BYTES_MAX + 10];
        let text = output(&[&long, b"y\nshort\n"]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0].len(), "web.1 | ".len() + LINE_BYTES_MAX);
        assert_eq!(lines[1..], ["web.1 + xxxxxxxxxxy", "web.1 | short"]);
    }
}
