use clap::Parser;
use jiff::civil;
use jiff::tz::TimeZone;

use super::super::sample::{status, time};
use super::*;

#[derive(Parser)]
#[command(mut_arg("file", |file| file.short(None)))]
struct Line {
    #[command(flatten)]
    logs: LogsArgs,
}

fn args(words: &[&str]) -> LogsArgs {
    Line::try_parse_from([&["logs"], words].concat()).unwrap().logs
}

fn now() -> Zoned {
    civil::date(2026, 11, 25).at(12, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap()
}

fn text(words: &[&str], from_worker: bool, line: &str) -> String {
    let words = [words, &["--color", "never"]].concat();
    let page = Page::new(&args(&words), &status().slots, now());
    let (slot, line) = ("web.1".into(), line.into());
    page.text(&LogLine { n: 1, at: time("11:59:00"), slot, generation: 7, from_worker, line })
}

#[test]
fn a_line_has_the_name_of_its_slot_and_on_request_its_time() {
    assert_eq!(text(&[], true, "GET /"), "web.1   | GET /");
    assert_eq!(text(&["-t"], true, "GET /"), "2026-11-25T11:59:00.000 web.1   | GET /");
    assert_eq!(text(&["--no-prefix"], true, "GET /"), "GET /");
    assert_eq!(text(&[], false, "web.1 exited 255"), "web.1   | -- web.1 exited 255 --");
}

#[test]
fn a_name_is_coloured_as_before_the_lines_of_pm_run() {
    let page = Page::new(&args(&["--color", "always"]), &status().slots, now());
    let (slot, line) = ("web.2".into(), "x".into());
    let line = LogLine { n: 1, at: time("11:59:00"), slot, generation: 7, from_worker: true, line };
    assert_eq!(page.text(&line), "\x1b[33mweb.2   |\x1b[0m x");
}

#[test]
fn the_request_says_which_lines() {
    let of = |words: &[&str]| format!("{:?}", request(&args(words), &now()).unwrap());
    assert!(of(&[]).contains("/v1/logs?lines=all\""), "{}", of(&[]));
    assert!(of(&["-f"]).contains("?lines=10&follow=1\""), "{}", of(&["-f"]));
    assert!(of(&["-f", "-n", "0"]).contains("?lines=0&follow=1\""));
    let since = of(&["-f", "-s", "5m", "-g", "a|b"]);
    let expected = "?lines=all&since=2026-11-25T11:55:00.000Z&grep=a%7Cb&follow=1\"";
    assert!(since.contains(expected), "{since}");
    let failure = request(&args(&["-s", "soon"]), &now()).unwrap_err();
    assert_eq!(failure.status(), 2);
}
