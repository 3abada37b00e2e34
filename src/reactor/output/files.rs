//! The log files of workers: whole lines, rotated by size.
//!
//! `web.1.log` becomes `web.1.log.1`, that becomes `web.1.log.2`, and so on; the oldest is removed. Lines are collected
//! and written once a wakeup. A file that cannot be written stops no worker: its lines are counted, and the count is
//! reported when it can be written again. Only a regular file is written: rotation would rename a device or a pipe
//! away, and a pipe could block.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, create_dir_all, remove_file, rename};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::lines::End;
use crate::plan::LogFile;
use crate::sys::strerror;

/// Collected lines are written when there are more, even in the middle of a wakeup.
const COLLECTED_BYTES_MAX: usize = 256 * 1024;

/// All files, by path.
#[derive(Debug, Default)]
pub struct LogFiles {
    files: BTreeMap<PathBuf, Writer>,
}

#[derive(Debug)]
struct Writer {
    plan: LogFile,
    /// None before the first line, and while it cannot be opened.
    file: Option<File>,
    /// Of the file as it is.
    length: u64,
    collected: Vec<u8>,
    /// Lines that could not be written since the last one that could.
    lost: u64,
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
    Broken { path: PathBuf, error: FileError },
    /// It can be written again; this many lines are missing in it.
    Restored { path: PathBuf, lost: u64 },
}

/// Why a log file cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("it is not a regular file")]
    NotRegular,
    #[error("{}", strerror(.0))]
    Io(#[from] io::Error),
}

impl LogFiles {
    /// Adds a line, or a piece of one, given in parts without its newline.
    pub fn push(&mut self, plan: &LogFile, parts: &[&[u8]], end: End) {
        let writer = match self.files.get_mut(&plan.path) {
            Some(writer) => writer,
            None => self.files.entry(plan.path.clone()).or_insert_with(|| Writer::new(plan)),
        };
        writer.push(plan, parts, end);
    }

    /// Writes what was collected.
    pub fn flush(&mut self) -> Vec<Incident> {
        let mut incidents = Vec::new();
        for writer in self.files.values_mut().filter(|writer| !writer.collected.is_empty()) {
            let before = writer.lost;
            match writer.write_out() {
                Ok(()) if before > 0 => {
                    let lost = std::mem::take(&mut writer.lost);
                    writer.failure = Failure::None;
                    incidents.push(Incident::Restored { path: writer.plan.path.clone(), lost });
                }
                Ok(()) => {}
                Err(error) if writer.failure == Failure::None => {
                    writer.failure = Failure::Reported;
                    incidents.push(Incident::Broken { path: writer.plan.path.clone(), error });
                }
                Err(_) => {}
            }
        }
        incidents
    }

    /// Opens all files again by their names at their next line: logrotate(8) may have renamed them.
    pub fn reopen(&mut self) {
        self.files.values_mut().for_each(|writer| writer.file = None);
    }

    /// Closes the files that no slot writes to any more.
    pub fn retain(&mut self, mut is_wanted: impl FnMut(&Path) -> bool) {
        self.files.retain(|path, writer| is_wanted(path) || !writer.collected.is_empty());
    }
}

impl Writer {
    fn new(plan: &LogFile) -> Self {
        Self {
            plan: plan.clone(),
            file: None,
            length: 0,
            collected: Vec::new(),
            lost: 0,
            failure: Failure::None,
        }
    }

    fn push(&mut self, plan: &LogFile, parts: &[&[u8]], end: End) {
        if self.plan != *plan {
            self.plan = plan.clone();
        }
        let bytes = parts.iter().map(|part| part.len()).sum::<usize>() + 1;
        if self.collected.len() + bytes > COLLECTED_BYTES_MAX && self.collected.ends_with(b"\n") {
            // A failure is reported by the next flush, which meets it too.
            let _ = self.write_out();
        }
        parts.iter().for_each(|part| self.collected.extend_from_slice(part));
        match end {
            End::Line => self.collected.push(b'\n'),
            End::Continued => {}
        }
    }

    /// Writes the collected lines, to as many files as it takes. What cannot be written is lost and counted; every line
    /// in a file is whole.
    fn write_out(&mut self) -> Result<(), FileError> {
        let collected = std::mem::take(&mut self.collected);
        let mut rest = collected.as_slice();
        let result = loop {
            if rest.is_empty() {
                break Ok(());
            }
            if let Err(error) = self.make_room(rest) {
                break Err(error);
            }
            let part = &rest[..self.fitting(rest)];
            let file = self.file.as_mut().expect("opened to make room");
            if let Err(error) = file.write_all(part) {
                // A part of a line must not stand before the next one. If truncation fails too, the partial line stays.
                let _ = file.set_len(self.length);
                self.file = None;
                break Err(error.into());
            }
            self.length += part.len() as u64;
            rest = &rest[part.len()..];
        };
        self.lost += memchr::memchr_iter(b'\n', rest).count() as u64;
        self.collected = collected;
        self.collected.clear();
        self.collected.shrink_to(8 * 1024);
        result
    }

    /// Opens the file if it is closed, and rotates it if the next line does not fit.
    fn make_room(&mut self, lines: &[u8]) -> Result<(), FileError> {
        if self.file.is_none() {
            self.open()?;
        }
        if self.length > 0 && self.fitting(lines) == 0 {
            self.file = None;
            rotate(&self.plan)?;
            self.open()?;
        }
        Ok(())
    }

    fn open(&mut self) -> Result<(), FileError> {
        if let Some(folder) = self.plan.path.parent() {
            create_dir_all(folder)?;
        }
        // Without O_NONBLOCK the open of a pipe waits for its reader; a link leads to a file that is not pm's to
        // rename.
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_NOFOLLOW;
        let mut options = OpenOptions::new();
        options.append(true).create(true).custom_flags(flags);
        let file = options.open(&self.plan.path).map_err(|error| match error.raw_os_error() {
            // A link; a pipe without a reader or a socket (open(2)).
            Some(libc::ELOOP | libc::ENXIO) => FileError::NotRegular,
            _ => FileError::Io(error),
        })?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(FileError::NotRegular);
        }
        self.length = metadata.len();
        self.file = Some(file);
        Ok(())
    }

    /// How many bytes of whole lines fit into the file as it is; the first line always fits into an empty one.
    fn fitting(&self, lines: &[u8]) -> usize {
        let room = self.plan.max_bytes.saturating_sub(self.length);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        if lines.len() <= room {
            return lines.len();
        }
        match memchr::memrchr(b'\n', &lines[..room]) {
            Some(end) => end + 1,
            None if self.length == 0 => {
                memchr::memchr(b'\n', lines).map_or(lines.len(), |end| end + 1)
            }
            None => 0,
        }
    }
}

/// Frees the file's name: the file becomes number 1, and the number of each older one grows by one.
fn rotate(plan: &LogFile) -> io::Result<()> {
    let numbered = |n: u32| {
        let mut name = plan.path.clone().into_os_string();
        name.push(format!(".{n}"));
        PathBuf::from(name)
    };
    let absent = |result: io::Result<()>| match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    };
    if plan.keep == 0 {
        return absent(remove_file(&plan.path));
    }
    for n in (1..plan.keep).rev() {
        absent(rename(numbered(n), numbered(n + 1)))?;
    }
    absent(rename(&plan.path, numbered(1)))
}

#[cfg(test)]
mod tests;
