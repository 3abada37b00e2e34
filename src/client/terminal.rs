//! The terminal of a worker, once pm has changed the protocol. Nothing here waits: the caller polls the socket.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use super::{ClientError, READ_BYTES, is_closed, set_up};
use crate::wire::terminal::{First, FromClient, FromPm, first};

/// A connection that has the terminal of a slot.
#[derive(Debug)]
pub struct Terminal {
    socket: UnixStream,
    arrived: Vec<u8>,
    unsent: Vec<u8>,
    sending: Sending,
    has_ended: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    GoesOn,
    /// Nothing follows what is not sent yet.
    Ends,
    Ended,
}

impl Terminal {
    /// `arrived` is what has come after the head of the answer.
    pub(super) fn of(socket: UnixStream, arrived: Vec<u8>) -> Result<Self, ClientError> {
        socket.set_nonblocking(true).map_err(set_up)?;
        let (unsent, sending, has_ended) = (Vec::new(), Sending::GoesOn, false);
        Ok(Self { socket, arrived, unsent, sending, has_ended })
    }

    /// The next frame that has arrived, but for those that this client does not know. Reads nothing.
    pub fn arrived(&mut self) -> Option<FromPm> {
        while let First::Frame(frame, length) = first(&self.arrived, usize::from(u16::MAX)) {
            self.arrived.drain(..length);
            if let Some(message) = FromPm::of(frame) {
                return Some(message);
            }
        }
        None
    }

    /// Reads once what the socket has.
    ///
    /// # Errors
    /// As read(2).
    pub fn read(&mut self) -> Result<(), ClientError> {
        let before = self.arrived.len();
        self.arrived.resize(before + READ_BYTES, 0);
        let read = self.socket.read(&mut self.arrived[before..]);
        self.arrived.truncate(before + read.as_ref().copied().unwrap_or(0));
        match read {
            Ok(0) => self.has_ended = true,
            Ok(_) => {}
            Err(error) if is_closed(&error) => self.has_ended = true,
            Err(error) if is_not_now(&error) => {}
            Err(source) => return Err(ClientError::Io { step: "read from", source }),
        }
        Ok(())
    }

    /// True if nothing comes any more after what has arrived.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Adds what is to be sent.
    pub fn add(&mut self, message: &FromClient) {
        self.unsent.extend(message.frame().written());
    }

    /// How many bytes pm has not taken yet.
    pub fn unsent_bytes(&self) -> usize {
        self.unsent.len()
    }

    /// Nothing more is to be sent.
    pub fn end_keys(&mut self) {
        self.sending = Sending::Ends;
    }

    /// Sends what pm takes now.
    ///
    /// # Errors
    /// As write(2), except that pm has closed the connection.
    pub fn send(&mut self) -> Result<(), ClientError> {
        while !self.unsent.is_empty() {
            match self.socket.write(&self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                // Why it has is still to be read.
                Err(error) if is_closed(&error) => self.unsent.clear(),
                Err(error) if is_not_now(&error) => return Ok(()),
                Err(source) => return Err(ClientError::Io { step: "write to", source }),
            }
        }
        if self.sending == Sending::Ends {
            self.sending = Sending::Ended;
            // pm may have closed it.
            let _ = self.socket.shutdown(Shutdown::Write);
        }
        Ok(())
    }
}

impl AsFd for Terminal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn is_not_now(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
