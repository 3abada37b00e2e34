//! The laws of an answer about spawns: of which workers, when, by which revision; and that other slots are left alone.

use pm::supervisor::{Action, Event, Phase, PortProbe, Slot, SpareRule, Wanted};

use super::{Answer, Law, OfAnswer, Told, Verdict, broken, ensure, forbid, is_late};
use crate::facts::Due;

pub const OF_SPAWNS: &[Law<OfAnswer>] = laws![
    a_late_event_changes_nothing,
    an_event_about_one_slot_leaves_others_alone_unless_they_waited,
    a_new_plan_leaves_slots_that_keep_their_revision_alone,
    a_spawn_is_of_the_next_generation,
    a_spawn_has_the_revision_of_the_last_plan,
    a_port_is_probed_unless_the_spawn_replaces_a_worker_that_was_ready,
    no_worker_is_spawned_into_a_slot_that_is_not_empty,
    no_worker_is_spawned_before_the_backoff_is_over,
    no_worker_starts_before_the_pools_that_it_comes_after_are_ready,
    no_worker_is_spawned_while_pm_drains,
    no_worker_is_spawned_into_a_slot_that_is_not_wanted_up,
    no_worker_is_spawned_into_a_slot_that_has_given_up,
    no_slot_is_restarted_more_often_than_its_policy_allows,
    a_worker_that_was_ready_is_replaced_in_the_same_wakeup,
    an_empty_slot_is_filled_at_once_when_its_revision_changes,
    a_slot_that_has_ended_runs_again_only_when_its_revision_changes,
];

/// An event about an older worker, or about a slot that is forgotten, gets no answer and leaves no trace.
fn a_late_event_changes_nothing(answer: &Answer) -> Verdict {
    let is_late = answer.event().is_some_and(|event| is_late(event, answer.before));
    forbid(is_late && (answer.is_changed || !answer.actions.is_empty()), || {
        format!("{:?} was answered with {:?}", answer.told, answer.actions)
    })
}

/// An event about one slot touches no other slot, unless that one waited to start, to be stopped or to be replaced.
fn an_event_about_one_slot_leaves_others_alone_unless_they_waited(answer: &Answer) -> Verdict {
    let Some(slot) = answer.event().and_then(Event::slot) else { return Ok(()) };
    for action in answer.actions {
        let Some(other) = action.worker().filter(|other| other.slot != slot) else { continue };
        let facts = answer.before.of(other.slot);
        let has_waited = facts.is_some_and(|facts| match action {
            Action::Spawn { .. } => facts.waits_to_start(),
            // It has the spares of its pool with others.
            Action::Move { .. } | Action::Prepare { .. } if facts.shares_spares() => true,
            // Its turn in a roll has come.
            _ if facts.replacement.is_some() && facts.has_spares() => true,
            _ => {
                let waits = facts.is_wanted_down() || facts.replacement.is_some();
                facts.is_unsignalled() && waits
            }
        });
        if !has_waited {
            return broken(format!("{:?} led to {action:?}", answer.told));
        }
    }
    let is_touched =
        |id| answer.actions.iter().any(|action| action.worker().is_some_and(|of| of.slot == id));
    let visible = |slot: &Slot| (slot.phase(), slot.wanted(), slot.generation());
    for was in answer.slots_before.iter().filter(|was| was.id() != slot && !is_touched(was.id())) {
        let is = answer.slots.iter().find(|is| is.id() == was.id());
        if is.map(visible) != Some(visible(was)) {
            return broken(format!("{was:?} became {is:?}"));
        }
    }
    Ok(())
}

