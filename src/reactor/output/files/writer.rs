//! One log file: lines are collected, written, and rotated by size.
//!
//! A line stands whole in one file: what a failed write leaves of a line is cut off again, and a line that comes in
//! pieces is not rotated in between unless it is longer than a file may be. Other processes may truncate the file
//! (logrotate's copytruncate): its length is asked for, not remembered. Only a regular file is written: rotation would
//! rename a device or a pipe away, and a pipe could block; how it is opened is in [`crate::sys::folder`].

use std::ops::RangeInclusive;
use std::path::Path;

use super::extent::{Extent, Lines};
use super::open_file::{Name, OpenFile, first_line};
use super::rotation::{NotRenamed, Renames, RotateError, open, rotate};
use crate::plan::LogFile;
use crate::reactor::output::lines::{COPIED_BYTES_MAX, End, Piece};
use crate::supervisor::{SlotId, WorkerId};
use crate::sys::folder::FolderError;

/// Collected lines are written when there are more, even in the middle of a wakeup.
const COLLECTED_BYTES_MAX: usize = 64 * 1024;

#[derive(Debug)]
pub struct Writer {
    plan: LogFile,
    /// None before the first line, and while it cannot be opened.
    file: Option<OpenFile>,
    collected: Vec<u8>,
    /// The line that the collected bytes, or else the file, end with.
    line: LastLine,
    /// Lines that could not be written since the last one that could.
    lost: u64,
    /// All lines that could not be written.
    lost_ever: u64,
    /// The slot that the last line came from.
    slot: Option<SlotId>,
    lines: Lines,
    progress: Progress,
    unrotated: Option<Unrotated>,
}

/// The file goes on, because it could not be rotated.
#[derive(Debug)]
struct Unrotated {
    /// Its length then. The next try is when it has grown by as much as a file may have.
    length: u64,
    /// Until it is taken for a report.
    why: Option<NotRenamed>,
}

/// Whether all that was collected is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Done,
    /// The next line needs a new file, and as many files were renamed as may be at once.
    Behind,
}

/// Where a line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LastLine {
    Ended,
    /// This worker has not ended it.
    Open(WorkerId),
    /// Nor this one, and its beginning is lost: so is the rest.
    Lost(WorkerId),
}

impl Writer {
    pub fn new(plan: &LogFile) -> Self {
        Self {
            plan: plan.clone(),
            file: None,
            collected: Vec::new(),
            line: LastLine::Ended,
            lost: 0,
            lost_ever: 0,
            slot: None,
            lines: Lines::default(),
            progress: Progress::Done,
            unrotated: None,
        }
    }

    pub fn path(&self) -> &Path {
        &self.plan.path
    }

    /// How long a file may be.
    pub fn bytes_max(&self) -> u64 {
        self.plan.max_bytes
    }

    pub fn has_collected(&self) -> bool {
        !self.collected.is_empty()
    }

    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// How many lines could not be written since the last one that could.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// How many lines could not be written since the file is there.
    pub fn lost_ever(&self) -> u64 {
        self.lost_ever
    }

    /// The slot that the last line came from.
    pub fn slot(&self) -> Option<SlotId> {
        self.slot
    }

    /// The same number, which is reported and begins again at 0.
    pub fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    /// Why the file is not rotated: once, until it was.
    pub fn take_not_renamed(&mut self) -> Option<NotRenamed> {
        self.unrotated.as_mut().and_then(|unrotated| unrotated.why.take())
    }

    /// Adds a line of a worker, or a piece of one; `n` is its number in the ring.
    pub fn push(&mut self, plan: &LogFile, worker: WorkerId, n: u64, piece: &Piece<'_>) {
        let bytes = piece.parts.iter().map(|part| part.len()).sum::<usize>() + 1;
        self.prepare(plan, worker, n..=n, bytes);
        let is_lost = self.line == LastLine::Lost(worker);
        if is_lost {
            self.lines.lost = Some(n);
        } else {
            if self.line != LastLine::Open(worker) {
                self.end_line();
            }
            piece.parts.iter().for_each(|part| self.collected.extend_from_slice(part));
        }
        self.line = match piece.end {
            End::Continued if is_lost => LastLine::Lost(worker),
            End::Continued => LastLine::Open(worker),
            End::Line => {
                if !is_lost {
                    self.collected.push(b'\n');
                }
                LastLine::Ended
            }
        };
    }

    /// Adds whole lines of a worker, each with its newline; `numbers` are theirs in the ring.
    pub fn push_lines(
        &mut self,
        plan: &LogFile,
        worker: WorkerId,
        numbers: RangeInclusive<u64>,
        lines: &[u8],
    ) {
        self.prepare(plan, worker, numbers, lines.len());
        self.end_line();
        lines.chunks(COPIED_BYTES_MAX).for_each(|part| self.collected.extend_from_slice(part));
    }

