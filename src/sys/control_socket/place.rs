//! A name in an open folder. Everything goes by the descriptor of the folder, wherever its path may lead by then.
//!
//! The address of a unix socket has 108 bytes (unix(7)). `/proc/self/fd/N/NAME` fits where the path of the folder does
//! not.

use std::ffi::OsString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, Flock, FlockArg, OFlag, open, openat};
use nix::poll::{PollTimeout, poll};
use nix::sys::socket::{UnixAddr, bind};
use nix::sys::stat::{Mode, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::probe::{Identity, SocketFile};

/// A second in all. Another pm holds the lock for less than a millisecond.
const LOCK_ATTEMPTS: u32 = 100;
const LOCK_PAUSE_MILLIS: u16 = 10;

#[derive(Debug)]
pub(super) struct Place {
    folder: OwnedFd,
    name: OsString,
}

/// Why a folder could not be locked.
#[derive(Debug)]
pub(super) enum LockError {
    /// Another process has held the lock all the time.
    Held,
    Os(Errno),
}

impl Place {
    /// # Errors
    /// EISDIR: the path has no name at its end. Otherwise as open(2) of the folder.
    pub(super) fn of(path: &Path) -> Result<Self, Errno> {
        let name = path.file_name().ok_or(Errno::EISDIR)?.to_owned();
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Self { folder: open(folder, flags, Mode::empty())?, name })
    }

    /// Locks the folder for as long as the result lives.
    ///
    /// flock(2) with LOCK_NB, again and again: each user who may read the folder may hold the lock for ever, and only a
    /// signal would end a flock(2) that waits. The pauses are waits in poll(2), at the start of pm only.
    ///
    /// # Errors
    /// `Held` after a second. Otherwise as open(2) for reading, and flock(2).
    pub(super) fn lock(&self) -> Result<Flock<OwnedFd>, LockError> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut readable =
            openat(&self.folder, ".", flags, Mode::empty()).map_err(LockError::Os)?;
        for _ in 0..LOCK_ATTEMPTS {
            match Flock::lock(readable, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => return Ok(lock),
                Err((again, Errno::EWOULDBLOCK)) => readable = again,
                Err((_, errno)) => return Err(LockError::Os(errno)),
            }
            // A signal ends the pause early: nothing depends on its length.
            let _ = poll(&mut [], PollTimeout::from(LOCK_PAUSE_MILLIS));
        }
        Err(LockError::Held)
    }

    /// What has this name, or `None`. If it is a symlink, the link itself.
    ///
    /// # Errors
    /// As openat(2).
    pub(super) fn file(&self) -> Result<Option<SocketFile>, Errno> {
        match SocketFile::open(&self.folder, Path::new(&self.name), OFlag::O_NOFOLLOW) {
            Ok(file) => Ok(Some(file)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Gives the socket this name.
    ///
    /// # Errors
    /// ENAMETOOLONG: the name alone is too long. Otherwise as bind(2).
    pub(super) fn bind(&self, socket: &OwnedFd) -> Result<(), Errno> {
        let address = path_of(&self.folder).join(&self.name);
        bind(socket.as_raw_fd(), &UnixAddr::new(&address)?)
    }

    /// # Errors
    /// As fstatat(2).
    pub(super) fn identity(&self) -> Result<Identity, Errno> {
        let name = self.name.as_os_str();
        Ok(Identity::of(&fstatat(&self.folder, name, AtFlags::AT_SYMLINK_NOFOLLOW)?))
    }

    /// Removes what has this name, if it is this file.
    ///
    /// # Errors
    /// As unlinkat(2).
    pub(super) fn remove(&self, identity: Identity) -> Result<(), Errno> {
        match self.identity() {
            Ok(found) if found == identity => {
                unlinkat(&self.folder, self.name.as_os_str(), UnlinkatFlags::NoRemoveDir)
            }
            Ok(_) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(errno),
        }
    }
}

/// The path of what a descriptor of this process refers to (proc_pid_fd(5)).
pub(super) fn path_of(folder: &impl AsRawFd) -> PathBuf {
    format!("/proc/self/fd/{}", folder.as_raw_fd()).into()
}

/// What is at this path. A symlink is followed.
///
/// # Errors
/// As open(2).
pub(super) fn file_at(path: &Path) -> Result<SocketFile, Errno> {
    SocketFile::open(AT_FDCWD, path, OFlag::empty())
}
