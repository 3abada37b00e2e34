//! The log files of workers: whole lines, rotated by size. One [`writer`] for each file, with its names in
//! [`rotation`] and what is in it in [`extent`]; here they are found by path, flushed once a wakeup and closed.
//!
//! A file that cannot be written stops no worker: its lines are counted, and the count is reported when it can be
//! written again, or when pm is done with the file.

mod extent;
mod open_file;
mod rotation;
mod writer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use self::extent::Extent;
use self::rotation::{NotRenamed, Renames};
use self::writer::{Progress, Writer};
use crate::plan::LogFile;
use crate::supervisor::SlotId;
use crate::sys::folder::FolderError;

/// All files, by path.
#[derive(Debug, Default)]
pub struct LogFiles {
    files: BTreeMap<PathBuf, LogOutput>,
    /// Of files that are closed, for the next flush.
    incidents: Vec<Incident>,
    /// How many lines are missing in files that are closed.
    lost: BTreeMap<SlotId, u64>,
}

/// A file, and what has been reported of it.
#[derive(Debug)]
struct LogOutput {
    writer: Writer,
    failure: Failure,
}

/// Whether it has been reported that a file cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    None,
    Reported,
}

/// What a flush has to report about a file.
#[derive(Debug)]
pub enum Incident {
    /// It cannot be written.
    Broken { path: PathBuf, error: FolderError },
    /// It can be written again; this many lines are missing in it.
    Restored { path: PathBuf, lost: u64 },
    /// It is not rotated and goes on. The next try is when it has grown by `bytes`.
    NotRotated { path: PathBuf, why: NotRenamed, bytes: u64 },
    /// pm is done with the file, and this many lines are missing in it.
    Lost { path: PathBuf, lost: u64 },
}

impl LogFiles {
    /// What collects the lines for this file.
    pub fn writer(&mut self, plan: &LogFile) -> &mut Writer {
        if !self.files.contains_key(&plan.path) {
            self.files.insert(plan.path.clone(), LogOutput::new(plan));
        }
        let output = self.files.get_mut(&plan.path).expect("it is there by now");
        &mut output.writer
    }

    /// Writes what was collected, but for what needs too many files to be renamed: [`LogFiles::are_behind`].
    pub fn flush(&mut self) -> Vec<Incident> {
        let mut renames = Renames::of_wakeup();
        let mut incidents = std::mem::take(&mut self.incidents);
        let pending = self.files.values_mut().filter(|output| output.writer.has_collected());
        incidents.extend(pending.flat_map(|output| output.flush(&mut renames)));
        incidents
    }

    /// True if the last flush has left lines for the next one.
    pub fn are_behind(&self) -> bool {
        self.files.values().any(LogOutput::is_behind)
    }

    /// True if the last flush has left lines of this file for the next one.
    pub fn is_behind(&self, path: &Path) -> bool {
        self.files.get(path).is_some_and(LogOutput::is_behind)
    }

    /// What is in this file by now; `None` if there is no such file.
    pub fn extent(&self, path: &Path) -> Option<Extent> {
        self.files.get(path).map_or_else(|| Extent::of_unwritten(path), |out| out.writer.extent())
    }

    /// How many lines of this slot could not be written; `path` is its file, if it has one.
    pub fn lost(&self, slot: SlotId, path: Option<&Path>) -> u64 {
        let open = path.and_then(|path| self.files.get(path));
        let open = open.map_or(0, |output| output.writer.lost_ever());
        self.lost.get(&slot).copied().unwrap_or(0) + open
    }

    /// Opens all files again by their names at their next line: logrotate(8) may have renamed them.
    pub fn reopen(&mut self) {
        self.files.values_mut().for_each(|output| output.writer.reopen());
    }

    /// Closes the files that no slot writes to any more.
    pub fn retain(&mut self, mut is_wanted: impl FnMut(&Path) -> bool) {
        let Self { files, incidents, lost } = self;
        files.retain(|path, output| {
            let is_kept = is_wanted(path);
            if !is_kept {
                incidents.extend(output.close());
                if let Some(slot) = output.writer.slot() {
                    *lost.entry(slot).or_default() += output.writer.lost_ever();
                }
            }
            is_kept
        });
    }

    /// Closes all files at the end of the run.
    pub fn close(&mut self) -> Vec<Incident> {
        self.retain(|_| false);
        self.flush()
    }
}

impl LogOutput {
    fn new(plan: &LogFile) -> Self {
        Self { writer: Writer::new(plan), failure: Failure::None }
    }

    fn is_behind(&self) -> bool {
        self.writer.progress() == Progress::Behind
    }

    fn flush(&mut self, renames: &mut Renames) -> impl Iterator<Item = Incident> + use<> {
        let before = self.writer.lost();
        let written = match self.writer.write_out(renames) {
            Ok(()) if before > 0 => {
                self.failure = Failure::None;
                let lost = self.writer.take_lost();
                Some(Incident::Restored { path: self.writer.path().to_owned(), lost })
            }
            Err(error) if self.failure == Failure::None => {
                self.failure = Failure::Reported;
                Some(Incident::Broken { path: self.writer.path().to_owned(), error })
            }
            Ok(()) | Err(_) => None,
        };
        let not_rotated = self.writer.take_not_renamed().map(|why| Incident::NotRotated {
            path: self.writer.path().to_owned(),
            why,
            bytes: self.writer.bytes_max(),
        });
        written.into_iter().chain(not_rotated)
    }

    /// Writes the last lines. What is missing is reported now or never.
    fn close(&mut self) -> Vec<Incident> {
        self.writer.end_line();
        let last = self.writer.has_collected().then(|| self.flush(&mut Renames::unlimited()));
        let path = self.writer.path().to_owned();
        let lost = self.writer.take_lost();
        let lost = (lost > 0).then_some(Incident::Lost { path, lost });
        last.into_iter().flatten().chain(lost).collect()
    }
}

#[cfg(test)]
mod tests;
