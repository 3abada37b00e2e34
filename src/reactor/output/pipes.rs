//! What workers write: one pipe or terminal for each worker, read as it comes, cut into lines, each behind its slot's
//! name.
//!
//! A pipe can outlive its worker, because descendants keep it open. Reading is fair (a chunk from each in turn) and
//! stops while stdout's queue is full, so a worker that writes faster than pm's reader reads is slowed by its own pipe.
//! Where the lines go to is in [`super::queue`] and [`super::files`].

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Instant;

use mio::unix::SourceFd;
use mio::{Interest, Token};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::pty::Winsize;

use super::console::Label;
use super::files::LogFiles;
use super::lines::{Cutter, LastOutput, Piece, Start};
use super::queue::LineQueue;
use crate::plan::{Line, LogFile};
use crate::reactor::tokens::{Registrar, Source};
use crate::supervisor::{SlotId, WorkerId};
use crate::sys::pty;

/// Read from one worker before the next has its turn.
const CHUNK_BYTES: usize = 16 * 1024;

/// Rounds of reading in one wakeup, so that signals and exits never wait long.
const ROUNDS_MAX: usize = 8;

/// More than a pipe holds (pipe(7)): this many chunks empty the pipe of a worker that is dead.
const LAST_CHUNKS_MAX: usize = 5;

/// The pipes of all workers.
#[derive(Debug)]
pub struct Pipes {
    pipes: BTreeMap<WorkerId, Pipe>,
    /// Those that may have something to read.
    readable: BTreeSet<WorkerId>,
    chunk: Vec<u8>,
}

/// What happens to the output of a worker.
#[derive(Clone, Debug)]
pub struct OutputSpec {
    pub label: Label,
    pub file: Option<LogFile>,
    /// The worker is ready when it has written such a line.
    pub awaited: Option<Line>,
    pub device: Device,
}

/// What a worker writes to.
#[derive(Clone, Copy, Debug)]
pub enum Device {
    Pipe,
    /// A terminal of this size.
    Terminal(Winsize),
}

#[derive(Debug)]
struct Pipe {
    reader: File,
    token: Token,
    spec: OutputSpec,
    cutter: Cutter,
    last: LastOutput,
    state: State,
    /// Kept after its end until the worker's end has been reported.
    reported: Reported,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing to read until the poll says so.
    Empty,
    /// There may be more.
    Readable,
    /// No process has the other end open any more.
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reported {
    NotYet,
    Done,
}

/// Where lines go, and the workers that wrote the line they were awaited to write.
pub struct Sink<'a> {
    pub stdout: &'a mut LineQueue,
    pub files: &'a mut LogFiles,
    pub ready: &'a mut Vec<WorkerId>,
    pub now: Instant,
}

/// Whether a reader stopped before there was nothing left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Idle,
    /// There may be more to read at once.
    MayHaveMore,
}

impl Pipes {
    pub fn new() -> Self {
        let chunk = vec![0; CHUNK_BYTES];
        Self { pipes: BTreeMap::new(), readable: BTreeSet::new(), chunk }
    }

    /// Opens a pipe or terminal for the output of a worker. The reading end stays here; the worker gets the other.
    ///
    /// # Errors
    /// EMFILE or ENFILE: too many files are open.
    pub fn open(
        &mut self,
        worker: WorkerId,
        spec: OutputSpec,
        registrar: &mut Registrar<'_>,
    ) -> io::Result<OwnedFd> {
        let (reader, writer) = match spec.device {
            Device::Terminal(size) => pty::open(size)?,
            Device::Pipe => {
                let (reader, writer) = io::pipe()?;
                fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
                (OwnedFd::from(reader).into(), writer.into())
            }
        };
        let mut descriptor = SourceFd(&reader.as_raw_fd());
        let token =
            registrar.register(&mut descriptor, Source::Output(worker), Interest::READABLE)?;
        let pipe = Pipe {
            reader,
            token,
            spec,
            cutter: Cutter::default(),
            last: LastOutput::default(),
            state: State::Empty,
            reported: Reported::NotYet,
        };
        self.pipes.insert(worker, pipe);
        Ok(writer)
    }

    /// Closes the pipe of a worker that was not spawned.
    pub fn close(&mut self, worker: WorkerId, registrar: &mut Registrar<'_>) {
        if let Some(pipe) = self.pipes.remove(&worker) {
            registrar.release(pipe.token);
        }
    }

