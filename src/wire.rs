//! Floor 2: what crosses the control socket, as JSON. The server, the commands and every other client use these types
//! and nothing else.
//!
//! A field that means nothing now is `null`: never 0, an empty text or a time long ago. Seconds are decimal numbers,
//! bytes are whole ones, cores are decimal (1.0 is one core), and times are RFC 3339 in UTC with milliseconds. Fields
//! are only ever added, so a client ignores those that it does not know; an unknown field of a request is an error.

mod backlog;
mod commands;
mod live;
mod logs;
pub mod openapi;
mod spare;
pub mod terminal;
mod time;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::backlog::Backlog;
pub use self::commands::{Command, Kill, Reload, Scale, Shutdown, WaitFor};
pub use self::live::{SlotSample, StatsRound};
pub use self::logs::{LogFile, LogLine, LogStart};
pub use self::spare::{Retiring, Spare, SparePhase};
pub use self::time::Time;

/// The version of this interface. It changes only if a field is removed or means something else.
pub const API: u32 = 1;

/// The answer to `GET /v1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Version {
    /// The version of pm.
    pub pm: String,
    pub api: u32,
    pub pid: i32,
}

/// One moment of a run. All of it was true at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// The number of the last event that this status contains. The events after it have no hole.
    pub seq: u64,
    pub now: Time,
    pub pm: PmStatus,
    pub slots: Vec<SlotStatus>,
}

/// What is known of pm itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PmStatus {
    pub version: String,
    /// Of the reactor.
    pub pid: i32,
    pub started_at: Time,
    /// The file that the plan was made from; `null` if there is none.
    pub plan: Option<String>,
    /// pm was asked to stop, or the run is over.
    pub draining: bool,
    /// The plan allows `pm chaos` to kill its workers.
    #[serde(default)]
    pub chaos: bool,
    /// The page for browsers on this machine; `null` if there is none.
    #[serde(default)]
    pub page: Option<String>,
}

/// What is known of one slot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SlotStatus {
    /// `web.2`
    pub slot: String,
    pub pool: String,
    pub number: usize,
    pub port: Option<u16>,
    /// `null` if pm holds no socket of its port (`hold_port = true`).
    pub backlog: Option<Backlog>,
    /// Its workers have a terminal (`pty = true`), to which a client can attach.
    #[serde(default)]
    pub terminal: bool,
    pub wanted: Wanted,
    pub phase: Phase,
    pub phase_since: Time,
    /// When the phase ends by itself.
    pub phase_until: Option<Time>,
    /// The worker that is there; `null` if there is none.
    pub worker: Option<Worker>,
    /// The worker that has started and waits at its bind(2) to take over; `null` if there is none (`spare`).
    #[serde(default)]
    pub spare: Option<Spare>,
    /// The worker from which a spare has taken over, until nothing is left of it.
    #[serde(default)]
    pub retiring: Option<Retiring>,
    /// How often a worker was replaced, for any reason.
    pub restarts: u64,
    /// Failed starts in a row.
    pub failed_starts: u32,
    pub next_try_at: Option<Time>,
    /// The pools that it waits for before it starts.
    pub waits_for: Vec<String>,
    pub last_death: Option<Death>,
    /// What the processes of the worker use, if `stats=1` asks for it.
    pub stats: Option<Stats>,
}

/// What a slot is wanted to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    Up,
    Down,
    /// Its worker has ended, and the restart policy does not restart it.
    Ended,
    /// The plan no longer has it.
    Gone,
}

/// What a slot is at.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    #[default]
    Idle,
    Starting,
    Ready,
    Stopping,
    Killing,
    Backoff,
    GivenUp,
}

impl Phase {
    pub const ALL: [Self; 7] = [
        Self::Idle,
        Self::Starting,
        Self::Ready,
        Self::Stopping,
        Self::Killing,
        Self::Backoff,
        Self::GivenUp,
    ];

    /// As it is written: `given_up`.
    pub fn written(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Stopping => "stopping",
            Self::Killing => "killing",
            Self::Backoff => "backoff",
            Self::GivenUp => "given_up",
        }
    }
}

