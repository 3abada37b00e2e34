//! Whose process is at the other end of a connection of TCP that does not leave this machine. A unix socket has
//! SO_PEERCRED for that (unix(7)); for TCP the kernel is asked about the other socket.

use std::net::{IpAddr, SocketAddr};

use nix::errno::Errno;
use procfs::net::TcpNetEntry;

use super::sock_diag::{self, TCP_LISTEN};

/// The owner of the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The user whose process opened it.
    User(u32),
    /// It is closed, or is not on this machine, or the kernel does not tell.
    Unknown,
}

/// The owner of the socket at the other end of a connection between these addresses.
///
/// The kernel gives uid 0 to a socket that no process has any more (its inode is 0 then), so such a one is `Unknown`.
pub fn owner_of_peer(own: SocketAddr, peer: SocketAddr) -> Owner {
    let [own, peer] = [own, peer].map(|end| (end.ip().to_canonical(), end.port()));
    match sock_diag::socket_at(peer, own) {
        Ok(Some(found))
            if found.state != TCP_LISTEN && found.remote_port == own.1 && found.inode != 0 =>
        {
            Owner::User(found.uid)
        }
        Ok(_) => Owner::Unknown,
        // A kernel without the module inet_diag, or a sandbox.
        Err(_) => listed_owner(own, peer).unwrap_or(Owner::Unknown),
    }
}

/// The same by /proc/net/tcp and /proc/net/tcp6, in a time that grows with the number of connections.
fn listed_owner(own: (IpAddr, u16), peer: (IpAddr, u16)) -> Result<Owner, Errno> {
    let tables = [procfs::net::tcp(), procfs::net::tcp6()].into_iter().flatten().flatten();
    let end = |address: SocketAddr| (address.ip().to_canonical(), address.port());
    let is_it = |entry: &TcpNetEntry| {
        end(entry.local_address) == peer && end(entry.remote_address) == own && entry.inode != 0
    };
    let found = { tables }.find(is_it).ok_or(Errno::ENOENT)?;
    Ok(Owner::User(found.uid))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use nix::unistd::geteuid;

    use super::*;

    #[test]
    fn the_other_end_belongs_to_the_user_whose_process_opened_it() {
        for (address, target) in
            [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "::1"), ("[::]:0", "127.0.0.1")]
        {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let port = listener.local_addr().unwrap().port();
            let client = TcpStream::connect((target, port)).unwrap();
            let (accepted, peer) = listener.accept().unwrap();
            let own = accepted.local_addr().unwrap();
            let user = Owner::User(geteuid().as_raw());
            assert_eq!(owner_of_peer(own, peer), user, "{address}");
            let canonical = |end: SocketAddr| (end.ip().to_canonical(), end.port());
            let listed = listed_owner(canonical(own), canonical(peer));
            assert_eq!(listed, Ok(user), "{address}");
            // The uid of a socket without a process would be that of root.
            drop(client);
            assert_eq!(owner_of_peer(own, peer), Owner::Unknown, "{address}");
            let listed = listed_owner(canonical(own), canonical(peer));
            assert_eq!(listed, Err(Errno::ENOENT), "{address}");
        }
    }

    #[test]
    fn a_connection_that_is_not_there_has_no_owner() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap();
        let elsewhere: SocketAddr = "127.0.0.1:1".parse().unwrap();
        assert_eq!(owner_of_peer(elsewhere, here), Owner::Unknown, "a listener is no peer");
    }
}
