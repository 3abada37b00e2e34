//! A TCP socket of a worker, of which pm has a descriptor too: its name, its settings, its backlog; and one like it.
//!
//! Nothing here decides for how long a socket is kept. Where to look next: [`super::port_calls`] takes such a
//! descriptor from a worker and gives one to it.

use std::io;
use std::mem::offset_of;
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{SockaddrIn, SockaddrIn6, SockaddrLike, SockaddrStorage, bind, getsockname};

/// A socket of TCP, or of MPTCP, over IPv4 or IPv6.
#[derive(Debug)]
pub struct TcpSocket(OwnedFd);

/// Whether a call waits, as O_NONBLOCK says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Blocking,
    Nonblocking,
}

/// What names a socket in the kernel as long as the machine runs (socket(7), SO_COOKIE).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie(u64);

/// What another socket needs to be like this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Likeness {
    pub name: SocketAddr,
    domain: libc::c_int,
    protocol: libc::c_int,
    /// Those of [`OPTIONS`], in their order. `None`: the kernel does not know it for such a socket.
    options: [Option<libc::c_int>; OPTIONS.len()],
    mode: Mode,
    /// As it was given to listen(2).
    backlog: libc::c_int,
}

impl Likeness {
    /// A socket of a server that knows nothing special: it waits, and has as long a backlog as the kernel allows.
    pub fn plain(name: SocketAddr) -> Self {
        let is_v6 = name.is_ipv6();
        let mut options = [None; OPTIONS.len()];
        options[REUSE_ADDRESS] = Some(1);
        options[V6_ONLY] = is_v6.then_some(0);
        Self {
            name,
            domain: if is_v6 { libc::AF_INET6 } else { libc::AF_INET },
            protocol: libc::IPPROTO_TCP,
            options,
            mode: Mode::Blocking,
            backlog: libc::c_int::MAX,
        }
    }

    /// As it was given to listen(2).
    pub fn backlog(&self) -> libc::c_int {
        self.backlog
    }
}

/// The connections that a listening socket has and that are not accepted yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    pub waiting: u32,
    /// At most one more than this wait.
    pub limit: u32,
}

/// The options that servers set before they listen.
const OPTIONS: [(libc::c_int, libc::c_int); 6] = [
    (libc::SOL_SOCKET, libc::SO_REUSEADDR),
    (libc::SOL_SOCKET, libc::SO_REUSEPORT),
    (libc::SOL_SOCKET, libc::SO_KEEPALIVE),
    (libc::IPPROTO_IPV6, libc::IPV6_V6ONLY),
    (libc::IPPROTO_TCP, libc::TCP_NODELAY),
    (libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT),
];

/// The places of SO_REUSEADDR and of IPV6_V6ONLY among them.
const REUSE_ADDRESS: usize = 0;
const V6_ONLY: usize = 3;

impl TcpSocket {
    /// The socket of this descriptor, if it is one of TCP.
    pub fn of(descriptor: OwnedFd) -> Option<Self> {
        let of_socket = |name| number(descriptor.as_fd(), libc::SOL_SOCKET, name);
        let is_ip = matches!(of_socket(libc::SO_DOMAIN), Ok(libc::AF_INET | libc::AF_INET6));
        let is_stream = of_socket(libc::SO_TYPE) == Ok(libc::SOCK_STREAM);
        let protocol = of_socket(libc::SO_PROTOCOL);
        let is_tcp = matches!(protocol, Ok(libc::IPPROTO_TCP | libc::IPPROTO_MPTCP));
        (is_ip && is_stream && is_tcp).then_some(Self(descriptor))
    }

