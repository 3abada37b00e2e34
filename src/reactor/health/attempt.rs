//! One probe of a port: a connect, and an HTTP request if the probe is one. It never waits.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mio::net::TcpStream;
use mio::{Interest, Token};
use nix::errno::Errno;

use super::http::{self, Expectation, Judgement, Stream};
use crate::plan::Probe;
use crate::reactor::report::ProbeFailure;
use crate::reactor::tokens::Registrar;

/// Tried in this order: a worker may listen on either.
const ADDRESSES: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

const CHUNK_BYTES: usize = 8 * 1024;

/// A probe of a port that is under way.
#[derive(Debug)]
pub struct Attempt {
    port: u16,
    token: Token,
    stream: TcpStream,
    /// The index in [`ADDRESSES`].
    address: usize,
    is_registered: bool,
    connection: Connection,
    /// `None` if the connection alone passes.
    exchange: Option<Exchange>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Connection {
    UnderWay,
    /// An error of the socket is one of the exchange from now on.
    Made,
}

#[derive(Debug)]
struct Exchange {
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
    Failed(ProbeFailure),
}

impl Attempt {
    /// Begins to probe a port under a reserved token; `None` if the probe is a command.
    pub fn begin(probe: &Probe, registrar: &Registrar<'_>, token: Token) -> Option<Progress> {
        let (port, exchange) = match probe {
            Probe::Tcp { port } => (*port, None),
            Probe::Http { port, target, status, text } => {
                let expectation = Expectation { status: status.clone(), text: text.clone() };
                let (request, written) = (http::request(target, *port), 0);
                let exchange = Exchange { request, written, answer: Vec::new(), expectation };
                (*port, Some(exchange))
            }
            Probe::Exec { .. } => return None,
        };
        Some(Self::connect(port, token, 0, exchange, registrar))
    }

    /// Goes on after an event of the poll.
    pub fn advance(mut self, registrar: &Registrar<'_>) -> Progress {
        if self.connection == Connection::Made {
            return self.exchange(registrar);
        }
        match outcome(&self.stream) {
            None => self.wait(registrar),
            Some(Ok(())) => {
                self.connection = Connection::Made;
                self.exchange(registrar)
            }
            Some(Err(_)) => {
                Self::connect(self.port, self.token, self.address + 1, self.exchange, registrar)
            }
        }
    }

    /// Connects to the first address, from index `first` on, that does not refuse at once.
    fn connect(
        port: u16,
        token: Token,
        first: usize,
        exchange: Option<Exchange>,
        registrar: &Registrar<'_>,
    ) -> Progress {
        for (address, ip) in ADDRESSES.iter().enumerate().skip(first) {
            let stream = match TcpStream::connect(SocketAddr::new(*ip, port)) {
                Ok(stream) => stream,
                Err(error) => match own_failure(&error) {
                    Some(failure) => return Progress::Failed(failure),
                    None => continue,
                },
            };
            // On the loopback device most connects are decided by now.
            let connection = match outcome(&stream) {
                None => Connection::UnderWay,
                Some(Ok(())) => Connection::Made,
                Some(Err(_)) => continue,
            };
            let is_registered = false;
            let attempt =
                Self { port, token, stream, address, is_registered, connection, exchange };
            return match connection {
                Connection::UnderWay => attempt.wait(registrar),
                Connection::Made => attempt.exchange(registrar),
            };
        }
        Progress::Failed(ProbeFailure::Refused(port))
    }

    /// Writes the rest of the request and reads what there is of the answer.
    fn exchange(mut self, registrar: &Registrar<'_>) -> Progress {
        let Some(exchange) = &mut self.exchange else {
            return Progress::Passed;
        };
        match exchange.advance(&mut self.stream) {
            Judgement::Open => self.wait(registrar),
            Judgement::Passed => Progress::Passed,
            Judgement::Failed(failure) => Progress::Failed(failure),
        }
    }

