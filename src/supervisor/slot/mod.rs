//! The state table of one slot: every phase, every input, one `match`.
//!
//! What is wanted and what is stand apart: commands and plans change [`Wanted`], and the [`Phase`] catches up as
//! workers come and go. A phase carries its own deadline, so leaving the phase cancels it.
//!
//! What hangs on other slots, a slot does not decide: it says what it waits for ([`flags`]), and [`super::ordering`] tells
//! it when it may. What follows when a worker has ended stands in [`after_exit`].

mod after_exit;
pub(super) mod flags;

use std::time::{Duration, Instant};

use super::event::{Action, Remains, Transition};
use super::ids::{Exit, PoolId, SlotId, WorkerId};
use super::phase::{Input, Phase, Wanted};
use super::policy::{Policy, Readiness, Restart};
use super::restarts::Restarts;
use super::spec::SlotEntry;

/// SIGKILL is repeated this often while something of a killed group is still there.
const KILL_AGAIN: Duration = Duration::from_secs(1);

/// It serves as soon as it has exec'd.
const BORN_READY: Readiness = Readiness::Lived { after: Duration::ZERO };

/// A place in a pool and what is known of it.
#[derive(Clone, Debug)]
pub struct Slot {
    id: SlotId,
    pool: PoolId,
    /// That of the worker that is there, or of the next one.
    policy: Policy,
    wanted: Wanted,
    /// Nobody has said yet what it should come to, so that its pool is not known to be ready without it.
    is_new: bool,
    phase: Phase,
    /// That of the current worker, or of the last one. 0 before the first.
    generation: u64,
    /// Failed starts in a row.
    failures: u32,
    restarts: Restarts,
    /// Its worker is to be replaced by one that is kept by this. Only while there is a worker.
    due: Option<Policy>,
    /// It was replaced in the roll of its pool, which is not over.
    is_rolled: bool,
    /// How its last worker ended, if that was the end of the slot too.
    end: Option<Exit>,
}

