//! The clients of the control socket: what they send is read and answered, and what they wait for is looked at.
//!
//! It comes after the exits of the same wakeup are reaped, so no answer names a worker whose end is known.

use super::Reactor;
use super::control::call::{AttachCall, Call, Refused};
use super::control::client::{Left, Work};
use super::control::goal::{Goal, Pending, State};
use super::control::http::{Awaiting, READ_BYTES_MAX, Reply, Request, Status};
use super::control::live::{self, Live};
use super::control::logs::{Logs, More};
use super::control::metrics::{Metrics, Source};
use super::control::parent::Summary;
use super::control::stats::Sampling;
use super::control::status::View;
use super::control::stream::Stream;
use super::control::{ClientId, Control, Kind, NotTaken};
use super::report::RunEvent;
use crate::supervisor::{Exit, Phase, Slot, SlotId, Wanted};
use crate::wire::{Done, EventKind, Problem};

/// Rounds of filling and writing for one client in a wakeup, each of at most
/// [`OUTPUT_BYTES_MAX`](super::control::http::OUTPUT_BYTES_MAX).
const ROUNDS_MAX: usize = 4;

/// How many of the clients were served in a wakeup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Served {
    All,
    /// The rest follows at once.
    Some,
}

/// What has become of the output of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filled {
    /// There was none.
    Idle,
    Written,
    /// It has taken all that it was given, and more may follow at once.
    MayHaveMore,
}

/// What a client is answered, now or later.
pub(super) enum Answer {
    Reply(Reply),
    Pending(Pending),
    /// A status with what the workers use.
    Sampling(Sampling),
    Stream(Stream),
    Live(Live),
    Logs(Logs),
    Metrics(Metrics),
    /// The terminal of this slot.
    Attachment {
        slot: SlotId,
        call: AttachCall,
    },
}

impl Reactor {
    /// Reads what clients ask, answers, and writes as much as they take.
    pub(super) fn serve(&mut self) -> Left {
        let now = self.clock.now();
        self.tell_parent();
        for kind in [Kind::Control, Kind::Page] {
            match self.control.accept(kind, now, &mut self.poller.registrar()) {
                Ok(()) => {}
                Err(NotTaken::Control(error)) => self.say(RunEvent::NoControl(error)),
                Err(NotTaken::Page(error)) => self.say(RunEvent::NoPage(error)),
            }
        }
        if self.control.clients.is_empty() {
            self.control.rounds.rest();
            return self.control.left();
        }
        let ids: Vec<ClientId> = self.control.clients.iter().map(|(id, _)| id).collect();
        let served = self.serve_clients(&ids);
        let Self { control, poller, .. } = self;
        control.close_clients(now, &mut poller.registrar());
        self.settle_screens();
        if served == Served::All { self.control.left() } else { Left::Something }
    }

    fn serve_clients(&mut self, ids: &[ClientId]) -> Served {
        let mut buffer = vec![0; READ_BYTES_MAX];
        for id in ids {
            let Some(client) = self.control.clients.get_mut(*id) else { continue };
            if client.left() == Left::Nothing {
                continue;
            }
            if let Some(request) = client.read(&mut buffer) {
                let answer = self.answer(*id, &request);
                self.begin_answer(*id, answer);
            }
            if self.has_to_reap() {
                return Served::Some;
            }
        }
        ids.iter().for_each(|id| self.look_at_pending(*id));
        let parts = [self.sample_workers(ids), self.take_keys()];
        let mut more = if parts.contains(&More::Yes) { More::Yes } else { More::No };
        // A command hears the reports of its slots before its answer.
        let is_stream = |id: &&ClientId| {
            let client = self.control.clients.get(**id);
            client.is_some_and(|client| matches!(client.work, Work::Stream(_) | Work::Live(_)))
        };
        let (mut ordered, others): (Vec<&ClientId>, Vec<_>) = ids.iter().partition(is_stream);
        ordered.extend(others);
        for id in ordered {
            match self.fill_and_write(*id) {
                Filled::Idle => continue,
                Filled::Written => {}
                Filled::MayHaveMore => more = More::Yes,
            }
            if self.has_to_reap() {
                return Served::Some;
            }
        }
        self.agenda.has_broken_off = false;
        if more == More::Yes { Served::Some } else { Served::All }
    }

