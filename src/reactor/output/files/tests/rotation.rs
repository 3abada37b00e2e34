//! The file that a line goes to: rotation by size, and what stands in its way.

use std::fs::{read_to_string, rename};

use super::super::*;
use super::{WORKER, piece, plan};
use crate::reactor::output::lines::End;

#[test]
fn lines_go_whole_into_files_of_at_most_max_size() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 40, 2);
    let mut files = LogFiles::default();
    for n in 0..20 {
        files.writer(&plan).push(
            &plan,
            WORKER,
            1,
            &piece(&[b"line ", format!("{n:02}").as_bytes()], End::Line),
        );
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
fn only_files_that_are_there_are_renamed() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 4, 5);
    let numbered = |n: u32| folder.path().join(format!("logs/web.1.log.{n}"));
    std::fs::create_dir(folder.path().join("logs")).unwrap();
    for n in [1, 3] {
        std::fs::write(numbered(n), n.to_string()).unwrap();
    }
    let mut files = LogFiles::default();
    files.writer(&plan).push(&plan, WORKER, 1, &piece(&[b"former"], End::Line));
    files.writer(&plan).push(&plan, WORKER, 1, &piece(&[b"last"], End::Line));
    files.flush();
    assert_eq!([1, 2, 3].map(|n| read_to_string(numbered(n)).unwrap()), ["former\n", "1", "3"]);
    assert!(!numbered(4).exists());
}

#[test]
fn one_flush_renames_only_so_many_files_and_the_next_one_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 8, 1_000);
    let mut files = LogFiles::default();
    let lines: Vec<_> = (0..100).map(|n| format!("line {n:02}")).collect();
    lines.iter().for_each(|line| {
        files.writer(&plan).push(&plan, WORKER, 1, &piece(&[line.as_bytes()], End::Line))
    });
    let count = || std::fs::read_dir(folder.path().join("logs")).unwrap().count();
    assert!(files.flush().is_empty());
    assert!((10..60).contains(&count()), "{}", count());
    assert!(files.are_behind() && files.is_behind(&plan.path));
    while files.are_behind() {
        let before = count();
        files.flush();
        assert!(count() > before);
    }
    let of_number = |n: usize| match n {
        99 => read_to_string(&plan.path).unwrap(),
        n => read_to_string(folder.path().join(format!("logs/web.1.log.{}", 99 - n))).unwrap(),
    };
    assert!((0..100).all(|n| of_number(n) == format!("{}\n", lines[n])));
}

#[test]
fn a_file_that_cannot_be_rotated_goes_on_and_is_tried_again_at_each_size() {
    for (at, goes_to) in [(1, 2), (2, 2), (3, 3)] {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan(folder.path(), 40, 3);
        let numbered = |n: u32| folder.path().join(format!("logs/web.1.log.{n}"));
        std::fs::create_dir_all(numbered(at).join("full")).unwrap();
        (1..=3).filter(|n| *n != at).for_each(|n| std::fs::write(numbered(n), "").unwrap());
        let (mut files, mut said) = (LogFiles::default(), Vec::new());
        let mut push = |range: std::ops::Range<u32>| {
            for n in range {
                let line = format!("line {n:02} {}", "x".repeat(if n % 10 == 9 { 50 } else { 0 }));
                files.writer(&plan).push(&plan, WORKER, 0, &piece(&[line.as_bytes()], End::Line));
                said.extend(files.flush());
            }
        };
        push(0..20);
        let text = |path: &Path| read_to_string(path).unwrap_or_default();
        let lines = text(&numbered(1)).lines().count() + text(&plan.path).lines().count();
        assert_eq!(lines, 20, "no line is lost");
        std::fs::remove_dir_all(numbered(goes_to)).unwrap();
        push(20..30);
        assert!(text(&plan.path).lines().count() < 10);
        let [Incident::NotRotated { path, why, bytes: 40 }] = &said[..] else {
            panic!("{said:?}");
        };
        assert_eq!((path, &why.file), (&plan.path, &numbered(2)));
        assert_eq!(why.to, Some(numbered(3)));
        assert_eq!(why.folder_in_the_way(), Some(&*numbered(goes_to)));
    }
}

