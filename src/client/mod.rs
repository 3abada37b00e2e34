//! Floor 4: a client of the control socket of a running pm: one request, and its whole answer or its lines.
//!
//! HTTP/1.1 over a unix socket, each request on a connection of its own. It blocks, and only the commands use it.
//! Nothing is decided or printed here. [`request`] is what is asked, [`head`] and [`body`] undo the framing of an
//! answer, [`lines`] is one that goes on, [`terminal`] what comes instead of HTTP.

mod body;
mod head;
mod lines;
mod request;
mod terminal;

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;

use self::head::Head;
pub use self::lines::Lines;
pub use self::request::Request;
pub use self::terminal::Terminal;
use crate::sys::control_socket::client::{ConnectError, connect};
use crate::sys::strerror;
use crate::wire::Problem;

/// More than the status of any plan, and less than hurts.
const ANSWER_BYTES_MAX: usize = 64 << 20;
const READ_BYTES: usize = 64 << 10;

/// The status of an answer after which HTTP ends.
const SWITCHING_PROTOCOLS: u16 = 101;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("pm ended before it had answered")]
    Ended,
    #[error("pm does not answer; perhaps it is suspended")]
    Silent,
    #[error("cannot {step} pm: {}", strerror(.source))]
    Io { step: &'static str, source: io::Error },
    #[error("the answer of pm cannot be read: {0}")]
    Malformed(String),
}

/// A request that is sent. Its socket becomes readable when the answer begins.
#[derive(Debug)]
pub struct Exchange {
    socket: UnixStream,
    patience: Duration,
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Of HTTP.
    pub status: u16,
    pub body: Vec<u8>,
}

/// The answer to a request for lines.
#[derive(Debug)]
pub enum Reply {
    Lines(Lines),
    Refused(Answer),
}

/// The answer to a request for a terminal.
#[derive(Debug)]
pub enum Attached {
    Terminal(Terminal),
    Refused(Answer),
}

impl Exchange {
    /// Connects to the socket at this path, and sends the request.
    ///
    /// # Errors
    /// If no pm of this user or of root listens there.
    pub fn begin(socket: &Path, request: &Request) -> Result<Self, ClientError> {
        Self::over(connect(socket)?, request)
    }

    /// How long the answer may take.
    pub fn patience(&self) -> Duration {
        self.patience
    }

    fn over(mut socket: UnixStream, request: &Request) -> Result<Self, ClientError> {
        match socket.write_all(&request.written()) {
            Ok(()) => {}
            // It may have answered already, and does not read the rest.
            Err(error) if is_closed(&error) => {}
            Err(source) => return Err(ClientError::Io { step: "write to", source }),
        }
        let Request { patience, .. } = *request;
        socket.set_read_timeout(Some(patience)).map_err(set_up)?;
        Ok(Self { socket, patience })
    }

    /// Waits for the whole answer.
    ///
    /// # Errors
    /// If it ends too early, or is no HTTP.
    pub fn answer(mut self) -> Result<Answer, ClientError> {
        let (head, raw) = self.head()?;
        self.rest_of_answer(head, raw)
    }

    /// Waits until pm has changed the protocol.
    ///
    /// # Errors
    /// As [`Self::answer`].
    pub fn terminal(mut self) -> Result<Attached, ClientError> {
        let (head, raw) = self.head()?;
        if head.status == SWITCHING_PROTOCOLS {
            return Terminal::of(self.socket, raw).map(Attached::Terminal);
        }
        self.rest_of_answer(head, raw).map(Attached::Refused)
    }

    fn rest_of_answer(mut self, head: Head, mut raw: Vec<u8>) -> Result<Answer, ClientError> {
        let (mut framing, mut body) = (head.body, Vec::new());
        while !framing.take(&mut raw, &mut body)? {
            if body.len() > ANSWER_BYTES_MAX {
                return Err(ClientError::Malformed("it is too long".into()));
            }
            if receive(&mut self.socket, &mut raw)? == 0 {
                framing.end()?;
                break;
            }
        }
        Ok(Answer { status: head.status, body })
    }

    /// Waits for the beginning of the answer.
    ///
    /// # Errors
    /// As [`Self::answer`].
    pub fn lines(mut self) -> Result<Reply, ClientError> {
        let (head, raw) = self.head()?;
        let Self { socket, .. } = self;
        let mut lines = Lines::of(socket, head.body, raw)?;
        if head.status == 200 {
            // The next line may come at any time.
            lines.socket.set_read_timeout(None).map_err(set_up)?;
            return Ok(Reply::Lines(lines));
        }
        while !lines.has_ended() && lines.text.len() <= ANSWER_BYTES_MAX {
            lines.read()?;
        }
        Ok(Reply::Refused(Answer { status: head.status, body: lines.text }))
    }

    /// The head of the answer, and what has come after it.
    fn head(&mut self) -> Result<(Head, Vec<u8>), ClientError> {
        let mut raw = Vec::new();
        loop {
            if let Some((head, length)) = Head::parse(&raw)? {
                raw.drain(..length);
                // An answer of this kind comes before the true one.
                if head.status >= 200 || head.status == SWITCHING_PROTOCOLS {
                    return Ok((head, raw));
                }
                continue;
            }
            if receive(&mut self.socket, &mut raw)? == 0 {
                return Err(ClientError::Ended);
            }
        }
    }
}

impl AsFd for Exchange {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Answer {
    /// What it says, or why it was refused.
    ///
    /// # Errors
    /// If it is neither.
    pub fn read<T: DeserializeOwned>(&self) -> Result<Result<T, Problem>, ClientError> {
        let malformed = |error: serde_json::Error| ClientError::Malformed(error.to_string());
        if self.is_success() {
            return serde_json::from_slice(&self.body).map(Ok).map_err(malformed);
        }
        serde_json::from_slice(&self.body).map(Err).map_err(malformed)
    }

    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Reads once, whatever signals come. 0: there is no more.
fn receive(socket: &mut UnixStream, into: &mut Vec<u8>) -> Result<usize, ClientError> {
    let before = into.len();
    into.resize(before + READ_BYTES, 0);
    let read = loop {
        match socket.read(&mut into[before..]) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if is_closed(&error) => break Ok(0),
            other => break other,
        }
    };
    into.truncate(before + read.as_ref().copied().unwrap_or(0));
    read.map_err(|source| match source.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => ClientError::Silent,
        _ => ClientError::Io { step: "read from", source },
    })
}

fn set_up(source: io::Error) -> ClientError {
    ClientError::Io { step: "set a time limit for", source }
}

/// The other end is closed.
fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}

#[cfg(test)]
mod tests;
