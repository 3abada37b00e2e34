//! The state table of one slot: every phase, every input, one `match`.
//!
//! What is wanted and what is stand apart: commands change [`Wanted`], and the [`Phase`] catches up as workers come
//! and go. A phase carries its own deadline, so leaving the phase cancels it.

use std::time::{Duration, Instant};

use super::name::{Exit, SlotId, WorkerId};
use super::policy::{Policy, Readiness, Restart};
use super::{Action, News, Next, Remains};

/// SIGKILL is repeated this often while something of a killed group is still there.
const KILL_AGAIN: Duration = Duration::from_secs(1);

/// It serves as soon as it has exec'd.
const BORN_READY: Readiness = Readiness::Lived { after: Duration::ZERO };

/// A place in a pool and what is known of it.
#[derive(Clone, Debug)]
pub struct Slot {
    id: SlotId,
    policy: Policy,
    wanted: Wanted,
    phase: Phase,
    /// That of the current worker, or of the last one. 0 before the first.
    generation: u64,
    /// Failed starts in a row.
    failures: u32,
}

/// What the slot should come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Up,
    Down,
    /// Down, because its last worker ended by itself and the restart policy lets that be the end.
    Ended,
}

/// What the slot is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No worker, and none is coming.
    Idle,
    /// A worker is there; nothing says yet that it serves.
    Starting { ready_by: Instant },
    /// A worker serves.
    Ready { since: Instant },
    /// The worker's group was sent the stop signal and is not yet gone.
    Stopping { kill_at: Instant },
    /// The worker's group was sent SIGKILL and is not yet gone.
    Killing { again_at: Instant },
    /// No worker; the next one comes then.
    Resting { until: Instant },
    /// No worker, and none is coming until somebody asks.
    GivenUp,
}

/// What can happen to a slot. News of workers other than the current one never gets here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    Start,
    Stop,
    Kill,
    Ready,
    Spawned,
    Unspawned,
    Exited { exit: Exit, remains: Remains },
    Emptied,
    Tick,
}

impl Phase {
    /// When a tick will change this phase.
    pub fn deadline(self) -> Option<Instant> {
        match self {
            Self::Starting { ready_by } => Some(ready_by),
            Self::Stopping { kill_at } => Some(kill_at),
            Self::Killing { again_at } => Some(again_at),
            Self::Resting { until } => Some(until),
            Self::Idle | Self::Ready { .. } | Self::GivenUp => None,
        }
    }
}