#[test]
fn a_line_longer_than_max_size_gets_a_file_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 4, 0);
    let mut files = LogFiles::default();
    files.writer(&plan).push(&plan, WORKER, 1, &piece(&[b"much too long"], End::Line));
    files.writer(&plan).push(&plan, WORKER, 1, &piece(&[b"x"], End::Line));
    files.flush();
    assert_eq!(read_to_string(&plan.path).unwrap(), "x\n");
}

#[test]
fn a_line_that_comes_in_pieces_is_rotated_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 250_000, 2);
    let mut files = LogFiles::default();
    let long = vec![b'x'; 60_000];
    files.writer(&plan).push(&plan, WORKER, 1, &piece(&[&long[..20_000]], End::Line));
    for end in [End::Continued, End::Continued, End::Continued, End::Line] {
        files.writer(&plan).push(&plan, WORKER, 1, &piece(&[&long], end));
        files.flush();
    }
    files.writer(&plan).push(&plan, WORKER, 1, &piece(&[b"last"], End::Line));
    files.flush();
    let rotated = read_to_string(folder.path().join("logs/web.1.log.1")).unwrap();
    let lengths: Vec<_> = rotated.lines().map(str::len).collect();
    assert_eq!(lengths, [20_000, 240_000]);
    assert_eq!(read_to_string(&plan.path).unwrap(), "last\n");
}

#[test]
fn a_line_without_an_end_does_not_grow_a_file_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 100_000, 9);
    let mut files = LogFiles::default();
    for _ in 0..10 {
        files.writer(&plan).push(&plan, WORKER, 1, &piece(&[&[b'x'; 65_536]], End::Continued));
        files.flush();
    }
    let names = std::fs::read_dir(folder.path().join("logs")).unwrap();
    let texts: Vec<_> = names.map(|name| read_to_string(name.unwrap().path()).unwrap()).collect();
    assert!(texts.iter().all(|text| text.len() <= 100_001), "a file is too long");
    let unended = texts.iter().filter(|text| !text.ends_with('\n')).count();
    assert_eq!((texts.concat().matches('x').count(), unended), (655_360, 1));
}

#[test]
fn a_long_line_ends_in_the_file_that_was_renamed_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 1_000, 1);
    let mut files = LogFiles::default();
    files.writer(&plan).push(&plan, WORKER, 1, &piece(&[b"the start, "], End::Continued));
    files.flush();
    let moved = folder.path().join("moved");
    rename(&plan.path, &moved).unwrap();
    files.reopen();
    files.writer(&plan).push(&plan, WORKER, 1, &piece(&[b"the end"], End::Line));
    files.writer(&plan).push(&plan, WORKER, 1, &piece(&[b"another"], End::Line));
    files.flush();
    assert_eq!(read_to_string(&moved).unwrap(), "the start, the end\n");
    assert_eq!(read_to_string(&plan.path).unwrap(), "another\n");
}

#[test]
fn a_file_that_was_truncated_meanwhile_is_not_rotated_for_its_former_length() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 20, 1);
    let mut files = LogFiles::default();
    files.writer(&plan).push(&plan, WORKER, 1, &piece(&[b"0123456789"], End::Line));
    files.flush();
    std::fs::OpenOptions::new().write(true).open(&plan.path).unwrap().set_len(0).unwrap();
    files.writer(&plan).push(&plan, WORKER, 1, &piece(&[b"abcdefghij"], End::Line));
    files.flush();
    assert_eq!(read_to_string(&plan.path).unwrap(), "abcdefghij\n");
    assert!(!folder.path().join("logs/web.1.log.1").exists());
}
