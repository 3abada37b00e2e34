//! A reactor of a few lines between the kernel and the supervisor, and the virtual clock that drives all three.
//!
//! It keeps the two promises the supervisor builds on: a pid becomes a worker in the same call that reaps it, and
//! every wakeup does its work in the same order. It promises nothing else: wakeups come late and for no reason, and
//! news arrives late, twice, or about workers long gone.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use fastrand::Rng;
use pm::supervisor::{
    Action, Event, Exit, Phase, Policy, Readiness, Remains, Rest, Restart, SlotId, Supervisor,
    WorkerId,
};

use crate::coverage::Coverage;
use crate::kernel::{Kernel, Pid, Signal};
use crate::laws::{self, Answer, Broken, Settled};
use crate::record::Record;

pub struct World {
    rng: Rng,
    epoch: Instant,
    now: Instant,
    kernel: Kernel,
    supervisor: Supervisor,
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
        let slots = if rng.u32(0..64) == 0 { 0 } else { rng.usize(1..=4) };
        let policies: Vec<Policy> = (0..slots).map(|_| policy(&mut rng)).collect();
        let now = Instant::now();
        if trace {
            policies.iter().enumerate().for_each(|(slot, policy)| println!("{slot}: {policy:?}"));
        }
        Self {
            kernel: Kernel::new(slots, rng.fork(), now),
            record: Record::new(&policies, now),
            supervisor: Supervisor::new(policies),
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
        let slots = self.every_slot();
        let rng = &mut self.rng;
        let boot = slots.filter(|_| rng.u32(0..8) > 0).map(Event::Start).collect();
        self.wake(None, boot)?;
        let wakeups_per_command = one_of(&mut self.rng, [2, 8, 64]);
        for _ in 0..wakeups {
            let commanded = self.rng.u32(0..wakeups_per_command) == 0;
            let commands = if commanded { self.command() } else { Vec::new() };
            let signal = match self.rng.u32(0..800) {
                0 => Some(Event::Kill),
                1 | 2 => Some(Event::Shutdown),
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
        let boot = self.every_slot().filter(|_| self.rng.bool()).map(Event::Start).collect();
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
        let first = one_of(&mut self.rng, [Event::Shutdown, Event::Shutdown, Event::Kill]);
        self.wake(Some(first), Vec::new())?;
        let enough = self.now + self.patience();
        let mut hurry = self.rng.bool();
        while self.next_moment().is_some_and(|moment| moment <= enough) {
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

    /// One event, its answer, what carrying it out leads to; and the laws on all of it.
    fn tell(&mut self, event: Event) -> Result<(), Broken> {
        let mut events = VecDeque::from([event]);
        let mut told = 0;
        while let Some(event) = events.pop_front() {
            told += 1;
            laws::check_bound(told)?;
            let (slots, record) = (self.supervisor.slots().to_vec(), self.record.clone());
            let late = laws::is_late(event, &record);
            let all = late.then(|| format!("{:?}", self.supervisor));
            let mut actions = Vec::new();
            self.supervisor.handle(event, self.now, &mut actions);
            self.record.happened(event, self.now);
            self.coverage.count(event, late, &slots, &actions);
            self.print(event, &actions);
            let changed = all.is_some_and(|all| all != format!("{:?}", self.supervisor));
            laws::check_answer(&Answer {
                event,
                now: self.now,
                actions: &actions,
                slots_before: &slots,
                slots: self.supervisor.slots(),
                before: &record,
                after: &self.record,
                changed,
            })?;
            events.extend(actions.into_iter().filter_map(|action| self.carry_out(action)));
        }
        laws::check_settled(&self.settled(Some(event)))
    }

    fn settled(&self, event: Option<Event>) -> Settled<'_> {
        Settled {
            event,
            now: self.now,
            supervisor: &self.supervisor,
            record: &self.record,
            kernel: &self.kernel,
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
                    self.watch(worker);
                }
            }
            Action::Terminate(worker) => self.signal(worker, Signal::Terminate),
            Action::Kill(worker) => self.signal(worker, Signal::Kill),
            Action::Tell(_) | Action::Finish(_) => {}
        }
        self.record.done(action, spawned, self.now);
        match action {
            Action::Spawn(worker) if spawned => Some(Event::Spawned(worker)),
            Action::Spawn(worker) => Some(Event::Unspawned(worker)),
            Action::Terminate(_) | Action::Kill(_) | Action::Tell(_) | Action::Finish(_) => None,
        }
    }

    fn signal(&mut self, worker: WorkerId, signal: Signal) {
        let mut groups = self.leaders.iter().chain(&self.remnants);
        if let Some((group, _)) = groups.find(|(_, of)| **of == worker) {
            self.kernel.signal(*group, signal);
        }
    }

    /// A probe starts to ask. It may hear nothing, hear late, or hear twice.
    fn watch(&mut self, worker: WorkerId) {
        if self.kind {
            return self.serves_soon(worker);
        }
        let has_probe = self.record.of(worker.slot).has_probe();
        let answers = if has_probe { one_of(&mut self.rng, [0, 1, 1, 2]) } else { 0 };
        for _ in 0..answers {
            let wait = below_one_of(&mut self.rng, [20, 500, 5_000]);
            self.mail.push((self.now + wait, Event::Ready(worker)));
        }
    }

    fn serves_soon(&mut self, worker: WorkerId) {
        if self.record.of(worker.slot).has_probe() {
            let wait = Duration::from_millis(self.rng.u64(0..20));
            self.mail.push((self.now + wait, Event::Ready(worker)));
        }
    }

    /// The mail that is due, and sometimes news of a worker that is history.
    fn arrived(&mut self) -> Vec<Event> {
        let now = self.now;
        let due = self.mail.extract_if(.., |(at, _)| *at <= now);
        let mut events: Vec<Event> = due.map(|(_, event)| event).collect();
        if self.rng.u32(0..4) == 0 {
            events.extend(self.stale());
        }
        events
    }

    fn stale(&mut self) -> Option<Event> {
        let slot = self.any_slot()?;
        let generation = self.rng.u64(0..self.record.of(slot).generation.max(1));
        let worker = WorkerId { slot, generation };
        let exit = Exit::Code(self.rng.u8(..));
        let (nothing, members) = (Remains::Nothing, Remains::Members);
        let news = [
            Event::Ready(worker),
            Event::Spawned(worker),
            Event::Unspawned(worker),
            Event::Exited { worker, exit, remains: nothing },
            Event::Exited { worker, exit, remains: members },
            Event::Emptied(worker),
        ];
        self.rng.choice(news).filter(|_| generation > 0)
    }

    fn command(&mut self) -> Vec<Event> {
        let Some(slot) = self.any_slot() else { return Vec::new() };
        match self.rng.u32(0..8) {
            0..=3 => vec![Event::Start(slot)],
            4..=5 => vec![Event::Stop(slot)],
            6 => vec![Event::Stop(slot), Event::Start(slot)],
            _ => vec![Event::Start(slot), Event::Stop(slot)],
        }
    }

    fn any_slot(&mut self) -> Option<SlotId> {
        let slots = self.record.slots.len();
        (slots > 0).then(|| SlotId(self.rng.usize(0..slots)))
    }

    fn every_slot(&self) -> impl Iterator<Item = SlotId> + use<> {
        (0..self.record.slots.len()).map(SlotId)
    }

    /// More time than anything takes here: to start, to be stopped and killed, and to rest, and that a few times.
    fn patience(&self) -> Duration {
        Duration::from_secs(300)
    }

    fn print(&self, event: Event, actions: &[Action]) {
        if self.trace && (event != Event::Tick || !actions.is_empty()) {
            let phases: Vec<String> =
                self.supervisor.slots().iter().map(|s| self.brief(s.phase())).collect();
            let time = (self.now - self.epoch).as_secs_f64();
            println!("{time:9.4} {event:?}");
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

/// A policy at random: every kind of each, and times on both sides of what the kernel takes.
fn policy(rng: &mut Rng) -> Policy {
    let millis = |rng: &mut Rng, most| Duration::from_millis(rng.u64(1..=most));
    let restart = match rng.u32(0..5) {
        0 => Restart::OnFailure,
        1 => Restart::Never,
        _ => Restart::Always,
    };
    let ready = match rng.u32(0..6) {
        0 => Readiness::Lived { after: Duration::ZERO },
        1 | 2 => Readiness::Lived { after: millis(rng, 1_000) },
        _ => Readiness::Probe { within: Duration::from_millis(rng.u64(50..5_000)) },
    };
    let first = millis(rng, 300);
    let max = first + millis(rng, 10_000);
    let give_up_after = NonZeroU32::new(one_of(rng, [0, 0, 1, 2, 3, 8]));
    let grace = if rng.u32(0..6) == 0 { Duration::ZERO } else { millis(rng, 6_000) };
    let rest = Rest { first, max, give_up_after };
    Policy { restart, ready, rest, grace }
}

fn one_of<T: Copy, const N: usize>(rng: &mut Rng, these: [T; N]) -> T {
    these[rng.usize(0..N)]
}

/// Less than one of these many milliseconds, so that short times are as frequent as long ones.
fn below_one_of<const N: usize>(rng: &mut Rng, millis: [u64; N]) -> Duration {
    let most = one_of(rng, millis);
    Duration::from_millis(rng.u64(0..most))
}
