//! HTTP/1.1 for one client: bytes in, requests out; answers in, bytes out. No descriptor, no clock, no route.
//!
//! [`Connection`] is the whole of it. The parts: `framing` finds the end of a head and the length of a body; `request`
//! reads a head, with `target` for its path, query and host; `refusal` lists why a request is refused before any route
//! sees it; `reply` and `status` make heads, bodies and chunks; `buffer` holds what waits, both ways.
//!
//! The rules are those of RFC 9112, and stricter where clients disagree about the end of a request: only CRLF ends a
//! line, one Content-Length or none, no request in chunks. A refused request is the last one of its connection.

mod buffer;
mod connection;
mod framing;
mod refusal;
mod reply;
mod request;
mod status;
mod target;
#[cfg(test)]
mod tests;

pub use self::connection::{Arrived, Awaiting, Connection};
pub use self::refusal::Refusal;
pub use self::reply::{CommonHeaders, Head, Problem, Reply};
pub use self::request::{Headers, Method, Request};
pub use self::status::Status;

/// A head, with its request line and the empty line at its end.
pub const HEAD_BYTES_MAX: usize = 8 * 1024;

pub const HEADERS_MAX: usize = 64;

pub const TARGET_BYTES_MAX: usize = 2 * 1024;

pub const BODY_BYTES_MAX: usize = 16 * 1024;

/// What is read of a client at once. The caller reads no more in a wakeup.
pub const READ_BYTES_MAX: usize = 16 * 1024;

/// What waits to be read by a client of a stream or of frames. A whole answer may be longer.
pub const OUTPUT_BYTES_MAX: usize = 64 * 1024;

/// What a client may still send after the last answer, before its connection is closed.
pub const DRAINED_BYTES_MAX: usize = 64 * 1024;
