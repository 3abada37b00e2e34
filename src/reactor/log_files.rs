//! The files that workers' lines go to besides stdout: whole lines, rotated by size.
//!
//! `web.1.log` becomes `web.1.log.1`, that `web.1.log.2`, and so on; the oldest goes. Lines are collected and written
//! once a wakeup. A file that cannot be written holds nobody up: its lines are counted, and the count is said when it
//! can be written again. Only a regular file is one: a device or a pipe would be renamed away, or waited for.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, create_dir_all, remove_file, rename};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
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
    /// Adds a line, or a piece of one if it does not end here, given in parts without its newline.
    pub fn push(&mut self, plan: &LogFile, parts: &[&[u8]], ends_here: bool) {
        let writer = match self.files.get_mut(&plan.path) {
            Some(writer) => writer,
            None => self.files.entry(plan.path.clone()).or_insert_with(|| Writer::new(plan)),
        };
        writer.push(plan, parts, ends_here);
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

    /// Opens all files anew by their names at their next line: somebody may have moved them away (logrotate(8)).
    pub fn reopen(&mut self) {
        self.files.values_mut().for_each(|writer| writer.file = None);
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

    fn push(&mut self, plan: &LogFile, parts: &[&[u8]], ends_here: bool) {
        if self.plan != *plan {
            self.plan = plan.clone();
        }
        let bytes = parts.iter().map(|part| part.len()).sum::<usize>() + 1;
        if self.collected.len() + bytes > COLLECTED_BYTES_MAX && self.collected.ends_with(b"\n") {
            // What went wrong is said at the next flush, which finds the same.
            let _ = self.write_out();
        }
        parts.iter().for_each(|part| self.collected.extend_from_slice(part));
        if ends_here {
            self.collected.push(b'\n');
        }
    }

    /// Writes the collected lines, in as many files as it takes. What cannot be written is lost, and counted; what is in
    /// a file is whole.
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
                // A part of a line would stand before the next one for ever. If not even this can be done, so it does.
                let _ = file.set_len(self.length);
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
        // A pipe without a reader would be waited for, and a link leads to what is not ours to rename.
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_NOFOLLOW;
        let mut options = OpenOptions::new();
        options.append(true).create(true).custom_flags(flags);
        let no_file = || io::Error::other("it is no regular file");
        let file = options.open(&self.plan.path).map_err(|error| match error.raw_os_error() {
            // A link; a pipe without a reader or a socket (open(2)).
            Some(libc::ELOOP | libc::ENXIO) => no_file(),
            _ => error,
        })?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(no_file());
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
            files.push(&plan, &[b"line ", format!("{n:02}").as_bytes()], true);
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
        files.push(&plan, &[b"much too long"], true);
        files.push(&plan, &[b"x"], true);
        files.flush();
        assert_eq!(read_to_string(&plan.path).unwrap(), "x\n");
    }

    #[test]
    fn a_file_goes_on_where_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan(folder.path(), 1_000, 1);
        for _ in 0..2 {
            let mut files = LogFiles::default();
            files.push(&plan, &[b"again"], true);
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
            files.push(&plan, &[b"lost"], true);
            said.extend(files.flush());
        }
        assert!(matches!(said[..], [Incident::Broken { .. }]), "{said:?}");
        std::fs::remove_file(folder.path().join("logs")).unwrap();
        files.push(&plan, &[b"kept"], true);
        let said = files.flush();
        assert!(matches!(said[..], [Incident::Mended { lost: 3, .. }]), "{said:?}");
        assert_eq!(read_to_string(&plan.path).unwrap(), "kept\n");
    }

    #[test]
    fn what_is_no_regular_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan(folder.path(), 10, 2);
        std::fs::create_dir(folder.path().join("logs")).unwrap();
        let target = folder.path().join("target");
        let put: [&dyn Fn(); 3] = [
            &|| std::os::unix::fs::symlink(&target, &plan.path).unwrap(),
            &|| nix::unistd::mkfifo(&plan.path, nix::sys::stat::Mode::S_IRWXU).unwrap(),
            &|| drop(std::os::unix::net::UnixListener::bind(&plan.path).unwrap()),
        ];
        for put in put {
            put();
            let mut files = LogFiles::default();
            for _ in 0..20 {
                files.push(&plan, &[b"a line"], true);
            }
            let said = files.flush();
            assert!(matches!(said[..], [Incident::Broken { .. }]), "{said:?}");
            assert!(!std::fs::symlink_metadata(&plan.path).unwrap().is_file());
            assert_eq!(std::fs::read_dir(folder.path().join("logs")).unwrap().count(), 1);
            std::fs::remove_file(&plan.path).unwrap();
        }
        assert!(!target.exists());
    }

    #[test]
    fn a_line_that_comes_in_pieces_is_one_line_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan(folder.path(), 1_000, 1);
        let mut files = LogFiles::default();
        files.push(&plan, &[b"the start, "], false);
        files.flush();
        files.push(&plan, &[b"the end"], true);
        files.push(&plan, &[b"another"], true);
        files.flush();
        assert_eq!(read_to_string(&plan.path).unwrap(), "the start, the end\nanother\n");
    }

    #[test]
    fn a_file_that_was_moved_away_is_made_anew_when_that_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan(folder.path(), 1_000, 1);
        let mut files = LogFiles::default();
        let moved = folder.path().join("moved");
        for line in ["one", "two", "three"] {
            files.push(&plan, &[line.as_bytes()], true);
            files.flush();
            if line == "one" {
                std::fs::rename(&plan.path, &moved).unwrap();
            } else {
                files.reopen();
            }
        }
        assert_eq!(read_to_string(&moved).unwrap(), "one\ntwo\n");
        assert_eq!(read_to_string(&plan.path).unwrap(), "three\n");
    }
}