/// Such a slot is neither signalled nor filled, and its phase stays; unless it waited to start, to be stopped or
/// for its turn in a roll that was asked for.
fn a_new_plan_leaves_slots_that_keep_their_revision_alone(answer: &Answer) -> Verdict {
    let Told::Plan(spec) = answer.told else { return Ok(()) };
    for entry in &spec.slots {
        let Some(facts) = answer.before.of(entry.slot) else { continue };
        let waits = facts.waits_to_start() || facts.blocks_stop() || facts.is_asked();
        // A spare is of another revision, or the plan wants none or another one.
        let rules = [facts.policy.spare, entry.policy.spare];
        let has_spares =
            rules.iter().any(|rule| *rule != SpareRule::Never) || !facts.others.are_gone();
        if entry.revision != facts.revision || waits || has_spares {
            continue;
        }
        let is_touched = |action: &&Action| action.worker().is_some_and(|of| of.slot == entry.slot);
        if let Some(action) = answer.actions.iter().find(is_touched) {
            return broken(format!("{action:?}"));
        }
        let phase = |slots: &[Slot]| match slots.iter().find(|slot| slot.id() == entry.slot) {
            // The time to become ready may have changed.
            Some(slot) if matches!(slot.phase(), Phase::Starting { .. }) => None,
            Some(slot) => Some(slot.phase()),
            None => None,
        };
        if phase(answer.slots_before) != phase(answer.slots) {
            return broken(format!("{:?} went to {:?}", entry.slot, phase(answer.slots)));
        }
    }
    Ok(())
}

/// Generations count by one and are never reused.
fn a_spawn_is_of_the_next_generation(answer: &Answer) -> Verdict {
    answer.each_spawn(|worker, facts| {
        let is_next = worker.generation == facts.last_generation + 1;
        ensure(is_next || facts.others.is_spare(worker), || {
            format!("{worker:?} follows generation {}", facts.last_generation)
        })
    })
}

/// What the last plan wants in the slot at this moment, whatever earlier plans wanted.
fn a_spawn_has_the_revision_of_the_last_plan(answer: &Answer) -> Verdict {
    answer.actions.iter().try_for_each(|action| match action {
        Action::Spawn { worker, revision, .. } => {
            let planned = answer.after.of(worker.slot).map(|facts| facts.planned);
            ensure(Some(*revision) == planned, || format!("{action:?}, planned {planned:?}"))
        }
        _ => Ok(()),
    })
}

/// The probe is skipped only where this very event has emptied the slot of a worker that was ready.
fn a_port_is_probed_unless_the_spawn_replaces_a_worker_that_was_ready(answer: &Answer) -> Verdict {
    answer.actions.iter().try_for_each(|action| match action {
        Action::Spawn { worker, port, .. } => {
            let last = answer.before.of(worker.slot).and_then(|facts| facts.life.as_ref());
            let was_ready = last.is_some_and(|life| answer.had_been_ready(life));
            let due = if was_ready { PortProbe::Skipped } else { PortProbe::Needed };
            ensure(*port == due, || format!("{action:?} after {last:?}"))
        }
        _ => Ok(()),
    })
}

/// A port is used again only when the last process of the group that had it is gone.
fn no_worker_is_spawned_into_a_slot_that_is_not_empty(answer: &Answer) -> Verdict {
    answer.each_spawn(|_, facts| match &facts.life {
        None => Ok(()),
        Some(life) => broken(format!("there still is {life:?}")),
    })
}

fn no_worker_is_spawned_before_the_backoff_is_over(answer: &Answer) -> Verdict {
    answer.each_spawn(|worker, facts| match facts.due {
        Due::Spawn { backoff } if answer.now < facts.empty_since + backoff => {
            let early = facts.empty_since + backoff - answer.now;
            let failures = facts.failed_starts;
            broken(format!("{worker:?} comes {early:?} early after {failures} failed starts"))
        }
        _ => Ok(()),
    })
}

/// A spare that has just taken over may have made them so.
fn no_worker_starts_before_the_pools_that_it_comes_after_are_ready(answer: &Answer) -> Verdict {
    answer.each_action(|action, record| {
        let Action::Spawn { worker, .. } = action else { return Ok(()) };
        let Some(facts) = record.of(worker.slot) else {
            return broken(format!("{worker:?}: there is no such slot"));
        };
        let unmet = record.unmet(facts.pool);
        forbid(facts.due == Due::Start && !unmet.is_empty(), || {
            format!("{worker:?} of {:?} is ahead of {unmet:?}", facts.pool)
        })
    })
}

fn no_worker_is_spawned_while_pm_drains(answer: &Answer) -> Verdict {
    answer.each_spawn(|worker, _| forbid(answer.after.is_draining(), || format!("{worker:?}")))
}

