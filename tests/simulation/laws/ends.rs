//! The laws of the two ends: a calm one, after which every slot is what it is wanted to be, and a stopped run.

use pm::supervisor::{Outcome, Phase, PoolId, Wanted};

use super::{Law, OfState, Settled, Verdict, broken, ensure, forbid};
use crate::facts::{Due, Facts};

pub const OF_CALM: &[Law<OfState>] =
    laws![a_started_slot_is_ready_or_has_given_up_or_ended_or_is_blocked, a_roll_ends];

pub const OF_STOPPED: &[Law<OfState>] = laws![
    after_a_stop_no_process_is_left,
    after_a_stop_every_slot_is_idle,
    after_a_stop_the_run_has_finished_once,
    after_a_stop_there_is_no_deadline,
];

/// When the kernel fails no more, every slot that is wanted up is ready in bounded time, unless it has given up or
/// ended, or waits for a slot that never becomes ready.
fn a_started_slot_is_ready_or_has_given_up_or_ended_or_is_blocked(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| match (facts.prospect(), slot.phase()) {
        (Due::Spawn { .. }, Phase::Ready { .. }) if !facts.is_spare_missing(settled.now) => Ok(()),
        (Due::Spawn { .. }, Phase::Ready { .. }) => broken("its spare does not wait"),
        (Due::GiveUp | Due::TooManyRestarts, Phase::GivenUp) | (Due::Nothing, Phase::Idle) => {
            Ok(())
        }
        (Due::Start, Phase::Idle) => {
            let is_over = settled.record.is_finished();
            ensure(is_over || settled.is_blocked(facts.pool), || format!("{:?} waits", slot.id()))
        }
        (due, phase) => broken(format!("{phase:?}, but due is {due:?}")),
    })
}

/// When the kernel fails no more, every slot that is wanted up soon has the worker that the plan wants, unless a slot
/// that was replaced before has given up or ended, or one that is to be replaced has given up on its spare.
fn a_roll_ends(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| {
        let mut pool = settled.record.slots_of(facts.pool);
        let is_blocked = pool.any(|other| {
            // Also where the worker serves on that was to be replaced.
            let is_over = other.has_ended() || other.has_given_up();
            other.was_replaced && is_over || other.has_given_up_on_its_turn()
        });
        forbid(facts.is_to_be_replaced() && !is_blocked, || {
            format!("{:?} was never replaced", slot.worker())
        })
    })
}

fn after_a_stop_no_process_is_left(settled: &Settled) -> Verdict {
    match settled.groups.first() {
        None => Ok(()),
        Some(worker) => broken(format!("{worker:?}")),
    }
}

/// A run that ended by itself before it was asked to stop keeps the slots that have given up.
fn after_a_stop_every_slot_is_idle(settled: &Settled) -> Verdict {
    let gave_up = settled.record.finished.first() == Some(&Outcome::GaveUp);
    settled.each_slot(|slot, facts| {
        let is_kept = gave_up && facts.has_given_up() && slot.phase() == Phase::GivenUp;
        ensure(slot.phase() == Phase::Idle || is_kept, || {
            format!("{:?} is {:?}", slot.worker(), slot.phase())
        })
    })
}

fn after_a_stop_the_run_has_finished_once(settled: &Settled) -> Verdict {
    let finished = &settled.record.finished;
    ensure(finished.len() == 1, || format!("{finished:?}"))
}

fn after_a_stop_there_is_no_deadline(settled: &Settled) -> Verdict {
    let deadline = settled.supervisor.next_deadline();
    forbid(deadline.is_some(), || format!("{deadline:?}"))
}

impl Settled<'_> {
    /// True if some pool that this pool comes after never becomes ready: a slot of it has failed for good, was never
    /// started or stopped, or is blocked itself.
    fn is_blocked(&self, pool: PoolId) -> bool {
        let is_never_ready = |facts: &Facts| match facts.wanted {
            Wanted::Unset => true,
            Wanted::Ended(_) => !facts.is_met(),
            Wanted::Up => {
                let waits = || facts.waits_to_start() && self.is_blocked(facts.pool);
                facts.has_ended() || facts.has_given_up() || waits()
            }
            Wanted::Down | Wanted::Gone => false,
        };
        let unmet = self.record.unmet(pool);
        unmet.into_iter().any(|needed| self.record.slots_of(needed).any(is_never_ready))
    }
}
