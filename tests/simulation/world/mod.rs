//! A reactor of a few lines between the kernel and the supervisor, and the virtual clock that drives all three.
//!
//! It keeps the two promises the supervisor builds on: a pid becomes a worker in the same call that reaps it, and
//! every wakeup does its work in the same order. It promises nothing else: wakeups come late and for no reason, and
//! news arrives late, twice, or about workers long gone (`chance.rs`).

mod chance;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use fastrand::Rng;
use pm::supervisor::{Action, Event, Exit, Phase, Remains, Slot, Supervisor, WorkerId};

use self::chance::{below_one_of, one_of};
use crate::coverage::Coverage;
use crate::facts::Wish;
use crate::kernel::{Kernel, Pid, Signal};
use crate::laws::{self, Answer, Broken, Settled, Told};
use crate::plans::Plans;
use crate::record::Record;

pub struct World {
    rng: Rng,
    epoch: Instant,
    now: Instant,
    kernel: Kernel,
    supervisor: Supervisor,
    plans: Plans,
    record: Record,
    /// The leaders that are not reaped yet.
    leaders: BTreeMap<Pid, WorkerId>,
    /// The groups that outlived their leader.
    remnants: BTreeMap<Pid, WorkerId>,
    /// What peripherals will say, and when.
    mail: Vec<(Instant, Event)>,
    /// Wakeups and news come when they should.
    kind: bool,
    pub coverage: Coverage,
    trace: bool,
}

impl World {
    pub fn new(seed: u64, trace: bool) -> Self {
        let mut rng = Rng::with_seed(seed);
        let plans = Plans::new(rng.fork());
        let now = Instant::now();
        if trace {
            print_plan(&plans);
        }
        Self {
            kernel: Kernel::new(plans.roster.slots.len(), rng.fork(), now),
            record: Record::new(&plans.roster, now),
            supervisor: Supervisor::new(plans.roster.clone()),
            plans,
            rng,
            epoch: now,
            now,
            leaders: BTreeMap::new(),
            remnants: BTreeMap::new(),
            mail: Vec::new(),
            kind: false,
            coverage: Coverage::default(),
            trace,
        }
    }

    /// Commands at random, and whatever the kernel makes of them.
    pub fn live_through_chaos(&mut self, wakeups: u32) -> Result<(), Broken> {
        let slots = self.plans.ever();
        let rng = &mut self.rng;
        let boot = slots.filter(|_| rng.u32(0..8) > 0).map(Event::Start).collect();
        self.wake(None, boot)?;
        let wakeups_per_command = one_of(&mut self.rng, [2, 8, 64]);
        let wakeups_per_plan = one_of(&mut self.rng, [4, 16, 64, u32::MAX]);
        for _ in 0..wakeups {
            if self.rng.u32(0..wakeups_per_plan) == 0 {
                self.change_the_plan()?;
            }
            let commanded = self.rng.u32(0..wakeups_per_command) == 0;
            let commands = if commanded { self.command() } else { Vec::new() };
            let signal = match self.rng.u32(0..800) {
                0 | 1 => Some(Event::Kill),
                2 | 3 => Some(Event::Shutdown),
                _ => None,
            };
            let spurious = self.rng.u32(0..8) == 0;
            self.sleep(spurious || commanded || signal.is_some());
            self.wake(signal, commands)?;
            if !self.record.finished.is_empty() && self.rng.u32(0..8) == 0 {
                break;
            }
        }
        Ok(())
    }

    /// The kernel turns kind: before long everybody who is wanted serves, or has given up or ended by its policy.
    pub fn live_in_kindness(&mut self) -> Result<(), Broken> {
        self.kernel.turn_kind();
        self.kind = true;
        self.mail.retain(|(_, event)| !matches!(event, Event::Hung(_)));
        if self.rng.bool() {
            self.change_the_plan()?;
        }
        let boot = self.plans.ever().filter(|_| self.rng.bool()).map(Event::Start).collect();
        self.wake(None, boot)?;
        for worker in self.leaders.values().copied().collect::<Vec<_>>() {
            self.serves_soon(worker);
        }
        let enough = self.now + self.patience();
        while self.next_moment().is_some_and(|moment| moment <= enough) {
            self.sleep(false);
            self.wake(None, Vec::new())?;
        }
        laws::check_kindness(&self.settled(None))
    }

