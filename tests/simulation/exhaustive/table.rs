//! The small tables that are searched: their pools, slots, rules and plans, and what may happen in them.
//!
//! All times are one unit, [`UNIT`], or too short to count, so that the clock has two moments between two events:
//! before the next deadline, and at it. One unit is the time after which SIGKILL is repeated.

use std::num::NonZeroU32;
use std::time::Duration;

use pm::supervisor::{
    Backoff, Event, Exit, MaxRestarts, Memory, Policy, PoolEntry, PoolId, Readiness, Remains,
    Restart, Revision, SlotEntry, SlotId, SpareRule, TableSpec,
};

pub const UNIT: Duration = Duration::from_secs(1);

/// So short that no jitter is added. It is over when the clock moves on.
const SHORT: Duration = Duration::from_nanos(1);

const SUCCESS: Exit = Exit::Code(0);

const FAILURE: Exit = Exit::Code(1);

const COMMANDS: [fn(SlotId) -> Event; 6] =
    [Event::Start, Event::Stop, Event::Kill, Event::Restart, Event::Roll, Event::Withdraw];

/// With all commands, more than two slots have too many states. Tables of one and of two have shown what those do.
const FEW_COMMANDS: [fn(SlotId) -> Event; 2] = [Event::Start, Event::Stop];

/// A table to search.
pub struct Table {
    pub name: String,
    /// The first plan, and those that it may be changed to.
    pub plans: Vec<TableSpec>,
    /// Slots of one pool may change places. With more than one plan they may not: a roll takes them in order.
    pub is_symmetric: bool,
    /// What lies further back is alike.
    pub memory: Memory,
    /// What leaders exit with.
    pub exits: &'static [Exit],
    /// What they may leave in their groups.
    pub remains: &'static [Remains],
    /// What may be commanded of a slot.
    pub commands: &'static [fn(SlotId) -> Event],
    /// Events about workers that are gone are told in each state.
    pub has_late_events: bool,
    /// A tick is told as soon as a deadline has come; else other events may come before it.
    pub is_prompt: bool,
}

impl Table {
    fn new(name: String, plans: Vec<TableSpec>) -> Self {
        let policies = || plans.iter().flat_map(|plan| &plan.slots).map(|entry| entry.policy);
        let limits = policies().filter_map(|policy| policy.max_restarts);
        let last = policies().filter_map(|policy| policy.backoff.give_up_after).max();
        let memory = Memory {
            // After the second failed start the backoff is as long as it gets.
            failures: last.map_or(2, |last| last.get().max(2)),
            restarts: limits.map(|limit| limit.within + 2 * UNIT).max().unwrap_or_default(),
        };
        Self {
            name,
            is_symmetric: plans.len() == 1,
            plans,
            memory,
            exits: &[SUCCESS, FAILURE],
            remains: &[Remains::Nothing, Remains::Members],
            commands: &COMMANDS,
            has_late_events: true,
            is_prompt: false,
        }
    }

    /// Without what the tables of one slot have shown to be of no account: events about workers that are gone, events
    /// between a deadline and its tick, and, where all are followed by another worker, different exits.
    fn thinned(self, exits: &'static [Exit]) -> Self {
        Self { exits, has_late_events: false, is_prompt: true, ..self }
    }
}

/// Always restarted, ready by a probe, with a grace; no limit.
fn base() -> Policy {
    Policy {
        restart: Restart::Always,
        max_restarts: None,
        ready: Readiness::Probe { within: UNIT },
        backoff: Backoff { first: SHORT, max: SHORT, give_up_after: None },
        grace: UNIT,
        spare: SpareRule::Never,
    }
}

fn give_up_after(failures: u32, policy: Policy) -> Policy {
    let give_up_after = NonZeroU32::new(failures);
    Policy { backoff: Backoff { give_up_after, ..policy.backoff }, ..policy }
}

/// `pools[i]` is the number of slots of pool i, which comes after pool i - 1.
fn chain(pools: &[usize], policy: Policy) -> TableSpec {
    let mut spec = TableSpec::default();
    for (n, slots) in pools.iter().enumerate() {
        let pool = PoolId(n);
        let after = n.checked_sub(1).map(PoolId).into_iter().collect();
        spec.pools.push(PoolEntry { pool, after, ends_run: false, spares: 0 });
        for _ in 0..*slots {
            let slot = SlotId(spec.slots.len());
            spec.slots.push(SlotEntry { slot, pool, policy, revision: Revision(0) });
        }
    }
    spec
}

/// The plan with another revision in each slot of this pool.
fn revised(mut spec: TableSpec, pool: usize) -> TableSpec {
    let slots = spec.slots.iter_mut().filter(|entry| entry.pool == PoolId(pool));
    slots.for_each(|entry| entry.revision = Revision(entry.revision.0 + 1));
    spec
}

/// The plan without its last slot. The pool of that slot stays.
fn shortened(mut spec: TableSpec) -> TableSpec {
    spec.slots.pop();
    spec
}

/// The plan in which this pool ends the run.
fn ending(mut spec: TableSpec, pool: usize) -> TableSpec {
    spec.pools[pool].ends_run = true;
    spec
}

/// The plan with the pools the other way round.
fn reversed(mut spec: TableSpec) -> TableSpec {
    let pools: Vec<PoolId> = spec.pools.iter().map(|entry| entry.pool).collect();
    for (n, entry) in spec.pools.iter_mut().enumerate() {
        entry.after = pools.get(n + 1).copied().into_iter().collect();
    }
    spec
}