    /// The poll says that there is something to read.
    pub fn mark_readable(&mut self, worker: WorkerId) {
        if let Some(pipe) = self.pipes.get_mut(&worker)
            && pipe.state != State::Ended
        {
            pipe.state = State::Readable;
            self.readable.insert(worker);
        }
    }

    /// True if no worker can write any more.
    pub fn are_all_ended(&self) -> bool {
        self.pipes.values().all(|pipe| pipe.state == State::Ended)
    }

    /// Changes what happens to the output of the workers of a slot that are there.
    pub fn update(&mut self, slot: SlotId, mut change: impl FnMut(&mut OutputSpec)) {
        let all = WorkerId { slot, generation: 0 }..=WorkerId { slot, generation: u64::MAX };
        self.pipes.range_mut(all).for_each(|(_, pipe)| change(&mut pipe.spec));
    }

    /// Gives all terminals another size.
    pub fn resize(&mut self, size: Winsize) {
        for pipe in self.pipes.values().filter(|pipe| pipe.state != State::Ended) {
            match pipe.spec.device {
                Device::Terminal(_) => pty::resize(&pipe.reader, size),
                Device::Pipe => {}
            }
        }
    }

    /// Reads what has come, as long as stdout's queue has room for it.
    pub fn read(&mut self, sink: &mut Sink<'_>, registrar: &mut Registrar<'_>) -> Progress {
        let Self { pipes, readable, chunk } = self;
        for _ in 0..ROUNDS_MAX {
            let mut is_idle = true;
            readable.retain(|worker| {
                let Some(pipe) = pipes.get_mut(worker) else { return false };
                if pipe.state == State::Readable && sink.stdout.has_room(sink.now) {
                    pipe.read(*worker, chunk, sink);
                    is_idle = false;
                }
                if pipe.state == State::Ended && pipe.reported == Reported::Done {
                    registrar.release(pipe.token);
                    pipes.remove(worker);
                    return false;
                }
                pipe.state == State::Readable
            });
            if is_idle {
                return Progress::Idle;
            }
        }
        Progress::MayHaveMore
    }

    /// Reads what a dead worker has left in its pipe, so that its last lines stand before the report of its end, and
    /// returns the end of all that it wrote. To be called once for each worker.
    pub fn read_last(
        &mut self,
        worker: WorkerId,
        sink: &mut Sink<'_>,
        registrar: &mut Registrar<'_>,
    ) -> LastOutput {
        let Some(pipe) = self.pipes.get_mut(&worker) else {
            return LastOutput::default();
        };
        pipe.reported = Reported::Done;
        let last_chunks = if pipe.state == State::Ended { 0 } else { LAST_CHUNKS_MAX };
        if last_chunks > 0 {
            pipe.state = State::Readable;
        }
        for _ in 0..last_chunks {
            if pipe.state == State::Readable && sink.stdout.has_room(sink.now) {
                pipe.read(worker, &mut self.chunk, sink);
            }
        }
        let last = std::mem::take(&mut pipe.last);
        match pipe.state {
            State::Ended => {
                self.readable.remove(&worker);
                self.close(worker, registrar);
            }
            State::Readable => drop(self.readable.insert(worker)),
            State::Empty => {}
        }
        last
    }
}

impl Pipe {
    fn read(&mut self, worker: WorkerId, chunk: &mut [u8], sink: &mut Sink<'_>) {
        match self.reader.read(chunk) {
            Ok(0) => self.end(worker, sink),
            Ok(count) => {
                let bytes = &chunk[..count];
                self.last.push(bytes);
                let Self { cutter, spec, .. } = self;
                cutter.push(bytes, |piece| spec.pass_on(worker, piece, sink));
            }
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => {}
                ErrorKind::WouldBlock => self.state = State::Empty,
                // EIO: no process has the terminal open any more (pty(7)).
                _ => self.end(worker, sink),
            },
        }
    }

    fn end(&mut self, worker: WorkerId, sink: &mut Sink<'_>) {
        let Self { cutter, spec, .. } = self;
        cutter.finish(|piece| spec.pass_on(worker, piece, sink));
        self.state = State::Ended;
    }
}

