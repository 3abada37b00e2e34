//! The bytes of workers, on their way to people: read, cut into lines, written to stdout and to log files.
//!
//! Never waits: not for a worker, not for a reader, not for a disk that is full. What was lost is counted.
//!
//! [`pipes`] reads the workers, [`terminal`] makes lines of what a terminal would show, [`lines`] cuts, [`spec`] says
//! where the lines of a worker go: [`console`] is stdout and stderr, [`queue`] holds lines while their reader is slow,
//! [`files`] writes and rotates log files, [`ring`] keeps the last lines in memory, [`view`] is
//! what people or programs are shown. [`attached`] is for clients that have the terminal of a worker, whose output
//! [`screens`] keeps for them.

mod attached;
mod console;
mod files;
mod lines;
mod pipes;
mod queue;
mod ring;
mod screens;
mod spec;
mod terminal;
mod view;

use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use nix::pty::Winsize;

pub use self::attached::Before;
pub use self::console::{Colour, Label, label_colour};
pub use self::files::Incident as FileIncident;
pub use self::lines::{Cutter, HandedOn, LastOutput};
pub use self::pipes::{Opened, Progress, Seat, Typed};
pub use self::queue::{Incident as StdoutIncident, STALLED_AFTER};
pub use self::ring::{Kind as LineKind, Line, Ring};
pub use self::screens::Shown;
pub use self::spec::{Device, OutputSpec};
pub use self::view::{Form, OwnLine, OwnLines, View};

use self::console::Console;
use self::files::{Extent, LogFiles};
use self::pipes::Pipes;
use self::ring::{Author, Kind, Origin};
use self::screens::Screens;
use self::spec::Sink;
use super::clock::Moment;
use super::tokens::Registrar;
use crate::plan::LabelStyle;
use crate::supervisor::{SlotId, WorkerId};

/// All output of a run.
#[derive(Debug)]
pub struct Output {
    pipes: Pipes,
    files: LogFiles,
    console: Console,
    ring: Ring,
    screens: Screens,
    /// The workers that have written the line they were awaited to write.
    ready: Vec<WorkerId>,
}

/// What a flush has to report.
#[derive(Debug)]
pub enum Incident {
    Stdout(StdoutIncident),
    File(FileIncident),
}

/// Where the lines that the ring has of a slot begin in its log file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seam {
    pub device: u64,
    pub inode: u64,
    /// In bytes; below 0: that many bytes before the end of the file that this one followed. `None` if lines are
    /// missing in the file, so that it is not known.
    pub offset: Option<i64>,
    /// How the line there begins, with its newline if that is all of it.
    pub next: Option<String>,
}

/// Of the line at a seam.
const NEXT_BYTES_MAX: usize = 256;

impl Output {
    /// The output of this process; no worker writes yet.
    ///
    /// # Errors
    /// If stdout or stderr cannot be duplicated or watched.
    pub fn open(view: View, registrar: &mut Registrar<'_>) -> io::Result<Self> {
        let console = Console::open(view, registrar)?;
        Ok(Self {
            pipes: Pipes::new(),
            files: LogFiles::default(),
            console,
            ring: Ring::default(),
            screens: Screens::default(),
            ready: Vec::new(),
        })
    }

    // Workers.

    /// Opens a pipe or terminal for the output of a worker, or takes the one that is ready.
    ///
    /// # Errors
    /// EMFILE or ENFILE: too many files are open.
    pub fn open_pipe(
        &mut self,
        device: Device,
        registrar: &mut Registrar<'_>,
    ) -> io::Result<Opened> {
        self.pipes.open(device, registrar)
    }

    /// The worker was spawned with this pipe.
    pub fn add_pipe(
        &mut self,
        worker: WorkerId,
        spec: OutputSpec,
        opened: Opened,
        registrar: &mut Registrar<'_>,
    ) {
        self.pipes.add(worker, spec, opened, registrar);
    }

    /// No worker was spawned with this pipe.
    pub fn take_back_pipe(
        &mut self,
        device: Device,
        opened: Opened,
        registrar: &mut Registrar<'_>,
    ) {
        self.pipes.take_back(device, opened, registrar);
    }

