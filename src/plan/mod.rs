//! Floor 1: what to keep alive. Text in, a [`Plan`] or a located error out.
//!
//! Pure: nothing here opens a file, reads the environment or a clock; what is needed of those comes in as an
//! argument. A plan is complete: every placeholder is filled in, every slot has its name, port and argv, so that the
//! floors above never look at text again.
//!
//! Where to look next: [`ad_hoc`] makes a plan of a command line, [`lab`] is the pool that `pm` runs when nothing
//! else is asked for, [`environment`] says what a worker finds in its environment.

pub mod ad_hoc;
pub mod duration;
pub mod environment;
pub mod lab;
pub mod ports;
pub mod template;

use std::ffi::OsString;
use std::path::PathBuf;

use crate::supervisor::Policy;

pub use ad_hoc::AdHoc;
pub use ports::Ports;

/// Everything that one `pm` keeps alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub pools: Vec<Pool>,
}

/// Workers of one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    pub name: String,
    pub slots: Vec<SlotPlan>,
    pub policy: Policy,
    /// Folders that are searched before `PATH`.
    pub path: Vec<PathBuf>,
    /// Set in the worker's environment, over what pm was started with.
    pub env: Vec<(String, String)>,
    /// What to do when the program is not there, as the end of a sentence.
    pub missing_hint: Option<String>,
}

/// One slot: what is run there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotPlan {
    /// `web.2`.
    pub name: String,
    /// Its number in the pool, from 1.
    pub n: usize,
    pub port: Option<u16>,
    /// The program and its arguments, placeholders filled in. Never empty.
    pub argv: Vec<OsString>,
}

/// Why there is no plan.
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
    #[error("`--workers 0` keeps nothing alive; give 1 to {max}", max = ad_hoc::WORKERS_MAX)]
    NoWorkers,
    #[error("`--workers {0}` is more than the {max} that one pool may have", max = ad_hoc::WORKERS_MAX)]
    TooManyWorkers(usize),
    #[error("`{0}` is no pool name: use letters, digits, `-` and `_`, as in `--name web`")]
    Name(String),
    #[error("cannot make a pool name of the program `{0}`; give one with `--name`")]
    NoName(String),
    #[error("in the argument `{argument}`, column {column}: {reason}")]
    Placeholder { argument: String, column: usize, reason: template::Reason },
}

impl Plan {
    /// Every slot with its pool, in the order of the supervisor's table.
    pub fn slots(&self) -> impl Iterator<Item = (&Pool, &SlotPlan)> {
        self.pools.iter().flat_map(|pool| pool.slots.iter().map(move |slot| (pool, slot)))
    }
}
