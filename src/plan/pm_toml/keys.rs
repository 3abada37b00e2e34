//! What can stand in a `pm.toml`. Each table here is read by [`FromValue`] and described by schemars: there is no other
//! list of the keys.

use schemars::JsonSchema;

use super::command::Command;
use super::faults::ValueFault;
use super::field::{Field, Many, Names};
use super::http::HttpAddress;
use super::limits::{MEMORY_LEAST, STACK_LEAST};
use super::listen::{Address, Listen};
use super::patterns::more_than_zero;
use super::pool::LOG_BYTES_LEAST;
use super::types::{
    PortsText, Size, Status, StopSignal, Target, Text, Time, True, Umask, VariableText, Whole,
};
use super::value::{FileFaults, FromValue, Value};
use crate::plan::probe::{Pattern, ProbePort};
use crate::plan::{RestartWord, Stdin, StopSpec, StopTarget, WORKERS_MAX, defaults};
use crate::supervisor::{Backoff, Policy};

/// Declares a table with its keys. Every key may be left out; a key that is not declared is a fault.
macro_rules! table {
    (
        $(#[$of_table:meta])*
        pub struct $table:ident {
            $($(#[$of_key:meta])* pub $key:ident: Field<$type:ty>,)*
        }
    ) => {
        #[derive(Debug, Default, JsonSchema)]
        #[schemars(default, deny_unknown_fields)]
        $(#[$of_table])*
        pub struct $table {
            $($(#[$of_key])* pub $key: Field<$type>,)*
        }

        impl FromValue for $table {
            fn from_value(value: &Value<'_>, faults: &mut FileFaults<'_>) -> Result<Self, ValueFault> {
                let mut table = Self::default();
                for entry in value.entries_of(&[$(stringify!($key)),*], faults)? {
                    match entry.name {
                        $(stringify!($key) => table.$key = Field::read(&entry, faults),)*
                        other => unreachable!("`entries_of` leaves out `{other}`"),
                    }
                }
                Ok(table)
            }
        }
    };
}

/// At most this many workers, and this many crashes that are counted.
const MANY: i64 = WORKERS_MAX as i64;

table! {
    /// What pm keeps alive.
    #[schemars(title = "pm.toml")]
    pub struct File {
        /// The pools, each by its name.
        #[schemars(extend("propertyNames" = { "pattern": "^[A-Za-z0-9_-]+$" }))]
        pub pool: Field<Names<PoolTable>>,
        /// All processes live in a pid namespace: none outlives pm, even if all of pm is killed at once.
        #[schemars(extend("default" = false))]
        pub sealed: Field<bool>,
        /// `pm chaos` may kill workers on purpose.
        #[schemars(extend("default" = false))]
        pub chaos: Field<bool>,
        /// The page and the metrics are served at this address, over TCP. Not by default.
        pub http: Field<HttpAddress>,
        /// The lines of all workers.
        pub log: Field<LinesTable>,
    }
}

table! {
    /// What is kept of the lines of all workers.
    pub struct LinesTable {
        /// The memory for the last lines of all workers. 0: none are kept.
        #[schemars(extend("default" = defaults::bytes(defaults::RING_BYTES)))]
        pub ring: Field<Size>,
    }
}

table! {
    /// Workers of one command.
    #[schemars(extend("required" = ["command"], "not" = { "required": ["ports", "workers"] }))]
    pub struct PoolTable {
        /// The program and its arguments; a string is for `sh -c`. {port}, {slot}, {n}, {pool}, {dir} are filled in.
        pub command: Field<Command>,
        /// One slot for each of these ports.
        pub ports: Field<Many<PortsText>>,
        /// The socket of each port outlives the workers: while one is replaced, connections wait in its backlog.
        #[schemars(extend("default" = false))]
        pub hold_port: Field<bool>,
        /// "fds": pm opens the socket of each port and passes it to the worker, as systemd does.
        pub listen: Field<Listen>,
        /// With `listen`: the IP address of the sockets.
        #[schemars(extend("default" = defaults::ADDRESS))]
        pub address: Field<Address>,
        /// With `hold_port`: one more worker for each slot has started, and takes over at once when a worker is gone.
        #[schemars(extend("default" = false))]
        pub spare: Field<bool>,
        /// With `hold_port`: the number of spares that all slots share. One moves to the slot whose worker dies first.
        #[schemars(extend("default" = 0))]
        pub spares: Field<Whole<0, MANY>>,
        /// A spare that has waited for so long is replaced by another. None is by default.
        pub spare_max_age: Field<Time>,
        /// The number of slots of a pool without ports.
        #[schemars(extend("default" = defaults::WORKERS))]
        pub workers: Field<Whole<1, MANY>>,
        /// The folder that the workers run in. Relative paths start from the folder of this file.
        #[schemars(extend("default" = "."))]
        pub cwd: Field<Text>,
        /// Folders that are searched before PATH.
        #[schemars(extend("default" = []))]
        pub path: Field<Many<Text>>,
        /// Variables of the workers' environment. They override those of `env_file`.
        #[schemars(extend("default" = {}))]
        pub env: Field<Names<VariableText>>,
        /// Files of variables, like `.env`. A later file overrides an earlier one.
        #[schemars(extend("default" = []))]
        pub env_file: Field<Many<Text>>,
        /// The pools that must be ready before this pool starts, and that stop after it.
        #[schemars(extend("default" = []))]
        pub after: Field<Many<Text>>,
        /// When all its slots have ended, all other pools stop and pm ends with its status. Not with restart "always".
        #[schemars(extend("default" = false))]
        pub ends_run: Field<bool>,
        /// Which exits are followed by a new worker. "never" in a pool that ends the run.
        #[schemars(extend("default" = RestartWord::from(Policy::default().restart).written()))]
        pub restart: Field<RestartWord>,
        /// If a worker would be replaced more often than this, its slot gives up.
        pub max_restarts: Field<MaxRestartsTable>,
        /// When a worker is ready. Default: its port accepts a connection, or without a port it has lived for 1s.
        pub ready: Field<ReadyTable>,
        /// How a worker that hangs is found. It is stopped and replaced.
        pub alive: Field<AliveTable>,
        /// The wait after failed starts.
        pub backoff: Field<BackoffTable>,
        /// How a worker is stopped.
        pub stop: Field<StopTable>,
        /// The file that a worker's lines are written to, in addition to the terminal.
        pub log: Field<LogTable>,
        /// How the lines of a worker are shown on the terminal.
        pub output: Field<OutputTable>,
        /// The resources that a worker may use.
        pub limits: Field<LimitsTable>,
        /// The user that the workers run as. Only if pm runs as root.
        pub user: Field<Text>,
        /// The group that the workers run as, if it is not the user's.
        pub group: Field<Text>,
        /// The permissions that new files do not get, in octal.
        pub umask: Field<Umask>,
        /// From -20 (served first) to 19.
        pub nice: Field<Whole<-20, 19>>,
        /// Give each worker a terminal of its own: many programs then write colours, and write each line at once.
        #[schemars(extend("default" = false))]
        pub pty: Field<bool>,
        /// Pass on all that a worker writes to its terminal. Else only its lines and their colours are passed on.
        #[schemars(extend("default" = false))]
        pub raw: Field<bool>,
        /// The stdin of each worker: null ends at once, open never ends, terminal is that of `pty` and its default.
        #[schemars(extend("default" = Stdin::default().written()))]
        pub stdin: Field<Stdin>,
    }
}

table! {
    /// A slot whose worker would be replaced more than `count` times within `within` gives up instead.
    #[schemars(extend("required" = ["count", "within"]))]
    pub struct MaxRestartsTable {
        /// At most this many replacements.
        pub count: Field<Whole<1, 1_000>>,
        /// The time in which they are counted.
        #[schemars(extend("allOf" = more_than_zero()))]
        pub within: Field<Time>,
    }
}

table! {
    /// Exactly one of `tcp`, `http`, `exec`, `notify`, `line`, `line_regex`, `exit`, `listen` and `after`.
    #[schemars(extend("oneOf" = [
        { "required": ["tcp"] }, { "required": ["http"] }, { "required": ["exec"] },
        { "required": ["notify"] }, { "required": ["line"] }, { "required": ["line_regex"] },
        { "required": ["exit"] }, { "required": ["listen"] }, { "required": ["after"] },
    ]))]
    pub struct ReadyTable {
        /// It accepts a connection: `true` on the slot's own port, a number on that port.
        pub tcp: Field<ProbePort>,
        /// It answers a GET of this path on its port.
        pub http: Field<Target>,
        /// With `http`: the statuses of a good answer.
        #[schemars(extend("default" = defaults::http_status()))]
        pub status: Field<Status>,
        /// With `http`: a text that the body of a good answer contains.
        pub text: Field<Text>,
        /// This command exits 0.
        pub exec: Field<Command>,
        /// It sends READY=1 to its NOTIFY_SOCKET, like a service of systemd.
        pub notify: Field<True>,
        /// It writes a line that contains this text.
        pub line: Field<Text>,
        /// It writes a line that matches this regular expression.
        pub line_regex: Field<Pattern>,
        /// It exits 0: a job that other pools come after.
        pub exit: Field<True>,
        /// It listens on its port. Only with `hold_port`, where it is the default.
        pub listen: Field<True>,
        /// It has lived this long.
        pub after: Field<Time>,
        /// The time a worker has to become ready. Not valid with `after`.
        #[schemars(extend("default" = defaults::time(defaults::READY_WITHIN), "allOf" = more_than_zero()))]
        pub within: Field<Time>,
    }
}

table! {
    /// Exactly one of `tcp`, `http`, `exec` and `notify`.
    #[schemars(extend("oneOf" = [
        { "required": ["tcp"] }, { "required": ["http"] }, { "required": ["exec"] },
        { "required": ["notify"] },
    ]))]
    pub struct AliveTable {
        /// It accepts a connection: `true` on the slot's own port, a number on that port.
        pub tcp: Field<ProbePort>,
        /// It answers a GET of this path on its port.
        pub http: Field<Target>,
        /// With `http`: the statuses of a good answer.
        #[schemars(extend("default" = defaults::http_status()))]
        pub status: Field<Status>,
        /// With `http`: a text that the body of a good answer contains.
        pub text: Field<Text>,
        /// This command exits 0.
        pub exec: Field<Command>,
        /// It sends WATCHDOG=1 to its NOTIFY_SOCKET, like a service of systemd.
        pub notify: Field<True>,
        /// From one probe to the next. With `notify`: the longest time between two WATCHDOG=1.
        #[schemars(extend("default" = defaults::time(defaults::ALIVE_EVERY), "allOf" = more_than_zero()))]
        pub every: Field<Time>,
        /// The longest time that one probe may take. At most `every`, also by default.
        #[schemars(extend("default" = defaults::time(defaults::ALIVE_TIMEOUT), "allOf" = more_than_zero()))]
        pub timeout: Field<Time>,
        /// After this many failed probes in a row a worker hangs.
        #[schemars(extend("default" = defaults::ALIVE_FAILURES.get()))]
        pub failures: Field<Whole<1, 1_000_000>>,
    }
}

