//! The state table of one slot: one function for each phase, in each of them one `match` over all inputs.
//!
//! What a slot is wanted to be ([`Wanted`]) and what it is at ([`Phase`]) are separate: commands and plans change the
//! first, and the second follows as workers come and go.
//!
//! A slot decides nothing that depends on other slots: it shows what it waits for ([`flags`]), and [`super::ordering`]
//! and [`super::rollout`] allow it. What commands and plans change is in [`wanted`], what becomes of the current worker
//! in [`worker`], what follows an exit in [`after_exit`].
//!
//! A slot may have two workers more: a [`spare`], which has started and waits to take over, and one that is
//! [`retiring`] because a spare has. [`seats`] tells the three apart. They change no phase of the slot. [`lending`] is
//! for spares that the slots of a pool share.

mod after_exit;
pub(super) mod flags;
mod lending;
mod retiring;
pub(super) mod seats;
mod spare;
mod state_hash;
#[cfg(test)]
mod tests;
mod wanted;
mod worker;

use std::time::{Duration, Instant};

use self::retiring::Retiring;
use self::spare::Spare;
use super::event::{Action, PortProbe, Transition};
use super::ids::{Exit, PoolId, Revision, SlotId, WorkerId};
use super::phase::{Input, Phase, Roll, Target, Wanted};
use super::policy::{Policy, Readiness};
use super::restarts::Restarts;
use super::spec::SlotEntry;

/// A place in a pool, and all that is known of it on this floor.
#[derive(Clone, Debug)]
pub struct Slot {
    id: SlotId,
    pool: PoolId,
    /// Of the worker that is there, or of the next one if there is none. So is the revision.
    policy: Policy,
    revision: Revision,
    wanted: Wanted,
    phase: Phase,
    roll: Roll,
    /// Of the current worker, or of the last one. 0 before the first.
    generation: u64,
    /// The highest number that a worker of the slot has had.
    last_generation: u64,
    /// Failed starts in a row.
    failures: u32,
    restarts: Restarts,
    /// Of the next spawn.
    port: PortProbe,
    spare: Option<Box<Spare>>,
    /// One for its whole pool.
    holds_spare: bool,
    retiring: Option<Box<Retiring>>,
}

impl Slot {
    /// A new slot is idle, and kept down until it is started.
    pub(super) fn new(entry: &SlotEntry) -> Self {
        Self {
            id: entry.slot,
            pool: entry.pool,
            policy: entry.policy,
            revision: entry.revision,
            wanted: Wanted::Unset,
            phase: Phase::Idle,
            roll: Roll::None,
            generation: 0,
            last_generation: 0,
            failures: 0,
            restarts: Restarts::default(),
            port: PortProbe::Needed,
            spare: None,
            holds_spare: false,
            retiring: None,
        }
    }

    pub fn id(&self) -> SlotId {
        self.id
    }

    pub fn pool(&self) -> PoolId {
        self.pool
    }

    pub fn phase(&self) -> Phase {
        self.phase
    }

    pub fn wanted(&self) -> Wanted {
        self.wanted
    }

    /// The number of its current worker, or of the last one. 0 before the first. A spare has a higher one.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Failed starts in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// The rules of the worker that is there, or of the next one if there is none.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The revision of the worker that is there, or of the next one if there is none.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The revision of the next worker, if the worker that is there is to be replaced.
    pub fn due_revision(&self) -> Option<Revision> {
        self.roll.target().map(|target| target.revision)
    }

    /// The current worker, or the last one if there is none now.
    pub fn worker(&self) -> WorkerId {
        WorkerId { slot: self.id, generation: self.generation }
    }

    /// The exit of its last worker, if that ended the slot by its restart policy.
    pub(super) fn end(&self) -> Option<Exit> {
        match self.wanted {
            Wanted::Ended(exit) => exit,
            Wanted::Unset | Wanted::Down | Wanted::Up | Wanted::Gone => None,
        }
    }

    /// The plan has this slot: a worker of the same revision is kept, a worker of another one is replaced.
    pub(super) fn plan(&mut self, entry: &SlotEntry, now: Instant, actions: &mut Vec<Action>) {
        let SlotEntry { slot: _, pool, policy, revision } = *entry;
        self.pool = pool;
        let is_same = revision == self.revision;
        let replace = Input::Replace(Target { revision, policy });
        self.step(if is_same { Input::Keep(policy) } else { replace }, now, actions);
    }

    /// The roll of its pool is over.
    pub(super) fn end_roll(&mut self) {
        self.roll.end();
    }

