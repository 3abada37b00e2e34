//! A small reactor between the fake kernel and the supervisor, and the virtual clock of all three.
//!
//! It keeps the two promises that the supervisor relies on: a pid becomes a worker in the call that reaps it, and
//! every wakeup does its work in the same order. It promises nothing else: wakeups come late or for no reason, and
//! events come late, twice, or about older workers (`chance.rs`).

mod chance;
mod starts;

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use fastrand::Rng;
use pm::supervisor::{Action, Event, Exit, Phase, Remains, Slot, Supervisor, Wanted, WorkerId};

use self::chance::{below_one_of, one_of};
use crate::coverage::Coverage;
use crate::kernel::{Kernel, Pid, Signal};
use crate::laws::{self, Answer, Broken, Settled, Told};
use crate::life::Life;
use crate::plans::Plans;
use crate::record::{Record, worker_of};

pub struct Rig {
    rng: Rng,
    epoch: Instant,
    now: Instant,
    kernel: Kernel,
    supervisor: Supervisor,
    plans: Plans,
    record: Record,
    /// Leaders that are not reaped yet.
    leaders: BTreeMap<Pid, WorkerId>,
    /// Groups that have outlived their leader.
    leaderless: BTreeMap<Pid, WorkerId>,
    /// Leaders that are on their way to their programs, and when they will be there.
    starts: Vec<(Instant, Pid, WorkerId)>,
    /// Events that peripherals will report, and when.
    mail: Vec<(Instant, Event)>,
    /// Wakeups and events come when they should.
    is_calm: bool,
    pub coverage: Coverage,
    is_traced: bool,
}

impl Rig {
    pub fn new(seed: u64, is_traced: bool) -> Self {
        let mut rng = Rng::with_seed(seed);
        let plans = Plans::new(rng.fork());
        let now = Instant::now();
        if is_traced {
            print_plan(&plans);
        }
        Self {
            kernel: Kernel::new(plans.spec.slots.len(), rng.fork(), now),
            record: Record::new(&plans.spec, now),
            supervisor: Supervisor::new(plans.spec.clone()),
            plans,
            rng,
            epoch: now,
            now,
            leaders: BTreeMap::new(),
            leaderless: BTreeMap::new(),
            starts: Vec::new(),
            mail: Vec::new(),
            is_calm: false,
            coverage: Coverage::default(),
            is_traced,
        }
    }

    /// Random commands, plans and wishes, and a kernel that fails wherever it may.
    pub fn run_chaos(&mut self, wakeups: RangeInclusive<u32>) -> Result<(), Broken> {
        let slots = self.plans.all_slots();
        let rng = &mut self.rng;
        let boot = slots.filter(|_| rng.u32(0..8) > 0).map(Event::Start).collect();
        self.wake(Vec::new(), boot)?;
        let wakeups_per_command = one_of(&mut self.rng, [2, 8, 64]);
        let wakeups_per_plan = one_of(&mut self.rng, [4, 16, 64, u32::MAX]);
        for _ in 0..self.rng.u32(wakeups) {
            if self.rng.u32(0..wakeups_per_plan) == 0 {
                self.change_the_plan()?;
            }
            let is_commanded = self.rng.u32(0..wakeups_per_command) == 0;
            let commands = if is_commanded { self.command() } else { Vec::new() };
            let wishes = self.rare_wishes();
            let is_spurious = self.rng.u32(0..8) == 0;
            self.sleep(is_spurious || is_commanded || !wishes.is_empty());
            self.wake(wishes, commands)?;
            if self.record.is_finished() && self.rng.u32(0..8) == 0 {
                break;
            }
        }
        Ok(())
    }

