//! The control socket: other programs ask what a run is at, and tell it what to do. HTTP with JSON, as
//! [`crate::wire`] says it.
//!
//! Nothing is decided or carried out here; that is [`super::serving`] and [`super::commands`]. [`http`] is one
//! connection, [`client`] its descriptor; [`call`] is what is asked for, [`selectors`] which slots are meant,
//! [`status`] what a slot is at, [`stats`] what its worker uses, [`goal`] what an answer waits for, [`events`] what has
//! happened, [`stream`] a reader of that, [`logs`] a reader of lines, [`metrics`] one of counts, [`attachment`] one
//! that has a terminal, [`live`] one of all that the page shows, [`rounds`] what workers use over time, [`rest`] what a
//! reader is given. [`arrivals`] takes clients, [`tcp`] refuses those that may not read, [`page`] is for browsers;
//! [`parent`] is the service manager above pm.

mod arrivals;
pub mod attachment;
pub mod call;
pub mod client;
pub mod events;
pub mod goal;
pub mod http;
pub mod live;
pub mod logs;
pub mod metrics;
pub mod page;
pub mod parent;
pub mod problems;
mod rest;
pub mod rounds;
pub mod selectors;
pub mod stats;
pub mod status;
pub mod stream;
pub mod tcp;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Instant;

use nix::unistd::{getpid, getppid};
use slab::Slab;

use self::arrivals::Listening;
use self::call::{Call, Lasting, Refused};
use self::client::{Client, Door, Left, Work};
use self::events::Events;
use self::http::Request;
use self::parent::{Parent, Summary};
use self::rounds::Rounds;
use self::stats::Samples;
use self::status::RunFacts;
use self::tcp::Access;
use super::tokens::Registrar;
use crate::plan::Http;
use crate::sys::control_socket::registry::Registry;
use crate::sys::control_socket::{ControlSocket, ControlSocketError};
use crate::sys::page_socket::{PageSocket, PageSocketError};
use crate::sys::sealed::outer_pid;
use crate::wire::{EventKind, Problem, Time};

/// At most this many clients at once.
const CLIENTS_MAX: usize = 64;

/// How many of them may have a stream without an end, so that these never keep the others out.
const STREAMS_MAX: usize = 32;

/// How many of these streams may be those of TCP, so that commands have some in any case.
const TCP_STREAMS_MAX: usize = 24;

/// How many of them may wait until something is so. With the streams they leave a few for whatever is answered at once.
const WAITS_MAX: usize = 28;

pub use self::arrivals::{Kind, NotTaken};

/// The number of a client, for as long as it is connected.
pub type ClientId = usize;

/// The control socket and its clients, and what has happened.
#[derive(Debug, Default)]
pub struct Control {
    listening: Option<Listening>,
    /// The socket of the page.
    page: Option<Listening>,
    /// Where it was asked for: with port 0, the kernel has chosen another.
    page_asked: Option<SocketAddr>,
    /// What its clients have to know and how they may call it.
    pub access: Access,
    pub clients: Slab<Client>,
    pub events: Events,
    /// How many requests were answered with each status, by its code.
    pub requests: BTreeMap<u16, u64>,
    /// How many lines clients were not given because they read too slowly.
    pub missed_lines: u64,
    pub samples: Samples,
    /// What workers use, for those that follow it.
    pub rounds: Rounds,
    pub facts: RunFacts,
    /// Why there is no socket where one should be.
    pub refused: Option<ControlSocketError>,
    /// The service manager that has started pm.
    parent: Option<Parent>,
    /// A slot is at another phase than when the service manager was told last.
    is_summary_due: bool,
}

