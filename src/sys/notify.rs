//! sd_notify(3): a datagram socket for each slot, on which its worker sends notifications. What follows from one is not
//! decided here.
//!
//! The socket has an abstract name that the kernel picks (unix(7), autobind): no file is left in any folder, and no two
//! sockets have the same name. The kernel adds the sender (SCM_CREDENTIALS), so a worker cannot notify for another.
//! How a datagram is taken is in [`receive`].

mod receive;

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, RawFd};
use std::os::unix::net::UnixDatagram;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, bind, getsockname, setsockopt, socket, sockopt,
};
use nix::unistd::{Pid, geteuid, getpgid};

use self::receive::receive;
use super::worker_tag::WorkerTag;
use crate::supervisor::WorkerId;

/// systemd's limit. A longer datagram is cut.
const DATAGRAM_BYTES_MAX: usize = 4096;

/// A longer status is cut, so that it fits into one line of a message.
const STATUS_CHARS_MAX: usize = 200;

/// The socket of one slot.
#[derive(Debug)]
pub struct NotifySocket {
    socket: UnixDatagram,
    name: String,
}

/// A notification: one line of a datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notification {
    /// READY=1
    Ready,
    /// STOPPING=1
    Stopping,
    /// WATCHDOG=1
    Alive,
    /// WATCHDOG=trigger: the worker asks to be treated as hung.
    Hung,
    /// STATUS=...
    Status(String),
    /// MAINPID=...: pm ignores it, since it knows the leader's pid.
    MainPid(String),
}

/// The notifications of one datagram, and the process that sent it.
#[derive(Debug)]
pub struct Datagram {
    pub sender: Sender,
    pub notifications: Vec<Notification>,
}

/// The sender of a datagram, as the kernel names it (unix(7), SCM_CREDENTIALS).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    pub pid: Pid,
    pub uid: u32,
}

impl NotifySocket {
    /// Opens a socket.
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

    /// The value of NOTIFY_SOCKET. An abstract name begins with `@` there (sd_notify(3)).
    pub fn variable(&self) -> String {
        format!("@{}", self.name)
    }

    /// Takes the next datagram, or `None` when no more are waiting. Never waits.
    pub fn receive(&self) -> Option<Datagram> {
        loop {
            let mut bytes = [0; DATAGRAM_BYTES_MAX];
            let (count, sender) = match receive(self.socket.as_fd(), &mut bytes) {
                Ok(received) => received,
                Err(Errno::EINTR) => continue,
                Err(_) => return None,
            };
            // The kernel adds the sender to every datagram that is sent after PassCred was set.
            let Some(sender) = sender else { continue };
            return Some(Datagram { sender, notifications: parse(&bytes[..count]) });
        }
    }
}

impl AsRawFd for NotifySocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// True if `sender` may notify for this worker, whose process group `leader` leads and which runs as `uid`: if it is in
/// this group, or a descendant that has left it. If it has ended already, as systemd-notify(1) often has, neither is
/// known; then it must have run as `uid` or as root, since every user can read the names of sockets in /proc/net/unix.
pub fn may_notify_for(sender: Sender, worker: WorkerId, leader: Pid, uid: u32) -> bool {
    match getpgid(Some(sender.pid)) {
        Ok(group) => {
            group == leader || WorkerTag::of(sender.pid).is_some_and(|tag| tag.is_of(worker))
        }
        Err(_) => sender.uid == uid || sender.uid == 0,
    }
}

/// The user that pm runs as, and its workers too unless their pool has a `user`.
pub fn own_uid() -> u32 {
    geteuid().as_raw()
}

/// The notifications in a datagram: lines `NAME=value`. Lines that pm does not use (FDSTORE=1) are left out without an
/// error: another supervisor uses them, and a worker does not know which one it runs under.
pub fn parse(bytes: &[u8]) -> Vec<Notification> {
    let text = String::from_utf8_lossy(bytes);
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let notifications = pairs.filter_map(|(name, value)| match (name, value.trim()) {
        ("READY", "1") => Some(Notification::Ready),
        ("STOPPING", "1") => Some(Notification::Stopping),
        ("WATCHDOG", "1") => Some(Notification::Alive),
        ("WATCHDOG", "trigger") => Some(Notification::Hung),
        ("STATUS", status) => Some(Notification::Status(printable(status))),
        ("MAINPID", pid) => Some(Notification::MainPid(printable(pid))),
        _ => None,
    });
    notifications.collect()
}

