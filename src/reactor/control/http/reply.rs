//! Answers: a head, a whole body or the pieces of a stream, and errors as RFC 9457 has them.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::Status;
use super::buffer::Buffer;
use super::request::After;

/// What surrounds a piece of a stream and the end after it: at most five hexadecimal digits and 2 + 2 + 5 bytes.
pub const CHUNK_FRAME_BYTES_MAX: usize = 16;

/// A status and headers, without those that say how long the body is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub status: Status,
    content_type: Option<&'static str>,
    headers: Vec<(&'static str, String)>,
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub head: Head,
    body: Cow<'static, [u8]>,
    after: After,
}

/// An error for programs and people (RFC 9457).
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    status: Status,
    members: Map<String, Value>,
}

/// Headers of every answer of a connection.
pub type CommonHeaders = &'static [(&'static str, &'static str)];

/// How the end of a body is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Length(usize),
    Chunked,
    /// An HTTP/1.0 client knows no chunks: the end of the connection is the end of the body.
    UntilClose,
}

impl Head {
    pub fn new(status: Status, content_type: &'static str) -> Self {
        Self { status, content_type: Some(content_type), headers: Vec::new() }
    }

    /// Adds a header. Control characters in the value are left out, so that it cannot begin another header.
    pub fn with(mut self, name: &'static str, value: impl AsRef<str>) -> Self {
        let value = value.as_ref().chars().filter(|c| !c.is_control()).collect();
        self.headers.push((name, value));
        self
    }

    /// `common` are the headers of every answer. One of the same name here stands in its place.
    pub(super) fn write(
        &self,
        framing: Framing,
        after: After,
        common: CommonHeaders,
        output: &mut Buffer,
    ) {
        let status = self.status;
        let mut text = format!("HTTP/1.1 {} {}\r\n", status.code(), status.reason());
        if let Some(content_type) = self.content_type {
            push_header(&mut text, "Content-Type", content_type);
        }
        match framing {
            // RFC 9110, section 15.4.5: it has no body, whatever its length would be.
            Framing::Length(_) if status == Status::NotModified => {}
            Framing::Length(length) => push_header(&mut text, "Content-Length", length),
            Framing::Chunked => push_header(&mut text, "Transfer-Encoding", "chunked"),
            Framing::UntilClose => {}
        }
        if after == After::Close {
            push_header(&mut text, "Connection", "close");
        }
        if status == Status::ServiceUnavailable {
            // In seconds (RFC 9110, section 10.2.3).
            push_header(&mut text, "Retry-After", 1);
        }
        for (name, value) in &self.headers {
            push_header(&mut text, name, value);
        }
        let is_own = |name: &str| self.headers.iter().any(|(own, _)| *own == name);
        for (name, value) in common.iter().filter(|(name, _)| !is_own(name)) {
            push_header(&mut text, name, value);
        }
        text.push_str("\r\n");
        output.push(text.as_bytes());
    }
}

impl Reply {
    pub fn new(
        status: Status,
        content_type: &'static str,
        body: impl Into<Cow<'static, [u8]>>,
    ) -> Self {
        let head = Head::new(status, content_type);
        Self { head, body: body.into(), after: After::NextRequest }
    }

    pub fn json(status: Status, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string().into_bytes())
    }

    /// What the client has is still right: no body.
    pub fn not_modified() -> Self {
        let head = Head { status: Status::NotModified, content_type: None, headers: Vec::new() };
        Self { head, body: Cow::Borrowed(&[]), after: After::NextRequest }
    }

    /// Adds a header, as [`Head::with`].
    pub fn with(mut self, name: &'static str, value: impl AsRef<str>) -> Self {
        self.head = self.head.with(name, value);
        self
    }

    /// The connection is closed after this answer.
    pub fn closing(self) -> Self {
        Self { after: After::Close, ..self }
    }

    #[cfg(test)]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    pub(super) fn after(&self) -> After {
        self.after
    }

    pub(super) fn write(
        &self,
        body: Body,
        after: After,
        common: CommonHeaders,
        output: &mut Buffer,
    ) {
        self.head.write(Framing::Length(self.body.len()), after, common, output);
        match body {
            Body::Sent if self.head.status != Status::NotModified => output.push(&self.body),
            Body::Sent | Body::LeftOut => {}
        }
    }
}

/// Whether a client gets the body of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    Sent,
    /// It asked with HEAD.
    LeftOut,
}

impl Problem {
    /// `name` is that of its kind: `no-such-slot` has the type `/errors/no-such-slot`.
    pub fn new(
        name: impl AsRef<str>,
        title: impl Into<String>,
        status: Status,
        detail: impl Into<String>,
    ) -> Self {
        let problem = Self { status, members: Map::new() };
        problem
            .with("type", format!("/errors/{}", name.as_ref()))
            .with("title", title.into())
            .with("status", status.code())
            .with("detail", detail.into())
    }

    /// Adds a member: `hint`, `candidates`.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    pub fn reply(self) -> Reply {
        let body = Value::Object(self.members).to_string().into_bytes();
        Reply::new(self.status, "application/problem+json", body)
    }
}

/// Writes one piece of a stream. It is not empty: that would be the end.
pub fn write_chunk(piece: &[u8], output: &mut Buffer) {
    output.push(format!("{:x}\r\n", piece.len()).as_bytes());
    output.push(piece);
    output.push(b"\r\n");
}

pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

fn push_header(text: &mut String, name: &str, value: impl std::fmt::Display) {
    write!(text, "{name}: {value}\r\n").expect("a String takes all");
}
