//! Floor 1: what to keep alive. Text in, a [`Plan`] or located faults out.
//!
//! Pure: nothing here opens a file, reads the environment or a clock. What is needed of those comes in as an argument
//! or through [`Host`]. A plan is complete: every placeholder is filled in, every path is absolute, every slot has its
//! name, port and argv. The floors above never read text again.
//!
//! Where to look next: [`pm_toml`] reads a `pm.toml`, [`procfile`] a Procfile with its [`formation`], [`dotenv`] a
//! `.env`, [`command_line`] a command; [`lab`] is the pool that `pm` runs in the folder of the lab. Each makes a
//! [`pool_spec`], which is expanded into slots. [`defaults`] is what holds for a key that is left out, [`environment`]
//! what a worker finds in its environment, [`format`] which of the readers a file is for, [`given`] which keys stand
//! in it; [`hold_port`] which process has a listening socket; [`http`] where the page is served; [`fault_kind`] is
//! everything that can be wrong in a text,
//! [`load_error`] why there is no plan at all.

pub(crate) mod command_line;
pub(crate) mod defaults;
pub mod dotenv;
pub(crate) mod environment;
pub(crate) mod fault_kind;
pub(crate) mod format;
pub(crate) mod formation;
pub mod given;
pub(crate) mod hold_port;
pub mod host;
pub(crate) mod http;
pub(crate) mod lab;
pub(crate) mod load_error;
pub mod pm_toml;
pub(crate) mod pool_spec;
pub(crate) mod probe;
pub mod procfile;
pub(crate) mod restart_word;
pub(crate) mod stdin;
pub(crate) mod stop_spec;
pub mod text;
pub(crate) mod wrapper;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::supervisor::Policy;

pub(crate) use command_line::{CommandLinePool, PlanError};
pub use fault_kind::FaultKind;
pub use hold_port::HoldPort;
pub use host::{Document, Host, Unreadable};
pub(crate) use http::{Http, Token};
pub(crate) use load_error::LoadError;
pub use pool_spec::{PoolSpec, SlotsSpec};
pub use probe::{Alive, AliveBy, Line, Pattern, Probe, ProbePort, ProbeSpec, Ready, ReadyBy};
pub use restart_word::RestartWord;
pub use stdin::Stdin;
pub use stop_spec::{StopSpec, StopTarget};
pub use text::diagnostics::{Fault, Faults};
pub use text::ports::Ports;

/// A plan has at most this many slots.
pub const WORKERS_MAX: usize = 50_000;

/// Longer than any file that a person writes.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;

/// The longest argument or variable that the kernel accepts, without its final zero (execve(2), MAX_ARG_STRLEN).
pub(crate) const STRING_BYTES_MAX: usize = 128 * 1024 - 1;

/// The longest name of a pool, which stands before each line of its workers.
pub(crate) const NAME_BYTES_MAX: usize = 64;

/// Everything that one `pm` keeps alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// In the order of the file.
    pub pools: Vec<Pool>,
    /// All processes live in a pid namespace, which the kernel ends as a whole.
    pub sealed: bool,
    /// `pm chaos` may kill its workers.
    pub chaos: bool,
    /// The last lines of all workers are kept in memory, in at most this many bytes.
    pub ring_bytes: u64,
    /// Where the page is served; `None`: nowhere.
    pub http: Option<Http>,
}

/// Workers of one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    pub name: String,
    /// The pools that are ready before this one starts and stop after it has stopped, by index in the plan.
    pub after: Vec<usize>,
    /// What the slots are made from. More or fewer of them are made from it later.
    pub spec: PoolSpec,
    pub slots: Vec<SlotPlan>,
    pub policy: Policy,
    pub stop: StopSpec,
    /// When all of its slots have ended, the run ends.
    pub ends_run: bool,
    /// How many spares its slots share.
    pub spares: usize,
    /// What to do if the program does not exist.
    pub missing_hint: Option<MissingHint>,
}

/// What to do if the program of a pool does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingHint {
    /// `make deno` downloads the program of the lab's web servers.
    MakeDeno,
}

/// One slot: what is run there, and how it is known to be ready and alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotPlan {
    /// `web.2`.
    pub name: String,
    /// Its number in the pool, from 1.
    pub n: usize,
    /// The port it owns. `None` for a Procfile, whose PORT is only a variable.
    pub port: Option<u16>,
    pub exec: ExecSpec,
    pub ready: Ready,
    pub alive: Option<Alive>,
    pub log: Option<LogFile>,
    pub terminal_output: TerminalOutput,
    pub label: LabelStyle,
}

/// What stands before a worker's lines on the terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LabelStyle {
    /// The name of its slot, in a colour where pm has colours.
    #[default]
    Coloured,
    Plain,
    /// Nothing.
    None,
}

/// What pm makes of the output of a worker that has a terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TerminalOutput {
    /// Lines with their colours: what moves the cursor or sets the terminal is left out.
    #[default]
    Filtered,
    /// What the worker wrote.
    Raw,
}