/// What has become of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageChange {
    None,
    /// It is served here from now on.
    Opened(SocketAddr),
    Closed,
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
            facts: RunFacts { plan, started_at: Some(started_at), ..RunFacts::default() },
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
                match Listening::control(socket, registration, registrar) {
                    Ok(listening) => {
                        control.listening = Some(listening);
                        None
                    }
                    Err(error) => Some(ControlSocketError::not_watched(&path, &error)),
                }
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

    /// Serves the page at this address, or nowhere. One that stays is not closed in between, so its clients stay. If it
    /// cannot be, nothing changes.
    ///
    /// # Errors
    /// As [`PageSocket::open`].
    pub fn serve_page(
        &mut self,
        http: Option<&Http>,
        registrar: &mut Registrar<'_>,
    ) -> Result<PageChange, PageSocketError> {
        let Some(http) = http else {
            self.access = Access::default();
            let Some(page) = self.page.take() else { return Ok(PageChange::None) };
            page.close(registrar);
            self.facts.page = None;
            self.page_asked = None;
            self.close_page_clients(registrar);
            return Ok(PageChange::Closed);
        };
        if self.page_asked == Some(http.address) {
            let access = Access::of(http);
            if self.access != access {
                // They have shown what they had to before.
                self.close_page_clients(registrar);
            }
            self.access = access;
            return Ok(PageChange::None);
        }
        let listening = self.listen_for_page(http.address, registrar)?;
        let address = listening.address();
        if let Some(old) = self.page.replace(listening) {
            old.close(registrar);
            self.close_page_clients(registrar);
        }
        self.access = Access::of(http);
        self.page_asked = Some(http.address);
        self.facts.page = address;
        Ok(address.map_or(PageChange::None, PageChange::Opened))
    }

    fn listen_for_page(
        &mut self,
        address: SocketAddr,
        registrar: &mut Registrar<'_>,
    ) -> Result<Listening, PageSocketError> {
        let error = match PageSocket::open(address) {
            Ok(socket) => return Listening::page(socket, registrar),
            Err(error) => error,
        };
        // Its own socket may be in the way, as that of 127.0.0.1 is to one of all addresses.
        let is_own =
            |old: &Listening| old.address().is_some_and(|old| old.port() == address.port());
        let Some(own) = self.page.take_if(|old| is_own(old)) else { return Err(error) };
        let before = own.address();
        own.close(registrar);
        let opened =
            PageSocket::open(address).and_then(|socket| Listening::page(socket, registrar));
        if opened.is_err()
            && let Some(before) = before
            && let Ok(socket) = PageSocket::open(before)
        {
            self.page = Listening::page(socket, registrar).ok();
        }
        if opened.is_ok() {
            self.close_page_clients(registrar);
        }
        opened
    }

    fn close_page_clients(&mut self, registrar: &mut Registrar<'_>) {
        self.clients.retain(|_, client| {
            if client.is_of_page() {
                registrar.release(client.token);
            }
            !client.is_of_page()
        });
    }

    /// Clients may have arrived.
    pub fn mark_listener(&mut self, kind: Kind) {
        let listening = match kind {
            Kind::Control => &mut self.listening,
            Kind::Page => &mut self.page,
        };
        if let Some(listening) = listening {
            listening.mark();
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

    /// Refuses what may not be asked over TCP, or not by this client.
    ///
    /// # Errors
    /// What the client is answered.
    pub fn let_in(&mut self, id: ClientId, request: &Request) -> Result<(), Refused> {
        match self.clients.get_mut(id).map(|client| &mut client.door) {
            Some(Door::Page(visit)) => visit.check(request, &self.access),
            Some(Door::Control) | None => Ok(()),
        }
    }

    /// Refuses what would last until its client ends it, or is told, if too many clients have such an answer.
    ///
    /// # Errors
    /// What the client is answered.
    pub fn admit(&self, call: &Call, id: ClientId) -> Result<(), Box<Problem>> {
        let kind = call.lasting();
        let of_kind = || self.clients.iter().filter(|(_, client)| client.lasting() == kind);
        let count = of_kind().count();
        if kind == Lasting::Stream && self.clients.get(id).is_some_and(Client::is_of_page) {
            let of_page = of_kind().filter(|(_, client)| client.is_of_page()).count();
            if of_page >= TCP_STREAMS_MAX {
                return Err(problems::too_many_streams(count));
            }
        }
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
            client.close_if_gone();
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
            [Kind::Control, Kind::Page].into_iter().for_each(|kind| self.mark_listener(kind));
        }
    }

    /// Whether some client can go on without a new event.
    pub fn left(&self) -> Left {
        let sockets = [&self.listening, &self.page];
        let is_ready = sockets.into_iter().flatten().any(Listening::has_arrivals);
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
                Work::Stream(_) | Work::Live(_) | Work::Logs(_) | Work::Metrics(_) => None,
            };
            [client.deadline(), client.sign_at(), answer]
        });
        let sign = self.parent.as_ref().and_then(Parent::next_deadline);
        clients.flatten().chain(sign).chain(self.rounds.next_deadline()).min()
    }

    /// Removes the sockets: no client arrives any more.
    pub fn close(&mut self) {
        self.listening = None;
        self.page = None;
    }
}
