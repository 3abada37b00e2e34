//! What the kernel knows of one socket of TCP (sock_diag(7)): found by its addresses in the same time whatever number
//! of sockets there is. It opens no connection and changes nothing.

use std::net::IpAddr;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};

/// A socket, as the kernel describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// As in the kernel: [`TCP_LISTEN`] and others.
    pub state: u8,
    /// The port of the other side; 0 of one that listens.
    pub remote_port: u16,
    /// Of the process that opened it. It is 0 where `inode` is 0, whoever it was.
    pub uid: u32,
    /// 0 if no process has it open any more.
    pub inode: u64,
}

pub const TCP_LISTEN: u8 = 10;

/// `nlmsghdr` (netlink(7)), and `inet_diag_req_v2` after it (sock_diag(7)).
const HEADER_BYTES: usize = 16;
const REQUEST_BYTES: u32 = 72;
/// In an answer, after the header, `inet_diag_msg`: the state, the port of the other side, and its last two fields.
const STATE_AT: usize = HEADER_BYTES + 1;
const REMOTE_PORT_AT: usize = HEADER_BYTES + 6;
const UID_AT: usize = HEADER_BYTES + 64;
const INODE_AT: usize = HEADER_BYTES + 68;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;

/// The socket that a packet from `remote` to `local` would reach; `None` if there is none. Both are of one family.
///
/// # Errors
/// ENOENT and EPROTONOSUPPORT: the kernel has no inet_diag. EPERM: a sandbox forbids it.
pub fn socket_at(local: (IpAddr, u16), remote: (IpAddr, u16)) -> nix::Result<Option<Found>> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let diag = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkSockDiag)?;
    send(diag.as_raw_fd(), &request(local, remote), MsgFlags::empty())?;
    let mut answer = [0; 1024];
    // The kernel has answered before send(2) returns.
    let count = recv(diag.as_raw_fd(), &mut answer, MsgFlags::MSG_DONTWAIT)?;
    let answer = &answer[..count];
    let word = |at: usize| {
        let bytes = answer.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map(u32::from_ne_bytes).ok_or(Errno::EBADMSG)
    };
    let half = |at: usize| {
        let bytes: Option<[u8; 2]> = answer.get(at..at + 2).and_then(|bytes| bytes.try_into().ok());
        bytes.ok_or(Errno::EBADMSG)
    };
    if u16::from_ne_bytes(half(4)?) != SOCK_DIAG_BY_FAMILY {
        // NLMSG_ERROR, and a negative errno after the header.
        return match Errno::from_raw(-word(HEADER_BYTES)?.cast_signed()) {
            Errno::ENOENT => Ok(None),
            errno => Err(errno),
        };
    }
    Ok(Some(Found {
        state: *answer.get(STATE_AT).ok_or(Errno::EBADMSG)?,
        remote_port: u16::from_be_bytes(half(REMOTE_PORT_AT)?),
        uid: word(UID_AT)?,
        inode: u64::from(word(INODE_AT)?),
    }))
}

/// Asks for the one socket to which a packet to this address would go.
fn request((local, local_port): (IpAddr, u16), (remote, remote_port): (IpAddr, u16)) -> Vec<u8> {
    let family = if local.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let bytes = |address| match address {
        IpAddr::V4(ip) => [&ip.octets()[..], &[0; 12]].concat(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let mut message = Vec::with_capacity(REQUEST_BYTES as usize);
    message.extend(REQUEST_BYTES.to_ne_bytes());
    message.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    message.extend(NLM_F_REQUEST.to_ne_bytes());
    // Sequence and sender.
    message.extend([0; 8]);
    // Family, protocol, no extensions, padding; the states, all of them.
    message.extend([family as u8, libc::IPPROTO_TCP as u8, 0, 0]);
    message.extend(u32::MAX.to_ne_bytes());
    // inet_diag_sockid: own port and that of the other side; own address and that of the other side.
    message.extend(local_port.to_be_bytes());
    message.extend(remote_port.to_be_bytes());
    message.extend(bytes(local));
    message.extend(bytes(remote));
    // Any interface, and no cookie (INET_DIAG_NOCOOKIE).
    message.extend([0; 4]);
    message.extend([0xff; 8]);
    message
}
