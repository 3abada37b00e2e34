//! Connects to the control socket of a running pm. It asks for nothing; only a pm of the same user, or of root, is
//! trusted.

use crate::sys::errno_words;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socket, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};
use nix::unistd::{Uid, User};

use super::Peer;
use super::place::file_at;
use super::probe::is_trusted;

/// How long a pm that accepts no client is waited for.
const PATIENCE_SECONDS: i64 = 5;

/// Why there is no connection to a pm.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("{}: there is no such socket; start pm first", .0.display())]
    Missing(PathBuf),
    #[error("{}: no pm listens on it: the pm that made it was killed", .0.display())]
    Stale(PathBuf),
    /// `user` is a name, or `#` and the uid: as `sudo -u` takes it.
    #[error("{}: it belongs to the pm of user {user}; try `sudo -u '{user}' pm ...`", .path.display())]
    NotYours { path: PathBuf, uid: u32, user: String },
    #[error("{}: it is not a control socket", .0.display())]
    NotASocket(PathBuf),
    #[error("{}: its pm has accepted no client for {PATIENCE_SECONDS} s; perhaps it is stopped", .0.display())]
    Busy(PathBuf),
    #[error("{}: cannot {step}: {}", .path.display(), errno_words(*.errno))]
    Os { path: PathBuf, step: &'static str, errno: Errno },
}

/// Connects to the pm that listens at this path; the result blocks. Waits at most 5 s, if the backlog is full.
///
/// # Errors
/// If no pm of this user or of root listens there.
pub fn connect(path: &Path) -> Result<UnixStream, ConnectError> {
    connect_within(path, TimeVal::seconds(PATIENCE_SECONDS))
}

pub(super) fn connect_within(path: &Path, patience: TimeVal) -> Result<UnixStream, ConnectError> {
    let failed = |step| move |errno| ConnectError::Os { path: path.into(), step, errno };
    let file = file_at(path).map_err(|errno| match errno {
        Errno::ENOENT | Errno::ENOTDIR => ConnectError::Missing(path.into()),
        errno => failed("find it")(errno),
    })?;
    if !file.is_socket() {
        return Err(ConnectError::NotASocket(path.into()));
    }
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None);
    let socket = socket.map_err(failed("open a socket"))?;
    // It limits connect(2) too (socket(7)).
    limit_sends(&socket, patience).map_err(failed("set a time limit"))?;
    let answer = loop {
        match file.connect(&socket) {
            Err(Errno::EINTR) => {}
            answer => break answer,
        }
    };
    answer.map_err(|errno| match (errno, file.other_owner()) {
        (Errno::ECONNREFUSED, _) => ConnectError::Stale(path.into()),
        (Errno::EAGAIN, _) => ConnectError::Busy(path.into()),
        (Errno::EPROTOTYPE, _) => ConnectError::NotASocket(path.into()),
        (Errno::EACCES, Some(uid)) => not_yours(path, uid),
        (errno, _) => failed("connect to it")(errno),
    })?;
    limit_sends(&socket, TimeVal::zero()).map_err(failed("remove the time limit"))?;
    let peer = Peer::of(&socket).map_err(failed("ask which user has made it"))?;
    if is_trusted(peer.uid) { Ok(socket.into()) } else { Err(not_yours(path, peer.uid)) }
}

/// Zero: no limit.
fn limit_sends(socket: &OwnedFd, longest: TimeVal) -> Result<(), Errno> {
    setsockopt(&socket, sockopt::SendTimeout, &longest)
}

fn not_yours(path: &Path, uid: u32) -> ConnectError {
    let found = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    let user = found.map_or_else(|| format!("#{uid}"), |user| user.name);
    ConnectError::NotYours { path: path.into(), uid, user }
}

#[cfg(test)]
mod tests;