    pub(super) fn step(&mut self, input: Input, now: Instant, actions: &mut Vec<Action>) {
        self.step_current(input, now, actions);
        if input == Input::Kill {
            self.kill_others(now, actions);
        }
        self.settle_others(now, actions);
    }

    fn step_current(&mut self, input: Input, now: Instant, actions: &mut Vec<Action>) {
        match self.phase {
            Phase::Idle => self.idle(input, now, actions),
            Phase::Starting { spawned_at, execd_at, ready_by } => {
                self.starting((spawned_at, execd_at, ready_by), input, now, actions);
            }
            Phase::Ready { .. } => self.ready(input, now, actions),
            Phase::Stopping { grace, .. } => self.stopping(input, grace, now, actions),
            Phase::Killing { .. } => self.killing(input, now, actions),
            Phase::Backoff { .. } => self.backoff(input, now, actions),
            Phase::GivenUp => self.given_up(input, now, actions),
        }
    }

    fn idle(&mut self, input: Input, now: Instant, actions: &mut Vec<Action>) {
        match input {
            Input::Start | Input::Restart | Input::Roll => self.want_up(),
            Input::Stop | Input::Kill => self.want_down(),
            Input::Withdraw => {}
            Input::Keep(policy) => self.keep_idle(policy),
            Input::Replace(target) => self.change_idle(target),
            Input::Remove => self.wanted = Wanted::Gone,
            Input::StartAllowed => self.spawn(now, actions),
            // Late: an answer about the last worker can arrive after that worker is reaped.
            Input::Ready | Input::Hung | Input::Waits => {}
            Input::StopAllowed
            | Input::RollAllowed
            | Input::Spawned
            | Input::SpawnFailed
            | Input::Exited { .. }
            | Input::Emptied
            | Input::Tick => self.impossible(input),
        }
    }

    fn starting(
        &mut self,
        (spawned_at, execd_at, ready_by): (Instant, Option<Instant>, Option<Instant>),
        input: Input,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        match input {
            Input::Start => self.stay_up(),
            Input::Stop => self.want_down(),
            Input::Kill => {
                self.want_down();
                self.kill(now, actions);
            }
            Input::Restart => self.restart(now, actions),
            Input::Roll => self.roll(),
            Input::Withdraw => self.withdraw(),
            Input::Keep(policy) => {
                self.keep(policy);
                // The new time to become ready counts from the spawn or the exec too.
                self.start_since(spawned_at, execd_at);
            }
            Input::Replace(target) => self.replace(target),
            Input::Remove => self.wanted = Wanted::Gone,
            Input::StopAllowed => self.terminate(now, actions),
            Input::RollAllowed => self.begin_replacement(now, actions),
            Input::Ready => self.become_ready(now, actions),
            Input::Spawned => self.on_execd(spawned_at, now, actions),
            Input::SpawnFailed => self.fail_spawn(now, actions),
            Input::Exited { exit, remains } => {
                let by_time = matches!(self.policy.ready, Readiness::Lived { .. });
                if by_time && ready_by.is_some_and(|ready_by| now >= ready_by) {
                    // It has lived long enough; the exit came before the tick.
                    self.become_ready(now, actions);
                    self.crash(exit, remains, now, actions);
                } else {
                    self.fail_start(exit, remains, now, actions);
                }
            }
            Input::Tick => self.end_start(now, actions),
            // Early: a worker may report a hang before it is ready. The deadline of the start decides.
            Input::Hung => {}
            // Late: it was a spare and has taken over.
            Input::Waits => {}
            Input::StartAllowed | Input::Emptied => self.impossible(input),
        }
    }

    fn ready(&mut self, input: Input, now: Instant, actions: &mut Vec<Action>) {
        match input {
            Input::Start => self.stay_up(),
            Input::Stop => self.want_down(),
            Input::Kill => {
                self.want_down();
                self.kill(now, actions);
            }
            Input::Restart => self.restart(now, actions),
            Input::Roll => self.roll(),
            Input::Withdraw => self.withdraw(),
            Input::Keep(policy) => self.keep(policy),
            Input::Replace(target) => self.replace(target),
            Input::Remove => self.wanted = Wanted::Gone,
            Input::StopAllowed => self.terminate(now, actions),
            Input::RollAllowed if self.has_spares() => self.take_turn(),
            Input::RollAllowed => self.begin_replacement(now, actions),
            Input::Hung => {
                actions.push(Action::Report(Transition::Hung(self.worker())));
                self.note_hang(now);
                self.terminate(now, actions);
            }
            Input::Exited { exit, remains } => self.crash(exit, remains, now, actions),
            // Repeated: a worker may report more than once that it is ready. Late: it was a spare.
            Input::Ready | Input::Waits => {}
            Input::StartAllowed
            | Input::Spawned
            | Input::SpawnFailed
            | Input::Emptied
            | Input::Tick => self.impossible(input),
        }
    }

