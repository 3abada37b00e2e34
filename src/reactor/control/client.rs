//! One client of the control socket: its descriptor, its connection, and what its answer waits for.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use mio::Token;
use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry};

use super::attachment::Attachment;
use super::call::Lasting;
use super::goal::Pending;
use super::http::{Awaiting, CommonHeaders, Connection, READ_BYTES_MAX, Request};
use super::live::Live;
use super::logs::Logs;
use super::metrics::Metrics;
use super::stats::Sampling;
use super::stream::Stream as EventStream;
use super::tcp::{self, Visit};

/// Bytes that are written to one client in one wakeup.
const WRITTEN_BYTES_MAX: usize = 256 * 1024;

/// From one sign to the next, where nothing else is to be said.
const SIGN_EVERY: Duration = Duration::from_secs(15);

/// One client.
#[derive(Debug)]
pub struct Client {
    stream: Stream,
    /// Where it came in, and so which of its requests are answered.
    pub door: Door,
    pub token: Token,
    pub connection: Connection,
    pub work: Work,
    is_readable: bool,
    is_writable: bool,
    /// What it keeps its connection waiting for, and since when.
    awaiting: (Awaiting, Instant),
    /// It has taken something since that was noted last.
    has_taken: bool,
    sending: Sending,
    /// When it was given something last, if it reads events.
    given_at: Instant,
}

/// Whether a client may send more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    Open,
    Ended,
}

/// The descriptor of a client.
#[derive(Debug)]
pub enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// Where a client came in.
#[derive(Debug)]
pub enum Door {
    /// The control socket, which pm's own user alone can open.
    Control,
    /// The port of the page.
    Page(Box<Visit>),
}

impl Door {
    /// What stands on each answer.
    pub fn headers(&self) -> CommonHeaders {
        match self {
            Self::Control => &[],
            Self::Page(_) => tcp::HEADERS,
        }
    }
}

/// What the answer in work waits for.
#[derive(Debug)]
pub enum Work {
    Nothing,
    Pending(Box<Pending>),
    Sampling(Box<Sampling>),
    Stream(Box<EventStream>),
    Live(Box<Live>),
    Logs(Box<Logs>),
    Metrics(Box<Metrics>),
    Attached(Box<Attachment>),
}

/// Whether something is left to do at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    Nothing,
    Something,
}

impl Client {
    pub fn new(stream: Stream, door: Door, token: Token, now: Instant) -> Self {
        Self {
            stream,
            connection: Connection::new().with_headers(door.headers()),
            door,
            token,
            work: Work::Nothing,
            // What has come before the registration makes an event too, but only one.
            is_readable: true,
            is_writable: true,
            awaiting: (Awaiting::Head, now),
            has_taken: false,
            sending: Sending::Open,
            given_at: now,
        }
    }

    pub fn is_of_page(&self) -> bool {
        matches!(self.door, Door::Page(_))
    }

    /// The poll has reported it: it may be readable, writable or closed.
    pub fn wake(&mut self) {
        self.is_readable = true;
        self.is_writable = true;
    }

