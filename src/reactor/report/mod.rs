//! Reports: what happened, with every fact that is to be said of it.
//!
//! A [`Report`] is made where and when something happens, so no later change can alter what is said. Sentences are made
//! from reports alone ([`sentences`]); no sentence is ever read by the program.
//!
//! [`kind`] has their names for programs; [`ProbeFailure`] and [`SpawnFailure`] are the kinds of two facts;
//! [`stop_progress`] decides when to report what delays a stop, [`kept_dead`] a dead worker that is not reaped.

mod kept_dead;
mod kind;
mod probe_failure;
mod sentences;
mod spawn_failure;
mod stop_progress;

use std::rc::Rc;
use std::time::Duration;

use nix::unistd::Pid;

pub use self::kept_dead::KeptDead;
pub use self::probe_failure::ProbeFailure;
pub use self::sentences::signal_name;
pub use self::spawn_failure::{SpawnFailure, StaleWorkers};
pub use self::stop_progress::{Delay, Delays, MoreDelays, StopProgress};

use super::clock::Moment;
use super::output::{Incident, LastOutput, Output, OwnLine, OwnLines};
use crate::plan::{LoadError, MissingHint, ReadyBy};
pub use crate::supervisor::SlotFailure;
use crate::supervisor::{Exit, Next, Phase, Slot, Stop, Wanted, Wish, WorkerId};
use crate::sys::cgroup::NoCgroup;
use crate::sys::control_socket::ControlSocketError;
use crate::sys::page_socket::PageSocketError;
use crate::sys::port_calls::CannotHold;
use crate::sys::proc::ProcessInfo;
use crate::sys::{Awaiting, strerror};

/// Something that happened.
#[derive(Debug)]
pub struct Report {
    pub at: Moment,
    pub what: What,
    /// What is said of it: one sentence, or more on lines of their own.
    pub words: String,
}

/// What happened: to one worker, or to the run.
#[derive(Debug)]
pub enum What {
    Worker(WorkerFacts, WorkerEvent),
    Run(RunEvent),
}

/// A worker as it was when something happened to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerFacts {
    pub id: WorkerId,
    /// The name of its slot: `web.2`.
    pub name: String,
    pub port: Option<u16>,
    /// `None` if it was never spawned.
    pub pid: Option<Pid>,
    /// From its spawn, or from when it took over if it was a spare, until now, or until its exit.
    pub age: Duration,
    /// The number of the worker after it.
    pub successor: u64,
    /// No other worker of its slot is there.
    pub is_alone: bool,
}

/// What happened to a worker.
#[derive(Debug)]
pub enum WorkerEvent {
    Ready,
    /// It exited after it had been ready, and had not been asked to.
    Crashed {
        death: Death,
        next: Next,
    },
    /// It exited before it was ready, and had not been asked to.
    FailedStart {
        death: Death,
        next: Next,
    },
    /// It could not be spawned.
    SpawnFailed {
        failure: Rc<SpawnFailure>,
        hint: Option<MissingHint>,
        next: Next,
        retry: Retry,
    },
    /// It has not exec'd for a while.
    SlowStart {
        awaiting: Awaiting,
    },
    /// It was not ready in time and is terminated.
    NeverReady {
        awaited: ReadyBy,
        within: Duration,
        last: Option<LastSign>,
    },
    /// It hangs and is terminated. It failed this many probes in a row.
    Hung {
        failure: Option<ProbeFailure>,
        failures: u32,
    },
    /// Another worker is wanted there: it is terminated now, or when a spare has taken over.
    Replacing,
    /// The spare has started and waits to take over.
    SpareWaits,
    /// The spare has failed. The next one is prepared after this wait, none if it is `None`.
    SpareFailed {
        how: SpareEnd,
        wait: Option<Duration>,
    },
    /// The spare was not needed any more, and nothing is left of it.
    SpareStopped,
    /// Nothing of it is left, after it was terminated or had left members of its group.
    Stopped {
        next: Next,
    },
    /// Its grace is over; these processes of it are killed.
    GraceOver {
        grace: Duration,
        members: Vec<ProcessInfo>,
    },
    /// These processes of it delay the stop; SIGKILL follows after `left`.
    StillStopping {
        members: Vec<ProcessInfo>,
        left: Duration,
    },
    /// These processes of it are still there after SIGKILL. One more wish to stop may leave them behind.
    StillKilling {
        members: Vec<ProcessInfo>,
        may_leave: bool,
    },
    /// It is dead, and this process, which traces it, keeps it from being reaped.
    KeptDead(Pid),
    /// It is ready, and pm cannot find out whether it hangs.
    NotWatched(ProbeFailure),
    /// Its port is not held.
    NotHeld(CannotHold),
    /// A notification for it does not count.
    Rejected(Rejected),
}

