//! The side of a connection that reads: from bytes to a request, or to a refusal.

use super::{Client, Connection, Exchange, Phase};
use crate::reactor::control::http::framing::{EMPTY_LINE_BYTES, Found};
use crate::reactor::control::http::reply::{Body, CONTINUE};
use crate::reactor::control::http::request::{self, After, Expectation, Incoming};
use crate::reactor::control::http::{DRAINED_BYTES_MAX, HEAD_BYTES_MAX, Method, Refusal, Request};

impl Connection {
    /// Whether to read now. While a request is in work, only a little of the next ones is read.
    pub fn wants_bytes(&self) -> bool {
        let has_room = match self.phase {
            Phase::Head(_) | Phase::Body(_) | Phase::Lingering { .. } => true,
            Phase::Ready(..)
            | Phase::Answer(_)
            | Phase::Stream(_)
            | Phase::Frames
            | Phase::Writing(After::NextRequest) => self.input.len() < HEAD_BYTES_MAX,
            Phase::Writing(After::Close) | Phase::Closed => false,
        };
        has_room && self.client == Client::MaySend
    }

    /// Takes what was read.
    pub fn on_bytes(&mut self, bytes: &[u8]) {
        match &mut self.phase {
            Phase::Lingering { drained, .. } => {
                *drained += bytes.len();
                if *drained > DRAINED_BYTES_MAX {
                    self.close_now();
                }
            }
            Phase::Writing(After::Close) | Phase::Closed => {}
            Phase::Head(_)
            | Phase::Body(_)
            | Phase::Ready(..)
            | Phase::Answer(_)
            | Phase::Stream(_)
            | Phase::Frames
            | Phase::Writing(After::NextRequest) => {
                self.input.push(bytes);
                self.read_on();
            }
        }
    }

    /// The client sends no more. What it has sent is still answered.
    pub fn on_eof(&mut self) {
        self.client = Client::HalfClosed;
        if let Phase::Lingering { .. } = self.phase {
            self.close_now();
        } else {
            self.read_on();
        }
    }

    /// Takes the next request, unless one is in work. It is answered by [`Self::reply`] or [`Self::begin_stream`].
    pub fn next_request(&mut self) -> Option<Request> {
        match std::mem::replace(&mut self.phase, Phase::Closed) {
            Phase::Ready(request, exchange) => {
                self.phase = Phase::Answer(exchange);
                Some(*request)
            }
            other => {
                self.phase = other;
                None
            }
        }
    }

    /// Reads on in what has come, until a request is whole, or more bytes have to come.
    pub(super) fn read_on(&mut self) {
        loop {
            match &mut self.phase {
                Phase::Head(search) => match search.find(self.input.bytes()) {
                    Ok(Found::LeadingLine) => self.input.advance(EMPTY_LINE_BYTES),
                    Ok(Found::Head(length)) => self.on_head(length),
                    Ok(Found::Nothing) => return self.check_for_end(),
                    Err(refusal) => self.refuse(refusal),
                },
                Phase::Body(_) => return self.read_body(),
                Phase::Ready(..)
                | Phase::Answer(_)
                | Phase::Stream(_)
                | Phase::Frames
                | Phase::Writing(_)
                | Phase::Lingering { .. }
                | Phase::Closed => return,
            }
        }
    }

    fn on_head(&mut self, length: usize) {
        let incoming = match request::read(&self.input.bytes()[..length]) {
            Ok(incoming) => incoming,
            Err(refusal) => return self.refuse(refusal),
        };
        self.input.advance(length);
        if incoming.expectation == Expectation::Continue && incoming.body_bytes > 0 {
            self.output.push(CONTINUE);
        }
        self.phase = Phase::Body(Box::new(incoming));
    }

    fn read_body(&mut self) {
        match std::mem::replace(&mut self.phase, Phase::Closed) {
            Phase::Body(incoming) if self.input.len() >= incoming.body_bytes => {
                let Incoming { mut request, body_bytes, version, after, .. } = *incoming;
                request.body = self.input.bytes()[..body_bytes].to_vec();
                self.input.advance(body_bytes);
                let is_head = request.method == Method::Head;
                let body = if is_head { Body::LeftOut } else { Body::Sent };
                let exchange = Exchange { version, body, after };
                self.phase = Phase::Ready(Box::new(request), exchange);
            }
            other => {
                self.phase = other;
                self.check_for_end();
            }
        }
    }

    /// More has to come. After the end of the client's bytes, nothing does.
    fn check_for_end(&mut self) {
        match self.client {
            Client::MaySend => {}
            Client::HalfClosed if self.is_idle() => self.close_now(),
            Client::HalfClosed => self.refuse(Refusal::Incomplete),
        }
    }

    /// Answers an error. Where the next request would begin is unknown: this was the last one.
    pub(super) fn refuse(&mut self, refusal: Refusal) {
        let is_head = if let Phase::Body(incoming) = &self.phase {
            incoming.request.method == Method::Head
        } else {
            self.input.bytes().split(|byte| *byte == b' ').next() == Some(b"HEAD")
        };
        self.input.clear();
        let body = if is_head { Body::LeftOut } else { Body::Sent };
        let reply = refusal.reply();
        self.answered.push(reply.head.status);
        reply.write(body, After::Close, self.headers, &mut self.output);
        self.phase = Phase::Writing(After::Close);
    }
}
