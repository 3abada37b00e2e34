//! The sockets that one slot holds, and those that it has let go and opens again.

use std::io;
use std::net::SocketAddr;

use crate::sys::tcp_socket::{Backlog, Likeness, Mode, TcpSocket, is_same_name};

/// A server may have one for each of its threads (SO_REUSEPORT). More are not kept.
const SOCKETS_MAX: usize = 256;

/// The sockets of a slot.
#[derive(Debug, Default)]
pub struct HeldSockets {
    state: State,
    held: Vec<Held>,
    /// What was let go: how to open it again.
    let_go: Vec<Likeness>,
}

/// Whether the slot holds its port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Held,
    LetGo,
}

/// A listening socket, of which pm has a descriptor.
#[derive(Debug)]
struct Held {
    socket: TcpSocket,
    backlog: libc::c_int,
    /// The latest generation that has got it or made it. `None`: pm has opened it.
    generation: Option<u64>,
}

impl HeldSockets {
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// The slot holds its port from now on. What it had let go is opened again, as far as that is possible.
    pub fn take_up(&mut self) {
        self.state = State::Held;
        for like in std::mem::take(&mut self.let_go) {
            if let Ok(socket) = TcpSocket::open(&like) {
                self.held.push(Held { socket, backlog: like.backlog(), generation: None });
            }
        }
    }

    /// The slot holds one socket of this address from now on, which is opened if it is not held.
    pub fn take_up_one(&mut self, name: SocketAddr) -> io::Result<&TcpSocket> {
        self.state = State::Held;
        self.let_go.clear();
        let is_meant = |held: &Held| held.socket.name().is_some_and(|own| is_same_name(own, name));
        self.held.retain(is_meant);
        self.held.truncate(1);
        if self.held.is_empty() {
            let like = Likeness::plain(name);
            let socket = TcpSocket::open(&like)?;
            self.held.push(Held { socket, backlog: like.backlog(), generation: None });
        }
        let socket = &self.held[0].socket;
        // As a worker expects it. The last one may have changed that.
        socket.set_mode(Mode::Blocking);
        Ok(socket)
    }

    /// The slot does not hold its port any more.
    pub fn let_go(&mut self) {
        self.state = State::LetGo;
        let held = std::mem::take(&mut self.held);
        self.let_go.extend(held.iter().filter_map(|held| held.socket.likeness(held.backlog)));
    }

    /// The socket for a worker of this generation that binds `theirs` to this address.
    pub fn give(
        &mut self,
        generation: u64,
        address: SocketAddr,
        theirs: &TcpSocket,
    ) -> Option<&TcpSocket> {
        let fits = |held: &Held| {
            held.socket.name().is_some_and(|name| is_same_name(name, address))
                && held.socket.is_as_wide_as(theirs)
        };
        // A server with several sockets at one address gets one after another.
        let fresh = |held: &Held| !held.is_of(generation) && fits(held);
        let place = self.held.iter().position(fresh).or_else(|| self.held.iter().position(fits))?;
        let held = &mut self.held[place];
        held.generation = held.generation.max(Some(generation));
        Some(&held.socket)
    }

    /// True if this socket is one that is held, and that this generation has asked for.
    pub fn has_given(&self, generation: u64, socket: &TcpSocket) -> bool {
        let cookie = socket.cookie();
        self.held.iter().any(|held| held.is_of(generation) && held.socket.cookie() == cookie)
    }

    /// True if there is a socket that this generation has not asked for.
    pub fn has_unused(&self, generation: u64) -> bool {
        self.held.iter().any(|held| !held.is_of(generation))
    }

    /// Closes the sockets that this generation has not asked for.
    pub fn close_unused(&mut self, generation: u64) {
        self.held.retain(|held| held.is_of(generation));
    }

    /// A worker of this generation listens on this socket.
    pub fn keep(&mut self, generation: u64, socket: TcpSocket, backlog: libc::c_int) {
        if self.state == State::LetGo {
            return;
        }
        let (cookie, has_room) = (socket.cookie(), self.held.len() < SOCKETS_MAX);
        match self.held.iter_mut().find(|held| held.socket.cookie() == cookie) {
            Some(held) => {
                held.backlog = backlog;
                held.generation = held.generation.max(Some(generation));
            }
            None if has_room => {
                self.held.push(Held { socket, backlog, generation: Some(generation) });
            }
            None => {}
        }
    }

    /// The connections that wait, at all of them together.
    pub fn backlog(&self) -> Option<Backlog> {
        let backlogs = self.held.iter().filter_map(|held| held.socket.backlog());
        backlogs.reduce(|one, other| Backlog {
            waiting: one.waiting + other.waiting,
            limit: one.limit.saturating_add(other.limit),
        })
    }
}

