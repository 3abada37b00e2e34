//! All that the page shows, to one client, as it changes: the slots, what pm says, what workers use, lines. Like the
//! other streams it has no queue: a slot that has changed many times is told once, as it is.
//!
//! It begins with a whole status, and so it does again where events were lost, or where there are other slots.

use std::collections::BTreeSet;
use std::collections::hash_map::DefaultHasher;
use std::fmt::Write as _;
use std::hash::{Hash, Hasher};

use super::super::output::Ring;
use super::events::{After, Events};
use super::http::{Connection, Head, Status};
use super::logs::{Logs, More};
use super::rest::Rest;
use super::rounds::Rounds;
use super::status::{RunFacts, View};
use crate::supervisor::{SlotId, Supervisor};
use crate::wire::{EventKind, SlotStatus};

/// The stream of one client.
#[derive(Debug)]
pub struct Live {
    /// The number of the last event that it has.
    cursor: u64,
    /// The last one that its client had before it connected again.
    after: Option<u64>,
    /// Which slots it knows; `None` before the first status.
    known: Option<u64>,
    /// The number of the last round of samples that it has; `None` if it wants none.
    round: Option<u64>,
    logs: Option<Logs>,
    /// What it is given next.
    rest: Rest,
    /// pm ends.
    is_over: bool,
}

/// Everything that a stream is made from, at one moment.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    pub view: View<'a>,
    pub facts: &'a RunFacts,
    pub events: &'a Events,
    pub rounds: &'a Rounds,
    pub ring: &'a Ring,
}

/// What is put together at once. The rest follows.
const TEXT_BYTES: usize = 64 * 1024;

/// How long a browser waits before it connects again, in milliseconds (HTML Standard, section 9.2).
const RETRY: &str = "retry: 1000\n\n";

impl Live {
    /// With these lines, or with none. `after` is the number of the last event that the client has.
    pub fn new(logs: Option<Logs>, after: Option<u64>) -> Self {
        let rest = Rest::default();
        Self { cursor: 0, after, known: None, round: None, logs, rest, is_over: false }
    }

    /// With what the workers use, too.
    pub fn with_stats(self) -> Self {
        Self { round: Some(0), ..self }
    }

    pub fn wants_stats(&self) -> bool {
        self.round.is_some()
    }

    pub fn head() -> Head {
        Head::new(Status::Ok, "text/event-stream")
            .with("Cache-Control", "no-store")
            .with("X-Accel-Buffering", "no")
    }

    /// Gives the client what is new, as far as there is room.
    pub fn fill(&mut self, source: &Source<'_>, connection: &mut Connection) -> More {
        if !self.rest.give(connection) {
            return More::No;
        }
        // Half a line is not to be interrupted.
        if self.logs.as_mut().is_some_and(|logs| !logs.give_rest(connection)) {
            return More::No;
        }
        if self.known.is_none() {
            self.rest.text().push_str(RETRY);
            self.tell_all(source);
        }
        let mut more = self.tell_events(source);
        if let Some(seen) = self.round
            && let Some((number, text)) = source.rounds.after(seen)
        {
            self.round = Some(number);
            self.rest.text().push_str(&text);
        }
        if !self.rest.give(connection) {
            return More::No;
        }
        if let Some(logs) = &mut self.logs
            && logs.fill(source.ring, connection) == More::Yes
        {
            more = More::Yes;
        }
        if self.is_over {
            connection.end_stream();
            return More::No;
        }
        more
    }

    /// How many lines were gone since this was asked last.
    pub fn take_missed(&mut self) -> u64 {
        self.logs.as_mut().map_or(0, Logs::take_missed)
    }

    fn tell_all(&mut self, source: &Source<'_>) {
        let supervisor = source.view.supervisor;
        self.cursor = source.events.last();
        // What pm has said meanwhile follows, unless it is forgotten.
        if let Some(after) = self.after.take()
            && let After::Event(_) = source.events.after(after)
        {
            self.cursor = after;
        }
        self.known = Some(known(source.view));
        let status = source.view.run(source.facts, self.cursor, supervisor.ids(), |_| None);
        let data = serde_json::to_string(&status).unwrap_or_default();
        self.tell("status", source, self.cursor, &data);
    }

    fn tell_events(&mut self, source: &Source<'_>) -> More {
        let mut changed = BTreeSet::new();
        let before = self.cursor;
        while self.rest.text().len() < TEXT_BYTES {
            match source.events.after(self.cursor) {
                After::Gap(_) => {
                    self.tell_all(source);
                    return More::No;
                }
                After::Nothing => break,
                After::Event(event) => {
                    self.cursor = event.seq;
                    match &event.kind {
                        EventKind::Phase { slot, .. } => {
                            changed.insert(slot.clone());
                        }
                        EventKind::Report { .. } | EventKind::Bye { .. } => {
                            let data = serde_json::to_string(event).unwrap_or_default();
                            self.tell(event.kind.name(), source, event.seq, &data);
                        }
                        EventKind::Gap { .. } => {}
                    }
                    self.is_over |= matches!(event.kind, EventKind::Bye { .. });
                }
            }
        }
        if self.cursor == before {
            return More::No;
        }
        if self.known != Some(known(source.view)) {
            self.tell_all(source);
            return More::No;
        }
        // The death of a worker is in the status of its slot, and may be reported after the change of phase.
        for slot in slots_of(&changed, source.view.supervisor, source.view) {
            let data = serde_json::to_string(&slot).unwrap_or_default();
            self.tell("slot", source, self.cursor, &data);
        }
        if self.cursor == source.events.last() { More::No } else { More::Yes }
    }

    fn tell(&mut self, name: &str, source: &Source<'_>, seq: u64, data: &str) {
        let run = source.facts.run();
        // Text in JSON has no line feed.
        let _ = write!(self.rest.text(), "id: {run}-{seq}\nevent: {name}\ndata: {data}\n\n");
    }
}

fn slots_of<'a>(
    names: &'a BTreeSet<String>,
    supervisor: &'a Supervisor,
    view: View<'a>,
) -> impl Iterator<Item = SlotStatus> + 'a {
    let is_meant = move |id: &SlotId| {
        let facts = view.slots.identity(*id);
        facts.is_some_and(|facts| names.contains(facts.name))
    };
    let ids = supervisor.ids().filter(move |id| !names.is_empty() && is_meant(id));
    ids.filter_map(move |id| view.slot(id))
}

/// Which slots there are, and what they are called.
fn known(view: View<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for id in view.supervisor.ids() {
        (id.0, view.slots.identity(id).map(|facts| (facts.name, facts.port))).hash(&mut hasher);
    }
    hasher.finish()
}