    /// The kernel fails no more: in bounded time every slot that is wanted up is ready, or has given up or ended.
    pub fn run_calm(&mut self) -> Result<(), Broken> {
        self.kernel.calm_down();
        self.is_calm = true;
        self.mail.retain(|(_, event)| !matches!(event, Event::Hung(_)));
        if self.rng.bool() {
            self.change_the_plan()?;
        }
        let boot = self.plans.all_slots().filter(|_| self.rng.bool()).map(Event::Start).collect();
        self.wake(Vec::new(), boot)?;
        for (pid, worker) in self.leaders.clone() {
            if !self.starts.iter().any(|(_, leader, _)| *leader == pid) {
                self.be_ready_soon(worker);
                self.wait_soon(worker);
            }
        }
        let enough = self.now + self.patience();
        while self.next_moment().is_some_and(|moment| moment <= enough) {
            self.sleep(false);
            self.wake(Vec::new(), Vec::new())?;
        }
        laws::check_calm(&self.settled(None))
    }

    /// A wish to stop, and perhaps more of them; then enough time for every worker to be gone.
    pub fn stop(&mut self) -> Result<(), Broken> {
        let first = self.wishes();
        self.wake(first, Vec::new())?;
        let enough = self.now + self.patience();
        let wakeups_per_wish = one_of(&mut self.rng, [2, 4, u32::MAX]);
        while self.next_moment().is_some_and(|moment| moment <= enough) {
            if self.rng.u32(0..32) == 0 {
                self.change_the_plan()?;
            }
            self.sleep(false);
            let is_wished = self.rng.u32(0..wakeups_per_wish) == 0;
            let wishes = if is_wished { self.wishes() } else { Vec::new() };
            self.wake(wishes, Vec::new())?;
        }
        if self.rng.bool() {
            let last = self.wishes();
            self.wake(last, Vec::new())?;
        }
        laws::check_end(&self.settled(None))
    }

    /// Lets time pass until something happens, or, if the wakeup is spurious, until some earlier moment.
    fn sleep(&mut self, is_spurious: bool) {
        let some_time = below_one_of(&mut self.rng, [10, 200, 2_000]);
        let moment = self.next_moment().unwrap_or(self.now + some_time);
        let early = if is_spurious { moment.min(self.now + some_time) } else { moment };
        let is_late = !self.is_calm && self.rng.u32(0..8) == 0;
        self.now = early.max(self.now) + if is_late { some_time / 8 } else { Duration::ZERO };
        self.kernel.run_until(self.now);
    }

    /// When something happens next: a death, an event of a peripheral, or a deadline.
    fn next_moment(&self) -> Option<Instant> {
        let mail = self.mail.iter().map(|(at, _)| *at).min();
        let start = self.starts.iter().map(|(at, ..)| *at).min();
        let moments = [self.kernel.next_death(), mail, start, self.supervisor.next_deadline()];
        moments.into_iter().flatten().min()
    }

    /// One wakeup, in the fixed order: the clock (`now` is the same throughout), wishes, dead children, peripherals,
    /// tick.
    ///
    /// There is one wakeup for any number of dead children: SIGCHLD coalesces. A wish may come while they are reaped.
    fn wake(&mut self, wishes: Vec<Event>, commands: Vec<Event>) -> Result<(), Broken> {
        let (before, between) =
            if self.rng.bool() { (wishes, Vec::new()) } else { (Vec::new(), wishes) };
        before.into_iter().try_for_each(|wish| self.tell(wish))?;
        self.end_starts_of_dead()?;
        if let Some((pid, exit)) = self.kernel.reap() {
            self.take_dead(pid, exit)?;
        }
        between.into_iter().try_for_each(|wish| self.tell(wish))?;
        self.end_starts_of_dead()?;
        while let Some((pid, exit)) = self.kernel.reap() {
            self.take_dead(pid, exit)?;
            self.end_starts_of_dead()?;
        }
        self.end_starts()?;
        for event in self.arrived().into_iter().chain(commands) {
            self.tell(event)?;
        }
        self.tell(Event::Tick)
    }

