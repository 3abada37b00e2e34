//! What an observer knows of one slot: commands, spawns, signals and exits, and what must follow from them.

use std::time::{Duration, Instant};

use pm::supervisor::{
    Exit, MaxRestarts, Policy, PoolId, Readiness, Remains, Restart, Revision, SlotEntry,
    SlotFailure, SlotId, Wanted, WorkerId,
};

use crate::life::Life;

#[derive(Clone, Debug)]
pub struct Facts {
    pub slot: SlotId,
    pub pool: PoolId,
    /// Of the worker that is there, or of the next one. So is the revision.
    pub policy: Policy,
    pub revision: Revision,
    /// What the last plan that had this slot wants there.
    pub planned: Revision,
    /// What the slot must be wanted to be.
    pub wanted: Wanted,
    /// The worker that fills it, from its spawn until its group is empty.
    pub life: Option<Life>,
    pub generation: u64,
    /// Failed starts in a row.
    pub failed_starts: u32,
    /// When its workers failed and were to be restarted.
    pub failed_at: Vec<Instant>,
    /// The restart limit at the last failure.
    pub limit: Option<MaxRestarts>,
    /// It failed more often than the limit allows.
    pub has_too_many_restarts: bool,
    /// What is due while it is empty, fixed when it became empty.
    pub due: Due,
    pub empty_since: Instant,
    /// Its worker is to be replaced by this.
    pub replacement: Option<Replacement>,
    /// Its worker was replaced in the roll that goes on in its pool.
    pub was_replaced: bool,
    /// A roll took its ready worker away, and the next one is not ready yet.
    pub is_away: bool,
    pub asked: Asked,
}

/// What a command has asked for and is not done yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Asked {
    #[default]
    Nothing,
    /// Another worker now. The one that is there was not signalled yet.
    Restart,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Replacement {
    pub revision: Revision,
    pub policy: Policy,
}

/// What is due to an empty slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Due {
    Nothing,
    /// The start from idle, as soon as the pools that its pool comes after are ready.
    Start,
    GiveUp,
    TooManyRestarts,
    /// The next worker after this backoff, or up to a tenth later.
    Spawn {
        backoff: Duration,
    },
}

const AT_ONCE: Due = Due::Spawn { backoff: Duration::ZERO };

impl Facts {
    pub fn new(entry: &SlotEntry, now: Instant) -> Self {
        Self {
            slot: entry.slot,
            pool: entry.pool,
            policy: entry.policy,
            revision: entry.revision,
            planned: entry.revision,
            wanted: Wanted::Unset,
            life: None,
            generation: 0,
            failed_starts: 0,
            failed_at: Vec::new(),
            limit: None,
            has_too_many_restarts: false,
            due: Due::Nothing,
            empty_since: now,
            replacement: None,
            was_replaced: false,
            is_away: false,
            asked: Asked::Nothing,
        }
    }

    /// What is due if the slot is empty, or would be if it were empty now.
    pub fn prospect(&self) -> Due {
        if self.life.is_none() { self.due } else { self.due_when_empty() }
    }

    fn due_when_empty(&self) -> Due {
        let rules = &self.policy.backoff;
        let is_once = self.policy.restart == Restart::Never;
        let limit = rules.give_up_after.map_or(u32::MAX, |limit| limit.get());
        let most = if is_once { 1 } else { limit };
        if self.wanted != Wanted::Up {
            Due::Nothing
        } else if self.replacement.is_some() {
            AT_ONCE
        } else if self.failed_starts >= most {
            Due::GiveUp
        } else if self.has_too_many_restarts {
            Due::TooManyRestarts
        } else {
            let doublings = self.failed_starts.saturating_sub(2).min(20);
            let wait = (rules.first * 2_u32.pow(doublings)).min(rules.max);
            Due::Spawn { backoff: if self.failed_starts < 2 { Duration::ZERO } else { wait } }
        }
    }

    /// True if a worker is ready as soon as it has exec'd.
    pub fn is_ready_at_exec(&self) -> bool {
        self.policy.ready == Readiness::Lived { after: Duration::ZERO }
    }

