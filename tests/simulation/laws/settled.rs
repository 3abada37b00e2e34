//! The laws of each slot in a settled state, when all that followed from an event is done.

use std::time::Duration;

use pm::supervisor::{Event, Phase, Slot, Wanted};

use super::{Law, OfState, Settled, Verdict, broken, ensure, forbid, longest};
use crate::facts::{Due, Facts};
use crate::life::Life;

/// SIGKILL is repeated after this time if the group is not empty.
const KILL_AGAIN: Duration = Duration::from_secs(1);

pub const OF_SLOTS: &[Law<OfState>] = laws![
    every_group_is_a_worker_of_its_slot,
    the_phase_is_the_truth,
    a_worker_is_ready_only_if_that_was_reported,
    a_worker_that_was_reported_ready_is_ready,
    an_empty_slot_is_filled_when_its_backoff_is_over,
    wanted_is_what_was_commanded,
    a_worker_awaits_ready_while_it_starts,
    a_worker_is_serving_while_it_is_ready,
    the_policy_is_that_of_the_worker_that_is_there,
    the_revision_is_that_of_the_worker_that_is_there,
    the_due_revision_is_that_of_the_plan,
    a_slot_needs_its_own_and_the_planned_revision,
    a_tick_moves_the_next_deadline_on,
    the_next_deadline_is_the_earliest,
    a_table_in_which_nothing_is_under_way_has_no_deadline,
    a_start_ends_in_bounded_time,
    a_grace_ends_in_a_kill,
    a_kill_is_repeated,
    a_run_that_is_over_has_finished,
    failed_starts_in_a_row_are_counted,
    it_is_known_whether_and_since_when_pm_stops,
];

/// There is no process that the table does not know: a slot has one group, and beside it that of its spare and that of
/// the worker that a spare has replaced. Not even for a moment it has more.
fn every_group_is_a_worker_of_its_slot(settled: &Settled) -> Verdict {
    match settled.groups.iter().find(|worker| {
        let slot = settled.supervisor.slot(worker.slot);
        !slot.is_some_and(|slot| slot.workers().any(|own| own == **worker))
    }) {
        Some(worker) => broken(format!("{worker:?} is alive")),
        None => Ok(()),
    }
}

/// A slot has a worker in the table if and only if the kernel has one for it, the worker is stopping if and only if it
/// was signalled, and an empty slot does what is due.
fn the_phase_is_the_truth(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| {
        let is_alive = settled.groups.contains(&slot.worker());
        let is_unsignalled = facts.is_unsignalled();
        let was_killed = facts.life.as_ref().is_some_and(|life| life.killed_at.is_some());
        let holds = match slot.phase() {
            Phase::Idle => !is_alive && matches!(facts.due, Due::Nothing | Due::Start),
            Phase::Backoff { .. } => !is_alive && matches!(facts.due, Due::Spawn { .. }),
            Phase::GivenUp => !is_alive && matches!(facts.due, Due::GiveUp | Due::TooManyRestarts),
            Phase::Starting { .. } | Phase::Ready { .. } => is_alive && is_unsignalled,
            Phase::Stopping { .. } => is_alive && !is_unsignalled && !was_killed,
            Phase::Killing { .. } => is_alive && was_killed,
        };
        ensure(holds, || format!("{:?}, but {:?}, due {:?}", slot.phase(), facts.life, facts.due))
    })
}

/// A worker becomes ready by an event, or by having lived as long as its policy asks for.
fn a_worker_is_ready_only_if_that_was_reported(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| {
        let was_ready = facts.life.as_ref().is_some_and(|life| life.was_ready());
        forbid(matches!(slot.phase(), Phase::Ready { .. }) && !was_ready, || {
            format!("{:?}", slot.worker())
        })
    })
}

fn a_worker_that_was_reported_ready_is_ready(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| {
        forbid(facts.is_ready() && !matches!(slot.phase(), Phase::Ready { .. }), || {
            format!("{:?} is {:?}", slot.worker(), slot.phase())
        })
    })
}

