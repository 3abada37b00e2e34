//! Floor 3: the loop. poll -> events -> supervisor -> actions, in one thread, without a sleep or a timer.
//!
//! It decides nothing about workers: what happens becomes an [`Event`], and the [`Action`]s that the supervisor answers
//! become system calls. Each part owns its state and is given what it needs. One wakeup does its work in the order of
//! [`Reactor::run`]: clock, signals, exits, peripherals, deadlines, output. While nothing happens there is no wakeup.
//!
//! Top files: [`signals`] turns a signal into an event, [`apply`] carries out each action, [`reporting`] makes the
//! reports, [`reload`] takes in a plan, [`ending`] knows when the run is over. Parts, each may use those after it:
//! [`slots`] knows what to run in a slot and the facts of its workers; [`held_ports`] has the sockets that outlive
//! workers; [`health`] finds out which workers are ready and which hang; [`report`] turns facts into sentences;
//! [`output`] reads workers and writes to stdout, stderr and log files; [`tokens`] and [`clock`] are the poll and the
//! time, [`agenda`] what is asked for and not done yet.

mod agenda;
mod apply;
mod attaching;
mod clock;
mod commands;
mod control;
mod ending;
mod health;
mod held_ports;
mod output;
mod reload;
mod report;
mod reporting;
mod sampling;
mod serving;
mod signals;
mod slots;
mod tokens;

use std::io;
use std::mem::ManuallyDrop;

use mio::Interest;
use mio::unix::SourceFd;

pub use self::agenda::{MakePlan, Origin};
pub use self::control::{Place, PlaceOrigin, http};
pub use self::output::{Colour, Form, OwnLines, View, label_colour};
pub use self::report::{NoFile, StaleWorkers};
// For `benches/micro.rs`.
#[doc(hidden)]
pub use self::output::{Cutter, HandedOn};

use self::agenda::Agenda;
use self::clock::Clock;
use self::control::client::Left;
use self::control::{Control, Kind};
use self::health::{Finding, Health};
use self::held_ports::{Heard, HeldPorts};
use self::output::{Output, Progress};
use self::slots::{Inherited, Slots};
use self::tokens::{Poller, Source};
use crate::plan::{Plan, ReadyBy};
use crate::supervisor::{Event, Outcome, Remains, Supervisor, TableSpec, WorkerId};
use crate::sys::control_socket::ControlSocketError;
use crate::sys::page_socket::PageSocketError;
use crate::sys::{ChildEvent, Children, OwnProcess, Signals, own_process};

/// At most this many exits are reaped before deadlines are checked: where hundreds exit at once, a grace may be over
/// meanwhile.
const REAPED_PER_WAKEUP: usize = 64;

