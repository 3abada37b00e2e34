//! The laws of a settled state, when all that followed from an event is done, and of the two ends.

use std::time::Duration;

use pm::supervisor::{Event, Phase, Slot, Wanted};

use super::{Law, OfState, Settled, Verdict, broken, ensure, forbid, most};
use crate::record::{Due, Facts, Life, Wish};

/// SIGKILL comes again after this long while something of a killed group is left.
const KILL_AGAIN: Duration = Duration::from_secs(1);

pub const OF_SETTLED_STATES: &[Law<OfState>] = laws![
    at_most_one_live_group_per_slot,
    every_live_group_is_its_slots_current_worker,
    the_phase_is_the_truth,
    ready_only_if_something_said_so,
    what_is_known_to_serve_is_ready,
    an_empty_slot_that_owes_no_rest_is_filled,
    it_gives_up_only_when_the_policy_says_so,
    wanted_is_what_was_commanded,
    only_the_asked_keep_a_grace,
    only_the_unready_are_probed,
    a_tick_moves_the_next_deadline_on,
    the_next_deadline_is_the_earliest,
    a_settled_table_waits_for_nothing,
    a_start_does_not_take_for_ever,
    a_grace_ends_in_a_kill,
    a_kill_is_repeated,
    a_run_that_is_over_says_so,
];

pub const OF_KINDNESS: &[Law<OfState>] =
    laws![a_started_slot_is_ready_or_gave_up_or_ended_by_its_policy];

pub const OF_THE_END: &[Law<OfState>] = laws![
    after_a_shutdown_nobody_is_left,
    after_a_shutdown_every_slot_is_idle,
    after_a_shutdown_the_end_was_said_once,
    after_a_shutdown_there_is_no_deadline,
];

/// A slot never has two groups, not even for a moment.
fn at_most_one_live_group_per_slot(settled: &Settled) -> Verdict {
    let mut slots: Vec<_> = settled.kernel.groups().values().map(|worker| worker.slot).collect();
    slots.sort();
    match slots.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => broken(format!("{:?} has two", pair[0])),
        None => Ok(()),
    }
}

/// There is no process that the table does not know.
fn every_live_group_is_its_slots_current_worker(settled: &Settled) -> Verdict {
    let groups = settled.kernel.groups();
    match groups.values().find(|worker| settled.supervisor.slot(worker.slot).worker() != **worker) {
        Some(worker) => broken(format!("{worker:?} lives")),
        None => Ok(()),
    }
}

/// A slot has a worker in the table if and only if the kernel has one for it, and it stops if and only if it was told.
fn the_phase_is_the_truth(settled: &Settled) -> Verdict {
    let groups = settled.kernel.groups();
    settled.each_slot(|slot, facts| {
        let lives = groups.values().any(|worker| worker.slot == slot.worker().slot);
        let undisturbed = facts.life.as_ref().is_some_and(Life::is_undisturbed);
        let killed = facts.life.as_ref().is_some_and(|life| life.killed.is_some());
        let holds = match slot.phase() {
            Phase::Idle | Phase::Resting { .. } | Phase::GivenUp => !lives,
            Phase::Starting { .. } | Phase::Ready { .. } => lives && undisturbed,
            Phase::Stopping { .. } => lives && !undisturbed && !killed,
            Phase::Killing { .. } => lives && killed,
        };
        ensure(holds, || format!("{:?}, but {:?}", slot.phase(), facts.life))
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
        let serves = |life: &Life| life.ready && life.is_undisturbed();
        let serves = facts.life.as_ref().is_some_and(serves);
        forbid(serves && !matches!(slot.phase(), Phase::Ready { .. }), || {
            format!("{:?} is {:?}", slot.worker(), slot.phase())
        })
    })
}

/// A wanted slot waits only for its own group or its own rest: at once if there is none, else by the next tick.
fn an_empty_slot_that_owes_no_rest_is_filled(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| {
        let Due::Worker { rest } = facts.due() else { return Ok(()) };
        let over = settled.now >= facts.empty_since + most(rest);
        forbid(facts.life.is_none() && over && (rest.is_zero() || settled.is_tick()), || {
            format!("{:?} after a rest of {rest:?}", slot.phase())
        })
    })
}

/// A slot gives up after as many failed starts in a row as its policy bears, not before, and not out of turn.
fn it_gives_up_only_when_the_policy_says_so(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| {
        forbid(slot.phase() == Phase::GivenUp && facts.due() != Due::GivenUp, || {
            format!("after {} failed starts", facts.failed_starts)
        })
    })
}

/// The table's wish is the last command, or the policy's end.
fn wanted_is_what_was_commanded(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| match (slot.wanted(), facts.wish) {
        (Wanted::Up, Wish::Up) | (Wanted::Down, Wish::Down) | (Wanted::Ended, Wish::Ended) => {
            Ok(())
        }
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
    let deadlines = settled.supervisor.slots().iter().filter_map(|slot| slot.phase().deadline());
    ensure(deadlines.min() == settled.supervisor.next_deadline(), || {
        format!("{:?}", settled.supervisor.next_deadline())
    })
}

/// Idle is free: a table whose slots all serve, are down or gave up has no deadline.
fn a_settled_table_waits_for_nothing(settled: &Settled) -> Verdict {
    let at_rest = |facts: &Facts| match &facts.life {
        Some(life) => life.ready && life.is_undisturbed(),
        None => matches!(facts.due(), Due::Nobody | Due::GivenUp),
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
                && life.asked.is_some_and(|asked| settled.now >= asked + facts.policy.grace)
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

/// With a kind kernel, every slot that is wanted up serves in bounded time, unless it gave up by its policy.
fn a_started_slot_is_ready_or_gave_up_or_ended_by_its_policy(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| match (facts.due(), slot.phase()) {
        (Due::Worker { .. }, Phase::Ready { .. })
        | (Due::GivenUp, Phase::GivenUp)
        | (Due::Nobody, Phase::Idle) => Ok(()),
        (due, phase) => broken(format!("{phase:?}, but due is {due:?}")),
    })
}

/// No process is left.
fn after_a_shutdown_nobody_is_left(settled: &Settled) -> Verdict {
    match settled.kernel.groups().values().next() {
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
    fn each_slot(&self, law: impl Fn(&Slot, &Facts) -> Verdict) -> Verdict {
        let mut pairs = self.supervisor.slots().iter().zip(&self.record.slots);
        pairs.try_for_each(|(slot, facts)| law(slot, facts))
    }

    fn is_tick(&self) -> bool {
        self.event == Some(Event::Tick)
    }
}