    /// Opens a pipe for the next worker, which then does not wait for that.
    pub fn open_spare_pipe(&mut self, registrar: &mut Registrar<'_>) {
        self.pipes.open_spare(registrar);
    }

    /// Closes the pipe of a worker that was not spawned.
    pub fn close_pipe(&mut self, worker: WorkerId, registrar: &mut Registrar<'_>) {
        self.pipes.close(worker, registrar);
    }

    /// What this worker writes to.
    pub fn device_of(&self, worker: WorkerId) -> Device {
        self.pipes.device_of(worker)
    }

    /// This worker is a spare, or is one no more.
    pub fn take_seat(&mut self, worker: WorkerId, seat: Seat) {
        self.pipes.take_seat(worker, seat);
    }

    /// The output of this worker is that of another one from now on, and goes where that one's goes.
    pub fn rename(
        &mut self,
        from: WorkerId,
        to: WorkerId,
        spec: OutputSpec,
        registrar: &mut Registrar<'_>,
    ) {
        self.pipes.rename(from, to, spec, registrar);
        self.ready.iter_mut().filter(|ready| **ready == from).for_each(|ready| *ready = to);
    }

    /// The poll says that this worker has written.
    pub fn mark_readable(&mut self, worker: WorkerId) {
        self.pipes.mark_readable(worker);
    }

    /// Reads what workers have written, as long as stdout's queue and the log files have room for it.
    pub fn read(&mut self, at: Moment, registrar: &mut Registrar<'_>) -> Progress {
        let Self { pipes, files, console, ring, screens, ready } = self;
        let (stdout, writer) = console.stdout();
        pipes.read(&mut Sink { stdout, writer, files, ring, screens, ready, at }, registrar)
    }

    /// Reads what a dead worker has left in its pipe, and returns the end of all that it wrote.
    pub fn read_last(
        &mut self,
        worker: WorkerId,
        at: Moment,
        registrar: &mut Registrar<'_>,
    ) -> LastOutput {
        let Self { pipes, files, console, ring, screens, ready } = self;
        let (stdout, writer) = console.stdout();
        let sink = &mut Sink { stdout, writer, files, ring, screens, ready, at };
        pipes.read_last(worker, sink, registrar)
    }

    /// Takes the next worker that has written the line it was awaited to write.
    pub fn take_ready(&mut self) -> Option<WorkerId> {
        self.ready.pop()
    }

    /// Changes what happens to the output of the workers of a slot.
    pub fn update(&mut self, slot: SlotId, change: impl FnMut(&mut OutputSpec)) {
        self.pipes.update(slot, change);
    }

    /// True if no worker can write any more.
    pub fn are_all_ended(&self) -> bool {
        self.pipes.are_all_ended()
    }

    // Labels and terminals.

    /// What stands before the lines of the slot with this number.
    pub fn label(&self, pool: &str, name: &str, number: usize, style: LabelStyle) -> Label {
        self.console.label(pool, name, number, style)
    }

