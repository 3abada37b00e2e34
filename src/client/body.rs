//! The framing of a body (RFC 9112, sections 6 and 7): from the bytes of a connection to those of the body. Reads
//! nothing itself.

use httparse::{Status, parse_chunk_size};

use super::ClientError;

/// How far a body has come.
#[derive(Debug)]
pub(super) struct Body(State);

#[derive(Debug)]
enum State {
    /// This many bytes are to come.
    Length(u64),
    /// The size of a chunk is next.
    Size,
    /// This many bytes of the chunk are to come.
    Chunk(u64),
    /// The line feed after a chunk is next.
    AfterChunk,
    /// What may follow the last chunk, up to an empty line.
    Trailer,
    /// It ends with the connection.
    UntilTheEnd,
    Complete,
}

impl Body {
    pub(super) fn length(bytes: u64) -> Self {
        Self(State::Length(bytes))
    }

    pub(super) fn chunked() -> Self {
        Self(State::Size)
    }

    pub(super) fn until_the_end() -> Self {
        Self(State::UntilTheEnd)
    }

    /// Takes what it can from `raw`. True if the body is complete.
    ///
    /// # Errors
    /// If the framing is wrong.
    pub(super) fn take(
        &mut self,
        raw: &mut Vec<u8>,
        into: &mut Vec<u8>,
    ) -> Result<bool, ClientError> {
        let mut rest = &raw[..];
        while let Some((next, taken)) = self.step(rest, into)? {
            self.0 = next;
            rest = &rest[taken..];
        }
        let taken = raw.len() - rest.len();
        raw.drain(..taken);
        Ok(matches!(self.0, State::Complete))
    }

    /// The connection has ended.
    ///
    /// # Errors
    /// If more of the body was to come.
    pub(super) fn end(&mut self) -> Result<(), ClientError> {
        match self.0 {
            State::UntilTheEnd | State::Complete => Ok(()),
            State::Length(_)
            | State::Size
            | State::Chunk(_)
            | State::AfterChunk
            | State::Trailer => Err(ClientError::Ended),
        }
    }

    /// The next state, and how many bytes lead to it; `None` if more of them must come first.
    fn step(&self, rest: &[u8], into: &mut Vec<u8>) -> Result<Option<(State, usize)>, ClientError> {
        let mut copy = |left: u64| {
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
            into.extend_from_slice(&rest[..count]);
            count
        };
        let malformed = |what: &str| Err(ClientError::Malformed(what.into()));
        Ok(match self.0 {
            State::Complete => None,
            State::Length(0) => Some((State::Complete, 0)),
            State::Chunk(0) => Some((State::AfterChunk, 0)),
            State::Length(_) | State::Chunk(_) | State::UntilTheEnd if rest.is_empty() => None,
            State::Length(left) => {
                let count = copy(left);
                Some((State::Length(left - count as u64), count))
            }
            State::Chunk(left) => {
                let count = copy(left);
                Some((State::Chunk(left - count as u64), count))
            }
            State::UntilTheEnd => Some((State::UntilTheEnd, copy(u64::MAX))),
            State::Size => match parse_chunk_size(rest) {
                Ok(Status::Complete((length, 0))) => Some((State::Trailer, length)),
                Ok(Status::Complete((length, size))) => Some((State::Chunk(size), length)),
                Ok(Status::Partial) => None,
                Err(_) => return malformed("the size of a chunk is wrong"),
            },
            State::AfterChunk => match rest {
                [b'\r', b'\n', ..] => Some((State::Size, 2)),
                [] | [b'\r'] => None,
                _ => return malformed("a chunk is longer than its size"),
            },
            State::Trailer => match memchr::memmem::find(rest, b"\r\n") {
                Some(0) => Some((State::Complete, 2)),
                Some(end) => Some((State::Trailer, end + 2)),
                None => None,
            },
        })
    }
}
