//! What a look at a worker came by instead of an answer, in words.

use std::fmt;
use std::time::Duration;

use nix::errno::Errno;

use crate::plan::text::duration::words;
use crate::supervisor::Exit;

/// Why a look failed; as a part of a sentence.
#[derive(Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nobody accepts a connection on the port.
    Refused(u16),
    NoAnswer(Duration),
    ClosedEarly,
    NotHttp,
    Status(u16),
    NoText,
    /// The command that looks ended like this.
    Exit(Exit),
    /// The command that looks could not be started.
    CannotLook(String),
    /// It promised to say so and did not for this long.
    Silent(Duration),
    /// It said so itself.
    Confessed,
    /// pm's own, and nothing against the worker.
    Ours(Errno),
}

impl Trouble {
    /// False if it says nothing about the worker.
    pub fn is_its_own(&self) -> bool {
        match self {
            Self::Ours(_) | Self::CannotLook(_) => false,
            Self::Refused(_)
            | Self::NoAnswer(_)
            | Self::ClosedEarly
            | Self::NotHttp
            | Self::Status(_)
            | Self::NoText
            | Self::Exit(_)
            | Self::Silent(_)
            | Self::Confessed => true,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(port) => write!(out, "port {port} accepts no connection"),
            Self::NoAnswer(limit) => write!(out, "no answer within {}", words(*limit)),
            Self::ClosedEarly => write!(out, "it closed the connection before it had answered"),
            Self::NotHttp => write!(out, "its answer is not HTTP"),
            Self::Status(status) => write!(out, "it answered with status {status}"),
            Self::NoText => write!(out, "its answer lacks the text"),
            Self::Exit(Exit::Code(code)) => write!(out, "the command that looks exited {code}"),
            Self::Exit(Exit::Signal(signal)) => {
                write!(out, "the command that looks was killed by signal {signal}")
            }
            Self::CannotLook(why) => write!(out, "the command that looks cannot start: {why}"),
            Self::Silent(limit) => write!(out, "it has not said WATCHDOG=1 for {}", words(*limit)),
            Self::Confessed => write!(out, "it said WATCHDOG=trigger"),
            Self::Ours(errno) => write!(out, "pm cannot look: {}", errno.desc()),
        }
    }
}