    /// Finds the worker of a dead child, sweeps the group of a leader that was not terminated, and reports groups that
    /// are empty now.
    fn take_dead(&mut self, pid: Pid, exit: Exit) -> Result<(), Broken> {
        if let Some(worker) = self.leaders.remove(&pid) {
            if !self.record.any_life(worker).is_some_and(Life::keeps_grace) {
                self.kernel.signal(pid, Signal::Kill);
            }
            let remains = if self.kernel.group_exists(pid) {
                self.leaderless.insert(pid, worker);
                Remains::Members
            } else {
                Remains::Nothing
            };
            self.tell(Event::Exited { worker, exit, remains })?;
        }
        let emptied = self.leaderless.keys().find(|group| !self.kernel.group_exists(**group));
        if let Some(worker) = emptied.copied().and_then(|group| self.leaderless.remove(&group)) {
            self.tell(Event::Emptied(worker))?;
        }
        Ok(())
    }

    /// Edits the plan and takes it in, perhaps twice or after a mistake, and starts what is new in it.
    fn change_the_plan(&mut self) -> Result<(), Broken> {
        if self.rng.u32(0..6) == 0 {
            let whole = self.plans.spec.clone();
            self.plans.drop_most();
            self.answer(None)?;
            laws::check_settled(&self.settled(None))?;
            self.plans.spec = whole;
        }
        loop {
            self.plans.edit(&self.record);
            if self.is_traced {
                print_plan(&self.plans);
            }
            self.answer(None)?;
            laws::check_settled(&self.settled(None))?;
            if self.rng.u32(0..4) == 0 {
                continue;
            }
            for id in self.plans.spec.slots.iter().map(|entry| entry.slot).collect::<Vec<_>>() {
                let is_new = self.record.of(id).is_some_and(|facts| facts.wanted == Wanted::Unset);
                if (is_new || self.rng.u32(0..4) == 0) && self.rng.u32(0..8) > 0 {
                    self.tell(Event::Start(id))?;
                }
            }
            return Ok(());
        }
    }

    /// One event, its answer, what follows from carrying it out, and the laws on all of it.
    fn tell(&mut self, event: Event) -> Result<(), Broken> {
        self.answer(Some(event))?;
        laws::check_settled(&self.settled(Some(event)))
    }

    /// Tells the supervisor an event, or the plan as it is now, and carries out its answer and what follows.
    fn answer(&mut self, first: Option<Event>) -> Result<(), Broken> {
        let mut events = VecDeque::from([first]);
        let mut told = 0;
        while let Some(event) = events.pop_front() {
            told += 1;
            laws::check_bound(told)?;
            let slots_before = self.slots();
            let record = self.record.clone();
            let is_idle =
                event.is_some_and(|event| laws::changes_nothing(event, &record, self.now));
            let all = is_idle.then(|| format!("{:?}", self.supervisor));
            let mut actions = Vec::new();
            match event {
                Some(event) => {
                    self.supervisor.handle(event, self.now, &mut actions);
                    self.record.note_event(event, self.now);
                }
                None => {
                    // A reactor gives no id of a slot twice: what is new here has no late events.
                    let is_known = |slot| record.of(slot).is_some();
                    self.mail.retain(|(_, event)| {
                        worker_of(*event).is_none_or(|worker| is_known(worker.slot))
                    });
                    self.supervisor.revise(self.plans.spec.clone(), self.now, &mut actions);
                    self.record.note_plan(&self.plans.spec, self.now);
                }
            }
            let told = event.map_or(Told::Plan(&self.plans.spec), Told::Event);
            self.coverage.count(told, &record, self.now, &slots_before, &actions);
            self.print(told, &actions);
            laws::check_answer(&Answer {
                told,
                now: self.now,
                actions: &actions,
                slots_before: &slots_before,
                slots: &self.slots(),
                before: &record,
                after: &self.record,
                is_changed: all.is_some_and(|all| all != format!("{:?}", self.supervisor)),
            })?;
            for action in actions {
                events.extend(self.carry_out(action).map(Some));
            }
            self.record.settle(self.now);
        }
        self.coverage.count_situations(&self.record);
        Ok(())
    }

    fn slots(&self) -> Vec<Slot> {
        self.supervisor.slots().cloned().collect()
    }

