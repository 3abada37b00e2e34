//! What workers write: one pipe or terminal for each worker, read as it comes, cut into lines, each behind its slot's
//! name.
//!
//! A pipe can outlive its worker, because descendants keep it open. Reading is fair (a chunk from each in turn) and
//! stops while stdout's queue is full, so a worker that writes faster than pm's reader reads is slowed by its own pipe;
//! likewise one whose log file is rotated too often.
//! Where the lines go to is in [`super::spec`]; [`opened`] is a pipe without a worker, [`terminals`] types keys.

mod opened;
mod terminals;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::ops::Bound::{Excluded, Unbounded};
use std::rc::Rc;
use std::time::Instant;

use mio::Token;
use nix::pty::Winsize;

pub use self::opened::Opened;
use self::terminals::{Reports, all_of};
pub use self::terminals::{Seat, Typed};
use super::files::LogFiles;
use super::lines::{Cutter, LastOutput};
use super::queue::LineQueue;
use super::ring::Author;
use super::screens::Screens;
use super::spec::{Device, OutputSpec, Sink, Tail};
use super::terminal::TerminalFilter;
use crate::plan::TerminalOutput;
use crate::reactor::tokens::{Registrar, Source};
use crate::supervisor::{SlotId, WorkerId};

/// Read from one worker before the next has its turn, if none has written much yet.
const CHUNK_BYTES: usize = 16 * 1024;

/// The same once a chunk was full: what a pipe holds (pipe(7)).
const CHUNK_BYTES_MAX: usize = 64 * 1024;

/// When this much was read in one wakeup, signals and exits have their turn: each millisecond.
const WAKEUP_BYTES_MAX: usize = 1024 * 1024;

/// More than a pipe or a terminal holds: this many chunks empty that of a worker that is dead.
const LAST_CHUNKS_MAX: usize = 5;

/// The pipes of all workers.
#[derive(Debug)]
pub struct Pipes {
    /// Boxed, since a map has room for up to twice as many entries.
    pipes: BTreeMap<WorkerId, Box<Pipe>>,
    /// Those that may have something to read.
    readable: BTreeSet<WorkerId>,
    /// The one that had the last turn.
    turn: Option<WorkerId>,
    spare: Option<Opened>,
    chunk: Vec<u8>,
}

#[derive(Debug)]
struct Pipe {
    reader: File,
    token: Token,
    seat: Seat,
    reports: Reports,
    filter: TerminalFilter,
    lines: Lines,
    state: State,
    /// Kept after its end until the worker's end has been reported.
    reported: Reported,
}