/// A worker that is there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Worker {
    pub generation: u64,
    /// `null` while it is not started yet.
    pub pid: Option<i32>,
    pub started_at: Time,
    pub ready_at: Option<Time>,
    pub uptime_seconds: f64,
}

/// How a worker ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Death {
    pub generation: u64,
    pub pid: Option<i32>,
    pub at: Time,
    pub reason: Reason,
    /// `null` if a signal killed it, or if it could not be started.
    pub exit_status: Option<u8>,
    /// `SIGKILL`
    pub signal: Option<String>,
    /// True if the kernel killed it for want of memory, as far as is known.
    pub out_of_memory: Option<bool>,
    pub uptime_seconds: f64,
    /// What pm said of it.
    pub words: String,
    /// The last lines before it; empty unless they were asked for.
    pub last_lines: Vec<String>,
}

/// Why a worker ended.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It exited after it had been ready.
    Crash,
    /// It exited before it was ready, was not ready in time, or could not be started.
    FailedStart,
    Hung,
    /// A command.
    Asked,
    /// The plan.
    Changed,
    /// pm was asked to stop.
    Shutdown,
}

/// What the processes of one worker use: all of its group, and its descendants in others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stats {
    pub sampled_at: Time,
    /// User and system time since its start, with that of its processes that have ended.
    pub cpu_seconds: f64,
    /// The mean since its start: 0.5 is half of a core. That of another time is the difference of two `cpu_seconds`.
    pub cpu_cores: f64,
    /// Resident memory. A page that several processes have counts for each.
    pub memory_bytes: u64,
    pub processes: usize,
}

/// One slot and its last deaths, the latest first. The answer to `GET /v1/slots/{slot}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SlotDetail {
    #[serde(flatten)]
    pub status: SlotStatus,
    pub deaths: Vec<Death>,
    /// The command that its next worker runs.
    pub argv: Vec<String>,
    pub cwd: Option<String>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Counts from 1 in each run, without a hole.
    pub seq: u64,
    pub at: Time,
    #[serde(flatten)]
    pub kind: EventKind,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// A slot has another phase, or another worker.
    Phase { slot: String, generation: u64, from: Phase, to: Phase },
    /// pm has said this, of a slot or of the run.
    Report { slot: Option<String>, generation: Option<u64>, words: String },
    /// This many events were lost: they are older than what pm keeps.
    Gap { dropped: u64 },
    /// pm ends.
    Bye { words: String },
}

impl EventKind {
    /// As `event` is written.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Phase { .. } => "phase",
            Self::Report { .. } => "report",
            Self::Gap { .. } => "gap",
            Self::Bye { .. } => "bye",
        }
    }

    /// The slot that it is about, if it is about one.
    pub fn slot(&self) -> Option<&str> {
        match self {
            Self::Phase { slot, .. } => Some(slot),
            Self::Report { slot, .. } => slot.as_deref(),
            Self::Gap { .. } | Self::Bye { .. } => None,
        }
    }
}

/// The name of the problem that more clients want a stream than pm gives one.
pub const TOO_MANY_STREAMS: &str = "too-many-streams";

/// The answer to a command that was carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Done {
    /// As in [`Status`].
    pub seq: u64,
    pub outcome: Outcome,
    /// What was done, in words, if there is more to say than the slots show.
    pub words: Option<String>,
    /// The slots that the command is about, as they are now.
    pub slots: Vec<SlotStatus>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Done,
    /// It was so before.
    Already,
    /// It goes on; the answer did not wait.
    Accepted,
}

/// Why a request was not carried out (RFC 9457, `application/problem+json`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// `/errors/no-such-slot`
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    pub detail: String,
    /// What to type instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The names that could have been meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<String>,
    /// The slots that the command is about, as they are now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slots: Vec<SlotStatus>,
}

impl Problem {
    /// True if its type has this name.
    pub fn is(&self, name: &str) -> bool {
        self.kind.strip_prefix("/errors/") == Some(name)
    }
}
