//! One look at a port from outside: a connect, and a question if HTTP is asked for. It never waits.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use nix::errno::Errno;

use super::Trouble;
use super::http::{self, Expectation, Judgement};
use crate::plan::Probe;

/// Tried in this order: what a worker calls localhost may be either.
const ADDRESSES: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

const CHUNK_BYTES: usize = 8 * 1024;

/// A look that is under way.
#[derive(Debug)]
pub struct Attempt {
    port: u16,
    token: Token,
    stream: TcpStream,
    /// Its index.
    address: usize,
    is_registered: bool,
    /// None if a connection is all that is wanted.
    question: Option<Question>,
}

#[derive(Debug)]
struct Question {
    request: Vec<u8>,
    written: usize,
    answer: Vec<u8>,
    expectation: Expectation,
}

/// What has come of an attempt.
#[derive(Debug)]
pub enum Progress {
    /// The poll will tell of more.
    Pending(Attempt),
    Passed,
    Failed(Trouble),
}

impl Attempt {
    /// Begins to look at a port, or `None` if the check is no look at a port.
    pub fn begin(check: &Probe, registry: &Registry, token: Token) -> Option<Progress> {
        let (port, question) = match check {
            Probe::Tcp { port } => (*port, None),
            Probe::Http { port, target, status, text } => {
                let expectation = Expectation { status: status.clone(), text: text.clone() };
                let (request, written) = (http::request(target, *port), 0);
                let question = Question { request, written, answer: Vec::new(), expectation };
                (*port, Some(question))
            }
            Probe::Exec { .. } => return None,
        };
        Some(Self::connect(port, token, 0, question, registry))
    }

    /// Goes on after the poll has told of it.
    pub fn advance(self, registry: &Registry) -> Progress {
        match outcome(&self.stream) {
            None => self.wait(registry),
            Some(Ok(())) => self.ask(registry),
            Some(Err(_)) => {
                Self::connect(self.port, self.token, self.address + 1, self.question, registry)
            }
        }
    }

    /// Connects to the first address, from this one on, that does not refuse at once.
    fn connect(
        port: u16,
        token: Token,
        first: usize,
        question: Option<Question>,
        registry: &Registry,
    ) -> Progress {
        for (address, ip) in ADDRESSES.iter().enumerate().skip(first) {
            let stream = match TcpStream::connect(SocketAddr::new(*ip, port)) {
                Ok(stream) => stream,
                Err(error) => match own_trouble(&error) {
                    Some(trouble) => return Progress::Failed(trouble),
                    None => continue,
                },
            };
            // On the loopback device most connects are decided by now.
            if outcome(&stream).is_some_and(|connected| connected.is_err()) {
                continue;
            }
            let is_registered = false;
            let attempt = Self { port, token, stream, address, is_registered, question };
            return attempt.advance(registry);
        }
        Progress::Failed(Trouble::Refused(port))
    }

    /// Writes what is left of the question and reads what there is of the answer.
    fn ask(mut self, registry: &Registry) -> Progress {
        let Some(question) = &mut self.question else {
            return Progress::Passed;
        };
        match question.advance(&mut self.stream) {
            Judgement::Open => self.wait(registry),
            Judgement::Passed => Progress::Passed,
            Judgement::Failed(trouble) => Progress::Failed(trouble),
        }
    }

    fn wait(mut self, registry: &Registry) -> Progress {
        if !self.is_registered {
            let interest = Interest::READABLE | Interest::WRITABLE;
            if let Err(error) = registry.register(&mut self.stream, self.token, interest) {
                // ENOSPC, the only other one: too many descriptors are watched by this user (epoll_ctl(2)).
                let trouble = own_trouble(&error).unwrap_or(Trouble::Ours(Errno::ENOSPC));
                return Progress::Failed(trouble);
            }
            self.is_registered = true;
        }
        Progress::Pending(self)
    }
}

impl Question {
    fn advance(&mut self, stream: &mut TcpStream) -> Judgement {
        while self.written < self.request.len() {
            match stream.write(&self.request[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock => return Judgement::Open,
                    // It may have answered before it closed; the read will tell.
                    _ => break,
                },
            }
        }
        let mut chunk = [0; CHUNK_BYTES];
        loop {
            let is_over = match stream.read(&mut chunk) {
                Ok(0) => true,
                Ok(count) => {
                    self.answer.extend_from_slice(&chunk[..count]);
                    false
                }
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => continue,
                    ErrorKind::WouldBlock => return Judgement::Open,
                    _ => true,
                },
            };
            match self.expectation.judge(&self.answer, is_over) {
                Judgement::Open => {}
                decided @ (Judgement::Passed | Judgement::Failed(_)) => return decided,
            }
        }
    }
}

/// Why pm itself cannot ask, if that is it: it has no descriptor, port or memory left for the question.
fn own_trouble(error: &io::Error) -> Option<Trouble> {
    let errno = error.raw_os_error().map(Errno::from_raw)?;
    let is_ours = matches!(
        errno,
        Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM | Errno::EADDRNOTAVAIL
    );
    is_ours.then_some(Trouble::Ours(errno))
}

/// How a connect ended, or `None` while it has not (connect(2), EINPROGRESS).
fn outcome(stream: &TcpStream) -> Option<io::Result<()>> {
    match stream.take_error() {
        Ok(Some(error)) | Err(error) => return Some(Err(error)),
        Ok(None) => {}
    }
    match stream.peer_addr() {
        // A port from which outgoing connections are made can be given to the probe itself: TCP lets it connect to
        // its own end where nobody listens (a simultaneous open, RFC 9293 section 3.5).
        Ok(peer) if stream.local_addr().is_ok_and(|own| own == peer) => {
            Some(Err(ErrorKind::ConnectionRefused.into()))
        }
        Ok(_) => Some(Ok(())),
        Err(error) if error.kind() == ErrorKind::NotConnected => None,
        Err(error) => Some(Err(error)),
    }
}
