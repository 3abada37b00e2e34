//! Whether a process has one of these sockets open, by its folder in /proc (proc(5), /proc/PID/fd).
//!
//! Where to look next: [`super::listener`] asks it of a worker, [`super::proc`] of all processes.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

/// Whether a process has a socket open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    NotOpen,
    /// pm may not see what this process has open.
    Hidden,
    Open,
}

/// Whether the process of this folder of descriptors has one of these sockets open, by inode.
pub fn has_open(folder: &Path, sockets: &BTreeSet<u64>) -> Access {
    match std::fs::read_dir(folder) {
        Ok(files) => {
            let access = files.flatten().map(|file| is_one_of(&file.path(), sockets));
            access.max().unwrap_or(Access::NotOpen)
        }
        Err(error) => refused(&error),
    }
}

/// Whether this descriptor of a process is one of these sockets.
pub fn is_one_of(file: &Path, sockets: &BTreeSet<u64>) -> Access {
    match std::fs::read_link(file) {
        Ok(target) => {
            let inode = target.to_str().and_then(|target| target.strip_prefix("socket:["));
            let inode = inode.and_then(|inode| inode.strip_suffix(']')?.parse().ok());
            match inode {
                Some(inode) if sockets.contains(&inode) => Access::Open,
                Some(_) | None => Access::NotOpen,
            }
        }
        Err(error) => refused(&error),
    }
}

/// A process that has ended, or has closed the descriptor, has it not open.
fn refused(error: &io::Error) -> Access {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Access::Hidden,
        _ => Access::NotOpen,
    }
}
