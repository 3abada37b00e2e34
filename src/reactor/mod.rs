//! Floor 3: the loop. poll -> events -> supervisor -> actions, one thread, no sleep, no timer thread.
//!
//! It owns the poll, the clock and every buffer, and decides nothing about workers: what happened becomes an
//! [`Event`], and the [`Action`]s that the supervisor answers with become system calls.
//!
//! The work of a wakeup has a fixed order ([`Reactor::run`]): read the clock once; signals; the dead, until none is
//! left; peripherals; a tick; write what people are to read. While nothing happens there is no wakeup at all.
//!
//! Where to look next: [`spawn`] starts a worker, [`watch`] and [`probe`] find out who serves and who hangs, [`reload`]
//! takes in a changed file; [`logs`] reads what workers write, [`outlet`] and [`console`] bring it to stdout;
//! [`delays`] knows who holds up a stop, [`news`] decides what people are told, [`words`] is how.

mod clock;
mod console;
mod delays;
mod log_files;
mod logs;
mod memory;
mod news;
mod notices;
mod outlet;
mod place;
mod probe;
mod reload;
mod source;
mod spawn;
mod watch;
mod words;

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll};

use self::clock::Clock;
pub use self::console::Colour;
use self::console::Console;
use self::delays::Delays;
use self::logs::Logs;
use self::memory::Memory;
use self::notices::Notices;
use self::place::Place;
use self::probe::Probes;
use self::source::Source;
use crate::plan::Plan;
use crate::supervisor::{
    Action, Event, Outcome, PoolId, SlotId, Supervisor, TableSpec, Transition, WorkerId,
};
use crate::sys::{Caught, Children, OwnProcess, Reaped, Signals, own_process, signals, stream};

const EVENTS_PER_WAKEUP: usize = 256;

/// Two signals within this are one wish: timeout(1) sends one to pm and then to pm's process group, and a terminal that
/// closes hangs up before its shell terminates. No finger is that fast.
const ONE_WISH: Duration = Duration::from_millis(20);

/// So many of the dead, and deadlines are looked at before the next: where hundreds die at once, somebody's grace may be
/// over meanwhile.
const REAPED_PER_WAKEUP: usize = 64;

/// When all workers are gone, this is how long orphans of nobody's may keep the reactor.
const ALONE_WITHIN: Duration = Duration::from_secs(1);

