//! Why a probe of a worker failed.

use std::fmt;
use std::time::Duration;

use nix::errno::Errno;

use super::sentences::signal_name;
use crate::plan::text::duration::words;
use crate::supervisor::Exit;
use crate::sys::errno_words;
use crate::sys::ports::Holder;

/// Why a probe failed. Its `Display` is a clause for the end of a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeFailure {
    /// The port accepts no connection.
    Refused(u16),
    NoAnswer(Duration),
    /// The probe is under way for this long.
    NoAnswerYet(Duration),
    ClosedEarly,
    /// It answered with 1xx without end.
    InterimOnly,
    NotHttp,
    Status(u16),
    NoText,
    /// The probe command ended like this.
    Exited(Exit),
    /// The probe command could not be started, for this reason.
    CannotStart(String),
    /// Another process accepts the connections to this port.
    PortHeld {
        port: u16,
        /// `None` if it was not found yet, or has ended.
        holder: Option<Holder>,
    },
    /// The worker did not send WATCHDOG=1 for this long.
    Silent(Duration),
    /// The worker sent WATCHDOG=trigger.
    Triggered,
    /// pm itself could not probe, by no fault of the worker.
    Own(Errno),
}

impl ProbeFailure {
    /// False if it says nothing about the worker, so that it must not count against it.
    pub fn is_of_worker(&self) -> bool {
        match self {
            Self::Own(_) | Self::CannotStart(_) => false,
            Self::Refused(_)
            | Self::NoAnswer(_)
            | Self::NoAnswerYet(_)
            | Self::ClosedEarly
            | Self::InterimOnly
            | Self::NotHttp
            | Self::Status(_)
            | Self::NoText
            | Self::Exited(_)
            | Self::PortHeld { .. }
            | Self::Silent(_)
            | Self::Triggered => true,
        }
    }

    /// False if the probe command was never run, and will not be until someone mends that.
    pub fn has_asked(&self) -> bool {
        !matches!(self, Self::CannotStart(_))
    }
}

impl fmt::Display for ProbeFailure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(port) => write!(out, "port {port} accepts no connection"),
            Self::NoAnswer(limit) => write!(out, "no answer within {}", words(*limit)),
            Self::NoAnswerYet(waited) => write!(out, "no answer yet after {}", words(*waited)),
            Self::ClosedEarly => write!(out, "it closed the connection before it answered"),
            Self::InterimOnly => write!(out, "it sends only interim answers (1xx)"),
            Self::NotHttp => write!(out, "its answer is not HTTP"),
            Self::Status(status) => write!(out, "it answered with status {status}"),
            Self::NoText => write!(out, "its answer does not contain the text"),
            // What sh(1) says of a command that is not there; what the shell has printed goes nowhere.
            Self::Exited(Exit::Code(127)) => {
                out.write_str("the probe command exited 127 (a shell did not find a program)")
            }
            Self::Exited(Exit::Code(code)) => write!(out, "the probe command exited {code}"),
            Self::Exited(Exit::Signal(signal)) => {
                let signal = signal_name(i32::from(*signal));
                write!(out, "the probe command was killed by {signal}")
            }
            Self::CannotStart(why) => write!(out, "the probe command cannot start: {why}"),
            Self::PortHeld { port: _, holder: Some(holder) } => holder.fmt(out),
            Self::PortHeld { port, holder: None } => {
                write!(out, "port {port} is held by another process")
            }
            Self::Silent(limit) => write!(out, "it did not send WATCHDOG=1 for {}", words(*limit)),
            Self::Triggered => write!(out, "it sent WATCHDOG=trigger"),
            Self::Own(errno) => write!(out, "pm cannot probe it: {}", errno_words(*errno)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_probe_command_is_told_as_that_of_a_worker() {
        let told = |exit| ProbeFailure::Exited(exit).to_string();
        assert_eq!(told(Exit::Signal(9)), "the probe command was killed by SIGKILL");
        assert_eq!(told(Exit::Code(1)), "the probe command exited 1");
        let missing = "the probe command exited 127 (a shell did not find a program)";
        assert_eq!(told(Exit::Code(127)), missing);
    }
}
