//! The laws of a settled state across slots: which slots there are, and that no slot waits without a reason.

use pm::supervisor::{PoolId, SlotId};

use super::{Law, OfState, Settled, Verdict, broken, ensure, forbid};
use crate::facts::Facts;

pub const OF_ORDERING: &[Law<OfState>] = laws![
    the_table_has_the_slots_of_the_plan_and_those_not_yet_gone,
    a_slot_waits_to_start_only_for_pools_that_are_not_ready,
    a_worker_waits_to_be_stopped_only_for_workers_that_need_it,
    a_worker_waits_to_be_replaced_only_for_its_roll,
    a_roll_takes_one_ready_worker_of_a_pool_at_a_time,
    it_is_known_which_slots_wait_for_which_pools,
];

/// A slot that the plan has lost is forgotten when it is empty, and no sooner. Every other slot is there.
fn the_table_has_the_slots_of_the_plan_and_those_not_yet_gone(settled: &Settled) -> Verdict {
    let table: Vec<SlotId> = settled.supervisor.ids().collect();
    let due: Vec<SlotId> = settled.record.slots.iter().map(|facts| facts.slot).collect();
    let count = settled.supervisor.slot_count();
    ensure(table == due && count == due.len(), || format!("{table:?} instead of {due:?}"))
}

fn a_slot_waits_to_start_only_for_pools_that_are_not_ready(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| {
        let waits = facts.waits_to_start() && !settled.record.is_finished();
        forbid(waits && settled.record.unmet(facts.pool).is_empty(), || {
            format!("{:?} waits for no pool", slot.id())
        })
    })
}

/// A stop reaches the group at once, unless a worker that is wanted down too and needs the pool is not gone yet.
fn a_worker_waits_to_be_stopped_only_for_workers_that_need_it(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| {
        let waits = facts.is_unsignalled() && facts.is_wanted_down();
        forbid(waits && settled.record.stopping_that_needs(facts.pool).is_none(), || {
            format!("{:?} is not stopped", slot.worker())
        })
    })
}

/// A worker that is not ready is replaced at once. A ready one waits only for slots of its roll that are not ready.
fn a_worker_waits_to_be_replaced_only_for_its_roll(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| {
        let waits = facts.is_to_be_replaced() && facts.is_unsignalled();
        let is_blocked = settled.record.slots_of(facts.pool).any(Facts::blocks_roll);
        forbid(waits && !(facts.is_ready() && is_blocked), || {
            format!("{:?} is not replaced", slot.worker())
        })
    })
}

/// For any number of changed slots, at most one of the ready workers of a pool is away because of the roll.
fn a_roll_takes_one_ready_worker_of_a_pool_at_a_time(settled: &Settled) -> Verdict {
    settled.record.pools.iter().try_for_each(|(pool, _)| {
        let away = settled.record.slots_of(*pool).filter(|facts| facts.is_away).count();
        ensure(away <= 1, || format!("{away} of {pool:?} are away"))
    })
}

fn it_is_known_which_slots_wait_for_which_pools(settled: &Settled) -> Verdict {
    let unmet = |facts: &Facts| {
        let is_waiting = facts.waits_to_start();
        if is_waiting { settled.record.unmet(facts.pool) } else { Vec::new() }
    };
    settled.each_slot(|slot, facts| {
        let (told, due) = (settled.supervisor.waits_for(slot.id()), unmet(facts));
        ensure(told == due, || format!("{:?} waits for {told:?}, not {due:?}", slot.id()))
    })?;
    for (pool, _) in &settled.record.pools {
        let waiting = settled.record.slots.iter().filter(|facts| unmet(facts).contains(pool));
        let mut due: Vec<PoolId> = waiting.map(|facts| facts.pool).collect();
        due.sort();
        due.dedup();
        let told = settled.supervisor.waiting_for(*pool);
        if told != due {
            return broken(format!("{told:?} wait for {pool:?}, not {due:?}"));
        }
    }
    Ok(())
}
