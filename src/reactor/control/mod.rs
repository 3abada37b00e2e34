//! The control socket: other programs ask what a run is at, and tell it what to do. HTTP with JSON, as
//! [`crate::wire`] says it.
//!
//! Nothing is decided or carried out here; that is [`super::serving`] and [`super::commands`]. [`http`] is one
//! connection, [`client`] its descriptor; [`call`] is what is asked for, [`selectors`] which slots are meant,
//! [`status`] what a slot is at, [`stats`] what its worker uses, [`goal`] what an answer waits for, [`events`] what has
//! happened, [`stream`] a reader of that, [`logs`] a reader of lines, [`metrics`] one of counts, [`attachment`] one
//! that has a terminal, [`rest`] what a reader is given; [`parent`] is the service manager above pm.

pub mod attachment;
pub mod call;
pub mod client;
pub mod events;
pub mod goal;
pub mod http;
pub mod logs;
pub mod metrics;
pub mod parent;
pub mod problems;
mod rest;
pub mod selectors;
pub mod stats;
pub mod status;
pub mod stream;

use std::collections::BTreeMap;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mio::Interest;
use mio::net::UnixStream;
use mio::unix::SourceFd;
use nix::unistd::{getpid, getppid};
use slab::Slab;

use self::call::{Call, Lasting};
use self::client::{Client, Left, Work};
use self::events::Events;
use self::http::{Connection, Status};
use self::parent::{Parent, Summary};
use self::stats::Samples;
use super::tokens::{Registrar, Source};
use crate::sys::control_socket::registry::{Registration, Registry};
use crate::sys::control_socket::{ControlSocket, ControlSocketError};
use crate::sys::sealed::outer_pid;
use crate::wire::{EventKind, Problem, Time};

/// At most this many clients at once.
const CLIENTS_MAX: usize = 64;

/// How many of them may have a stream without an end, so that these never keep the others out.
const STREAMS_MAX: usize = 32;

/// How many of them may wait until something is so. With the streams they leave a few for whatever is answered at once.
const WAITS_MAX: usize = 28;

/// A lack of descriptors is not reported more often.
const REPORTED_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Clients that are accepted in one wakeup. Each is registered and closed, too, and an exit waits for that.
const ACCEPTED_PER_WAKEUP: usize = 4;

/// The number of a client, for as long as it is connected.
pub type ClientId = usize;

/// The control socket and its clients, and what has happened.
#[derive(Debug, Default)]
pub struct Control {
    listening: Option<Listening>,
    pub clients: Slab<Client>,
    pub events: Events,
    /// How many requests were answered with each status, by its code.
    pub requests: BTreeMap<u16, u64>,
    /// How many lines clients were not given because they read too slowly.
    pub missed_lines: u64,
    pub samples: Samples,
    /// The file that the plan was made from.
    pub plan: Option<String>,
    /// It allows `pm chaos` to kill its workers.
    pub allows_chaos: bool,
    pub started_at: Option<Time>,
    /// Why there is no socket where one should be.
    pub refused: Option<ControlSocketError>,
    /// The service manager that has started pm.
    parent: Option<Parent>,
    /// A slot is at another phase than when the service manager was told last.
    is_summary_due: bool,
}

/// Where the control socket is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub path: PathBuf,
    pub origin: PlaceOrigin,
}

/// Why it is to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceOrigin {
    /// Beside the file, since no other place was given. Where it cannot be, pm runs without one.
    Default,
    Asked,
}

/// A socket at which clients arrive.
#[derive(Debug)]
pub struct Listening {
    socket: ControlSocket,
    /// For `pm ls`. It is removed when this is dropped.
    _registration: Option<Registration>,
    arrivals: Arrivals,
    /// When it was reported last that no client can be taken.
    reported_at: Option<Instant>,
}

/// Whether clients have arrived that are not taken yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arrivals {
    Nothing,
    Some,
    /// The kernel refuses a descriptor for the next one. No event tells when it would have one.
    Refused,
}