impl Slot {
    pub fn new(id: SlotId, policy: Policy) -> Self {
        Self { id, policy, wanted: Wanted::Down, phase: Phase::Idle, generation: 0, failures: 0 }
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

    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The current worker, or the last one if there is none now.
    pub fn worker(&self) -> WorkerId {
        WorkerId { slot: self.id, generation: self.generation }
    }

    /// True if there is no worker and this slot will never have one again by itself.
    pub fn has_ended(&self) -> bool {
        match self.phase {
            Phase::GivenUp => true,
            Phase::Idle => self.wanted == Wanted::Ended,
            Phase::Starting { .. }
            | Phase::Ready { .. }
            | Phase::Stopping { .. }
            | Phase::Killing { .. }
            | Phase::Resting { .. } => false,
        }
    }

    /// The state table.
    pub fn step(&mut self, input: Input, now: Instant, actions: &mut Vec<Action>) {
        use Input::*;
        use Phase::{GivenUp, Idle, Killing, Resting, Starting, Stopping};
        match (self.phase, input) {
            // Commands change what is wanted.
            (Idle | GivenUp, Start) => {
                self.wanted = Wanted::Up;
                self.failures = 0;
                self.spawn(now, actions);
            }
            (Starting { .. } | Phase::Ready { .. } | Resting { .. }, Start) => {}
            (Stopping { .. } | Killing { .. }, Start) => {
                if self.wanted != Wanted::Up {
                    self.wanted = Wanted::Up;
                    self.failures = 0;
                }
            }
            (Idle | GivenUp | Resting { .. }, Stop | Kill) => {
                self.wanted = Wanted::Down;
                self.phase = Idle;
            }
            (Starting { .. } | Phase::Ready { .. }, Stop) => {
                self.wanted = Wanted::Down;
                self.terminate(now, actions);
            }
            (Starting { .. } | Phase::Ready { .. } | Stopping { .. }, Kill) => {
                self.wanted = Wanted::Down;
                self.kill(now, actions);
            }
            (Stopping { .. } | Killing { .. }, Stop) | (Killing { .. }, Kill) => {
                self.wanted = Wanted::Down;
            }

            // A worker that starts.
            (Starting { .. }, Ready) => self.become_ready(now, actions),
            (Starting { .. }, Spawned) => {
                if self.policy.ready == BORN_READY {
                    self.become_ready(now, actions);
                }
            }
            (Starting { .. }, Unspawned) => {
                self.failures = self.failures.saturating_add(1);
                let next = self.next();
                // Told before the next try, which may be refused for another reason.
                actions.push(Action::Tell(News::Unspawned { worker: self.worker(), next }));
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
                actions.push(Action::Tell(News::FailedStart { worker, exit, next }));
            }

            // A worker that serves.
            (Phase::Ready { .. }, Exited { exit, remains }) => {
                let worker = self.worker();
                let next = self.outlive(exit, remains, now, actions);
                actions.push(Action::Tell(News::Crashed { worker, exit, next }));
            }

            // A worker that is to go: its leader's end is not yet the end of its group.
            (Stopping { .. } | Killing { .. }, Exited { remains: Remains::Members, .. }) => {}
            (
                Stopping { .. } | Killing { .. },
                Exited { remains: Remains::Nothing, .. } | Emptied,
            ) => {
                let worker = self.worker();
                let next = self.refill(now, actions);
                actions.push(Action::Tell(News::Stopped { worker, next }));
            }

            // Time.
            (Starting { ready_by }, Tick) => {
                if now >= ready_by {
                    self.end_start(now, actions);
                }
            }
            (Stopping { kill_at }, Tick) => {
                if now >= kill_at {
                    actions.push(Action::Tell(News::GraceOver(self.worker())));
                    self.kill(now, actions);
                }
            }
            (Killing { again_at }, Tick) => {
                if now >= again_at {
                    self.kill(now, actions);
                }
            }
            (Resting { until }, Tick) => {
                if now >= until {
                    self.spawn(now, actions);
                }
            }
            (Idle | Phase::Ready { .. } | GivenUp, Tick) => {}

            // A probe may answer after the phase has moved on; the other pairs cannot be, and would change nothing:
            // only a starting worker can fail to spawn, and no group is empty before its leader is reaped.
            (
                Phase::Ready { .. } | Stopping { .. } | Killing { .. },
                Ready | Spawned | Unspawned,
            ) => {}
            (Starting { .. } | Phase::Ready { .. }, Emptied) => {}
            (
                Idle | Resting { .. } | GivenUp,
                Ready | Spawned | Unspawned | Exited { .. } | Emptied,
            ) => {}
        }
    }

    fn spawn(&mut self, now: Instant, actions: &mut Vec<Action>) {
        debug_assert_eq!(self.wanted, Wanted::Up);
        self.generation += 1;
        actions.push(Action::Spawn(self.worker()));
        let (Readiness::Lived { after: wait } | Readiness::Probe { within: wait }) =
            self.policy.ready;
        self.phase = Phase::Starting { ready_by: now + wait };
    }

    fn become_ready(&mut self, now: Instant, actions: &mut Vec<Action>) {
        self.failures = 0;
        self.phase = Phase::Ready { since: now };
        actions.push(Action::Tell(News::Ready(self.worker())));
    }

    /// The time to become ready is over.
    fn end_start(&mut self, now: Instant, actions: &mut Vec<Action>) {
        match self.policy.ready {
            Readiness::Lived { .. } => self.become_ready(now, actions),
            Readiness::Probe { .. } => {
                self.failures = self.failures.saturating_add(1);
                actions.push(Action::Tell(News::NeverReady(self.worker())));
                self.terminate(now, actions);
            }
        }
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

    /// The leader ended unasked and its group was swept. What comes next must wait until the group is empty: the
    /// dying may still hold the port.
    fn outlive(
        &mut self,
        exit: Exit,
        remains: Remains,
        now: Instant,
        actions: &mut Vec<Action>,
    ) -> Next {
        if !self.policy.restart.follows(exit) {
            self.wanted = Wanted::Ended;
        }
        match remains {
            Remains::Nothing => self.refill(now, actions),
            Remains::Members => {
                self.phase = Phase::Killing { again_at: now + KILL_AGAIN };
                self.next()
            }
        }
    }

    /// The slot is empty: what is wanted comes next.
    fn refill(&mut self, now: Instant, actions: &mut Vec<Action>) -> Next {
        let next = self.next();
        self.enter(next, now, actions);
        next
    }

    fn enter(&mut self, next: Next, now: Instant, actions: &mut Vec<Action>) {
        match next {
            Next::Spawn => self.spawn(now, actions),
            Next::Rest(wait) => self.phase = Phase::Resting { until: now + wait },
            Next::GiveUp => self.phase = Phase::GivenUp,
            Next::End | Next::Down => self.phase = Phase::Idle,
        }
    }

    fn next(&self) -> Next {
        match self.wanted {
            Wanted::Down => return Next::Down,
            Wanted::Ended => return Next::End,
            Wanted::Up => {}
        }
        let failed = self.failures > 0;
        if failed
            && (self.policy.rest.gives_up(self.failures) || self.policy.restart == Restart::Never)
        {
            return Next::GiveUp;
        }
        let wait = self.policy.rest.after(self.failures, self.id);
        if wait.is_zero() { Next::Spawn } else { Next::Rest(wait) }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::super::{Event, Outcome, Supervisor};
    use super::*;

    /// A table with a clock of its own; every step returns what was asked for, news aside.
    struct Table {
        supervisor: Supervisor,
        now: Instant,
        news: Vec<News>,
    }

    fn probed() -> Policy {
        let within = Duration::from_secs(30);
        Policy { ready: Readiness::Probe { within }, ..Policy::default() }
    }

    fn worker(slot: usize, generation: u64) -> WorkerId {
        WorkerId { slot: SlotId(slot), generation }
    }

    impl Table {
        fn of(slots: usize, policy: &Policy) -> Self {
            let policies = std::iter::repeat_n(policy.clone(), slots);
            let mut table = Self {
                supervisor: Supervisor::new(policies),
                now: Instant::now(),
                news: Vec::new(),
            };
            for slot in 0..slots {
                let spawned = table.on(Event::Start(SlotId(slot)));
                assert_eq!(spawned, [Action::Spawn(worker(slot, 1))]);
            }
            table
        }

        fn serving(slots: usize) -> Self {
            let mut table = Self::of(slots, &probed());
            for slot in 0..slots {
                assert_eq!(table.on(Event::Ready(worker(slot, 1))), []);
            }
            table
        }

        fn on(&mut self, event: Event) -> Vec<Action> {
            let mut actions = Vec::new();
            self.supervisor.handle(event, self.now, &mut actions);
            let (news, rest) =
                actions.into_iter().partition(|action| matches!(action, Action::Tell(_)));
            self.news = Vec::from_iter(news)
                .into_iter()
                .map(|action| match action {
                    Action::Tell(news) => news,
                    other => unreachable!("partitioned: {other:?}"),
                })
                .collect();
            rest
        }

        fn exited(&mut self, worker: WorkerId) -> Vec<Action> {
            self.on(Event::Exited { worker, exit: Exit::Code(255), remains: Remains::Nothing })
        }

        fn leader_exited(&mut self, worker: WorkerId) -> Vec<Action> {
            self.on(Event::Exited { worker, exit: Exit::Code(0), remains: Remains::Members })
        }

        /// Jumps to the next deadline.
        fn wait(&mut self) -> Vec<Action> {
            self.now = self.supervisor.next_deadline().expect("somebody waits for time");
            self.on(Event::Tick)
        }

        fn phase(&self, slot: usize) -> Phase {
            self.supervisor.slot(SlotId(slot)).phase()
        }
    }

    #[test]
    fn a_ready_worker_that_dies_is_replaced_at_once_however_often() {
        let mut table = Table::serving(3);
        for generation in 1..200 {
            let spawned = table.exited(worker(1, generation));
            assert_eq!(spawned, [Action::Spawn(worker(1, generation + 1))]);
            table.on(Event::Ready(worker(1, generation + 1)));
        }
        assert_eq!(table.supervisor.slot(SlotId(0)).generation(), 1);
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
        assert_eq!(table.on(Event::Unspawned(worker(0, 1))), [Action::Spawn(worker(0, 2))]);
        assert_eq!(table.on(Event::Unspawned(worker(0, 2))), []);
        assert!(matches!(table.phase(0), Phase::Resting { .. }));
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
        assert_eq!(table.on(Event::Stop(SlotId(0))), [Action::Terminate(worker(0, 1))]);
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
        table.on(Event::Stop(SlotId(0)));
        assert_eq!(table.exited(worker(0, 1)), []);
        assert_eq!(table.phase(0), Phase::Idle);
        assert_eq!(table.supervisor.next_deadline(), None);
    }

    #[test]
    fn a_slot_started_while_it_stops_comes_back_once_it_is_empty() {
        let mut table = Table::serving(1);
        table.on(Event::Stop(SlotId(0)));
        assert_eq!(table.on(Event::Start(SlotId(0))), []);
        assert_eq!(table.exited(worker(0, 1)), [Action::Spawn(worker(0, 2))]);
    }

    #[test]
    fn the_end_is_told_once_and_only_when_every_slot_is_empty() {
        let mut table = Table::serving(2);
        assert_eq!(table.on(Event::Shutdown).len(), 2);
        assert_eq!(table.exited(worker(0, 1)), []);
        assert_eq!(table.exited(worker(1, 1)), [Action::Finish(Outcome::Stopped)]);
        assert_eq!(table.on(Event::Tick), []);
        assert_eq!(table.on(Event::Start(SlotId(0))), []);
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
        assert_eq!(table.news, [News::NeverReady(worker(0, 1))]);
        assert_eq!(table.exited(worker(0, 1)), [Action::Spawn(worker(0, 2))]);
        table.wait();
        assert_eq!(table.exited(worker(0, 2)), []);
    }

    #[test]
    fn without_a_probe_having_lived_makes_it_ready() {
        let mut table = Table::of(1, &Policy::default());
        assert_eq!(table.wait(), []);
        assert_eq!(table.news, [News::Ready(worker(0, 1))]);
    }

    #[test]
    fn a_worker_that_is_born_ready_never_fails_to_start_once_it_has_execd() {
        let mut table = Table::of(1, &Policy { ready: BORN_READY, ..Policy::default() });
        for generation in 1..10 {
            table.on(Event::Spawned(worker(0, generation)));
            let spawned = table.exited(worker(0, generation));
            assert_eq!(spawned, [Action::Spawn(worker(0, generation + 1))]);
        }
        assert_eq!(table.on(Event::Unspawned(worker(0, 10))), [Action::Spawn(worker(0, 11))]);
        assert_eq!(table.on(Event::Unspawned(worker(0, 11))), []);
    }

    #[test]
    fn having_lived_long_enough_counts_even_if_no_tick_came_between() {
        let mut table = Table::of(1, &Policy::default());
        table.exited(worker(0, 1));
        table.now += Duration::from_secs(1);
        assert_eq!(table.exited(worker(0, 2)), [Action::Spawn(worker(0, 3))]);
        assert!(
            matches!(table.news[..], [News::Ready(_), News::Crashed { .. }]),
            "{:?}",
            table.news
        );
    }

    #[test]
    fn it_gives_up_after_so_many_failed_starts_until_asked_again() {
        let rest = super::super::Rest { give_up_after: NonZeroU32::new(2), ..Default::default() };
        let mut table = Table::of(2, &Policy { rest, ..probed() });
        table.on(Event::Ready(worker(1, 1)));
        table.exited(worker(0, 1));
        assert_eq!(table.exited(worker(0, 2)), []);
        assert_eq!(table.phase(0), Phase::GivenUp);
        assert_eq!(table.on(Event::Start(SlotId(0))), [Action::Spawn(worker(0, 3))]);
        table.exited(worker(0, 3));
        table.exited(worker(0, 4));
        assert_eq!(table.on(Event::Stop(SlotId(1))), [Action::Terminate(worker(1, 1))]);
    }

    #[test]
    fn a_run_whose_last_slot_gives_up_is_over() {
        let rest = super::super::Rest { give_up_after: NonZeroU32::new(1), ..Default::default() };
        let mut table = Table::of(1, &Policy { rest, ..probed() });
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
}
