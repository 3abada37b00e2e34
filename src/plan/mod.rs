//! Floor 1: what to keep alive. Text in, a [`Plan`] or located faults out.
//!
//! Pure: nothing here opens a file, reads the environment or a clock; what is needed of those comes in as an
//! argument or through [`Host`]. A plan is complete: every placeholder is filled in, every path is absolute,
//! every slot has its name, port and argv, so that the floors above never look at text again.
//!
//! Where to look next: [`pm_toml`] reads `pm.toml`, [`procfile`] a Procfile, [`dotenv`] a `.env`; [`ad_hoc`] makes a
//! plan of a command line, [`lab`] is the pool that `pm` runs where nothing else is asked for. [`fault`] is how all of
//! them say no, [`environment`] is what a worker finds in its environment.

pub mod command_line;
pub mod dotenv;
pub mod environment;
pub mod formation;
pub mod host;
pub mod lab;
pub mod pm_toml;
pub mod probe;
pub mod procfile;
pub mod text;
pub(crate) mod wrapper;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::supervisor::Policy;

pub use command_line::CommandLinePool;
pub use host::{Document, Host};
pub use probe::{Alive, AliveBy, Line, Pattern, Probe, Ready};
pub use text::diagnostics::{Fault, Faults};
pub use text::ports::Ports;

/// As many slots as one plan may have.
pub const WORKERS_MAX: usize = 1_000;

/// Longer than any file that a person writes.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;

/// The kernel takes no longer argument or variable, its final zero included (execve(2), MAX_ARG_STRLEN).
pub const STRING_BYTES_MAX: usize = 128 * 1024 - 1;

/// Everything that one `pm` keeps alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// In the order of the file.
    pub pools: Vec<Pool>,
}

/// Workers of one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    pub name: String,
    /// The pools that are ready before this one starts and stop after it has, by index in the plan.
    pub after: Vec<usize>,
    pub slots: Vec<SlotPlan>,
    pub policy: Policy,
    /// The number of the signal that asks a worker to stop. SIGTERM unless said otherwise.
    pub stop_signal: i32,
    /// What to do when the program is not there, as the end of a sentence.
    pub missing_hint: Option<String>,
}

/// One slot: what is run there and how it is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotPlan {
    /// `web.2`.
    pub name: String,
    /// Its number in the pool, from 1.
    pub n: usize,
    /// The port it owns. A Procfile's PORT is only a variable: `None` there.
    pub port: Option<u16>,
    pub exec: ExecSpec,
    pub ready: Ready,
    pub alive: Option<Alive>,
    pub log: Option<LogFile>,
}

/// All that a worker could notice of how it was started. Slots with equal worlds run the same worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecSpec {
    /// The program and its arguments, placeholders filled in. Never empty.
    pub argv: Vec<OsString>,
    /// The folder it runs in, absolute. `None`: pm's own.
    pub cwd: Option<PathBuf>,
    /// Folders that are searched before `PATH`, absolute.
    pub path: Vec<PathBuf>,
    /// Set over what pm was started with, each name once: env_file's, then PORT, PS, PM_POOL, PM_SLOT, then env's.
    pub env: Vec<(String, String)>,
    pub identity: Option<Identity>,
    /// The bits that are off in what it creates (umask(2)); `None`: pm's own.
    pub umask: Option<u32>,
    /// -20 (first served) to 19; `None`: pm's own.
    pub nice: Option<i32>,
    pub limits: Limits,
    /// Its stdout and stderr are a terminal of its own.
    pub pty: bool,
    /// It is given a NOTIFY_SOCKET: `ready.notify` or `alive.notify` asks for it.
    pub notifies: bool,
    /// What WATCHDOG_USEC says, if `alive.notify`.
    pub watchdog: Option<Duration>,
}

/// Whom a worker runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub user: String,
    pub uid: u32,
    pub gid: u32,
    /// The supplementary groups.
    pub groups: Vec<u32>,
}

/// What setrlimit(2) sets, soft and hard alike; `None` leaves what pm was started with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub open_files: Option<u64>,
    pub processes: Option<u64>,
    pub file_bytes: Option<u64>,
    pub core_bytes: Option<u64>,
    pub stack_bytes: Option<u64>,
    /// Of address space.
    pub memory_bytes: Option<u64>,
}

/// Where a worker's lines are kept besides the terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Absolute, placeholders filled in.
    pub path: PathBuf,
    /// A file that has reached this is put aside for a new one.
    pub max_bytes: u64,
    /// So many are kept aside.
    pub keep: u32,
}

/// Why there is no plan of a command line.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PlanError {
    #[error(
        "there is no command to run; give it after `--`, as in `pm run --ports 8080-8082 -- ./server {{port}}`"
    )]
    NoCommand,
    #[error(
        "a command needs `--ports 8080-8082` (one worker a port) or `--workers N` (workers without ports)"
    )]
    NoSlots,
    #[error("`--workers 0` keeps nothing alive; give 1 to {max}", max = WORKERS_MAX)]
    NoWorkers,
    #[error("`--workers {0}` is more than the {max} that one plan may have", max = WORKERS_MAX)]
    TooManyWorkers(usize),
    #[error("`{0}` is no pool name: use letters, digits, `-` and `_`, as in `--name web`")]
    Name(String),
    #[error("cannot make a pool name of the program `{0}`; give one with `--name`")]
    NoName(String),
    #[error("in the argument `{argument}`, column {column}: {reason}{}", reason.on_command_line())]
    Placeholder { argument: String, column: usize, reason: text::placeholders::Reason },
}

impl Plan {
    /// Every slot with its pool, in the order of the supervisor's table.
    pub fn slots(&self) -> impl Iterator<Item = (&Pool, &SlotPlan)> {
        self.pools.iter().flat_map(|pool| pool.slots.iter().map(move |slot| (pool, slot)))
    }
}

/// True if a pool may be called this.
pub fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(is_of_name)
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}
