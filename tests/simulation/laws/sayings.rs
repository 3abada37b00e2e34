//! The laws of an answer on what is said.

use pm::supervisor::{Action, Event, Next, Phase, Transition, WorkerId};

use super::{Answer, Law, OfAnswer, Verdict, broken, ensure, forbid, is_late, most, subject};
use crate::facts::{Due, Wish};
use crate::life::Life;

pub const OF_SAYINGS: &[Law<OfAnswer>] = laws![
    the_end_is_said_once_and_only_when_all_is_over,
    the_outcome_is_what_happened,
    news_is_true,
    every_end_is_told,
    every_signal_to_one_who_is_wanted_up_is_explained,
    what_is_announced_comes,
];

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
        let (Some(life), Some(facts)) = (answer.before.life(worker), answer.before.of(worker.slot))
        else {
            let unspawned = matches!(news, Transition::SpawnFailed { .. });
            let is_true = unspawned && answer.is(Event::SpawnFailed(worker));
            return ensure(is_true, || format!("{news:?}: there is no such worker"));
        };
        let (now, ready) = (answer.now, answer.had_been_ready(life));
        let undisturbed = life.is_undisturbed();
        let is_tick = answer.is(Event::Tick);
        let is_end = |told| match answer.event() {
            Some(Event::Exited { worker: of, exit, .. }) => of == worker && exit == told,
            _ => false,
        };
        let grace_over = life.asked.is_some_and(|asked| now >= asked + life.grace);
        let after = answer.after.of(worker.slot);
        let is_changed = after.is_some_and(|it| it.stale.is_some() && it.wish == Wish::Up);
        let holds = match news {
            Transition::Ready(_) => life.is_unready() && (ready || answer.says_ready(worker)),
            Transition::Crashed { exit, .. } => undisturbed && ready && is_end(exit),
            Transition::FailedStart { exit, .. } => undisturbed && !ready && is_end(exit),
            Transition::SpawnFailed { .. } => false,
            Transition::NeverReady(_) => is_tick && facts.missed_ready(now),
            Transition::Hung(_) => life.serves() && answer.is(Event::Hung(worker)),
            Transition::Replacing(_) => undisturbed && is_changed,
            Transition::Stopped { .. } => !undisturbed && answer.after.life(worker).is_none(),
            Transition::GraceOver(_) => is_tick && grace_over && life.killed.is_none(),
        };
        ensure(holds, || format!("{news:?} of {life:?}"))
    })
}

/// Each unasked death, each failed spawn and each end of a group that was told to go is told, once.
fn every_end_is_told(answer: &Answer) -> Verdict {
    let Some(event) = answer.event().filter(|event| !is_late(*event, answer.before)) else {
        return Ok(());
    };
    let Some(worker) = answer.worker() else { return Ok(()) };
    let life = answer.before.life(worker);
    let is_due = match event {
        Event::Exited { .. } | Event::Emptied(_) => {
            let unasked = life.is_some_and(Life::is_undisturbed);
            unasked || (life.is_some() && answer.after.life(worker).is_none())
        }
        Event::SpawnFailed(_) => true,
        _ => false,
    };
    let mut told = 0;
    answer.each_news(|news, of| {
        told += usize::from(of == worker && next_of(news).is_some());
        Ok(())
    })?;
    ensure(told == usize::from(is_due), || format!("{event:?} was told {told} times"))
}

/// Nobody who is wanted up is asked to stop without a word: it hangs, was never ready, or is renewed.
fn every_signal_to_one_who_is_wanted_up_is_explained(answer: &Answer) -> Verdict {
    answer.each_signal(|worker, life, facts, _| {
        let first = life.is_some_and(Life::is_undisturbed);
        let word = [
            Transition::Hung(worker),
            Transition::NeverReady(worker),
            Transition::Replacing(worker),
        ];
        let told = |action: &Action| matches!(action, Action::Report(news) if word.contains(news));
        let told = answer.actions.iter().filter(|action| told(action)).count();
        ensure(facts.is_to_go() || told == usize::from(first), || {
            format!("{worker:?}: {told} words")
        })
    })
}

/// What news says comes next is what the policy says, and if the slot is empty it comes at once.
fn what_is_announced_comes(answer: &Answer) -> Verdict {
    answer.each_news(|news, worker| {
        let Some(next) = next_of(news) else { return Ok(()) };
        let Some(facts) = answer.after.of(worker.slot) else {
            return broken(format!("{news:?}: there is no such slot"));
        };
        let ended = matches!(facts.wish, Wish::Ended { .. });
        let due = match (next, facts.prospect()) {
            (Next::Spawn, Due::Worker { rest }) => rest.is_zero(),
            (Next::Backoff(wait), Due::Worker { rest }) => wait >= rest && wait <= most(rest),
            (Next::GiveUp, Due::GivenUp) | (Next::TooManyRestarts, Due::TooOften) => true,
            (Next::End, Due::Nobody) => ended,
            (Next::Down, Due::Nobody) => facts.is_to_go(),
            _ => false,
        };
        let slot = answer.slots.iter().find(|slot| slot.id() == worker.slot);
        let phase = slot.map(|slot| slot.phase());
        let came = match next {
            Next::Spawn => answer.spawns(worker.slot),
            Next::Backoff(wait) => phase == Some(Phase::Backoff { until: answer.now + wait }),
            Next::GiveUp | Next::TooManyRestarts => phase == Some(Phase::GivenUp),
            Next::End => phase == Some(Phase::Idle),
            Next::Down => phase.is_none_or(|phase| phase == Phase::Idle),
        };
        forbid(!due || !came && facts.life.is_none(), || {
            format!("{news:?}, but {phase:?} and {:?}", facts.prospect())
        })
    })
}

impl Answer<'_> {
    fn each_news(&self, mut law: impl FnMut(Transition, WorkerId) -> Verdict) -> Verdict {
        self.actions.iter().try_for_each(|action| match action {
            Action::Report(news) => law(*news, subject(*news)),
            _ => Ok(()),
        })
    }

    /// True if the event itself is the news that this worker serves.
    fn says_ready(&self, worker: WorkerId) -> bool {
        let born_ready = self.after.of(worker.slot).is_some_and(|facts| facts.is_born_ready());
        match self.event() {
            Some(Event::Ready(of)) => of == worker,
            Some(Event::Spawned(of)) => of == worker && born_ready,
            _ => false,
        }
    }
}

fn next_of(news: Transition) -> Option<Next> {
    match news {
        Transition::Crashed { next, .. }
        | Transition::FailedStart { next, .. }
        | Transition::SpawnFailed { next, .. }
        | Transition::Stopped { next, .. } => Some(next),
        Transition::Ready(_) | Transition::NeverReady(_) | Transition::Hung(_) => None,
        Transition::Replacing(_) | Transition::GraceOver(_) => None,
    }
}
