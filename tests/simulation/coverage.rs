//! Counts what happened in the runs: a simulation in which little happens proves little.

use std::collections::BTreeMap;
use std::time::Instant;

use pm::supervisor::{
    Action, Event, Next, Outcome, Phase, PoolEnd, PortProbe, Remains, Slot, SlotEntry, SlotId,
    SpareFailure, Stop, StopKind, StopOrder, StopReason, TableSpec, Transition, Wanted,
};

use crate::facts::Facts;
use crate::laws::{Told, is_late};
use crate::record::{Grant, Record, worker_of};

#[derive(Default)]
pub struct Coverage {
    /// How often each event met each phase of the slot it was for.
    pairs: BTreeMap<(&'static str, &'static str), u64>,
    actions: BTreeMap<&'static str, u64>,
    nexts: BTreeMap<&'static str, u64>,
    /// How often the table was in a state that some rule is for.
    situations: BTreeMap<&'static str, u64>,
}

impl Coverage {
    /// Counts one answer. `record` is what was known before.
    pub fn count(
        &mut self,
        told: Told,
        record: &Record,
        now: Instant,
        slots_before: &[Slot],
        actions: &[Action],
    ) {
        if let Told::Plan(spec) = told {
            self.count_plan(spec, record);
        }
        for seen in slots_before {
            let name = match told {
                Told::Plan(spec) => Some(plan_name(spec, seen)),
                Told::Event(event) => {
                    let (name, slot) = event_name(event, record, now);
                    if worker_of(event).is_some_and(|of| record.other_life(of).is_some()) {
                        continue;
                    }
                    let name = if is_late(event, record) { "Late" } else { name };
                    slot.is_none_or(|slot| slot == seen.id()).then_some(name)
                }
            };
            if let Some(name) = name {
                *self.pairs.entry((phase_name(seen.phase()), name)).or_default() += 1;
            }
        }
        for action in actions {
            let (name, next) = action_name(*action);
            *self.actions.entry(name).or_default() += 1;
            if let Some(next) = next {
                *self.nexts.entry(next_name(next)).or_default() += 1;
            }
        }
    }

    /// Counts the slots that had ended and that this plan changes.
    fn count_plan(&mut self, spec: &TableSpec, record: &Record) {
        let runs_again = |entry: &&SlotEntry| {
            record.of(entry.slot).is_some_and(|facts| {
                matches!(facts.wanted, Wanted::Ended(_)) && facts.revision != entry.revision
            })
        };
        let count = spec.slots.iter().filter(runs_again).count() as u64;
        if !record.is_finished() {
            *self.situations.entry("had ended and runs again").or_default() += count;
        }
    }

    /// Counts the situations that an observer sees.
    pub fn count_situations(&mut self, record: &Record) {
        for facts in &record.slots {
            let is_due = facts.is_to_be_replaced();
            let pool = || record.slots_of(facts.pool).filter(|other| other.slot != facts.slot);
            let other = |seen: fn(&Facts) -> bool| pool().any(seen);
            let seen = [
                ("waits to start", facts.waits_to_start()),
                ("waits to stop", facts.is_unsignalled() && facts.is_wanted_down()),
                ("waits to stop in a drain", record.is_draining() && facts.is_unsignalled()),
                ("waits to be replaced", is_due && facts.is_ready()),
                (
                    "a roll is blocked for good",
                    is_due && other(|other| other.was_replaced && other.has_ended()),
                ),
                (
                    "a roll waits for a crashed worker",
                    is_due
                        && other(|other| other.was_replaced && !other.is_away && !other.is_ready()),
                ),
                ("is being replaced", facts.is_away),
                (
                    "is replaced by its own revision",
                    facts.replacement.is_some_and(|next| next.revision == facts.revision),
                ),
                ("is gone and not yet empty", facts.wanted == Wanted::Gone),
                (
                    "is back in the plan and not started",
                    facts.wanted == Wanted::Unset && facts.life.is_some(),
                ),
                (
                    "is on its way to its program",
                    facts.life.as_ref().is_some_and(|life| life.execd_at.is_none()),
                ),
                ("a spare waits", facts.others.spare.as_ref().is_some_and(|spare| spare.waits())),
                (
                    "a spare waits beside a worker that starts",
                    facts.life.as_ref().is_some_and(|life| !life.is_ready())
                        && facts.others.spare.as_ref().is_some_and(|spare| spare.waits()),
                ),
                (
                    "a worker retires and serves",
                    facts.others.retiring.as_ref().is_some_and(|life| life.is_unsignalled()),
                ),
                (
                    "a worker retires and is stopped",
                    facts.others.retiring.as_ref().is_some_and(|life| life.was_signalled()),
                ),
                (
                    "a slot is empty while its last worker retires",
                    facts.life.is_none() && facts.others.retiring.is_some(),
                ),
                (
                    "no more spares are tried",
                    facts.others.failed.is_some_and(|failed| failed.next_at.is_none()),
                ),
                ("hung and is not yet gone", facts.life.as_ref().is_some_and(|life| life.has_hung)),
            ];
            for (name, _) in seen.into_iter().filter(|(_, is_seen)| *is_seen) {
                *self.situations.entry(name).or_default() += 1;
            }
        }
    }

