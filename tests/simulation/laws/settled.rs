//! The laws of each slot in a settled state, when all that followed from an event is done.

use std::time::Duration;

use pm::supervisor::{Event, Phase, Slot, Wanted};

use super::{Law, OfState, Settled, Verdict, broken, ensure, forbid, most};
use crate::facts::{Due, Facts, Wish};
use crate::life::Life;

/// SIGKILL comes again after this long while something of a killed group is left.
const KILL_AGAIN: Duration = Duration::from_secs(1);

pub const OF_SLOTS: &[Law<OfState>] = laws![
    at_most_one_live_group_per_slot,
    every_live_group_is_its_slots_current_worker,
    the_phase_is_the_truth,
    ready_only_if_something_said_so,
    what_is_known_to_serve_is_ready,
    an_empty_slot_that_owes_no_rest_is_filled,
    wanted_is_what_was_commanded,
    only_the_asked_keep_a_grace,
    only_the_unready_are_probed,
    only_those_who_serve_are_watched,
    the_policy_is_that_of_the_worker_that_is_there,
    a_tick_moves_the_next_deadline_on,
    the_next_deadline_is_the_earliest,
    a_settled_table_waits_for_nothing,
    a_start_does_not_take_for_ever,
    a_grace_ends_in_a_kill,
    a_kill_is_repeated,
    a_run_that_is_over_says_so,
];

/// A slot never has two groups, not even for a moment.
fn at_most_one_live_group_per_slot(settled: &Settled) -> Verdict {
    let mut slots: Vec<_> = settled.groups.iter().map(|worker| worker.slot).collect();
    slots.sort();
    match slots.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => broken(format!("{:?} has two", pair[0])),
        None => Ok(()),
    }
}

/// There is no process that the table does not know.
fn every_live_group_is_its_slots_current_worker(settled: &Settled) -> Verdict {
    match settled.groups.iter().find(|worker| {
        let slot = settled.supervisor.slot(worker.slot);
        slot.map(|slot| slot.worker()) != Some(**worker)
    }) {
        Some(worker) => broken(format!("{worker:?} lives")),
        None => Ok(()),
    }
}

/// A slot has a worker in the table if and only if the kernel has one for it, it stops if and only if it was told, and
/// if it is empty it does what it is due.
fn the_phase_is_the_truth(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| {
        let lives = settled.groups.iter().any(|worker| worker.slot == slot.worker().slot);
        let undisturbed = facts.is_undisturbed();
        let killed = facts.life.as_ref().is_some_and(|life| life.killed.is_some());
        let holds = match slot.phase() {
            Phase::Idle => !lives && matches!(facts.due, Due::Nobody | Due::Turn),
            Phase::Backoff { .. } => !lives && matches!(facts.due, Due::Worker { .. }),
            Phase::GivenUp => !lives && matches!(facts.due, Due::GivenUp | Due::TooOften),
            Phase::Starting { .. } | Phase::Ready { .. } => lives && undisturbed,
            Phase::Stopping { .. } => lives && !undisturbed && !killed,
            Phase::Killing { .. } => lives && killed,
        };
        ensure(holds, || format!("{:?}, but {:?}, due {:?}", slot.phase(), facts.life, facts.due))
    })
}

/// `Ready` needs news, or a life as long as the policy asks for.
fn ready_only_if_something_said_so(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| {
        let said = facts.life.as_ref().is_some_and(|life| life.ready);
        forbid(matches!(slot.phase(), Phase::Ready { .. }) && !said, || {
            format!("{:?}", slot.worker())
        })
    })
}

/// The news that a worker serves is believed at once.
fn what_is_known_to_serve_is_ready(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| {
        forbid(facts.serves() && !matches!(slot.phase(), Phase::Ready { .. }), || {
            format!("{:?} is {:?}", slot.worker(), slot.phase())
        })
    })
}

/// A wanted slot waits only for its own group or its own rest: at once if there is none, else by the next tick.
fn an_empty_slot_that_owes_no_rest_is_filled(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| {
        let Due::Worker { rest } = facts.due else { return Ok(()) };
        let over = settled.now >= facts.empty_since + most(rest);
        forbid(facts.life.is_none() && over && (rest.is_zero() || settled.is_tick()), || {
            format!("{:?} after a rest of {rest:?}", slot.phase())
        })
    })
}

/// The table's wish is the last command, the plan's, or the policy's end.
fn wanted_is_what_was_commanded(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| match (slot.wanted(), facts.wish) {
        (Wanted::Up, Wish::Up) | (Wanted::Down, Wish::Down | Wish::Unsaid) => Ok(()),
        (Wanted::Ended, Wish::Ended { .. }) | (Wanted::Gone, Wish::Gone) => Ok(()),
        (wanted, wish) => broken(format!("{wanted:?}, but {wish:?} was commanded")),
    })
}