    /// The lines with these numbers are collected next: makes room for them.
    fn prepare(
        &mut self,
        plan: &LogFile,
        worker: WorkerId,
        numbers: RangeInclusive<u64>,
        bytes: usize,
    ) {
        if self.plan != *plan {
            self.plan = plan.clone();
        }
        if self.collected.len() + bytes > COLLECTED_BYTES_MAX {
            // A failure is reported by the next flush, which meets it too.
            let _ = self.write_out(&mut Renames::unlimited());
        }
        self.lines.first.get_or_insert(*numbers.start());
        self.lines.last = *numbers.end();
        self.slot = Some(worker.slot);
    }

    /// Ends the last line, because the next one is of another worker.
    pub fn end_line(&mut self) {
        match std::mem::replace(&mut self.line, LastLine::Ended) {
            LastLine::Open(_) => self.collected.push(b'\n'),
            LastLine::Ended | LastLine::Lost(_) => {}
        }
    }

    /// Opens the file again by its name when its last line has ended.
    pub fn reopen(&mut self) {
        if let Some(open) = &mut self.file {
            open.name = Name::Doubtful;
        }
    }

    /// Writes the collected lines, to as many files as may be renamed for it. What cannot be written is lost and
    /// counted; every line in a file is whole.
    ///
    /// # Errors
    /// What the file system answered, or that there is no regular file.
    pub fn write_out(&mut self, renames: &mut Renames) -> Result<(), FolderError> {
        let mut collected = std::mem::take(&mut self.collected);
        if let Some(open) = &mut self.file {
            open.ask_length();
        }
        self.progress = Progress::Done;
        let mut at = 0;
        let result = loop {
            let rest = &collected[at..];
            if rest.is_empty() {
                break Ok(());
            }
            let (written, result) = match self.make_room(rest, renames) {
                Ok(Some((file, fitting))) => file.write(&rest[..fitting]),
                Ok(None) => {
                    self.progress = Progress::Behind;
                    break Ok(());
                }
                Err(error) => break Err(error),
            };
            at += written;
            if let Err(error) = result {
                self.file = None;
                break Err(error.into());
            }
        };
        if result.is_err() {
            self.count_lost(&collected[at..]);
            at = collected.len();
        }
        collected.drain(..at);
        collected.shrink_to(8 * 1024);
        self.collected = collected;
        result
    }

    /// What is in the file by now.
    pub fn extent(&self) -> Option<Extent> {
        let metadata = match &self.file {
            Some(open) => open.file.metadata(),
            None => self.plan.path.metadata(),
        };
        let is_open = matches!(self.line, LastLine::Open(_));
        let lines = Lines { is_open, ..self.lines };
        Some(Extent::new(&metadata.ok()?, self.collected.len(), lines))
    }

    /// Counts the lines that begin or end in the bytes that could not be written.
    fn count_lost(&mut self, rest: &[u8]) {
        self.lines.lost = Some(self.lines.last);
        let mut lost = memchr::memchr_iter(b'\n', rest).count() as u64;
        match self.line {
            LastLine::Open(worker) if !rest.is_empty() => {
                lost += 1;
                self.line = LastLine::Lost(worker);
            }
            LastLine::Ended | LastLine::Open(_) | LastLine::Lost(_) => {}
        }
        self.lost += lost;
        self.lost_ever += lost;
    }

    /// How long the file of this length may become.
    fn room_end(&self, length: u64) -> u64 {
        match &self.unrotated {
            Some(unrotated) if length >= unrotated.length => {
                unrotated.length.saturating_add(self.plan.max_bytes)
            }
            // Another process has truncated or renamed it.
            Some(_) | None => self.plan.max_bytes,
        }
    }

    /// Opens the file if it is closed, and rotates it if the next line does not fit. Returns how many bytes fit, or
    /// `None` if no more files may be renamed now. A file that cannot be rotated goes on.
    fn make_room(
        &mut self,
        lines: &[u8],
        renames: &mut Renames,
    ) -> Result<Option<(&mut OpenFile, usize)>, FolderError> {
        self.file.take_if(|open| open.name == Name::Doubtful && open.open_bytes == 0);
        let mut file = match self.file.take() {
            Some(file) => file,
            None => OpenFile::of(open(&self.plan.path)?)?,
        };
        let mut max = self.room_end(file.length);
        if file.length > 0 && file.fitting(lines, max) == 0 {
            if renames.are_used_up() {
                self.file = Some(file);
                return Ok(None);
            }
            match rotate(&self.plan, renames) {
                Ok(new) => {
                    file.end_cut_line();
                    file = OpenFile::of(new)?;
                    self.unrotated = None;
                    max = self.plan.max_bytes;
                }
                Err(RotateError::NotRenamed(why)) => {
                    // Reported once, until the file was rotated.
                    let why = self.unrotated.take().map_or(Some(why), |earlier| earlier.why);
                    self.unrotated = Some(Unrotated { length: file.length, why });
                    max = file.length.saturating_add(self.plan.max_bytes);
                }
                Err(RotateError::NotOpened(error)) => {
                    file.end_cut_line();
                    return Err(error);
                }
            }
        }
        let fitting = match file.fitting(lines, max) {
            0 => first_line(lines),
            fitting => fitting,
        };
        Ok(Some((self.file.insert(file), fitting)))
    }
}