    pub fn add(&mut self, other: Self) {
        let add = |name, count, to: &mut BTreeMap<_, u64>| *to.entry(name).or_default() += count;
        other.actions.into_iter().for_each(|(name, n)| add(name, n, &mut self.actions));
        other.nexts.into_iter().for_each(|(name, n)| add(name, n, &mut self.nexts));
        other.situations.into_iter().for_each(|(name, n)| add(name, n, &mut self.situations));
        for (pair, count) in other.pairs {
            *self.pairs.entry(pair).or_default() += count;
        }
    }

    /// Every event met every phase that it can meet, and every action, every next step and every situation was seen,
    /// many times.
    pub fn assert_ample(&self) {
        const OFTEN: u64 = 20;
        for event in EVENTS {
            for phase in PHASES.into_iter().filter(|phase| can_meet(phase, event)) {
                let met = self.pairs.get(&(phase, event)).copied().unwrap_or_default();
                assert!(
                    met >= OFTEN,
                    "{event} met {phase} only {met} times: the run does too little"
                );
            }
        }
        let counts = [&self.actions, &self.nexts, &self.situations];
        for name in ACTIONS.into_iter().chain(NEXTS).chain(SITUATIONS) {
            let seen =
                counts.iter().find_map(|counts| counts.get(name)).copied().unwrap_or_default();
            assert!(seen >= OFTEN, "{name} was seen only {seen} times: the run does too little");
        }
    }

    pub fn print(&self) {
        for event in EVENTS {
            let met = self.pairs.iter().filter(|((_, name), _)| *name == event);
            let met: Vec<String> = met.map(|((phase, _), n)| format!("{phase} {n}")).collect();
            println!("{event:9} met {}", met.join(", "));
        }
        println!("actions: {:?}\nnext: {:?}", self.actions, self.nexts);
        println!("situations: {:?}", self.situations);
    }
}

/// False for what a reactor never tells: a leader is reaped once, and only a worker that is not ready can exec or fail
/// to. A run is over when all slots are idle or have given up.
fn can_meet(phase: &str, event: &str) -> bool {
    let has_worker = !matches!(phase, "Idle" | "Backoff" | "GivenUp");
    match event {
        "Exited" | "Exited+" => has_worker,
        "Emptied" => matches!(phase, "Stopping" | "Killing"),
        "Spawned" | "SpawnFailed" => matches!(phase, "Starting" | "Stopping" | "Killing"),
        "Again" => has_worker,
        "Leave" => matches!(phase, "Idle" | "Killing" | "GivenUp"),
        "SameWish" => phase != "GivenUp" && phase != "Backoff" && phase != "Starting",
        _ => true,
    }
}

const PHASES: [&str; 7] =
    ["Idle", "Starting", "Ready", "Stopping", "Killing", "Backoff", "GivenUp"];