/// Everything that a worker can notice of how it was started. Two slots with equal values run the same worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecSpec {
    /// The program and its arguments, placeholders filled in. Never empty in the plan of a slot.
    pub argv: Vec<OsString>,
    /// The folder it runs in, absolute. `None`: pm's own.
    pub cwd: Option<PathBuf>,
    /// Folders that are searched before `PATH`, absolute.
    pub path: Vec<PathBuf>,
    /// These override what pm was started with. Each name once, by name. What is set later wins: HOME, USER,
    /// LOGNAME and SHELL of the user, then `env_file`, then PORT, PS, PM_POOL and PM_SLOT, then `env`.
    pub env: Vec<(String, String)>,
    pub identity: Option<Identity>,
    /// The bits that are off in what it creates (umask(2)); `None`: pm's own.
    pub umask: Option<u32>,
    /// -20 (first served) to 19; `None`: pm's own.
    pub nice: Option<i32>,
    pub limits: Limits,
    /// Its stdout and stderr, and as a rule its stdin, are a terminal of the worker's own.
    pub pty: bool,
    pub stdin: Stdin,
    /// It finds a NOTIFY_SOCKET: `ready.notify` or `alive.notify` asks for it.
    pub notifies: bool,
    /// The value of WATCHDOG_USEC, if `alive.notify` asks for it.
    pub watchdog: Option<Duration>,
    /// Whether pm has the listening socket of its port too.
    pub hold_port: HoldPort,
}

/// The user that a worker runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// As the plan names it.
    pub user: String,
    /// Its name in the database, its home folder and its shell.
    pub login: String,
    pub home: String,
    pub shell: String,
    pub uid: u32,
    pub gid: u32,
    /// The supplementary groups.
    pub groups: Vec<u32>,
}

/// What setrlimit(2) sets, soft and hard limit alike. `None` keeps the limit that pm was started with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub open_files: Option<u64>,
    pub processes: Option<u64>,
    pub file_bytes: Option<u64>,
    pub core_bytes: Option<u64>,
    pub stack_bytes: Option<u64>,
    /// Of the address space.
    pub memory_bytes: Option<u64>,
}

/// The file that a worker's lines are written to, in addition to the terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Absolute, placeholders filled in.
    pub path: PathBuf,
    /// A file that has reached this size is rotated.
    pub max_bytes: u64,
    /// The number of rotated files that are kept.
    pub keep: u32,
}

impl Plan {
    /// Every slot with its pool, in the order of the supervisor's table.
    pub fn slots(&self) -> impl Iterator<Item = (&Pool, &SlotPlan)> {
        self.pools.iter().flat_map(|pool| pool.slots.iter().map(move |slot| (pool, slot)))
    }
}

/// Other numbers of workers than a plan's text asks for, by the names of pools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(pub BTreeMap<String, usize>);

impl Plan {
    /// The plan with these numbers of workers. A pool with ports has at most one worker for each.
    pub fn with_counts(mut self, counts: &Counts) -> Self {
        for pool in &mut self.pools {
            if let Some(count) = counts.0.get(&pool.name) {
                pool.slots = pool.spec.expand(&pool.name, *count);
            }
        }
        self
    }
}

impl Pool {
    /// The pool that a spec describes, with as many slots as the spec asks for. What makes a worker ready is in the
    /// spec: that part of `policy` is replaced.
    pub fn new(name: String, spec: PoolSpec, policy: Policy, stop: StopSpec) -> Self {
        let slots = spec.expand(&name, spec.count());
        let missing_hint = slots.first().and_then(|slot| MissingHint::of(&slot.exec.argv));
        let policy = Policy { ready: spec.ready.readiness(), ..policy };
        let after = Vec::new();
        Self { name, after, spec, slots, policy, stop, ends_run: false, spares: 0, missing_hint }
    }
}

impl MissingHint {
    /// What to do if the program of this argv does not exist.
    fn of(argv: &[OsString]) -> Option<Self> {
        let is_deno = argv.first().is_some_and(|program| program == "deno");
        let is_lab = is_deno && argv.iter().any(|argument| argument == lab::SCRIPT);
        is_lab.then_some(Self::MakeDeno)
    }
}

impl fmt::Display for MissingHint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MakeDeno => out.write_str("try `make deno`"),
        }
    }
}

/// True if a pool may have this name.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.chars().all(is_of_name)
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_pool_is_made_larger_and_smaller_from_its_spec() {
        let command = vec!["job".into(), "{n}".into()];
        let (ports, workers, name) = (None, Some(2), Some("jobs".to_owned()));
        let pool = CommandLinePool { command, ports, workers, name, policy: Policy::default() };
        let plan = pool.plan(Path::new("/")).unwrap();
        let counts = |count| Counts(BTreeMap::from([("jobs".to_owned(), count)]));
        let argv = |plan: Plan| {
            plan.slots().map(|(_, slot)| slot.exec.argv[1].clone()).collect::<Vec<_>>()
        };
        assert_eq!(argv(plan.clone().with_counts(&counts(3))), ["1", "2", "3"]);
        assert_eq!(argv(plan.clone().with_counts(&counts(1))), ["1"]);
        assert_eq!(argv(plan.with_counts(&Counts::default())), ["1", "2"]);
    }
}
