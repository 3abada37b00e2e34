//! One client: what it sent, what it is answered, and what the caller has to do next.
//!
//! The caller reads while [`Connection::wants_bytes`], at most [`READ_BYTES_MAX`](super::READ_BYTES_MAX) at once; takes
//! a request and answers it, now or later; writes [`Connection::output`]. One request is in work. The next stays in the
//! buffer until the whole answer is written, so a client that sends without reading costs no more than its buffers.
//! Deadlines are the caller's, by [`Connection::awaiting`]; they begin anew with each request that is taken.
//! `reading` is the side that reads, `frames` what follows a change of protocol.

mod frames;
mod reading;

pub use self::frames::Arrived;

use super::buffer::Buffer;
use super::framing::HeadSearch;
use super::reply::{Body, CHUNK_FRAME_BYTES_MAX, CommonHeaders, Framing, LAST_CHUNK, write_chunk};
use super::request::{After, Incoming, Version};
use super::{Head, OUTPUT_BYTES_MAX, Refusal, Reply, Request, Status};

/// One client of the control socket. No call fails, and each may come at any time.
#[derive(Debug)]
pub struct Connection {
    input: Buffer,
    output: Buffer,
    phase: Phase,
    client: Client,
    history: History,
    /// The statuses of its answers that are not counted yet.
    answered: Vec<Status>,
    /// Of every answer.
    headers: CommonHeaders,
}

/// What a client keeps its connection waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaiting {
    /// The next request, of which nothing has come.
    Idle,
    /// The first request, or the rest of a head.
    Head,
    Body,
    /// pm's answer.
    Answer,
    /// That the client takes what is written.
    Writing,
    /// The rest of a stream.
    Stream,
    /// Frames, whenever there are some.
    Frames,
    /// That the client closes, after the last answer.
    Lingering,
    /// Nothing: the caller closes the descriptor.
    Closed,
}

#[derive(Debug)]
enum Phase {
    Head(HeadSearch),
    Body(Box<Incoming>),
    /// A whole request that has not been taken yet.
    Ready(Box<Request>, Exchange),
    Answer(Exchange),
    Stream(Exchange),
    /// The protocol was changed.
    Frames,
    /// The whole answer is in the output.
    Writing(After),
    Lingering {
        drained: usize,
        shutdown: Shutdown,
    },
    Closed,
}

/// What of a request decides how its answer is framed.
#[derive(Clone, Copy, Debug)]
struct Exchange {
    version: Version,
    body: Body,
    after: After,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    MaySend,
    /// It sends no more; it may still read.
    HalfClosed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum History {
    New,
    Answered,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shutdown {
    Due,
    Done,
}

impl Default for Connection {
    fn default() -> Self {
        Self::new()
    }
}

impl Connection {
    pub fn new() -> Self {
        Self {
            input: Buffer::default(),
            output: Buffer::default(),
            phase: Phase::Head(HeadSearch::default()),
            client: Client::MaySend,
            history: History::New,
            answered: Vec::new(),
            headers: &[],
        }
    }

    /// These headers are on every answer.
    pub fn with_headers(self, headers: CommonHeaders) -> Self {
        Self { headers, ..self }
    }

    /// Answers the request in work. Without one, nothing happens: the client may have been given up meanwhile.
    pub fn reply(&mut self, reply: &Reply) {
        let Phase::Answer(Exchange { body, after, .. }) = self.phase else { return };
        let after = if reply.after() == After::Close { After::Close } else { after };
        self.answered.push(reply.head.status);
        reply.write(body, after, self.headers, &mut self.output);
        self.phase = Phase::Writing(after);
    }

    /// Answers the request in work with a stream. A HEAD request has its whole answer with this.
    pub fn begin_stream(&mut self, head: &Head) {
        let Phase::Answer(exchange) = self.phase else { return };
        let framing = match exchange.version {
            Version::Http10 => Framing::UntilClose,
            Version::Http11 => Framing::Chunked,
        };
        self.answered.push(head.status);
        head.write(framing, exchange.after, self.headers, &mut self.output);
        self.phase = match exchange.body {
            Body::Sent => Phase::Stream(exchange),
            Body::LeftOut => Phase::Writing(exchange.after),
        };
    }

    /// Adds a piece to the stream, at most [`Self::output_room`] bytes. Without a stream, nothing happens.
    pub fn stream(&mut self, piece: &[u8]) {
        let Phase::Stream(exchange) = self.phase else { return };
        match exchange.version {
            // An empty chunk would be the last one.
            Version::Http11 if piece.is_empty() => {}
            Version::Http11 => write_chunk(piece, &mut self.output),
            Version::Http10 => self.output.push(piece),
        }
    }

    pub fn end_stream(&mut self) {
        let Phase::Stream(exchange) = self.phase else { return };
        if exchange.version == Version::Http11 {
            self.output.push(LAST_CHUNK);
        }
        self.phase = Phase::Writing(exchange.after);
        self.note_written();
    }

    /// The statuses of the answers since the last call.
    pub fn take_answered(&mut self) -> Vec<Status> {
        std::mem::take(&mut self.answered)
    }

    /// How many bytes of a stream may be added now.
    pub fn output_room(&self) -> usize {
        OUTPUT_BYTES_MAX.saturating_sub(self.output.len() + CHUNK_FRAME_BYTES_MAX)
    }

    /// What is to be written now.
    pub fn output(&self) -> &[u8] {
        self.output.bytes()
    }

    /// The kernel has taken this many bytes of the output.
    pub fn advance(&mut self, count: usize) {
        self.output.advance(count);
        self.note_written();
    }

    /// What its buffers take of memory: nothing while it is idle.
    pub fn memory_bytes(&self) -> usize {
        self.input.capacity() + self.output.capacity()
    }

    /// True if no request has begun and no answer waits: this client loses nothing if it is closed.
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Head(_)) && self.input.is_empty()
    }

