//! Floor 3: the loop. poll -> events -> supervisor -> actions, one thread, no sleep, no timer thread.
//!
//! It owns the poll, the clock and every buffer, and decides nothing about workers: what happened becomes an
//! [`Event`], and the [`Action`]s that the supervisor answers with become system calls.
//!
//! The work of a wakeup has a fixed order ([`Reactor::run`]): read the clock once; signals; the dead, until none is
//! left; peripherals; a tick; write what people are to read. While nothing happens there is no wakeup at all.
//!
//! Where to look next: [`probe`] finds out who serves, [`logs`] reads what workers write, [`outlet`] and [`console`]
//! bring it to stdout, [`delays`] knows who holds up a stop, [`news`] decides what people are told, [`words`] is how.

mod console;
mod delays;
mod logs;
mod news;
mod outlet;
mod probe;
mod words;

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

pub use self::console::Colour;
use self::console::Console;
use self::delays::Delays;
use self::logs::Logs;
use self::probe::Probes;
use crate::plan::Plan;
use crate::supervisor::{Action, Event, Outcome, Supervisor, WorkerId};
use crate::sys::spawn::Inheritance;
use crate::sys::{
    Caught, Children, Launch, Reaped, Signals, SpawnError, Standing, children, ports, signals,
    standing, stream,
};

const EVENTS_PER_WAKEUP: usize = 256;

/// When all workers are gone, this is how long orphans of nobody's may keep the reactor.
const ALONE_WITHIN: Duration = Duration::from_secs(1);

const SIGNALS: Token = Token(0);
const CONSOLE: [Token; 2] = [Token(1), Token(2)];
/// Even numbers from here are probes, by slot; odd ones are pipes, by key.
const FIRST_OF_MANY: usize = 4;

/// Why the loop could not go on. Nobody is left behind by it.
#[derive(Debug, thiserror::Error)]
pub enum ReactorError {
    #[error("cannot set up {what}: {source}")]
    SetUp { what: &'static str, source: io::Error },
    #[error("cannot wait for events: {0}")]
    Poll(io::Error),
}

/// Keeps a plan's workers alive until told to stop, or until they have ended by themselves.
pub struct Reactor {
    poll: Poll,
    signals: Signals,
    /// The clock, read once a wakeup.
    now: Instant,
    supervisor: Supervisor,
    children: Children,
    places: Vec<Place>,
    probes: Probes,
    logs: Logs,
    console: Console,
    delays: Delays,
    stdin: OwnedFd,
    standing: Standing,
    altered_signals: Vec<i32>,
    /// What an earlier pm has left on a port is killed.
    takes_over: bool,
    stop_began: Option<Instant>,
    leaving: Option<Leaving>,
}

/// What is known of a slot besides what the supervisor knows.
struct Place {
    name: String,
    port: Option<u16>,
    launch: Launch,
    missing_hint: Option<String>,
    label: logs::Label,
    spawned_at: Instant,
    /// How long the last worker that exited had been there.
    lived: Duration,
    /// Why the last spawn came to nothing.
    refusal: Option<Refusal>,
}

/// A spawn that came to nothing.
struct Refusal {
    error: SpawnError,
    /// The same holder of the port was in the way the last time, and people know.
    is_known: bool,
}

/// The supervisor has finished.
struct Leaving {
    outcome: Outcome,
    /// Those who have not gone by then, not even by SIGKILL, are left to the guard.
    alone_by: Instant,
    /// Somebody does not want to wait for the reader of the last lines.
    is_urgent: bool,
}

impl Reactor {
    /// Takes its place in the process and prepares everything; no worker is started yet. If it `takes_over`, a process
    /// that an earlier pm has left on a port of the plan is killed.
    ///
    /// # Errors
    /// If the kernel refuses one of the few things that a reactor needs.
    pub fn new(plan: &Plan, colour: Colour, takes_over: bool) -> Result<Self, ReactorError> {
        let set_up = |what| move |source| ReactorError::SetUp { what, source };
        let standing = Standing::take().map_err(io::Error::from);
        let standing = standing.map_err(set_up("the adoption of orphans"))?;
        let poll = Poll::new().map_err(set_up("the poll"))?;
        let mut signals = Signals::catch().map_err(set_up("the signal handlers"))?;
        let registered = poll.registry().register(&mut signals, SIGNALS, Interest::READABLE);
        registered.map_err(set_up("the signal pipe"))?;
        let names = plan.slots().map(|(_, slot)| slot.name.as_str());
        let console = Console::open(names, colour, poll.registry(), CONSOLE);
        let console = console.map_err(set_up("the output"))?;
        let now = Instant::now();
        let places = plan.slots().enumerate().map(|(n, (pool, slot))| Place {
            name: slot.name.clone(),
            port: slot.port,
            launch: Launch::new(&slot.argv, &pool.environment(slot, std::env::vars_os())),
            missing_hint: pool.missing_hint.clone(),
            label: console.label(&slot.name, n),
            spawned_at: now,
            lived: Duration::ZERO,
            refusal: None,
        });
        Ok(Self {
            places: places.collect(),
            supervisor: Supervisor::new(plan.slots().map(|(pool, _)| pool.policy.clone())),
            children: Children::new(plan.slots().map(|(_, slot)| slot.name.clone()).collect()),
            stdin: stream::nothing().map_err(set_up("/dev/null"))?,
            poll,
            signals,
            now,
            probes: Probes::default(),
            logs: Logs::new(),
            console,
            delays: Delays::default(),
            standing,
            altered_signals: signals::altered(),
            takes_over,
            stop_began: None,
            leaving: None,
        })
    }