/// At once if there is no backoff, else by the next tick.
fn an_empty_slot_is_filled_when_its_backoff_is_over(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| {
        let Due::Spawn { backoff } = facts.due else { return Ok(()) };
        let is_over = settled.now >= facts.empty_since + longest(backoff);
        let is_checked = backoff.is_zero() || settled.is_tick();
        forbid(facts.life.is_none() && is_over && is_checked, || {
            format!("{:?} after a backoff of {backoff:?}", slot.phase())
        })
    })
}

/// By the last command, by the plan, or by an exit that ended the slot.
fn wanted_is_what_was_commanded(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| {
        ensure(slot.wanted() == facts.wanted, || {
            format!("{:?} instead of {:?}", slot.wanted(), facts.wanted)
        })
    })
}

/// A ready probe goes on exactly as long as its answer matters.
fn a_worker_awaits_ready_while_it_starts(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| {
        let awaits = settled.supervisor.awaits_ready(slot.worker());
        ensure(awaits == facts.life.as_ref().is_some_and(Life::is_starting), || {
            format!("awaits_ready is {awaits} of {:?}", facts.life)
        })
    })
}

/// An alive probe goes on exactly as long as the worker is ready.
fn a_worker_is_serving_while_it_is_ready(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| {
        let is_serving = settled.supervisor.is_serving(slot.worker());
        ensure(is_serving == facts.is_ready(), || {
            format!("is_serving is {is_serving} of {:?}", facts.life)
        })
    })
}

/// A new plan changes the policy of a worker only if it wants the revision of that worker.
fn the_policy_is_that_of_the_worker_that_is_there(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| {
        ensure(*slot.policy() == facts.policy, || {
            format!("{:?} instead of {:?}", slot.policy(), facts.policy)
        })
    })
}

/// What the worker was spawned by, or what the next one will be spawned by if there is none.
fn the_revision_is_that_of_the_worker_that_is_there(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| {
        let due = facts.life.as_ref().map_or(facts.revision, |life| life.revision);
        ensure(slot.revision() == due, || format!("{:?} instead of {due:?}", slot.revision()))
    })
}

/// A slot with a worker of another revision than the planned one is due to be replaced by the planned one.
fn the_due_revision_is_that_of_the_plan(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| {
        let due = facts.replacement.map(|replacement| replacement.revision);
        let is_planned = due.is_none_or(|due| due == facts.planned);
        ensure(slot.due_revision() == due && is_planned, || {
            format!("{:?} instead of {due:?}, planned {:?}", slot.due_revision(), facts.planned)
        })
    })
}

/// The reactor keeps the launch specs of these revisions and of no others.
fn a_slot_needs_its_own_and_the_planned_revision(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| {
        let needs = slot.needs(facts.revision) && slot.needs(facts.planned);
        ensure(needs, || format!("{slot:?} needs {:?} and {:?}", facts.revision, facts.planned))
    })
}

/// After a tick at `now` the next deadline is later than `now`: the loop cannot spin. Only what follows from the tick
/// can make another one due at once, which ends the run.
fn a_tick_moves_the_next_deadline_on(settled: &Settled) -> Verdict {
    match settled.supervisor.next_deadline() {
        Some(deadline) if settled.is_tick() && deadline <= settled.now && !settled.is_ending() => {
            broken(format!("{:?} late", settled.now - deadline))
        }
        _ => Ok(()),
    }
}

/// `next_deadline` is the minimum over the slots. Where a pool ends the run, a tick is due.
fn the_next_deadline_is_the_earliest(settled: &Settled) -> Verdict {
    if settled.is_ending() {
        let is_due = settled.supervisor.next_deadline().is_some_and(|at| at <= settled.now);
        return ensure(is_due, || "no tick ends the run".to_owned());
    }
    let deadlines = settled.supervisor.slots().filter_map(|slot| {
        let spare = slot.spare().and_then(|(_, phase)| phase.deadline());
        let retiring = slot.retiring().and_then(|(_, phase)| phase.deadline());
        let prepared = settled.record.of(slot.id()).and_then(Facts::spare_deadline);
        [slot.phase().deadline(), spare, retiring, prepared].into_iter().flatten().min()
    });
    let (known, next) = (deadlines.min(), settled.supervisor.next_deadline());
    // Which slots prepare the spares of their pool is not known here.
    let of_shared = settled.record.slots.iter().filter_map(Facts::shared_deadline);
    let is_shared = next.is_some_and(|next| {
        known.is_none_or(|known| next < known) && { of_shared }.any(|at| at == next)
    });
    ensure(known == next || is_shared, || format!("{next:?}, not {known:?}"))
}