const EVENTS: [&str; 23] = [
    "Start",
    "Stop",
    "KillSlot",
    "Restart",
    "Roll",
    "Withdraw",
    "Drain",
    "Kill",
    "Leave",
    "SameWish",
    "Ready",
    "Spawned",
    "SpawnFailed",
    "Exited",
    "Exited+",
    "Emptied",
    "Tick",
    "Late",
    "Hung",
    "Keep",
    "Replace",
    "Remove",
    "Again",
];
const ACTIONS: [&str; 33] = [
    "Spawn",
    "Prepare",
    "Move",
    "Admit",
    "Transition::SpareWaits",
    "SpareFailure::Exited",
    "SpareFailure::NotSpawned",
    "SpareFailure::NeverWaited",
    "Transition::SpareStopped",
    "Respawn",
    "Terminate",
    "Kill",
    "Transition::Ready",
    "Transition::Crashed",
    "Transition::FailedStart",
    "Transition::SpawnFailed",
    "Transition::NeverReady",
    "Transition::Hung",
    "Transition::Replacing",
    "Transition::Stopped",
    "Transition::GraceOver",
    "Stop::Terminate",
    "Stop::PoolByPool",
    "Stop::Kill",
    "Stop::Empty",
    "End::Succeeded",
    "End::Failed",
    "End::Blocked",
    "Leave",
    "Finish::Stopped",
    "Finish::Ended",
    "Finish::Failed",
    "Finish::GaveUp",
];
const NEXTS: [&str; 8] = [
    "Next::Spawn",
    "Next::TakeOver",
    "Next::Replaced",
    "Next::Backoff",
    "Next::GiveUp",
    "Next::TooManyRestarts",
    "Next::End",
    "Next::Down",
];
const SITUATIONS: [&str; 19] = [
    "a spare waits",
    "a spare waits beside a worker that starts",
    "a worker retires and serves",
    "a worker retires and is stopped",
    "a slot is empty while its last worker retires",
    "no more spares are tried",
    "waits to start",
    "waits to stop",
    "waits to stop in a drain",
    "waits to be replaced",
    "a roll is blocked for good",
    "a roll waits for a crashed worker",
    "is being replaced",
    "is replaced by its own revision",
    "is gone and not yet empty",
    "is back in the plan and not started",
    "is on its way to its program",
    "hung and is not yet gone",
    "had ended and runs again",
];

pub fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Idle => "Idle",
        Phase::Starting { .. } => "Starting",
        Phase::Ready { .. } => "Ready",
        Phase::Stopping { .. } => "Stopping",
        Phase::Killing { .. } => "Killing",
        Phase::Backoff { .. } => "Backoff",
        Phase::GivenUp => "GivenUp",
    }
}

/// What a new plan means for a slot that is in the table.
fn plan_name(spec: &TableSpec, slot: &Slot) -> &'static str {
    match spec.slots.iter().find(|entry| entry.slot == slot.id()) {
        None => "Remove",
        Some(_) if slot.wanted() == Wanted::Gone => "Again",
        Some(entry) if entry.revision != slot.revision() => "Replace",
        Some(_) => "Keep",
    }
}

fn event_name(event: Event, record: &Record, now: Instant) -> (&'static str, Option<SlotId>) {
    match event {
        Event::Start(slot) => ("Start", Some(slot)),
        Event::Stop(slot) => ("Stop", Some(slot)),
        Event::Kill(slot) => ("KillSlot", Some(slot)),
        Event::Restart(slot) => ("Restart", Some(slot)),
        Event::Roll(slot) => ("Roll", Some(slot)),
        Event::Withdraw(slot) => ("Withdraw", Some(slot)),
        Event::Asked(wish) => match record.grant(wish, now) {
            Grant::Drain => ("Drain", None),
            Grant::Kill => ("Kill", None),
            Grant::Leave => ("Leave", None),
            Grant::Nothing => ("SameWish", None),
        },
        Event::Ready(worker) => ("Ready", Some(worker.slot)),
        Event::Hung(worker) => ("Hung", Some(worker.slot)),
        Event::Spawned(worker) => ("Spawned", Some(worker.slot)),
        Event::SpawnFailed(worker) => ("SpawnFailed", Some(worker.slot)),
        Event::Exited { worker, remains: Remains::Nothing, .. } => ("Exited", Some(worker.slot)),
        Event::Exited { worker, remains: Remains::Members, .. } => ("Exited+", Some(worker.slot)),
        Event::Emptied(worker) => ("Emptied", Some(worker.slot)),
        Event::Waits(worker) => ("Waits", Some(worker.slot)),
        Event::Listens(worker) => ("Listens", Some(worker.slot)),
        Event::Tick => ("Tick", None),
    }
}

