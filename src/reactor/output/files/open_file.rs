//! A log file that is open: how much of the next lines fits in, and that only whole lines stay when a write fails.

use std::fs::File;
use std::io::{self, ErrorKind, Write};

use crate::reactor::output::lines::LINE_BYTES_MAX;

/// The file that is written.
#[derive(Debug)]
pub struct OpenFile {
    pub file: File,
    /// Its length when it was last asked for, and what was written since.
    pub length: u64,
    /// How much of its end belongs to a line that goes on.
    pub open_bytes: u64,
    pub name: Name,
}

/// Whether the file is the one that its name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    Current,
    /// It may have been renamed: to be opened again when its last line has ended.
    Doubtful,
}

impl OpenFile {
    pub fn of(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self { file, length, open_bytes: 0, name: Name::Current })
    }

    /// The length that the file really has.
    pub fn ask_length(&mut self) {
        if let Ok(metadata) = self.file.metadata() {
            self.length = metadata.len();
            self.open_bytes = self.open_bytes.min(self.length);
        }
    }

    /// How many bytes may be written to the file as it is: whole lines, or the next part of a line that comes in
    /// pieces. The first line always fits into an empty file.
    pub fn fitting(&self, lines: &[u8], max_bytes: u64) -> usize {
        let room = usize::try_from(max_bytes.saturating_sub(self.length)).unwrap_or(usize::MAX);
        if self.open_bytes > 0 {
            if lines.len() <= room && self.name == Name::Current {
                return lines.len();
            }
            let line = first_line(lines);
            let line_max = max_bytes.max(LINE_BYTES_MAX as u64);
            return if self.open_bytes + line as u64 <= line_max { line } else { 0 };
        }
        if lines.len() <= room {
            return lines.len();
        }
        match memchr::memrchr(b'\n', &lines[..room]) {
            Some(end) => end + 1,
            None if self.length == 0 => first_line(lines),
            None => 0,
        }
    }

    /// Writes this part. Returns how many bytes of it stand in the file: all, or after an error those of whole lines.
    pub fn write(&mut self, part: &[u8]) -> (usize, io::Result<()>) {
        let mut written = 0;
        while written < part.len() {
            match self.file.write(&part[written..]) {
                Ok(0) => return (self.cut(&part[..written]), Err(ErrorKind::WriteZero.into())),
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return (self.cut(&part[..written]), Err(error)),
            }
        }
        self.length += part.len() as u64;
        self.open_bytes = match memchr::memrchr(b'\n', part) {
            Some(end) => (part.len() - end - 1) as u64,
            None => self.open_bytes + part.len() as u64,
        };
        (part.len(), Ok(()))
    }

    /// A part of a line must not stand before the next one: cuts off the line that `written` does not end. If that
    /// fails too, it stays. Returns how many bytes of `written` are whole lines.
    fn cut(&mut self, written: &[u8]) -> usize {
        let (whole, open_bytes) = match memchr::memrchr(b'\n', written) {
            Some(end) => (end + 1, 0),
            None => (0, self.open_bytes),
        };
        let torn = open_bytes + (written.len() - whole) as u64;
        if torn > 0
            && let Ok(metadata) = self.file.metadata()
        {
            let _ = self.file.set_len(metadata.len().saturating_sub(torn));
        }
        whole
    }

    /// Ends a line that goes on in the next file, since it is longer than a file may be.
    pub fn end_cut_line(&mut self) {
        if self.open_bytes > 0 {
            // What is written next reports what is wrong.
            let _ = self.file.write_all(b"\n");
        }
    }
}

/// The length of the first line.
pub fn first_line(lines: &[u8]) -> usize {
    memchr::memchr(b'\n', lines).map_or(lines.len(), |end| end + 1)
}
