//! The laws of the two ends: a kind one, after which everybody is what was wished, and a shutdown.

use pm::supervisor::{Phase, PoolId};

use super::{Law, OfState, Settled, Verdict, broken, ensure, forbid};
use crate::facts::{Due, Facts, Wish};

pub const OF_KINDNESS: &[Law<OfState>] =
    laws![a_started_slot_is_ready_or_gave_up_or_ended_or_waits_for_one_that_did, a_roll_ends,];

pub const OF_THE_END: &[Law<OfState>] = laws![
    after_a_shutdown_nobody_is_left,
    after_a_shutdown_every_slot_is_idle,
    after_a_shutdown_the_end_was_said_once,
    after_a_shutdown_there_is_no_deadline,
];

/// With a kind kernel, every slot that is wanted up serves in bounded time, unless it gave up by its policy or cannot
/// start because one that it needs does not come by itself.
fn a_started_slot_is_ready_or_gave_up_or_ended_or_waits_for_one_that_did(
    settled: &Settled,
) -> Verdict {
    settled.each_slot(|slot, facts| match (facts.prospect(), slot.phase()) {
        (Due::Worker { .. }, Phase::Ready { .. })
        | (Due::GivenUp | Due::TooOften, Phase::GivenUp)
        | (Due::Nobody, Phase::Idle) => Ok(()),
        (Due::Turn, Phase::Idle) => {
            let is_over = !settled.record.finished.is_empty();
            ensure(is_over || settled.is_blocked(facts.pool), || format!("{:?} waits", slot.id()))
        }
        (due, phase) => broken(format!("{phase:?}, but due is {due:?}")),
    })
}

/// With a kind kernel, everybody who is wanted up is soon what the plan wants, unless one that was renewed gave up.
fn a_roll_ends(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| {
        let mut pool = settled.record.slots_of(facts.pool);
        let stands_still = pool.any(|other| other.renewed && other.is_at_an_end());
        forbid(facts.stale.is_some() && facts.wish == Wish::Up && !stands_still, || {
            format!("{:?} was never renewed", slot.worker())
        })
    })
}

/// No process is left.
fn after_a_shutdown_nobody_is_left(settled: &Settled) -> Verdict {
    match settled.groups.first() {
        None => Ok(()),
        Some(worker) => broken(format!("{worker:?}")),
    }
}

/// Every slot is idle.
fn after_a_shutdown_every_slot_is_idle(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, _| {
        ensure(slot.phase() == Phase::Idle, || format!("{:?} is {:?}", slot.worker(), slot.phase()))
    })
}

/// `Finish` was said, and once.
fn after_a_shutdown_the_end_was_said_once(settled: &Settled) -> Verdict {
    let finished = &settled.record.finished;
    ensure(finished.len() == 1, || format!("{finished:?}"))
}

/// Nothing waits for time.
fn after_a_shutdown_there_is_no_deadline(settled: &Settled) -> Verdict {
    forbid(settled.supervisor.next_deadline().is_some(), || "there is one".to_owned())
}

impl Settled<'_> {
    /// True if what this pool comes after does not become ready by itself: somebody failed for good, nobody has said
    /// yet what it is to be, or it waits for such a one itself.
    fn is_blocked(&self, pool: PoolId) -> bool {
        let never = |facts: &Facts| match facts.wish {
            Wish::Unsaid => true,
            Wish::Ended { well } => !well,
            Wish::Up => {
                facts.is_at_an_end() || (facts.due == Due::Turn && self.is_blocked(facts.pool))
            }
            Wish::Down | Wish::Gone => false,
        };
        let unmet = self.record.unmet(pool);
        unmet.into_iter().any(|needed| self.record.slots_of(needed).any(never))
    }
}
