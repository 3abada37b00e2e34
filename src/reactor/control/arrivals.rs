//! Where clients arrive: at the control socket, and over TCP if there is a page. They are taken a few at a time.

use std::io::Write;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Interest, Token};
use slab::Slab;

use super::client::{Client, Door, Left, Stream};
use super::http::{Connection, Status};
use super::tcp::Visit;
use super::{CLIENTS_MAX, ClientId, Control};
use crate::reactor::tokens::{Registrar, Source};
use crate::sys::control_socket::registry::Registration;
use crate::sys::control_socket::{ControlSocket, ControlSocketError};
use crate::sys::page_socket::{PageSocket, PageSocketError};

/// How many clients of TCP there may be, so that these never keep those of the control socket out.
const TCP_CLIENTS_MAX: usize = 48;

/// A lack of descriptors is not reported more often.
const REPORTED_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Clients that are accepted in one wakeup. Each is registered and closed, too, and an exit waits for that.
const ACCEPTED_PER_WAKEUP: usize = 4;

/// A socket at which clients arrive.
#[derive(Debug)]
pub struct Listening {
    socket: Socket,
    token: Token,
    arrivals: Arrivals,
    /// When it was reported last that no client can be taken.
    reported_at: Option<Instant>,
}

#[derive(Debug)]
enum Socket {
    Unix {
        socket: ControlSocket,
        /// For `pm ls`. It is removed when this is dropped.
        _registration: Option<Registration>,
    },
    Tcp(PageSocket),
}

/// Which of the two sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Control,
    Page,
}

/// Why a client cannot be taken.
#[derive(Debug)]
pub enum NotTaken {
    Control(ControlSocketError),
    Page(PageSocketError),
}

/// Whether clients have arrived that are not taken yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arrivals {
    Nothing,
    Some,
    /// The kernel refuses a descriptor for the next one. No event tells when it would have one.
    Refused,
}

impl Listening {
    /// Lets clients arrive at the control socket.
    ///
    /// # Errors
    /// As epoll_ctl(2).
    pub fn control(
        socket: ControlSocket,
        registration: Option<Registration>,
        registrar: &mut Registrar<'_>,
    ) -> std::io::Result<Self> {
        let descriptor = socket.as_raw_fd();
        let source = Source::Listener;
        let token = registrar.register(&mut SourceFd(&descriptor), source, Interest::READABLE)?;
        Ok(Self::new(Socket::Unix { socket, _registration: registration }, token))
    }

    /// Lets clients arrive over TCP.
    ///
    /// # Errors
    /// As epoll_ctl(2).
    pub fn page(
        mut socket: PageSocket,
        registrar: &mut Registrar<'_>,
    ) -> Result<Self, PageSocketError> {
        let address = socket.address();
        let token = registrar.register(socket.source(), Source::PageListener, Interest::READABLE);
        let token = token.map_err(|error| PageSocketError::of(address, "watch it", &error))?;
        Ok(Self::new(Socket::Tcp(socket), token))
    }

    fn new(socket: Socket, token: Token) -> Self {
        Self { socket, token, arrivals: Arrivals::Some, reported_at: None }
    }

    /// Clients may have arrived.
    pub fn mark(&mut self) {
        self.arrivals = Arrivals::Some;
    }

    pub fn has_arrivals(&self) -> bool {
        self.arrivals == Arrivals::Some
    }

    /// Where clients of TCP arrive.
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Unix { .. } => None,
            Socket::Tcp(socket) => Some(socket.address()),
        }
    }

    /// Closes the socket.
    pub fn close(self, registrar: &mut Registrar<'_>) {
        registrar.release(self.token);
    }

    fn next(&self) -> Result<Option<(Stream, Door)>, NotTaken> {
        match &self.socket {
            Socket::Unix { socket, .. } => {
                let arrived = socket.accept().map_err(NotTaken::Control)?;
                Ok(arrived.map(|(stream, _)| (Stream::Unix(stream), Door::Control)))
            }
            Socket::Tcp(socket) => {
                let arrived = socket.accept().map_err(NotTaken::Page)?;
                Ok(arrived.map(|arrival| {
                    let visit = Visit::new(arrival.own, arrival.peer);
                    (Stream::Tcp(arrival.stream), Door::Page(Box::new(visit)))
                }))
            }
        }
    }
}

