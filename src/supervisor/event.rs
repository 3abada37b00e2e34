//! What a supervisor is told and what it answers. Values only.
//!
//! Nothing is decided here: [`super::Supervisor`] turns events into actions, and the reactor carries the actions out.

use std::time::{Duration, Instant};

use super::ids::{Exit, PoolId, Revision, SlotId, WorkerId};

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The slot is wanted up.
    Start(SlotId),
    /// The slot is wanted down.
    Stop(SlotId),
    /// The slot is wanted down, and its worker is killed at once, whatever needs it.
    Kill(SlotId),
    /// The slot is wanted up by a new worker: the one that is there is replaced at once.
    Restart(SlotId),
    /// As [`Event::Restart`], but a ready worker is replaced in its turn: when all slots of its pool that were replaced
    /// before it are ready again.
    Roll(SlotId),
    /// The worker stays, if an [`Event::Roll`] has it replaced and its turn has not come.
    Withdraw(SlotId),
    /// pm was asked to stop.
    Asked(Wish),
    /// The worker is ready.
    Ready(WorkerId),
    /// The worker had been ready and hangs: its alive probe failed too often, or the worker reported it.
    Hung(WorkerId),
    /// The answer to [`Action::Spawn`], at once or later: the worker has exec'd.
    Spawned(WorkerId),
    /// The answer to [`Action::Spawn`], at once or later: it could not exec, and there is no process.
    SpawnFailed(WorkerId),
    /// The worker's leader has exited and is reaped. `remains` tells whether its group still has members.
    Exited { worker: WorkerId, exit: Exit, remains: Remains },
    /// The last member of a group that had outlived its leader is gone.
    Emptied(WorkerId),
    /// A spare has come to its bind(2), and waits there.
    Waits(WorkerId),
    /// The worker listens on its port. It may be not ready yet, but takes what connects from now on.
    Listens(WorkerId),
    /// Time has passed.
    Tick,
}

impl Event {
    /// The slot that it is about. `None` if it is about all of them.
    pub fn slot(self) -> Option<SlotId> {
        match self {
            Self::Start(slot)
            | Self::Stop(slot)
            | Self::Kill(slot)
            | Self::Restart(slot)
            | Self::Roll(slot)
            | Self::Withdraw(slot) => Some(slot),
            Self::Ready(worker)
            | Self::Hung(worker)
            | Self::Spawned(worker)
            | Self::SpawnFailed(worker)
            | Self::Exited { worker, .. }
            | Self::Emptied(worker)
            | Self::Waits(worker)
            | Self::Listens(worker) => Some(worker.slot),
            Self::Asked(_) | Self::Tick => None,
        }
    }
}

impl Action {
    /// The worker that it is about, if it is about one.
    pub fn worker(self) -> Option<WorkerId> {
        match self {
            Self::Spawn { worker, .. } | Self::Prepare { worker, .. } => Some(worker),
            Self::Move { from, .. } => Some(from),
            Self::Admit(worker) | Self::Terminate(worker) | Self::Kill(worker) => Some(worker),
            Self::Report(transition) => Some(transition.worker()),
            Self::ReportStop(_) | Self::Finish { .. } | Self::Leave => None,
        }
    }
}

impl Transition {
    pub fn worker(self) -> WorkerId {
        match self {
            Self::Ready(worker)
            | Self::NeverReady(worker)
            | Self::Hung(worker)
            | Self::Replacing(worker)
            | Self::GraceOver { worker, .. }
            | Self::Crashed { worker, .. }
            | Self::FailedStart { worker, .. }
            | Self::SpawnFailed { worker, .. }
            | Self::Stopped { worker, .. }
            | Self::SpareWaits(worker)
            | Self::SpareFailed { worker, .. }
            | Self::SpareStopped(worker) => worker,
        }
    }
}

/// How pm was asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// SIGINT. The first one drains, a second one kills.
    Interrupt,
    /// SIGTERM. As SIGINT.
    Terminate,
    /// SIGHUP: the terminal was closed. Drains; changes nothing while pm drains.
    Hangup,
    /// SIGQUIT. Kills at once.
    Quit,
    /// The guard was killed. As SIGHUP.
    GuardGone,
    /// A command. As SIGTERM.
    Shutdown,
    /// A command. As SIGQUIT.
    ShutdownNow,
}

/// What a dead leader left of its process group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remains {
    Nothing,
    /// Other processes are still in the group. An [`Event::Emptied`] follows when the last of them is gone.
    Members,
}