    /// True if a child has died since the exits of this wakeup were reaped: the next worker does not wait for clients.
    ///
    /// Not twice in a row, so that clients are served even if there is always another exit.
    fn has_to_reap(&mut self) -> bool {
        if self.agenda.has_broken_off {
            return false;
        }
        self.take_signals();
        self.agenda.has_broken_off = self.agenda.has_exits;
        self.agenda.has_exits
    }

    fn tell_parent(&mut self) {
        let Self { control, supervisor, clock, .. } = self;
        let summary = || Summary {
            ready: supervisor.slots().filter(|slot| is_well(slot)).count(),
            wanted: supervisor.slots().filter(|slot| is_wanted(slot)).count(),
            is_stopping: supervisor.is_draining(),
        };
        control.tell_parent(summary, clock.now());
    }

    /// pm ends: every reader of a stream is told, and no client arrives any more.
    pub(super) fn say_goodbye(&mut self) {
        self.control.close();
        if self.control.clients.is_empty() {
            return;
        }
        let bye = EventKind::Bye { words: "pm ends".into() };
        self.control.note(self.clock.time(), bye);
        let ids: Vec<ClientId> = self.control.clients.iter().map(|(id, _)| id).collect();
        ids.iter().for_each(|id| self.look_at_pending(*id));
        for id in ids {
            self.fill_and_write(id);
        }
        self.part_from_attached();
        let ring = self.output.ring();
        for (_, client) in &mut self.control.clients {
            client.write();
            // What it does not take now it has not asked for in time; then its stream has no end.
            while let Work::Logs(logs) = &mut client.work
                && client.connection.output().is_empty()
                && client.connection.awaiting() == Awaiting::Stream
            {
                let more = logs.fill(ring, &mut client.connection);
                // The rest of a long search is not waited for.
                let is_left = more == More::Yes && logs.has_pattern();
                if logs.has_all(ring) {
                    client.connection.end_stream();
                }
                client.write();
                if is_left {
                    break;
                }
            }
        }
    }

    /// Gives a client what is new, if it reads a stream, and writes as much as it takes.
    ///
    /// What workers write in one wakeup is more than a client is given at once. So one that takes all has more at once.
    fn fill_and_write(&mut self, id: ClientId) -> Filled {
        let mut filled = Filled::Idle;
        let now = self.clock.now();
        for _ in 0..ROUNDS_MAX {
            let more = self.fill(id);
            let Some(client) = self.control.clients.get_mut(id) else { return filled };
            client.end_work();
            client.give_sign(now);
            let had = client.connection.output().len();
            client.write();
            let is_taken = client.connection.output().is_empty();
            filled = match (had, more) {
                (0, More::No) => return filled,
                (_, More::Yes) => return Filled::MayHaveMore,
                (_, More::No) => Filled::Written,
            };
            if !is_taken {
                return filled;
            }
        }
        Filled::MayHaveMore
    }

    fn fill(&mut self, id: ClientId) -> More {
        let Self { control, clock, output, supervisor, slots, held_ports, children, .. } = self;
        let poller = &self.poller;
        let clients = control.clients.len();
        let view = View { supervisor, slots, held_ports, clock };
        let Some(client) = control.clients.get_mut(id) else { return More::No };
        let connection = &mut client.connection;
        match &mut client.work {
            Work::Stream(stream) => {
                stream.fill(&control.events, || clock.time(), connection);
                More::No
            }
            Work::Logs(logs) => {
                let more = logs.fill(output.ring(), connection);
                control.missed_lines += logs.take_missed();
                more
            }
            Work::Live(live) => {
                let Control { facts, events, rounds, .. } = control;
                let source = live::Source { view, facts, events, rounds, ring: output.ring() };
                let more = live.fill(&source, connection);
                control.missed_lines += live.take_missed();
                more
            }
            Work::Metrics(metrics) => {
                let source = Source {
                    view,
                    output,
                    children,
                    requests: &control.requests,
                    missed_lines: control.missed_lines,
                    clients,
                    wakeups: poller.wakeups(),
                };
                metrics.fill(&source, connection)
            }
            Work::Attached(attachment) => {
                attachment.fill(output, connection);
                More::No
            }
            Work::Nothing | Work::Pending(_) | Work::Sampling(_) => More::No,
        }
    }

    fn answer(&mut self, id: ClientId, request: &Request) -> Answer {
        match self.control.let_in(id, request).and_then(|()| Call::of(request)) {
            Ok(call) => {
                let admitted = self.control.admit(&call, id);
                let answer = admitted.and_then(|()| self.carry_out_call(call));
                answer.unwrap_or_else(|problem| refusal(&problem))
            }
            Err(Refused { problem, header: None }) => refusal(&problem),
            Err(Refused { problem, header: Some((name, value)) }) => {
                Answer::Reply(problem_reply(&problem).with(name, value))
            }
        }
    }

