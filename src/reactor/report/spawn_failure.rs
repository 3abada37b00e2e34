//! Why a worker could not be spawned.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use nix::errno::Errno;

use crate::sys::ports::Holder;
use crate::sys::{SpawnError, limit_on, strerror};

/// Why a worker could not be spawned. Its `Display` is a clause for the end of a sentence.
#[derive(Debug)]
pub enum SpawnFailure {
    Spawn(SpawnError),
    /// There is no pipe or terminal for its output.
    Output(io::Error),
    /// There is no pipe for its stdin.
    Stdin(io::Error),
    /// Its control group refuses it.
    Cgroup(io::Error),
    /// The socket that it is to get cannot be opened.
    Socket(SocketAddr, io::Error),
    /// Another process listens on its port.
    PortHeld(Holder),
}

/// What pm does with a worker that an earlier pm has left on a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StaleWorkers {
    #[default]
    Keep,
    /// `--take-over`.
    Kill,
}

impl SpawnFailure {
    /// True if this is the failure that `last` was: the same process holds the same port.
    pub fn is_still(&self, last: Option<&Self>) -> bool {
        match (self, last) {
            (Self::PortHeld(holder), Some(Self::PortHeld(last))) => holder == last,
            (Self::PortHeld(_) | Self::Spawn(_), _) => false,
            (Self::Output(_) | Self::Stdin(_) | Self::Cgroup(_) | Self::Socket(..), _) => false,
        }
    }
}

impl From<SpawnError> for SpawnFailure {
    fn from(error: SpawnError) -> Self {
        Self::Spawn(error)
    }
}

impl fmt::Display for SpawnFailure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The one wrapper that pm knows (`plan::wrapper`).
            Self::Spawn(SpawnError::Script { path }) => write!(
                out,
                "{}: this is a Node script that starts the real Deno and leaves it behind when it \
                 is stopped",
                path.display()
            ),
            Self::Spawn(
                error @ (SpawnError::NotFound { .. }
                | SpawnError::Exec { .. }
                | SpawnError::Interpreter { .. }
                | SpawnError::Watch(_)
                | SpawnError::Prepare { .. }
                | SpawnError::Fork(_)
                | SpawnError::Hold(_)),
            ) => error.fmt(out),
            Self::Output(error) => {
                let limit = error.raw_os_error().map_or("", |n| limit_on(Errno::from_raw(n)));
                write!(out, "cannot open a pipe for its output: {}{limit}", strerror(error))
            }
            Self::Stdin(error) => {
                let limit = error.raw_os_error().map_or("", |n| limit_on(Errno::from_raw(n)));
                write!(out, "cannot open a pipe for its stdin: {}{limit}", strerror(error))
            }
            Self::Cgroup(error) => {
                write!(out, "cannot limit its memory by a control group: {}", strerror(error))
            }
            Self::Socket(name, error) => {
                write!(out, "cannot listen on {name} for it: {}", strerror(error))
            }
            Self::PortHeld(holder) => holder.fmt(out),
        }
    }
}
