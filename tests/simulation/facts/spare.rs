//! What an observer knows of the two workers that a slot may have besides its current one, and what is due of them.

use std::time::{Duration, Instant};

use pm::supervisor::{Policy, Remains, Revision, SpareRule, Wanted, WorkerId};

use super::{Due, Facts, Replacement};
use crate::life::Life;

/// The spare and the retiring worker of a slot.
#[derive(Clone, Debug, Default)]
pub struct Others {
    /// From the moment it is prepared until it is admitted or its group is empty.
    pub spare: Option<Spare>,
    /// The worker that a spare has replaced, until its group is empty.
    pub retiring: Option<Life>,
    /// The spare that has failed last, unless another one has waited or was asked for since.
    pub failed: Option<FailedSpare>,
    /// Its ready worker is to be replaced now, by a spare.
    pub has_turn: bool,
}

#[derive(Clone, Debug)]
pub struct Spare {
    pub life: Life,
    /// What it was prepared by.
    pub policy: Policy,
    pub waits_since: Option<Instant>,
    pub has_failed: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct FailedSpare {
    pub revision: Revision,
    /// Failures in a row.
    pub failures: u32,
    /// No other one is prepared before; never if `None`.
    pub next_at: Option<Instant>,
    /// Up to a tenth later.
    pub late_at: Instant,
    /// Since then its slot has shared spares: one that has none of them any more forgets what has failed.
    pub is_shared: bool,
}

/// Which spare a slot must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpareDue {
    None,
    /// One that is there may stay.
    Any,
    /// As `One`, if this slot is among those that hold the spares of their pool.
    May(Revision),
    One(Revision),
}

impl Others {
    /// The life of this worker, if it is one of them.
    pub fn life(&self, worker: WorkerId) -> Option<&Life> {
        self.lives().find(|life| life.worker == worker)
    }

    pub fn lives(&self) -> impl Iterator<Item = &Life> {
        self.spare.iter().map(|spare| &spare.life).chain(&self.retiring)
    }

    pub fn are_gone(&self) -> bool {
        self.spare.is_none() && self.retiring.is_none()
    }

    /// True if this worker is the spare.
    pub fn is_spare(&self, worker: WorkerId) -> bool {
        self.spare.as_ref().is_some_and(|spare| spare.life.worker == worker)
    }
}

impl Spare {
    /// It has started and was not signalled.
    pub fn waits(&self) -> bool {
        self.waits_since.is_some() && self.life.is_unsignalled()
    }

    /// It did not come to its bind in time.
    pub fn has_never_waited(&self, now: Instant) -> bool {
        let within = self.policy.spare.within().unwrap_or_default();
        let is_starting = self.waits_since.is_none() && self.life.is_unsignalled();
        let is_starting = is_starting && !self.has_failed;
        is_starting && now >= self.life.spawned_at + within
    }

    /// It has waited for as long as it may.
    pub fn is_too_old(&self, now: Instant) -> bool {
        let Some(age) = max_age(self.policy.spare) else { return false };
        self.life.is_unsignalled() && self.waits_since.is_some_and(|since| now >= since + age)
    }
}

impl Facts {
    /// True if a ready worker is replaced by a spare.
    pub fn has_spares(&self) -> bool {
        let next = self.replacement.map_or(self.policy.spare, |next| next.policy.spare);
        self.policy.spare != SpareRule::Never && next != SpareRule::Never
    }

    /// When a spare must be prepared, if none is there and nothing happens before.
    pub fn spare_deadline(&self) -> Option<Instant> {
        let is_due = self.wanted == Wanted::Up && self.is_ready();
        let has_none = self.others.spare.is_none() && self.others.failed.is_none();
        let SpareRule::Always { after, .. } = self.next_worker().policy.spare else { return None };
        let ready_at = self.life.as_ref().and_then(|life| life.ready_at);
        ready_at.filter(|_| is_due && has_none).map(|at| at + after)
    }

