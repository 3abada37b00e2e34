//! sd_notify(3): a datagram socket for each slot, on which its worker says how it is.
//!
//! The socket has an abstract name that the kernel picks (unix(7), autobind): nothing is left in any folder, and no two
//! are the same. The kernel says who wrote (SCM_CREDENTIALS), so a worker cannot speak for another.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, RawFd};
use std::os::unix::net::UnixDatagram;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr, bind, getsockname,
    recvmsg, setsockopt, socket, sockopt,
};
use nix::unistd::{Pid, geteuid, getpgid};

/// systemd's own limit; a longer datagram is cut.
const DATAGRAM_BYTES_MAX: usize = 4096;

/// As much of a status as one line of a message bears.
const STATUS_CHARS_MAX: usize = 200;

/// The socket of one slot.
#[derive(Debug)]
pub struct NotifySocket {
    socket: UnixDatagram,
    name: String,
}

/// What a worker says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// READY=1
    Ready,
    /// STOPPING=1
    Stopping,
    /// WATCHDOG=1
    Alive,
    /// WATCHDOG=trigger: it asks to be treated as if it hung.
    Hung,
    /// STATUS=...
    Status(String),
    /// MAINPID=...: not for a worker to say.
    MainPid(String),
}

/// A datagram and who sent it.
#[derive(Debug)]
pub struct Datagram {
    pub sender: Sender,
    pub notices: Vec<Notice>,
}

/// Whom the kernel says that it is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    pub pid: Pid,
    pub uid: u32,
}

impl NotifySocket {
    /// Opens a socket that nobody knows of yet.
    ///
    /// # Errors
    /// EMFILE or ENFILE: too many files are open.
    pub fn open() -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
        setsockopt(&socket, sockopt::PassCred, &true)?;
        bind(socket.as_raw_fd(), &UnixAddr::new_unnamed())?;
        let address: UnixAddr = getsockname(socket.as_raw_fd())?;
        let name = address.as_abstract().map(String::from_utf8_lossy);
        let name = name.ok_or(io::ErrorKind::AddrNotAvailable)?.into_owned();
        // SAFETY: the descriptor was this function's own and is given away here.
        // WHY: std turns no OwnedFd into a datagram socket without it.
        let socket = unsafe { UnixDatagram::from_raw_fd(socket.into_raw_fd()) };
        Ok(Self { socket, name })
    }

    /// What NOTIFY_SOCKET is to say: an abstract name begins with `@` there.
    pub fn variable(&self) -> String {
        format!("@{}", self.name)
    }

    /// Takes the next datagram, or `None` when no more are waiting. Never waits.
    pub fn receive(&self) -> Option<Datagram> {
        loop {
            let mut bytes = [0; DATAGRAM_BYTES_MAX];
            let mut space = nix::cmsg_space!(libc::ucred);
            let mut buffers = [io::IoSliceMut::new(&mut bytes)];
            let fd = self.socket.as_raw_fd();
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
            let (count, sender) = match recvmsg::<()>(fd, &mut buffers, Some(&mut space), flags) {
                Ok(message) => {
                    let mut parts = message.cmsgs().into_iter().flatten();
                    let sender = parts.find_map(|part| match part {
                        ControlMessageOwned::ScmCredentials(who) => {
                            Some(Sender { pid: Pid::from_raw(who.pid()), uid: who.uid() })
                        }
                        _ => None,
                    });
                    (message.bytes, sender)
                }
                Err(Errno::EINTR) => continue,
                Err(_) => return None,
            };
            // The kernel adds the sender to all that is sent after the option was set.
            let Some(sender) = sender else { continue };
            return Some(Datagram { sender, notices: read(&bytes[..count]) });
        }
    }
}

