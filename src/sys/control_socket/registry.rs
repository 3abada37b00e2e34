//! The control sockets of every running pm of a user: a folder of symlinks, each named by a pid.
//!
//! The folder is `$XDG_RUNTIME_DIR/pm`, for root without one `/run/pm`. It belongs to the user, and only the user may
//! write to it; otherwise it is not used. A pm that was killed leaves its link, which is removed by the next look.

use crate::sys::errno_words;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat, readlinkat};
use nix::sys::stat::{Mode, fstat, mkdirat};
use nix::unistd::{Pid, UnlinkatFlags, geteuid, symlinkat, unlinkat};

use super::place::{file_at, path_of};
use super::probe::{Answer, is_trusted};

/// Its name in the folder for what runs.
const NAME: &str = "pm";

/// The links of one user.
#[derive(Debug)]
pub struct Registry {
    /// The folder that it is in.
    runtime: PathBuf,
}

/// A link, which is removed when this is dropped.
#[derive(Debug)]
pub struct Registration {
    folder: OwnedFd,
    name: String,
    socket: PathBuf,
}

/// Why a running pm is not listed.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("{}: it is not a folder that belongs to pm's user alone; remove it", .0.display())]
    NotOwn(PathBuf),
    #[error("{}: {}", .path.display(), errno_words(*.errno))]
    Os { path: PathBuf, errno: Errno },
}

impl Registry {
    /// That of pm's user; `None` if there is no folder for it.
    pub fn of_user() -> Option<Self> {
        Self::within(std::env::var_os("XDG_RUNTIME_DIR").as_deref().map(Path::new))
    }

    /// A relative path is ignored (XDG Base Directory Specification), and so is the folder of another user, which sudo
    /// may leave in the environment: in it, pm would take the name from that user.
    fn within(runtime: Option<&Path>) -> Option<Self> {
        let is_own = |folder: &&Path| {
            let is_own = |of: std::fs::Metadata| of.is_dir() && of.uid() == geteuid().as_raw();
            folder.is_absolute() && folder.metadata().is_ok_and(is_own)
        };
        let of_root = || geteuid().is_root().then_some(Path::new("/run"));
        Some(Self { runtime: runtime.filter(is_own).or_else(of_root)?.into() })
    }

    /// Where the links are.
    pub fn folder(&self) -> PathBuf {
        self.runtime.join(NAME)
    }

    /// Makes the link of a pm that listens. Links of earlier ones to the same socket are removed.
    ///
    /// # Errors
    /// EEXIST: a live pm of another pid namespace has this pid. Otherwise, if the folder cannot be used.
    pub fn register(&self, pid: Pid, socket: &Path) -> Result<Registration, RegistryError> {
        let failed = |errno| RegistryError::Os { path: self.folder(), errno };
        let socket = std::path::absolute(socket).map_err(|error| {
            // An empty path has no errno.
            failed(error.raw_os_error().map_or(Errno::EINVAL, Errno::from_raw))
        })?;
        let parent = open(&self.runtime, FOLDER | OFlag::O_PATH, Mode::empty());
        match parent.and_then(|parent| mkdirat(parent, NAME, Mode::S_IRWXU)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(failed(errno)),
        }
        let folder = self.open()?;
        let name = pid.to_string();
        for (other, target) in links(&folder) {
            if target == socket || other == pid && !is_live(&target) {
                remove(&folder, &other.to_string(), &target);
            }
        }
        symlinkat(&socket, &folder, name.as_str()).map_err(failed)?;
        Ok(Registration { folder, name, socket })
    }

    /// Each pm that listens: the pid of the process that does, and its socket. Links to dead ones are removed.
    ///
    /// # Errors
    /// If the folder cannot be used. That there is none is no error.
    pub fn list(&self) -> Result<Vec<(Pid, PathBuf)>, RegistryError> {
        let folder = match self.open() {
            Ok(folder) => folder,
            Err(RegistryError::Os { errno: Errno::ENOENT, .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        // By socket: the link of a pm that was killed may lead to the socket of its successor.
        let mut live = BTreeMap::new();
        for (pid, socket) in links(&folder) {
            match file_at(&socket).and_then(|file| file.probe()) {
                Ok(Answer::Live { uid, pid: listener }) if is_trusted(uid) => {
                    live.insert(socket, listener.unwrap_or(pid));
                }
                // What another user has there now is not the pm that made the link.
                Ok(
                    Answer::Live { .. }
                    | Answer::Forbidden { .. }
                    | Answer::Stale
                    | Answer::NotASocket,
                )
                | Err(Errno::ENOENT | Errno::ENOTDIR) => {
                    remove(&folder, &pid.to_string(), &socket);
                }
                // It cannot be asked now: too many files are open, or the folder is locked away.
                Err(_) => {}
            }
        }
        let mut live: Vec<_> = live.into_iter().map(|(socket, pid)| (pid, socket)).collect();
        live.sort();
        Ok(live)
    }

    /// The folder, once it is sure that no other user may change what is in it.
    fn open(&self) -> Result<OwnedFd, RegistryError> {
        let failed = |errno| match errno {
            Errno::ELOOP | Errno::ENOTDIR => RegistryError::NotOwn(self.folder()),
            errno => RegistryError::Os { path: self.folder(), errno },
        };
        let parent = open(&self.runtime, FOLDER | OFlag::O_PATH, Mode::empty());
        let flags = FOLDER | OFlag::O_NOFOLLOW;
        let folder = parent.and_then(|parent| openat(parent, NAME, flags, Mode::empty()));
        let folder = folder.map_err(failed)?;
        let stat = fstat(&folder).map_err(failed)?;
        let mode = Mode::from_bits_truncate(stat.st_mode);
        let is_shared = mode.intersects(Mode::S_IWGRP | Mode::S_IWOTH);
        let is_own = stat.st_uid == geteuid().as_raw() && !is_shared;
        if is_own { Ok(folder) } else { Err(RegistryError::NotOwn(self.folder())) }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        remove(&self.folder, &self.name, &self.socket);
    }
}

const FOLDER: OFlag = OFlag::O_DIRECTORY.union(OFlag::O_CLOEXEC);

/// The links that are named by a pid.
fn links(folder: &OwnedFd) -> Vec<(Pid, PathBuf)> {
    let entries = path_of(folder).read_dir().into_iter().flatten().flatten();
    let links = entries.filter_map(|entry| {
        let name = entry.file_name();
        let pid = name.to_str()?.parse().ok().map(Pid::from_raw)?;
        Some((pid, target(folder, &name)?))
    });
    links.collect()
}

/// Where this link leads, if it is one.
fn target(folder: &OwnedFd, name: &OsStr) -> Option<PathBuf> {
    readlinkat(folder, name).ok().map(PathBuf::from)
}

fn is_live(socket: &Path) -> bool {
    let answer = file_at(socket).and_then(|file| file.probe());
    matches!(answer, Ok(Answer::Live { uid, .. }) if is_trusted(uid))
}

/// Removes this link, if it still leads there: a newer pm may have the pid, and so the name.
fn remove(folder: &OwnedFd, name: &str, socket: &Path) {
    if target(folder, OsStr::new(name)).is_some_and(|target| target == socket) {
        // If it stays, the next look removes it.
        let _ = unlinkat(folder, name, UnlinkatFlags::NoRemoveDir);
    }
}

#[cfg(test)]
mod tests;
