//! What workers write: one pipe or terminal a worker, read as it comes, cut into lines, each behind its slot's name.
//!
//! A pipe outlives its worker by what is still in it. Reading is fair (a chunk from each in turn) and stops while the
//! outlet is full, so a worker that writes faster than pm's reader reads is slowed down by its own pipe.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Instant;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::pty::Winsize;

use super::log_files::LogFiles;
use super::outlet::Outlet;
use crate::plan::{Line, LogFile};
use crate::supervisor::{SlotId, WorkerId};
use crate::sys::pty;

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
    /// Those that there may be something to read from.
    readable: BTreeSet<usize>,
    next_key: usize,
    chunk: Vec<u8>,
    pub files: LogFiles,
    /// The workers that have written the line they were to write.
    found: Vec<WorkerId>,
}

/// Where the lines of a worker go and what they are looked at for.
#[derive(Clone, Debug)]
pub struct Reading {
    pub label: Label,
    pub file: Option<LogFile>,
    /// A line with this is looked for.
    pub line: Option<Line>,
    /// It gets a terminal of this size instead of a pipe.
    pub terminal: Option<Winsize>,
}

#[derive(Debug)]
struct Pipe {
    reader: File,
    worker: WorkerId,
    reading: Reading,
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

/// Where lines go.
struct Lines<'a> {
    outlet: &'a mut Outlet,
    files: &'a mut LogFiles,
    found: &'a mut Vec<WorkerId>,
    now: Instant,
}

impl Logs {
    pub fn new() -> Self {
        Self {
            pipes: BTreeMap::new(),
            readable: BTreeSet::new(),
            next_key: 0,
            chunk: vec![0; CHUNK_BYTES],
            files: LogFiles::default(),
            found: Vec::new(),
        }
    }

    /// Opens a pipe or terminal for the output of a worker; the reading end stays here, known to the poll as
    /// `token(key)`.
    ///
    /// # Errors
    /// EMFILE or ENFILE: too many files are open.
    pub fn open(
        &mut self,
        worker: WorkerId,
        reading: Reading,
        registry: &Registry,
        token: impl FnOnce(usize) -> Token,
    ) -> io::Result<OwnedFd> {
        let (reader, writer) = match reading.terminal {
            Some(size) => pty::open(size)?,
            None => {
                let (reader, writer) = io::pipe()?;
                fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
                (OwnedFd::from(reader).into(), writer.into())
            }
        };
        let key = self.next_key;
        registry.register(&mut SourceFd(&reader.as_raw_fd()), token(key), Interest::READABLE)?;
        self.next_key += 1;
        let (partial, goes_on, state) = (Vec::new(), false, State::Empty);
        self.pipes.insert(key, Pipe { reader, worker, reading, partial, goes_on, state });
        Ok(writer)
    }

    /// The poll says that there is something to read.
    pub fn is_readable(&mut self, key: usize) {
        if let Some(pipe) = self.pipes.get_mut(&key) {
            pipe.state = State::Readable;
            self.readable.insert(key);
        }
    }

    /// True if no worker's output is still to come.
    pub fn are_all_ended(&self) -> bool {
        self.pipes.is_empty()
    }

    /// Takes the next worker that has written the line it was to write.
    pub fn take_found(&mut self) -> Option<WorkerId> {
        self.found.pop()
    }

    /// From now on the lines of this slot's worker go to this file too, or to none.
    pub fn redirect(&mut self, slot: SlotId, file: Option<&LogFile>) {
        for pipe in self.pipes.values_mut().filter(|pipe| pipe.worker.slot == slot) {
            pipe.reading.file = file.cloned();
        }
    }

    /// From now on this line, or none, is looked for in the output of this slot's worker.
    pub fn look_for(&mut self, slot: SlotId, line: Option<&Line>) {
        for pipe in self.pipes.values_mut().filter(|pipe| pipe.worker.slot == slot) {
            pipe.reading.line = line.cloned();
        }
    }

    /// From now on this stands before the lines of this slot's worker.
    pub fn relabel(&mut self, slot: SlotId, label: &Label) {
        for pipe in self.pipes.values_mut().filter(|pipe| pipe.worker.slot == slot) {
            pipe.reading.label = label.clone();
        }
    }