/// What is made of the bytes of a worker.
#[derive(Debug)]
struct Lines {
    author: Rc<Author>,
    spec: OutputSpec,
    cutter: Cutter,
    tail: Tail,
    last: LastOutput,
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
        let (pipes, readable) = Default::default();
        Self { pipes, readable, turn: None, spare: None, chunk }
    }

    /// Opens a pipe or terminal for the output of a worker, or takes the one that is ready.
    ///
    /// # Errors
    /// EMFILE or ENFILE: too many files are open.
    pub fn open(&mut self, device: Device, registrar: &mut Registrar<'_>) -> io::Result<Opened> {
        let spare = self.spare.take_if(|_| matches!(device, Device::Pipe));
        spare.map_or_else(|| Opened::of(device, registrar), Ok)
    }

    /// The worker was spawned with the writing end. The reading end stays here.
    pub fn add(
        &mut self,
        worker: WorkerId,
        spec: OutputSpec,
        opened: Opened,
        registrar: &mut Registrar<'_>,
    ) {
        let Opened { reader, writer: _, token } = opened;
        registrar.rename(token, Source::Output(worker));
        let pipe = Pipe {
            reader,
            token,
            seat: Seat::Current,
            reports: Reports::Output,
            filter: TerminalFilter::default(),
            lines: Lines::new(worker, spec),
            state: State::Empty,
            reported: Reported::NotYet,
        };
        self.pipes.insert(worker, Box::new(pipe));
    }

    /// No worker was spawned with it: the next one takes it, or it is closed.
    pub fn take_back(&mut self, device: Device, opened: Opened, registrar: &mut Registrar<'_>) {
        match device {
            Device::Pipe if self.spare.is_none() => self.spare = Some(opened),
            Device::Pipe | Device::Terminal(_) => registrar.release(opened.token),
        }
    }

    /// Opens a pipe for the next worker, which then does not wait for that.
    pub fn open_spare(&mut self, registrar: &mut Registrar<'_>) {
        if self.spare.is_none() {
            // An error is that of the next worker.
            self.spare = Opened::of(Device::Pipe, registrar).ok();
        }
    }

    /// Closes the pipe of a worker that was not spawned.
    pub fn close(&mut self, worker: WorkerId, registrar: &mut Registrar<'_>) {
        if let Some(pipe) = self.pipes.remove(&worker) {
            registrar.release(pipe.token);
        }
    }

    /// What this worker writes to.
    pub fn device_of(&self, worker: WorkerId) -> Device {
        self.pipes.get(&worker).map_or(Device::Pipe, |pipe| pipe.lines.spec.device)
    }

    /// The pipe of this worker is that of another one from now on, whose lines go elsewhere.
    pub fn rename(
        &mut self,
        from: WorkerId,
        to: WorkerId,
        spec: OutputSpec,
        registrar: &mut Registrar<'_>,
    ) {
        let Some(mut pipe) = self.pipes.remove(&from) else { return };
        registrar.rename(pipe.token, Source::Output(to));
        pipe.lines.author = Rc::new(Author { worker: to, slot: spec.label.slot.clone() });
        if let Device::Terminal(size) = spec.device {
            pipe.resize(size);
        }
        pipe.lines.spec = spec;
        self.pipes.insert(to, pipe);
        if self.readable.remove(&from) {
            self.readable.insert(to);
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
        self.pipes.range_mut(all_of(slot)).for_each(|(_, pipe)| pipe.lines.update(&mut change));
    }

    /// Gives all terminals another size, but for those that have the size of a client's.
    pub fn resize(&mut self, size: Winsize, screens: &Screens) {
        let is_own = |slot| screens.get(slot).is_none_or(|screen| screen.size.is_none());
        for (_, pipe) in self.pipes.iter().filter(|(worker, _)| is_own(worker.slot)) {
            pipe.resize(size);
        }
    }

    /// Reads what has come, a chunk from each worker in turn, as long as stdout's queue and the log files have room.
    pub fn read(&mut self, sink: &mut Sink<'_>, registrar: &mut Registrar<'_>) -> Progress {
        let (mut bytes, mut waiting) = (0, 0);
        while bytes < WAKEUP_BYTES_MAX {
            let Some(worker) = self.next_turn() else { return Progress::Idle };
            let Some(pipe) = self.pipes.get_mut(&worker) else {
                self.readable.remove(&worker);
                continue;
            };
            if pipe.state == State::Readable && !pipe.has_room(sink.stdout, sink.files, sink.at.now)
            {
                waiting += 1;
                if waiting >= self.readable.len() {
                    return Progress::Idle;
                }
                continue;
            }
            waiting = 0;
            if pipe.state == State::Readable {
                bytes += pipe.read(&mut self.chunk, sink);
            }
            let is_over = pipe.state == State::Ended && pipe.reported == Reported::Done;
            if pipe.state != State::Readable {
                self.readable.remove(&worker);
            }
            if is_over {
                self.close(worker, registrar);
            }
        }
        Progress::MayHaveMore
    }

    /// True if [`Pipes::read`] would read now. Of what it has left the poll tells nothing more.
    pub fn may_read(&self, stdout: &LineQueue, files: &LogFiles, now: Instant) -> bool {
        let mut readable = self.readable.iter().filter_map(|worker| self.pipes.get(worker));
        stdout.has_room(now) && readable.any(|pipe| pipe.has_room(stdout, files, now))
    }

    /// Of the workers that may have something to read, the one after that of the last turn.
    fn next_turn(&mut self) -> Option<WorkerId> {
        let after = self.turn.map_or(Unbounded, Excluded);
        let next = self.readable.range((after, Unbounded)).next();
        self.turn = next.or_else(|| self.readable.first()).copied();
        self.turn
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
            if pipe.state == State::Readable && sink.stdout.has_room(sink.at.now) {
                pipe.read(&mut self.chunk, sink);
            }
        }
        let last = std::mem::take(&mut pipe.lines.last);
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
    fn has_room(&self, stdout: &LineQueue, files: &LogFiles, now: Instant) -> bool {
        self.lines.spec.has_room(stdout, files, now)
    }

    /// Reads a chunk, which is larger from then on if it was full. Returns how many bytes were read.
    fn read(&mut self, chunk: &mut Vec<u8>, sink: &mut Sink<'_>) -> usize {
        match self.reader.read(chunk) {
            Ok(0) => self.end(sink),
            Ok(count) => {
                self.take(&chunk[..count], sink);
                if count == chunk.len() {
                    chunk.resize(CHUNK_BYTES_MAX, 0);
                }
                return count;
            }
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => {}
                ErrorKind::WouldBlock => {
                    self.state = State::Empty;
                    self.look_at_unfinished(sink);
                }
                // EIO: no process has the terminal open any more (pty(7)).
                _ => self.end(sink),
            },
        }
        0
    }

    fn take(&mut self, bytes: &[u8], sink: &mut Sink<'_>) {
        let spec = &self.lines.spec;
        if let (Device::Terminal(_), Seat::Current) = (spec.device, self.seat) {
            sink.screens.show(self.lines.author.worker.slot, bytes);
        }
        let bytes = match (spec.device, spec.terminal_output) {
            (Device::Terminal(_), TerminalOutput::Filtered) => self.filter.push(bytes),
            (Device::Terminal(_), TerminalOutput::Raw) | (Device::Pipe, _) => bytes,
        };
        self.lines.take(bytes, sink);
    }

    /// There is nothing more to read for now, and perhaps a prompt stands at the end.
    fn look_at_unfinished(&mut self, sink: &mut Sink<'_>) {
        let Lines { author, spec, cutter, .. } = &mut self.lines;
        if let Some(line) = self.filter.unfinished().or_else(|| cutter.unfinished()) {
            spec.look_at_unfinished(author, line, sink);
        }
    }

    fn end(&mut self, sink: &mut Sink<'_>) {
        self.lines.take(self.filter.finish(), sink);
        self.lines.finish(sink);
        self.state = State::Ended;
    }
}

impl Lines {
    fn new(worker: WorkerId, spec: OutputSpec) -> Self {
        let author = Rc::new(Author { worker, slot: spec.label.slot.clone() });
        let (cutter, tail, last) = Default::default();
        Self { author, spec, cutter, tail, last }
    }

    fn update(&mut self, change: &mut impl FnMut(&mut OutputSpec)) {
        change(&mut self.spec);
        let slot = &self.spec.label.slot;
        if self.author.slot != *slot {
            self.author = Rc::new(Author { worker: self.author.worker, slot: slot.clone() });
        }
    }

    /// Cuts the next bytes and passes on what they complete.
    fn take(&mut self, bytes: &[u8], sink: &mut Sink<'_>) {
        let Self { author, spec, cutter, tail, last } = self;
        last.push(bytes);
        cutter.push(bytes, |handed_on| spec.pass_on(author, handed_on, tail, sink));
    }

    /// Nothing more comes.
    fn finish(&mut self, sink: &mut Sink<'_>) {
        let Self { author, spec, cutter, tail, .. } = self;
        cutter.finish(|handed_on| spec.pass_on(author, handed_on, tail, sink));
    }
}

#[cfg(test)]
mod tests;