/// Why the loop could not go on. Nobody is left behind by it.
#[derive(Debug, thiserror::Error)]
pub enum ReactorError {
    #[error("cannot set up {what}: {source}")]
    SetUp { what: &'static str, source: io::Error },
    #[error("cannot wait for events: {0}")]
    Poll(io::Error),
}

/// Makes the plan once more from what it was made of; the error is what to tell people, line by line.
pub type Reread = Box<dyn Fn() -> Result<Plan, Vec<String>>>;

/// What a run is to be like besides its plan.
#[derive(Default)]
pub struct Conduct {
    pub colour: Colour,
    /// What an earlier pm has left on a port is killed.
    pub takes_over: bool,
    /// None if the plan came from a command line, which does not change.
    pub reread: Option<Reread>,
}

/// Keeps a plan's workers alive until told to stop, or until they have ended by themselves.
pub struct Reactor {
    poll: Poll,
    signals: Signals,
    clock: Clock,
    /// Read once a wakeup.
    now: Instant,
    supervisor: Supervisor,
    children: Children,
    places: BTreeMap<SlotId, Place>,
    /// Never given out before.
    next_slot: SlotId,
    /// The names of the pools that there are or were.
    pools: BTreeMap<PoolId, String>,
    probes: Probes,
    notices: Notices,
    logs: Logs,
    console: Console,
    delays: Delays,
    memory: Memory,
    /// pm's own environment.
    variables: Vec<(OsString, OsString)>,
    /// /dev/null
    null: OwnedFd,
    standing: OwnProcess,
    altered_signals: Vec<i32>,
    takes_over: bool,
    /// Some pool is after another.
    has_turns: bool,
    reread: Option<Reread>,
    /// SIGCHLD came and nobody was reaped since.
    has_dead: bool,
    /// SIGUSR1 came and has not been acted on.
    is_reload_due: bool,
    stop_began: Option<Instant>,
    leaving: Option<Leaving>,
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
    /// Takes its place in the process and prepares everything; no worker is started yet.
    ///
    /// # Errors
    /// If the kernel refuses one of the few things that a reactor needs.
    pub fn new(plan: &Plan, conduct: Conduct) -> Result<Self, ReactorError> {
        let set_up = |what| move |source| ReactorError::SetUp { what, source };
        // Until they are caught they are blocked, and none is lost.
        let mut signals = Signals::catch().map_err(set_up("the signal handlers"))?;
        let standing = OwnProcess::set_up().map_err(io::Error::from);
        let standing = standing.map_err(set_up("the adoption of orphans"))?;
        let poll = Poll::new().map_err(set_up("the poll"))?;
        let clock = Clock::default();
        let now = clock.now();
        let (token, interest) = (Source::Signals.token(), Interest::READABLE);
        let registered = poll.registry().register(&mut signals, token, interest);
        registered.map_err(set_up("the signal pipe"))?;
        let console = Console::open(conduct.colour, poll.registry());
        let mut reactor = Self {
            console: console.map_err(set_up("the output"))?,
            null: stream::open_null().map_err(set_up("/dev/null"))?,
            poll,
            signals,
            clock,
            now,
            supervisor: Supervisor::new(TableSpec::default()),
            children: Children::empty(),
            places: BTreeMap::new(),
            next_slot: SlotId(0),
            pools: BTreeMap::new(),
            probes: Probes::new(now),
            notices: Notices::default(),
            logs: Logs::new(),
            delays: Delays::default(),
            memory: Memory::default(),
            variables: std::env::vars_os().collect(),
            standing,
            altered_signals: signals::altered(),
            takes_over: conduct.takes_over,
            has_turns: false,
            reread: conduct.reread,
            // Whoever became pm may have left it children that are dead by now.
            has_dead: true,
            is_reload_due: false,
            stop_began: None,
            leaving: None,
        };
        let sockets = set_up("the sockets on which workers notify");
        reactor.supervisor = Supervisor::new(reactor.take_in(plan).map_err(sockets)?.roster);
        Ok(reactor)
    }

    /// Runs until everything is over and everybody is gone.
    ///
    /// # Errors
    /// If the poll fails, which it does for no reason known to epoll_wait(2) but a bug.
    pub fn run(mut self) -> Result<Outcome, ReactorError> {
        let mut events = Events::with_capacity(EVENTS_PER_WAKEUP);
        self.tell_start();
        let slots = Vec::from_iter(self.supervisor.ids());
        slots.into_iter().for_each(|slot| self.handle(Event::Start(slot)));
        self.tell_who_waits();
        loop {
            let has_more = self.work_at_peripherals();
            self.handle(Event::Tick);
            self.tell_delays();
            self.flush();
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
            self.now = self.clock.now();
            self.take_signals();
            self.reap();
            for event in &events {
                match Source::from(event.token()) {
                    Source::Output(key) => self.logs.is_readable(key),
                    Source::Probe(slot) => self.probes.stir(slot),
                    Source::Notices(slot) => self.notices.is_readable(slot),
                    // Asked on every wakeup, whatever it was that woke pm.
                    Source::Signals | Source::Stdout | Source::Stderr => {}
                }
            }
        }
    }