    pub fn has_probe(&self) -> bool {
        matches!(self.policy.ready, Readiness::Probe { .. })
    }

    /// True if the time to become ready is over and the worker is not ready.
    pub fn is_never_ready(&self, now: Instant) -> bool {
        let Readiness::Probe { within } = self.policy.ready else { return false };
        self.life.as_ref().is_some_and(|life| life.is_starting() && now >= life.spawned_at + within)
    }

    pub fn is_ready(&self) -> bool {
        self.life.as_ref().is_some_and(Life::is_ready)
    }

    pub fn is_unsignalled(&self) -> bool {
        self.life.as_ref().is_some_and(Life::is_unsignalled)
    }

    /// True if it is to be down: by a command, by the plan, or because it was never started.
    pub fn is_wanted_down(&self) -> bool {
        matches!(self.wanted, Wanted::Down | Wanted::Gone | Wanted::Unset)
    }

    /// True if what its pool comes after must stay because of it.
    pub fn blocks_stop(&self) -> bool {
        self.life.is_some() && self.is_wanted_down()
    }

    /// True if the pools that come after its pool need not wait for it.
    pub fn is_met(&self) -> bool {
        match self.wanted {
            Wanted::Unset => false,
            Wanted::Up => self.is_ready(),
            Wanted::Down | Wanted::Gone => true,
            Wanted::Ended(exit) => exit == Some(Exit::Code(0)) && self.life.is_none(),
        }
    }

    /// True if the roll of its pool waits for it: it is part of the roll and not ready.
    pub fn blocks_roll(&self) -> bool {
        let is_rolling = self.replacement.is_some() || self.was_replaced;
        self.wanted == Wanted::Up && is_rolling && !self.is_ready()
    }

    /// True if its worker waits to be replaced, or is about to be.
    pub fn is_to_be_replaced(&self) -> bool {
        self.wanted == Wanted::Up && self.replacement.is_some()
    }

    /// True if it is empty and waits for other pools.
    pub fn waits_to_start(&self) -> bool {
        self.life.is_none() && self.due == Due::Start
    }

    /// True if it is empty and has given up.
    pub fn has_given_up(&self) -> bool {
        self.life.is_none() && matches!(self.due, Due::GiveUp | Due::TooManyRestarts)
    }

    /// Why nothing more comes of it, if that is because of a failure.
    pub fn failure(&self) -> Option<SlotFailure> {
        match self.wanted {
            Wanted::Ended(Some(exit)) if self.life.is_none() && exit != Exit::Code(0) => {
                Some(SlotFailure::Exit(exit))
            }
            _ => self.has_given_up().then_some(SlotFailure::GaveUp),
        }
    }

    /// True if nothing more comes of it: it has ended or given up.
    pub fn has_ended(&self) -> bool {
        let ended = self.life.is_none() && matches!(self.wanted, Wanted::Ended(_));
        ended || self.has_given_up()
    }

    /// True if the plan has no such slot and nothing of its worker is left.
    pub fn is_forgotten(&self) -> bool {
        self.wanted == Wanted::Gone && self.life.is_none()
    }

    /// What went before no longer counts, unless it is on its way up already.
    pub fn start(&mut self, now: Instant) {
        let gives_up = matches!(self.prospect(), Due::GiveUp | Due::TooManyRestarts);
        let is_restarted = gives_up && !self.is_unsignalled();
        if self.wanted == Wanted::Up && !is_restarted {
            return;
        }
        if self.life.is_none() {
            self.due = if is_restarted { AT_ONCE } else { Due::Start };
            self.empty_since = now;
        }
        self.wanted = Wanted::Up;
        self.forget_failures();
    }

    /// Another worker is wanted now, and neither a backoff nor a failure counts.
    pub fn restart(&mut self, now: Instant) {
        if self.is_unsignalled() {
            self.asked = Asked::Restart;
            self.wanted = Wanted::Up;
            self.forget_failures();
        } else if self.life.is_some() || matches!(self.due, Due::Nothing | Due::Start) {
            self.start(now);
        } else {
            self.wanted = Wanted::Up;
            self.due = AT_ONCE;
            self.empty_since = now;
            self.forget_failures();
        }
    }

