//! The lines of a slot in its log files, up to the place where those begin that pm keeps.
//!
//! pm tells that place ([`LogFile`]), and the files are read here. They may be rotated meanwhile, so they are known by
//! their inodes; and pm may still have to write the last lines that it has told of.

use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek};
use std::os::unix::fs::{FileExt, MetadataExt};

use nix::poll::{PollTimeout, poll};
use regex_lite::Regex;

use super::super::failure::Failure;
use super::Page;
use crate::wire::LogFile;

/// pm writes what it has told of in the same wakeup, so a second is more than enough.
const LOOKS_MAX: u32 = 200;
const PAUSE_MILLIS: u8 = 5;

/// More than pm tells of the line at the place.
const NEXT_BYTES_MAX: usize = 1024;

/// The files that have older lines, the oldest first, each with the end of its part.
#[derive(Debug)]
pub struct Older {
    parts: Vec<(File, u64)>,
}

/// Why the older lines are not printed.
#[derive(Debug, thiserror::Error)]
pub enum OlderError {
    #[error("older lines are left out: {0} cannot be read: {1}")]
    Unreadable(String, io::Error),
    #[error("older lines are left out: {0} has not all lines that pm keeps")]
    Missing(String),
    #[error("older lines are left out: those of {0} do not go on with the lines that pm keeps")]
    Apart(String),
}

impl Older {
    /// Finds the files of a slot.
    ///
    /// # Errors
    /// If it is not certain where the older lines end.
    pub fn find(file: &LogFile) -> Result<Self, OlderError> {
        let name = || file.file.clone();
        let offset = file.offset.ok_or_else(|| OlderError::Missing(name()))?;
        for _ in 0..LOOKS_MAX {
            let found = Self::look(file, offset);
            if let Some(older) = found.map_err(|error| OlderError::Unreadable(name(), error))? {
                return Ok(older);
            }
            let _ = poll(&mut [], PollTimeout::from(PAUSE_MILLIS));
        }
        Err(OlderError::Apart(name()))
    }

    /// The same as things are now; `None` if the place is not found.
    fn look(file: &LogFile, offset: i64) -> io::Result<Option<Self>> {
        let Some(mut files) = open_all(&file.file)? else { return Ok(None) };
        let is_named = |(_, metadata): &(File, Metadata)| {
            (metadata.dev(), metadata.ino()) == (file.device, file.inode)
        };
        let Some(mut index) = files.iter().position(is_named) else { return Ok(None) };
        let length = |index: usize| files[index].1.len().cast_signed();
        let mut end = offset;
        while end < 0 {
            index += 1;
            if index == files.len() {
                // All that is older than the lines which pm keeps was removed.
                return Ok(Some(Self { parts: Vec::new() }));
            }
            end += length(index);
        }
        // What was not written yet has come into a newer file.
        while end >= length(index) && index > 0 {
            end -= length(index);
            index -= 1;
        }
        if !is_there(&files[index].0, end.cast_unsigned(), file.next.as_deref())? {
            return Ok(None);
        }
        let mut parts = Vec::new();
        for (file, metadata) in files.drain(index..) {
            let end = if parts.is_empty() { end.cast_unsigned() } else { metadata.len() };
            parts.push((file, end));
        }
        parts.reverse();
        Ok(Some(Self { parts }))
    }

    /// Prints the last lines, at most this many.
    ///
    /// # Errors
    /// If they cannot be printed.
    pub fn print(
        &self,
        file: &LogFile,
        most: u64,
        grep: Option<&Regex>,
        page: &mut Page,
    ) -> Result<(), Failure> {
        let is_meant = |line: &str| grep.is_none_or(|grep| grep.is_match(line));
        let mut skipped = 0_u64;
        if most < u64::MAX {
            let mut count = 0;
            self.each(file, |line| {
                count += u64::from(is_meant(line));
                Ok(())
            })?;
            skipped = u64::saturating_sub(count, most);
        }
        self.each(file, |line| {
            if !is_meant(line) || page.printer.is_closed() {
                return Ok(());
            }
            if skipped > 0 {
                skipped -= 1;
                return Ok(());
            }
            page.print_older(file, line)
        })
    }

    fn each(
        &self,
        file: &LogFile,
        mut each: impl FnMut(&str) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let unreadable = |error| Failure::LogFile { path: file.file.clone(), error };
        for (part, end) in &self.parts {
            let mut part = part;
            part.rewind().map_err(unreadable)?;
            let mut reader = BufReader::new(part.take(*end));
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).map_err(unreadable)? > 0 {
                each(&String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line)))?;
                line.clear();
            }
        }
        Ok(())
    }
}

/// Opens a log file and those that it was rotated to, the newest first. `None` if they are rotated at the same time.
fn open_all(path: &str) -> io::Result<Option<Vec<(File, Metadata)>>> {
    let mut files: Vec<(File, Metadata)> = Vec::new();
    for number in 0_u32.. {
        let name = if number == 0 { path.to_owned() } else { format!("{path}.{number}") };
        let file = match File::open(name) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound && number == 0 => continue,
            Err(error) if error.kind() == ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        let is_same = |other: &(File, Metadata)| {
            (other.1.dev(), other.1.ino()) == (metadata.dev(), metadata.ino())
        };
        if files.iter().any(is_same) {
            return Ok(None);
        }
        files.push((file, metadata));
    }
    Ok(Some(files))
}

/// Whether the line that is told stands at this place; without one, whether the file reaches so far.
fn is_there(file: &File, at: u64, next: Option<&str>) -> io::Result<bool> {
    let Some(next) = next else { return Ok(file.metadata()?.len() >= at) };
    let mut bytes = [0; NEXT_BYTES_MAX];
    let count = file.read_at(&mut bytes, at)?;
    // Its last character may be cut.
    let next = next.trim_end_matches(char::REPLACEMENT_CHARACTER);
    Ok(String::from_utf8_lossy(&bytes[..count]).starts_with(next))
}