/// How a spare has failed.
#[derive(Debug)]
pub enum SpareEnd {
    Exited(Death),
    NotSpawned(Rc<SpawnFailure>),
    /// It did not call bind(2) for its port within this time.
    NeverWaited(Duration),
}

/// How a worker ended.
#[derive(Debug)]
pub struct Death {
    pub exit: Exit,
    pub cause: Option<Cause>,
    pub last_output: LastOutput,
}

/// What is known of a death besides the exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The kernel killed it because its control group used more than this many bytes of memory.
    MemoryLimit(u64),
}

/// The last sign of a worker that is not ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LastSign {
    Failure(ProbeFailure),
    /// What it notified of itself (sd_notify(3), STATUS).
    Status(String),
}

/// Why a notification does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// This sender is not a process of the worker.
    Sender(Pid),
    /// MAINPID names this process, and pm waits for the one that it started.
    MainPid(String),
}

/// What pm does about a port that another process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The longest wait between two tries.
    pub backoff_max: Duration,
    pub stale_workers: StaleWorkers,
}

/// What happened to the run.
#[derive(Debug)]
pub enum RunEvent {
    Started(Vec<PoolFacts>),
    /// There is no control socket, or no client can be taken there.
    NoControl(ControlSocketError),
    /// The page is served at this address from now on.
    Page(String),
    PageClosed,
    /// The page cannot be served there, or no client can be taken there.
    NoPage(PageSocketError),
    /// This hard limit on file locks leaves no room for the tags of workers.
    LowLocksLimit(u64),
    /// How the memory of this pool's workers is limited.
    MemoryLimit {
        pool: String,
        bytes: u64,
        by: LimitedBy,
    },
    /// A pool starts when these others are ready.
    Waiting {
        pool: String,
        others: Vec<String>,
    },
    /// These pools are not started, because a slot of this one has failed.
    WaitingInVain {
        waiting: Vec<String>,
        pool: String,
        failed: FailedSlot,
    },
    /// All slots have ended by themselves, this one with a failure.
    EndedWithFailure(FailedSlot),
    Reloaded(Changes),
    /// A command has changed the number of workers.
    Scaled(Changes),
    ReloadRefused(Rc<ReloadError>),
    /// pm was asked to stop.
    Stop(Wish, Stop),
    /// All slots of this pool, which ends the run, have ended.
    PoolEnded {
        pool: String,
        failed: Option<FailedSlot>,
        stop: Stop,
    },
    /// This pool, which ends the run, waits for the pool `needed`, of which a slot has failed.
    PoolBlocked {
        pool: String,
        needed: String,
        failed: FailedSlot,
        stop: Stop,
    },
    /// Workers that delay the stop besides those that were named.
    MoreDelays(MoreDelays),
    /// All workers stopped, this long after they began to be stopped.
    AllStopped(Duration),
    /// pm leaves at once, and this many workers that SIGKILL has not ended.
    LeftBehind(usize),
    /// SIGUSR2 came, which changes nothing.
    User2,
    Output(Incident),
}

/// A pool and its slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolFacts {
    pub name: String,
    /// Each slot's name and port.
    pub slots: Vec<(String, Option<u16>)>,
}

/// A slot that does not go on by itself, because of a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedSlot {
    pub name: String,
    pub failure: SlotFailure,
}

