//! The bytes of workers, on their way to people: read, cut into lines, written to stdout and to log files.
//!
//! Never waits: not for a worker, not for a reader, not for a disk that is full. What was lost is counted.
//!
//! [`pipes`] reads the workers, [`terminal`] makes lines of what a terminal would show, [`lines`] cuts, [`spec`] says
//! where the lines of a worker go: [`console`] is stdout and stderr, [`queue`] holds lines while their reader is slow,
//! [`files`] writes and rotates log files.

mod console;
mod files;
mod lines;
mod pipes;
mod queue;
mod spec;
mod terminal;

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Instant;

use nix::pty::Winsize;

pub use self::console::{Colour, Label};
pub use self::files::Incident as FileIncident;
pub use self::lines::LastOutput;
pub use self::pipes::Progress;
pub use self::queue::{Incident as StdoutIncident, STALLED_AFTER};
pub use self::spec::{Device, OutputSpec};

use self::console::Console;
use self::files::LogFiles;
use self::pipes::Pipes;
use self::spec::Sink;
use super::tokens::Registrar;
use crate::supervisor::{SlotId, WorkerId};

/// All output of a run.
#[derive(Debug)]
pub struct Output {
    pipes: Pipes,
    files: LogFiles,
    console: Console,
    /// The workers that have written the line they were awaited to write.
    ready: Vec<WorkerId>,
}

/// What a flush has to report.
#[derive(Debug)]
pub enum Incident {
    Stdout(StdoutIncident),
    File(FileIncident),
}

impl Output {
    /// The output of this process; no worker writes yet.
    ///
    /// # Errors
    /// If stdout or stderr cannot be duplicated or watched.
    pub fn open(colour: Colour, registrar: &mut Registrar<'_>) -> io::Result<Self> {
        let console = Console::open(colour, registrar)?;
        Ok(Self { pipes: Pipes::new(), files: LogFiles::default(), console, ready: Vec::new() })
    }

    // Workers.

    /// Opens a pipe or terminal for the output of a worker, and returns the worker's end.
    ///
    /// # Errors
    /// EMFILE or ENFILE: too many files are open.
    pub fn open_pipe(
        &mut self,
        worker: WorkerId,
        spec: OutputSpec,
        registrar: &mut Registrar<'_>,
    ) -> io::Result<OwnedFd> {
        self.pipes.open(worker, spec, registrar)
    }

    /// Closes the pipe of a worker that was not spawned.
    pub fn close_pipe(&mut self, worker: WorkerId, registrar: &mut Registrar<'_>) {
        self.pipes.close(worker, registrar);
    }

    /// The poll says that this worker has written.
    pub fn mark_readable(&mut self, worker: WorkerId) {
        self.pipes.mark_readable(worker);
    }

    /// Reads what workers have written, as long as stdout's queue and the log files have room for it.
    pub fn read(&mut self, now: Instant, registrar: &mut Registrar<'_>) -> Progress {
        let Self { pipes, files, console, ready } = self;
        pipes.read(&mut Sink { stdout: console.stdout(), files, ready, now }, registrar)
    }

    /// Reads what a dead worker has left in its pipe, and returns the end of all that it wrote.
    pub fn read_last(
        &mut self,
        worker: WorkerId,
        now: Instant,
        registrar: &mut Registrar<'_>,
    ) -> LastOutput {
        let Self { pipes, files, console, ready } = self;
        let sink = &mut Sink { stdout: console.stdout(), files, ready, now };
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
    pub fn label(&self, name: &str, number: usize) -> Label {
        self.console.label(name, number)
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
        self.pipes.resize(self.console.terminal_size());
    }

    // People.

    /// Adds a line of pm's own.
    pub fn say(&mut self, text: &str, now: Instant) {
        self.console.say(text, now);
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

    /// Whether the last flush has left lines for the log files, which the next one writes.
    pub fn files_progress(&self) -> Progress {
        if self.files.are_behind() { Progress::MayHaveMore } else { Progress::Idle }
    }

    /// True if no line waits for a reader or for a log file, or waiting is of no use.
    pub fn is_settled(&self, now: Instant) -> bool {
        self.console.is_settled(now) && !self.files.are_behind()
    }

    /// When a reader will count as stalled.
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        self.console.next_deadline(now)
    }

    // Log files.

    /// Opens all log files again by their names at their next line.
    pub fn reopen_files(&mut self) {
        self.files.reopen();
    }

    /// Closes the log files that no slot writes to any more.
    pub fn retain_files(&mut self, is_wanted: impl FnMut(&Path) -> bool) {
        self.files.retain(is_wanted);
    }
}
