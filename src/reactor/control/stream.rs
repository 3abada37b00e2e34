//! A stream of events to one client: a place in the events of the run, and no queue.

use std::fmt::Write as _;

use super::call::{EventsCall, Format};
use super::events::{After, Events};
use super::http::{Connection, Head, Status};
use super::rest::Rest;
use crate::wire::{Event, EventKind, Time};

/// The stream of one client.
#[derive(Debug)]
pub struct Stream {
    /// The number of the last event that it has, or has passed over.
    cursor: u64,
    /// The names of the slots that it is about; empty for all.
    slots: Vec<String>,
    /// When this run began, in milliseconds.
    run: i64,
    follow: bool,
    format: Format,
    /// The event that the client is given.
    rest: Rest,
}

impl Stream {
    /// `slots` are the names of those that the client has selected; empty for all.
    pub fn new(call: &EventsCall, slots: Vec<String>, run: i64) -> Self {
        let EventsCall { after, follow, format, .. } = *call;
        // One of an earlier run comes before all of this one.
        let cursor = after.and_then(|last| last.of_run(run)).unwrap_or(0);
        Self { cursor, slots, run, follow, format, rest: Rest::default() }
    }

    /// True if it goes on with what is new.
    pub fn follows(&self) -> bool {
        self.follow
    }

    /// True if its format has room for a line that is no event.
    pub fn has_comments(&self) -> bool {
        self.format == Format::ServerSent
    }

    pub fn head(&self) -> Head {
        let content_type = match self.format {
            Format::Text | Format::Lines => "application/x-ndjson",
            Format::ServerSent | Format::Part => "text/event-stream",
        };
        let head = Head::new(Status::Ok, content_type).with("Cache-Control", "no-store");
        match self.format {
            Format::Text | Format::Lines => head,
            Format::ServerSent | Format::Part => head.with("X-Accel-Buffering", "no"),
        }
    }

    /// Gives the client what has happened, as far as there is room. `now` is the time of a gap.
    pub fn fill(&mut self, events: &Events, now: impl Fn() -> Time, connection: &mut Connection) {
        while self.rest.give(connection) {
            match events.after(self.cursor) {
                After::Gap(dropped) => {
                    self.cursor += dropped;
                    let kind = EventKind::Gap { dropped };
                    *self.rest.text() = self.written(&Event { seq: self.cursor, at: now(), kind });
                }
                After::Event(event) => {
                    self.cursor = event.seq;
                    if self.is_meant(event) {
                        *self.rest.text() = self.written(event);
                    }
                    // It is the last one.
                    self.follow &= !matches!(event.kind, EventKind::Bye { .. });
                }
                After::Nothing if self.follow => return,
                After::Nothing => return connection.end_stream(),
            }
        }
    }

    fn is_meant(&self, event: &Event) -> bool {
        let is_all = self.slots.is_empty();
        match event.kind.slot() {
            _ if is_all => true,
            Some(slot) => self.slots.iter().any(|name| name == slot),
            None => !matches!(event.kind, EventKind::Report { .. }),
        }
    }

    fn written(&self, event: &Event) -> String {
        let data = serde_json::to_string(event).unwrap_or_default();
        match self.format {
            Format::Text | Format::Lines => data + "\n",
            Format::ServerSent | Format::Part => {
                let mut text = String::new();
                let name = event.kind.name();
                // Text in JSON has no line feed.
                let (run, seq) = (self.run, event.seq);
                let _ = write!(text, "id: {run}-{seq}\nevent: {name}\ndata: {data}\n\n");
                text
            }
        }
    }
}
