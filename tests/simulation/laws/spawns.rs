//! The laws of an answer on who is spawned, when, and who is left alone.

use pm::supervisor::{Action, Event, Phase, Slot, SlotId, WorkerId};

use super::{Answer, Law, OfAnswer, Told, Verdict, broken, ensure, forbid, is_late, subject};
use crate::facts::{Due, Wish};

pub const OF_SPAWNS: &[Law<OfAnswer>] = laws![
    late_news_changes_nothing,
    news_of_one_slot_leaves_the_others_alone_but_for_their_turns,
    a_new_plan_leaves_unchanged_slots_alone,
    a_spawn_is_of_the_next_generation,
    none_is_spawned_into_a_slot_that_is_not_empty,
    none_is_spawned_before_the_rest_is_over,
    none_starts_before_what_it_comes_after_is_ready,
    none_is_spawned_while_draining,
    a_slot_that_is_not_wanted_up_is_never_filled,
    a_slot_that_gave_up_is_not_respawned,
    none_is_replaced_more_often_than_its_policy_allows,
    a_worker_that_had_been_ready_is_replaced_in_the_same_wakeup,
    who_is_empty_when_its_plan_changes_comes_at_once,
];

/// Transition of a worker that is history, or of a slot that is forgotten, gets no answer and leaves no trace.
fn late_news_changes_nothing(answer: &Answer) -> Verdict {
    let is_late = answer.event().is_some_and(|event| is_late(event, answer.before));
    forbid(is_late && (answer.changed || !answer.actions.is_empty()), || {
        format!("{:?} was answered with {:?}", answer.told, answer.actions)
    })
}

/// What concerns one slot touches no other, unless it is the other's turn now: to start, to stop or to be renewed.
fn news_of_one_slot_leaves_the_others_alone_but_for_their_turns(answer: &Answer) -> Verdict {
    let Some(slot) = answer.event().and_then(slot_of) else { return Ok(()) };
    for action in answer.actions {
        let Some(other) = about(*action).filter(|other| other.slot != slot) else { continue };
        let facts = answer.before.of(other.slot);
        let had_a_turn = facts.is_some_and(|facts| match action {
            Action::Spawn(_) => facts.due == Due::Turn && facts.life.is_none(),
            _ => facts.is_undisturbed() && (facts.is_to_go() || facts.stale.is_some()),
        });
        if !had_a_turn {
            return broken(format!("{:?} led to {action:?}", answer.told));
        }
    }
    let touched =
        |id| answer.actions.iter().any(|action| about(*action).is_some_and(|of| of.slot == id));
    let visible = |slot: &Slot| (slot.phase(), slot.wanted(), slot.generation());
    for was in answer.slots_before.iter().filter(|was| was.id() != slot && !touched(was.id())) {
        let is = answer.slots.iter().find(|is| is.id() == was.id());
        if is.map(visible) != Some(visible(was)) {
            return broken(format!("{was:?} became {is:?}"));
        }
    }
    Ok(())
}

