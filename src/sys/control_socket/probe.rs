//! What is at a path, and whether a process listens there. Nothing is changed, and no byte is sent.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use nix::unistd::{Pid, geteuid};

use super::Peer;
use super::place::path_of;

/// What is at a path, held by O_PATH: whatever is renamed or removed meanwhile, all answers are about one file.
#[derive(Debug)]
pub(super) struct SocketFile {
    file: OwnedFd,
    stat: FileStat,
}

/// What tells a file from all others for as long as it is held or open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

/// The answer to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A process of the user `uid` listens. Its pid is not known if its backlog is full, or if it is in a pid
    /// namespace that cannot be seen from here.
    Live { uid: u32, pid: Option<Pid> },
    /// It is a socket, and no process listens on it.
    Stale,
    /// It is a socket of this other user, and its mode forbids a connection.
    Forbidden { uid: u32 },
    /// It is something else, or another kind of socket that a process has open.
    NotASocket,
}

impl Identity {
    pub(super) fn of(stat: &FileStat) -> Self {
        Self { device: stat.st_dev, inode: stat.st_ino }
    }
}

impl SocketFile {
    /// # Errors
    /// As openat(2).
    pub(super) fn open(folder: impl AsFd, path: &Path, more: OFlag) -> Result<Self, Errno> {
        let flags = OFlag::O_PATH | OFlag::O_CLOEXEC | more;
        let file = openat(folder, path, flags, Mode::empty())?;
        let stat = fstat(&file)?;
        Ok(Self { file, stat })
    }

    pub(super) fn identity(&self) -> Identity {
        Identity::of(&self.stat)
    }

    pub(super) fn is_socket(&self) -> bool {
        self.stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFSOCK.bits()
    }

    /// The user that it belongs to, if that is another one.
    pub(super) fn other_owner(&self) -> Option<u32> {
        (self.stat.st_uid != geteuid().as_raw()).then_some(self.stat.st_uid)
    }

    /// Connects a socket to this very file, whatever has its name by now.
    ///
    /// # Errors
    /// As connect(2).
    pub(super) fn connect(&self, socket: &OwnedFd) -> Result<(), Errno> {
        connect(socket.as_raw_fd(), &UnixAddr::new(&path_of(&self.file))?)
    }

    /// Asks by a connection, which is closed at once. Never waits.
    ///
    /// # Errors
    /// As socket(2) and connect(2).
    pub(super) fn probe(&self) -> Result<Answer, Errno> {
        if !self.is_socket() {
            return Ok(Answer::NotASocket);
        }
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let connection = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
        match self.connect(&connection) {
            Ok(()) => {
                let peer = Peer::of(&connection)?;
                Ok(Answer::Live { uid: peer.uid, pid: peer.pid })
            }
            // Its backlog is full: a process listens, which is stopped or busy.
            Err(Errno::EAGAIN) => Ok(Answer::Live { uid: self.stat.st_uid, pid: None }),
            Err(Errno::ECONNREFUSED) => Ok(Answer::Stale),
            Err(Errno::EPROTOTYPE) => Ok(Answer::NotASocket),
            Err(errno) => match (errno, self.other_owner()) {
                (Errno::EACCES, Some(uid)) => Ok(Answer::Forbidden { uid }),
                (errno, _) => Err(errno),
            },
        }
    }
}

/// True if pm trusts a socket of this user: its own, or root.
pub(super) fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == geteuid().as_raw()
}