    /// True if its next spare may be one of its pool.
    pub fn shares_spares(&self) -> bool {
        matches!(self.next_worker().policy.spare, SpareRule::Shared { .. })
    }

    /// True if its spare is one of its pool, and no signal was sent to it. One that the plan does not want any more is
    /// none, but may stay until the next worker is there.
    pub fn has_shared_spare(&self) -> bool {
        let is_wanted = |spare: &Spare| spare.life.revision == self.planned;
        let is_there = |spare: &Spare| spare.life.is_unsignalled() && is_wanted(spare);
        let is_there = self.others.spare.as_ref().is_some_and(is_there);
        self.shares_spares() && !self.others.has_turn && is_there
    }

    /// True if it may be among those that hold the spares of their pool, although it has none: it has failed, or its
    /// worker is not ready, or not for long enough.
    pub fn may_hold_no_spare_yet(&self, now: Instant) -> bool {
        let is_up = self.wanted == Wanted::Up && self.shares_spares();
        is_up && (self.others.failed.is_some() || self.is_coming_up() || !self.was_ready_for(now))
    }

    /// True if it has been ready for so long that it may have a spare of its pool.
    fn was_ready_for(&self, now: Instant) -> bool {
        self.shared_deadline().is_some_and(|at| at <= now || self.others.failed.is_some())
    }

    /// When a spare of its pool is prepared beside its worker, if it is among those that have one.
    pub fn shared_deadline(&self) -> Option<Instant> {
        let has_shared = self.others.failed.is_some_and(|failed| failed.is_shared);
        let after = match self.next_worker().policy.spare {
            SpareRule::Shared { after, .. } => after,
            // Perhaps it has forgotten what has failed.
            SpareRule::Always { after, .. } if has_shared => after,
            SpareRule::Always { .. } | SpareRule::ToReplace { .. } | SpareRule::Never => {
                return None;
            }
        };
        let ready_at = self.life.as_ref().and_then(|life| life.ready_at);
        ready_at.filter(|_| self.is_ready()).map(|at| at + after)
    }

    fn next_worker(&self) -> Replacement {
        let own = Replacement { revision: self.revision, policy: self.policy };
        self.replacement.unwrap_or(own)
    }

    /// True if it has a worker, or is to have one, that is not ready.
    pub fn is_coming_up(&self) -> bool {
        let is_on_its_way = self.life.is_some() || matches!(self.due, Due::Spawn { .. });
        self.wanted == Wanted::Up && !self.is_ready() && is_on_its_way
    }

    /// True if the worker serves on that a spare has replaced: until the next one is ready, and also if none comes up.
    pub fn needs_retiring(&self) -> bool {
        let gave_up = self.wanted == Wanted::Up && self.has_given_up();
        self.is_coming_up() || gave_up
    }

    pub fn spare_due(&self, now: Instant) -> SpareDue {
        if self.wanted != Wanted::Up {
            return SpareDue::None;
        }
        if self.is_ready() {
            let Replacement { revision, policy } = self.next_worker();
            let waits = self.spare_deadline().is_some_and(|at| now < at);
            return match policy.spare {
                SpareRule::Always { .. } if waits && !self.others.has_turn => SpareDue::Any,
                SpareRule::Always { .. } => SpareDue::One(revision),
                SpareRule::ToReplace { .. } | SpareRule::Shared { .. } if self.others.has_turn => {
                    SpareDue::One(revision)
                }
                SpareRule::Shared { .. } if self.was_ready_for(now) => SpareDue::May(revision),
                SpareRule::Shared { .. } => SpareDue::Any,
                SpareRule::ToReplace { .. } | SpareRule::Never => SpareDue::None,
            };
        }
        if self.is_coming_up() { SpareDue::Any } else { SpareDue::None }
    }

    /// True if this spare may stay. It may not once a later worker was spawned: generations never go back.
    pub fn wants(&self, spare: &Spare, now: Instant) -> bool {
        spare.life.worker.generation > self.generation
            && match self.spare_due(now) {
                SpareDue::None => false,
                SpareDue::Any => true,
                SpareDue::One(revision) | SpareDue::May(revision) => {
                    revision == spare.life.revision
                }
            }
    }

