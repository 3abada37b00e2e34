//! The limits of the kernel that a plan keeps: what it accepts, the kernel accepts too, and nothing longer.

use std::os::unix::process::CommandExt;
use std::process::Command;

use pm::plan::procfile::Options;

use crate::fake_host::{FakeHost, pictures_of};

/// Longer than this is no argument and no variable (execve(2), MAX_ARG_STRLEN).
const LONGEST: usize = 131_071;

fn is_accepted(length: usize) -> bool {
    let text = format!("web: {}\n", "x".repeat(length));
    FakeHost::default().procfile(&text, &Options::default()).is_ok()
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
fn a_file_of_variables_may_have_a_mebibyte() {
    let is_accepted = |length: usize| {
        let host = FakeHost::default().file(".env", &"#".repeat(length));
        host.procfile("web: true\n", &Options::default()).is_ok()
    };
    assert!(is_accepted(1 << 20));
    assert!(!is_accepted((1 << 20) + 1));
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