impl Control {
    /// Makes the socket, if there is to be one. Why there is none where there should be is in `refused`.
    ///
    /// # Errors
    /// If another pm listens there, or if the socket was asked for and cannot be made.
    pub fn open(
        place: Option<Place>,
        plan: Option<String>,
        started_at: Time,
        now: Instant,
        registrar: &mut Registrar<'_>,
    ) -> Result<Self, ControlSocketError> {
        let mut control = Self {
            plan,
            started_at: Some(started_at),
            parent: Parent::of_environment(now, |pid| pid == getppid().as_raw()),
            ..Self::default()
        };
        let Some(Place { path, origin }) = place else { return Ok(control) };
        let refused = match (ControlSocket::bind(&path), origin) {
            (Ok(socket), _) => {
                let registry = Registry::of_user();
                // Only `pm ls` misses it.
                let registration = registry.and_then(|registry| {
                    registry.register(outer_pid(getpid()), socket.path()).ok()
                });
                let listening = control.listen(socket, registration, registrar);
                listening.err().map(|error| ControlSocketError::not_watched(&path, &error))
            }
            (Err(error @ ControlSocketError::Live { .. }), _)
            | (Err(error), PlaceOrigin::Asked) => {
                return Err(error);
            }
            (Err(error), PlaceOrigin::Default) => Some(error),
        };
        control.refused = refused;
        Ok(control)
    }

    /// Lets clients arrive at this socket.
    ///
    /// # Errors
    /// As epoll_ctl(2).
    fn listen(
        &mut self,
        socket: ControlSocket,
        registration: Option<Registration>,
        registrar: &mut Registrar<'_>,
    ) -> std::io::Result<()> {
        let descriptor = socket.as_raw_fd();
        registrar.register(&mut SourceFd(&descriptor), Source::Listener, Interest::READABLE)?;
        self.listening = Some(Listening {
            socket,
            _registration: registration,
            arrivals: Arrivals::Some,
            reported_at: None,
        });
        Ok(())
    }

    /// Clients may have arrived.
    pub fn mark_listener(&mut self) {
        if let Some(listening) = &mut self.listening {
            listening.arrivals = Arrivals::Some;
        }
    }

    pub fn wake(&mut self, client: ClientId) {
        if let Some(client) = self.clients.get_mut(client) {
            client.wake();
        }
    }

    /// Something has happened.
    pub fn note(&mut self, at: Time, kind: EventKind) {
        self.is_summary_due |= matches!(kind, EventKind::Phase { .. });
        self.events.add(at, kind);
    }

    /// The file is read again.
    pub fn tell_parent_of_reload(&mut self) {
        if let Some(parent) = &mut self.parent {
            parent.reload();
            self.is_summary_due = true;
        }
    }

    /// Tells the service manager what has changed.
    pub fn tell_parent(&mut self, summary: impl FnOnce() -> Summary, now: Instant) {
        let Some(parent) = &mut self.parent else { return };
        let is_late = parent.next_deadline().is_some_and(|at| now >= at);
        if std::mem::take(&mut self.is_summary_due) || is_late {
            parent.tell(summary(), now);
        }
    }