/// Something to do, in the order given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Fork and exec this worker by this revision of its launch spec; answer with [`Event::Spawned`] or
    /// [`Event::SpawnFailed`], or with [`Event::Exited`] alone if it dies on its way. The answer may come late: until
    /// then the worker may be terminated and killed as any other.
    Spawn { worker: WorkerId, revision: Revision, port: PortProbe },
    /// As [`Action::Spawn`], but this worker is a spare: it waits at its bind(2), which is told by [`Event::Waits`].
    Prepare { worker: WorkerId, revision: Revision },
    /// The spare is one of another slot of its pool from now on, and has the number `to`. It waits as before.
    Move { from: WorkerId, to: WorkerId, revision: Revision },
    /// The spare is the current worker of its slot from now on: what it waits for is granted.
    Admit(WorkerId),
    /// The stop signal to the worker's group.
    Terminate(WorkerId),
    /// SIGKILL to the worker's group.
    Kill(WorkerId),
    /// Report this about a worker.
    Report(Transition),
    /// Report that all workers are stopped. Stands before the `Terminate` and `Kill` that follow from it.
    ReportStop(Stop),
    /// The run is over: no worker is left, and none is spawned any more. Given once. `stopping_since` is when the
    /// workers began to be stopped, if that was not one by one.
    Finish { outcome: Outcome, stopping_since: Option<Instant> },
    /// pm was asked to stop after the run was over, or where SIGKILL had not ended all workers: wait for nothing any
    /// more.
    Leave,
}

/// Whether the port of a slot is probed before a spawn: does another process hold it?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PortProbe {
    Needed,
    /// The last worker had been ready on this port, and its group is gone just now. The probe would delay the
    /// replacement. If the port is held all the same, the start fails and the next spawn probes.
    Skipped,
}

/// A stop of all workers, with all that is to be said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    pub reason: StopReason,
    pub how: StopKind,
    /// How many workers there are. May be 0.
    pub workers: usize,
    /// The longest grace of these workers. Zero if there is none.
    pub longest_grace: Duration,
    pub order: StopOrder,
}

/// Why all workers are stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    Asked(Wish),
    /// A pool has ended the run.
    Ended(PoolEnd),
}

/// How a pool ends the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolEnd {
    /// All of its slots have ended. `failed` is the first that has given up, or else the first that has failed.
    Ended { pool: PoolId, failed: Option<Failed> },
    /// It waits for a slot that has failed for good, or for a pool that does.
    Blocked { pool: PoolId, failed: Failed },
}

/// A slot that has failed for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed {
    pub slot: SlotId,
    pub how: SlotFailure,
}

/// Why a slot does not go on by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotFailure {
    /// The exit of its last worker, which its policy does not restart.
    Exit(Exit),
    GaveUp,
}

/// How workers are stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopKind {
    /// By the stop signal; SIGKILL follows when the grace is over.
    Terminate,
    /// By SIGKILL, because of the wish or because no worker has a grace.
    Kill,
}

/// In which order workers are stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopOrder {
    AllAtOnce,
    /// Some worker is stopped only when the workers of pools that need its pool are gone.
    PoolByPool,
}

/// What became of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// It is ready.
    Ready(WorkerId),
    /// It exited after it had been ready, and had not been asked to.
    Crashed { worker: WorkerId, exit: Exit, next: Next },
    /// It exited before it was ready, and had not been asked to.
    FailedStart { worker: WorkerId, exit: Exit, next: Next },
    /// It could not be spawned.
    SpawnFailed { worker: WorkerId, next: Next },
    /// It was not ready in time and is terminated.
    NeverReady(WorkerId),
    /// It hangs and is terminated.
    Hung(WorkerId),
    /// It is replaced because the plan has changed or a command asked for that. It is terminated now, or, if a spare
    /// takes over, when that one is ready.
    Replacing(WorkerId),
    /// Its group is empty after it was terminated, was killed, or crashed and left members. If the plan no longer has
    /// its slot, the slot is forgotten now.
    Stopped { worker: WorkerId, next: Next },
    /// Its grace is over and its group is not empty: it is killed.
    GraceOver { worker: WorkerId, grace: Duration },
    /// The spare has started and waits to take over.
    SpareWaits(WorkerId),
    /// The spare has failed; the next one is prepared after this wait, and none if it is `None`.
    SpareFailed { worker: WorkerId, how: SpareFailure, wait: Option<Duration> },
    /// The spare was not needed any more, and its group is empty.
    SpareStopped(WorkerId),
}

/// How a spare has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpareFailure {
    Exited(Exit),
    NotSpawned,
    /// It did not come to its bind(2) in time, and is terminated.
    NeverWaited,
}

/// What comes after a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The next worker, as soon as the group is empty.
    Spawn,
    /// The spare takes over, as soon as the group is empty.
    TakeOver,
    /// A spare has taken over before.
    Replaced,
    /// The next worker after this wait.
    Backoff(Duration),
    /// None until the slot is started again: too many failed starts in a row.
    GiveUp,
    /// None until the slot is started again: more restarts than the policy allows.
    TooManyRestarts,
    /// None: the restart policy does not restart after such an exit.
    End,
    /// None: the slot is wanted down.
    Down,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// pm was asked to stop, and no worker is left.
    Stopped,
    /// Every slot ended by its restart policy. The first exit that was not a success, if any; of a run that a pool has
    /// ended, that of its first slot that has failed, or of the slot that it waited for.
    Ended(Option<Exit>),
    /// No slot goes on by itself, and at least one has given up; of a run that a pool has ended, one of its slots or
    /// the one that it waited for.
    GaveUp,
    /// pm was asked to leave although SIGKILL had not ended all workers. The supervisor itself never finishes so.
    LeftBehind,
}