    /// As a restart, but a worker that is there waits for its turn.
    pub fn roll(&mut self, now: Instant) {
        if !self.is_unsignalled() {
            return self.restart(now);
        }
        self.start(now);
        let same = Replacement { revision: self.revision, policy: self.policy };
        self.replacement.get_or_insert(same);
    }

    pub fn withdraw(&mut self) {
        if self.is_unsignalled() && self.is_asked() {
            self.replacement = None;
        }
    }

    /// True if a command wants another worker in place of the one that is there.
    pub fn is_restarted(&self) -> bool {
        self.asked == Asked::Restart
    }

    /// True if a command, and not the plan, has its worker replaced.
    pub fn is_asked(&self) -> bool {
        self.replacement.is_some_and(|replacement| replacement.revision == self.revision)
    }

    pub fn stop(&mut self) {
        if self.wanted != Wanted::Gone {
            self.wanted = Wanted::Down;
        }
        self.go_down();
    }

    pub fn remove(&mut self) {
        self.wanted = Wanted::Gone;
        self.go_down();
    }

    fn go_down(&mut self) {
        self.is_away = false;
        if self.life.is_none() {
            self.be_idle();
        }
    }

    /// The plan has it, perhaps again.
    pub fn revise(&mut self, entry: &SlotEntry, now: Instant) {
        if self.wanted == Wanted::Gone {
            self.wanted = Wanted::Unset;
        }
        self.pool = entry.pool;
        self.planned = entry.revision;
        let replacement = Replacement { revision: entry.revision, policy: entry.policy };
        let is_ending = self.life.is_some() && !self.is_unsignalled();
        let is_empty = self.life.is_none();
        let is_changed = entry.revision != self.revision;
        let runs_again = is_changed && matches!(self.wanted, Wanted::Ended(_));
        if runs_again {
            self.wanted = Wanted::Up;
            self.forget_failures();
        }
        if is_empty && matches!(self.due, Due::Nothing | Due::Start) {
            if runs_again {
                self.due = Due::Start;
                self.empty_since = now;
            }
            self.adopt(replacement);
        } else if is_changed {
            self.replacement = Some(replacement);
            if is_empty {
                self.due = AT_ONCE;
                self.empty_since = now;
            }
        } else if is_ending && self.replacement.is_some() {
            self.replacement = Some(replacement);
        } else if self.is_unsignalled() && self.is_asked() {
            self.replacement = Some(replacement);
            self.policy = entry.policy;
        } else {
            self.replacement = None;
            self.policy = entry.policy;
        }
    }

    pub fn become_ready(&mut self) {
        if let Some(life) = self.life.as_mut().filter(|life| life.is_starting()) {
            life.was_ready = true;
            self.failed_starts = 0;
            self.is_away = false;
        }
    }

    pub fn hang(&mut self, now: Instant) {
        let Some(life) = self.life.as_mut().filter(|life| life.is_ready()) else { return };
        life.has_hung = true;
        if self.wanted != Wanted::Up {
            return;
        }
        match self.policy.restart {
            Restart::Never if self.replacement.is_some() => {}
            Restart::Never => self.wanted = Wanted::Ended(None),
            Restart::Always | Restart::OnFailure => self.fail(now),
        }
    }

    pub fn pass_time(&mut self, now: Instant) {
        let Readiness::Lived { after } = self.policy.ready else { return };
        if self.life.as_ref().is_some_and(|life| life.has_lived(after, now)) {
            self.become_ready();
        }
    }