    fn settled(&self, event: Option<Event>) -> Settled<'_> {
        Settled {
            event,
            now: self.now,
            supervisor: &self.supervisor,
            record: &self.record,
            groups: self.kernel.groups(),
        }
    }

    /// Carries out one action. What became of a spawn is an event.
    fn carry_out(&mut self, action: Action) -> Option<Event> {
        let mut leader = None;
        match action {
            Action::Spawn { worker, .. } | Action::Prepare { worker, .. } => {
                leader = self.kernel.spawn(worker);
                self.leaders.extend(leader.map(|pid| (pid, worker)));
            }
            Action::Move { from, to, .. } => self.rename(from, to),
            Action::Terminate(worker) => self.signal(worker, Signal::Terminate),
            Action::Kill(worker) => self.signal(worker, Signal::Kill),
            Action::Report(_) | Action::ReportStop(_) | Action::Admit(_) => {}
            Action::Finish { .. } | Action::Leave => {}
        }
        self.record.note_action(action, leader.is_some(), self.now);
        if let Action::Admit(worker) = action
            && !self.starts.iter().any(|(_, _, starting)| *starting == worker)
        {
            // It is asked from now on whether it is ready.
            self.probe(worker);
        }
        let (Action::Spawn { worker, .. } | Action::Prepare { worker, .. }) = action else {
            return None;
        };
        if leader.is_none() {
            return Some(Event::SpawnFailed(worker));
        }
        let is_slow = !self.is_calm && self.rng.bool();
        if is_slow {
            let wait = below_one_of(&mut self.rng, [5, 200, 8_000]);
            self.starts.extend(leader.map(|pid| (self.now + wait, pid, worker)));
            return None;
        }
        self.on_execd(worker);
        Some(Event::Spawned(worker))
    }

    /// The processes of one worker are those of another from now on. What is under way about them says so.
    fn rename(&mut self, from: WorkerId, to: WorkerId) {
        self.kernel.rename(from, to);
        let groups = self.leaders.values_mut().chain(self.leaderless.values_mut());
        let starts = self.starts.iter_mut().map(|(_, _, worker)| worker);
        groups.chain(starts).filter(|worker| **worker == from).for_each(|worker| *worker = to);
    }

    fn signal(&mut self, worker: WorkerId, signal: Signal) {
        let mut groups = self.leaders.iter().chain(&self.leaderless);
        if let Some((group, _)) = groups.find(|(_, of)| **of == worker) {
            let group = *group;
            self.kernel.signal(group, signal);
            // Its start may end at this very moment too.
            for (at, ..) in self.starts.iter_mut().filter(|(_, pid, _)| *pid == group) {
                *at = self.now.min(*at);
            }
        }
    }

    /// More time than starting, stopping, killing and backing off take here, several times over.
    fn patience(&self) -> Duration {
        Duration::from_secs(300)
    }

    fn print(&self, told: Told, actions: &[Action]) {
        let is_tick = matches!(told, Told::Event(Event::Tick));
        if self.is_traced && (!is_tick || !actions.is_empty()) {
            let brief = |slot: &Slot| {
                let (id, phase) = (slot.id().0, self.brief(slot.phase()));
                format!("{id} {:?} {phase}", slot.wanted())
            };
            let phases: Vec<String> = self.supervisor.slots().map(brief).collect();
            let time = (self.now - self.epoch).as_secs_f64();
            match told {
                Told::Event(event) => println!("{time:9.4} {event:?}"),
                Told::Plan(_) => println!("{time:9.4} the plan as above"),
            }
            actions.iter().for_each(|action| println!("{:14}-> {action:?}", ""));
            println!("{:14}{}", "", phases.join("  "));
        }
    }

    fn brief(&self, phase: Phase) -> String {
        let name = crate::coverage::phase_name(phase);
        let until = phase.deadline().map(|at| format!("@{:.4}", (at - self.epoch).as_secs_f64()));
        name.to_owned() + &until.unwrap_or_default()
    }
}

fn print_plan(plans: &Plans) {
    plans.spec.pools.iter().for_each(|entry| println!("{entry:?}"));
    plans.spec.slots.iter().for_each(|entry| println!("{entry:?}"));
}