impl Held {
    /// True if a worker of this generation, or of a later one, has it.
    fn is_of(&self, generation: u64) -> bool {
        self.generation >= Some(generation)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsFd;

    use nix::sys::socket::{setsockopt, sockopt};

    use super::*;

    fn socket(address: &str) -> TcpSocket {
        TcpSocket::of(TcpListener::bind(address).unwrap().into()).unwrap()
    }

    fn unbound() -> TcpSocket {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        TcpSocket::of(socket.unwrap().into()).unwrap()
    }

    #[test]
    fn the_next_worker_gets_the_socket_of_its_address() {
        let mut sockets = HeldSockets::default();
        let (one, other) = (socket("127.0.0.1:0"), socket("127.0.0.2:0"));
        let (names, cookie) = ([one.name().unwrap(), other.name().unwrap()], other.cookie());
        let other_again = TcpSocket::of(other.as_fd().try_clone_to_owned().unwrap()).unwrap();
        sockets.keep(1, one, 5);
        sockets.keep(1, other, 5);
        assert!(!sockets.has_given(2, &other_again));
        let given = sockets.give(2, names[1], &unbound()).unwrap();
        assert_eq!(given.cookie(), cookie);
        assert!(sockets.has_given(2, &other_again));
        assert!(!sockets.has_given(2, &unbound()), "it is not held");
        // Once more: it has tried the port, and closed it.
        assert_eq!(sockets.give(2, names[1], &unbound()).unwrap().cookie(), cookie);
        assert!(sockets.give(2, names[0], &unbound()).is_some());
    }

    #[test]
    fn what_a_worker_does_not_want_any_more_is_closed() {
        let mut sockets = HeldSockets::default();
        let (one, other) = (socket("127.0.0.1:0"), socket("127.0.0.2:0"));
        let names = [one.name().unwrap(), other.name().unwrap()];
        sockets.keep(1, one, 5);
        sockets.keep(1, other, 5);
        assert!(sockets.give(2, names[0], &unbound()).is_some());
        assert!(sockets.give(2, "127.0.0.3:80".parse().unwrap(), &unbound()).is_none());
        sockets.close_unused(2);
        assert!(sockets.give(2, names[0], &unbound()).is_some());
        assert!(TcpListener::bind(names[1]).is_ok(), "it is closed");
    }

    #[test]
    fn what_a_worker_has_not_asked_for_is_known_and_closed() {
        let mut sockets = HeldSockets::default();
        let (one, other) = (socket("127.0.0.1:0"), socket("127.0.0.2:0"));
        let names = [one.name().unwrap(), other.name().unwrap()];
        sockets.keep(1, one, 5);
        sockets.keep(1, other, 5);
        assert!(!sockets.has_unused(1) && sockets.has_unused(2));
        assert!(sockets.give(2, names[0], &unbound()).is_some());
        assert!(sockets.has_unused(2));
        sockets.close_unused(2);
        assert!(!sockets.has_unused(2) && !sockets.is_empty());
        assert!(TcpListener::bind(names[1]).is_ok(), "it is closed");
    }

    #[test]
    fn a_slot_that_was_stopped_opens_its_port_again() {
        let mut sockets = HeldSockets::default();
        let first = socket("127.0.0.1:0");
        let name = first.name().unwrap();
        sockets.keep(1, first, 5);
        sockets.let_go();
        // A worker that was asked to stop may still listen.
        sockets.keep(1, socket("127.0.0.2:0"), 5);
        assert!(sockets.is_empty());
        let other = TcpListener::bind(name).unwrap();
        sockets.take_up();
        assert!(sockets.is_empty(), "another process has the port");
        drop(other);
        sockets.keep(2, socket(&name.to_string()), 5);
        sockets.let_go();
        sockets.take_up();
        assert_eq!(sockets.backlog(), Some(Backlog { waiting: 0, limit: 5 }));
        assert!(sockets.give(3, name, &unbound()).is_some());
    }

    #[test]
    fn sockets_that_share_an_address_are_given_one_after_another() {
        let mut sockets = HeldSockets::default();
        let shared = |name: SocketAddr| {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
            let socket = socket.unwrap();
            setsockopt(&socket, sockopt::ReusePort, &true).unwrap();
            socket.bind(&name.into()).unwrap();
            TcpSocket::of(socket.into()).unwrap()
        };
        let first = shared("127.0.0.1:0".parse().unwrap());
        let name = first.name().unwrap();
        sockets.keep(1, first, 5);
        sockets.keep(1, shared(name), 5);
        let one = sockets.give(2, name, &unbound()).unwrap().cookie();
        let other = sockets.give(2, name, &unbound()).unwrap().cookie();
        assert_ne!(one, other);
    }
}
