//! The limits of the kernel that a plan keeps: what it accepts, the kernel accepts too, and nothing longer.

use std::os::unix::process::CommandExt;
use std::process::Command;

use pm::plan::procfile::Options;

use crate::fake_host::{FakeHost, pictures_of};

/// Longer than this is no argument and no variable (execve(2), MAX_ARG_STRLEN).
const LONGEST: usize = 131_071;

fn is_accepted(length: usize) -> bool {
    let command = "x".repeat(length);
    let toml = FakeHost::default().pm_toml(&format!("pool.web.command = ['{command}']\n"));
    let procfile = FakeHost::default().procfile(&format!("web: {command}\n"), &Options::default());
    assert_eq!(toml.is_ok(), procfile.is_ok(), "{length}");
    toml.is_ok()
}

#[test]
fn a_command_is_as_long_as_the_kernel_accepts_and_no_longer() {
    let runs =
        |length| Command::new("/bin/true").arg0("true").arg("x".repeat(length)).status().is_ok();
    for (length, is_right) in [(LONGEST, true), (LONGEST + 1, false)] {
        assert_eq!((is_accepted(length), runs(length)), (is_right, is_right), "{length}");
    }
}

#[test]
fn each_file_may_have_a_mebibyte() {
    let dotenv = |text: &str| {
        let host = FakeHost::default().file(".env", text);
        host.procfile("web: true\n", &Options::default()).is_ok()
    };
    let procfile = |text: &str| FakeHost::default().procfile(text, &Options::default()).is_ok();
    let toml = |text: &str| FakeHost::default().pm_toml(text).is_ok();
    type Reader<'a> = &'a dyn Fn(&str) -> bool;
    let readers: [(Reader<'_>, &str); 3] =
        [(&dotenv, "A=b\n"), (&procfile, "web: x\n"), (&toml, "pool.web.command = 'x'\n")];
    for (is_accepted, start) in readers {
        let text = |length: usize| format!("{start}{}", "#".repeat(length - start.len()));
        assert!(is_accepted(&text(1 << 20)), "{start}");
        assert!(!is_accepted(&text((1 << 20) + 1)), "{start}");
    }
}

#[test]
fn a_name_of_a_process_type_has_at_most_64_letters() {
    let is_accepted = |length: usize| {
        let text = format!("{}: true\n", "x".repeat(length));
        FakeHost::default().procfile(&text, &Options::default()).is_ok()
    };
    assert!(is_accepted(64));
    assert!(!is_accepted(65));
}

#[test]
fn the_path_of_a_url_has_at_most_8000_bytes() {
    let is_accepted = |length: usize| {
        let path = "x".repeat(length - 1);
        let lines = format!("command = 'x'\nports = 80\nready.http = '/{path}'");
        FakeHost::default().pm_toml(&format!("[pool.web]\n{lines}\n")).is_ok()
    };
    assert!(is_accepted(8_000));
    assert!(!is_accepted(8_001));
}

#[test]
fn a_formation_is_as_long_as_an_argument_can_be() {
    let is_accepted = |length: usize| {
        let formation = format!("{}web=1", " ".repeat(length - 5));
        let options = Options { formation: Some(formation), port: None };
        FakeHost::default().procfile("web: true\n", &options).is_ok()
    };
    assert!(is_accepted(LONGEST));
    assert!(!is_accepted(LONGEST + 1));
}

#[test]
fn a_variable_is_as_long_as_the_kernel_accepts_and_no_longer() {
    let is_accepted = |length: usize| {
        // The name and the `=` count too.
        let host = FakeHost::default().file(".env", &format!("NAME={}", "x".repeat(length - 5)));
        host.procfile("web: true\n", &Options::default()).is_ok()
    };
    let runs = |length: usize| {
        Command::new("/bin/true").env("NAME", "x".repeat(length - 5)).status().is_ok()
    };
    for (length, is_right) in [(LONGEST, true), (LONGEST + 1, false)] {
        assert_eq!((is_accepted(length), runs(length)), (is_right, is_right), "{length}");
    }
}

#[test]
fn a_zero_byte_in_a_variable_is_found_at_its_place() {
    let host = FakeHost::default().file(".env", "A=1\nNAME=ab\0cd\n");
    let picture = pictures_of(host.procfile("web: true\n", &Options::default()), "a zero byte");
    assert!(picture.contains(".env:2:8"), "{picture}");
}

#[test]
fn a_log_file_and_its_rotated_files_have_names_that_the_kernel_accepts() {
    let is_accepted = |file: &str, keep: u32| {
        let lines = format!("command = 'x'\nlog = {{ file = '{file}', keep = {keep} }}");
        FakeHost::default().pm_toml(&format!("[pool.web]\n{lines}\n")).is_ok()
    };
    let name = |length: usize| "x".repeat(length);
    assert!(is_accepted(&name(255), 0) && !is_accepted(&name(256), 0));
    assert!(is_accepted(&name(253), 9) && !is_accepted(&name(254), 9), "`.9` comes behind it");
    assert!(is_accepted(&path(4_095), 9) && !is_accepted(&path(4_096), 9));
}

#[test]
fn the_path_of_a_folder_has_at_most_4095_bytes() {
    let is_accepted = |length: usize| {
        let lines = format!("command = 'x'\ncwd = '{}'", path(length));
        FakeHost::default().pm_toml(&format!("[pool.web]\n{lines}\n")).is_ok()
    };
    assert!(is_accepted(4_095));
    assert!(!is_accepted(4_096));
}

/// A path of this many bytes, of short names.
fn path(length: usize) -> String {
    format!("/{}{}", "x/".repeat(2_000), "x".repeat(length - 4_001))
}
