//! Is a port free, and if not, which process holds it, and where? It opens no connection and ends no process.
//!
//! Where to look next: [`super::stale_worker`] kills a process that an earlier pm has left on a port.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, SockaddrLike, bind, setsockopt,
    socket, sockopt,
};
use nix::unistd::{Pid, geteuid};
use procfs::net::{TcpNetEntry, TcpState};

use super::proc::{self, NoOwner, ProcessInfo};
use super::{privileges, stale_worker};

/// A listener that keeps a worker from its port. As text, it is a clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Where it listens: a loopback address or all addresses.
    pub address: SocketAddr,
    pub process: HolderProcess,
}

/// The process that listens, as far as pm's user may see. As text, it is a noun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HolderProcess {
    Other {
        pid: Pid,
        program: String,
    },
    /// A process of an earlier pm's worker ([`stale_worker::is_stale_worker`]).
    StaleWorker {
        pid: Pid,
        program: String,
    },
    /// A process that was not found.
    Hidden(Hidden),
}

/// Why the process that holds a port was not found. As text, it is a noun: that process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Hidden {
    #[error("a process that only root may see")]
    NotRoot,
    #[error("a process that root may see only with CAP_SYS_PTRACE, which pm does not have")]
    NoCapability,
    /// pm is root, and the kernel refuses all the same.
    #[error("a process that the kernel hides from pm (by a user namespace or a security module)")]
    Refused,
    #[error("a process that is not in /proc (of another pid namespace, or the kernel itself)")]
    Absent,
}

impl From<NoOwner> for Hidden {
    fn from(no_owner: NoOwner) -> Self {
        match no_owner {
            NoOwner::Absent => Self::Absent,
            NoOwner::Forbidden if !geteuid().is_root() => Self::NotRoot,
            NoOwner::Forbidden if !privileges::may_see_all() => Self::NoCapability,
            NoOwner::Forbidden => Self::Refused,
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} is held by {}", self.address, self.process)
    }
}

impl fmt::Display for HolderProcess {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other { pid, program } => write!(out, "pid {pid} ({program})"),
            Self::StaleWorker { pid, program } => {
                write!(out, "pid {pid} ({program}), which an earlier pm has left here")
            }
            Self::Hidden(hidden) => hidden.fmt(out),
        }
    }
}

/// True if a process listens on this port of a loopback address.
///
/// Found by bind(2) without listen(2), in a few microseconds: with SO_REUSEADDR only a listener prevents it, not a
/// connection in TIME_WAIT (socket(7)). Any other error of the port is left for the worker to find and report.
pub fn is_held(port: u16) -> bool {
    // A port that is free on all addresses is free on loopback: one bind(2) in the common case.
    let all = SockaddrIn6::from(SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, port, 0, 0));
    if bind_only(Domain::Both, &all) == Ok(()) {
        return false;
    }
    let v4 = SockaddrIn::new(127, 0, 0, 1, port);
    let v6 = SockaddrIn6::from(SocketAddrV6::new(Ipv6Addr::LOCALHOST, port, 0, 0));
    let in_use = Err(Errno::EADDRINUSE);
    bind_only(Domain::V4, &v4) == in_use || bind_only(Domain::V6, &v6) == in_use
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

/// The sockets that listen on this port of any address, by inode.
pub(super) fn listening_sockets(port: u16) -> BTreeSet<u64> {
    listeners(port).into_keys().collect()
}

/// The sockets that listen on this port, by inode, and where: from /proc/net/tcp and /proc/net/tcp6.
fn listeners(port: u16) -> BTreeMap<u64, SocketAddr> {
    let tables = [procfs::net::tcp(), procfs::net::tcp6()].into_iter().flatten().flatten();
    let listens =
        |entry: &TcpNetEntry| entry.state == TcpState::Listen && entry.local_address.port() == port;
    tables.filter(listens).map(|entry| (entry.inode, entry.local_address)).collect()
}

/// True if a listener on this address prevents one on a loopback address, as [`is_held`] finds out.
fn prevents(ip: IpAddr) -> bool {
    // Of the addresses of IPv4 that an IPv6 socket has (ipv6(7)).
    let ip = ip.to_canonical();
    ip.is_unspecified() || ip == Ipv4Addr::LOCALHOST || ip == Ipv6Addr::LOCALHOST
}

/// The process that listens on this port of a loopback address; `None` if none does, or if it ended while it was
/// searched for. A worker on this port would run in `folder`, or else in pm's own folder, and a stale worker is
/// recognized by that.
pub fn holder(port: u16, folder: Option<&Path>) -> Option<Holder> {
    let mut sockets = listeners(port);
    sockets.retain(|_, address| prevents(address.ip()));
    let first = *sockets.values().min()?;
    let ProcessInfo { pid, program, .. } = match proc::owner_of(&sockets.keys().copied().collect())
    {
        Ok(owner) => owner,
        Err(no_owner) => {
            let hidden =
                || Holder { address: first, process: HolderProcess::Hidden(no_owner.into()) };
            return is_held(port).then(hidden);
        }
    };
    let of_owner = sockets.iter().filter(|(socket, _)| proc::has_open_socket(pid, **socket));
    let address = of_owner.map(|(_, address)| *address).min().unwrap_or(first);
    let process = if stale_worker::is_stale_worker(pid, folder) {
        HolderProcess::StaleWorker { pid, program }
    } else {
        HolderProcess::Other { pid, program }
    };
    Some(Holder { address, process })
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_listener_holds_its_port_and_is_named() {
        for address in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).unwrap();
            let address = listener.local_addr().unwrap();
            assert!(is_held(address.port()), "{address}");
            let holder = holder(address.port(), None).unwrap().to_string();
            let named = format!("{address} is held by pid {} (", std::process::id());
            assert!(holder.starts_with(&named), "{holder}");
        }
    }

    #[test]
    fn a_listener_elsewhere_is_not_the_one_that_holds_a_port() {
        let elsewhere = TcpListener::bind("127.0.0.2:0").unwrap();
        let port = elsewhere.local_addr().unwrap().port();
        assert!(!is_held(port));
        assert_eq!(holder(port, None), None);
        let here = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let address = holder(port, None).unwrap().address;
        assert_eq!(address, here.local_addr().unwrap(), "not {elsewhere:?}");
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
