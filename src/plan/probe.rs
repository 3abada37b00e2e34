//! How a worker is watched: what makes it ready, what keeps it from being taken for hung. Values only.

use std::ffi::OsString;
use std::fmt;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use regex_lite::Regex;

/// The time a worker has to become ready, unless said otherwise.
pub const READY_WITHIN: Duration = Duration::from_secs(30);

/// An answer with one of these statuses is a good one, unless said otherwise.
pub const STATUS: RangeInclusive<u16> = 200..=399;

/// One look at a worker from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// A connection to this port of 127.0.0.1 or ::1 is accepted.
    Tcp { port: u16 },
    /// `GET target` is answered with a status in this range, and with this text in the body if there is one.
    Http { port: u16, target: String, status: RangeInclusive<u16>, text: Option<String> },
    /// This command exits 0.
    Exec { argv: Vec<OsString> },
}

/// What makes a worker ready. How long it may take is in the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ready {
    /// It has lived as long as the policy says.
    Lived,
    Probe(Probe),
    /// It says `READY=1` (sd_notify(3)).
    Notify,
    /// It writes a line like this.
    Line(Line),
    /// It ends with status 0.
    Exit,
}

/// What to look for in a line of output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    Text(String),
    Pattern(Pattern),
}

impl Line {
    /// True if this line, without its end, is one of those looked for.
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

/// A regular expression; equal if it is written the same.
#[derive(Clone, Debug)]
pub struct Pattern(pub Regex);

/// A worker that had been ready is looked at again and again: one that hangs is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alive {
    pub by: AliveBy,
    pub every: Duration,
    /// One look may take this long.
    pub timeout: Duration,
    /// So many looks in a row that fail, and it is taken for hung.
    pub failures: NonZeroU32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AliveBy {
    Probe(Probe),
    /// It says `WATCHDOG=1` (sd_notify(3)) at least this often: `every`. `timeout` and `failures` do not count.
    Notify,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}
