//! The lines of workers for one client: a place in the ring of lines, and no queue.

mod search;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::rc::Rc;

use jiff::Timestamp;
use regex_lite::Regex;

use self::search::Search;
use super::super::clock::WallTime;
use super::super::output::{Line, LineKind, Ring};
use super::call::{Format, LogsCall};
use super::http::{Connection, Head, Status};
use super::rest::Rest;
use crate::supervisor::{SlotId, WorkerId};
use crate::wire::{LogFile, LogLine, LogStart, Time};

/// The lines of one client.
#[derive(Debug)]
pub struct Logs {
    /// The number of the last line that it has, or that was passed over.
    cursor: u64,
    filter: Rc<Filter>,
    follow: bool,
    format: Format,
    /// Lines that were gone before the client could be given them, and are not counted yet.
    missed: u64,
    /// Text that had no room yet.
    rest: Rest,
    /// Where it begins is not known yet.
    search: Option<Search>,
}

/// Which lines are meant.
#[derive(Debug)]
struct Filter {
    /// In order; empty for all.
    slots: Vec<SlotId>,
    generation: Option<u64>,
    since: Option<WallTime>,
    until: Option<WallTime>,
    grep: Option<Regex>,
}

/// Lines that are looked at for one client in one wakeup.
const LOOKED_AT_MAX: usize = 4096;

/// The same in bytes, where lines are matched with a pattern: about a millisecond, and an exit waits for that.
const MATCHED_BYTES_MAX: usize = 8 * 1024;

/// How much of a line is matched with a pattern. The time of that grows with the pattern, too, which has a limit.
const MATCHED_OF_LINE_MAX: usize = 16 * 1024;

/// Whether more lines may follow at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum More {
    /// The client has all that there is, or has to read first.
    No,
    Yes,
}

impl Logs {
    /// `slots` are those that the client has selected; empty for all.
    pub fn new(call: LogsCall, slots: Vec<SlotId>, ring: &Ring) -> Self {
        let mut logs = Self {
            // Lines that were lost before it asked are none of its own.
            cursor: call.after.unwrap_or_else(|| ring.first() - 1),
            filter: Rc::new(Filter {
                slots,
                generation: call.generation,
                since: call.since,
                until: call.until,
                grep: call.grep,
            }),
            follow: call.follow,
            format: call.format,
            missed: 0,
            rest: Rest::default(),
            search: None,
        };
        if logs.filter.grep.is_some() {
            logs.search = call.lines.map(|count| Search::new(logs.cursor, Some(count)));
        } else if let Some(count) = call.lines {
            let filter = &logs.filter;
            let lines =
                ring.lines(logs.cursor.saturating_add(1), |worker| filter.has(worker)).rev();
            let last = lines.filter(|line| filter.is_meant(line)).take(count).last();
            logs.cursor = last.map_or(ring.last(), |line| line.n - 1);
        }
        logs
    }

    /// First of all the client is told where the older lines are.
    #[must_use]
    pub fn behind(mut self, files: Vec<LogFile>, ring: &Ring) -> Self {
        if self.filter.grep.is_some() {
            let search = self.search.take().unwrap_or_else(|| Search::new(self.cursor, None));
            self.search = Some(search.behind(files));
            return self;
        }
        let filter = &self.filter;
        let lines = ring.lines(self.cursor.saturating_add(1), |worker| filter.has(worker));
        let kept = lines.filter(|line| filter.is_meant(line)).count() as u64;
        *self.rest.text() = beginning(kept, files);
        self
    }

    /// True if lines are matched with a pattern, which may take long.
    pub fn has_pattern(&self) -> bool {
        self.filter.grep.is_some()
    }

    /// True if it goes on with what is new.
    pub fn follows(&self) -> bool {
        self.follow
    }

    /// True if its format has room for a line that is no event.
    pub fn has_comments(&self) -> bool {
        self.format == Format::ServerSent
    }

    /// Gives the client what had no room yet. True if nothing of it is left.
    pub fn give_rest(&mut self, connection: &mut Connection) -> bool {
        self.rest.give(connection)
    }

    pub fn head(&self) -> Head {
        let content_type = match self.format {
            Format::Text => "text/plain; charset=utf-8",
            Format::Lines => "application/x-ndjson",
            Format::ServerSent | Format::Part => "text/event-stream",
        };
        Head::new(Status::Ok, content_type).with("Cache-Control", "no-store")
    }

