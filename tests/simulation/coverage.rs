//! What a run came by, so that a simulation in which nothing happens is not taken for one that holds.

use std::collections::BTreeMap;

use pm::supervisor::{Action, Event, News, Next, Outcome, Phase, Remains, Slot};

#[derive(Default)]
pub struct Coverage {
    /// How often each event met each phase of the slot it was for.
    pairs: BTreeMap<(&'static str, &'static str), u64>,
    actions: BTreeMap<&'static str, u64>,
    nexts: BTreeMap<&'static str, u64>,
}

impl Coverage {
    pub fn count(&mut self, event: Event, late: bool, slots_before: &[Slot], actions: &[Action]) {
        let (name, slot) = event_name(event);
        let name = if late { "Late" } else { name };
        for (n, seen) in slots_before.iter().enumerate() {
            if slot.is_none_or(|slot| slot == n) {
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

    pub fn add(&mut self, other: Self) {
        let add = |name, count, to: &mut BTreeMap<_, u64>| *to.entry(name).or_default() += count;
        other.actions.into_iter().for_each(|(name, n)| add(name, n, &mut self.actions));
        other.nexts.into_iter().for_each(|(name, n)| add(name, n, &mut self.nexts));
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
        let seen = |name| self.actions.get(name).or(self.nexts.get(name)).copied();
        for name in ACTIONS.into_iter().chain(NEXTS) {
            let seen = seen(name).unwrap_or_default();
            assert!(seen >= OFTEN, "{name} was the answer only {seen} times: the run is too tame");
        }
    }

    pub fn print(&self) {
        for event in EVENTS {
            let met = self.pairs.iter().filter(|((_, name), _)| *name == event);
            let met: Vec<String> = met.map(|((phase, _), n)| format!("{phase} {n}")).collect();
            println!("{event:9} met {}", met.join(", "));
        }
        println!("answers: {:?}\nsequels: {:?}", self.actions, self.nexts);
    }
}

/// False for what a reactor never says: a leader is reaped once, and only what was just spawned fails to spawn.
fn can_meet(phase: &str, event: &str) -> bool {
    let has_worker = !matches!(phase, "Idle" | "Resting" | "GivenUp");
    match event {
        "Exited" | "Exited+" => has_worker,
        "Emptied" => matches!(phase, "Stopping" | "Killing"),
        "Spawned" | "Unspawned" => phase == "Starting",
        _ => true,
    }
}

const PHASES: [&str; 7] =
    ["Idle", "Starting", "Ready", "Stopping", "Killing", "Resting", "GivenUp"];
const EVENTS: [&str; 12] = [
    "Start",
    "Stop",
    "Shutdown",
    "Kill",
    "Ready",
    "Spawned",
    "Unspawned",
    "Exited",
    "Exited+",
    "Emptied",
    "Tick",
    "Late",
];
const ACTIONS: [&str; 14] = [
    "Spawn",
    "Terminate",
    "Kill",
    "News::Ready",
    "News::Crashed",
    "News::FailedStart",
    "News::Unspawned",
    "News::NeverReady",
    "News::Stopped",
    "News::GraceOver",
    "Finish::Stopped",
    "Finish::Ended",
    "Finish::EndedBadly",
    "Finish::GaveUp",
];
const NEXTS: [&str; 5] = ["Next::Spawn", "Next::Rest", "Next::GiveUp", "Next::End", "Next::Down"];

pub fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Idle => "Idle",
        Phase::Starting { .. } => "Starting",
        Phase::Ready { .. } => "Ready",
        Phase::Stopping { .. } => "Stopping",
        Phase::Killing { .. } => "Killing",
        Phase::Resting { .. } => "Resting",
        Phase::GivenUp => "GivenUp",
    }
}

fn event_name(event: Event) -> (&'static str, Option<usize>) {
    match event {
        Event::Start(slot) => ("Start", Some(slot.0)),
        Event::Stop(slot) => ("Stop", Some(slot.0)),
        Event::Shutdown => ("Shutdown", None),
        Event::Kill => ("Kill", None),
        Event::Ready(worker) => ("Ready", Some(worker.slot.0)),
        Event::Spawned(worker) => ("Spawned", Some(worker.slot.0)),
        Event::Unspawned(worker) => ("Unspawned", Some(worker.slot.0)),
        Event::Exited { worker, remains: Remains::Nothing, .. } => ("Exited", Some(worker.slot.0)),
        Event::Exited { worker, remains: Remains::Members, .. } => ("Exited+", Some(worker.slot.0)),
        Event::Emptied(worker) => ("Emptied", Some(worker.slot.0)),
        Event::Tick => ("Tick", None),
    }
}

fn action_name(action: Action) -> (&'static str, Option<Next>) {
    match action {
        Action::Spawn(_) => ("Spawn", None),
        Action::Terminate(_) => ("Terminate", None),
        Action::Kill(_) => ("Kill", None),
        Action::Tell(News::Ready(_)) => ("News::Ready", None),
        Action::Tell(News::Crashed { next, .. }) => ("News::Crashed", Some(next)),
        Action::Tell(News::FailedStart { next, .. }) => ("News::FailedStart", Some(next)),
        Action::Tell(News::Unspawned { next, .. }) => ("News::Unspawned", Some(next)),
        Action::Tell(News::NeverReady(_)) => ("News::NeverReady", None),
        Action::Tell(News::Stopped { next, .. }) => ("News::Stopped", Some(next)),
        Action::Tell(News::GraceOver(_)) => ("News::GraceOver", None),
        Action::Finish(Outcome::Stopped) => ("Finish::Stopped", None),
        Action::Finish(Outcome::Ended(None)) => ("Finish::Ended", None),
        Action::Finish(Outcome::Ended(Some(_))) => ("Finish::EndedBadly", None),
        Action::Finish(Outcome::GaveUp) => ("Finish::GaveUp", None),
    }
}

fn next_name(next: Next) -> &'static str {
    match next {
        Next::Spawn => "Next::Spawn",
        Next::Rest(_) => "Next::Rest",
        Next::GiveUp => "Next::GiveUp",
        Next::End => "Next::End",
        Next::Down => "Next::Down",
    }
}
