//! Where a reader of events goes on.

use crate::reactor::control::http::Request;
use crate::reactor::control::problems;
use crate::wire::Problem;

/// The last event that a client has: `<start of the run in milliseconds>-<number>`, or a number of this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastEvent {
    run: Option<i64>,
    seq: u64,
}

impl LastEvent {
    /// One of this run.
    pub fn numbered(seq: u64) -> Self {
        Self { run: None, seq }
    }

    /// Its number, if it is one of this run.
    pub fn of_run(self, run: i64) -> Option<u64> {
        self.run.is_none_or(|own| own == run).then_some(self.seq)
    }
}

/// What a browser sends when it connects again (HTML Standard, section 9.2).
pub fn last_event(request: &Request) -> Result<Option<LastEvent>, Box<Problem>> {
    let Some(id) = request.headers.get("last-event-id") else { return Ok(None) };
    let last = match id.split_once('-') {
        Some((run, seq)) => run.parse().ok().map(Some).zip(seq.parse().ok()),
        None => Some(None).zip(id.parse().ok()),
    };
    let wrong = || problems::bad_request(format!("`{id}` is not the id of an event"));
    last.map(|(run, seq)| Some(LastEvent { run, seq })).ok_or_else(wrong)
}
