//! A supervisor with a clock of its own, for the tests of this floor.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::*;

pub struct Table {
    pub supervisor: Supervisor,
    pub spec: TableSpec,
    pub now: Instant,
    /// What the last step reported.
    pub reports: Vec<Transition>,
}

pub fn slot(slot: usize) -> SlotId {
    SlotId(slot)
}

pub fn worker(slot: usize, generation: u64) -> WorkerId {
    WorkerId { slot: SlotId(slot), generation }
}

/// A spawn by the first revision into a slot whose last worker was not ready.
pub fn spawn(slot: usize, generation: u64) -> Action {
    let revision = Revision(0);
    Action::Spawn { worker: worker(slot, generation), revision, port: PortProbe::Needed }
}

/// A spawn by the first revision that replaces a worker which was ready.
pub fn respawn(slot: usize, generation: u64) -> Action {
    let revision = Revision(0);
    Action::Spawn { worker: worker(slot, generation), revision, port: PortProbe::Skipped }
}

pub fn probed() -> Policy {
    let within = Duration::from_secs(30);
    Policy { ready: Readiness::Probe { within }, ..Policy::default() }
}

pub fn at_exec() -> Policy {
    Policy { ready: Readiness::Lived { after: Duration::ZERO }, ..Policy::default() }
}

impl Table {
    /// Pools of this many slots, each after the pools given; no slot is started.
    pub fn idle(pools: &[(usize, &[usize])], policy: Policy) -> Self {
        let mut spec = TableSpec::default();
        for (n, (slots, after)) in pools.iter().enumerate() {
            let pool = PoolId(n);
            let after = after.iter().copied().map(PoolId).collect();
            spec.pools.push(PoolEntry { pool, after, ends_run: false, spares: 0 });
            for _ in 0..*slots {
                let slot = SlotId(spec.slots.len());
                spec.slots.push(SlotEntry { slot, pool, policy, revision: Revision(0) });
            }
        }
        let supervisor = Supervisor::new(spec.clone());
        Self { supervisor, spec, now: Instant::now(), reports: Vec::new() }
    }

    /// One pool, its slots started.
    pub fn of(slots: usize, policy: &Policy) -> Self {
        let mut table = Self::idle(&[(slots, &[])], *policy);
        for slot in 0..slots {
            assert_eq!(table.on(Event::Start(SlotId(slot))), [spawn(slot, 1)]);
        }
        table
    }

    /// One pool, its slots ready.
    pub fn ready(slots: usize) -> Self {
        Self::up(&[(slots, &[])], probed())
    }

    /// Started from the last slot to the first; every slot is ready.
    pub fn up(pools: &[(usize, &[usize])], policy: Policy) -> Self {
        let mut table = Self::idle(pools, policy);
        let mut spawned = VecDeque::new();
        for id in (0..table.spec.slots.len()).rev() {
            spawned.extend(table.on(Event::Start(SlotId(id))));
        }
        while let Some(action) = spawned.pop_front() {
            let Action::Spawn { worker, .. } = action else { panic!("{action:?}") };
            spawned.extend(table.on(Event::Ready(worker)));
        }
        let is_ready = |slot: &Slot| matches!(slot.phase(), Phase::Ready { .. });
        assert!(table.supervisor.slots().all(is_ready));
        table
    }

    /// Every step returns the actions, without the reports about workers.
    pub fn on(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        self.supervisor.handle(event, self.now, &mut actions);
        self.without_reports(actions)
    }

    /// The wish, without the report that it is granted.
    pub fn asked(&mut self, wish: Wish) -> Vec<Action> {
        let mut actions = self.on(Event::Asked(wish));
        actions.retain(|action| !matches!(action, Action::ReportStop(_)));
        actions
    }

    pub fn exited(&mut self, worker: WorkerId) -> Vec<Action> {
        self.on(Event::Exited { worker, exit: Exit::Code(255), remains: Remains::Nothing })
    }

    pub fn succeeded(&mut self, worker: WorkerId) -> Vec<Action> {
        self.on(Event::Exited { worker, exit: Exit::Code(0), remains: Remains::Nothing })
    }

    pub fn leader_exited(&mut self, worker: WorkerId) -> Vec<Action> {
        self.on(Event::Exited { worker, exit: Exit::Code(0), remains: Remains::Members })
    }

    /// The plan gives these slots this revision, and changes by what `alter` does.
    pub fn revise(
        &mut self,
        slots: &[usize],
        revision: u64,
        alter: impl FnOnce(&mut TableSpec),
    ) -> Vec<Action> {
        for entry in &mut self.spec.slots {
            if slots.contains(&entry.slot.0) {
                entry.revision = Revision(revision);
            }
        }
        alter(&mut self.spec);
        let mut actions = Vec::new();
        self.supervisor.revise(self.spec.clone(), self.now, &mut actions);
        self.without_reports(actions)
    }

    /// Jumps to the next deadline.
    pub fn wait(&mut self) -> Vec<Action> {
        self.now = self.supervisor.next_deadline().expect("some slot has a deadline");
        self.on(Event::Tick)
    }

    pub fn at(&self, slot: usize) -> &Slot {
        self.supervisor.slot(SlotId(slot)).expect("the slot is in the table")
    }

    pub fn phase(&self, slot: usize) -> Phase {
        self.at(slot).phase()
    }

    fn without_reports(&mut self, mut actions: Vec<Action>) -> Vec<Action> {
        let report = |action: &mut Action| match action {
            Action::Report(transition) => Some(*transition),
            Action::Spawn { .. } | Action::Terminate(_) | Action::Kill(_) => None,
            Action::Prepare { .. } | Action::Move { .. } | Action::Admit(_) => None,
            Action::ReportStop(_) | Action::Finish { .. } | Action::Leave => None,
        };
        self.reports.clear();
        actions.retain_mut(|action| match report(action) {
            Some(transition) => {
                self.reports.push(transition);
                false
            }
            None => true,
        });
        actions
    }
}