    /// A new socket like another one. It listens.
    ///
    /// # Errors
    /// As socket(2), bind(2) and listen(2): EADDRINUSE if another socket has the address, EACCES for a low port.
    pub fn open(like: &Likeness) -> io::Result<Self> {
        let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
        let kind = match like.mode {
            Mode::Blocking => kind,
            Mode::Nonblocking => kind | libc::SOCK_NONBLOCK,
        };
        // SAFETY: it takes numbers only.
        // WHY: nix knows no socket of MPTCP.
        let made = unsafe { libc::socket(like.domain, kind, like.protocol) };
        let made = Errno::result(made)?;
        // SAFETY: the kernel has just made this descriptor, and nothing else owns it.
        // WHY: as above.
        let socket = Self(unsafe { OwnedFd::from_raw_fd(made) });
        for ((level, name), value) in OPTIONS.into_iter().zip(like.options) {
            if let Some(value) = value {
                set_number(socket.as_fd(), level, name, value)?;
            }
        }
        let address: Box<dyn SockaddrLike> = match like.name {
            SocketAddr::V4(name) => Box::new(SockaddrIn::from(name)),
            SocketAddr::V6(name) => Box::new(SockaddrIn6::from(name)),
        };
        bind(socket.0.as_raw_fd(), &*address)?;
        socket.listen(like.backlog)?;
        Ok(socket)
    }

    /// The address that it is bound to.
    pub fn name(&self) -> Option<SocketAddr> {
        let name: SockaddrStorage = getsockname(self.0.as_raw_fd()).ok()?;
        let v4 = name.as_sockaddr_in().map(|name| SocketAddr::V4(SocketAddrV4::from(*name)));
        v4.or_else(|| Some(SocketAddr::V6(SocketAddrV6::from(*name.as_sockaddr_in6()?))))
    }

    pub fn cookie(&self) -> Option<Cookie> {
        let mut cookie = [0; 8];
        read_option(self.as_fd(), libc::SOL_SOCKET, libc::SO_COOKIE, &mut cookie).ok()?;
        Some(Cookie(u64::from_ne_bytes(cookie)))
    }

    /// As listen(2).
    ///
    /// # Errors
    /// As listen(2).
    pub fn listen(&self, backlog: libc::c_int) -> Result<(), Errno> {
        // SAFETY: the descriptor is open as long as the call lasts.
        // WHY: nix refuses some of the numbers that the kernel accepts.
        Errno::result(unsafe { libc::listen(self.0.as_raw_fd(), backlog) }).map(drop)
    }

    /// What another socket needs to be like this one, which listens with this backlog.
    pub fn likeness(&self, backlog: libc::c_int) -> Option<Likeness> {
        let of_socket = |name| number(self.as_fd(), libc::SOL_SOCKET, name).ok();
        Some(Likeness {
            name: self.name()?,
            domain: of_socket(libc::SO_DOMAIN)?,
            protocol: of_socket(libc::SO_PROTOCOL)?,
            options: OPTIONS.map(|(level, name)| number(self.as_fd(), level, name).ok()),
            mode: self.mode(),
            backlog,
        })
    }

    /// True if an IPv6 socket of this kind leaves the port of IPv4 to others, as that one does (ipv6(7), IPV6_V6ONLY).
    pub fn is_as_wide_as(&self, other: &Self) -> bool {
        let width = |socket: &Self| {
            let (level, name) = OPTIONS[V6_ONLY];
            number(socket.as_fd(), level, name).ok()
        };
        width(self) == width(other)
    }

    /// All processes that have the socket share it.
    pub fn mode(&self) -> Mode {
        let flags = fcntl(&self.0, FcntlArg::F_GETFL).unwrap_or(0);
        let flags = OFlag::from_bits_truncate(flags);
        if flags.contains(OFlag::O_NONBLOCK) { Mode::Nonblocking } else { Mode::Blocking }
    }

    pub fn set_mode(&self, mode: Mode) {
        let flags = OFlag::from_bits_truncate(fcntl(&self.0, FcntlArg::F_GETFL).unwrap_or(0));
        let mut wanted = flags;
        wanted.set(OFlag::O_NONBLOCK, mode == Mode::Nonblocking);
        if wanted != flags {
            let set = fcntl(&self.0, FcntlArg::F_SETFL(wanted));
            debug_assert!(set.is_ok(), "a socket takes O_NONBLOCK: {set:?}");
        }
    }

    /// The connections that wait, if it listens.
    pub fn backlog(&self) -> Option<Backlog> {
        let mut info = [0; size_of::<libc::tcp_info>()];
        read_option(self.as_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, &mut info).ok()?;
        // Of a socket that listens, these two have another meaning (net/ipv4/tcp.c, tcp_get_info).
        let listens = info[offset_of!(libc::tcp_info, tcpi_state)] == TCP_LISTEN;
        let word = |at: usize| u32::from_ne_bytes(info[at..at + 4].try_into().expect("4 bytes"));
        listens.then(|| Backlog {
            waiting: word(offset_of!(libc::tcp_info, tcpi_unacked)),
            limit: word(offset_of!(libc::tcp_info, tcpi_sacked)),
        })
    }
}

