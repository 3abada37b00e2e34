//! The laws of an answer: who is spawned, who is signalled, and what is said, each time the supervisor speaks.

use pm::supervisor::{Action, Event, News, Next, Phase, Readiness, Slot, SlotId, WorkerId};

use super::{Answer, Law, OfAnswer, Verdict, broken, ensure, forbid, is_late, most, worker_of};
use crate::record::{Due, Facts, Life, Wish};

pub const OF_ANSWERS: &[Law<OfAnswer>] = laws![
    late_news_of_an_older_generation_changes_nothing,
    news_of_one_slot_leaves_the_others_alone,
    a_spawn_is_of_the_next_generation,
    none_is_spawned_into_a_slot_that_is_not_empty,
    none_is_spawned_before_the_rest_is_over,
    none_is_spawned_while_draining,
    a_stopped_slot_is_never_respawned,
    a_slot_that_gave_up_is_not_respawned,
    a_worker_that_had_been_ready_is_replaced_in_the_same_wakeup,
    only_one_who_is_there_is_signalled,
    none_is_asked_to_stop_without_a_reason,
    none_is_killed_before_the_full_grace,
    a_stop_reaches_the_group_at_once,
    a_kill_command_spares_nobody,
    the_end_is_said_once_and_only_when_all_is_over,
    the_outcome_is_what_happened,
    news_is_true,
    every_end_is_told,
    what_is_announced_comes,
];

// Who is spawned, and when.

/// News of a worker that is history gets no answer and leaves no trace.
fn late_news_of_an_older_generation_changes_nothing(answer: &Answer) -> Verdict {
    let is_late = is_late(answer.event, answer.before);
    forbid(is_late && (answer.changed || !answer.actions.is_empty()), || {
        format!("{:?} was answered with {:?}", answer.event, answer.actions)
    })
}

/// What concerns one slot touches no other: no action, no phase, no wish.
fn news_of_one_slot_leaves_the_others_alone(answer: &Answer) -> Verdict {
    let Some(slot) = slot_of(answer.event) else { return Ok(()) };
    if let Some(action) = answer.actions.iter().find(|action| about(**action) != Some(slot))
        && !matches!(action, Action::Finish(_))
    {
        return broken(format!("{:?} led to {action:?}", answer.event));
    }
    let visible = |slot: &Slot| (slot.phase(), slot.wanted(), slot.generation());
    let mut pairs = answer.slots_before.iter().zip(answer.slots).enumerate();
    match pairs.find(|(n, (was, is))| *n != slot.0 && visible(was) != visible(is)) {
        Some((n, (was, is))) => broken(format!("slot {n} went from {was:?} to {is:?}")),
        None => Ok(()),
    }
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
    answer.each_spawn(|worker, facts| match facts.due() {
        Due::Worker { rest } if answer.now < facts.empty_since + rest => {
            let early = facts.empty_since + rest - answer.now;
            broken(format!(
                "{worker:?} comes {early:?} early after {} failures",
                facts.failed_starts
            ))
        }
        Due::Worker { .. } | Due::Nobody | Due::GivenUp => Ok(()),
    })
}

/// Once everything is to go, nothing is started.
fn none_is_spawned_while_draining(answer: &Answer) -> Verdict {
    answer.each_spawn(|worker, _| forbid(answer.after.draining, || format!("{worker:?}")))
}

/// Only a slot that is wanted up is filled: neither one that was stopped nor one that ended.
fn a_stopped_slot_is_never_respawned(answer: &Answer) -> Verdict {
    answer.each_spawn(|worker, facts| match facts.wish {
        Wish::Up => Ok(()),
        Wish::Down | Wish::Ended => broken(format!("{worker:?}, wanted {:?}", facts.wish)),
    })
}

