//! Files are real ones in a temporary folder.

use std::fs::read_to_string;

use super::*;

fn plan(folder: &Path, max_bytes: u64, keep: u32) -> LogFile {
    LogFile { path: folder.join("logs/web.1.log"), max_bytes, keep }
}

#[test]
fn lines_go_whole_into_files_of_at_most_max_size() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 40, 2);
    let mut files = LogFiles::default();
    for n in 0..20 {
        files.push(&plan, &[b"line ", format!("{n:02}").as_bytes()], End::Line);
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
fn a_line_longer_than_max_size_gets_a_file_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 4, 0);
    let mut files = LogFiles::default();
    files.push(&plan, &[b"much too long"], End::Line);
    files.push(&plan, &[b"x"], End::Line);
    files.flush();
    assert_eq!(read_to_string(&plan.path).unwrap(), "x\n");
}

#[test]
fn an_existing_file_is_appended_to() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 1_000, 1);
    for _ in 0..2 {
        let mut files = LogFiles::default();
        files.push(&plan, &[b"again"], End::Line);
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
        files.push(&plan, &[b"lost"], End::Line);
        said.extend(files.flush());
    }
    assert!(matches!(said[..], [Incident::Broken { .. }]), "{said:?}");
    remove_file(folder.path().join("logs")).unwrap();
    files.push(&plan, &[b"kept"], End::Line);
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
            files.push(&plan, &[b"a line"], End::Line);
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
fn a_line_that_comes_in_pieces_is_one_line_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 1_000, 1);
    let mut files = LogFiles::default();
    files.push(&plan, &[b"the start, "], End::Continued);
    files.flush();
    files.push(&plan, &[b"the end"], End::Line);
    files.push(&plan, &[b"another"], End::Line);
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
        files.push(&plan, &[line.as_bytes()], End::Line);
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