    /// Runs until everything is over and everybody is gone.
    ///
    /// # Errors
    /// If the poll fails, which it does for no reason known to epoll_wait(2) but a bug.
    pub fn run(mut self) -> Result<Outcome, ReactorError> {
        let mut events = Events::with_capacity(EVENTS_PER_WAKEUP);
        self.tell_start();
        for slot in self.supervisor.ids() {
            self.handle(Event::Start(slot));
        }
        loop {
            let has_more = self.work_at_peripherals();
            self.handle(Event::Tick);
            self.tell_delays();
            self.console.flush(self.now);
            if let Some(outcome) = self.may_leave() {
                return Ok(outcome);
            }
            let timeout = if has_more { Some(Duration::ZERO) } else { self.until_next_deadline() };
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() != ErrorKind::Interrupted => {
                    return Err(ReactorError::Poll(error));
                }
                Ok(()) | Err(_) => {}
            }
            self.now = Instant::now();
            self.take_signals();
            self.reap();
            for event in &events {
                if let Some(key) = key_of_pipe(event.token()) {
                    self.logs.is_readable(key);
                }
            }
        }
    }

    fn take_signals(&mut self) {
        let caught: Vec<_> = self.signals.take().collect();
        for signal in caught {
            let is_draining = self.supervisor.is_draining();
            match signal {
                Caught::Child => {}
                Caught::Interrupt | Caught::Terminate | Caught::Hangup | Caught::GuardGone
                    if !is_draining =>
                {
                    self.stop(signal, Event::Shutdown);
                }
                Caught::Interrupt | Caught::Terminate | Caught::Quit => {
                    self.stop(signal, Event::Kill);
                }
                // A closed terminal can say so twice, once by the kernel and once by the shell: no second wish.
                Caught::Hangup | Caught::GuardGone => {}
                Caught::Suspend => {
                    self.console.flush(self.now);
                    self.children.suspend();
                    standing::suspend();
                }
                Caught::Continue => self.children.resume(),
                Caught::User(_) => self.console.say(&words::ignored(signal), self.now),
            }
        }
    }

    fn stop(&mut self, signal: Caught, event: Event) {
        if let Some(leaving) = &mut self.leaving {
            leaving.is_urgent = true;
            return;
        }
        self.tell_stop(signal, event == Event::Kill);
        self.stop_began.get_or_insert(self.now);
        self.handle(event);
    }

    /// Every wakeup reaps until nobody is left to reap, whatever it was that woke pm.
    fn reap(&mut self) {
        while let Some(reaped) = self.children.reap(|worker| self.supervisor.keeps_grace(worker)) {
            // A wish to stop that came with the dead is granted before any of them is replaced.
            self.take_signals();
            match reaped {
                Reaped::Worker { worker, exit, remains } => {
                    let place = &mut self.places[worker.slot.0];
                    place.lived = self.now.saturating_duration_since(place.spawned_at);
                    self.handle(Event::Exited { worker, exit, remains });
                }
                Reaped::Other => {
                    for worker in self.children.emptied() {
                        self.handle(Event::Emptied(worker));
                    }
                }
            }
        }
    }