    /// The failure that keeps a spare of this revision from being prepared.
    pub fn spare_failure(&self, revision: Revision) -> Option<FailedSpare> {
        self.others.failed.filter(|failed| failed.revision == revision)
    }

    /// Its turn to be replaced by a spare has come.
    pub fn take_turn(&mut self) {
        self.others.has_turn = true;
        self.others.failed = None;
    }

    pub fn prepare_spare(&mut self, worker: WorkerId, revision: Revision, now: Instant) {
        let planned = self.replacement.filter(|next| next.revision == revision);
        let policy = planned.map_or(self.policy, |next| next.policy);
        self.last_generation = worker.generation;
        if self.spare_failure(revision).is_none() {
            self.others.failed = None;
        }
        let life = Life { grace: policy.grace, ..Life::new(worker, revision, now) };
        self.others.spare = Some(Spare { life, policy, waits_since: None, has_failed: false });
    }

    /// Its spare is one of another slot from now on.
    pub fn lend_spare(&mut self) -> Option<Spare> {
        self.others.spare.take()
    }

    /// The spare of another slot is its own from now on.
    pub fn borrow_spare(&mut self, spare: Spare, worker: WorkerId, revision: Revision) {
        let policy = self.next_worker().policy;
        self.last_generation = worker.generation;
        self.others.failed = None;
        let life = Life { worker, revision, grace: policy.grace, ..spare.life };
        self.others.spare = Some(Spare { life, policy, ..spare });
    }

    /// The spare is the current worker now. One that is there retires.
    pub fn admit_spare(&mut self, now: Instant) {
        let Some(Spare { life, waits_since, .. }) = self.others.spare.take() else { return };
        if let Some(life) = self.life.take() {
            self.others.retiring = Some(Life { grace: self.policy.grace, ..life });
        }
        self.others.failed = None;
        let has_execd = life.execd_at.is_some() || waits_since.is_some();
        let life = Life { spawned_at: now, execd_at: has_execd.then_some(now), ..life };
        self.be_spawned(life.worker, Some(life));
        if has_execd && self.is_ready_at_exec() {
            self.become_ready(now);
        }
    }

    /// The spare has come to its bind.
    pub fn be_waiting(&mut self, now: Instant) {
        if let Some(spare) = self.others.spare.as_mut().filter(|spare| spare.life.is_unsignalled())
        {
            spare.waits_since.get_or_insert(now);
            self.others.failed = None;
        }
    }

    /// The leader of one of the others has exited, or it never had one.
    pub fn lose_other(&mut self, worker: WorkerId, remains: Remains, now: Instant) {
        if self.others.is_spare(worker) {
            let is_unasked =
                self.others.spare.as_ref().is_some_and(|spare| spare.life.is_unsignalled());
            if is_unasked {
                self.fail_spare(now);
            }
            if let Some(spare) = &mut self.others.spare {
                be_leaderless(&mut spare.life, now);
            }
        } else if let Some(life) = &mut self.others.retiring {
            be_leaderless(life, now);
        }
        if remains == Remains::Nothing {
            self.empty_other(worker);
        }
    }

    pub fn empty_other(&mut self, worker: WorkerId) {
        if !self.others.is_spare(worker) {
            self.others.retiring = None;
        } else if self.others.spare.take().is_some_and(|spare| !spare.has_failed) {
            self.others.failed = None;
        }
    }