    /// Takes the clients that have arrived. Where there are too many, the one that has waited longest without a request
    /// makes room; if each waits for pm, the new one is turned away.
    ///
    /// # Errors
    /// If the kernel gives no descriptor for a client, and that was not reported within the last minute. The client
    /// waits, and each wakeup tries again: what it has done may have closed one.
    pub fn accept(
        &mut self,
        now: Instant,
        registrar: &mut Registrar<'_>,
    ) -> Result<(), ControlSocketError> {
        let Some(listening) = &mut self.listening else { return Ok(()) };
        if listening.arrivals == Arrivals::Nothing {
            return Ok(());
        }
        for _ in 0..ACCEPTED_PER_WAKEUP {
            let is_full = self.clients.len() >= CLIENTS_MAX;
            let oldest = idle_longest(&self.clients);
            if is_full && oldest.is_none() && may_become_idle(&self.clients) {
                // What these have sent is read in this wakeup. The next client waits for that.
                listening.arrivals = Arrivals::Some;
                return Ok(());
            }
            let mut stream = match listening.socket.accept() {
                Ok(Some((stream, _))) => stream,
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
                    for status in turn_away(stream) {
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
                entry.insert(Client::new(stream, token, now));
            }
        }
        Ok(())
    }

    /// Refuses what would last until its client ends it, or is told, if too many clients have such an answer.
    ///
    /// # Errors
    /// What the client is answered.
    pub fn admit(&self, call: &Call) -> Result<(), Box<Problem>> {
        let kind = call.lasting();
        let count = self.clients.iter().filter(|(_, client)| client.lasting() == kind).count();
        match kind {
            Lasting::Stream if count >= STREAMS_MAX => Err(problems::too_many_streams(count)),
            Lasting::Wait if count >= WAITS_MAX => Err(problems::too_many_waits(count)),
            Lasting::Stream | Lasting::Wait | Lasting::No => Ok(()),
        }
    }

    /// Closes the clients that are done or late.
    pub fn close_clients(&mut self, now: Instant, registrar: &mut Registrar<'_>) {
        let had = self.clients.len();
        let requests = &mut self.requests;
        self.clients.retain(|_, client| {
            client.note_wait(now);
            if client.deadline().is_some_and(|deadline| now >= deadline) {
                client.connection.time_out();
                client.write();
                client.note_wait(now);
            }
            for status in client.connection.take_answered() {
                *requests.entry(status.code()).or_default() += 1;
            }
            if client.is_closed() {
                let token = client.token;
                registrar.release(token);
            }
            !client.is_closed()
        });
        if self.clients.len() < had {
            // A descriptor is free again.
            self.mark_listener();
        }
    }

    /// Whether some client can go on without a new event.
    pub fn left(&self) -> Left {
        let is_ready =
            self.listening.as_ref().is_some_and(|listening| listening.arrivals == Arrivals::Some);
        let any = self.clients.iter().any(|(_, client)| client.left() == Left::Something);
        if is_ready || any { Left::Something } else { Left::Nothing }
    }

    /// When the time of some client, or of an answer, is over.
    pub fn next_deadline(&self) -> Option<Instant> {
        let clients = self.clients.iter().flat_map(|(_, client)| {
            let answer = match &client.work {
                Work::Pending(pending) => Some(pending.deadline),
                Work::Attached(attachment) => attachment.deadline(),
                Work::Nothing | Work::Sampling(_) => None,
                Work::Stream(_) | Work::Logs(_) | Work::Metrics(_) => None,
            };
            [client.deadline(), answer]
        });
        let sign = self.parent.as_ref().and_then(Parent::next_deadline);
        clients.flatten().chain(sign).min()
    }

    /// Removes the socket: no client arrives any more.
    pub fn close(&mut self) {
        self.listening = None;
    }
}

/// A new connection takes an answer at once, and what its client may have sent is not read. Returns what was answered.
fn turn_away(mut stream: UnixStream) -> Vec<Status> {
    let mut connection = Connection::new();
    connection.turn_away();
    let _ = stream.write(connection.output());
    connection.take_answered()
}

/// The client that is waited for and has waited longest. None that may have sent something that is not read.
fn idle_longest(clients: &Slab<Client>) -> Option<ClientId> {
    let read = clients.iter().filter(|(_, client)| client.left() == Left::Nothing);
    let waiting = read.filter_map(|(id, client)| Some((client.deadline()?, id)));
    waiting.min().map(|(_, id)| id)
}

/// True if a client is waited for that may have sent something.
fn may_become_idle(clients: &Slab<Client>) -> bool {
    clients.iter().any(|(_, client)| client.deadline().is_some())
}