/// A slot that the new plan has as it was is neither signalled nor filled, and its phase stays; unless the plan gives
/// it its turn, to start or to stop.
fn a_new_plan_leaves_unchanged_slots_alone(answer: &Answer) -> Verdict {
    let Told::Plan(roster) = answer.told else { return Ok(()) };
    for entry in roster.slots.iter().filter(|entry| !entry.is_changed) {
        let Some(facts) = answer.before.of(entry.slot) else { continue };
        if facts.due == Due::Turn && facts.life.is_none() || facts.is_leaving() {
            continue;
        }
        let touched = |action: &&Action| about(**action).is_some_and(|of| of.slot == entry.slot);
        if let Some(action) = answer.actions.iter().find(touched) {
            return broken(format!("{action:?}"));
        }
        let phase = |slots: &[Slot]| match slots.iter().find(|slot| slot.id() == entry.slot) {
            // What it takes to become ready may have changed.
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

/// Generations count by one and never come again.
fn a_spawn_is_of_the_next_generation(answer: &Answer) -> Verdict {
    answer.each_spawn(|worker, facts| {
        ensure(worker.generation == facts.generation + 1, || {
            format!("{worker:?} follows generation {}", facts.generation)
        })
    })
}

/// A port is used again only when the last of the group that had it is gone.
fn none_is_spawned_into_a_slot_that_is_not_empty(answer: &Answer) -> Verdict {
    answer.each_spawn(|_, facts| match &facts.life {
        None => Ok(()),
        Some(life) => broken(format!("there still is {life:?}")),
    })
}

/// After failed starts in a row, the next spawn waits for as long as the policy says.
fn none_is_spawned_before_the_rest_is_over(answer: &Answer) -> Verdict {
    answer.each_spawn(|worker, facts| match facts.due {
        Due::Worker { rest } if answer.now < facts.empty_since + rest => {
            let early = facts.empty_since + rest - answer.now;
            broken(format!(
                "{worker:?} comes {early:?} early after {} failures",
                facts.failed_starts
            ))
        }
        _ => Ok(()),
    })
}

/// A start from idle waits until each pool that the slot's own comes after is ready.
fn none_starts_before_what_it_comes_after_is_ready(answer: &Answer) -> Verdict {
    answer.each_spawn(|worker, facts| {
        let unmet = answer.after.unmet(facts.pool);
        forbid(facts.due == Due::Turn && !unmet.is_empty(), || {
            format!("{worker:?} of {:?} is ahead of {unmet:?}", facts.pool)
        })
    })
}

/// Once everything is to go, nothing is started.
fn none_is_spawned_while_draining(answer: &Answer) -> Verdict {
    answer.each_spawn(|worker, _| forbid(answer.after.draining, || format!("{worker:?}")))
}

/// Only a slot that is wanted up is filled: none that was stopped, that ended, that nobody started, or that is gone.
fn a_slot_that_is_not_wanted_up_is_never_filled(answer: &Answer) -> Verdict {
    answer.each_spawn(|worker, facts| {
        ensure(facts.wish == Wish::Up, || format!("{worker:?}, wanted {:?}", facts.wish))
    })
}

/// As many failed starts in a row as the policy bears are the last until somebody asks.
fn a_slot_that_gave_up_is_not_respawned(answer: &Answer) -> Verdict {
    answer.each_spawn(|worker, facts| match facts.due {
        Due::GivenUp => broken(format!("{worker:?} after {} failures", facts.failed_starts)),
        Due::TooOften => broken(format!("{worker:?} after {:?}", facts.failures)),
        Due::Nobody => broken(format!("{worker:?} is due to nobody")),
        Due::Turn | Due::Worker { .. } => Ok(()),
    })
}

/// Of the failures that were each followed by another worker, no more than the policy's count lie within its time.
fn none_is_replaced_more_often_than_its_policy_allows(answer: &Answer) -> Verdict {
    answer.each_spawn(|worker, facts| {
        let is_replacement = facts.stale.is_none() && facts.due != Due::Turn;
        let (Some(allowed), Some(last)) = (facts.borne, facts.failures.last()) else {
            return Ok(());
        };
        let recent = facts.failures.iter().filter(|at| **at + allowed.within > *last).count();
        forbid(is_replacement && recent > allowed.count.get() as usize, || {
            format!("{worker:?} after {recent} failures in {:?}", allowed.within)
        })
    })
}

/// A worker that had been ready and whose group is empty is followed at once, however short its life was; so is one
/// that hung.
fn a_worker_that_had_been_ready_is_replaced_in_the_same_wakeup(answer: &Answer) -> Verdict {
    let Some(life) = answer.worker().and_then(|worker| answer.before.life(worker)) else {
        return Ok(());
    };
    let Some(facts) = answer.after.of(life.worker.slot) else { return Ok(()) };
    let unasked = life.asked.is_none() || life.hung;
    let bears_it = facts.due != Due::TooOften;
    let is_due = facts.life.is_none() && facts.wish == Wish::Up && unasked && bears_it;
    forbid(is_due && answer.had_been_ready(life) && !answer.spawns(life.worker.slot), || {
        format!("{life:?} is gone, and the answer is {:?}", answer.actions)
    })
}

/// Who rests or gave up does so no longer when its plan changes, unless the run is over.
fn who_is_empty_when_its_plan_changes_comes_at_once(answer: &Answer) -> Verdict {
    let Told::Plan(roster) = answer.told else { return Ok(()) };
    if !answer.before.finished.is_empty() {
        return Ok(());
    }
    for entry in roster.slots.iter().filter(|entry| entry.is_changed) {
        let Some(facts) = answer.before.of(entry.slot) else { continue };
        let is_due = matches!(facts.due, Due::GivenUp | Due::TooOften | Due::Worker { .. });
        if facts.life.is_none() && is_due && !answer.spawns(entry.slot) {
            return broken(format!("{:?} is due {:?}", entry.slot, facts.due));
        }
    }
    Ok(())
}

fn slot_of(event: Event) -> Option<SlotId> {
    match event {
        Event::Start(slot) | Event::Stop(slot) => Some(slot),
        _ => crate::record::worker_of(event).map(|worker| worker.slot),
    }
}

fn about(action: Action) -> Option<WorkerId> {
    match action {
        Action::Spawn(worker) | Action::Terminate(worker) | Action::Kill(worker) => Some(worker),
        Action::Report(news) => Some(subject(news)),
        Action::Finish(_) => None,
    }
}