    /// The end, perhaps in a hurry, perhaps told twice; then enough time for everybody to be gone.
    pub fn shut_down(&mut self) -> Result<(), Broken> {
        let first = one_of(&mut self.rng, [Event::Shutdown, Event::Kill]);
        self.wake(Some(first), Vec::new())?;
        let enough = self.now + self.patience();
        let mut hurry = self.rng.bool();
        while self.next_moment().is_some_and(|moment| moment <= enough) {
            if self.rng.u32(0..32) == 0 {
                self.change_the_plan()?;
            }
            self.sleep(false);
            let signal = if hurry && self.rng.u32(0..4) == 0 {
                hurry = false;
                Some(one_of(&mut self.rng, [Event::Kill, Event::Shutdown]))
            } else {
                None
            };
            self.wake(signal, Vec::new())?;
        }
        laws::check_end(&self.settled(None))
    }

    /// Lets time pass until something happens, or for no reason until some earlier moment.
    fn sleep(&mut self, spurious: bool) {
        let whim = below_one_of(&mut self.rng, [10, 200, 2_000]);
        let moment = self.next_moment().unwrap_or(self.now + whim);
        let early = if spurious { moment.min(self.now + whim) } else { moment };
        let late = !self.kind && self.rng.u32(0..8) == 0;
        self.now = early.max(self.now) + if late { whim / 8 } else { Duration::ZERO };
        self.kernel.run_until(self.now);
    }

    /// When something happens next: a death, news, or a deadline.
    fn next_moment(&self) -> Option<Instant> {
        let mail = self.mail.iter().map(|(at, _)| *at).min();
        let moments = [self.kernel.next_death(), mail, self.supervisor.next_deadline()];
        moments.into_iter().flatten().min()
    }

    /// One wakeup, in the fixed order: the clock (it is `now` throughout), the signal, the dead, peripherals, tick.
    ///
    /// There is one wakeup however many died: SIGCHLD coalesces. Another signal may come while the dead are reaped.
    fn wake(&mut self, signal: Option<Event>, commands: Vec<Event>) -> Result<(), Broken> {
        let (first, amid) = if self.rng.bool() { (signal, None) } else { (None, signal) };
        first.map_or(Ok(()), |signal| self.tell(signal))?;
        if let Some((pid, exit)) = self.kernel.reap() {
            self.reaped(pid, exit)?;
        }
        amid.map_or(Ok(()), |signal| self.tell(signal))?;
        while let Some((pid, exit)) = self.kernel.reap() {
            self.reaped(pid, exit)?;
        }
        for event in self.arrived().into_iter().chain(commands) {
            self.tell(event)?;
        }
        self.tell(Event::Tick)
    }

    /// Names the dead, sweeps what a leader left unasked, and tells of groups that are empty now.
    fn reaped(&mut self, pid: Pid, exit: Exit) -> Result<(), Broken> {
        if let Some(worker) = self.leaders.remove(&pid) {
            if !self.supervisor.keeps_grace(worker) {
                self.kernel.signal(pid, Signal::Kill);
            }
            let remains = if self.kernel.group_exists(pid) {
                self.remnants.insert(pid, worker);
                Remains::Members
            } else {
                Remains::Nothing
            };
            self.tell(Event::Exited { worker, exit, remains })?;
        }
        let emptied = self.remnants.keys().find(|group| !self.kernel.group_exists(**group));
        if let Some(worker) = emptied.copied().and_then(|group| self.remnants.remove(&group)) {
            self.tell(Event::Emptied(worker))?;
        }
        Ok(())
    }

