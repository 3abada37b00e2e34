//! Is a port free, and if not, who has it?

use std::collections::BTreeSet;
use std::fmt;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, SockaddrLike, bind, setsockopt,
    socket, sockopt,
};
use nix::unistd::Pid;
use procfs::net::{TcpNetEntry, TcpState};

use super::proc::{self, Seen};
use super::stale_worker;

/// Who listens on a port, as far as this user may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    Stranger {
        pid: Pid,
        program: String,
    },
    /// Somebody's worker, or what it had started, whose pm is dead. It was started in this folder.
    Orphan {
        pid: Pid,
        program: String,
    },
    Hidden,
}

impl fmt::Display for Holder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stranger { pid, program } => write!(out, "pid {pid} ({program})"),
            Self::Orphan { pid, program } => {
                write!(out, "pid {pid} ({program}), which an earlier pm has left here")
            }
            Self::Hidden => write!(out, "a process that only root may see"),
        }
    }
}

/// True if somebody listens on this port of the loopback addresses.
///
/// Asked by binding without listening, a few microseconds: with SO_REUSEADDR only a listener is in the way, not a
/// connection in TIME_WAIT (socket(7)). What else may be wrong with the port is for the worker to find out.
pub fn is_held(port: u16) -> bool {
    // What is free everywhere is free here: one question in the common case.
    let anywhere = Ipv6Addr::UNSPECIFIED;
    if bind_only(Domain::Both, &SockaddrIn6::from(SocketAddrV6::new(anywhere, port, 0, 0)))
        == Ok(())
    {
        return false;
    }
    let v4 = SockaddrIn::new(127, 0, 0, 1, port);
    let v6 = SockaddrIn6::from(SocketAddrV6::new(Ipv6Addr::LOCALHOST, port, 0, 0));
    let taken = Err(Errno::EADDRINUSE);
    bind_only(Domain::V4, &v4) == taken || bind_only(Domain::V6, &v6) == taken
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Domain {
    V4,
    V6,
    /// An IPv6 socket that takes the port of IPv4 too (ipv6(7), IPV6_V6ONLY).
    Both,
}

fn bind_only(domain: Domain, address: &dyn SockaddrLike) -> nix::Result<()> {
    let family = if domain == Domain::V4 { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    if domain == Domain::Both {
        setsockopt(&socket, sockopt::Ipv6V6Only, &false)?;
    }
    bind(socket.as_raw_fd(), address)
}

/// Who listens on this port, from /proc/net/tcp and /proc/net/tcp6; `None` if nobody does (any more). A socket whose
/// owner goes while it is looked for is nobody's. Those that own it would run in `folder`, or else in pm's own.
pub fn holder(port: u16, folder: Option<&Path>) -> Option<Holder> {
    let tables = [procfs::net::tcp(), procfs::net::tcp6()].into_iter().flatten().flatten();
    let listens =
        |entry: &TcpNetEntry| entry.state == TcpState::Listen && entry.local_address.port() == port;
    let sockets: BTreeSet<u64> = tables.filter(listens).map(|entry| entry.inode).collect();
    if sockets.is_empty() {
        return None;
    }
    match proc::owner_of(&sockets) {
        Some(Seen { pid, program, .. }) if stale_worker::is_stale_worker(pid, folder) => {
            Some(Holder::Orphan { pid, program })
        }
        Some(Seen { pid, program, .. }) => Some(Holder::Stranger { pid, program }),
        None => is_held(port).then_some(Holder::Hidden),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_listener_holds_its_port_and_is_named() {
        for address in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).unwrap();
            let port = listener.local_addr().unwrap().port();
            assert!(is_held(port), "{address}");
            let holder = holder(port, None).unwrap().to_string();
            assert!(holder.starts_with(&format!("pid {} (", std::process::id())), "{holder}");
        }
    }

    #[test]
    fn a_connection_that_is_over_holds_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).unwrap();
        // The side that closes first is the one that keeps the port in TIME_WAIT.
        drop(listener.accept().unwrap());
        drop((client, listener));
        assert!(!is_held(address.port()));
        assert_eq!(holder(address.port(), None), None);
    }
}