/// Why the loop could not go on. All workers are killed then.
#[derive(Debug, thiserror::Error)]
pub enum ReactorError {
    #[error("cannot set up {what}: {source}")]
    SetUp { what: &'static str, source: io::Error },
    #[error(transparent)]
    Control(#[from] ControlSocketError),
    #[error("http: {0}")]
    Page(#[from] PageSocketError),
    #[error("cannot start the thread of the loop: {0}")]
    Thread(io::Error),
    #[error("cannot wait for events: {0}")]
    Poll(io::Error),
}

/// What a run is to be like besides its plan.
#[derive(Default)]
pub struct RunOptions {
    pub view: View,
    pub stale_workers: StaleWorkers,
    /// Where the plan came from; `None` if it cannot be made again.
    pub origin: Option<Origin>,
    /// Where other programs can ask and command; `None`: nowhere.
    pub control: Option<Place>,
}

/// Keeps a plan's workers alive until told to stop, or until they have ended by themselves.
pub struct Reactor {
    poller: Poller,
    signals: Signals,
    clock: Clock,
    supervisor: Supervisor,
    children: Children,
    slots: Slots,
    health: Health,
    held_ports: HeldPorts,
    output: Output,
    control: Control,
    agenda: Agenda,
}

impl Reactor {
    /// Prepares everything; no worker is started yet.
    ///
    /// # Errors
    /// If the kernel refuses one of the few things that a reactor needs.
    pub fn new(options: RunOptions) -> Result<Self, ReactorError> {
        let set_up = |what| move |source| ReactorError::SetUp { what, source };
        // Signals are blocked until they are caught, so none is lost.
        let mut signals = Signals::catch().map_err(set_up("the signal handlers"))?;
        let process = OwnProcess::set_up().map_err(io::Error::from);
        let process = process.map_err(set_up("the adoption of orphans"))?;
        let mut poller = Poller::open().map_err(set_up("the poll"))?;
        let mut registrar = poller.registrar();
        let registered = registrar.register(&mut signals, Source::Signals, Interest::READABLE);
        registered.map_err(set_up("the signal pipe"))?;
        let children = Children::open().map_err(io::Error::from);
        let children = children.map_err(set_up("/dev/null"))?;
        if let Some(descriptor) = children.descriptor() {
            let mut descriptor = SourceFd(&descriptor);
            let registered =
                registrar.register(&mut descriptor, Source::Children, Interest::READABLE);
            registered.map_err(set_up("the watch on children"))?;
        }
        let output = Output::open(options.view, &mut registrar);
        let inherited = Inherited { own: process, altered_signals: crate::sys::signals::altered() };
        let clock = Clock::start();
        let plan = options.origin.as_ref().and_then(|origin| origin.file.clone().ok());
        let control =
            Control::open(options.control, plan, clock.time(), clock.now(), &mut registrar)?;
        Ok(Self {
            output: output.map_err(set_up("the output"))?,
            health: Health::new(clock.now()),
            held_ports: HeldPorts::default(),
            slots: Slots::new(std::env::vars_os().collect(), inherited, options.stale_workers),
            poller,
            signals,
            clock,
            supervisor: Supervisor::new(TableSpec::default()),
            children,
            control,
            agenda: Agenda::new(options.origin),
        })
    }

    /// Starts this plan, and runs until everything is over and no process is left.
    ///
    /// # Errors
    /// If the page cannot be served or a notify socket cannot be opened at the start, or if the poll fails, which is a
    /// bug (epoll_wait(2)).
    pub fn run(mut self, plan: Plan) -> Result<Outcome, ReactorError> {
        self.start(plan)?;
        // Much of what has run until now does not run again.
        own_process::release_memory();
        let mut progress = Progress::MayHaveMore;
        let mut has_rested = false;
        loop {
            let timeout = self.timeout(progress);
            if timeout.is_none() && !std::mem::replace(&mut has_rested, true) {
                // All is ready: the rest of the start does not run again either.
                own_process::release_memory();
            }
            self.clock.begin_wait(timeout);
            let wakeup = self.poller.wait(timeout).map_err(ReactorError::Poll)?;
            self.clock.end_wait();
            self.children.begin_wakeup();
            self.note_ready_sources();
            self.take_first_signals(wakeup);
            self.reap();
            progress = self.work_at_peripherals();
            self.note_emptied();
            if self.agenda.may_judge(self.poller.unread()) {
                self.judge_deadlines();
            } else {
                progress = Progress::MayHaveMore;
            }
            for probe in self.health.take_concluded() {
                self.slots.measure_probe(probe);
            }
            if self.serve() == Left::Something {
                progress = Progress::MayHaveMore;
            }
            if self.flush() == Progress::MayHaveMore {
                progress = Progress::MayHaveMore;
            }
            if self.children.has_news() {
                // Of a worker that was started after the exits of this wakeup were reaped.
                self.agenda.has_exits = true;
                progress = Progress::MayHaveMore;
            }
            if let Some(outcome) = self.outcome() {
                self.say_goodbye();
                // What was prepared for each slot goes with the process. To free it would delay the end.
                let _ = ManuallyDrop::new(self.slots);
                return Ok(outcome);
            }
        }
    }

    /// Passes on what the poll has reported. A new peripheral has its line here.
    fn note_ready_sources(&mut self) {
        for source in self.poller.ready() {
            match source {
                Source::Output(worker) => self.output.mark_readable(worker),
                Source::Probe(slot) => self.health.wake_probe(slot),
                Source::Notifications(slot) => self.health.mark_readable(slot),
                Source::PortCalls(worker) => self.held_ports.mark_readable(worker),
                Source::Children => self.agenda.has_exits = true,
                Source::Listener => self.control.mark_listener(Kind::Control),
                Source::PageListener => self.control.mark_listener(Kind::Page),
                Source::Client(client) => self.control.wake(client),
                Source::Signals => self.signals.empty_pipe(),
                // Worked at in every wakeup.
                Source::Stdout | Source::Stderr => {}
                // No worker has it.
                Source::SpareOutput => {}
            }
        }
    }

    /// Takes in what has become of children, until nothing is left or [`REAPED_PER_WAKEUP`] of them are reaped.
    ///
    /// Only after a SIGCHLD, of which none is lost, or when the watch on children says so.
    fn reap(&mut self) {
        if !std::mem::take(&mut self.agenda.has_exits) {
            return;
        }
        let mut reaped = 0;
        while reaped < REAPED_PER_WAKEUP {
            let Some(event) = self.children.next_event() else {
                return;
            };
            reaped += usize::from(!matches!(event, ChildEvent::Execd(_)));
            // A wish to stop that came with the exits is granted before any worker is replaced.
            self.take_signals();
            self.on_child_event(event);
        }
        // What these workers have said is read in this wakeup, and that they have exec'd comes before it.
        for worker in self.children.take_execd() {
            self.on_execd(worker);
        }
        self.agenda.has_exits = true;
    }

    fn on_child_event(&mut self, event: ChildEvent) {
        let now = self.clock.now();
        match event {
            ChildEvent::Execd(worker) => self.on_execd(worker),
            ChildEvent::NotExecd { worker, error } => self.on_not_execd(worker, error),
            ChildEvent::Exited { worker, exit, cpu, remains } => {
                self.agenda.kept_dead.on_reaped(worker);
                self.slots.on_exited(worker, exit, now);
                self.slots.measure_death(worker, exit, cpu, remains, self.clock.read());
                let probe = self.health.on_exited(worker, &mut self.poller.registrar());
                self.kill_probe(probe);
                if remains == Remains::Nothing {
                    self.slots.on_emptied(worker);
                    self.held_ports.on_emptied(worker, &mut self.poller.registrar());
                }
                self.handle(Event::Exited { worker, exit, remains });
            }
            ChildEvent::ProbeExited { probe, exit } => {
                let registrar = &mut self.poller.registrar();
                if let Some(finding) = self.health.on_probe_exit(probe, exit, now, registrar) {
                    self.act_on(finding);
                }
            }
            ChildEvent::ProbeNotExecd { probe, error } => {
                let registrar = &mut self.poller.registrar();
                let why = error.to_string();
                let finding = self.health.on_probe_not_execd(probe, why, now, registrar);
                finding.into_iter().for_each(|finding| self.act_on(finding));
            }
            ChildEvent::Other => {}
        }
        self.note_emptied();
    }

    /// Whatever was reaped may have been the last process in the group of a worker.
    fn note_emptied(&mut self) {
        for worker in self.children.take_emptied() {
            self.slots.measure_emptied(worker, self.clock.now());
            self.slots.on_emptied(worker);
            self.held_ports.on_emptied(worker, &mut self.poller.registrar());
            self.handle(Event::Emptied(worker));
        }
    }

    /// What is late, now that everything that had arrived is read.
    fn judge_deadlines(&mut self) {
        let now = self.clock.now();
        self.health.hear_silent(now).into_iter().for_each(|finding| self.act_on(finding));
        while let Some(finding) = self.health.judge(now, &mut self.poller.registrar()) {
            self.act_on(finding);
        }
        self.handle(Event::Tick);
        self.held_ports.close_unused(now);
        self.report_delays();
        self.report_slow_starts();
        self.report_kept_dead();
    }

    /// A changed file; what workers ask for their ports, notify and write; probes.
    fn work_at_peripherals(&mut self) -> Progress {
        if std::mem::take(&mut self.agenda.is_reload_due) {
            // It is reported.
            let _ = self.reload();
        }
        let called = self.answer_port_calls();
        let now = self.clock.now();
        let (findings, notified) = self.health.read_notifications(now);
        findings.into_iter().for_each(|finding| self.act_on(finding));
        let written = self.output.read(self.clock.moment(), &mut self.poller.registrar());
        while let Some(worker) = self.output.take_ready() {
            self.note_ready(worker);
        }
        while let Some(finding) = self.health.advance(now, &mut self.poller.registrar()) {
            self.act_on(finding);
        }
        let idle = [called, notified, written].iter().all(|part| *part == Progress::Idle);
        if idle && !self.agenda.has_exits { Progress::Idle } else { Progress::MayHaveMore }
    }

    /// Answers what workers ask for their ports. One that listens is ready, if that is what makes it ready.
    fn answer_port_calls(&mut self) -> Progress {
        let progress = self.held_ports.answer(&mut self.poller.registrar());
        for heard in self.held_ports.take_heard() {
            match heard {
                Heard::Waits(worker) => self.handle(Event::Waits(worker)),
                Heard::Listens(worker) => self.note_listening(worker),
                Heard::NotHeld(worker, why) => self.report_not_held(worker, why),
            }
        }
        progress
    }

    /// The worker listens: if that makes it ready, it is.
    fn note_listening(&mut self, worker: WorkerId) {
        self.handle(Event::Listens(worker));
        let spec = self.slots.spec(worker);
        let by_listen = spec.is_some_and(|spec| spec.plan.ready.by == ReadyBy::Listen);
        if by_listen || self.held_ports.has_said_ready(worker) {
            self.handle(Event::Ready(worker));
        }
    }

    /// The worker says that it is ready. One that says so before its bind and is a spare is ready when it listens.
    fn note_ready(&mut self, worker: WorkerId) {
        if !self.held_ports.keep_ready(worker) {
            self.handle(Event::Ready(worker));
        }
    }

    /// Acts on what health has found out.
    fn act_on(&mut self, finding: Finding) {
        match finding {
            Finding::Ready(worker) => self.note_ready(worker),
            Finding::Hung(worker) => self.handle(Event::Hung(worker)),
            Finding::Stopping(worker) => self.stop_probes(worker),
            Finding::StartProbe(worker, purpose) => self.start_probe(worker, purpose),
            Finding::KillProbe(probe) => self.children.kill_probe(probe),
            Finding::NotWatched(worker, failure) => self.report_not_watched(worker, failure),
            Finding::Rejected(worker, rejected) => self.report_rejected(worker, rejected),
        }
    }
}