    /// The plan is edited and read, perhaps twice in a row or after a mistake, and what is new in it is started.
    fn change_the_plan(&mut self) -> Result<(), Broken> {
        if self.rng.u32(0..6) == 0 {
            let whole = self.plans.roster.clone();
            self.plans.drop_most();
            self.answer(None)?;
            laws::check_settled(&self.settled(None))?;
            self.plans.roster = whole;
        }
        loop {
            self.plans.edit(&self.record);
            if self.trace {
                print_plan(&self.plans);
            }
            self.answer(None)?;
            laws::check_settled(&self.settled(None))?;
            if self.rng.u32(0..4) == 0 {
                continue;
            }
            for id in self.plans.roster.slots.iter().map(|entry| entry.slot).collect::<Vec<_>>() {
                let is_new = self.record.of(id).is_some_and(|facts| facts.wish == Wish::Unsaid);
                if (is_new || self.rng.u32(0..4) == 0) && self.rng.u32(0..8) > 0 {
                    self.tell(Event::Start(id))?;
                }
            }
            return Ok(());
        }
    }

    /// One event, its answer, what carrying it out leads to; and the laws on all of it.
    fn tell(&mut self, event: Event) -> Result<(), Broken> {
        self.answer(Some(event))?;
        laws::check_settled(&self.settled(Some(event)))
    }

    /// What the supervisor answers to an event, or to the plan as it is now, is carried out, and so is what follows.
    fn answer(&mut self, first: Option<Event>) -> Result<(), Broken> {
        let mut events = VecDeque::from([first]);
        let mut told = 0;
        while let Some(event) = events.pop_front() {
            told += 1;
            laws::check_bound(told)?;
            let slots_before = self.slots();
            let record = self.record.clone();
            let late = event.is_some_and(|event| laws::is_late(event, &record));
            let all = late.then(|| format!("{:?}", self.supervisor));
            let mut actions = Vec::new();
            match event {
                Some(event) => {
                    self.supervisor.handle(event, self.now, &mut actions);
                    self.record.happened(event, self.now);
                }
                None => {
                    self.supervisor.revise(self.plans.roster.clone(), self.now, &mut actions);
                    self.record.revised(&self.plans.roster, self.now);
                }
            }
            let told = event.map_or(Told::Plan(&self.plans.roster), Told::Event);
            self.coverage.count(told, late, &slots_before, &actions);
            self.print(told, &actions);
            laws::check_answer(&Answer {
                told,
                now: self.now,
                actions: &actions,
                slots_before: &slots_before,
                slots: &self.slots(),
                before: &record,
                after: &self.record,
                changed: all.is_some_and(|all| all != format!("{:?}", self.supervisor)),
            })?;
            for action in actions {
                events.extend(self.carry_out(action).map(Some));
            }
            self.record.settle();
        }
        self.coverage.look(&self.record);
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

    /// Does it. What became of a spawn is an event.
    fn carry_out(&mut self, action: Action) -> Option<Event> {
        let mut spawned = false;
        match action {
            Action::Spawn(worker) => {
                if let Some(pid) = self.kernel.spawn(worker) {
                    spawned = true;
                    self.leaders.insert(pid, worker);
                }
            }
            Action::Terminate(worker) => self.signal(worker, Signal::Terminate),
            Action::Kill(worker) => self.signal(worker, Signal::Kill),
            Action::Report(_) | Action::Finish(_) => {}
        }
        self.record.done(action, spawned, self.now);
        match action {
            Action::Spawn(worker) if spawned => {
                self.watch(worker);
                Some(Event::Spawned(worker))
            }
            Action::Spawn(worker) => Some(Event::SpawnFailed(worker)),
            Action::Terminate(_) | Action::Kill(_) | Action::Report(_) | Action::Finish(_) => None,
        }
    }

    fn signal(&mut self, worker: WorkerId, signal: Signal) {
        let mut groups = self.leaders.iter().chain(&self.remnants);
        if let Some((group, _)) = groups.find(|(_, of)| **of == worker) {
            self.kernel.signal(*group, signal);
        }
    }

    /// More time than anything takes here: to start, to be stopped and killed, and to rest, and that a few times.
    fn patience(&self) -> Duration {
        Duration::from_secs(300)
    }

    fn print(&self, told: Told, actions: &[Action]) {
        let is_tick = matches!(told, Told::Event(Event::Tick));
        if self.trace && (!is_tick || !actions.is_empty()) {
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
    plans.roster.pools.iter().for_each(|entry| println!("{entry:?}"));
    plans.roster.slots.iter().for_each(|entry| println!("{entry:?}"));
}