    /// Makes all labels that are asked for from now on as wide as the longest of `names`, and resizes the workers'
    /// terminals to what that leaves.
    pub fn set_label_width<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        self.console.set_label_width(names);
        self.resize_terminals();
    }

    /// The size of a worker's terminal.
    pub fn terminal_size(&self) -> Winsize {
        self.console.terminal_size()
    }

    /// Gives the workers' terminals the size that pm's own terminal has now.
    pub fn resize_terminals(&mut self) {
        self.pipes.resize(self.console.terminal_size(), &self.screens);
    }

    // People.

    /// Adds what pm itself says.
    pub fn say(&mut self, line: OwnLine<'_>, at: Moment) {
        self.console.say(line, at);
    }

    /// Which of pm's own lines are asked for.
    pub fn own_lines(&self) -> OwnLines {
        self.console.own_lines()
    }

    /// Writes what can be written now, but for pm's own lines: [`Output::flush_own`], once the incidents are reported.
    pub fn flush(&mut self, now: Instant) -> Vec<Incident> {
        let mut incidents: Vec<_> = self.files.flush().into_iter().map(Incident::File).collect();
        incidents.extend(self.console.flush_stdout(now).map(Incident::Stdout));
        incidents
    }

    /// Ends the output of the workers: their last lines are in the files, and what was lost is to be reported.
    pub fn close(&mut self, now: Instant) -> Vec<Incident> {
        let mut incidents: Vec<_> = self.files.close().into_iter().map(Incident::File).collect();
        incidents.extend(self.console.close_stdout(now).map(Incident::Stdout));
        incidents
    }

    /// Writes the lines of pm's own that can be written now.
    pub fn flush_own(&mut self, now: Instant) {
        self.console.flush_own(now);
    }

    /// Whether the last flush has left lines for the log files, which the next one writes, or has made room for what
    /// workers have written.
    pub fn progress(&self, now: Instant) -> Progress {
        let Self { pipes, files, console, .. } = self;
        if files.are_behind() || pipes.may_read(console.waiting_for_stdout(), files, now) {
            Progress::MayHaveMore
        } else {
            Progress::Idle
        }
    }

    /// True if no line waits for a reader or for a log file, or waiting is of no use.
    pub fn is_settled(&self, now: Instant) -> bool {
        self.console.is_settled(now) && !self.files.are_behind()
    }

    /// When a reader will count as stalled.
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        self.console.next_deadline(now)
    }

    // Lines that are kept.

    /// The last lines that these workers wrote, as text, if they have begun after the line with the number `after`.
    pub fn last_lines(&self, workers: &[WorkerId], after: u64, count: usize) -> Vec<String> {
        let lines = self.ring.last_lines(workers, after + 1, count).into_iter();
        lines.map(|line| String::from_utf8_lossy(line.bytes).into_owned()).collect()
    }

    /// The number of the last line of all workers.
    pub fn last_line(&self) -> u64 {
        self.ring.last()
    }

    /// The lines that are kept.
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    /// How many lines the reader of stdout was not given since the start.
    pub fn lost_on_stdout(&self) -> u64 {
        self.console.lost()
    }

    /// How many lines could not be written to the log file of this slot, which is at `path` now.
    pub fn lost_in_file(&self, slot: SlotId, path: Option<&Path>) -> u64 {
        self.files.lost(slot, path)
    }

    /// Lets the ring take at most this many bytes.
    pub fn resize_ring(&mut self, bytes_max: usize) {
        self.ring.resize(bytes_max);
    }

    /// Keeps the report of a worker's end among its lines.
    pub fn keep_death(&mut self, worker: WorkerId, slot: &str, words: &str, at: Moment) {
        let author = Rc::new(Author { worker, slot: slot.into() });
        let origin = Origin { author, kind: Kind::Death, at: at.wall };
        self.ring.push(origin, [words.as_bytes(), b""]);
    }

    /// Forgets the slots that are not there any more, once none of their lines is kept.
    pub fn retain_slots(&mut self, is_there: impl Fn(SlotId) -> bool) {
        self.ring.retain(is_there);
    }

    // Log files.

    /// Where the lines that the ring has of a slot begin in its log file; `None` if there is no such file.
    pub fn seam(&self, slot: SlotId, path: &Path) -> Option<Seam> {
        let Extent { device, inode, length, lines } = self.files.extent(path)?;
        let (first, bytes) = match lines.first {
            Some(from) => self.ring.as_in_file(slot, from),
            None => (None, 0),
        };
        let bytes = bytes - u64::from(first.is_some() && lines.is_open);
        let is_whole = first.is_none_or(|first| lines.lost.is_none_or(|lost| lost < first.n));
        let offset = is_whole.then(|| length.cast_signed() - bytes.cast_signed());
        let next = first.map(|line| {
            let (bytes, newline) = match line.bytes.get(..NEXT_BYTES_MAX) {
                Some(start) => (start, ""),
                None => (line.bytes, "\n"),
            };
            String::from_utf8_lossy(bytes).into_owned() + newline
        });
        Some(Seam { device, inode, offset, next })
    }

    /// Opens all log files again by their names at their next line.
    pub fn reopen_files(&mut self) {
        self.files.reopen();
    }

    /// Closes the log files that no slot writes to any more.
    pub fn retain_files(&mut self, is_wanted: impl FnMut(&Path) -> bool) {
        self.files.retain(is_wanted);
    }
}
