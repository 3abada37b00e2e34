//! The laws of spares that the slots of a pool share. Which slots hold them is the supervisor's to say.

use pm::supervisor::{Action, Event, Remains, Wanted};

use super::{Answer, Law, OfAnswer, OfState, Settled, Verdict, broken, ensure, forbid};
use crate::facts::{Facts, SpareDue};
use crate::life::Life;

pub const OF_ANSWERS: &[Law<OfAnswer>] = laws![
    a_spare_moves_only_to_a_slot_of_its_pool_that_needs_it,
    a_worker_that_dies_is_followed_by_a_spare_of_its_pool_that_waits,
];

pub const OF_POOLS: &[Law<OfState>] = laws![a_pool_has_its_spares];

/// It waits, and is by what is wanted in its slot. The other slot shares the spares of the pool too, and has lost its
/// worker. The spare takes over there at once.
fn a_spare_moves_only_to_a_slot_of_its_pool_that_needs_it(answer: &Answer) -> Verdict {
    answer.each_action(|action, _| {
        let Action::Move { from, to, revision } = action else { return Ok(()) };
        // What follows from the end of a worker is known before it is told what takes its place.
        let (record, after) = (answer.before, answer.after);
        let (Some(lender), Some(borrower)) = (record.of(from.slot), after.of(to.slot)) else {
            return broken(format!("{action:?}: there is no such slot"));
        };
        let spare = lender.others.spare.as_ref().filter(|spare| spare.life.worker == from);
        let is_lent = !lender.others.has_turn
            && lender.pool == borrower.pool
            && spare.is_some_and(|spare| spare.waits() && spare.life.revision == lender.planned);
        let is_needed = borrower.wanted == Wanted::Up
            && borrower.shares_spares()
            && borrower.life.is_none()
            && borrower.others.spare.is_none()
            && answer.worker().is_some_and(|worker| worker.slot == to.slot);
        let is_next = to.generation == borrower.last_generation + 1;
        let is_due = revision == borrower.planned;
        let is_used = answer.actions.contains(&Action::Admit(to));
        ensure(is_lent && is_needed && is_next && is_due && is_used, || {
            format!("{action:?}: {lender:?} and {borrower:?}")
        })
    })
}

/// If it had been ready, and shares the spares. Where a spare of its own is still being stopped there is no room.
fn a_worker_that_dies_is_followed_by_a_spare_of_its_pool_that_waits(answer: &Answer) -> Verdict {
    let Some(Event::Exited { worker, remains: Remains::Nothing, .. }) = answer.event() else {
        return Ok(());
    };
    let Some(before) = answer.before.of(worker.slot) else { return Ok(()) };
    let was_serving = answer.before.life(worker).is_some_and(Life::is_ready);
    let is_lendable = |facts: &&Facts| {
        let spare = facts.others.spare.as_ref();
        facts.has_shared_spare()
            && facts.wanted == Wanted::Up
            && spare.is_some_and(|spare| spare.waits() && spare.life.revision == facts.planned)
    };
    let lenders = answer.before.slots_of(before.pool).filter(is_lendable).count();
    let has_room = before.others.spare.is_none();
    let is_spawned = answer.actions.iter().any(|action| match action {
        Action::Spawn { worker: next, .. } => next.slot == worker.slot,
        _ => false,
    });
    let is_due = before.shares_spares() && was_serving && has_room && lenders > 0;
    forbid(is_due && is_spawned, || format!("{worker:?}: {:?}", answer.actions))
}

/// By the next tick, as far as it has workers that have been ready for long enough. A slot that is to have the next one
/// may not be as far.
fn a_pool_has_its_spares(settled: &Settled) -> Verdict {
    let Settled { record, now, .. } = settled;
    if !settled.is_tick() || record.is_draining() {
        return Ok(());
    }
    record.pools.iter().try_for_each(|(pool, _)| {
        let slots = || record.slots_of(*pool);
        let has = |facts: &&Facts| facts.others.spare.is_some() || facts.others.has_turn;
        let may_have = |facts: &&Facts| facts.may_hold_no_spare_yet(*now);
        let held = slots().filter(|facts| has(facts) || may_have(facts)).count();
        let could = |facts: &Facts| {
            matches!(facts.spare_due(*now), SpareDue::May(_))
                && facts.others.spare.is_none()
                && facts.others.failed.is_none()
        };
        let is_short = held < record.spares_of(*pool);
        forbid(is_short && slots().any(could), || format!("{:?}", slots().collect::<Vec<_>>()))
    })
}
