//! The laws of an answer about signals: to which workers, when, and in which order.

use pm::supervisor::{Action, Event, Wanted, WorkerId};

use super::{Answer, Law, OfAnswer, Verdict, broken, ensure, forbid};
use crate::facts::{Due, Facts};
use crate::life::Life;
use crate::record::Grant;

pub const OF_SIGNALS: &[Law<OfAnswer>] = laws![
    only_a_group_that_is_not_empty_is_signalled,
    no_worker_of_the_planned_revision_is_replaced,
    no_worker_is_stopped_without_a_reason,
    no_worker_is_stopped_before_the_workers_that_need_it_are_gone,
    no_worker_is_replaced_out_of_order,
    no_worker_is_killed_before_its_grace_is_over,
    a_worker_with_a_grace_is_terminated_first,
    a_hang_is_answered_with_a_signal,
    a_restart_is_answered_with_a_signal_or_a_spawn,
    a_command_to_kill_kills_at_once,
];

/// The pid of an empty group may belong to another process by now.
fn only_a_group_that_is_not_empty_is_signalled(answer: &Answer) -> Verdict {
    answer.actions.iter().try_for_each(|action| match action {
        Action::Terminate(worker) | Action::Kill(worker) => {
            ensure(answer.after.any_life(*worker).is_some(), || format!("{worker:?} is gone"))
        }
        _ => Ok(()),
    })
}

/// The stop signal is sent once, to a worker that is wanted down, hangs, was never ready, or is to be replaced.
fn no_worker_is_stopped_without_a_reason(answer: &Answer) -> Verdict {
    answer.each_signal(|worker, life, facts, is_kill| {
        let is_repeated = life.is_some_and(Life::was_signalled);
        let is_replaced = facts.is_to_be_replaced();
        let has_failed = answer.has_failed(worker, facts);
        let is_asked = is_replaced || facts.is_restarted();
        let has_reason = facts.is_wanted_down() || is_asked || has_failed;
        ensure(if is_repeated { is_kill } else { has_reason }, || {
            format!("{worker:?} is wanted {:?}, signalled before: {is_repeated}", facts.wanted)
        })
    })
}

/// A worker that is wanted down stays until all workers that need its pool and are wanted down too are gone. Only a
/// wish that kills and its own failure do not wait.
fn no_worker_is_stopped_before_the_workers_that_need_it_are_gone(answer: &Answer) -> Verdict {
    answer.each_signal(|worker, life, facts, _| {
        let is_first = life.is_some_and(Life::is_unsignalled);
        if !is_first || answer.kills(worker) || answer.has_failed(worker, facts) {
            return Ok(());
        }
        let needing = answer.after.stopping_that_needs(facts.pool);
        match needing.filter(|_| facts.is_wanted_down()) {
            Some(other) => broken(format!("{worker:?} is needed by {other:?}")),
            None => Ok(()),
        }
    })
}

/// A ready worker is replaced only when it is the first of its pool that is due, and all slots of the roll are ready.
fn no_worker_is_replaced_out_of_order(answer: &Answer) -> Verdict {
    answer.each_action(|action, record| {
        let (Action::Terminate(worker) | Action::Kill(worker)) = action else { return Ok(()) };
        let (Some(life), Some(facts)) = (record.life(worker), record.of(worker.slot)) else {
            return Ok(());
        };
        let is_ready = life.is_ready() && !answer.has_failed(worker, facts);
        if !is_ready || facts.is_restarted() || facts.wanted != Wanted::Up {
            return Ok(());
        }
        let mut pool = record.slots_of(facts.pool);
        let first = pool.find(|other| {
            let is_before = other.is_to_be_replaced() && other.slot < worker.slot;
            other.blocks_roll() || is_before
        });
        match first {
            Some(other) => broken(format!("{worker:?} is replaced before {:?}", other.slot)),
            None => Ok(()),
        }
    })
}

/// A slot that keeps its revision keeps its worker, and a plan that goes back to the revision of the worker that is
/// there withdraws the replacement.
fn no_worker_of_the_planned_revision_is_replaced(answer: &Answer) -> Verdict {
    answer.each_signal(|worker, life, facts, _| {
        let Some(life) = life.filter(|life| life.is_unsignalled()) else { return Ok(()) };
        let is_wanted = facts.wanted == Wanted::Up && !answer.has_failed(worker, facts);
        let is_asked = facts.is_restarted() || facts.is_asked();
        forbid(is_wanted && !is_asked && life.revision == facts.planned, || {
            format!("{worker:?} is of {:?}, which the plan wants", life.revision)
        })
    })
}

