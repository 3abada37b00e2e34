//! The control socket of a running pm: a unix stream socket in the folder of its plan. What is said over it is not
//! decided here, and neither is its name.
//!
//! A pm that was killed leaves its socket behind, and two may be started at the same time. So a socket is made while
//! the folder is locked (flock(2), which leaves no file), and one that is there already is asked by a connection: if no
//! process listens, it is stale and is removed.
//!
//! - [`client`]: connects to one; [`search`]: finds those of a folder; [`registry`]: those of a user
//! - `place`: a name in an open folder; `probe`: what is at a path

pub mod client;
mod place;
mod probe;
pub mod registry;
pub mod search;

use crate::sys::{errno_words, limit_on};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use mio::net::UnixStream;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, accept4, getsockopt, listen, socket, sockopt,
};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::Pid;

use place::{LockError, Place};
use probe::{Answer, Identity};

/// Clients that wait to be accepted. A client beyond them finds the backlog full.
const BACKLOG: i32 = 128;

/// A socket that listens. Its file is removed when it is dropped, unless it is another one by then.
#[derive(Debug)]
pub struct ControlSocket {
    listener: OwnedFd,
    place: Place,
    identity: Identity,
    path: PathBuf,
}

/// The process at the other end of a connection, as the kernel names it (unix(7), SO_PEERCRED): as it was when it
/// connected, or when it began to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    pub uid: u32,
    pub gid: u32,
    /// `None` if it is in a pid namespace that cannot be seen from here.
    pub pid: Option<Pid>,
}

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum ControlSocketError {
    #[error(
        "{}: {} listens on it; stop that pm, or give this one another socket with `--socket`",
        .path.display(), listener(*.pid)
    )]
    Live { path: PathBuf, pid: Option<Pid> },
    /// Whether it is live is not known: its mode forbids a connection.
    #[error("{}: it is the control socket of uid {uid}; remove it, or use another one with `--socket`", .path.display())]
    NotYours { path: PathBuf, uid: u32 },
    #[error("{}: it is not a stream socket, so pm leaves it; use another path with `--socket`", .0.display())]
    NotASocket(PathBuf),
    #[error("{}: another process has kept its folder locked for a second; `lslocks` names it", .0.display())]
    Locked(PathBuf),
    #[error("{}: its folder does not exist", .0.display())]
    NoFolder(PathBuf),
    /// The folder, or its file system, does not allow a socket.
    #[error(
        "{}: no socket can be made there: {}; use another path with `--socket`",
        .path.display(), errno_words(*.errno)
    )]
    NotWritable { path: PathBuf, errno: Errno },
    #[error(
        "{}: cannot {step}: {}{}",
        .path.display(), errno_words(*.errno), limit_on(*.errno)
    )]
    Os { path: PathBuf, step: &'static str, errno: Errno },
}

