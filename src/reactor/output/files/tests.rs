//! Files are real ones in a temporary folder.

mod rotation;

use std::fs::read_to_string;
use std::fs::{remove_file, rename};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::*;
use crate::reactor::output::lines::Piece;
use crate::reactor::output::lines::{End, Start};
use crate::supervisor::SlotId;
use crate::supervisor::WorkerId;

const WORKER: WorkerId = WorkerId { slot: SlotId(0), generation: 1 };

/// A piece of a line: what it begins with makes no difference to a file.
fn piece<'a>(parts: &[&'a [u8]], end: End) -> Piece<'a> {
    let second = parts.get(1).copied().unwrap_or_default();
    Piece { parts: [parts[0], second], start: Start::Line, end }
}

fn plan(folder: &Path, max_bytes: u64, keep: u32) -> LogFile {
    LogFile { path: folder.join("logs/web.1.log"), max_bytes, keep }
}

#[test]
fn an_existing_file_is_appended_to() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 1_000, 1);
    for _ in 0..2 {
        let mut files = LogFiles::default();
        files.writer(&plan).push(&plan, WORKER, 1, &piece(&[b"again"], End::Line));
        files.flush();
    }
    assert_eq!(read_to_string(&plan.path).unwrap(), "again\nagain\n");
}

#[test]
fn a_file_that_cannot_be_written_is_reported_once_and_the_loss_when_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 1_000, 1);
    // Not even root may write into a file that stands where the folder should be.
    std::fs::write(folder.path().join("logs"), "").unwrap();
    let mut files = LogFiles::default();
    let mut said = Vec::new();
    for _ in 0..3 {
        files.writer(&plan).push(&plan, WORKER, 1, &piece(&[b"lost"], End::Line));
        said.extend(files.flush());
    }
    assert!(matches!(said[..], [Incident::Broken { .. }]), "{said:?}");
    remove_file(folder.path().join("logs")).unwrap();
    files.writer(&plan).push(&plan, WORKER, 1, &piece(&[b"kept"], End::Line));
    let said = files.flush();
    assert!(matches!(said[..], [Incident::Restored { lost: 3, .. }]), "{said:?}");
    assert_eq!(read_to_string(&plan.path).unwrap(), "kept\n");
}

#[test]
fn only_a_regular_file_is_written() {
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
            files.writer(&plan).push(&plan, WORKER, 1, &piece(&[b"a line"], End::Line));
        }
        let said = files.flush();
        assert!(matches!(said[..], [Incident::Broken { .. }]), "{said:?}");
        assert!(!std::fs::symlink_metadata(&plan.path).unwrap().is_file());
        assert_eq!(std::fs::read_dir(folder.path().join("logs")).unwrap().count(), 1);
        remove_file(&plan.path).unwrap();
    }
    assert!(!target.exists());
}

#[test]
fn a_pipe_in_the_place_of_a_file_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 10, 2);
    std::fs::create_dir(folder.path().join("logs")).unwrap();
    nix::unistd::mkfifo(&plan.path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut options = std::fs::OpenOptions::new();
    let reader = options.read(true).custom_flags(libc::O_NONBLOCK).open(&plan.path).unwrap();
    let mut files = LogFiles::default();
    files.writer(&plan).push(&plan, WORKER, 1, &piece(&[b"a line"], End::Line));
    assert!(matches!(files.flush()[..], [Incident::Broken { .. }]));
    // A pipe that was opened for writing and closed again is hung up (poll(2)).
    let mut polled = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut polled, PollTimeout::ZERO), Ok(0));
}

#[test]
fn a_line_that_a_worker_left_open_is_ended_before_the_line_of_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 1_000, 1);
    let mut files = LogFiles::default();
    let next = WorkerId { generation: 2, ..WORKER };
    files.writer(&plan).push(&plan, WORKER, 1, &piece(&[b"left open"], End::Continued));
    files.flush();
    files.writer(&plan).push(&plan, next, 2, &piece(&[b"of the next"], End::Line));
    files.writer(&plan).push(&plan, WORKER, 1, &piece(&[b", its rest"], End::Continued));
    files.close();
    assert_eq!(read_to_string(&plan.path).unwrap(), "left open\nof the next\n, its rest\n");
}