impl OutputSpec {
    /// Passes a piece of a line on to stdout and the log file, and looks for the awaited line in it.
    fn pass_on(&mut self, worker: WorkerId, piece: Piece<'_>, sink: &mut Sink<'_>) {
        if self.awaited.as_ref().is_some_and(|line| is_in(line, piece)) {
            sink.ready.push(worker);
            self.awaited = None;
        }
        if let Some(file) = &self.file {
            sink.files.push(file, &piece.parts, piece.end);
        }
        let label = match piece.start {
            Start::Line => &self.label.line,
            Start::Continuation => &self.label.continuation,
        };
        let [start, rest] = piece.parts;
        sink.stdout.push(&[label, start, rest], sink.now);
    }
}

fn is_in(line: &Line, piece: Piece<'_>) -> bool {
    match piece.parts {
        [[], rest] => line.is_in(rest),
        parts => line.is_in(&parts.concat()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};
    use std::os::fd::AsFd;

    use super::*;
    use crate::reactor::tokens::Poller;

    const WORKER: WorkerId = WorkerId { slot: SlotId(0), generation: 1 };

    /// What stdout shows of these writes of one worker, read after each, and the end that is kept of them.
    fn output(writes: &[&[u8]]) -> (String, LastOutput) {
        let mut poller = Poller::open().unwrap();
        let mut registrar = poller.registrar();
        let mut file: File = tempfile::tempfile().unwrap();
        let mut stdout = LineQueue::to(file.as_fd(), Source::Stdout, &mut registrar).unwrap();
        let (mut files, mut ready) = (LogFiles::default(), Vec::new());
        let now = Instant::now();
        let sink = &mut Sink { stdout: &mut stdout, files: &mut files, ready: &mut ready, now };
        let mut pipes = Pipes::new();
        let label = Label { line: b"web.1 | ".into(), continuation: b"web.1 + ".into() };
        let spec = OutputSpec { label, file: None, awaited: None, device: Device::Pipe };
        let mut writer = File::from(pipes.open(WORKER, spec, &mut registrar).unwrap());
        for bytes in writes {
            for part in bytes.chunks(4096) {
                writer.write_all(part).unwrap();
                pipes.mark_readable(WORKER);
                while pipes.read(sink, &mut registrar) == Progress::MayHaveMore {}
            }
        }
        drop(writer);
        let last = pipes.read_last(WORKER, sink, &mut registrar);
        assert!(pipes.pipes.is_empty());
        stdout.flush(now);
        file.rewind().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        (text, last)
    }

    #[test]
    fn each_line_stands_behind_its_label() {
        let (text, last) = output(&[b"on", b"e\ntw", b"o\n\nthree"]);
        assert_eq!(text, "web.1 | one\nweb.1 | two\nweb.1 | \nweb.1 | three\n");
        assert_eq!(last.last_line().as_deref(), Some("three"));
    }

    #[test]
    fn the_pieces_of_a_long_line_are_marked() {
        let long = vec![b'x'; super::super::lines::LINE_BYTES_MAX];
        let (text, _) = output(&[&long, b"y\nshort\n"]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[1..], ["web.1 + y", "web.1 | short"]);
    }

    #[test]
    fn a_pipe_that_ends_before_its_worker_is_reported_keeps_its_last_lines() {
        let mut poller = Poller::open().unwrap();
        let mut registrar = poller.registrar();
        let null = File::options().write(true).open("/dev/null").unwrap();
        let mut stdout = LineQueue::to(null.as_fd(), Source::Stdout, &mut registrar).unwrap();
        let (mut files, mut ready) = (LogFiles::default(), Vec::new());
        let now = Instant::now();
        let sink = &mut Sink { stdout: &mut stdout, files: &mut files, ready: &mut ready, now };
        let mut pipes = Pipes::new();
        let label = Label { line: Vec::new(), continuation: Vec::new() };
        let spec = OutputSpec { label, file: None, awaited: None, device: Device::Pipe };
        let mut writer = File::from(pipes.open(WORKER, spec, &mut registrar).unwrap());
        writer.write_all(b"the reason\n").unwrap();
        drop(writer);
        pipes.mark_readable(WORKER);
        pipes.read(sink, &mut registrar);
        assert!(pipes.are_all_ended());
        let last = pipes.read_last(WORKER, sink, &mut registrar);
        assert_eq!(last.last_line().as_deref(), Some("the reason"));
        assert!(pipes.pipes.is_empty());
    }
}
