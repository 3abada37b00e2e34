//! What an observer knows of one slot: wishes, births, signals and deaths, and what must follow from them.

use std::time::{Duration, Instant};

use pm::supervisor::{
    Exit, MaxRestarts, Policy, PoolId, Readiness, Remains, Restart, SlotEntry, SlotId, WorkerId,
};

use crate::life::Life;

#[derive(Clone, Debug)]
pub struct Facts {
    pub slot: SlotId,
    pub pool: PoolId,
    /// What the worker that is there is kept by, or the next one.
    pub policy: Policy,
    pub wish: Wish,
    /// The worker that fills it, from its spawn until its group is empty.
    pub life: Option<Life>,
    pub generation: u64,
    /// Failed starts in a row.
    pub failed_starts: u32,
    /// When its workers failed of late, each time to be replaced.
    pub failures: Vec<Instant>,
    /// How many of them its policy bore at the last.
    pub borne: Option<MaxRestarts>,
    /// It failed once more than its policy bears.
    pub failed_too_often: bool,
    /// What it is due while it is empty, settled when it became so.
    pub due: Due,
    pub empty_since: Instant,
    /// Its worker is not what the plan wants: the next is to be kept by this.
    pub stale: Option<Policy>,
    /// It was renewed in the roll that is under way in its pool.
    pub renewed: bool,
    /// A roll took its worker away while it served, and the next does not serve yet.
    pub away: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// It is in the plan, and nobody has said anything of it yet.
    Unsaid,
    Up,
    Down,
    /// It ended by itself and its policy wants no other.
    Ended {
        well: bool,
    },
    /// The plan no longer has it.
    Gone,
}

/// What an empty slot is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    Nobody,
    /// A worker, as soon as the pools that its own comes after are ready.
    Turn,
    GivenUp,
    /// Nobody, for it was replaced too often.
    TooOften,
    /// The next worker, not before this much rest, and not later than a tenth more.
    Worker {
        rest: Duration,
    },
}

const AT_ONCE: Due = Due::Worker { rest: Duration::ZERO };

impl Facts {
    pub fn new(entry: &SlotEntry, now: Instant) -> Self {
        Self {
            slot: entry.slot,
            pool: entry.pool,
            policy: entry.policy,
            wish: Wish::Unsaid,
            life: None,
            generation: 0,
            failed_starts: 0,
            failures: Vec::new(),
            borne: None,
            failed_too_often: false,
            due: Due::Nobody,
            empty_since: now,
            stale: None,
            renewed: false,
            away: false,
        }
    }

    /// What the slot is due if it is empty, or will be if it is empty soon.
    pub fn prospect(&self) -> Due {
        if self.life.is_none() { self.due } else { self.sequel() }
    }

    /// What comes after a worker that is gone now.
    fn sequel(&self) -> Due {
        let rest = &self.policy.backoff;
        let most = match self.policy.restart {
            Restart::Never => 1,
            Restart::Always | Restart::OnFailure => {
                rest.give_up_after.map_or(u32::MAX, |most| most.get())
            }
        };
        if self.wish != Wish::Up {
            Due::Nobody
        } else if self.stale.is_some() {
            AT_ONCE
        } else if self.failed_starts >= most {
            Due::GivenUp
        } else if self.failed_too_often {
            Due::TooOften
        } else {
            let doublings = self.failed_starts.saturating_sub(2).min(20);
            let wait = (rest.first * 2_u32.pow(doublings)).min(rest.max);
            Due::Worker { rest: if self.failed_starts < 2 { Duration::ZERO } else { wait } }
        }
    }

    /// True if a worker serves as soon as it has exec'd.
    pub fn is_born_ready(&self) -> bool {
        self.policy.ready == Readiness::Lived { after: Duration::ZERO }
    }

    pub fn has_probe(&self) -> bool {
        matches!(self.policy.ready, Readiness::Probe { .. })
    }