/// Idle is free: a table whose slots are all ready, down or given up has no deadline.
fn a_table_in_which_nothing_is_under_way_has_no_deadline(settled: &Settled) -> Verdict {
    let is_quiet = |facts: &Facts| match &facts.life {
        _ if !facts.is_spare_quiet() => false,
        Some(life) => life.is_ready(),
        None => !matches!(facts.due, Due::Spawn { .. }),
    };
    match settled.supervisor.next_deadline() {
        Some(_) if settled.is_ending() => Ok(()),
        Some(_) if settled.record.slots.iter().all(is_quiet) => broken("it has a deadline"),
        _ => Ok(()),
    }
}

/// A worker that is not ready in time is stopped by the next tick.
fn a_start_ends_in_bounded_time(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| {
        forbid(settled.is_tick() && facts.is_never_ready(settled.now), || {
            format!("{:?} is still {:?}", slot.worker(), slot.phase())
        })
    })
}

/// By the next tick. A second stop does not prolong the grace.
fn a_grace_ends_in_a_kill(settled: &Settled) -> Verdict {
    settled.each_slot(|_, facts| {
        let is_over = |life: &&Life| {
            let end = life.signalled_at.map(|at| at + life.grace);
            life.killed_at.is_none() && end.is_some_and(|end| settled.now >= end)
        };
        match facts.lives().find(is_over) {
            Some(life) if settled.is_tick() => broken(format!("{life:?}")),
            _ => Ok(()),
        }
    })
}

/// A killed group that is not empty is killed again, every second.
fn a_kill_is_repeated(settled: &Settled) -> Verdict {
    settled.each_slot(|_, facts| {
        let is_due = |life: &&Life| life.killed_at.is_some_and(|at| settled.now >= at + KILL_AGAIN);
        match facts.lives().find(is_due) {
            Some(life) if settled.is_tick() => broken(format!("{life:?}")),
            _ => Ok(()),
        }
    })
}

/// `Finish` comes in the answer to the event that ended the run.
fn a_run_that_is_over_has_finished(settled: &Settled) -> Verdict {
    forbid(settled.record.is_over() && !settled.record.is_finished(), || {
        "no slot goes on".to_owned()
    })
}

/// As long as it is wanted up: a start makes it forget them.
fn failed_starts_in_a_row_are_counted(settled: &Settled) -> Verdict {
    settled.each_slot(|slot, facts| {
        let is_counted = slot.failures() == facts.failed_starts;
        ensure(is_counted || facts.wanted != Wanted::Up, || {
            format!("{} instead of {}", slot.failures(), facts.failed_starts)
        })
    })
}

fn it_is_known_whether_and_since_when_pm_stops(settled: &Settled) -> Verdict {
    let (supervisor, record) = (settled.supervisor, settled.record);
    let is_stopping = record.is_draining() || record.is_finished();
    let holds = supervisor.is_draining() == is_stopping;
    ensure(holds && supervisor.stopping_since() == record.asked_at, || {
        format!("{} since {:?}", supervisor.is_draining(), supervisor.stopping_since())
    })
}

impl Settled<'_> {
    pub(super) fn each_slot(&self, law: impl Fn(&Slot, &Facts) -> Verdict) -> Verdict {
        self.record.slots.iter().try_for_each(|facts| match self.supervisor.slot(facts.slot) {
            Some(slot) => law(slot, facts).map_err(|how| format!("{:?}: {how}", facts.slot)),
            None => broken(format!("{:?} is not in the table", facts.slot)),
        })
    }

    /// True if a pool has ended the run and the workers are not being stopped yet.
    fn is_ending(&self) -> bool {
        self.record.run_end().is_some()
    }

    pub(super) fn is_tick(&self) -> bool {
        self.event == Some(Event::Tick)
    }
}
