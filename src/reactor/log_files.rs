//! The files that workers' lines go to besides stdout: whole lines, rotated by size.
//!
//! `web.1.log` becomes `web.1.log.1`, that `web.1.log.2`, and so on; the oldest goes. Lines are collected and written
//! once a wakeup. A file that cannot be written holds nobody up: its lines are counted, and the count is said when it
//! can be written again.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, create_dir_all, remove_file, rename};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::plan::LogFile;

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
    /// People know that it cannot be written.
    is_known: bool,
}

/// What there is to say about a file.
#[derive(Debug)]
pub enum Incident {
    /// It cannot be written.
    Broken { path: PathBuf, error: io::Error },
    /// It can again; so many lines are missing.
    Mended { path: PathBuf, lost: u64 },
}

impl LogFiles {
    /// Adds a line, given in pieces without its newline.
    pub fn push(&mut self, plan: &LogFile, pieces: &[&[u8]]) {
        let writer = match self.files.get_mut(&plan.path) {
            Some(writer) => writer,
            None => self.files.entry(plan.path.clone()).or_insert_with(|| Writer::new(plan)),
        };
        writer.push(plan, pieces);
    }

    /// Writes what was collected.
    pub fn flush(&mut self) -> Vec<Incident> {
        let mut incidents = Vec::new();
        for writer in self.files.values_mut().filter(|writer| !writer.collected.is_empty()) {
            let before = writer.lost;
            match writer.write_out() {
                Ok(()) if before > 0 => {
                    let (path, lost) = (writer.plan.path.clone(), std::mem::take(&mut writer.lost));
                    writer.is_known = false;
                    incidents.push(Incident::Mended { path, lost });
                }
                Ok(()) => {}
                Err(error) if !writer.is_known => {
                    writer.is_known = true;
                    incidents.push(Incident::Broken { path: writer.plan.path.clone(), error });
                }
                Err(_) => {}
            }
        }
        incidents
    }

    /// Closes the files that nobody writes to any more.
    pub fn retain(&mut self, mut is_wanted: impl FnMut(&Path) -> bool) {
        self.files.retain(|path, writer| is_wanted(path) || !writer.collected.is_empty());
    }
}

impl Writer {
    fn new(plan: &LogFile) -> Self {
        let (file, collected) = (None, Vec::new());
        Self { plan: plan.clone(), file, length: 0, collected, lost: 0, is_known: false }
    }

    fn push(&mut self, plan: &LogFile, pieces: &[&[u8]]) {
        if self.plan != *plan {
            self.plan = plan.clone();
        }
        let line_bytes = pieces.iter().map(|piece| piece.len()).sum::<usize>() + 1;
        let is_full = self.collected.len() + line_bytes > COLLECTED_BYTES_MAX;
        if is_full {
            // What went wrong is said at the next flush, which finds the same.
            let _ = self.write_out();
        }
        pieces.iter().for_each(|piece| self.collected.extend_from_slice(piece));
        self.collected.push(b'\n');
    }

    /// Writes the collected lines, in as many files as it takes. What cannot be written is lost, and counted.
    fn write_out(&mut self) -> io::Result<()> {
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
                // What is in it by now may be a part of a line.
                self.file = None;
                break Err(error);
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

    /// Opens the file if it is not, and begins a new one if the next line does not fit.
    fn make_room(&mut self, lines: &[u8]) -> io::Result<()> {
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

    fn open(&mut self) -> io::Result<()> {
        if let Some(folder) = self.plan.path.parent() {
            create_dir_all(folder)?;
        }
        let file = OpenOptions::new().append(true).create(true).open(&self.plan.path)?;
        self.length = file.metadata()?.len();
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

/// Makes the file free: it becomes number 1, and each of the others moves on by one.
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
mod tests {
    use std::fs::read_to_string;

    use super::*;

    fn plan(folder: &Path, max_bytes: u64, keep: u32) -> LogFile {
        LogFile { path: folder.join("logs/web.1.log"), max_bytes, keep }
    }

    #[test]
    fn lines_go_whole_into_files_of_at_most_so_many_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan(folder.path(), 40, 2);
        let mut files = LogFiles::default();
        for n in 0..20 {
            files.push(&plan, &[b"line ", format!("{n:02}").as_bytes()]);
        }
        assert!(files.flush().is_empty());
        let read = |name: &str| read_to_string(folder.path().join("logs").join(name)).unwrap();
        let lines = |range: std::ops::Range<u32>| -> String {
            range.map(|n| format!("line {n:02}\n")).collect()
        };
        assert_eq!(read("web.1.log"), lines(15..20));
        assert_eq!(read("web.1.log.1"), lines(10..15));
        assert_eq!(read("web.1.log.2"), lines(5..10));
        assert!(!folder.path().join("logs/web.1.log.3").exists(), "the oldest are gone");
    }

    #[test]
    fn a_line_that_is_longer_than_a_file_may_be_has_one_for_itself() {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan(folder.path(), 4, 0);
        let mut files = LogFiles::default();
        files.push(&plan, &[b"much too long"]);
        files.push(&plan, &[b"x"]);
        files.flush();
        assert_eq!(read_to_string(&plan.path).unwrap(), "x\n");
    }

    #[test]
    fn a_file_goes_on_where_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan(folder.path(), 1_000, 1);
        for _ in 0..2 {
            let mut files = LogFiles::default();
            files.push(&plan, &[b"again"]);
            files.flush();
        }
        assert_eq!(read_to_string(&plan.path).unwrap(), "again\nagain\n");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_said_once_and_what_was_lost_when_it_can() {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan(folder.path(), 1_000, 1);
        // Not even root may write into a file that stands where the folder should be.
        std::fs::write(folder.path().join("logs"), "").unwrap();
        let mut files = LogFiles::default();
        let mut said = Vec::new();
        for _ in 0..3 {
            files.push(&plan, &[b"lost"]);
            said.extend(files.flush());
        }
        assert!(matches!(said[..], [Incident::Broken { .. }]), "{said:?}");
        std::fs::remove_file(folder.path().join("logs")).unwrap();
        files.push(&plan, &[b"kept"]);
        let said = files.flush();
        assert!(matches!(said[..], [Incident::Mended { lost: 3, .. }]), "{said:?}");
        assert_eq!(read_to_string(&plan.path).unwrap(), "kept\n");
    }
}