/// One slot with each combination of rules, and plans that change its revision and drop it.
pub fn single_slots() -> Vec<Table> {
    let readiness = [
        Readiness::Probe { within: UNIT },
        Readiness::Lived { after: UNIT },
        Readiness::Lived { after: Duration::ZERO },
    ];
    let mut tables = Vec::new();
    for restart in [Restart::Always, Restart::OnFailure, Restart::Never] {
        for ready in readiness {
            for (give_up, grace) in [(0, UNIT), (1, Duration::ZERO), (3, UNIT)] {
                let policy = Policy { restart, ready, grace, ..give_up_after(give_up, base()) };
                let rules = format!("{restart:?}, {ready:?}, {grace:?}, gives up after {give_up}");
                let spec = chain(&[1], policy);
                let plans = vec![spec.clone(), revised(spec.clone(), 0), shortened(spec)];
                tables.push(Table::new(format!("1 slot, {rules}"), plans));
            }
        }
    }
    tables
}

/// One slot whose rules change, and that has a restart limit by some of them.
pub fn changed_rules() -> Vec<Table> {
    let limit = MaxRestarts { count: NonZeroU32::MIN, within: UNIT };
    let limited = Policy { max_restarts: Some(limit), ..base() };
    let others = [
        Policy { grace: 2 * UNIT, ready: Readiness::Probe { within: 2 * UNIT }, ..base() },
        Policy { restart: Restart::Never, ready: Readiness::Lived { after: UNIT }, ..base() },
        Policy { grace: Duration::ZERO, ..give_up_after(1, base()) },
    ];
    let table = |other| {
        let plans =
            vec![chain(&[1], limited), chain(&[1], other), revised(chain(&[1], limited), 0)];
        Table::new(format!("1 slot, {limit:?}, or {other:?}"), plans)
    };
    others.map(table).into()
}

/// One slot that has spares, always or to replace its worker, and none by one of its plans. They may wait for ever: a
/// table whose spares grow too old is never calm.
pub fn spares() -> Vec<Table> {
    let within = UNIT;
    let always = SpareRule::Always { within, after: SHORT, max_age: None };
    let rules = [SpareRule::ToReplace { within }, always];
    let table = |spare: SpareRule| {
        let policy = Policy { spare, ..give_up_after(2, base()) };
        let spec = chain(&[1], policy);
        let without = chain(&[1], give_up_after(2, base()));
        let plans = vec![spec.clone(), revised(spec, 0), without];
        Table::new(format!("1 slot, {spare:?}"), plans).thinned(&[FAILURE])
    };
    rules.map(table).into_iter().chain([shared_spare()]).collect()
}

/// Two slots that share one spare.
fn shared_spare() -> Table {
    let spare = SpareRule::Shared { within: UNIT, after: SHORT, max_age: None };
    let mut spec = chain(&[2], Policy { spare, ..give_up_after(1, base()) });
    spec.pools[0].spares = 1;
    let table = Table::new("2 slots that share a spare".into(), vec![spec]).thinned(&[FAILURE]);
    Table { remains: &[Remains::Nothing], commands: &FEW_COMMANDS, is_symmetric: false, ..table }
}

/// Two slots of one pool whose revisions change, and of which the second is dropped and comes back.
pub fn rolls() -> Vec<Table> {
    let spec = chain(&[2], give_up_after(1, base()));
    let plans = vec![spec.clone(), revised(spec.clone(), 0), shortened(revised(spec, 0))];
    vec![Table::new("1 pool of 2 slots that roll".into(), plans).thinned(&[FAILURE])]
}

/// Two pools of one slot each, one after the other, whose revisions change and whose order is reversed.
pub fn pairs() -> Vec<Table> {
    let table = |name, policy, exits| {
        let spec = chain(&[1, 1], policy);
        let plans = vec![spec.clone(), revised(spec.clone(), 0), reversed(spec)];
        Table::new(format!("2 pools of 1 slot, {name}"), plans).thinned(exits)
    };
    vec![
        table("always", give_up_after(1, base()), &[FAILURE]),
        table("never", Policy { restart: Restart::Never, ..base() }, &[SUCCESS, FAILURE]),
    ]
}

/// Two pools of one slot each, one after the other, of which one ends the run, or none does.
pub fn ends() -> Vec<Table> {
    let table = |name, restart, exits| {
        let policy = Policy { restart, ..give_up_after(1, base()) };
        let spec = chain(&[1, 1], policy);
        let plans = vec![ending(spec.clone(), 1), spec.clone(), ending(revised(spec, 1), 0)];
        Table::new(format!("2 pools of 1 slot that end the run, {name}"), plans).thinned(exits)
    };
    vec![
        table("on failure", Restart::OnFailure, &[SUCCESS, FAILURE]),
        table("never", Restart::Never, &[SUCCESS, FAILURE]),
    ]
}

/// Three pools of one slot each, in a chain.
pub fn triples() -> Vec<Table> {
    let spec = chain(&[1, 1, 1], give_up_after(1, base()));
    let table = Table::new("3 pools of 1 slot".into(), vec![spec]).thinned(&[FAILURE]);
    vec![Table { commands: &FEW_COMMANDS, ..table }]
}

/// Two pools of two slots each, one after the other. Leaders leave nothing in their groups: with what they may leave
/// there are several millions of states.
pub fn quads() -> Vec<Table> {
    let spec = chain(&[2, 2], give_up_after(1, base()));
    let table = Table::new("2 pools of 2 slots".into(), vec![spec]).thinned(&[FAILURE]);
    vec![Table { remains: &[Remains::Nothing], commands: &FEW_COMMANDS, ..table }]
}