/// The state of a socket that listens (net/tcp_states.h).
const TCP_LISTEN: u8 = 10;

impl AsFd for TcpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// True if both are one address and port; where an IPv6 address has a scope, of one scope.
pub fn is_same_name(one: SocketAddr, other: SocketAddr) -> bool {
    let scope = |name: SocketAddr| match name {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(name) => name.scope_id(),
    };
    let place = |name: SocketAddr| -> (IpAddr, u16) { (name.ip(), name.port()) };
    place(one) == place(other) && scope(one) == scope(other)
}

fn number(fd: BorrowedFd<'_>, level: libc::c_int, name: libc::c_int) -> Result<i32, Errno> {
    let mut value = [0; 4];
    read_option(fd, level, name, &mut value)?;
    Ok(i32::from_ne_bytes(value))
}

fn read_option(
    fd: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
    value: &mut [u8],
) -> Result<(), Errno> {
    let mut length = libc::socklen_t::try_from(value.len()).expect("an option is short");
    let at = value.as_mut_ptr().cast();
    // SAFETY: the kernel writes at most `length` bytes to `value`, and the number of them to `length`.
    // WHY: nix knows no SO_COOKIE and no SO_DOMAIN.
    let read = unsafe { libc::getsockopt(fd.as_raw_fd(), level, name, at, &raw mut length) };
    Errno::result(read).map(drop)
}

fn set_number(
    fd: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> Result<(), Errno> {
    let length = size_of_val(&value) as libc::socklen_t;
    let at: *const libc::c_int = &value;
    // SAFETY: the kernel reads an int, which lives as long as the call lasts.
    // WHY: as above.
    Errno::result(unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, at.cast(), length) })
        .map(drop)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use super::*;

    fn socket(address: &str) -> TcpSocket {
        TcpSocket::of(TcpListener::bind(address).unwrap().into()).unwrap()
    }

    #[test]
    fn a_socket_that_was_closed_is_opened_again_as_it_was() {
        for address in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"] {
            let first = socket(address);
            set_number(first.as_fd(), libc::IPPROTO_TCP, libc::TCP_NODELAY, 1).unwrap();
            first.set_mode(Mode::Nonblocking);
            let like = first.likeness(7).unwrap();
            let cookie = first.cookie();
            drop(first);
            let second = TcpSocket::open(&like).unwrap();
            assert_eq!(second.likeness(7).unwrap(), like, "{address}");
            assert_ne!(second.cookie(), cookie);
            assert_eq!(second.backlog(), Some(Backlog { waiting: 0, limit: 7 }));
        }
    }

    #[test]
    fn an_address_that_another_socket_has_is_refused() {
        let first = socket("127.0.0.1:0");
        let refused = TcpSocket::open(&first.likeness(1).unwrap()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn the_connections_that_wait_are_counted() {
        let socket = socket("127.0.0.1:0");
        let name = socket.name().unwrap();
        let _clients = [TcpStream::connect(name).unwrap(), TcpStream::connect(name).unwrap()];
        assert_eq!(socket.backlog().unwrap().waiting, 2);
        let client = TcpSocket::of(TcpStream::connect(name).unwrap().into()).unwrap();
        assert_eq!(client.backlog(), None, "it does not listen");
    }

    #[test]
    fn only_sockets_of_tcp_are_held() {
        assert!(TcpSocket::of(UdpSocket::bind("127.0.0.1:0").unwrap().into()).is_none());
        let (unix, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        assert!(TcpSocket::of(unix.into()).is_none());
        assert!(TcpSocket::of(io::pipe().unwrap().0.into()).is_none());
    }

    #[test]
    fn an_address_of_another_scope_is_another_one() {
        let name = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert!(is_same_name(name("[fe80::1%1]:80"), name("[fe80::1%1]:80")));
        assert!(!is_same_name(name("[fe80::1%1]:80"), name("[fe80::1%2]:80")));
        assert!(!is_same_name(name("0.0.0.0:80"), name("[::]:80")));
    }
}
