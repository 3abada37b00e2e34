//! Why a request is refused, for people and for programs (RFC 9457).

use crate::wire::{Problem, TOO_MANY_STREAMS};

/// A problem without a hint. `name` is the last part of its type.
pub fn new(status: u16, name: &str, title: &str, detail: impl Into<String>) -> Box<Problem> {
    Box::new(Problem {
        kind: format!("/errors/{name}"),
        title: title.into(),
        status,
        detail: detail.into(),
        hint: None,
        candidates: Vec::new(),
        slots: Vec::new(),
    })
}

pub fn bad_request(detail: impl Into<String>) -> Box<Problem> {
    new(400, "bad-request", "Bad request", detail)
}

pub fn too_many_streams(count: usize) -> Box<Problem> {
    let detail = format!(
        "{count} clients read events or lines of this pm or are attached, and no more can; end one \
         of them (`pm events`, `pm logs -f`, `pm attach`)"
    );
    new(503, TOO_MANY_STREAMS, "Too many streams", detail)
}

pub fn too_many_waits(count: usize) -> Box<Problem> {
    let detail = format!(
        "{count} clients wait for this pm, and no more can; end one of them (`pm wait`), or do not \
         wait (`--no-wait`)"
    );
    new(503, "too-many-waits", "Too many waits", detail)
}

pub fn draining() -> Box<Problem> {
    new(409, "draining", "pm is stopping", "pm is stopping, and starts nothing any more")
}
