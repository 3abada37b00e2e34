//! The laws of an answer on who is signalled, when, and in which order.

use pm::supervisor::{Action, Event, WorkerId};

use super::{Answer, Law, OfAnswer, Verdict, broken, ensure};
use crate::facts::{Facts, Wish};
use crate::life::Life;

pub const OF_SIGNALS: &[Law<OfAnswer>] = laws![
    only_one_who_is_there_is_signalled,
    none_is_asked_to_stop_without_a_reason,
    none_is_asked_to_stop_while_somebody_who_leaves_needs_it,
    none_is_renewed_out_of_turn,
    none_is_killed_before_the_full_grace,
    who_has_a_grace_is_asked_first_and_who_has_none_is_not,
    a_hang_ends_in_a_signal,
    a_kill_command_spares_nobody,
];

/// A signal goes only to a worker whose group is not known to be empty: the number may be another's by now.
fn only_one_who_is_there_is_signalled(answer: &Answer) -> Verdict {
    answer.each_signal(|worker, life, _, _| match life {
        Some(_) => Ok(()),
        None => broken(format!("{worker:?} is gone")),
    })
}

/// The stop signal is sent once, to one who is to go, hangs, was not ready in time, or is to be renewed.
fn none_is_asked_to_stop_without_a_reason(answer: &Answer) -> Verdict {
    answer.each_signal(|worker, life, facts, kill| {
        let again = life.is_some_and(|life| life.asked.is_some() || life.killed.is_some());
        let is_changed = facts.wish == Wish::Up && facts.stale.is_some();
        let has_reason = facts.is_to_go() || is_changed || answer.has_failed(worker, facts);
        ensure(if again { kill } else { has_reason }, || {
            format!("{worker:?} is wanted {:?}, and was asked before: {again}", facts.wish)
        })
    })
}

/// Who is to go and serves stays for as long as something is left of anybody who is to go as well and comes after it.
/// Only a commanded kill and its own failure do not wait.
fn none_is_asked_to_stop_while_somebody_who_leaves_needs_it(answer: &Answer) -> Verdict {
    answer.each_signal(|worker, life, facts, _| {
        let first = life.is_some_and(Life::is_undisturbed);
        if !first || answer.is(Event::Kill) || answer.has_failed(worker, facts) {
            return Ok(());
        }
        match answer.after.leaving_that_needs(facts.pool).filter(|_| facts.is_to_go()) {
            Some(other) => broken(format!("{worker:?} is needed by {other:?}")),
            None => Ok(()),
        }
    })
}

/// One who serves is renewed only when it is the first of its pool that is due, and all of the pool that are in the
/// roll serve.
fn none_is_renewed_out_of_turn(answer: &Answer) -> Verdict {
    answer.each_signal(|worker, life, facts, _| {
        let serves = life.is_some_and(Life::serves) && !answer.has_failed(worker, facts);
        if !serves || facts.wish != Wish::Up {
            return Ok(());
        }
        let mut pool = answer.after.slots_of(facts.pool);
        let ahead = pool.find(|other| {
            let sooner =
                other.stale.is_some() && other.wish == Wish::Up && other.slot < worker.slot;
            other.holds_the_roll() || sooner
        });
        match ahead {
            Some(other) => broken(format!("{worker:?} goes before {:?}", other.slot)),
            None => Ok(()),
        }
    })
}

/// SIGKILL waits for the whole grace that the worker had when it was asked, unless killing was commanded or nobody was
/// asked.
fn none_is_killed_before_the_full_grace(answer: &Answer) -> Verdict {
    answer.each_signal(|worker, life, facts, kill| {
        let over = match life {
            Some(Life { asked: Some(asked), grace, .. }) => answer.now >= *asked + *grace,
            Some(life) => life.killed.is_some() || facts.policy.grace.is_zero(),
            None => true,
        };
        ensure(!kill || over || answer.after.killing, || {
            format!("{worker:?} is {life:?}, its grace is {:?}", facts.policy.grace)
        })
    })
}

/// The first that a worker hears is the stop signal if it has a grace, else SIGKILL.
fn who_has_a_grace_is_asked_first_and_who_has_none_is_not(answer: &Answer) -> Verdict {
    answer.each_signal(|worker, life, facts, kill| {
        let first = life.is_some_and(Life::is_undisturbed);
        let at_once = facts.policy.grace.is_zero() || answer.is(Event::Kill);
        ensure(!first || kill == at_once, || {
            format!("{worker:?} has a grace of {:?}", facts.policy.grace)
        })
    })
}

/// A worker that serves and is said to hang is asked to stop at once.
fn a_hang_ends_in_a_signal(answer: &Answer) -> Verdict {
    let Some(Event::Hung(worker)) = answer.event() else { return Ok(()) };
    let serves = answer.before.life(worker).is_some_and(Life::serves);
    let asks = [Action::Terminate(worker), Action::Kill(worker)];
    let asked = answer.actions.iter().any(|action| asks.contains(action));
    ensure(serves == asked, || format!("it serves: {serves}, it was asked: {asked}"))
}

/// A commanded kill reaches every group that was not killed before.
fn a_kill_command_spares_nobody(answer: &Answer) -> Verdict {
    let lives = answer.after.slots.iter().filter_map(|facts| facts.life.as_ref());
    let spared = |life: &&Life| {
        life.killed.is_none() && !answer.actions.contains(&Action::Kill(life.worker))
    };
    match { lives }.find(spared) {
        Some(life) if answer.is(Event::Kill) => broken(format!("{life:?}")),
        _ => Ok(()),
    }
}

impl Answer<'_> {
    /// True if this worker is to go because it fails: it is said to hang, or was not ready in time.
    fn has_failed(&self, worker: WorkerId, facts: &Facts) -> bool {
        let hangs = self.is(Event::Hung(worker)) && facts.serves();
        hangs || (self.is(Event::Tick) && facts.missed_ready(self.now))
    }
}
