//! What a supervisor is told and what it answers. Plain values, no behaviour.

use std::time::Duration;

use super::ids::{Exit, SlotId, WorkerId};

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The slot is wanted up.
    Start(SlotId),
    /// The slot is wanted down.
    Stop(SlotId),
    /// Everything is wanted down: terminate all, those first that need others; start none.
    Shutdown,
    /// As `Shutdown`, and nobody waits for a turn or keeps a grace: kill all.
    Kill,
    /// The worker serves.
    Ready(WorkerId),
    /// It had been ready and hangs: its alive probe failed too often.
    Hung(WorkerId),
    /// The worker was spawned: it has exec'd.
    Spawned(WorkerId),
    /// The worker could not be spawned: there is no process.
    SpawnFailed(WorkerId),
    /// The worker's leader is dead and reaped. `remains` tells whether its group still has members.
    Exited { worker: WorkerId, exit: Exit, remains: Remains },
    /// The last member of a group that had outlived its leader is gone.
    Emptied(WorkerId),
    /// Time has passed.
    Tick,
}

/// What a dead leader left of its process group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remains {
    Nothing,
    /// Others are still in the group. An [`Event::Emptied`] follows when they are not.
    Members,
}

/// Something to do, in the order given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Fork and exec this worker, and answer with [`Event::Spawned`] or [`Event::SpawnFailed`].
    Spawn(WorkerId),
    /// The stop signal to the worker's group.
    Terminate(WorkerId),
    /// SIGKILL to the worker's group.
    Kill(WorkerId),
    /// Something a person wants to know.
    Report(Transition),
    /// Nothing is left to do. Said once.
    Finish(Outcome),
}

/// What a person wants to know about a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    Ready(WorkerId),
    /// It ended without having been asked to, after it had been ready.
    Crashed {
        worker: WorkerId,
        exit: Exit,
        next: Next,
    },
    /// It ended before it was ready.
    FailedStart {
        worker: WorkerId,
        exit: Exit,
        next: Next,
    },
    /// There was no way to start it.
    SpawnFailed {
        worker: WorkerId,
        next: Next,
    },
    /// It was not ready in time and is being terminated.
    NeverReady(WorkerId),
    /// It hangs and is being terminated.
    Hung(WorkerId),
    /// The plan has changed: it is being terminated, and its successor is what the plan wants.
    Replacing(WorkerId),
    /// It was to go, or its leader had crashed before the rest of its group: nothing of it is left. If the plan no
    /// longer has its slot, the slot is forgotten now.
    Stopped {
        worker: WorkerId,
        next: Next,
    },
    /// The grace is over and something of it is left: it is being killed.
    GraceOver(WorkerId),
}

/// What comes after an exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A new worker, as soon as the old group is empty.
    Spawn,
    /// A new worker after this long.
    Backoff(Duration),
    /// Nothing, until somebody asks for it: too many failed starts.
    GiveUp,
    /// Nothing, until somebody asks for it: it was replaced too often in the time its policy allows.
    TooManyRestarts,
    /// Nothing: the restart policy says that this was the end.
    End,
    /// Nothing: it is wanted down.
    Down,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was asked to stop and everything is gone.
    Stopped,
    /// Every worker ended by itself; the first exit that was not a success, if any.
    Ended(Option<Exit>),
    /// Every worker ended by itself, and at least one slot gave up.
    GaveUp,
}