    /// Probes and the workers' output. True if there is more to do at once.
    fn work_at_peripherals(&mut self) -> bool {
        self.probes.retain(|worker| self.supervisor.awaits_ready(worker));
        while let Some(worker) = self.probes.advance(self.poll.registry(), self.now) {
            self.handle(Event::Ready(worker));
        }
        self.logs.read(self.console.workers(), self.now)
    }

    /// Tells the supervisor, and does what it answers, and tells it how that went, until there is nothing to do.
    fn handle(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        let mut actions = Vec::new();
        while let Some(event) = events.pop_front() {
            self.supervisor.handle(event, self.now, &mut actions);
            for action in actions.drain(..) {
                match action {
                    Action::Spawn(worker) => events.push_back(self.spawn(worker)),
                    Action::Terminate(worker) => self.children.terminate(worker),
                    Action::Kill(worker) => self.children.kill(worker),
                    Action::Tell(news) => self.tell(news),
                    Action::Finish(outcome) => {
                        self.tell_end();
                        let alone_by = self.now + ALONE_WITHIN;
                        self.leaving = Some(Leaving { outcome, alone_by, is_urgent: false });
                    }
                }
            }
        }
    }

    fn spawn(&mut self, worker: WorkerId) -> Event {
        let result = self.try_spawn(worker);
        let place = &mut self.places[worker.slot.0];
        match result {
            Ok(()) => {
                place.spawned_at = self.now;
                place.refusal = None;
                if let Some(port) = place.port {
                    let token = Token(FIRST_OF_MANY + 2 * worker.slot.0);
                    self.probes.begin(worker, port, token, self.now);
                }
                Event::Spawned(worker)
            }
            Err(error) => {
                place.refusal = Some(Refusal::after(place.refusal.take(), error));
                Event::Unspawned(worker)
            }
        }
    }

    fn try_spawn(&mut self, worker: WorkerId) -> Result<(), SpawnError> {
        let place = &self.places[worker.slot.0];
        // Where the last worker served, and is gone with its whole group, the port is not asked after: that would take
        // its share of the time until the next one serves. If it is held all the same, the next start fails, and the
        // one after it asks.
        let has_served = worker.generation > 1 && self.supervisor.slot(worker.slot).failures() == 0;
        if let Some(port) = place.port
            && !has_served
            && ports::is_held(port)
            && let Some(holder) = ports::holder(port)
        {
            if let (ports::Holder::Orphan { pid, .. }, true) = (&holder, self.takes_over) {
                children::kill_left_behind(*pid);
            }
            return Err(SpawnError::PortHeld { port, holder });
        }
        let token = |key| Token(FIRST_OF_MANY + 1 + 2 * key);
        let output = self.logs.open(worker, place.label.clone(), self.poll.registry(), token);
        let output = output.map_err(SpawnError::Pipe)?;
        let given = Inheritance {
            stdin: self.stdin.as_fd(),
            output: output.as_fd(),
            open_files: self.standing.open_files,
            altered_signals: &self.altered_signals,
        };
        self.children.spawn(worker, &place.launch, given)
    }

    fn until_next_deadline(&self) -> Option<Duration> {
        let deadlines = [
            self.supervisor.next_deadline(),
            self.probes.next_deadline(),
            self.delays.next_deadline(),
            self.console.next_deadline(self.now),
            self.leaving.as_ref().map(|leaving| leaving.alone_by).filter(|by| *by > self.now),
        ];
        let next = deadlines.into_iter().flatten().min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    /// The outcome, once everybody is gone and everything is said.
    fn may_leave(&mut self) -> Option<Outcome> {
        let leaving = self.leaving.as_ref()?;
        let is_alone = self.children.sweep_orphans() == 0 && self.logs.are_all_ended();
        let is_told = self.console.is_settled(self.now);
        let may_leave = (is_alone || self.now >= leaving.alone_by) && is_told;
        (may_leave || leaving.is_urgent).then_some(leaving.outcome)
    }
}

impl Refusal {
    fn after(last: Option<Self>, error: SpawnError) -> Self {
        let is_known = match (&error, last.map(|refusal| refusal.error)) {
            (
                SpawnError::PortHeld { holder, .. },
                Some(SpawnError::PortHeld { holder: last, .. }),
            ) => *holder == last,
            _ => false,
        };
        Self { error, is_known }
    }
}

/// The key of the pipe that this token stands for, if it stands for one.
fn key_of_pipe(token: Token) -> Option<usize> {
    let past = token.0.checked_sub(FIRST_OF_MANY)?;
    (past % 2 == 1).then_some(past / 2)
}