impl ControlSocket {
    /// Makes the socket at this path, and listens. Only pm's own user may connect to it, whatever the umask: mode 0600,
    /// before it has a name. It may wait for a second if another process has locked the folder.
    ///
    /// # Errors
    /// If a process listens there, if there is something that is not a socket, or if the folder does not allow it.
    pub fn bind(path: &Path) -> Result<Self, ControlSocketError> {
        let failed = |step| move |errno| ControlSocketError::of(path, step, errno);
        let place = Place::of(path).map_err(|errno| match errno {
            Errno::ENOENT | Errno::ENOTDIR => ControlSocketError::NoFolder(path.into()),
            errno => ControlSocketError::of(path, "open its folder", errno),
        })?;
        let lock = place.lock().map_err(|error| match error {
            LockError::Held => ControlSocketError::Locked(path.into()),
            LockError::Os(errno) => ControlSocketError::of(path, "lock its folder", errno),
        })?;
        remove_stale(&place, path)?;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None);
        let listener = socket.map_err(failed("open a socket for it"))?;
        // The file gets the mode of the socket, less the umask (unix(7)): at no time may another user connect.
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        fchmod(&listener, mode).map_err(failed("set the mode of its socket"))?;
        place.bind(&listener).map_err(failed("bind a socket to it"))?;
        let identity = place.identity().map_err(failed("find its new socket"))?;
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.into());
        // From here on, an error removes the file.
        let born = Self { listener, place, identity, path: absolute };
        Backlog::new(BACKLOG)
            .and_then(|backlog| listen(&born.listener, backlog))
            .map_err(failed("listen on it"))?;
        drop(lock);
        Ok(born)
    }

    /// Takes the next client, or `None` when no more are waiting. Never waits.
    ///
    /// # Errors
    /// As accept4(2). EMFILE and ENFILE: the client stays in the backlog, and no new event tells of it.
    pub fn accept(&self) -> Result<Option<(UnixStream, Peer)>, ControlSocketError> {
        self.next().map_err(|errno| ControlSocketError::of(&self.path, "accept a client", errno))
    }

    fn next(&self) -> Result<Option<(UnixStream, Peer)>, Errno> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        loop {
            match accept4(self.listener.as_raw_fd(), flags) {
                Ok(fd) => {
                    // SAFETY: accept4(2) has opened the descriptor just now, and it has no other owner.
                    // WHY: nix returns a number; the accept of mio belongs to a listener that mio has bound by a path.
                    let connection = unsafe { OwnedFd::from_raw_fd(fd) };
                    let peer = Peer::of(&connection)?;
                    return Ok(Some((UnixStream::from_std(connection.into()), peer)));
                }
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::ECONNABORTED | Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// The absolute path that it was made at.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the file and ends every connection that has not been accepted.
    pub fn close(self) {}
}

impl Drop for ControlSocket {
    /// The file goes first: while it listens, no other pm replaces it between the look and the removal, and the kernel
    /// gives its inode number to no other file.
    fn drop(&mut self) {
        // If it stays, it is stale, and the next pm removes it.
        let _ = self.place.remove(self.identity);
    }
}

impl AsRawFd for ControlSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.listener.as_raw_fd()
    }
}

impl AsFd for ControlSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Peer {
    /// # Errors
    /// ENOTCONN: it is not connected.
    pub fn of(connection: &impl AsFd) -> Result<Self, Errno> {
        let peer = getsockopt(connection, sockopt::PeerCredentials)?;
        let pid = (peer.pid() > 0).then(|| Pid::from_raw(peer.pid()));
        Ok(Self { uid: peer.uid(), gid: peer.gid(), pid })
    }
}

impl ControlSocketError {
    /// Clients would arrive at a socket that the poll does not watch.
    pub fn not_watched(path: &Path, error: &std::io::Error) -> Self {
        let errno = error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw);
        Self::Os { path: path.into(), step: "watch it", errno }
    }

    fn of(path: &Path, step: &'static str, errno: Errno) -> Self {
        let path = path.into();
        match errno {
            // EPERM: a file system without sockets, or the file of another user in a folder with the sticky bit.
            Errno::EACCES
            | Errno::EPERM
            | Errno::EROFS
            | Errno::ENOSPC
            | Errno::EDQUOT
            | Errno::EOPNOTSUPP => Self::NotWritable { path, errno },
            errno => Self::Os { path, step, errno },
        }
    }
}

/// The name of a control socket: `.pm.sock`, or `.STEM.pm.sock`.
pub fn name_for(stem: Option<&str>) -> String {
    match stem {
        Some(stem) => format!(".{stem}.pm.sock"),
        None => ".pm.sock".into(),
    }
}

/// Removes the socket there if no process listens on it. The folder is locked.
fn remove_stale(place: &Place, path: &Path) -> Result<(), ControlSocketError> {
    let failed = |step| move |errno| ControlSocketError::of(path, step, errno);
    let Some(file) = place.file().map_err(failed("find out what it is"))? else { return Ok(()) };
    let path = path.to_path_buf();
    match file.probe().map_err(failed("connect to it"))? {
        Answer::Live { pid, .. } => Err(ControlSocketError::Live { path, pid }),
        Answer::Forbidden { uid } => Err(ControlSocketError::NotYours { path, uid }),
        Answer::NotASocket => Err(ControlSocketError::NotASocket(path)),
        Answer::Stale => place.remove(file.identity()).map_err(failed("remove a stale socket")),
    }
}

/// The process that listens, as the subject of a sentence.
fn listener(pid: Option<Pid>) -> String {
    match pid {
        Some(pid) => format!("pid {pid}"),
        None => "another process".into(),
    }
}

#[cfg(test)]
mod tests;