table! {
    /// No wait after the first failed start, then `first`, doubling up to `max`.
    pub struct BackoffTable {
        /// The wait after the second failed start in a row.
        #[schemars(extend("default" = defaults::time(Backoff::default().first)))]
        pub first: Field<Time>,
        /// The longest wait.
        #[schemars(extend("default" = defaults::time(Backoff::default().max)))]
        pub max: Field<Time>,
        /// After this many failed starts in a row the slot gives up. 0: never.
        #[schemars(extend("default" = Backoff::default().give_up_after.map_or(0, |count| count.get())))]
        pub give_up_after: Field<Whole<0, 1_000_000>>,
    }
}

table! {
    /// A signal, time to end, and then SIGKILL to all processes of the worker.
    pub struct StopTable {
        /// The processes that get the signal: the whole group, or its leader alone.
        #[schemars(extend("default" = StopSpec::default().to.written()))]
        pub to: Field<StopTarget>,
        /// The name or the number of the signal.
        #[schemars(extend("default" = defaults::stop_signal()))]
        pub signal: Field<StopSignal>,
        /// The time from the signal to SIGKILL. 0s kills at once.
        #[schemars(extend("default" = defaults::time(Policy::default().grace)))]
        pub grace: Field<Time>,
    }
}

table! {
    /// A file for each slot. A full one is rotated.
    #[schemars(extend("required" = ["file"]))]
    pub struct LogTable {
        /// The path of the file. With `{slot}` in it each slot has its own.
        pub file: Field<Text>,
        /// A file of this size is rotated. At least 4 KiB.
        #[schemars(extend("default" = defaults::bytes(defaults::LOG_BYTES_MAX), "minimum" = LOG_BYTES_LEAST))]
        pub max_size: Field<Size>,
        /// The number of rotated files that are kept.
        #[schemars(extend("default" = defaults::LOG_KEEP))]
        pub keep: Field<Whole<0, 1_000>>,
    }
}