    fn begin_answer(&mut self, id: ClientId, answer: Answer) {
        let Some(client) = self.control.clients.get_mut(id) else { return };
        match answer {
            Answer::Reply(reply) => client.connection.reply(&reply),
            Answer::Pending(pending) => client.work = Work::Pending(Box::new(pending)),
            Answer::Sampling(sampling) => client.work = Work::Sampling(Box::new(sampling)),
            Answer::Logs(logs) => {
                client.connection.begin_stream(&logs.head());
                client.work = Work::Logs(Box::new(logs));
            }
            Answer::Attachment { slot, call } => self.begin_attachment(id, slot, &call),
            Answer::Metrics(metrics) => {
                client.connection.begin_stream(&metrics.head());
                client.work = Work::Metrics(Box::new(metrics));
            }
            Answer::Live(live) => {
                client.connection.begin_stream(&Live::head());
                client.work = Work::Live(Box::new(live));
            }
            Answer::Stream(stream) => {
                client.connection.begin_stream(&stream.head());
                client.work = Work::Stream(Box::new(stream));
            }
        }
    }

    /// Answers a client that waits, if what it waits for is so or cannot be any more.
    fn look_at_pending(&mut self, id: ClientId) {
        let now = self.clock.now();
        let view = self.view();
        let Some(client) = self.control.clients.get(id) else { return };
        let Work::Pending(pending) = &client.work else { return };
        let reply = match pending.state(view) {
            State::Reached => {
                let slots = view.slots(pending.slots.iter().map(|(slot, _)| *slot));
                let (outcome, words) = (pending.outcome, pending.words.clone());
                json(&Done { seq: self.control.events.last(), outcome, words, slots })
            }
            State::Failed(problem) => problem_reply(&problem),
            State::Open if now >= pending.deadline => problem_reply(&pending.late(view)),
            State::Open => return,
        };
        let failed = reply.head.status != Status::Ok;
        let slots: Vec<_> = pending.slots.iter().map(|(slot, _)| *slot).collect();
        let is_roll = pending.goal == Goal::Rolled;
        if let Some(client) = self.control.clients.get_mut(id) {
            client.work = Work::Nothing;
            client.connection.reply(&reply);
        }
        if failed && is_roll {
            let alone = slots.into_iter().filter(|slot| !self.is_roll_awaited(*slot));
            self.withdraw(alone.collect());
        }
    }

    /// True if some client waits for a roll that this slot is part of.
    fn is_roll_awaited(&self, slot: SlotId) -> bool {
        self.control.clients.iter().any(|(_, client)| match &client.work {
            Work::Pending(pending) => {
                pending.goal == Goal::Rolled && pending.slots.iter().any(|(id, _)| *id == slot)
            }
            Work::Nothing | Work::Sampling(_) | Work::Stream(_) | Work::Logs(_) => false,
            Work::Live(_) | Work::Metrics(_) | Work::Attached(_) => false,
        })
    }
}

/// An answer of status 200.
pub(super) fn json(body: &impl serde::Serialize) -> Reply {
    let body = serde_json::to_string(body).unwrap_or_default();
    Reply::new(Status::Ok, "application/json", body.into_bytes())
}

pub(super) fn problem_reply(problem: &Problem) -> Reply {
    let status = Status::of(problem.status).unwrap_or(Status::InternalServerError);
    let body = serde_json::to_string(problem).unwrap_or_default();
    Reply::new(status, "application/problem+json", body.into_bytes())
}

fn refusal(problem: &Problem) -> Answer {
    Answer::Reply(problem_reply(problem))
}

/// True if something of this slot is wanted: a worker, or a job's work.
pub(super) fn is_wanted(slot: &Slot) -> bool {
    match slot.wanted() {
        Wanted::Up | Wanted::Ended(_) => true,
        Wanted::Unset | Wanted::Down | Wanted::Gone => false,
    }
}

/// True if what is wanted of this slot is there: a ready worker, or a job that has ended well.
pub(super) fn is_well(slot: &Slot) -> bool {
    match slot.wanted() {
        Wanted::Up => matches!(slot.phase(), Phase::Ready { .. }),
        Wanted::Ended(exit) => exit.is_some_and(Exit::is_success),
        Wanted::Unset | Wanted::Down | Wanted::Gone => false,
    }
}
