//! The laws of several slots in a settled state: nobody waits for a turn that has come, and a roll takes one at a time.

use pm::supervisor::{PoolId, SlotId};

use super::{Law, OfState, Settled, Verdict, broken, ensure, forbid};
use crate::facts::{Due, Facts, Wish};

pub const OF_TURNS: &[Law<OfState>] = laws![
    the_table_has_the_slots_of_the_plan_and_those_not_yet_gone,
    who_waits_to_start_starts_as_soon_as_what_it_comes_after_is_ready,
    who_is_to_go_is_told_as_soon_as_nobody_who_leaves_needs_it,
    who_is_due_to_be_renewed_is_as_soon_as_nobody_is_away,
    a_roll_takes_one_of_a_pool_at_a_time,
    who_waits_for_whom_is_known,
];

/// A slot that the plan has lost is forgotten when it is empty, and no sooner; every other is there.
fn the_table_has_the_slots_of_the_plan_and_those_not_yet_gone(settled: &Settled) -> Verdict {
    let table: Vec<SlotId> = settled.supervisor.ids().collect();
    let due: Vec<SlotId> = settled.record.slots.iter().map(|facts| facts.slot).collect();
    ensure(table == due, || format!("{table:?} instead of {due:?}"))
}

/// A gated start comes once it may.
fn who_waits_to_start_starts_as_soon_as_what_it_comes_after_is_ready(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| {
        let goes_on = settled.record.finished.is_empty();
        let waits = goes_on && facts.due == Due::Turn && facts.life.is_none();
        forbid(waits && settled.record.unmet(facts.pool).is_empty(), || {
            format!("{:?} waits for nobody", slot.id())
        })
    })
}

/// A stop reaches the group at once, unless somebody who is to go as well and comes after it is not gone.
fn who_is_to_go_is_told_as_soon_as_nobody_who_leaves_needs_it(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| {
        let waits = facts.is_undisturbed() && facts.is_to_go();
        forbid(waits && settled.record.leaving_that_needs(facts.pool).is_none(), || {
            format!("{:?} did not hear that it is to go", slot.worker())
        })
    })
}

/// Who does not serve is renewed without waiting; of those who serve one waits only for others who are in the roll and
/// do not serve.
fn who_is_due_to_be_renewed_is_as_soon_as_nobody_is_away(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| {
        let is_due = facts.stale.is_some() && facts.wish == Wish::Up && facts.is_undisturbed();
        let held = settled.record.slots_of(facts.pool).any(|other| other.holds_the_roll());
        forbid(is_due && !(facts.serves() && held), || {
            format!("{:?} is not what the plan wants, and nothing happens", slot.worker())
        })
    })
}

/// However many a plan changes, of those who serve in a pool one at most is away because of it.
fn a_roll_takes_one_of_a_pool_at_a_time(settled: &Settled) -> Verdict {
    settled.record.pools.iter().try_for_each(|(pool, _)| {
        let away = settled.record.slots_of(*pool).filter(|facts| facts.away).count();
        ensure(away <= 1, || format!("{away} of {pool:?} are away"))
    })
}

/// The supervisor can tell who waits to start, and for which pools.
fn who_waits_for_whom_is_known(settled: &Settled) -> Verdict {
    let unmet = |facts: &Facts| match facts.due {
        Due::Turn if facts.life.is_none() => settled.record.unmet(facts.pool),
        _ => Vec::new(),
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