table! {
    /// What stands before each line of a worker on the terminal.
    pub struct OutputTable {
        /// The name of the slot before each line.
        #[schemars(extend("default" = true))]
        pub prefix: Field<bool>,
        /// The name is coloured, where pm's output is. Not valid with `prefix = false`.
        #[schemars(extend("default" = true))]
        pub color: Field<bool>,
    }
}

table! {
    /// Limits of setrlimit(2), soft and hard alike. One that is left out stays as pm was started with it.
    pub struct LimitsTable {
        /// Open files (RLIMIT_NOFILE). The loader needs one for a library, besides stdin, stdout and stderr.
        pub open_files: Field<Whole<4, { i64::MAX }>>,
        /// Processes of the worker's user (RLIMIT_NPROC).
        pub processes: Field<Whole<1, { i64::MAX }>>,
        /// The size of a file that it writes (RLIMIT_FSIZE).
        pub file_size: Field<Size>,
        /// The size of a core dump (RLIMIT_CORE).
        pub core: Field<Size>,
        /// The stack of its main thread (RLIMIT_STACK).
        #[schemars(extend("minimum" = STACK_LEAST))]
        pub stack: Field<Size>,
        /// Memory: of its control group where pm has one to divide, else its address space (RLIMIT_AS).
        #[schemars(extend("minimum" = MEMORY_LEAST))]
        pub memory: Field<Size>,
    }
}