/// By which means memory is limited.
#[derive(Debug)]
pub enum LimitedBy {
    ControlGroup,
    /// RLIMIT_AS, for this reason.
    AddressSpace(String),
}

impl From<Option<&NoCgroup>> for LimitedBy {
    fn from(reason: Option<&NoCgroup>) -> Self {
        reason.map_or(Self::ControlGroup, |reason| Self::AddressSpace(reason.to_string()))
    }
}

/// What a changed plan changes, by the names of slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub added: Vec<String>,
    pub removed: Vec<String>,
    pub replaced: Vec<String>,
    /// Their workers had ended, and run again because they have changed.
    pub again: Vec<String>,
    /// They had given up, and have not changed.
    pub given_up: Vec<String>,
    /// Their next worker is tried after a wait, as before.
    pub backing_off: Vec<String>,
    /// Their workers had ended, and do not run again.
    pub ended: Vec<String>,
    /// They are wanted down.
    pub down: Vec<String>,
    /// How many workers run and stay as they are.
    pub kept: usize,
}

impl Changes {
    /// Notes a slot whose next worker would be started otherwise than its last one was.
    pub fn note_changed(&mut self, name: String, state: &Slot) {
        match state.wanted() {
            Wanted::Ended(_) => self.again.push(name),
            Wanted::Unset | Wanted::Down | Wanted::Up | Wanted::Gone => self.replaced.push(name),
        }
    }

    /// Notes a slot whose next worker would be started as its last one was.
    pub fn note_same(&mut self, name: String, state: &Slot) {
        match (state.phase(), state.wanted()) {
            (Phase::GivenUp, _) => self.given_up.push(name),
            (Phase::Backoff { .. }, _) => self.backing_off.push(name),
            (Phase::Idle, Wanted::Ended(_)) => self.ended.push(name),
            (Phase::Idle, Wanted::Down) => self.down.push(name),
            // It waits for other pools, which is reported of its pool.
            (Phase::Idle, Wanted::Up | Wanted::Unset | Wanted::Gone) => {}
            (Phase::Starting { .. } | Phase::Ready { .. }, _)
            | (Phase::Stopping { .. } | Phase::Killing { .. }, _) => self.kept += 1,
        }
    }
}

/// Why there is no file that a reload could read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoFile {
    #[error("the pool is on the command line; restart pm to change it")]
    CommandLine,
    #[error("the lab has no file; `pm init` writes one, which pm reads when it is restarted")]
    Lab,
    #[error("the configuration came through a pipe, which cannot be read again; give pm a file")]
    Pipe,
}

/// Why a plan was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    #[error(transparent)]
    NoFile(#[from] NoFile),
    #[error("pm is stopping")]
    Stopping,
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("cannot open a notify socket: {}", strerror(.0))]
    NotifySocket(std::io::Error),
}

impl RunEvent {
    /// What is said of it.
    pub fn words(&self) -> String {
        sentences::of_run(self)
    }
}

impl Report {
    pub fn of_worker(at: Moment, worker: WorkerFacts, event: WorkerEvent) -> Self {
        Self::of(at, What::Worker(worker, event))
    }

    pub fn of_run(at: Moment, event: RunEvent) -> Self {
        Self::of(at, What::Run(event))
    }

    fn of(at: Moment, what: What) -> Self {
        let words = sentences::of(&what);
        Self { at, what, words }
    }

    /// Writes the sentences of this report to pm's own output, if they are asked for. That of a death stands among the
    /// worker's lines too.
    pub fn write(&self, output: &mut Output) {
        let (words, at) = (self.words.as_str(), self.at);
        let worker = match &self.what {
            What::Worker(worker, event) => {
                if event.is_end() {
                    output.keep_death(worker.id, &worker.name, words, at);
                }
                Some(worker)
            }
            What::Run(_) => None,
        };
        let is_shown = match output.own_lines() {
            OwnLines::All => true,
            OwnLines::Failures => !self.what.is_usual(),
        };
        if is_shown {
            let slot = worker.map(|worker| worker.name.as_str());
            let event = self.what.event();
            output.say(OwnLine { at: at.wall, slot, event, words }, at);
        }
    }
}
