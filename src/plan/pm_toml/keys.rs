//! What can stand in a `pm.toml`. These types are read by serde and described by schemars: there is no other list of
//! the keys.

use schemars::JsonSchema;
use serde::Deserialize;

use super::command::Command;
use super::field::{Field, Many, Names};
use super::types::{
    PortsText, Size, Status, StopSignal, Target, TcpPort, Text, Time, Umask, VariableText, Whole,
    Yes,
};
use crate::plan::probe::Pattern;

/// What pm keeps alive.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "pm.toml")]
pub struct File {
    /// The pools, each by its name.
    #[schemars(extend("propertyNames" = { "pattern": "^[A-Za-z0-9_-]+$" }))]
    pub pool: Field<Names<PoolTable>>,
}

/// Workers of one command.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["command"]))]
pub struct PoolTable {
    /// The program and its arguments; a string is given to `sh -c`. {port}, {slot}, {n}, {pool} and {dir} are filled in.
    pub command: Field<Command>,
    /// One worker for each of these ports.
    pub ports: Field<Many<PortsText>>,
    /// So many workers, without ports. 1 if there are no ports either.
    pub workers: Field<Whole<1, 1_000>>,
    /// The folder the workers run in. The folder of this file unless said otherwise.
    pub cwd: Field<Text>,
    /// Folders that are searched before PATH.
    pub path: Field<Many<Text>>,
    /// Variables of the workers' environment. They win over those of `env_file`.
    pub env: Field<Names<VariableText>>,
    /// Files of variables, as `.env`; later ones win.
    pub env_file: Field<Many<Text>>,
    /// The pools that are ready before this one starts, and stop after it has.
    pub after: Field<Many<Text>>,
    /// Which exits are followed by a new worker. `always` unless said otherwise.
    pub restart: Field<RestartWord>,
    /// More crashes than this, and the slot gives up.
    pub max_restarts: Field<MaxRestartsTable>,
    /// What makes a worker ready. Its port accepts a connection, or without a port, it has lived for a second.
    pub ready: Field<ReadyTable>,
    /// How a worker that hangs is found out, to be replaced.
    pub alive: Field<AliveTable>,
    /// The wait after failed starts.
    pub backoff: Field<BackoffTable>,
    /// How workers are asked to stop.
    pub stop: Field<StopTable>,
    /// A file that a worker's lines are written to besides.
    pub log: Field<LogTable>,
    /// What a worker may use.
    pub limits: Field<LimitsTable>,
    /// The user that the workers run as; pm must be root's.
    pub user: Field<Text>,
    /// The group that the workers run as, if it is not the user's.
    pub group: Field<Text>,
    /// The permissions that new files do not get, in octal.
    pub umask: Field<Umask>,
    /// -20 (served first) to 19.
    pub nice: Field<Whole<-20, 19>>,
    /// The workers write to a terminal of their own: many show colours, and do not hold lines back.
    pub pty: Field<bool>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum RestartWord {
    Always,
    OnFailure,
    Never,
}

/// A worker that would be replaced once more than `count` times within `within` is not: the slot gives up.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["count", "within"]))]
pub struct MaxRestartsTable {
    pub count: Field<Whole<1, 1_000>>,
    pub within: Field<Time>,
}

/// Exactly one of `tcp`, `http`, `exec`, `notify`, `line`, `line_regex`, `exit` and `after`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReadyTable {
    /// It accepts a connection: `true` on its own port, a number on another.
    pub tcp: Field<TcpPort>,
    /// It answers a GET of this path on its port.
    pub http: Field<Target>,
    /// With `http`: the statuses of a good answer. 200-399 unless said otherwise.
    pub status: Field<Status>,
    /// With `http`: what the body of a good answer contains.
    pub text: Field<Text>,
    /// This command exits 0.
    pub exec: Field<Command>,
    /// It says READY=1 to its NOTIFY_SOCKET, as services of systemd do.
    pub notify: Field<Yes>,
    /// It writes a line that contains this.
    pub line: Field<Text>,
    /// It writes a line that this matches.
    pub line_regex: Field<Pattern>,
    /// It has ended with status 0: a job that others come after.
    pub exit: Field<Yes>,
    /// It has lived this long.
    pub after: Field<Time>,
    /// It has so much time for that, but with `after`. 30s unless said otherwise.
    pub within: Field<Time>,
}

/// Exactly one of `tcp`, `http`, `exec` and `notify`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AliveTable {
    /// It accepts a connection: `true` on its own port, a number on another.
    pub tcp: Field<TcpPort>,
    /// It answers a GET of this path on its port.
    pub http: Field<Target>,
    /// With `http`: the statuses of a good answer. 200-399 unless said otherwise.
    pub status: Field<Status>,
    /// With `http`: what the body of a good answer contains.
    pub text: Field<Text>,
    /// This command exits 0.
    pub exec: Field<Command>,
    /// It says WATCHDOG=1 to its NOTIFY_SOCKET, as services of systemd do.
    pub notify: Field<Yes>,
    /// From one look to the next; with `notify`, from one WATCHDOG=1 to the next. 5s unless said otherwise.
    pub every: Field<Time>,
    /// How long one look may take. 2s unless said otherwise, or `every` if that is less.
    pub timeout: Field<Time>,
    /// So many looks that fail in a row. 3 unless said otherwise.
    pub failures: Field<Whole<1, 1_000_000>>,
}

/// None after the first failed start; then `first`, doubling up to `max`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BackoffTable {
    /// The wait after the second failed start in a row. 100ms unless said otherwise.
    pub first: Field<Time>,
    /// The longest wait. 10s unless said otherwise.
    pub max: Field<Time>,
    /// So many failed starts in a row, and no more are tried. 0, which is never, unless said otherwise.
    pub give_up_after: Field<Whole<0, 1_000_000>>,
}

/// A signal, time to end, and then SIGKILL.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StopTable {
    /// By name or number. TERM unless said otherwise.
    pub signal: Field<StopSignal>,
    /// From the signal to SIGKILL. 5s unless said otherwise; 0s kills at once.
    pub grace: Field<Time>,
}

/// A file for each slot, and so many old ones.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["file"]))]
pub struct LogTable {
    /// Where the file is; `{slot}` in it makes it each worker's own.
    pub file: Field<Text>,
    /// A file that has reached this is put aside for a new one. 10MB unless said otherwise.
    pub max_size: Field<Size>,
    /// So many are kept aside. 5 unless said otherwise.
    pub keep: Field<Whole<0, 1_000>>,
}

/// As of setrlimit(2), soft and hard alike. What is left out stays as pm was started with it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsTable {
    /// Open files (RLIMIT_NOFILE).
    /// Besides stdin, stdout and stderr the loader needs one for each library in turn.
    pub open_files: Field<Whole<4, { i64::MAX }>>,
    /// Processes of the worker's user (RLIMIT_NPROC).
    pub processes: Field<Whole<1, { i64::MAX }>>,
    /// The size of a file that it writes (RLIMIT_FSIZE).
    pub file_size: Field<Size>,
    /// The size of a core dump (RLIMIT_CORE).
    pub core: Field<Size>,
    /// The stack of its main thread (RLIMIT_STACK).
    pub stack: Field<Size>,
    /// Its address space (RLIMIT_AS).
    pub memory: Field<Size>,
}