    fn take_signals(&mut self) {
        let caught: Vec<_> = self.signals.take().collect();
        for signal in caught {
            if self.is_still_the_same_wish(signal) {
                continue;
            }
            let is_draining = self.supervisor.is_draining();
            match signal {
                Caught::Child => self.has_dead = true,
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
                    self.clock.stand_still(own_process::suspend);
                }
                Caught::Continue => self.children.resume(),
                // Once the dead are reaped: what it finds is to be the truth.
                Caught::Reload => self.is_reload_due = true,
                Caught::User2 => self.console.say(&words::ignored(signal), self.now),
                Caught::Resized => self.logs.resize(self.console.room()),
            }
        }
    }

    /// True of a wish to end in good order that comes in the same instant as the first.
    fn is_still_the_same_wish(&self, signal: Caught) -> bool {
        let is_in_good_order =
            matches!(signal, Caught::Interrupt | Caught::Terminate | Caught::Hangup);
        is_in_good_order && self.stop_began.is_some_and(|began| self.now < began + ONE_WISH)
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

    /// Reaps until nobody is left to reap, or so many have been.
    ///
    /// Only after a SIGCHLD, of which none is lost: the kernel looks at each child to find that none is dead, and with a
    /// thousand of them that is more than all the rest of a wakeup.
    fn reap(&mut self) {
        if !std::mem::take(&mut self.has_dead) {
            return;
        }
        for _ in 0..REAPED_PER_WAKEUP {
            let Some(reaped) = self.children.reap() else {
                return;
            };
            // A wish to stop that came with the dead is granted before any of them is replaced.
            self.take_signals();
            match reaped {
                Reaped::Worker { worker, exit, remains } => {
                    self.stop_watching(worker);
                    if let Some(place) = self.places.get_mut(&worker.slot) {
                        place.lived = self.now.saturating_duration_since(place.spawned_at);
                    }
                    self.handle(Event::Exited { worker, exit, remains });
                }
                Reaped::Probe { probe, exit } => {
                    if let Some(finding) = self.probes.has_looked(probe, exit, self.now) {
                        self.heed(finding);
                    }
                }
                Reaped::Other => {
                    for worker in self.children.take_emptied() {
                        self.handle(Event::Emptied(worker));
                    }
                }
            }
        }
        // The rest has to wait until deadlines have been looked at.
        self.has_dead = true;
    }

    /// A changed file, probes, what workers say and write. True if there is more to do at once.
    fn work_at_peripherals(&mut self) -> bool {
        if std::mem::take(&mut self.is_reload_due) {
            self.reload();
        }
        let has_notices = self.heed_notices();
        let has_output = self.logs.read(self.console.workers(), self.now);
        self.heed_probes();
        has_notices || has_output || self.has_dead
    }

    fn handle(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.supervisor.handle(event, self.now, &mut actions);
        self.carry_out(actions);
    }

    /// Does what the supervisor answered, and tells it how that went, until there is nothing to do.
    fn carry_out(&mut self, mut actions: Vec<Action>) {
        let mut events = VecDeque::new();
        loop {
            for action in actions.drain(..) {
                match action {
                    Action::Spawn(worker) => events.push_back(self.spawn(worker)),
                    Action::Terminate(worker) => {
                        self.stop_watching(worker);
                        self.children.terminate(worker);
                    }
                    Action::Kill(worker) => {
                        self.stop_watching(worker);
                        self.children.kill(worker);
                    }
                    Action::Report(news) => {
                        self.tell(news);
                        if let Transition::Ready(worker) = news {
                            self.keep_watch(worker);
                        }
                    }
                    Action::Finish(outcome) => {
                        self.tell_end();
                        let alone_by = self.now + ALONE_WITHIN;
                        self.leaving = Some(Leaving { outcome, alone_by, is_urgent: false });
                    }
                }
            }
            match events.pop_front() {
                Some(event) => self.supervisor.handle(event, self.now, &mut actions),
                None => break,
            }
        }
        if self.places.len() > self.supervisor.slot_count() {
            self.forget_removed();
        }
    }

    fn place(&self, worker: WorkerId) -> &Place {
        &self.places[&worker.slot]
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
        Some(next.saturating_duration_since(self.clock.now()))
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