/// As many failed starts in a row as the policy bears are the last until somebody asks.
fn a_slot_that_gave_up_is_not_respawned(answer: &Answer) -> Verdict {
    answer.each_spawn(|worker, facts| match facts.due() {
        Due::GivenUp => broken(format!("{worker:?} after {} failures", facts.failed_starts)),
        Due::Nobody | Due::Worker { .. } => Ok(()),
    })
}

/// A worker that had been ready and whose group is empty is followed at once, however short its life was.
fn a_worker_that_had_been_ready_is_replaced_in_the_same_wakeup(answer: &Answer) -> Verdict {
    let Some(life) = worker_of(answer.event).and_then(|worker| answer.before.life(worker)) else {
        return Ok(());
    };
    let facts = answer.after.of(life.worker.slot);
    let ended = facts.life.is_none() && facts.wish == Wish::Up && life.asked.is_none();
    let spawned = answer.actions.iter().any(|action| matches!(action, Action::Spawn(_)));
    forbid(ended && answer.had_been_ready(life) && !spawned, || {
        format!("{life:?} is gone, and the answer is {:?}", answer.actions)
    })
}

// Who is signalled, and when.

/// A signal goes only to a worker whose group is not known to be empty: the number may be another's by now.
fn only_one_who_is_there_is_signalled(answer: &Answer) -> Verdict {
    answer.each_signal(|worker, life, _, _| match life {
        Some(_) => Ok(()),
        None => broken(format!("{worker:?} is gone")),
    })
}

/// The stop signal is sent once, to one who is wanted down or was not ready in time.
fn none_is_asked_to_stop_without_a_reason(answer: &Answer) -> Verdict {
    answer.each_signal(|worker, life, facts, kill| {
        let again = life.is_some_and(|life| life.asked.is_some() || life.killed.is_some());
        let has_reason = facts.wish == Wish::Down || facts.missed_ready(answer.now);
        ensure(if again { kill } else { has_reason }, || {
            format!("{worker:?} is wanted {:?}, and was asked before: {again}", facts.wish)
        })
    })
}

/// SIGKILL waits for the whole grace, unless there is none, or killing was commanded, or nobody was asked.
fn none_is_killed_before_the_full_grace(answer: &Answer) -> Verdict {
    answer.each_signal(|worker, life, facts, kill| {
        let grace = facts.policy.grace;
        let asked = life.and_then(|life| life.asked);
        let over = match (life, asked) {
            (_, Some(asked)) => answer.now >= asked + grace,
            (Some(life), None) => life.killed.is_some() || grace.is_zero(),
            (None, None) => true,
        };
        ensure(!kill || over || answer.after.killing, || {
            format!("{worker:?} was asked at {asked:?}, its grace is {grace:?}")
        })
    })
}

/// Whoever is told to go hears of it in the same wakeup: by the stop signal, or by SIGKILL if there is no grace.
fn a_stop_reaches_the_group_at_once(answer: &Answer) -> Verdict {
    if !matches!(answer.event, Event::Stop(_) | Event::Shutdown | Event::Kill) {
        return Ok(());
    }
    for facts in answer.after.slots.iter().filter(|facts| facts.wish == Wish::Down) {
        let Some(life) = facts.life.as_ref().filter(|life| life.is_undisturbed()) else { continue };
        let kill = facts.policy.grace.is_zero() || answer.event == Event::Kill;
        let asks = [Action::Terminate(life.worker), Action::Kill(life.worker)][usize::from(kill)];
        if !answer.actions.contains(&asks) {
            return broken(format!("{life:?} did not hear of {:?}", answer.event));
        }
    }
    Ok(())
}

/// A commanded kill reaches every group that was not killed before.
fn a_kill_command_spares_nobody(answer: &Answer) -> Verdict {
    let mut lives = answer.after.slots.iter().filter_map(|facts| facts.life.as_ref());
    let spared = |life: &&Life| {
        life.killed.is_none() && !answer.actions.contains(&Action::Kill(life.worker))
    };
    match lives.find(spared) {
        Some(life) if answer.event == Event::Kill => broken(format!("{life:?}")),
        _ => Ok(()),
    }
}