fn action_name(action: Action) -> (&'static str, Option<Next>) {
    match action {
        Action::Spawn { port: PortProbe::Needed, .. } => ("Spawn", None),
        Action::Spawn { port: PortProbe::Skipped, .. } => ("Respawn", None),
        Action::Prepare { .. } => ("Prepare", None),
        Action::Move { .. } => ("Move", None),
        Action::Admit(_) => ("Admit", None),
        Action::Report(Transition::SpareWaits(_)) => ("Transition::SpareWaits", None),
        Action::Report(Transition::SpareFailed { how, .. }) => match how {
            SpareFailure::Exited(_) => ("SpareFailure::Exited", None),
            SpareFailure::NotSpawned => ("SpareFailure::NotSpawned", None),
            SpareFailure::NeverWaited => ("SpareFailure::NeverWaited", None),
        },
        Action::Report(Transition::SpareStopped(_)) => ("Transition::SpareStopped", None),
        Action::Terminate(_) => ("Terminate", None),
        Action::Kill(_) => ("Kill", None),
        Action::Report(Transition::Ready(_)) => ("Transition::Ready", None),
        Action::Report(Transition::Crashed { next, .. }) => ("Transition::Crashed", Some(next)),
        Action::Report(Transition::FailedStart { next, .. }) => {
            ("Transition::FailedStart", Some(next))
        }
        Action::Report(Transition::SpawnFailed { next, .. }) => {
            ("Transition::SpawnFailed", Some(next))
        }
        Action::Report(Transition::NeverReady(_)) => ("Transition::NeverReady", None),
        Action::Report(Transition::Hung(_)) => ("Transition::Hung", None),
        Action::Report(Transition::Replacing(_)) => ("Transition::Replacing", None),
        Action::Report(Transition::Stopped { next, .. }) => ("Transition::Stopped", Some(next)),
        Action::Report(Transition::GraceOver { .. }) => ("Transition::GraceOver", None),
        Action::ReportStop(Stop { reason: StopReason::Ended(end), .. }) => match end {
            PoolEnd::Ended { failed: None, .. } => ("End::Succeeded", None),
            PoolEnd::Ended { failed: Some(_), .. } => ("End::Failed", None),
            PoolEnd::Blocked { .. } => ("End::Blocked", None),
        },
        Action::ReportStop(Stop { workers: 0, .. }) => ("Stop::Empty", None),
        Action::ReportStop(Stop { how: StopKind::Kill, .. }) => ("Stop::Kill", None),
        Action::ReportStop(Stop { how: StopKind::Terminate, order, .. }) => match order {
            StopOrder::AllAtOnce => ("Stop::Terminate", None),
            StopOrder::PoolByPool => ("Stop::PoolByPool", None),
        },
        Action::Leave => ("Leave", None),
        Action::Finish { outcome: Outcome::Stopped, .. } => ("Finish::Stopped", None),
        Action::Finish { outcome: Outcome::Ended(None), .. } => ("Finish::Ended", None),
        Action::Finish { outcome: Outcome::Ended(Some(_)), .. } => ("Finish::Failed", None),
        Action::Finish { outcome: Outcome::GaveUp, .. } => ("Finish::GaveUp", None),
        Action::Finish { outcome: Outcome::LeftBehind, .. } => panic!("a run never finishes so"),
    }
}

fn next_name(next: Next) -> &'static str {
    match next {
        Next::Spawn => "Next::Spawn",
        Next::TakeOver => "Next::TakeOver",
        Next::Replaced => "Next::Replaced",
        Next::Backoff(_) => "Next::Backoff",
        Next::GiveUp => "Next::GiveUp",
        Next::TooManyRestarts => "Next::TooManyRestarts",
        Next::End => "Next::End",
        Next::Down => "Next::Down",
    }
}