    pub fn awaiting(&self) -> Awaiting {
        match self.phase {
            Phase::Head(_) if self.is_idle() && self.history == History::Answered => Awaiting::Idle,
            Phase::Head(_) => Awaiting::Head,
            Phase::Body(_) => Awaiting::Body,
            Phase::Ready(..) | Phase::Answer(_) => Awaiting::Answer,
            Phase::Stream(_) => Awaiting::Stream,
            Phase::Frames => Awaiting::Frames,
            Phase::Writing(_) => Awaiting::Writing,
            Phase::Lingering { .. } => Awaiting::Lingering,
            Phase::Closed => Awaiting::Closed,
        }
    }

    /// True once, when the caller has to shut down its sending half. A client that still sends would otherwise get a
    /// reset instead of the last answer.
    pub fn take_shutdown(&mut self) -> bool {
        let Phase::Lingering { shutdown, .. } = &mut self.phase else { return false };
        std::mem::replace(shutdown, Shutdown::Done) == Shutdown::Due
    }

    /// No room for this client: it is answered before its request has come.
    pub fn turn_away(&mut self) {
        self.refuse(Refusal::Busy);
    }

    /// The deadline of [`Self::awaiting`] is over. A request that has begun is answered with 408; an answer that pm
    /// owes is still waited for; all else is closed.
    pub fn time_out(&mut self) {
        match self.phase {
            Phase::Head(_) if self.is_idle() => self.close_now(),
            Phase::Head(_) | Phase::Body(_) => self.refuse(Refusal::Late),
            Phase::Ready(..) | Phase::Answer(_) => {}
            Phase::Stream(_)
            | Phase::Frames
            | Phase::Writing(_)
            | Phase::Lingering { .. }
            | Phase::Closed => self.close_now(),
        }
    }

    /// Closes, whatever is in work. A stream without its end is recognized by the client.
    pub fn close_now(&mut self) {
        self.phase = Phase::Closed;
        self.input.clear();
        self.output.clear();
    }

    #[cfg(test)]
    pub(super) fn buffers(&self) -> [&Buffer; 2] {
        [&self.input, &self.output]
    }

    /// Goes on after an answer that is wholly written.
    fn note_written(&mut self) {
        let Phase::Writing(after) = self.phase else { return };
        if !self.output.is_empty() {
            return;
        }
        self.history = History::Answered;
        match (after, self.client) {
            (After::NextRequest, _) => {
                self.phase = Phase::Head(HeadSearch::default());
                self.read_on();
            }
            (After::Close, Client::MaySend) => {
                self.input.clear();
                self.phase = Phase::Lingering { drained: 0, shutdown: Shutdown::Due };
            }
            (After::Close, Client::HalfClosed) => self.close_now(),
        }
    }
}