impl Control {
    /// Takes the clients that have arrived at one of the sockets. Where there are too many, the one that has waited
    /// longest without a request makes room; if each waits for pm, the new one is turned away.
    ///
    /// # Errors
    /// If the kernel gives no descriptor for a client, and that was not reported within the last minute. The client
    /// waits, and each wakeup tries again: what it has done may have closed one.
    pub fn accept(
        &mut self,
        kind: Kind,
        now: Instant,
        registrar: &mut Registrar<'_>,
    ) -> Result<(), NotTaken> {
        let listening = match kind {
            Kind::Control => &mut self.listening,
            Kind::Page => &mut self.page,
        };
        let Some(listening) = listening else { return Ok(()) };
        if listening.arrivals == Arrivals::Nothing {
            return Ok(());
        }
        for _ in 0..ACCEPTED_PER_WAKEUP {
            let rivals = rivals(&self.clients, kind);
            let is_full = rivals != Rivals::None;
            let oldest = idle_longest(&self.clients, rivals);
            if is_full && oldest.is_none() && may_become_idle(&self.clients, rivals) {
                // What these have sent is read in this wakeup. The next client waits for that.
                listening.arrivals = Arrivals::Some;
                return Ok(());
            }
            let (mut stream, door) = match listening.next() {
                Ok(Some(arrived)) => arrived,
                Ok(None) => {
                    listening.arrivals = Arrivals::Nothing;
                    return Ok(());
                }
                Err(error) => {
                    listening.arrivals = Arrivals::Refused;
                    let last = listening.reported_at;
                    if last.is_some_and(|last| now < last + REPORTED_AGAIN_AFTER) {
                        return Ok(());
                    }
                    listening.reported_at = Some(now);
                    return Err(error);
                }
            };
            listening.arrivals = Arrivals::Some;
            if is_full {
                let Some(oldest) = oldest else {
                    for status in turn_away(stream, &door) {
                        *self.requests.entry(status.code()).or_default() += 1;
                    }
                    continue;
                };
                let token = self.clients.remove(oldest).token;
                registrar.release(token);
            }
            let entry = self.clients.vacant_entry();
            let interest = Interest::READABLE | Interest::WRITABLE;
            if let Ok(token) =
                registrar.register(&mut stream, Source::Client(entry.key()), interest)
            {
                entry.insert(Client::new(stream, door, token, now));
            }
        }
        Ok(())
    }
}

/// Which clients leave no room for a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rivals {
    /// There is room.
    None,
    OfPage,
    All,
}

impl Rivals {
    fn has(self, client: &Client) -> bool {
        match self {
            Self::None => false,
            Self::OfPage => client.is_of_page(),
            Self::All => true,
        }
    }
}

fn rivals(clients: &Slab<Client>, kind: Kind) -> Rivals {
    let of_page = || clients.iter().filter(|(_, client)| client.is_of_page()).count();
    if kind == Kind::Page && of_page() >= TCP_CLIENTS_MAX {
        Rivals::OfPage
    } else if clients.len() >= CLIENTS_MAX {
        Rivals::All
    } else {
        Rivals::None
    }
}

/// A new connection takes an answer at once, and what its client may have sent is not read. Returns what was answered.
fn turn_away(mut stream: Stream, door: &Door) -> Vec<Status> {
    let mut connection = Connection::new().with_headers(door.headers());
    connection.turn_away();
    let _ = stream.write(connection.output());
    connection.take_answered()
}

/// The client that is waited for and has waited longest. None that may have sent something that is not read.
fn idle_longest(clients: &Slab<Client>, rivals: Rivals) -> Option<ClientId> {
    let read =
        clients.iter().filter(|(_, client)| rivals.has(client) && client.left() == Left::Nothing);
    let waiting = read.filter_map(|(id, client)| Some((client.deadline()?, id)));
    waiting.min().map(|(_, id)| id)
}

/// True if a client is waited for that may have sent something.
fn may_become_idle(clients: &Slab<Client>, rivals: Rivals) -> bool {
    clients.iter().any(|(_, client)| rivals.has(client) && client.deadline().is_some())
}
