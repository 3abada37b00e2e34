//! What of a run is shown on the terminal, and how: as people or as programs read it.

use std::fmt::Write as _;
use std::io::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::to_writer;

use super::console::Colour;
use super::ring::Author;
use crate::reactor::clock::WallTime;
use crate::wire::Time;

/// What the options of a run say about the terminal.
#[derive(Clone, Debug, Default)]
pub struct View {
    pub colour: Colour,
    pub form: Form,
    pub own: OwnLines,
    /// The pools and slots whose lines are shown. Empty: all.
    pub only: Vec<String>,
}

/// How a line is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    #[default]
    Plain,
    /// It begins with the local time.
    Timestamps,
    /// As an object of JSON, and pm's own lines with them on stdout.
    Json,
}

/// Which of pm's own lines are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OwnLines {
    #[default]
    All,
    /// Without those about what usually happens.
    Failures,
}

/// Makes what is shown of a line.
#[derive(Debug)]
pub enum Writer {
    Plain,
    Timestamps(LocalTime),
    /// With the memory for one object.
    Json(Vec<u8>),
}

/// The local time, written once for all lines of one millisecond.
#[derive(Debug)]
pub struct LocalTime {
    zone: TimeZone,
    at: WallTime,
    written: String,
}

/// Something of pm's own to show.
#[derive(Clone, Copy, Debug)]
pub struct OwnLine<'a> {
    pub at: WallTime,
    /// The slot that it is about.
    pub slot: Option<&'a str>,
    /// What happened, in one word for programs.
    pub event: &'static str,
    pub words: &'a str,
}

/// The columns of a local time, with the space behind it.
pub const TIMESTAMP_COLUMNS: usize = "12:01:09.402 ".len();

impl View {
    /// True if the lines of this slot are shown.
    pub fn shows(&self, pool: &str, slot: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == pool || name == slot)
    }
}

impl Writer {
    pub fn of(form: Form) -> Self {
        match form {
            Form::Plain => Self::Plain,
            Form::Timestamps => Self::Timestamps(LocalTime::of(TimeZone::system())),
            Form::Json => Self::Json(Vec::new()),
        }
    }
}

impl LocalTime {
    fn of(zone: TimeZone) -> Self {
        Self { zone, at: WallTime(0), written: String::new() }
    }

    /// `12:01:09.402 `.
    pub fn written(&mut self, at: WallTime) -> &str {
        if self.at != at || self.written.is_empty() {
            let time = timestamp(at).to_zoned(self.zone.clone());
            self.at = at;
            self.written.clear();
            let (hour, minute, second) = (time.hour(), time.minute(), time.second());
            let millisecond = time.millisecond();
            write!(self.written, "{hour:02}:{minute:02}:{second:02}.{millisecond:03} ")
                .expect("a String takes in everything");
        }
        &self.written
    }
}

/// A line of a worker as an object of JSON. What is not UTF-8 in it is replaced.
pub fn json_of_line<'a>(
    out: &'a mut Vec<u8>,
    n: u64,
    at: WallTime,
    author: &Author,
    [start, rest]: [&[u8]; 2],
) -> &'a [u8] {
    let line = if start.is_empty() { rest } else { &[start, rest].concat() };
    let (at, generation) = (rfc_3339(at), author.worker.generation);
    out.clear();
    write!(out, r#"{{"n":{n},"at":"{at}","slot":"#).expect(TAKES_ALL);
    to_writer(&mut *out, &*author.slot).expect(TAKES_ALL);
    write!(out, r#","generation":{generation},"line":"#).expect(TAKES_ALL);
    to_writer(&mut *out, &*String::from_utf8_lossy(line)).expect(TAKES_ALL);
    out.push(b'}');
    out
}

/// A line of pm's own as an object of JSON.
pub fn json_of_own<'a>(out: &'a mut Vec<u8>, line: OwnLine<'_>) -> &'a [u8] {
    let OwnLine { at, slot, event, words } = line;
    out.clear();
    write!(out, r#"{{"at":"{}","slot":"#, rfc_3339(at)).expect(TAKES_ALL);
    to_writer(&mut *out, &slot).expect(TAKES_ALL);
    write!(out, r#","event":"{event}","words":"#).expect(TAKES_ALL);
    to_writer(&mut *out, words).expect(TAKES_ALL);
    out.push(b'}');
    out
}

const TAKES_ALL: &str = "a Vec takes in everything";

/// `2026-11-25T01:02:03.004Z`.
fn rfc_3339(at: WallTime) -> String {
    Time(timestamp(at)).into()
}

fn timestamp(at: WallTime) -> Timestamp {
    let milliseconds = i64::try_from(at.0).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::{SlotId, WorkerId};

    const AT: WallTime = WallTime(1_764_032_523_004);

    fn json(text: &[u8]) -> serde_json::Value {
        serde_json::from_slice(text).unwrap()
    }

    #[test]
    fn a_line_is_an_object_whatever_is_in_it() {
        let worker = WorkerId { slot: SlotId(4), generation: 7 };
        let author = Author { worker, slot: "web.2".into() };
        let parts: [&[u8]; 2] = [b"\x1b[1m\"", b"\\ \xff\t"];
        let mut out = b"before".to_vec();
        let text = json_of_line(&mut out, 9, AT, &author, parts);
        assert!(text.starts_with(br#"{"n":9,"at":"2025-11-25T01:02:03.004Z","slot":"web.2","#));
        let expected = serde_json::json!({
            "n": 9, "at": "2025-11-25T01:02:03.004Z", "slot": "web.2", "generation": 7,
            "line": "\u{1b}[1m\"\\ \u{fffd}\t",
        });
        assert_eq!(json(text), expected);
    }

    #[test]
    fn a_line_of_pm_is_an_object_with_the_slot_or_null() {
        let mut out = Vec::new();
        for slot in [Some("web.1"), None] {
            let line = OwnLine { at: AT, slot, event: "ready", words: "web.1 \"is\"\nready" };
            let expected = serde_json::json!({
                "at": "2025-11-25T01:02:03.004Z", "slot": slot, "event": "ready",
                "words": "web.1 \"is\"\nready",
            });
            assert_eq!(json(json_of_own(&mut out, line)), expected);
        }
    }

    #[test]
    fn the_local_time_has_milliseconds_and_the_same_width_always() {
        let mut time = LocalTime::of(TimeZone::UTC);
        assert_eq!(time.written(WallTime(0)), "00:00:00.000 ");
        assert_eq!(time.written(AT), "01:02:03.004 ");
        assert_eq!(time.written(WallTime(u64::MAX)).len(), TIMESTAMP_COLUMNS);
        let mut time = LocalTime::of(TimeZone::fixed(jiff::tz::offset(-5)));
        assert_eq!(time.written(AT), "20:02:03.004 ");
    }

    #[test]
    fn a_pool_or_a_slot_is_shown_by_its_name() {
        let view = View { only: vec!["web".into(), "jobs.2".into()], ..View::default() };
        assert!(view.shows("web", "web.1") && view.shows("jobs", "jobs.2"));
        assert!(!view.shows("jobs", "jobs.1") && !view.shows("web2", "web2.1"));
        assert!(View::default().shows("jobs", "jobs.1"));
    }
}