    /// Returns the failure that ended the slot, if it was one that did.
    pub fn lose_leader(&mut self, exit: Exit, now: Instant) -> Option<Exit> {
        let life = self.life.as_mut()?;
        life.has_leader = false;
        let is_success = exit == Exit::Code(0);
        if life.was_signalled() {
            if !life.has_hung || self.wanted != Wanted::Ended(None) {
                return None;
            }
            let failure = if is_success { Exit::Code(1) } else { exit };
            self.wanted = Wanted::Ended(Some(failure));
            return Some(failure);
        }
        life.killed_at = Some(now);
        self.failed_starts += u32::from(!life.was_ready);
        if self.wanted != Wanted::Up {
            return None;
        }
        let ends = match self.policy.restart {
            Restart::Always => false,
            Restart::OnFailure => is_success,
            Restart::Never => true,
        };
        if !ends {
            self.fail(now);
            return None;
        }
        if self.replacement.is_some() {
            return None;
        }
        self.wanted = Wanted::Ended(Some(exit));
        self.is_away = false;
        (!is_success).then_some(exit)
    }

    /// The worker has exec'd.
    pub fn be_execd(&mut self, now: Instant) {
        if let Some(life) = &mut self.life {
            life.execd_at.get_or_insert(now);
        }
        if self.is_ready_at_exec() {
            self.become_ready();
        }
    }

    /// There is no worker. If it was signalled on its way to its program, the failure does not count.
    pub fn fail_spawn(&mut self, now: Instant) {
        if self.life.as_ref().is_some_and(Life::was_signalled) {
            return self.be_emptied(Remains::Nothing, now);
        }
        self.failed_starts += 1;
        if self.wanted == Wanted::Up {
            self.fail(now);
        }
        self.be_emptied(Remains::Nothing, now);
    }

    pub fn be_emptied(&mut self, remains: Remains, now: Instant) {
        if remains == Remains::Nothing {
            self.life = None;
            self.empty_since = now;
            self.due = self.due_when_empty();
            if self.due == Due::Nothing {
                self.be_idle();
            }
        }
    }

    /// A spawn was carried out. `life` is that of the worker, if there is one.
    pub fn be_spawned(&mut self, worker: WorkerId, life: Option<Life>) {
        if let Some(replacement) = self.replacement.take() {
            self.adopt(replacement);
            self.was_replaced = true;
            self.forget_failures();
        }
        self.generation = worker.generation;
        self.due = AT_ONCE;
        self.life = life;
    }

    pub fn be_killed(&mut self, now: Instant) {
        self.be_signalled(now);
        if let Some(life) = &mut self.life {
            life.killed_at = Some(now);
        }
    }

    /// A first signal to a worker that is wanted up, not ready and not to be replaced can only mean that it was never
    /// ready.
    pub fn be_signalled(&mut self, now: Instant) {
        let Some(life) = &mut self.life else { return };
        let is_first = life.is_unsignalled();
        if !life.was_signalled() {
            life.signalled_at = Some(now);
            life.grace = self.policy.grace;
        }
        let (was_ready, has_hung) = (life.was_ready, life.has_hung);
        let is_restarted = std::mem::take(&mut self.asked) == Asked::Restart;
        if !is_restarted && is_first && self.wanted == Wanted::Up {
            if self.replacement.is_none() && !was_ready {
                self.failed_starts += 1;
                self.fail(now);
            }
            self.is_away |= self.replacement.is_some() && was_ready && !has_hung;
        }
    }

    /// A worker has failed and is to be followed by another.
    fn fail(&mut self, now: Instant) {
        self.limit = self.policy.max_restarts;
        let Some(MaxRestarts { count, within }) = self.policy.max_restarts else {
            self.failed_at.clear();
            self.has_too_many_restarts = false;
            return;
        };
        self.failed_at.retain(|at| now < *at + within);
        self.failed_at.push(now);
        self.has_too_many_restarts |= self.failed_at.len() > count.get() as usize;
    }

    fn forget_failures(&mut self) {
        self.failed_starts = 0;
        self.failed_at.clear();
        self.has_too_many_restarts = false;
    }

    fn be_idle(&mut self) {
        self.due = Due::Nothing;
        if let Some(replacement) = self.replacement.take() {
            self.adopt(replacement);
        }
        self.was_replaced = false;
        self.is_away = false;
    }

    fn adopt(&mut self, replacement: Replacement) {
        self.policy = replacement.policy;
        self.revision = replacement.revision;
    }
}