    fn fail_spare(&mut self, now: Instant) {
        let Some(spare) = &mut self.others.spare else { return };
        spare.has_failed = true;
        let (rules, revision) = (spare.policy.backoff, spare.life.revision);
        let before = self.others.failed.map_or(0, |failed| failed.failures);
        let failures = before + 1;
        let gives_up = rules.give_up_after.is_some_and(|limit| failures >= limit.get());
        let doublings = failures.saturating_sub(2).min(20);
        let wait = (rules.first * 2_u32.pow(doublings)).min(rules.max);
        let wait = if failures < 2 { Duration::ZERO } else { wait };
        let next_at = (!gives_up).then_some(now + wait);
        let late_at = now + crate::laws::longest(wait);
        let is_shared = matches!(spare.policy.spare, SpareRule::Shared { .. })
            || self.others.failed.is_some_and(|failed| failed.is_shared);
        self.others.failed = Some(FailedSpare { revision, failures, next_at, late_at, is_shared });
    }

    /// A signal was sent to one of the others.
    pub fn signal_other(&mut self, worker: WorkerId, is_kill: bool, now: Instant) {
        let Others { spare, retiring, .. } = &mut self.others;
        let spare = spare.as_mut().map(|spare| &mut spare.life);
        let mut lives = spare.into_iter().chain(retiring);
        let Some(life) = lives.find(|life| life.worker == worker) else { return };
        if !life.was_signalled() {
            life.signalled_at = Some(now);
        }
        if is_kill {
            life.killed_at = Some(now);
        }
    }

    /// A spare that has not come to its bind in time has failed.
    pub fn judge_spare(&mut self, now: Instant) {
        if self.others.spare.as_ref().is_some_and(|spare| spare.has_never_waited(now)) {
            self.fail_spare(now);
        }
    }

    /// Every life of the slot: that of its worker, of its spare and of the worker that a spare has replaced.
    pub fn lives(&self) -> impl Iterator<Item = &Life> {
        self.life.iter().chain(self.others.lives())
    }

    /// True if nothing is under way with its spare.
    pub fn is_spare_quiet(&self) -> bool {
        let is_ageless =
            self.others.spare.as_ref().is_none_or(|spare| max_age(spare.policy.spare).is_none());
        let waits = self.others.spare.as_ref().is_none_or(Spare::waits);
        let is_done = waits && is_ageless && self.others.retiring.is_none();
        is_done
            && (self.others.spare.is_some() || !self.shares_spares())
            && self.spare_deadline().is_none()
            && self.others.failed.is_none_or(|failed| failed.next_at.is_none() && !failed.is_shared)
    }

    /// True if a spare is due and none waits, and the slot has not given up on one.
    pub fn is_spare_missing(&self, now: Instant) -> bool {
        if self.spare_deadline().is_some() {
            return true;
        }
        let SpareDue::One(revision) = self.spare_due(now) else { return false };
        let waits = self.others.spare.as_ref().is_some_and(Spare::waits);
        let gave_up = self.spare_failure(revision).is_some_and(|failed| failed.next_at.is_none());
        let is_aged = max_age(self.policy.spare).is_some();
        !waits && !gave_up && !is_aged
    }

    /// True if its ready worker is to be replaced by a spare and no more spares are tried.
    pub fn has_given_up_on_its_turn(&self) -> bool {
        self.others.has_turn && self.others.failed.is_some_and(|failed| failed.next_at.is_none())
    }

    /// What has failed is forgotten when no spare is due.
    pub fn settle_spare(&mut self, now: Instant) {
        let is_due = matches!(self.spare_due(now), SpareDue::One(_) | SpareDue::May(_));
        if self.others.spare.is_none() && !is_due {
            self.others.failed = None;
        }
        let is_shared = self.shares_spares();
        if let Some(failed) = &mut self.others.failed {
            failed.is_shared |= is_shared;
        }
    }
}

fn max_age(rule: SpareRule) -> Option<Duration> {
    match rule {
        SpareRule::Always { max_age, .. } | SpareRule::Shared { max_age, .. } => max_age,
        SpareRule::Never | SpareRule::ToReplace { .. } => None,
    }
}

fn be_leaderless(life: &mut Life, now: Instant) {
    if !life.was_signalled() {
        life.killed_at = Some(now);
    }
    life.has_leader = false;
}