impl AsRawFd for NotifySocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// True if `sender` may speak for the process group of `leader`, whose worker runs as `uid`: it is in the group. If it is
/// gone and can be asked no more, as systemd-notify(1) is by the time it is heard, it has to be of that user, or root's:
/// anybody can read the names of sockets in /proc/net/unix.
pub fn may_speak_for(sender: Sender, leader: Pid, uid: u32) -> bool {
    match getpgid(Some(sender.pid)) {
        Ok(group) => group == leader,
        Err(_) => sender.uid == uid || sender.uid == 0,
    }
}

/// Who this process is, and so are its workers unless they are somebody else.
pub fn own_uid() -> u32 {
    geteuid().as_raw()
}

/// The notices in a datagram: lines `NAME=value`. What pm has no use for (FDSTORE and the like) is left out; other
/// supervisors give it a meaning, and a worker does not know under which it runs.
pub fn read(bytes: &[u8]) -> Vec<Notice> {
    let text = String::from_utf8_lossy(bytes);
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let notices = pairs.filter_map(|(name, value)| match (name, value.trim()) {
        ("READY", "1") => Some(Notice::Ready),
        ("STOPPING", "1") => Some(Notice::Stopping),
        ("WATCHDOG", "1") => Some(Notice::Alive),
        ("WATCHDOG", "trigger") => Some(Notice::Hung),
        ("STATUS", status) => Some(Notice::Status(printable(status))),
        ("MAINPID", pid) => Some(Notice::MainPid(printable(pid))),
        _ => None,
    });
    notices.collect()
}

/// For a line on a terminal: no control character can move the cursor or ring the bell.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(STATUS_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr;

    use super::*;

    fn say(socket: &NotifySocket, bytes: &[u8]) {
        let name = socket.variable();
        let address = SocketAddr::from_abstract_name(&name.as_bytes()[1..]).unwrap();
        UnixDatagram::unbound().unwrap().send_to_addr(bytes, &address).unwrap();
    }

    #[test]
    fn a_datagram_tells_what_is_said_and_by_whom() {
        let socket = NotifySocket::open().unwrap();
        assert!(socket.receive().is_none());
        say(&socket, b"READY=1\nSTATUS=half\x1b[31m way\nFDSTORE=1\n");
        let heard = socket.receive().unwrap();
        let sender = Sender { pid: nix::unistd::getpid(), uid: own_uid() };
        assert_eq!(heard.sender, sender);
        assert_eq!(heard.notices, [Notice::Ready, Notice::Status("half[31m way".into())]);
        assert!(socket.receive().is_none());
    }

    #[test]
    fn no_two_sockets_have_one_name() {
        let (one, other) = (NotifySocket::open().unwrap(), NotifySocket::open().unwrap());
        assert_ne!(one.variable(), other.variable());
    }

    #[test]
    fn only_the_group_itself_speaks_for_it() {
        use nix::unistd::{getpgrp, getpid};
        let me = Sender { pid: getpid(), uid: own_uid() };
        let other = Pid::from_raw(getpgrp().as_raw() + 1);
        assert!(may_speak_for(me, getpgrp(), own_uid()));
        assert!(!may_speak_for(me, other, own_uid()));
    }

    #[test]
    fn one_that_is_gone_speaks_only_for_its_own_user() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = Pid::from_raw(child.id().try_into().unwrap());
        child.wait().unwrap();
        let leader = nix::unistd::getpgrp();
        assert!(may_speak_for(Sender { pid, uid: 1234 }, leader, 1234));
        assert!(may_speak_for(Sender { pid, uid: 0 }, leader, 1234));
        assert!(!may_speak_for(Sender { pid, uid: 65534 }, leader, 1234));
    }

    #[test]
    fn lines_that_are_no_notice_are_left_out() {
        assert_eq!(read(b"READY=0\nREADY\n=1\n\xff\xfe\nWATCHDOG=1"), [Notice::Alive]);
        assert_eq!(read(b"MAINPID= 12 "), [Notice::MainPid("12".into())]);
        assert_eq!(read(b""), []);
    }
}