impl Slot {
    /// Idle, and wanted down until somebody says otherwise.
    pub fn new(entry: &SlotEntry) -> Self {
        Self {
            id: entry.slot,
            pool: entry.pool,
            policy: entry.policy,
            wanted: Wanted::Down,
            is_new: true,
            phase: Phase::Idle,
            generation: 0,
            failures: 0,
            restarts: Restarts::default(),
            due: None,
            is_rolled: false,
            end: None,
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

    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Failed starts in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// What the worker that is there is kept by, or the next one if there is none.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The current worker, or the last one if there is none now.
    pub fn worker(&self) -> WorkerId {
        WorkerId { slot: self.id, generation: self.generation }
    }

    /// How its last worker ended, if the restart policy let that be the end. A hang ends as a failure.
    pub fn end(&self) -> Option<Exit> {
        self.end.filter(|_| self.wanted == Wanted::Ended)
    }

    pub(super) fn move_to(&mut self, pool: PoolId) {
        self.pool = pool;
    }

    /// The state table.
    pub fn step(&mut self, input: Input, now: Instant, actions: &mut Vec<Action>) {
        use Input::*;
        use Phase::{Backoff, GivenUp, Idle, Killing, Starting, Stopping};
        match (self.phase, input) {
            // Commands change what is wanted.
            (Idle, Start) => self.want_up(),
            (GivenUp, Start) => {
                self.want_up();
                self.spawn(now, actions);
            }
            (Starting { .. } | Phase::Ready { .. } | Backoff { .. }, Start) => {
                if self.wanted != Wanted::Up {
                    // It waited for its turn to stop, and stays.
                    self.want_up();
                }
            }
            (Stopping { .. } | Killing { .. }, Start) => {
                if !self.is_coming_back() {
                    self.want_up();
                }
            }
            (Idle | GivenUp | Backoff { .. }, Stop | Kill) => {
                self.want_down();
                self.lie_idle();
            }
            (Starting { .. } | Phase::Ready { .. }, Stop) => self.want_down(),
            (Starting { .. } | Phase::Ready { .. } | Stopping { .. }, Kill) => {
                self.want_down();
                self.kill(now, actions);
            }
            (Stopping { .. } | Killing { .. }, Stop) | (Killing { .. }, Kill) => self.want_down(),

            // Plans change what is wanted and how.
            (Idle, Keep(policy) | Replace(policy)) | (GivenUp | Backoff { .. }, Keep(policy)) => {
                self.policy = policy;
            }
            (GivenUp | Backoff { .. }, Replace(policy)) => {
                self.due = Some(policy);
                self.spawn(now, actions);
            }
            (Starting { ready_by }, Keep(policy)) => {
                // Counted from the spawn, as if it had been so from the first.
                let born = ready_by - self.policy.ready.wait();
                self.phase = Starting { ready_by: born + policy.ready.wait() };
                self.keep(policy);
            }
            (Phase::Ready { .. }, Keep(policy)) => self.keep(policy),
            (Stopping { .. } | Killing { .. }, Keep(policy)) => {
                self.reinstate();
                if self.due.is_some() {
                    // It is on its way out: its successor is what the plan wants now.
                    self.due = Some(policy);
                } else {
                    self.policy = policy;
                }
            }
            (
                Starting { .. } | Phase::Ready { .. } | Stopping { .. } | Killing { .. },
                Replace(policy),
            ) => {
                self.reinstate();
                self.due = Some(policy);
            }
            (Idle | GivenUp | Backoff { .. }, Remove) => {
                self.wanted = Wanted::Gone;
                self.lie_idle();
            }
            (Starting { .. } | Phase::Ready { .. } | Stopping { .. } | Killing { .. }, Remove) => {
                self.wanted = Wanted::Gone;
            }

            // Its turn has come.
            (Idle, StartAllowed) => self.spawn(now, actions),
            (Starting { .. } | Phase::Ready { .. }, StopAllowed) => self.terminate(now, actions),
            (Starting { .. } | Phase::Ready { .. }, RollAllowed) => {
                actions.push(Action::Report(Transition::Replacing(self.worker())));
                self.terminate(now, actions);
            }

            // A worker that starts.
            (Starting { .. }, Ready) => self.become_ready(now, actions),
            (Starting { .. }, Spawned) => {
                if self.policy.ready == BORN_READY {
                    self.become_ready(now, actions);
                }
            }
            (Starting { .. }, SpawnFailed) => {
                self.fail_to_start(now);
                let next = self.next();
                // Told before the next try, which may be refused for another reason.
                actions
                    .push(Action::Report(Transition::SpawnFailed { worker: self.worker(), next }));
                self.enter(next, now, actions);
            }
            (Starting { ready_by }, Exited { .. })
                if now >= ready_by && matches!(self.policy.ready, Readiness::Lived { .. }) =>
            {
                // It had lived long enough; the tick that would have said so is still to come.
                self.become_ready(now, actions);
                self.step(input, now, actions);
            }
            (Starting { .. }, Exited { exit, remains }) => {
                let worker = self.worker();
                self.failures = self.failures.saturating_add(1);
                let next = self.outlive(exit, remains, now, actions);
                actions.push(Action::Report(Transition::FailedStart { worker, exit, next }));
            }

            // A worker that serves.
            (Phase::Ready { .. }, Exited { exit, remains }) => {
                let worker = self.worker();
                let next = self.outlive(exit, remains, now, actions);
                actions.push(Action::Report(Transition::Crashed { worker, exit, next }));
            }
            (Phase::Ready { .. }, Hung) => {
                actions.push(Action::Report(Transition::Hung(self.worker())));
                self.expect_a_successor(self.policy.restart != Restart::Never, now);
                self.terminate(now, actions);
            }

            // A worker that is to go: its leader's end is not yet the end of its group.
            (Stopping { .. } | Killing { .. }, Exited { exit, remains: Remains::Members }) => {
                self.note_end_of_hung(exit);
            }
            (Stopping { .. } | Killing { .. }, Exited { exit, remains: Remains::Nothing }) => {
                self.note_end_of_hung(exit);
                self.be_gone(now, actions);
            }
            (Stopping { .. } | Killing { .. }, Emptied) => self.be_gone(now, actions),

            // Time.
            (Starting { ready_by }, Tick) => {
                if now >= ready_by {
                    self.end_start(now, actions);
                }
            }
            (Stopping { kill_at }, Tick) => {
                if now >= kill_at {
                    actions.push(Action::Report(Transition::GraceOver(self.worker())));
                    self.kill(now, actions);
                }
            }
            (Killing { again_at }, Tick) => {
                if now >= again_at {
                    self.kill(now, actions);
                }
            }
            (Backoff { until }, Tick) => {
                if now >= until {
                    self.spawn(now, actions);
                }
            }
            (Idle | Phase::Ready { .. } | GivenUp, Tick) => {}

            // A probe may answer after the phase has moved on; the other pairs cannot be, and would change nothing:
            // only a starting worker can fail to spawn, no group is empty before its leader is reaped, and nobody is
            // given a turn that it does not wait for.
            (
                Phase::Ready { .. } | Stopping { .. } | Killing { .. },
                Ready | Spawned | SpawnFailed,
            ) => {}
            (Starting { .. } | Stopping { .. } | Killing { .. }, Hung) => {}
            (Starting { .. } | Phase::Ready { .. }, Emptied | StartAllowed) => {}
            (Stopping { .. } | Killing { .. }, StartAllowed | StopAllowed | RollAllowed) => {}
            (Idle, StopAllowed | RollAllowed) => {}
            (Backoff { .. } | GivenUp, StartAllowed | StopAllowed | RollAllowed) => {}
            (
                Idle | Backoff { .. } | GivenUp,
                Ready | Hung | Spawned | SpawnFailed | Exited { .. } | Emptied,
            ) => {}
        }
    }

    // What is wanted.

    /// Somebody asks for it: what went before no longer counts.
    fn want_up(&mut self) {
        self.wanted = Wanted::Up;
        self.is_new = false;
        self.forget_failures();
        self.end = None;
    }

    fn want_down(&mut self) {
        self.is_new = false;
        if self.wanted != Wanted::Gone {
            self.wanted = Wanted::Down;
        }
    }

    /// The plan has it. If for a while it had not, then it is as good as new.
    fn reinstate(&mut self) {
        if self.wanted == Wanted::Gone {
            self.wanted = Wanted::Down;
            self.is_new = true;
        }
    }

    /// The worker that is there is what the plan wants, whatever the last plan said.
    fn keep(&mut self, policy: Policy) {
        self.reinstate();
        self.due = None;
        self.policy = policy;
    }

    fn forget_failures(&mut self) {
        self.failures = 0;
        self.restarts.forget();
    }

    // What becomes of workers.

    fn spawn(&mut self, now: Instant, actions: &mut Vec<Action>) {
        debug_assert_eq!(self.wanted, Wanted::Up);
        if let Some(policy) = self.due.take() {
            self.policy = policy;
            self.is_rolled = true;
            self.forget_failures();
        }
        self.generation += 1;
        actions.push(Action::Spawn(self.worker()));
        self.phase = Phase::Starting { ready_by: now + self.policy.ready.wait() };
    }

    fn become_ready(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.failures = 0;
        self.phase = Phase::Ready { since: now };
        actions.push(Action::Report(Transition::Ready(self.worker())));
    }

    /// The time to become ready is over.
    fn end_start(&mut self, now: Instant, actions: &mut Vec<Action>) {
        match self.policy.ready {
            Readiness::Lived { .. } => self.become_ready(now, actions),
            Readiness::Probe { .. } => {
                self.fail_to_start(now);
                actions.push(Action::Report(Transition::NeverReady(self.worker())));
                // Not even if it waits for its turn to stop has it more time: nobody can need it.
                self.terminate(now, actions);
            }
        }
    }

    fn fail_to_start(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.restarts.note(self.policy.max_restarts, now);
    }

    fn terminate(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if self.policy.grace.is_zero() {
            return self.kill(now, actions);
        }
        self.phase = Phase::Stopping { kill_at: now + self.policy.grace };
        actions.push(Action::Terminate(self.worker()));
    }

    fn kill(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.phase = Phase::Killing { again_at: now + KILL_AGAIN };
        actions.push(Action::Kill(self.worker()));
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::super::table::{Table, probed, slot, worker};
    use super::super::{Backoff, Event, Exit, MaxRestarts, Next, Outcome};
    use super::*;

    #[test]
    fn a_ready_worker_that_dies_is_replaced_at_once_however_often() {
        let mut table = Table::serving(3);
        for generation in 1..200 {
            let spawned = table.exited(worker(1, generation));
            assert_eq!(spawned, [Action::Spawn(worker(1, generation + 1))]);
            table.on(Event::Ready(worker(1, generation + 1)));
        }
        assert_eq!(table.at(0).generation(), 1);
    }

    #[test]
    fn failed_starts_rest_longer_and_longer_and_ready_forgets_them() {
        let mut table = Table::of(1, &probed());
        assert_eq!(table.exited(worker(0, 1)), [Action::Spawn(worker(0, 2))]);
        assert_eq!(table.exited(worker(0, 2)), []);
        let before = table.now;
        assert_eq!(table.wait(), [Action::Spawn(worker(0, 3))]);
        assert!(table.now - before >= Duration::from_millis(100));
        table.on(Event::Ready(worker(0, 3)));
        assert_eq!(table.exited(worker(0, 3)), [Action::Spawn(worker(0, 4))]);
        assert_eq!(table.exited(worker(0, 4)), [Action::Spawn(worker(0, 5))]);
    }

    #[test]
    fn a_spawn_that_the_kernel_refuses_is_a_failed_start() {
        let mut table = Table::of(1, &probed());
        assert_eq!(table.on(Event::SpawnFailed(worker(0, 1))), [Action::Spawn(worker(0, 2))]);
        assert_eq!(table.on(Event::SpawnFailed(worker(0, 2))), []);
        assert!(matches!(table.phase(0), Phase::Backoff { .. }));
    }

    #[test]
    fn nothing_is_spawned_before_the_swept_group_is_empty() {
        let mut table = Table::serving(1);
        assert_eq!(table.leader_exited(worker(0, 1)), []);
        assert!(matches!(table.phase(0), Phase::Killing { .. }));
        assert_eq!(table.on(Event::Emptied(worker(0, 1))), [Action::Spawn(worker(0, 2))]);
    }

    #[test]
    fn members_that_outlive_a_stopped_leader_keep_the_rest_of_the_grace() {
        let mut table = Table::serving(1);
        assert_eq!(table.on(Event::Stop(slot(0))), [Action::Terminate(worker(0, 1))]);
        let phase = table.phase(0);
        assert!(table.supervisor.keeps_grace(worker(0, 1)));
        assert_eq!(table.leader_exited(worker(0, 1)), []);
        assert_eq!(table.phase(0), phase);
        assert_eq!(table.wait(), [Action::Kill(worker(0, 1))]);
        assert_eq!(table.on(Event::Emptied(worker(0, 1))), []);
        assert_eq!(table.phase(0), Phase::Idle);
    }

    #[test]
    fn a_stopped_slot_is_not_respawned() {
        let mut table = Table::serving(1);
        table.on(Event::Stop(slot(0)));
        assert_eq!(table.exited(worker(0, 1)), []);
        assert_eq!(table.phase(0), Phase::Idle);
        assert_eq!(table.supervisor.next_deadline(), None);
    }

    #[test]
    fn a_slot_started_while_it_stops_comes_back_once_it_is_empty() {
        let mut table = Table::serving(1);
        table.on(Event::Stop(slot(0)));
        assert_eq!(table.on(Event::Start(slot(0))), []);
        assert_eq!(table.exited(worker(0, 1)), [Action::Spawn(worker(0, 2))]);
    }

    #[test]
    fn the_end_is_told_once_and_only_when_every_slot_is_empty() {
        let mut table = Table::serving(2);
        assert_eq!(table.on(Event::Shutdown).len(), 2);
        assert_eq!(table.exited(worker(0, 1)), []);
        assert_eq!(table.exited(worker(1, 1)), [Action::Finish(Outcome::Stopped)]);
        assert_eq!(table.on(Event::Tick), []);
        assert_eq!(table.on(Event::Start(slot(0))), []);
    }

    #[test]
    fn kill_does_not_wait_for_the_grace() {
        let mut table = Table::serving(1);
        table.on(Event::Shutdown);
        assert_eq!(table.on(Event::Kill), [Action::Kill(worker(0, 1))]);
        assert_eq!(table.wait(), [Action::Kill(worker(0, 1))]);
    }

    #[test]
    fn a_grace_of_zero_kills_at_once() {
        let mut table = Table::of(1, &Policy { grace: Duration::ZERO, ..probed() });
        assert_eq!(table.on(Event::Shutdown), [Action::Kill(worker(0, 1))]);
    }

    #[test]
    fn a_worker_that_is_not_ready_in_time_is_terminated_and_counts_as_a_failed_start() {
        let mut table = Table::of(1, &probed());
        assert_eq!(table.wait(), [Action::Terminate(worker(0, 1))]);
        assert_eq!(table.news, [Transition::NeverReady(worker(0, 1))]);
        assert_eq!(table.exited(worker(0, 1)), [Action::Spawn(worker(0, 2))]);
        table.wait();
        assert_eq!(table.exited(worker(0, 2)), []);
    }

    #[test]
    fn without_a_probe_having_lived_makes_it_ready() {
        let mut table = Table::of(1, &Policy::default());
        assert_eq!(table.wait(), []);
        assert_eq!(table.news, [Transition::Ready(worker(0, 1))]);
    }

    #[test]
    fn a_worker_that_is_born_ready_never_fails_to_start_once_it_has_execd() {
        let mut table = Table::of(1, &Policy { ready: BORN_READY, ..Policy::default() });
        for generation in 1..10 {
            table.on(Event::Spawned(worker(0, generation)));
            let spawned = table.exited(worker(0, generation));
            assert_eq!(spawned, [Action::Spawn(worker(0, generation + 1))]);
        }
        assert_eq!(table.on(Event::SpawnFailed(worker(0, 10))), [Action::Spawn(worker(0, 11))]);
        assert_eq!(table.on(Event::SpawnFailed(worker(0, 11))), []);
    }

    #[test]
    fn having_lived_long_enough_counts_even_if_no_tick_came_between() {
        let mut table = Table::of(1, &Policy::default());
        table.exited(worker(0, 1));
        table.now += Duration::from_secs(1);
        assert_eq!(table.exited(worker(0, 2)), [Action::Spawn(worker(0, 3))]);
        assert!(
            matches!(table.news[..], [Transition::Ready(_), Transition::Crashed { .. }]),
            "{:?}",
            table.news
        );
    }

    #[test]
    fn it_gives_up_after_so_many_failed_starts_until_asked_again() {
        let backoff = Backoff { give_up_after: NonZeroU32::new(2), ..Default::default() };
        let mut table = Table::of(2, &Policy { backoff, ..probed() });
        table.on(Event::Ready(worker(1, 1)));
        table.exited(worker(0, 1));
        assert_eq!(table.exited(worker(0, 2)), []);
        assert_eq!(table.phase(0), Phase::GivenUp);
        assert_eq!(table.on(Event::Start(slot(0))), [Action::Spawn(worker(0, 3))]);
        table.exited(worker(0, 3));
        table.exited(worker(0, 4));
        assert_eq!(table.on(Event::Stop(slot(1))), [Action::Terminate(worker(1, 1))]);
    }

    #[test]
    fn a_run_whose_last_slot_gives_up_is_over() {
        let backoff = Backoff { give_up_after: NonZeroU32::new(1), ..Default::default() };
        let mut table = Table::of(1, &Policy { backoff, ..probed() });
        assert_eq!(table.exited(worker(0, 1)), [Action::Finish(Outcome::GaveUp)]);
    }

    #[test]
    fn workers_that_end_by_themselves_end_the_run_with_the_first_failure() {
        let mut table = Table::of(3, &Policy { restart: Restart::Never, ..Policy::default() });
        for (slot, code) in [(0, 0), (1, 7)] {
            let (exit, remains) = (Exit::Code(code), Remains::Nothing);
            assert_eq!(table.on(Event::Exited { worker: worker(slot, 1), exit, remains }), []);
        }
        let ended = Outcome::Ended(Some(Exit::Code(7)));
        assert_eq!(table.exited(worker(2, 1)), [Action::Finish(ended)]);
    }

    #[test]
    fn late_news_of_an_older_generation_changes_nothing() {
        let mut table = Table::serving(1);
        table.exited(worker(0, 1));
        let phase = table.phase(0);
        assert_eq!(table.exited(worker(0, 1)), []);
        assert_eq!(table.on(Event::Ready(worker(0, 1))), []);
        assert_eq!(table.on(Event::Emptied(worker(0, 1))), []);
        assert_eq!(table.phase(0), phase);
    }

    #[test]
    fn one_replacement_more_than_the_policy_allows_and_it_gives_up_until_asked_again() {
        let (count, within) = (NonZeroU32::new(2).unwrap(), Duration::from_secs(60));
        let max_restarts = Some(MaxRestarts { count, within });
        let mut table = Table::of(1, &Policy { max_restarts, ready: BORN_READY, ..probed() });
        for generation in 1..3 {
            table.on(Event::Spawned(worker(0, generation)));
            let spawned = table.exited(worker(0, generation));
            assert_eq!(spawned, [Action::Spawn(worker(0, generation + 1))]);
        }
        table.on(Event::Spawned(worker(0, 3)));
        assert_eq!(table.exited(worker(0, 3)), [Action::Finish(Outcome::GaveUp)]);
        let next = Next::TooManyRestarts;
        let exit = Exit::Code(255);
        assert_eq!(table.news, [Transition::Crashed { worker: worker(0, 3), exit, next }]);
    }

    #[test]
    fn a_hung_worker_is_terminated_killed_and_replaced_at_once() {
        let mut table = Table::serving(1);
        assert_eq!(table.on(Event::Hung(worker(0, 1))), [Action::Terminate(worker(0, 1))]);
        assert_eq!(table.news, [Transition::Hung(worker(0, 1))]);
        assert_eq!(table.on(Event::Hung(worker(0, 1))), []);
        assert_eq!(table.wait(), [Action::Kill(worker(0, 1))]);
        assert_eq!(table.exited(worker(0, 1)), [Action::Spawn(worker(0, 2))]);
        assert_eq!(table.on(Event::Hung(worker(0, 2))), []);
        assert_eq!(table.at(0).failures(), 0);
    }

    #[test]
    fn a_hang_is_a_failure_even_if_the_worker_obeys_and_says_that_all_is_well() {
        for (restart, ends) in [(Restart::Never, true), (Restart::OnFailure, false)] {
            let mut table = Table::of(1, &Policy { restart, ..probed() });
            table.on(Event::Ready(worker(0, 1)));
            table.on(Event::Hung(worker(0, 1)));
            let answer = table.succeeded(worker(0, 1));
            let ended = Action::Finish(Outcome::Ended(Some(Exit::Code(1))));
            assert_eq!(answer, [if ends { ended } else { Action::Spawn(worker(0, 2)) }]);
        }
    }

    #[test]
    fn a_new_time_to_become_ready_counts_from_the_spawn() {
        let mut table = Table::of(1, &probed());
        table.now += Duration::from_secs(10);
        table.revise(&[], |roster| {
            let within = Duration::from_secs(15);
            roster.slots[0].policy.ready = Readiness::Probe { within };
        });
        let before = table.now;
        assert_eq!(table.wait(), [Action::Terminate(worker(0, 1))]);
        assert_eq!(table.now - before, Duration::from_secs(5));
    }

    #[test]
    fn a_start_that_comes_while_the_last_of_too_many_dies_is_heard() {
        let backoff = Backoff { give_up_after: NonZeroU32::new(1), ..Backoff::default() };
        let mut table = Table::of(1, &Policy { backoff, ..probed() });
        assert_eq!(table.leader_exited(worker(0, 1)), []);
        table.on(Event::Start(slot(0)));
        assert_eq!(table.on(Event::Emptied(worker(0, 1))), [Action::Spawn(worker(0, 2))]);
    }
}
