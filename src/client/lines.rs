//! An answer that is read line by line, as long as it goes on.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use super::body::Body;
use super::{ClientError, receive};

/// Longer than the longest line of a worker, if JSON writes each of its bytes as six.
const LINE_BYTES_MAX: usize = 4 << 20;

/// An answer that is read line by line.
#[derive(Debug)]
pub struct Lines {
    pub(super) socket: UnixStream,
    body: Body,
    /// As it came.
    raw: Vec<u8>,
    /// What the lines are made of.
    pub(super) text: Vec<u8>,
    has_ended: bool,
}

impl Lines {
    /// The body of an answer, and what has come of it.
    pub(super) fn of(socket: UnixStream, body: Body, raw: Vec<u8>) -> Result<Self, ClientError> {
        let mut lines = Self { socket, body, raw, text: Vec::new(), has_ended: false };
        lines.decode()?;
        Ok(lines)
    }

    /// The next line; waits for it. `None` if the answer has ended as it should.
    ///
    /// # Errors
    /// If it ends too early, or its framing is wrong.
    pub fn next_line(&mut self) -> Result<Option<String>, ClientError> {
        loop {
            if let Some(line) = self.arrived() {
                return Ok(Some(line));
            }
            if self.has_ended {
                return Ok(None);
            }
            self.read()?;
        }
    }

    /// The next line, if it has arrived. Reads nothing.
    pub fn arrived(&mut self) -> Option<String> {
        let end = memchr::memchr(b'\n', &self.text)?;
        let line = String::from_utf8_lossy(&self.text[..end]).into_owned();
        self.text.drain(..=end);
        Some(line)
    }

    /// Reads what the socket has, and waits if it has nothing.
    ///
    /// # Errors
    /// As [`Self::next_line`].
    pub fn read(&mut self) -> Result<(), ClientError> {
        if receive(&mut self.socket, &mut self.raw)? == 0 {
            self.body.end()?;
            self.has_ended = true;
            return Ok(());
        }
        self.decode()?;
        if self.text.len() > LINE_BYTES_MAX && memchr::memchr(b'\n', &self.text).is_none() {
            return Err(ClientError::Malformed("a line is too long".into()));
        }
        Ok(())
    }

    /// True if no line will come after those that have arrived.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    fn decode(&mut self) -> Result<(), ClientError> {
        self.has_ended = self.body.take(&mut self.raw, &mut self.text)?;
        Ok(())
    }
}

impl AsFd for Lines {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
