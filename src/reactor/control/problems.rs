//! Why a request is refused, for people and for programs (RFC 9457).

use crate::wire::Problem;

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

pub fn draining() -> Box<Problem> {
    new(409, "draining", "pm is stopping", "pm is stopping, and starts nothing any more")
}
