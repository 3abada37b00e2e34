//! What a run came by, so that a simulation in which nothing happens is not taken for one that holds.

use std::collections::BTreeMap;

use pm::supervisor::{
    Action, Event, Next, Outcome, Phase, Remains, Slot, SlotId, TableSpec, Transition, Wanted,
};

use crate::facts::{Due, Facts, Wish};
use crate::laws::Told;
use crate::record::Record;

#[derive(Default)]
pub struct Coverage {
    /// How often each event met each phase of the slot it was for.
    pairs: BTreeMap<(&'static str, &'static str), u64>,
    actions: BTreeMap<&'static str, u64>,
    nexts: BTreeMap<&'static str, u64>,
    /// How often the table was seen in a state that makes a rule worth having.
    situations: BTreeMap<&'static str, u64>,
}

impl Coverage {
    pub fn count(&mut self, told: Told, late: bool, slots_before: &[Slot], actions: &[Action]) {
        for seen in slots_before {
            let name = match told {
                Told::Plan(roster) => Some(plan_name(roster, seen)),
                Told::Event(event) => {
                    let (name, slot) = event_name(event);
                    let name = if late { "Late" } else { name };
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

    /// Looks at what an observer sees.
    pub fn look(&mut self, record: &Record) {
        for facts in &record.slots {
            let rolls = facts.wish == Wish::Up && facts.stale.is_some();
            let pool = || record.slots_of(facts.pool).filter(|other| other.slot != facts.slot);
            let other = |seen: fn(&Facts) -> bool| pool().any(seen);
            let seen = [
                ("waits to start", facts.life.is_none() && facts.due == Due::Turn),
                ("waits to stop", facts.is_undisturbed() && facts.is_to_go()),
                ("waits to stop in a drain", record.draining && facts.is_undisturbed()),
                ("waits to be renewed", rolls && facts.serves()),
                (
                    "a roll stands still",
                    rolls && other(|other| other.renewed && other.is_at_an_end()),
                ),
                (
                    "a roll waits for a crash",
                    rolls && other(|other| other.renewed && !other.away && !other.serves()),
                ),
                ("is away to be renewed", facts.away),
                ("is gone and not yet empty", facts.wish == Wish::Gone),
                (
                    "has come back and nobody says why",
                    facts.wish == Wish::Unsaid && facts.life.is_some(),
                ),
                ("hung and is not yet gone", facts.life.as_ref().is_some_and(|life| life.hung)),
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

    /// Every event met every phase it can meet, and every action and every sequel was the answer, many times.
    pub fn assert_ample(&self) {
        const OFTEN: u64 = 20;
        for event in EVENTS {
            for phase in PHASES.into_iter().filter(|phase| can_meet(phase, event)) {
                let met = self.pairs.get(&(phase, event)).copied().unwrap_or_default();
                assert!(met >= OFTEN, "{event} met {phase} only {met} times: the run is too tame");
            }
        }
        let counts = [&self.actions, &self.nexts, &self.situations];
        for name in ACTIONS.into_iter().chain(NEXTS).chain(SITUATIONS) {
            let seen =
                counts.iter().find_map(|counts| counts.get(name)).copied().unwrap_or_default();
            assert!(seen >= OFTEN, "{name} was seen only {seen} times: the run is too tame");
        }
    }

    pub fn print(&self) {
        for event in EVENTS {
            let met = self.pairs.iter().filter(|((_, name), _)| *name == event);
            let met: Vec<String> = met.map(|((phase, _), n)| format!("{phase} {n}")).collect();
            println!("{event:9} met {}", met.join(", "));
        }
        println!("answers: {:?}\nsequels: {:?}", self.actions, self.nexts);
        println!("situations: {:?}", self.situations);
    }
}

/// False for what a reactor never says: a leader is reaped once, and only what was just spawned fails to spawn.
fn can_meet(phase: &str, event: &str) -> bool {
    let has_worker = !matches!(phase, "Idle" | "Backoff" | "GivenUp");
    match event {
        "Exited" | "Exited+" => has_worker,
        "Emptied" => matches!(phase, "Stopping" | "Killing"),
        "Spawned" | "SpawnFailed" => phase == "Starting",
        "Again" => has_worker,
        _ => true,
    }
}

const PHASES: [&str; 7] =
    ["Idle", "Starting", "Ready", "Stopping", "Killing", "Backoff", "GivenUp"];
const EVENTS: [&str; 17] = [
    "Start",
    "Stop",
    "Shutdown",
    "Kill",
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
    "Renew",
    "Remove",
    "Again",
];
const ACTIONS: [&str; 16] = [
    "Spawn",
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
    "Finish::Stopped",
    "Finish::Ended",
    "Finish::EndedBadly",
    "Finish::GaveUp",
];
const NEXTS: [&str; 6] = [
    "Next::Spawn",
    "Next::Rest",
    "Next::GiveUp",
    "Next::TooManyRestarts",
    "Next::End",
    "Next::Down",
];
const SITUATIONS: [&str; 10] = [
    "waits to start",
    "waits to stop",
    "waits to stop in a drain",
    "waits to be renewed",
    "a roll stands still",
    "a roll waits for a crash",
    "is away to be renewed",
    "is gone and not yet empty",
    "has come back and nobody says why",
    "hung and is not yet gone",
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

/// What a new plan says of a slot that is in the table.
fn plan_name(roster: &TableSpec, slot: &Slot) -> &'static str {
    match roster.slots.iter().find(|entry| entry.slot == slot.id()) {
        None => "Remove",
        Some(_) if slot.wanted() == Wanted::Gone => "Again",
        Some(entry) if entry.is_changed => "Renew",
        Some(_) => "Keep",
    }
}

fn event_name(event: Event) -> (&'static str, Option<SlotId>) {
    match event {
        Event::Start(slot) => ("Start", Some(slot)),
        Event::Stop(slot) => ("Stop", Some(slot)),
        Event::Shutdown => ("Shutdown", None),
        Event::Kill => ("Kill", None),
        Event::Ready(worker) => ("Ready", Some(worker.slot)),
        Event::Hung(worker) => ("Hung", Some(worker.slot)),
        Event::Spawned(worker) => ("Spawned", Some(worker.slot)),
        Event::SpawnFailed(worker) => ("SpawnFailed", Some(worker.slot)),
        Event::Exited { worker, remains: Remains::Nothing, .. } => ("Exited", Some(worker.slot)),
        Event::Exited { worker, remains: Remains::Members, .. } => ("Exited+", Some(worker.slot)),
        Event::Emptied(worker) => ("Emptied", Some(worker.slot)),
        Event::Tick => ("Tick", None),
    }
}

fn action_name(action: Action) -> (&'static str, Option<Next>) {
    match action {
        Action::Spawn(_) => ("Spawn", None),
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
        Action::Report(Transition::GraceOver(_)) => ("Transition::GraceOver", None),
        Action::Finish(Outcome::Stopped) => ("Finish::Stopped", None),
        Action::Finish(Outcome::Ended(None)) => ("Finish::Ended", None),
        Action::Finish(Outcome::Ended(Some(_))) => ("Finish::EndedBadly", None),
        Action::Finish(Outcome::GaveUp) => ("Finish::GaveUp", None),
    }
}

fn next_name(next: Next) -> &'static str {
    match next {
        Next::Spawn => "Next::Spawn",
        Next::Backoff(_) => "Next::Rest",
        Next::GiveUp => "Next::GiveUp",
        Next::TooManyRestarts => "Next::TooManyRestarts",
        Next::End => "Next::End",
        Next::Down => "Next::Down",
    }
}