/// Not into a slot that was stopped, has ended, was never started, or is gone.
fn no_worker_is_spawned_into_a_slot_that_is_not_wanted_up(answer: &Answer) -> Verdict {
    answer.each_spawn(|worker, facts| {
        ensure(facts.wanted == Wanted::Up, || format!("{worker:?}, wanted {:?}", facts.wanted))
    })
}

/// Not before it is started again or its revision changes.
fn no_worker_is_spawned_into_a_slot_that_has_given_up(answer: &Answer) -> Verdict {
    answer.each_spawn(|worker, facts| match facts.due {
        Due::GiveUp => broken(format!("{worker:?} after {} failed starts", facts.failed_starts)),
        Due::TooManyRestarts => broken(format!("{worker:?} after {:?}", facts.failed_at)),
        Due::Nothing => broken(format!("{worker:?} is not due")),
        Due::Start | Due::Spawn { .. } => Ok(()),
    })
}

/// At most `count` of the failures that were followed by another worker lie within `within`.
fn no_slot_is_restarted_more_often_than_its_policy_allows(answer: &Answer) -> Verdict {
    answer.each_spawn(|worker, facts| {
        let is_restart = facts.replacement.is_none() && facts.due != Due::Start;
        let (Some(limit), Some(last)) = (facts.limit, facts.failed_at.last()) else {
            return Ok(());
        };
        let recent = facts.failed_at.iter().filter(|at| **at + limit.within > *last).count();
        forbid(is_restart && recent > limit.count.get() as usize, || {
            format!("{worker:?} after {recent} failures in {:?}", limit.within)
        })
    })
}

/// However short its life was; also if it hung.
fn a_worker_that_was_ready_is_replaced_in_the_same_wakeup(answer: &Answer) -> Verdict {
    let Some(life) = answer.worker().and_then(|worker| answer.before.life(worker)) else {
        return Ok(());
    };
    let Some(facts) = answer.after.of(life.worker.slot) else { return Ok(()) };
    let is_unasked = life.signalled_at.is_none() || life.has_hung;
    let is_empty = facts.life.is_none() && facts.wanted == Wanted::Up;
    let is_due = is_empty && is_unasked && facts.due != Due::TooManyRestarts;
    forbid(is_due && answer.had_been_ready(life) && !answer.spawns(life.worker.slot), || {
        format!("{life:?} is gone, and the answer is {:?}", answer.actions)
    })
}

/// A backoff or a slot that has given up ends when the plan wants another revision, unless the run is over.
fn an_empty_slot_is_filled_at_once_when_its_revision_changes(answer: &Answer) -> Verdict {
    let Told::Plan(spec) = answer.told else { return Ok(()) };
    if answer.before.is_finished() {
        return Ok(());
    }
    for entry in &spec.slots {
        let Some(facts) = answer.before.of(entry.slot) else { continue };
        let is_waiting = facts.has_given_up() || matches!(facts.due, Due::Spawn { .. });
        let is_due = facts.life.is_none() && is_waiting && entry.revision != facts.revision;
        if is_due && !answer.spawns(entry.slot) {
            return broken(format!("{:?} is due {:?}", entry.slot, facts.due));
        }
    }
    Ok(())
}

/// A job that has done its work is run again by the next revision, and not at all by the same one.
fn a_slot_that_has_ended_runs_again_only_when_its_revision_changes(answer: &Answer) -> Verdict {
    let Told::Plan(spec) = answer.told else { return Ok(()) };
    if answer.before.is_finished() {
        return Ok(());
    }
    for entry in &spec.slots {
        let Some(facts) = answer.before.of(entry.slot) else { continue };
        let Wanted::Ended(_) = facts.wanted else { continue };
        let slot = answer.slots.iter().find(|slot| slot.id() == entry.slot);
        let wanted = slot.map(Slot::wanted);
        let due = if entry.revision == facts.revision { facts.wanted } else { Wanted::Up };
        if wanted != Some(due) {
            return broken(format!("{:?} is wanted {wanted:?} instead of {due:?}", entry.slot));
        }
    }
    Ok(())
}
