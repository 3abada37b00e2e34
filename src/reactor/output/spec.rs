//! What happens to the output of one worker: its lines go to stdout behind a label, to a log file and to the ring, and
//! one of them may make it ready.

use std::rc::Rc;
use std::time::Instant;

use nix::pty::Winsize;

use super::console::{Label, Shown};
use super::files::LogFiles;
use super::lines::{End, HandedOn, Piece, Start};
use super::queue::LineQueue;
use super::ring::{Author, Kind, Origin, Ring};
use super::screens::Screens;
use super::view::{self, Writer};
use crate::plan::{Line, LogFile, TerminalOutput};
use crate::reactor::clock::Moment;
use crate::supervisor::WorkerId;

/// A match of a regular expression is found across the cut of a long line if at most this much of it stands before.
const MATCH_BYTES_BEFORE_CUT_MAX: usize = 1024;

/// A longer line is looked at once it has ended: it may come byte by byte.
const PROMPT_BYTES_MAX: usize = 1024;

/// What happens to the output of a worker.
#[derive(Clone, Debug)]
pub struct OutputSpec {
    pub label: Label,
    pub file: Option<LogFile>,
    /// The worker is ready when it has written such a line.
    pub awaited: Option<Line>,
    pub device: Device,
    /// With a terminal: what is made of the output.
    pub terminal_output: TerminalOutput,
}

/// What a worker writes to.
#[derive(Clone, Copy, Debug)]
pub enum Device {
    Pipe,
    /// A terminal of this size.
    Terminal(Winsize),
}

/// Where lines go, and the workers that wrote the line they were awaited to write.
pub struct Sink<'a> {
    pub stdout: &'a mut LineQueue,
    pub writer: &'a mut Writer,
    pub files: &'a mut LogFiles,
    pub ring: &'a mut Ring,
    pub screens: &'a mut Screens,
    pub ready: &'a mut Vec<WorkerId>,
    pub at: Moment,
}

/// The end of the piece before, as far as the awaited text may begin in it. Empty at the start of a line.
#[derive(Debug, Default)]
pub struct Tail(Vec<u8>);

impl OutputSpec {
    /// True if more may be read: stdout's queue is not full, and the log file has what was read before.
    pub fn has_room(&self, stdout: &LineQueue, files: &LogFiles, now: Instant) -> bool {
        let file = self.file.as_ref();
        stdout.has_room(now) && !file.is_some_and(|file| files.is_behind(&file.path))
    }

    /// Looks for the awaited line in one that has no end yet, and no more of it to be read now: a prompt.
    pub fn look_at_unfinished(&mut self, author: &Author, line: &[u8], sink: &mut Sink<'_>) {
        if let Some(awaited) = &self.awaited
            && line.len() <= PROMPT_BYTES_MAX
            && is_in(awaited, without_return(line))
        {
            sink.ready.push(author.worker);
            self.awaited = None;
        }
    }

    /// Passes lines, or a piece of one, on to the ring, the log file and stdout, and looks for the awaited line there.
    pub fn pass_on(
        &mut self,
        author: &Rc<Author>,
        handed_on: HandedOn<'_>,
        tail: &mut Tail,
        sink: &mut Sink<'_>,
    ) {
        match handed_on {
            HandedOn::Lines(lines) => self.pass_on_lines(author, lines, sink),
            HandedOn::Piece(piece) => self.pass_on_piece(author, &piece, tail, sink),
        }
    }

    fn pass_on_lines(&mut self, author: &Rc<Author>, lines: &[u8], sink: &mut Sink<'_>) {
        let first = sink.ring.last() + 1;
        let count = self.show_lines(author, first, lines, sink);
        sink.ring.push_lines(sink.origin(author, Kind::Output), lines, count);
        if let Some(awaited) = &self.awaited
            && each_of(lines).any(|line| is_in(awaited, without_return(line)))
        {
            sink.ready.push(author.worker);
            self.awaited = None;
        }
        if let Some(file) = &self.file {
            let numbers = first..=sink.ring.last();
            sink.files.writer(file).push_lines(file, author.worker, numbers, lines);
        }
    }