    /// True if the time to become ready is over at `now`, and it did not.
    pub fn missed_ready(&self, now: Instant) -> bool {
        let Readiness::Probe { within } = self.policy.ready else { return false };
        self.life.as_ref().is_some_and(|life| life.is_unready() && now >= life.born + within)
    }

    pub fn serves(&self) -> bool {
        self.life.as_ref().is_some_and(Life::serves)
    }

    /// Alive and not told to go.
    pub fn is_undisturbed(&self) -> bool {
        self.life.as_ref().is_some_and(Life::is_undisturbed)
    }

    /// True if it is to be down: by command, by plan, or because nobody has said yet that it is to be up.
    pub fn is_to_go(&self) -> bool {
        matches!(self.wish, Wish::Down | Wish::Gone | Wish::Unsaid)
    }

    /// It is to go, and something of it is left.
    pub fn is_leaving(&self) -> bool {
        self.life.is_some() && self.is_to_go()
    }

    /// True if those that come after its pool need not wait for it.
    pub fn is_met(&self) -> bool {
        match self.wish {
            Wish::Unsaid => false,
            Wish::Up => self.serves(),
            Wish::Down | Wish::Gone => true,
            Wish::Ended { well } => well && self.life.is_none(),
        }
    }

    /// It is about to be renewed or was, and does not serve: the roll of its pool waits for it.
    pub fn holds_the_roll(&self) -> bool {
        self.wish == Wish::Up && (self.stale.is_some() || self.renewed) && !self.serves()
    }

    /// True if nothing more comes of it: it ended, or gave up.
    pub fn is_at_an_end(&self) -> bool {
        let ended = matches!(self.wish, Wish::Ended { .. });
        self.life.is_none() && (ended || matches!(self.due, Due::GivenUp | Due::TooOften))
    }

    /// Nothing of it is left, and the plan has no such slot.
    pub fn is_forgotten(&self) -> bool {
        self.wish == Wish::Gone && self.life.is_none()
    }

    /// Somebody asks for it: what went before no longer counts, unless it is on its way up already.
    pub fn start(&mut self, now: Instant) {
        let ends = !self.is_undisturbed();
        let gave_up = ends && matches!(self.prospect(), Due::GivenUp | Due::TooOften);
        if self.wish == Wish::Up && !gave_up {
            return;
        }
        if self.life.is_none() {
            self.due = if gave_up { AT_ONCE } else { Due::Turn };
            self.empty_since = now;
        }
        self.wish = Wish::Up;
        self.forget_failures();
    }

    pub fn stop(&mut self) {
        if self.wish != Wish::Gone {
            self.wish = Wish::Down;
        }
        self.is_wanted_no_more();
    }

    pub fn remove(&mut self) {
        self.wish = Wish::Gone;
        self.is_wanted_no_more();
    }

    fn is_wanted_no_more(&mut self) {
        self.away = false;
        if self.life.is_none() {
            self.lie_idle();
        }
    }

    /// The plan has it, perhaps again.
    pub fn revise(&mut self, entry: &SlotEntry, now: Instant) {
        if self.wish == Wish::Gone {
            self.wish = Wish::Unsaid;
        }
        self.pool = entry.pool;
        let is_leaving = self.life.is_some() && !self.is_undisturbed();
        let is_empty = self.life.is_none();
        if is_empty && matches!(self.due, Due::Nobody | Due::Turn) {
            self.policy = entry.policy;
        } else if entry.is_changed {
            self.stale = Some(entry.policy);
            if is_empty {
                self.due = AT_ONCE;
                self.empty_since = now;
            }
        } else if is_leaving && self.stale.is_some() {
            self.stale = Some(entry.policy);
        } else {
            self.stale = None;
            self.policy = entry.policy;
        }
    }

    pub fn said_to_serve(&mut self) {
        if let Some(life) = self.life.as_mut().filter(|life| life.is_unready()) {
            life.ready = true;
            self.failed_starts = 0;
            self.away = false;
        }
    }

