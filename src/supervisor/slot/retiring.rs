//! A worker from which a spare has taken over: it serves until the spare is ready, and is stopped then.
//!
//! It finishes what it has accepted, within its grace. What becomes of it changes nothing for the slot.

use std::time::{Duration, Instant};

use super::super::event::{Action, Next, Remains, Transition};
use super::super::ids::{Revision, WorkerId};
use super::super::phase::{KILL_AGAIN, News, Phase, RetiringPhase, Wanted};
use super::Slot;
use super::seats::Seat;

#[derive(Clone, Debug)]
pub(super) struct Retiring {
    pub(super) generation: u64,
    pub(super) revision: Revision,
    pub(super) grace: Duration,
    pub(super) phase: RetiringPhase,
}

impl Retiring {
    pub fn new(generation: u64, revision: Revision, grace: Duration) -> Self {
        Self { generation, revision, grace, phase: RetiringPhase::Serving }
    }

    pub fn revision(&self) -> Revision {
        self.revision
    }

    pub fn phase(&self) -> RetiringPhase {
        self.phase
    }
}

impl Slot {
    /// True if the worker serves that was to be replaced.
    pub(super) fn is_served_by_retiring(&self) -> bool {
        self.retiring.as_ref().is_some_and(|retiring| retiring.phase == RetiringPhase::Serving)
    }

    /// The worker from which the current one has taken over, if it is still there.
    pub fn retiring(&self) -> Option<(WorkerId, RetiringPhase)> {
        let retiring = self.retiring.as_ref()?;
        let worker = WorkerId { slot: self.id, generation: retiring.generation };
        Some((worker, retiring.phase))
    }

    pub(super) fn step_retiring(&mut self, news: News, now: Instant, actions: &mut Vec<Action>) {
        let Some((worker, phase)) = self.retiring() else { return };
        match phase {
            RetiringPhase::Serving => self.retiring_serves(worker, news, now, actions),
            RetiringPhase::Stopping { grace, .. } => {
                if news == News::Tick {
                    actions.push(Action::Report(Transition::GraceOver { worker, grace }));
                }
                self.retiring_ends(worker, news, now, actions);
            }
            RetiringPhase::Killing { .. } => self.retiring_ends(worker, news, now, actions),
        }
    }

    fn retiring_serves(
        &mut self,
        worker: WorkerId,
        news: News,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        match news {
            News::Exited { exit, remains } => {
                let gave_up = self.phase == Phase::GivenUp;
                let next = if gave_up { Next::GiveUp } else { Next::Replaced };
                actions.push(Action::Report(Transition::Crashed { worker, exit, next }));
                match remains {
                    Remains::Nothing => self.retiring = None,
                    // They were swept.
                    Remains::Members => self.await_retiring(now),
                }
            }
            // Late: it was ready once, and nothing more is asked of it.
            News::Ready | News::Hung | News::Waits => {}
            News::Spawned | News::SpawnFailed | News::Emptied | News::Tick => {
                self.impossible(news.into())
            }
        }
    }

    fn retiring_ends(
        &mut self,
        worker: WorkerId,
        news: News,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        match news {
            News::Exited { remains: Remains::Nothing, .. } | News::Emptied => {
                self.retiring = None;
                let stopped = Transition::Stopped { worker, next: Next::Replaced };
                actions.push(Action::Report(stopped));
            }
            News::Tick => self.kill_retiring(now, actions),
            // Members keep the rest of the grace.
            News::Exited { remains: Remains::Members, .. } => {}
            // Late: it was ready once, and nothing more is asked of it.
            News::Ready | News::Hung | News::Waits => {}
            News::Spawned | News::SpawnFailed => self.impossible(news.into()),
        }
    }

    /// This worker listens. If it is the current one, that from which it has taken over is stopped: each of them would
    /// take connections.
    pub(in super::super) fn on_listening(
        &mut self,
        worker: WorkerId,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        if self.seat(worker) == Some(Seat::Current) {
            self.stop_retiring(now, actions);
        }
    }

    /// It goes on serving while its successor is on its way, and if no successor comes up at all.
    pub(super) fn settle_retiring(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let is_succeeded = match self.phase {
            Phase::Starting { .. } | Phase::Backoff { .. } | Phase::GivenUp => false,
            Phase::Stopping { .. } | Phase::Killing { .. } => false,
            Phase::Idle | Phase::Ready { .. } => true,
        };
        if is_succeeded || self.wanted != Wanted::Up {
            self.stop_retiring(now, actions);
        }
    }

    fn stop_retiring(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let Some(retiring) = &mut self.retiring else { return };
        if retiring.phase != RetiringPhase::Serving {
            return;
        }
        let grace = retiring.grace;
        if grace.is_zero() {
            return self.kill_retiring(now, actions);
        }
        retiring.phase = RetiringPhase::Stopping { grace, kill_at: now + grace };
        let worker = WorkerId { slot: self.id, generation: retiring.generation };
        actions.push(Action::Terminate(worker));
    }

    pub(super) fn kill_retiring(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if let Some((worker, _)) = self.retiring() {
            self.await_retiring(now);
            actions.push(Action::Kill(worker));
        }
    }

    fn await_retiring(&mut self, now: Instant) {
        if let Some(retiring) = &mut self.retiring {
            let phase = retiring.phase;
            let since = if let RetiringPhase::Killing { since, .. } = phase { since } else { now };
            retiring.phase = RetiringPhase::Killing { since, again_at: now + KILL_AGAIN };
        }
    }
}