    /// Passes lines on to stdout. Returns how many there are: as a rule the newlines are looked for only once.
    fn show_lines(&self, author: &Author, first: u64, lines: &[u8], sink: &mut Sink<'_>) -> usize {
        let at = sink.at;
        match (self.label.shown, &mut *sink.writer) {
            (Shown::No, _) => memchr::memchr_iter(b'\n', lines).count(),
            (Shown::Yes, Writer::Plain) => sink.stdout.push_lines(&self.label.line, lines, at.now),
            (Shown::Yes, Writer::Timestamps(time)) => {
                let label = [time.written(at.wall).as_bytes(), &self.label.line].concat();
                sink.stdout.push_lines(&label, lines, at.now)
            }
            (Shown::Yes, Writer::Json(out)) => {
                let mut count = 0;
                for (n, line) in (first..).zip(each_of(lines)) {
                    let object = view::json_of_line(out, n, at.wall, author, [b"", line]);
                    sink.stdout.push(&[object], at.now);
                    count += 1;
                }
                count
            }
        }
    }

    fn pass_on_piece(
        &mut self,
        author: &Rc<Author>,
        piece: &Piece<'_>,
        tail: &mut Tail,
        sink: &mut Sink<'_>,
    ) {
        let (kind, label) = match piece.start {
            Start::Line => (Kind::Output, &self.label.line),
            Start::Continuation => (Kind::Continuation, &self.label.continuation),
        };
        let n = sink.ring.push(sink.origin(author, kind), piece.parts);
        if let Some(awaited) = &self.awaited
            && tail.completes(awaited, piece)
        {
            sink.ready.push(author.worker);
            self.awaited = None;
        }
        if let Some(file) = &self.file {
            sink.files.writer(file).push(file, author.worker, n, piece);
        }
        let (at, [start, rest]) = (sink.at, piece.parts);
        match (self.label.shown, &mut *sink.writer) {
            (Shown::No, _) => {}
            (Shown::Yes, Writer::Plain) => sink.stdout.push(&[label, start, rest], at.now),
            (Shown::Yes, Writer::Timestamps(time)) => {
                let time = time.written(at.wall).as_bytes();
                sink.stdout.push(&[time, label, start, rest], at.now);
            }
            (Shown::Yes, Writer::Json(out)) => {
                let object = view::json_of_line(out, n, at.wall, author, piece.parts);
                sink.stdout.push(&[object], at.now);
            }
        }
    }
}

impl Sink<'_> {
    fn origin(&self, author: &Rc<Author>, kind: Kind) -> Origin {
        Origin { author: author.clone(), kind, at: self.at.wall }
    }
}

/// Each of these lines, without its newline.
fn each_of(lines: &[u8]) -> impl Iterator<Item = &[u8]> {
    lines.split_inclusive(|byte| *byte == b'\n').map(|line| &line[..line.len() - 1])
}

impl Tail {
    /// True if the awaited line is in this piece, or begins in the piece before.
    fn completes(&mut self, awaited: &Line, piece: &Piece<'_>) -> bool {
        let mut bytes = match piece.start {
            Start::Line => Vec::new(),
            Start::Continuation => std::mem::take(&mut self.0),
        };
        piece.parts.iter().for_each(|part| bytes.extend_from_slice(part));
        let is_in = match piece.end {
            End::Line => is_in(awaited, without_return(&bytes)),
            End::Continued => is_in(awaited, &bytes),
        };
        match piece.end {
            End::Line => self.0.clear(),
            End::Continued => {
                bytes.drain(..bytes.len().saturating_sub(bytes_before_cut(awaited)));
                bytes.shrink_to_fit();
                self.0 = bytes;
            }
        }
        is_in
    }
}

/// A line without the carriage return that ends it on a terminal and in programs from Windows.
fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// True if this text is like the awaited line, with its colours or without.
fn is_in(awaited: &Line, text: &[u8]) -> bool {
    let has_escape = || memchr::memchr(0x1b, text).is_some();
    awaited.is_in(text) || has_escape() && awaited.is_in(&without_colours(text))
}

/// The text as it is seen: without the sequences that set colours.
fn without_colours(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = memchr::memmem::find(rest, b"\x1b[") {
        plain.extend_from_slice(&rest[..start]);
        let sequence = &rest[start + 2..];
        let is_parameter = |byte: &&u8| matches!(byte, b'0'..=b'9' | b';' | b':');
        let length = sequence.iter().take_while(is_parameter).count();
        rest = match sequence.get(length) {
            Some(b'm') => &sequence[length + 1..],
            Some(_) | None => {
                plain.extend_from_slice(b"\x1b[");
                sequence
            }
        };
    }
    plain.extend_from_slice(rest);
    plain
}

/// How much of a match may stand before a cut.
fn bytes_before_cut(awaited: &Line) -> usize {
    match awaited {
        Line::Text(text) => text.len().saturating_sub(1),
        Line::Pattern(_) => MATCH_BYTES_BEFORE_CUT_MAX,
    }
}