/// A file system of this size, unmounted when it is dropped. `None` if this process may not mount one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(bytes: usize) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={bytes}");
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path());
        mount.stderr(std::process::Stdio::null());
        mount.status().is_ok_and(|status| status.success()).then(|| Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn whole_lines_of_a_failed_write_stay_and_only_the_others_are_lost() {
    let Some(disk) = SmallDisk::mount(16_384) else {
        eprintln!("skipped: only root can mount a small file system");
        return;
    };
    let plan = LogFile { path: disk.0.path().join("web.1.log"), max_bytes: 1 << 20, keep: 1 };
    let mut files = LogFiles::default();
    for n in 0..1_000 {
        files.writer(&plan).push(
            &plan,
            WORKER,
            1,
            &piece(&[format!("line {n:024}").as_bytes()], End::Line),
        );
    }
    assert!(matches!(files.flush()[..], [Incident::Broken { .. }]));
    let text = read_to_string(&plan.path).unwrap();
    // 30 bytes each: all that the disk holds, without the last, torn one.
    assert_eq!(text.len(), 16_384 / 30 * 30);
    assert!(text.lines().all(|line| line.len() == 29) && text.ends_with('\n'));
    let kept = text.lines().count() as u64;
    // Truncated by another process while it cannot be written: no hole is left.
    let file = std::fs::OpenOptions::new().write(true).open(&plan.path).unwrap();
    file.set_len(0).unwrap();
    files.writer(&plan).push(&plan, WORKER, 1, &piece(&[b"again"], End::Line));
    let said = files.flush();
    assert!(
        matches!(said[..], [Incident::Restored { lost, .. }] if lost == 1_000 - kept),
        "{said:?}"
    );
    assert_eq!(read_to_string(&plan.path).unwrap(), "again\n");
}

#[test]
fn a_long_line_of_which_a_piece_is_lost_is_lost_as_a_whole() {
    let Some(disk) = SmallDisk::mount(131_072) else {
        eprintln!("skipped: only root can mount a small file system");
        return;
    };
    let plan = LogFile { path: disk.0.path().join("web.1.log"), max_bytes: 1 << 20, keep: 1 };
    let mut files = LogFiles::default();
    files.writer(&plan).push(&plan, WORKER, 1, &piece(&[b"before"], End::Line));
    for end in [End::Continued, End::Continued, End::Continued, End::Line] {
        files.writer(&plan).push(&plan, WORKER, 1, &piece(&[&[b'x'; 50_000]], end));
        files.flush();
    }
    files.writer(&plan).push(&plan, WORKER, 1, &piece(&[b"after"], End::Line));
    let said = files.flush();
    assert!(matches!(said[..], [Incident::Restored { lost: 1, .. }]), "{said:?}");
    assert_eq!(read_to_string(&plan.path).unwrap(), "before\nafter\n");
}

#[test]
fn lines_that_are_lost_until_the_end_are_counted_there() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 1_000, 1);
    std::fs::write(folder.path().join("logs"), "").unwrap();
    let mut files = LogFiles::default();
    for _ in 0..7 {
        files.writer(&plan).push(&plan, WORKER, 1, &piece(&[b"lost"], End::Line));
    }
    let said = files.close();
    assert!(
        matches!(said[..], [Incident::Broken { .. }, Incident::Lost { lost: 7, .. }]),
        "{said:?}"
    );
}

#[test]
fn a_line_that_comes_in_pieces_is_one_line_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 1_000, 1);
    let mut files = LogFiles::default();
    files.writer(&plan).push(&plan, WORKER, 1, &piece(&[b"the start, "], End::Continued));
    files.flush();
    files.writer(&plan).push(&plan, WORKER, 1, &piece(&[b"the end"], End::Line));
    files.writer(&plan).push(&plan, WORKER, 1, &piece(&[b"another"], End::Line));
    files.flush();
    assert_eq!(read_to_string(&plan.path).unwrap(), "the start, the end\nanother\n");
}

#[test]
fn a_file_that_was_moved_away_is_created_again_after_reopen() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 1_000, 1);
    let mut files = LogFiles::default();
    let moved = folder.path().join("moved");
    for line in ["one", "two", "three"] {
        files.writer(&plan).push(&plan, WORKER, 1, &piece(&[line.as_bytes()], End::Line));
        files.flush();
        if line == "one" {
            rename(&plan.path, &moved).unwrap();
        } else {
            files.reopen();
        }
    }
    assert_eq!(read_to_string(&moved).unwrap(), "one\ntwo\n");
    assert_eq!(read_to_string(&plan.path).unwrap(), "three\n");
}