    /// Gives the client what it asks for, as far as there is room.
    pub fn fill(&mut self, ring: &Ring, connection: &mut Connection) -> More {
        if !self.rest.give(connection) {
            return More::No;
        }
        if let Some(mut search) = self.search.take() {
            if search.go_on(&self.filter, ring) == More::Yes {
                self.search = Some(search);
                return More::Yes;
            }
            self.cursor = search.cursor();
            *self.rest.text() = search.beginning().unwrap_or_default();
            if !self.rest.give(connection) {
                return More::No;
            }
        }
        let lost = ring.lost_after(self.cursor);
        if lost > 0 {
            self.cursor += lost;
            self.missed += lost;
            *self.rest.text() = self.lost(lost);
            if !self.rest.give(connection) {
                return More::No;
            }
        }
        let filter = Rc::clone(&self.filter);
        let lines = ring.lines(self.cursor.saturating_add(1), |worker| filter.has(worker));
        let mut budget = Budget::default();
        for line in lines {
            if filter.is_late(&line) {
                connection.end_stream();
                return More::No;
            }
            if !budget.has_room_for(&line, &filter) {
                self.cursor = line.n - 1;
                return More::Yes;
            }
            if filter.is_meant(&line) {
                self.write(&line);
                self.cursor = line.n;
                if !self.rest.give(connection) {
                    return More::No;
                }
            }
        }
        self.cursor = ring.last();
        if !self.follow {
            connection.end_stream();
        }
        More::No
    }

    /// True if the client was given all that there is.
    pub fn has_all(&self, ring: &Ring) -> bool {
        self.search.is_none() && self.rest.is_empty() && self.cursor >= ring.last()
    }

    /// How many lines were gone since this was asked last.
    pub fn take_missed(&mut self) -> u64 {
        std::mem::take(&mut self.missed)
    }

    fn write(&mut self, line: &Line<'_>) {
        if self.format == Format::Text {
            let text = String::from_utf8_lossy(line.bytes);
            for part in [line.slot, " | ", &text, "\n"] {
                self.rest.text().push_str(part);
            }
            return;
        }
        *self.rest.text() = self.formatted(&LogLine {
            n: line.n,
            at: time(line.at),
            slot: line.slot.to_string(),
            generation: line.worker.generation,
            from_worker: line.kind != LineKind::Death,
            line: text(line),
        });
    }

    fn lost(&self, count: u64) -> String {
        self.formatted(&LogLine {
            n: self.cursor,
            at: time(WallTime::default()),
            slot: "pm".into(),
            generation: 0,
            from_worker: false,
            line: format!("{count} lines were lost: pm keeps no more"),
        })
    }

    fn formatted(&self, line: &LogLine) -> String {
        let data = || serde_json::to_string(line).unwrap_or_default();
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = match self.format {
            Format::Text => writeln!(text, "{} | {}", line.slot, line.line),
            Format::Lines => writeln!(text, "{}", data()),
            Format::Part => write!(text, "event: log\ndata: {}\n\n", data()),
            Format::ServerSent => write!(text, "id: {}\nevent: log\ndata: {}\n\n", line.n, data()),
        };
        text
    }
}

impl Filter {
    fn has(&self, worker: WorkerId) -> bool {
        let is_of = self.slots.is_empty() || self.slots.binary_search(&worker.slot).is_ok();
        is_of && self.generation.is_none_or(|generation| generation == worker.generation)
    }

    fn is_meant(&self, line: &Line<'_>) -> bool {
        self.since.is_none_or(|since| line.at >= since)
            && self.until.is_none_or(|until| line.at <= until)
            && self.grep.as_ref().is_none_or(|grep| grep.is_match(&start_of(line)))
    }

    /// No line from this one on is meant.
    fn is_late(&self, line: &Line<'_>) -> bool {
        self.until.is_some_and(|until| line.at > until)
    }
}

/// What may be looked at in one wakeup.
#[derive(Debug, Default)]
struct Budget {
    lines: usize,
    matched_bytes: usize,
}

impl Budget {
    /// Takes the line into account, unless it has to wait for the next wakeup.
    fn has_room_for(&mut self, line: &Line<'_>, filter: &Filter) -> bool {
        if self.lines == LOOKED_AT_MAX || self.matched_bytes >= MATCHED_BYTES_MAX {
            return false;
        }
        self.lines += 1;
        if filter.grep.is_some() {
            self.matched_bytes += line.bytes.len().min(MATCHED_OF_LINE_MAX);
        }
        true
    }
}

/// What a client is told before the lines.
fn beginning(kept: u64, files: Vec<LogFile>) -> String {
    serde_json::to_string(&LogStart { kept, files }).unwrap_or_default() + "\n"
}

fn text(line: &Line<'_>) -> String {
    String::from_utf8_lossy(line.bytes).into_owned()
}

/// What is matched with a pattern.
fn start_of<'a>(line: &Line<'a>) -> Cow<'a, str> {
    String::from_utf8_lossy(&line.bytes[..line.bytes.len().min(MATCHED_OF_LINE_MAX)])
}

fn time(at: WallTime) -> Time {
    let millis = i64::try_from(at.0).unwrap_or(i64::MAX);
    Time(Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX))
}
