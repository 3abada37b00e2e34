//! How it is known that a worker is ready, and that it still serves. Values only.
//!
//! A probe is one question. As a pool's spec has it, its port may be "the slot's own" and its command may have
//! placeholders: [`ProbeSpec`]. In the plan of a slot they are filled in: [`Probe`].

use std::ffi::OsString;
use std::fmt;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use regex_lite::Regex;

use super::text::placeholders::{Template, Values};
use crate::supervisor::Readiness;

/// One question to a worker, from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Is a connection to this port of 127.0.0.1 or ::1 accepted?
    Tcp { port: u16 },
    /// Is `GET target` answered with a status in this range, and with this text in the body if there is one?
    Http { port: u16, target: String, status: RangeInclusive<u16>, text: Option<String> },
    /// Does this command exit 0?
    Exec { argv: Vec<OsString> },
}

/// A probe before the port and the placeholders of a slot are filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeSpec {
    Tcp {
        port: ProbePort,
    },
    /// Always on the slot's own port.
    Http {
        target: String,
        status: RangeInclusive<u16>,
        text: Option<String>,
    },
    Exec {
        argv: Vec<Template>,
    },
}

/// The port that a probe connects to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbePort {
    /// The slot's own.
    Own,
    Other(u16),
}

/// When a worker is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready<P = Probe> {
    pub by: ReadyBy<P>,
    /// With [`ReadyBy::Lived`] the time it has to live, else the time after which it is a failed start.
    pub within: Duration,
}

/// By what a worker is known to be ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadyBy<P = Probe> {
    /// It has lived for `within`.
    Lived,
    /// The probe succeeds.
    Probe(P),
    /// It sends `READY=1` (sd_notify(3)).
    Notify,
    /// It writes a line like this.
    Line(Line),
    /// It exits 0.
    Exit,
    /// It calls listen(2) for its slot's port, which pm holds.
    Listen,
}

/// A line of output to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    Text(String),
    Pattern(Pattern),
}

/// A regular expression. Two are equal if they are written the same.
#[derive(Clone, Debug)]
pub struct Pattern(pub Regex);

/// How a worker that has been ready is found to hang, so that it is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alive<P = Probe> {
    pub by: AliveBy<P>,
    /// From one probe to the next, or from one notification to the next.
    pub every: Duration,
    /// The longest time that one probe may take.
    pub timeout: Duration,
    /// After this many failed probes in a row the worker hangs.
    pub failures: NonZeroU32,
}

/// By what a worker is known to be alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AliveBy<P = Probe> {
    Probe(P),
    /// It sends `WATCHDOG=1` (sd_notify(3)) at least once in `every`. `timeout` and `failures` do not apply.
    Notify,
}

impl<P> Ready<P> {
    /// What the supervisor is told of it: that it waits for a word, or for a time.
    pub fn readiness(&self) -> Readiness {
        match self.by {
            ReadyBy::Lived => Readiness::Lived { after: self.within },
            ReadyBy::Probe(_)
            | ReadyBy::Notify
            | ReadyBy::Line(_)
            | ReadyBy::Exit
            | ReadyBy::Listen => Readiness::Probe { within: self.within },
        }
    }
}

impl ProbeSpec {
    /// The probe of one slot.
    pub(super) fn fill(&self, values: &Values<'_>) -> Probe {
        let own_port = || values.port.expect("its reader refuses it in a pool without ports");
        match self {
            Self::Tcp { port: ProbePort::Own } => Probe::Tcp { port: own_port() },
            Self::Tcp { port: ProbePort::Other(port) } => Probe::Tcp { port: *port },
            Self::Http { target, status, text } => Probe::Http {
                port: own_port(),
                target: target.clone(),
                status: status.clone(),
                text: text.clone(),
            },
            Self::Exec { argv } => {
                Probe::Exec { argv: argv.iter().map(|argument| argument.fill(values)).collect() }
            }
        }
    }
}

impl Ready<ProbeSpec> {
    /// When the worker of one slot is ready.
    pub(super) fn fill(&self, values: &Values<'_>) -> Ready {
        let by = match &self.by {
            ReadyBy::Lived => ReadyBy::Lived,
            ReadyBy::Probe(probe) => ReadyBy::Probe(probe.fill(values)),
            ReadyBy::Notify => ReadyBy::Notify,
            ReadyBy::Line(line) => ReadyBy::Line(line.clone()),
            ReadyBy::Exit => ReadyBy::Exit,
            ReadyBy::Listen => ReadyBy::Listen,
        };
        Ready { by, within: self.within }
    }
}

impl Alive<ProbeSpec> {
    /// How the worker of one slot is found to hang.
    pub(super) fn fill(&self, values: &Values<'_>) -> Alive {
        let by = match &self.by {
            AliveBy::Probe(probe) => AliveBy::Probe(probe.fill(values)),
            AliveBy::Notify => AliveBy::Notify,
        };
        let Self { every, timeout, failures, .. } = *self;
        Alive { by, every, timeout, failures }
    }
}

impl Line {
    /// True if this line, without its line feed, is like the one that is looked for.
    pub fn is_in(&self, line: &[u8]) -> bool {
        match self {
            Self::Text(text) => memchr::memmem::find(line, text.as_bytes()).is_some(),
            Self::Pattern(Pattern(regex)) => regex.is_match(&String::from_utf8_lossy(line)),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(out, "`{text}`"),
            Self::Pattern(Pattern(regex)) => write!(out, "a match of `{}`", regex.as_str()),
        }
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Line {
        Line::Pattern(Pattern(Regex::new(text).unwrap()))
    }

    #[test]
    fn patterns_are_the_same_if_they_are_written_the_same() {
        assert_eq!(pattern("a+"), pattern("a+"));
        assert_ne!(pattern("a+"), pattern("aa*"));
    }

    #[test]
    fn messages_show_a_line_as_it_is_written() {
        assert_eq!(Line::Text("up".into()).to_string(), "`up`");
        assert_eq!(pattern("^up").to_string(), "a match of `^up`");
    }
}