    /// Gives all terminals another size.
    pub fn resize(&mut self, size: Winsize) {
        let terminals = self.pipes.values().filter(|pipe| pipe.reading.terminal.is_some());
        terminals.for_each(|pipe| pty::resize(&pipe.reader, size));
    }

    /// Reads what has come, as long as `outlet` has room for it. True if there may be more to read at once.
    pub fn read(&mut self, outlet: &mut Outlet, now: Instant) -> bool {
        let Self { pipes, readable, chunk, files, found, .. } = self;
        let mut lines = Lines { outlet, files, found, now };
        for _ in 0..ROUNDS_MAX {
            let mut is_idle = true;
            readable.retain(|key| {
                let Some(pipe) = pipes.get_mut(key) else { return false };
                if pipe.state == State::Readable && lines.outlet.has_room(now) {
                    pipe.read(chunk, &mut lines);
                    is_idle = false;
                }
                if pipe.state == State::Ended {
                    pipes.remove(key);
                    return false;
                }
                pipe.state == State::Readable
            });
            if is_idle {
                return false;
            }
        }
        true
    }

    /// Reads what a dead worker has left in its pipe, so that its last words stand before the news of its end.
    pub fn read_last(&mut self, worker: WorkerId, outlet: &mut Outlet, now: Instant) {
        let Self { pipes, readable, chunk, files, found, .. } = self;
        let mut lines = Lines { outlet, files, found, now };
        let is_its = |(_, pipe): &(&usize, &mut Pipe)| pipe.worker == worker;
        let Some((key, pipe)) = pipes.iter_mut().find(is_its) else {
            return;
        };
        pipe.state = State::Readable;
        for _ in 0..LAST_CHUNKS_MAX {
            if pipe.state == State::Readable && lines.outlet.has_room(now) {
                pipe.read(chunk, &mut lines);
            }
        }
        match (*key, pipe.state) {
            (key, State::Ended) => drop(pipes.remove(&key)),
            (key, State::Readable) => drop(readable.insert(key)),
            (_, State::Empty) => {}
        }
    }
}

impl Pipe {
    fn read(&mut self, chunk: &mut [u8], lines: &mut Lines<'_>) {
        match self.reader.read(chunk) {
            Ok(0) => self.end(lines),
            Ok(count) => self.cut(&chunk[..count], lines),
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => {}
                ErrorKind::WouldBlock => self.state = State::Empty,
                // EIO: nobody has the terminal open any more (pty(7)).
                _ => self.end(lines),
            },
        }
    }

    fn end(&mut self, lines: &mut Lines<'_>) {
        // The last line need not have an end.
        if !self.partial.is_empty() || self.goes_on {
            self.hand_on(&[], true, lines);
        }
        self.state = State::Ended;
    }

    fn cut(&mut self, mut bytes: &[u8], lines: &mut Lines<'_>) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            self.hand_on(&bytes[..end], true, lines);
            bytes = &bytes[end + 1..];
        }
        self.partial.extend_from_slice(bytes);
        if self.partial.len() >= LINE_BYTES_MAX {
            self.hand_on(&[], false, lines);
        }
    }

    /// Hands on what has come of a line, up to its end or, if that has not come for too long, without it.
    fn hand_on(&mut self, rest: &[u8], ends_here: bool, lines: &mut Lines<'_>) {
        if self.reading.line.as_ref().is_some_and(|line| is_in(line, &self.partial, rest)) {
            lines.found.push(self.worker);
            self.reading.line = None;
        }
        let Reading { label, file, .. } = &self.reading;
        if let Some(file) = file {
            lines.files.push(file, &[&self.partial, rest], ends_here);
        }
        let label = if self.goes_on { &label.continuation } else { &label.line };
        lines.outlet.push(&[label, &self.partial, rest], lines.now);
        self.goes_on = !ends_here;
        self.partial.clear();
        self.partial.shrink_to(0);
    }
}

/// True if `line` is in what the two make together.
fn is_in(line: &Line, start: &[u8], rest: &[u8]) -> bool {
    match start {
        [] => line.is_in(rest),
        _ => line.is_in(&[start, rest].concat()),
    }
}

#[cfg(test)]
mod tests {
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
        let reading = Reading { label, file: None, line: None, terminal: None };
        let mut writer = File::from(logs.open(worker, reading, poll.registry(), Token).unwrap());
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