    /// Reads once, if the connection wants bytes, and takes a request if one is whole.
    pub fn read(&mut self, buffer: &mut [u8]) -> Option<Request> {
        if self.is_readable && self.connection.wants_bytes() {
            let most = buffer.len().min(READ_BYTES_MAX);
            match self.stream.read(&mut buffer[..most]) {
                Ok(0) => {
                    self.is_readable = false;
                    self.sending = Sending::Ended;
                    self.connection.on_eof();
                }
                Ok(count) => self.connection.on_bytes(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.is_readable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.connection.close_now(),
            }
        }
        self.connection.next_request()
    }

    /// Writes what waits, as much as the kernel takes.
    pub fn write(&mut self) {
        let mut written = 0;
        while self.is_writable && written < WRITTEN_BYTES_MAX {
            let output = self.connection.output();
            if output.is_empty() {
                break;
            }
            match send(&mut self.stream, output) {
                Ok(count) => {
                    written += count;
                    self.has_taken = true;
                    self.connection.advance(count);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.is_writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.connection.close_now(),
            }
        }
        if self.connection.take_shutdown() {
            // It may have closed.
            let _ = self.stream.shutdown(Shutdown::Write);
        }
    }

    /// Whether it can go on without a new event.
    pub fn left(&self) -> Left {
        let reads = self.is_readable && self.connection.wants_bytes();
        let writes = self.is_writable && !self.connection.output().is_empty();
        // It came behind the last one, whose answer is written.
        let has_request =
            self.connection.awaiting() == Awaiting::Answer && matches!(self.work, Work::Nothing);
        if reads || writes || has_request { Left::Something } else { Left::Nothing }
    }

    /// The status that waits for samples, if it asks for one. What it waits for is then nothing.
    pub fn take_sampling(&mut self) -> Option<Box<Sampling>> {
        match std::mem::replace(&mut self.work, Work::Nothing) {
            Work::Sampling(sampling) => Some(sampling),
            other => {
                self.work = other;
                None
            }
        }
    }

    /// Forgets a stream or frames that have ended.
    pub fn end_work(&mut self) {
        let awaiting = self.connection.awaiting();
        let has_ended = match self.work {
            Work::Stream(_) | Work::Live(_) => awaiting != Awaiting::Stream,
            Work::Logs(_) | Work::Metrics(_) => awaiting != Awaiting::Stream,
            Work::Attached(_) => awaiting != Awaiting::Frames,
            Work::Nothing | Work::Pending(_) | Work::Sampling(_) => false,
        };
        if has_ended {
            self.work = Work::Nothing;
        }
    }

    /// Whether its answer lasts until the client ends it, or until something is so.
    pub fn lasting(&self) -> Lasting {
        match &self.work {
            Work::Stream(stream) if stream.follows() => Lasting::Stream,
            Work::Logs(logs) if logs.follows() => Lasting::Stream,
            Work::Attached(_) | Work::Live(_) => Lasting::Stream,
            Work::Pending(_) => Lasting::Wait,
            Work::Stream(_) | Work::Logs(_) | Work::Metrics(_) => Lasting::No,
            Work::Nothing | Work::Sampling(_) => Lasting::No,
        }
    }

    /// Closes a stream of a client that sends no more. Over TCP it has closed, as a rule, which a unix socket would
    /// tell apart from the end of what it sends.
    pub fn close_if_gone(&mut self) {
        if self.sending == Sending::Ended && self.is_of_page() && self.lasting() == Lasting::Stream
        {
            self.connection.close_now();
        }
    }

    /// When a reader of events is given a sign that it is not forgotten: proxies and machines between close a
    /// connection that says nothing.
    pub fn sign_at(&self) -> Option<Instant> {
        let reads_events = match &self.work {
            Work::Live(_) => true,
            Work::Stream(stream) => stream.has_comments(),
            Work::Logs(logs) => logs.has_comments(),
            Work::Metrics(_) | Work::Attached(_) => false,
            Work::Nothing | Work::Pending(_) | Work::Sampling(_) => false,
        };
        let is_idle = self.connection.output().is_empty();
        (self.is_of_page() && reads_events && is_idle).then(|| self.given_at + SIGN_EVERY)
    }

    /// Gives it that sign, if it is time.
    pub fn give_sign(&mut self, now: Instant) {
        if self.sign_at().is_some_and(|at| now >= at) {
            self.connection.stream(b": ping\n\n");
            self.given_at = now;
        }
    }

    pub fn is_closed(&self) -> bool {
        self.connection.awaiting() == Awaiting::Closed
    }

    /// Notes what it waits for now. Each kind of wait has its own time.
    pub fn note_wait(&mut self, now: Instant) {
        let awaiting = self.connection.awaiting();
        let goes_on = matches!(awaiting, Awaiting::Stream | Awaiting::Writing);
        // An answer that is read has all the time that it wants.
        let has_taken = std::mem::take(&mut self.has_taken);
        if has_taken {
            self.given_at = now;
        }
        let is_read = goes_on && (has_taken || self.connection.output().is_empty());
        if awaiting != self.awaiting.0 || is_read {
            self.awaiting = (awaiting, now);
        }
    }

    /// When its time is over. `None` if it waits for pm.
    pub fn deadline(&self) -> Option<Instant> {
        let (awaiting, since) = self.awaiting;
        let seconds = match awaiting {
            Awaiting::Head | Awaiting::Body => 5,
            Awaiting::Idle => 30,
            Awaiting::Writing => 10,
            Awaiting::Stream if !self.connection.output().is_empty() => 60,
            Awaiting::Lingering => 1,
            // One that does not read loses what it does not read; one whose keys are not taken waits as its keys do.
            Awaiting::Frames => return None,
            Awaiting::Answer | Awaiting::Stream | Awaiting::Closed => return None,
        };
        Some(since + Duration::from_secs(seconds))
    }
}

/// std sends with MSG_NOSIGNAL, and SIGPIPE is ignored in pm anyway.
fn send(stream: &mut Stream, bytes: &[u8]) -> io::Result<usize> {
    match stream.write(bytes)? {
        0 => Err(ErrorKind::WriteZero.into()),
        count => Ok(count),
    }
}

impl Stream {
    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.shutdown(how),
            Self::Tcp(stream) => stream.shutdown(how),
        }
    }

    fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Unix(stream) => stream,
            Self::Tcp(stream) => stream,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(buffer),
            Self::Tcp(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(bytes),
            Self::Tcp(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Source for Stream {
    fn register(&mut self, registry: &Registry, token: Token, what: Interest) -> io::Result<()> {
        self.source().register(registry, token, what)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, what: Interest) -> io::Result<()> {
        self.source().reregister(registry, token, what)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.source().deregister(registry)
    }
}

#[cfg(test)]
mod tests;