    pub fn said_to_hang(&mut self, now: Instant) {
        let Some(life) = self.life.as_mut().filter(|life| life.serves()) else { return };
        life.hung = true;
        if self.wish != Wish::Up {
            return;
        }
        match self.policy.restart {
            Restart::Never => self.wish = Wish::Ended { well: false },
            Restart::Always | Restart::OnFailure => self.fails(now),
        }
    }

    pub fn time_passed(&mut self, now: Instant) {
        let Readiness::Lived { after } = self.policy.ready else { return };
        if self.life.as_ref().is_some_and(|life| now >= life.born + after) {
            self.said_to_serve();
        }
    }

    /// The failure that its slot ended with, if that was the end of the slot too.
    pub fn leader_died(&mut self, exit: Exit, now: Instant) -> Option<Exit> {
        let life = self.life.as_mut()?;
        life.led = false;
        let is_success = exit == Exit::Code(0);
        if life.asked.is_some() || life.killed.is_some() {
            let ended = life.hung && self.wish == Wish::Ended { well: false };
            return ended.then_some(if is_success { Exit::Code(1) } else { exit });
        }
        life.killed = Some(now);
        self.failed_starts += u32::from(!life.ready);
        if self.wish != Wish::Up {
            return None;
        }
        let ended = match self.policy.restart {
            Restart::Always => false,
            Restart::OnFailure => is_success,
            Restart::Never => true,
        };
        if !ended {
            self.fails(now);
            return None;
        }
        self.wish = Wish::Ended { well: is_success };
        self.away = false;
        (!is_success).then_some(exit)
    }

    /// There was no way to start it.
    pub fn unspawned(&mut self, now: Instant) {
        self.failed_starts += 1;
        if self.wish == Wish::Up {
            self.fails(now);
        }
        self.emptied(Remains::Nothing, now);
    }

    pub fn emptied(&mut self, remains: Remains, now: Instant) {
        if remains == Remains::Nothing {
            self.life = None;
            self.empty_since = now;
            self.due = self.sequel();
            if self.due == Due::Nobody {
                self.lie_idle();
            }
        }
    }

    pub fn spawned(&mut self, worker: WorkerId, succeeded: bool, now: Instant) {
        if let Some(policy) = self.stale.take() {
            self.policy = policy;
            self.renewed = true;
            self.forget_failures();
        }
        self.generation = worker.generation;
        self.due = AT_ONCE;
        if succeeded {
            self.life = Some(Life::new(worker, now));
        }
    }

    /// A signal to one who is wanted up, does not serve and is what the plan wants can only mean that its start took
    /// too long.
    pub fn signalled(&mut self, kill: bool, now: Instant) {
        let Some(life) = &mut self.life else { return };
        let undisturbed = life.is_undisturbed();
        if life.killed.is_none() && life.asked.is_none() {
            life.asked = Some(now);
            life.grace = self.policy.grace;
        }
        if kill {
            life.killed = Some(now);
        }
        let (ready, hung) = (life.ready, life.hung);
        if undisturbed && self.wish == Wish::Up {
            if self.stale.is_none() && !ready {
                self.failed_starts += 1;
                self.fails(now);
            }
            self.away |= self.stale.is_some() && ready && !hung;
        }
    }

    /// It is to be replaced because it fails.
    fn fails(&mut self, now: Instant) {
        self.borne = self.policy.max_restarts;
        let Some(MaxRestarts { count, within }) = self.policy.max_restarts else {
            self.failures.clear();
            self.failed_too_often = false;
            return;
        };
        self.failures.retain(|at| now < *at + within);
        self.failures.push(now);
        self.failed_too_often |= self.failures.len() > count.get() as usize;
    }

    fn forget_failures(&mut self) {
        self.failed_starts = 0;
        self.failures.clear();
        self.failed_too_often = false;
    }

    fn lie_idle(&mut self) {
        self.due = Due::Nobody;
        self.policy = self.stale.take().unwrap_or(self.policy);
        self.renewed = false;
        self.away = false;
    }
}