    fn stopping(&mut self, input: Input, grace: Duration, now: Instant, actions: &mut Vec<Action>) {
        match input {
            Input::Start | Input::Restart | Input::Roll => self.come_back(),
            // Its turn has come.
            Input::Withdraw => {}
            Input::Stop => self.want_down(),
            Input::Kill => {
                self.want_down();
                self.kill(now, actions);
            }
            Input::Keep(policy) => self.keep_next(policy),
            Input::Replace(target) => self.replace(target),
            Input::Remove => self.wanted = Wanted::Gone,
            Input::Exited { exit, remains } => self.lose_leader(exit, remains, now, actions),
            Input::Tick => {
                let worker = self.worker();
                actions.push(Action::Report(Transition::GraceOver { worker, grace }));
                self.kill(now, actions);
            }
            Input::Emptied | Input::SpawnFailed => self.be_empty(now, actions),
            // Late: it was on its way to its program, or the answer of a probe was under way, when it was terminated.
            Input::Spawned | Input::Ready | Input::Hung | Input::Waits => {}
            Input::StartAllowed | Input::StopAllowed | Input::RollAllowed => self.impossible(input),
        }
    }

    fn killing(&mut self, input: Input, now: Instant, actions: &mut Vec<Action>) {
        match input {
            Input::Start | Input::Restart | Input::Roll => self.come_back(),
            // Its turn has come.
            Input::Withdraw => {}
            Input::Stop | Input::Kill => self.want_down(),
            Input::Keep(policy) => self.keep_next(policy),
            Input::Replace(target) => self.replace(target),
            Input::Remove => self.wanted = Wanted::Gone,
            Input::Exited { exit, remains } => self.lose_leader(exit, remains, now, actions),
            Input::Tick => self.kill(now, actions),
            Input::Emptied | Input::SpawnFailed => self.be_empty(now, actions),
            // Late: it was on its way to its program, or the answer of a probe was under way, when it was killed.
            Input::Spawned | Input::Ready | Input::Hung | Input::Waits => {}
            Input::StartAllowed | Input::StopAllowed | Input::RollAllowed => self.impossible(input),
        }
    }

    fn backoff(&mut self, input: Input, now: Instant, actions: &mut Vec<Action>) {
        match input {
            // The next worker is coming already, and the wait is not cut short.
            Input::Start | Input::Withdraw => {}
            Input::Restart | Input::Roll => {
                self.want_up();
                self.spawn(now, actions);
            }
            Input::Stop | Input::Kill => {
                self.want_down();
                self.be_idle();
            }
            Input::Keep(policy) => self.policy = policy,
            Input::Replace(target) => {
                self.replace(target);
                self.spawn(now, actions);
            }
            Input::Remove => {
                self.wanted = Wanted::Gone;
                self.be_idle();
            }
            Input::Tick => self.spawn(now, actions),
            // Late: an answer about the last worker can arrive after that worker is reaped.
            Input::Ready | Input::Hung | Input::Waits => {}
            Input::StartAllowed
            | Input::StopAllowed
            | Input::RollAllowed
            | Input::Spawned
            | Input::SpawnFailed
            | Input::Exited { .. }
            | Input::Emptied => self.impossible(input),
        }
    }

    fn given_up(&mut self, input: Input, now: Instant, actions: &mut Vec<Action>) {
        match input {
            Input::Start | Input::Restart | Input::Roll => {
                self.want_up();
                self.spawn(now, actions);
            }
            Input::Withdraw => {}
            Input::Stop | Input::Kill => {
                self.want_down();
                self.be_idle();
            }
            Input::Keep(policy) => self.policy = policy,
            Input::Replace(target) => {
                self.replace(target);
                self.spawn(now, actions);
            }
            Input::Remove => {
                self.wanted = Wanted::Gone;
                self.be_idle();
            }
            // Late: an answer about the last worker can arrive after that worker is reaped.
            Input::Ready | Input::Hung | Input::Waits => {}
            Input::StartAllowed
            | Input::StopAllowed
            | Input::RollAllowed
            | Input::Spawned
            | Input::SpawnFailed
            | Input::Exited { .. }
            | Input::Emptied
            | Input::Tick => self.impossible(input),
        }
    }

    /// An input that cannot meet this phase, because the rules of this floor or the reactor never give it. In a release
    /// build it changes nothing.
    fn impossible(&self, input: Input) {
        debug_assert!(false, "{:?}: {input:?} cannot meet {:?}", self.worker(), self.phase);
    }
}