// What is said.

/// `Finish` comes when nobody is left and nothing is coming, and never again.
fn the_end_is_said_once_and_only_when_all_is_over(answer: &Answer) -> Verdict {
    let said = answer.actions.iter().filter(|action| matches!(action, Action::Finish(_))).count();
    let sooner = answer.before.finished.len();
    match said {
        0 => Ok(()),
        1 if sooner == 0 && answer.after.is_over() => Ok(()),
        _ => broken(format!("now {said} times, before {sooner} times")),
    }
}

/// A run that was asked to stop has stopped; else it gave up if a slot did; else it ended with the first failure.
fn the_outcome_is_what_happened(answer: &Answer) -> Verdict {
    let due = answer.after.outcome();
    answer.actions.iter().try_for_each(|action| match action {
        Action::Finish(outcome) if *outcome != due => broken(format!("{outcome:?}, not {due:?}")),
        _ => Ok(()),
    })
}

/// Every piece of news is about what just happened, to whom it happened.
fn news_is_true(answer: &Answer) -> Verdict {
    answer.each_news(|news, worker| {
        let Some(life) = answer.before.life(worker) else {
            let unspawned = matches!(news, News::Unspawned { .. });
            let is_true = unspawned && answer.event == Event::Unspawned(worker);
            return ensure(is_true, || format!("{news:?}: there is no such worker"));
        };
        let facts = answer.before.of(worker.slot);
        let (now, ready) = (answer.now, answer.had_been_ready(life));
        let undisturbed = life.is_undisturbed();
        let is_tick = answer.event == Event::Tick;
        let is_end = |told| match answer.event {
            Event::Exited { worker: of, exit, .. } => of == worker && exit == told,
            _ => false,
        };
        let grace_over = life.asked.is_some_and(|asked| now >= asked + facts.policy.grace);
        let holds = match news {
            News::Ready(_) => life.is_unready() && (ready || answer.says_ready(worker)),
            News::Crashed { exit, .. } => undisturbed && ready && is_end(exit),
            News::FailedStart { exit, .. } => undisturbed && !ready && is_end(exit),
            News::Unspawned { .. } => false,
            News::NeverReady(_) => is_tick && facts.missed_ready(now),
            News::Stopped { .. } => !undisturbed && answer.after.life(worker).is_none(),
            News::GraceOver(_) => is_tick && grace_over && life.killed.is_none(),
        };
        ensure(holds, || format!("{news:?} of {life:?}"))
    })
}

/// Each unasked death, each failed spawn and each end of a group that was told to go is told, once.
fn every_end_is_told(answer: &Answer) -> Verdict {
    let Some(worker) = worker_of(answer.event).filter(|_| !is_late(answer.event, answer.before))
    else {
        return Ok(());
    };
    let life = answer.before.life(worker);
    let is_due = match answer.event {
        Event::Exited { .. } | Event::Emptied(_) => {
            let unasked = life.is_some_and(Life::is_undisturbed);
            unasked || (life.is_some() && answer.after.life(worker).is_none())
        }
        Event::Unspawned(_) => true,
        _ => false,
    };
    let mut told = 0;
    answer.each_news(|news, of| {
        told += usize::from(of == worker && next_of(news).is_some());
        Ok(())
    })?;
    ensure(told == usize::from(is_due), || format!("{:?} was told {told} times", answer.event))
}