/// What a leader leaves behind keeps the grace if it was asked to stop and not killed yet; else it is swept.
fn only_the_asked_keep_a_grace(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| {
        let asked = |life: &Life| life.asked.is_some() && life.killed.is_none();
        let keeps = settled.supervisor.keeps_grace(slot.worker());
        ensure(keeps == facts.life.as_ref().is_some_and(asked), || {
            format!("keeps_grace is {keeps} of {:?}", facts.life)
        })
    })
}

/// A probe goes on exactly as long as its answer can matter.
fn only_the_unready_are_probed(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| {
        let awaits = settled.supervisor.awaits_ready(slot.worker());
        ensure(awaits == facts.life.as_ref().is_some_and(Life::is_unready), || {
            format!("awaits_ready is {awaits} of {:?}", facts.life)
        })
    })
}

/// An alive probe goes on exactly as long as the worker serves.
fn only_those_who_serve_are_watched(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| {
        let serves = settled.supervisor.serves(slot.worker());
        ensure(serves == facts.serves(), || format!("serves is {serves} of {:?}", facts.life))
    })
}

/// A new plan does not change what a worker was promised, unless it says that the worker is as it should be.
fn the_policy_is_that_of_the_worker_that_is_there(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| {
        ensure(*slot.policy() == facts.policy, || {
            format!("{:?} instead of {:?}", slot.policy(), facts.policy)
        })
    })
}

/// After a tick at `now` the next deadline is later than `now`: the loop cannot spin.
fn a_tick_moves_the_next_deadline_on(settled: &Settled) -> Verdict {
    match settled.supervisor.next_deadline() {
        Some(deadline) if settled.is_tick() && deadline <= settled.now => {
            broken(format!("{:?} late", settled.now - deadline))
        }
        _ => Ok(()),
    }
}

/// `next_deadline` is the minimum over the slots.
fn the_next_deadline_is_the_earliest(settled: &Settled) -> Verdict {
    let deadlines = settled.supervisor.slots().filter_map(|slot| slot.phase().deadline());
    ensure(deadlines.min() == settled.supervisor.next_deadline(), || {
        format!("{:?}", settled.supervisor.next_deadline())
    })
}

/// Idle is free: a table whose slots all serve, are down or gave up has no deadline.
fn a_settled_table_waits_for_nothing(settled: &Settled) -> Verdict {
    let at_rest = |facts: &Facts| match &facts.life {
        Some(life) => life.serves(),
        None => !matches!(facts.due, Due::Worker { .. }),
    };
    match settled.supervisor.next_deadline() {
        Some(_) if settled.record.slots.iter().all(at_rest) => broken("but it has a deadline"),
        _ => Ok(()),
    }
}

/// A worker that is not ready in time is asked to stop by the next tick.
fn a_start_does_not_take_for_ever(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| {
        forbid(settled.is_tick() && facts.missed_ready(settled.now), || {
            format!("{:?} is still {:?}", slot.worker(), slot.phase())
        })
    })
}

/// Whoever is left at the end of the grace is killed by the next tick; asking again prolongs nothing.
fn a_grace_ends_in_a_kill(settled: &Settled) -> Verdict {
    settled.each_slot(|_, facts| {
        let over = |life: &Life| {
            life.killed.is_none()
                && life.asked.is_some_and(|asked| settled.now >= asked + life.grace)
        };
        forbid(settled.is_tick() && facts.life.as_ref().is_some_and(over), || {
            format!("{:?}", facts.life)
        })
    })
}

/// A killed group that is still there is killed again, every second.
fn a_kill_is_repeated(settled: &Settled) -> Verdict {
    settled.each_slot(|_, facts| {
        let killed = facts.life.as_ref().and_then(|life| life.killed);
        forbid(settled.is_tick() && killed.is_some_and(|at| settled.now >= at + KILL_AGAIN), || {
            format!("{:?}", facts.life)
        })
    })
}

/// As soon as nobody is left and nothing is coming, `Finish` has been said.
fn a_run_that_is_over_says_so(settled: &Settled) -> Verdict {
    forbid(settled.record.is_over() && settled.record.finished.is_empty(), || {
        "nobody is left".to_owned()
    })
}

impl Settled<'_> {
    pub(super) fn each_slot(&self, law: impl Fn(&Slot, &Facts) -> Verdict) -> Verdict {
        self.record.slots.iter().try_for_each(|facts| match self.supervisor.slot(facts.slot) {
            Some(slot) => law(slot, facts).map_err(|how| format!("{:?}: {how}", facts.slot)),
            None => broken(format!("{:?} is not in the table", facts.slot)),
        })
    }

    fn is_tick(&self) -> bool {
        self.event == Some(Event::Tick)
    }
}