    fn wait(mut self, registrar: &Registrar<'_>) -> Progress {
        if !self.is_registered {
            let interest = Interest::READABLE | Interest::WRITABLE;
            if let Err(error) = registrar.watch(&mut self.stream, self.token, interest) {
                // ENOSPC is the only other error: this user watches too many descriptors (epoll_ctl(2)).
                let failure = own_failure(&error).unwrap_or(ProbeFailure::Own(Errno::ENOSPC));
                return Progress::Failed(failure);
            }
            self.is_registered = true;
        }
        Progress::Pending(self)
    }
}

impl Exchange {
    fn advance(&mut self, stream: &mut TcpStream) -> Judgement {
        while self.written < self.request.len() {
            match stream.write(&self.request[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock => return Judgement::Open,
                    // It may have answered before it closed: the read shows it.
                    _ => break,
                },
            }
        }
        let mut chunk = [0; CHUNK_BYTES];
        loop {
            let state = match stream.read(&mut chunk) {
                Ok(0) => Stream::Closed,
                Ok(count) => {
                    self.answer.extend_from_slice(&chunk[..count]);
                    Stream::Open
                }
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => continue,
                    ErrorKind::WouldBlock => return Judgement::Open,
                    _ => Stream::Closed,
                },
            };
            match self.expectation.judge(&self.answer, state) {
                Judgement::Open => {}
                decided @ (Judgement::Passed | Judgement::Failed(_)) => return decided,
            }
        }
    }
}

/// The failure if it is pm's own: pm has no descriptor, port or memory left for the probe.
fn own_failure(error: &io::Error) -> Option<ProbeFailure> {
    let errno = error.raw_os_error().map(Errno::from_raw)?;
    let is_ours = matches!(
        errno,
        Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM | Errno::EADDRNOTAVAIL
    );
    is_ours.then_some(ProbeFailure::Own(errno))
}

/// How a connect ended, or `None` while it has not (connect(2), EINPROGRESS).
fn outcome(stream: &TcpStream) -> Option<io::Result<()>> {
    match stream.take_error() {
        Ok(Some(error)) | Err(error) => return Some(Err(error)),
        Ok(None) => {}
    }
    match stream.peer_addr() {
        // The kernel may give the probe its own target as the local port: TCP lets a socket connect to itself where
        // no process listens (a simultaneous open, RFC 9293, section 3.5).
        Ok(peer) if stream.local_addr().is_ok_and(|own| own == peer) => {
            Some(Err(ErrorKind::ConnectionRefused.into()))
        }
        Ok(_) => Some(Ok(())),
        Err(error) if error.kind() == ErrorKind::NotConnected => None,
        Err(error) => Some(Err(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsFd;

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;
    use crate::reactor::tokens::{Poller, Source};
    use crate::supervisor::SlotId;

    /// What comes of a probe of a server that answers this, and resets the connection because it has not read all.
    fn judged(answer: &[u8]) -> Progress {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut poller = Poller::open().unwrap();
        let mut registrar = poller.registrar();
        let token = registrar.reserve(Source::Probe(SlotId(0)));
        let probe = Probe::Http { port, target: "/".into(), status: 200..=299, text: None };
        let mut progress = Attempt::begin(&probe, &registrar, token).unwrap();
        let (mut client, _) = listener.accept().unwrap();
        if let Progress::Pending(attempt) = progress {
            progress = attempt.advance(&registrar);
        }
        client.read_exact(&mut [0; 4]).unwrap();
        client.write_all(answer).unwrap();
        drop(client);
        let Progress::Pending(attempt) = progress else { return progress };
        let mut reset = [PollFd::new(attempt.stream.as_fd(), PollFlags::empty())];
        assert_eq!(
            poll(&mut reset, PollTimeout::from(5_000_u16)),
            Ok(1),
            "the connection is reset"
        );
        attempt.advance(&registrar)
    }

    #[test]
    fn an_answer_before_a_reset_counts() {
        let good = judged(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        assert!(matches!(good, Progress::Passed), "{good:?}");
        let bad = judged(b"HTTP/1.1 503 Busy\r\n\r\n");
        assert!(matches!(bad, Progress::Failed(ProbeFailure::Status(503))), "{bad:?}");
        let none = judged(b"");
        assert!(matches!(none, Progress::Failed(ProbeFailure::ClosedEarly)), "{none:?}");
    }
}