/// What news says comes next is what the policy says, and if the slot is empty it comes at once.
fn what_is_announced_comes(answer: &Answer) -> Verdict {
    answer.each_news(|news, worker| {
        let Some(next) = next_of(news) else { return Ok(()) };
        let facts = answer.after.of(worker.slot);
        let due = match (next, facts.due(), facts.wish) {
            (Next::Spawn, Due::Worker { rest }, _) => rest.is_zero(),
            (Next::Rest(wait), Due::Worker { rest }, _) => wait >= rest && wait <= most(rest),
            (Next::GiveUp, Due::GivenUp, _) => true,
            (Next::End, Due::Nobody, Wish::Ended) | (Next::Down, Due::Nobody, Wish::Down) => true,
            _ => false,
        };
        let phase = answer.slots[worker.slot.0].phase();
        let came = match next {
            Next::Spawn => answer.actions.iter().any(|action| matches!(action, Action::Spawn(_))),
            Next::Rest(wait) => phase == Phase::Resting { until: answer.now + wait },
            Next::GiveUp => phase == Phase::GivenUp,
            Next::End | Next::Down => phase == Phase::Idle,
        };
        ensure(due && (came || facts.life.is_some()), || {
            format!("{news:?}, but {phase:?} and {:?}", facts.due())
        })
    })
}

impl Answer<'_> {
    fn each_spawn(&self, law: impl Fn(WorkerId, &Facts) -> Verdict) -> Verdict {
        self.actions.iter().try_for_each(|action| match action {
            Action::Spawn(worker) => law(*worker, self.after.of(worker.slot)),
            _ => Ok(()),
        })
    }

    /// The law gets the worker, its life if it has one, its slot's facts, and whether the signal is SIGKILL.
    fn each_signal(
        &self,
        law: impl Fn(WorkerId, Option<&Life>, &Facts, bool) -> Verdict,
    ) -> Verdict {
        self.actions.iter().try_for_each(|action| match action {
            Action::Terminate(worker) | Action::Kill(worker) => {
                let kill = matches!(action, Action::Kill(_));
                law(*worker, self.after.life(*worker), self.after.of(worker.slot), kill)
            }
            _ => Ok(()),
        })
    }

    fn each_news(&self, mut law: impl FnMut(News, WorkerId) -> Verdict) -> Verdict {
        self.actions.iter().try_for_each(|action| match action {
            Action::Tell(news) => law(*news, subject(*news)),
            _ => Ok(()),
        })
    }

    /// True if it was known to serve, or lives and has lived long enough by now.
    fn had_been_ready(&self, life: &Life) -> bool {
        let long_enough = match self.after.of(life.worker.slot).policy.ready {
            Readiness::Lived { after } => !after.is_zero() && self.now >= life.born + after,
            Readiness::Probe { .. } => false,
        };
        life.ready || (life.is_unready() && long_enough)
    }

    /// True if the event itself is the news that this worker serves.
    fn says_ready(&self, worker: WorkerId) -> bool {
        let born_ready = self.after.of(worker.slot).is_born_ready();
        match self.event {
            Event::Ready(of) => of == worker,
            Event::Spawned(of) => of == worker && born_ready,
            _ => false,
        }
    }
}

fn slot_of(event: Event) -> Option<SlotId> {
    match event {
        Event::Start(slot) | Event::Stop(slot) => Some(slot),
        _ => worker_of(event).map(|worker| worker.slot),
    }
}

fn about(action: Action) -> Option<SlotId> {
    match action {
        Action::Spawn(worker) | Action::Terminate(worker) | Action::Kill(worker) => {
            Some(worker.slot)
        }
        Action::Tell(news) => Some(subject(news).slot),
        Action::Finish(_) => None,
    }
}

fn subject(news: News) -> WorkerId {
    match news {
        News::Ready(worker) | News::NeverReady(worker) | News::GraceOver(worker) => worker,
        News::Crashed { worker, .. }
        | News::FailedStart { worker, .. }
        | News::Unspawned { worker, .. }
        | News::Stopped { worker, .. } => worker,
    }
}

fn next_of(news: News) -> Option<Next> {
    match news {
        News::Crashed { next, .. }
        | News::FailedStart { next, .. }
        | News::Unspawned { next, .. }
        | News::Stopped { next, .. } => Some(next),
        News::Ready(_) | News::NeverReady(_) | News::GraceOver(_) => None,
    }
}