/// SIGKILL waits for the whole grace that the worker had when it was terminated, unless a wish kills or the worker has
/// no grace.
fn no_worker_is_killed_before_its_grace_is_over(answer: &Answer) -> Verdict {
    answer.each_signal(|worker, life, facts, is_kill| {
        let is_over = match life {
            // A kill is repeated.
            Some(Life { killed_at: Some(_), .. }) | None => true,
            Some(Life { signalled_at: Some(at), grace, .. }) => answer.now >= *at + *grace,
            Some(_) => facts.policy.grace.is_zero(),
        };
        let is_commanded = answer.kills(worker) || answer.after.killing_since.is_some();
        ensure(!is_kill || is_over || is_commanded, || {
            format!("{worker:?} is {life:?}, its grace is {:?}", facts.policy.grace)
        })
    })
}

/// The first signal to a worker is the stop signal if it has a grace, else SIGKILL.
fn a_worker_with_a_grace_is_terminated_first(answer: &Answer) -> Verdict {
    answer.each_signal(|worker, life, facts, is_kill| {
        let is_first = life.is_some_and(Life::is_unsignalled);
        let is_at_once = facts.policy.grace.is_zero() || answer.kills(worker);
        ensure(!is_first || is_kill == is_at_once, || {
            format!("{worker:?} has a grace of {:?}", facts.policy.grace)
        })
    })
}

/// A ready worker that is reported to hang is stopped at once.
fn a_hang_is_answered_with_a_signal(answer: &Answer) -> Verdict {
    let Some(Event::Hung(worker)) = answer.event() else { return Ok(()) };
    let is_ready = answer.before.life(worker).is_some_and(Life::is_ready);
    let signals = [Action::Terminate(worker), Action::Kill(worker)];
    let is_signalled = answer.actions.iter().any(|action| signals.contains(action));
    ensure(is_ready == is_signalled, || format!("ready: {is_ready}, signalled: {is_signalled}"))
}

/// The worker that is there is signalled, and an empty slot is filled: neither a backoff nor earlier failures count.
/// Only an idle slot whose pool comes after others may wait for them.
fn a_restart_is_answered_with_a_signal_or_a_spawn(answer: &Answer) -> Verdict {
    let (slot, is_roll) = match answer.event() {
        Some(Event::Restart(slot)) => (slot, false),
        Some(Event::Roll(slot)) => (slot, true),
        _ => return Ok(()),
    };
    let record = answer.before;
    let Some(facts) = record.of(slot) else { return Ok(()) };
    if record.is_draining() || record.is_finished() {
        return ensure(answer.actions.is_empty(), || format!("{:?}", answer.actions));
    }
    let worker = WorkerId { slot, generation: facts.generation };
    let signals = [Action::Terminate(worker), Action::Kill(worker)];
    let is_signalled = answer.actions.iter().any(|action| signals.contains(action));
    let is_due = match &facts.life {
        Some(life) if !life.is_unsignalled() => return Ok(()),
        Some(_) if is_roll && facts.is_ready() => return Ok(()),
        // Its spare takes over when it waits.
        Some(_) if facts.is_ready() && facts.has_spares() => return Ok(()),
        None if !facts.others.are_gone() && facts.due == Due::Nothing => return Ok(()),
        None if !facts.others.are_gone() && facts.due == Due::Start => return Ok(()),
        Some(_) => is_signalled,
        None => answer.spawns(slot) || !record.unmet(facts.pool).is_empty(),
    };
    ensure(is_due, || format!("{facts:?} was answered with {:?}", answer.actions))
}

fn a_command_to_kill_kills_at_once(answer: &Answer) -> Verdict {
    let Some(Event::Kill(slot)) = answer.event() else { return Ok(()) };
    let life = answer.before.of(slot).and_then(|facts| facts.life.as_ref());
    let Some(life) = life.filter(|life| life.killed_at.is_none()) else { return Ok(()) };
    let is_killed = answer.actions.contains(&Action::Kill(life.worker));
    ensure(is_killed, || format!("{life:?} was answered with {:?}", answer.actions))
}

impl Answer<'_> {
    /// True if a wish or a command kills this worker.
    fn kills(&self, worker: WorkerId) -> bool {
        self.grant() == Some(Grant::Kill) || self.is(Event::Kill(worker.slot))
    }

    /// True if this worker is stopped because it fails: it hangs, or was never ready.
    fn has_failed(&self, worker: WorkerId, facts: &Facts) -> bool {
        let hangs = self.is(Event::Hung(worker)) && facts.is_ready();
        hangs || (self.is(Event::Tick) && facts.is_never_ready(self.now))
    }
}