/// The text without control characters, which could move the cursor of a terminal or ring its bell.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(STATUS_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr;

    use std::io::{Read, Write};
    use std::process::Stdio;

    use super::*;

    fn say(socket: &NotifySocket, bytes: &[u8]) {
        let name = socket.variable();
        let address = SocketAddr::from_abstract_name(&name.as_bytes()[1..]).unwrap();
        UnixDatagram::unbound().unwrap().send_to_addr(bytes, &address).unwrap();
    }

    #[test]
    fn a_datagram_has_its_notifications_and_its_sender() {
        let socket = NotifySocket::open().unwrap();
        assert!(socket.receive().is_none());
        say(&socket, b"READY=1\nSTATUS=half\x1b[31m way\nFDSTORE=1\n");
        let heard = socket.receive().unwrap();
        let sender = Sender { pid: nix::unistd::getpid(), uid: own_uid() };
        assert_eq!(heard.sender, sender);
        assert_eq!(
            heard.notifications,
            [Notification::Ready, Notification::Status("half[31m way".into())]
        );
        assert!(socket.receive().is_none());
    }

    #[test]
    fn a_datagram_with_descriptors_counts_and_leaves_none_open() {
        use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
        let socket = NotifySocket::open().unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        let address = UnixAddr::new_abstract(&socket.variable().as_bytes()[1..]).unwrap();
        let (reader, writer) = io::pipe().unwrap();
        // As many as one datagram may have (unix(7), SCM_RIGHTS).
        for count in [1, 253] {
            let descriptors = vec![writer.as_raw_fd(); count];
            let text = [io::IoSlice::new(b"READY=1\nFDSTORE=1")];
            let rights = [ControlMessage::ScmRights(&descriptors)];
            sendmsg(sender.as_raw_fd(), &text, &rights, MsgFlags::empty(), Some(&address)).unwrap();
            let heard = socket.receive().unwrap();
            assert_eq!(heard.notifications, [Notification::Ready], "{count}");
        }
        drop(writer);
        let mut rest = String::new();
        { reader }.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "", "no other process has the pipe open");
    }

    #[test]
    fn no_two_sockets_have_one_name() {
        let (one, other) = (NotifySocket::open().unwrap(), NotifySocket::open().unwrap());
        assert_ne!(one.variable(), other.variable());
    }

    const WORKER: WorkerId = WorkerId { slot: crate::supervisor::SlotId(0), generation: 1 };

    #[test]
    fn only_a_member_of_the_group_or_a_descendant_may_notify_for_a_worker() {
        use nix::unistd::{getpgrp, getpid};
        let me = Sender { pid: getpid(), uid: own_uid() };
        let other = Pid::from_raw(getpgrp().as_raw() + 1);
        assert!(may_notify_for(me, WORKER, getpgrp(), own_uid()));
        assert!(!may_notify_for(me, WORKER, other, own_uid()));
        let tag = WorkerTag { pm: getpid(), worker: WORKER, probe: None };
        let mut cat = std::process::Command::new("cat");
        cat.stdin(Stdio::piped()).stdout(Stdio::piped());
        cat.envs(tag.variables().map(|variable| {
            let (name, value) = variable.split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        }));
        let mut cat = cat.spawn().unwrap();
        // What answers has its environment.
        cat.stdin.as_mut().unwrap().write_all(b"x").unwrap();
        cat.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let sender = Sender { pid: Pid::from_raw(cat.id().try_into().unwrap()), uid: own_uid() };
        assert!(may_notify_for(sender, WORKER, other, own_uid()));
        let next = WorkerId { generation: 2, ..WORKER };
        assert!(!may_notify_for(sender, next, other, own_uid()));
        cat.kill().unwrap();
        cat.wait().unwrap();
    }

    #[test]
    fn a_sender_that_has_ended_may_notify_only_for_its_own_user() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = Pid::from_raw(child.id().try_into().unwrap());
        child.wait().unwrap();
        let leader = nix::unistd::getpgrp();
        let may =
            |sender_uid, uid| may_notify_for(Sender { pid, uid: sender_uid }, WORKER, leader, uid);
        assert!(may(1234, 1234) && may(0, 1234));
        assert!(!may(65534, 1234));
    }

    #[test]
    fn lines_that_are_not_a_notification_are_left_out() {
        assert_eq!(parse(b"READY=0\nREADY\n=1\n\xff\xfe\nWATCHDOG=1"), [Notification::Alive]);
        assert_eq!(parse(b"MAINPID= 12 "), [Notification::MainPid("12".into())]);
        assert_eq!(parse(b""), []);
    }
}
