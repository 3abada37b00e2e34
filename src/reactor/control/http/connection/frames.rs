//! The side of a connection that is no HTTP any more: after `101 Switching Protocols`, frames in and out
//! ([`crate::wire::terminal`]). What they mean is the caller's.

use super::{Client, Connection, Phase};
use crate::reactor::control::http::request::After;
use crate::reactor::control::http::{OUTPUT_BYTES_MAX, Status};
use crate::wire::terminal::{CLIENT_BYTES_MAX, FRAME_HEAD_BYTES, First, Frame, first};

/// What has come of the frames of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrived {
    Frame(Frame),
    /// No whole frame.
    Nothing,
    /// A frame that is longer than allowed: where the next one begins is of no use.
    TooLong,
    /// The client sends no more.
    End,
}

impl Connection {
    /// Answers the request in work with this protocol. From now on frames go both ways. A client may send its first
    /// ones before the answer.
    pub fn switch_protocols(&mut self, protocol: &'static str) {
        let Phase::Answer(_) = self.phase else { return };
        let status = Status::SwitchingProtocols;
        let (code, reason) = (status.code(), status.reason());
        let head = format!(
            "HTTP/1.1 {code} {reason}\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n"
        );
        self.answered.push(status);
        self.output.push(head.as_bytes());
        self.phase = Phase::Frames;
    }

    /// Takes the next frame. What is not taken stays in the buffer, and so, before long, in the client's own.
    pub fn next_frame(&mut self) -> Arrived {
        let Phase::Frames = self.phase else { return Arrived::Nothing };
        match (first(self.input.bytes(), CLIENT_BYTES_MAX), self.client) {
            (First::Frame(frame, length), _) => {
                self.input.advance(length);
                Arrived::Frame(frame)
            }
            (First::TooLong, _) => Arrived::TooLong,
            (First::Nothing, Client::MaySend) => Arrived::Nothing,
            (First::Nothing, Client::HalfClosed) => Arrived::End,
        }
    }

    /// How long the rest of a frame may be that is added now; `None` if there is no room for one.
    pub fn frame_room(&self) -> Option<usize> {
        let taken = self.output.len() + FRAME_HEAD_BYTES;
        OUTPUT_BYTES_MAX.checked_sub(taken).filter(|room| *room > 0)
    }

    /// Adds a frame, if there is room. Without frames, nothing happens.
    pub fn send_frame(&mut self, frame: &Frame) {
        let Phase::Frames = self.phase else { return };
        if self.frame_room().is_some_and(|room| frame.rest.len() <= room) {
            self.output.push(&frame.written());
        }
    }

    /// No frame follows: the connection is closed once all is written.
    pub fn end_frames(&mut self) {
        let Phase::Frames = self.phase else { return };
        self.input.clear();
        self.phase = Phase::Writing(After::Close);
        self.note_written();
    }
}
