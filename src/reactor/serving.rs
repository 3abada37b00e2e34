//! The clients of the control socket: what they send is read and answered, and what they wait for is looked at.
//!
//! It comes after the exits of the same wakeup are reaped, so no answer names a worker whose end is known.

use super::Reactor;
use super::control::ClientId;
use super::control::call::{AttachCall, Call, Refused};
use super::control::client::{Left, Work};
use super::control::goal::{Goal, Pending, State};
use super::control::http::{Awaiting, READ_BYTES_MAX, Reply, Request, Status};
use super::control::logs::{Logs, More};
use super::control::metrics::{Metrics, Source};
use super::control::parent::Summary;
use super::control::status::View;
use super::control::stream::Stream;
use crate::supervisor::{Exit, Phase, Slot, SlotId, Wanted};
use crate::wire::{Done, EventKind, Problem};

/// What a client is answered, now or later.
pub(super) enum Answer {
    Reply(Reply),
    Pending(Pending),
    Stream(Stream),
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
        self.control.accept(now, &mut self.poller.registrar());
        if self.control.clients.is_empty() {
            return self.control.left();
        }
        let mut buffer = vec![0; READ_BYTES_MAX];
        let ids: Vec<ClientId> = self.control.clients.iter().map(|(id, _)| id).collect();
        for id in &ids {
            let request =
                self.control.clients.get_mut(*id).and_then(|client| client.read(&mut buffer));
            if let Some(request) = request {
                let answer = self.answer(&request);
                self.begin_answer(*id, answer);
            }
        }
        ids.iter().for_each(|id| self.look_at_pending(*id));
        let more = [self.take_keys(), self.fill_streams()];
        let Self { control, poller, .. } = self;
        control.close_clients(now, &mut poller.registrar());
        self.settle_screens();
        if more.contains(&More::Yes) { Left::Something } else { self.control.left() }
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
        ids.into_iter().for_each(|id| self.look_at_pending(id));
        self.fill_streams();
        self.part_from_attached();
        let ring = self.output.ring();
        for (_, client) in &mut self.control.clients {
            client.write();
            // What it does not take now it has not asked for in time; then its stream has no end.
            while let Work::Logs(logs) = &mut client.work
                && client.connection.output().is_empty()
                && client.connection.awaiting() == Awaiting::Stream
            {
                logs.fill(ring, &mut client.connection);
                if logs.has_all(ring) {
                    client.connection.end_stream();
                }
                client.write();
            }
        }
    }

    /// Gives the readers of streams what is new, and writes what clients take.
    fn fill_streams(&mut self) -> More {
        let Self { control, clock, output, supervisor, slots, children, poller, .. } = self;
        let clients = control.clients.len();
        let mut more = More::No;
        for (_, client) in &mut control.clients {
            let connection = &mut client.connection;
            match &mut client.work {
                Work::Stream(stream) => {
                    stream.fill(&control.events, || clock.time(), connection);
                }
                Work::Logs(logs) => {
                    if logs.fill(output.ring(), connection) == More::Yes {
                        more = More::Yes;
                    }
                    control.missed_lines += logs.take_missed();
                }
                Work::Metrics(metrics) => {
                    let source = Source {
                        view: View { supervisor, slots, clock },
                        output,
                        children,
                        requests: &control.requests,
                        missed_lines: control.missed_lines,
                        clients,
                        wakeups: poller.wakeups(),
                    };
                    if metrics.fill(&source, connection) == More::Yes {
                        more = More::Yes;
                    }
                }
                Work::Attached(attachment) => attachment.fill(output, connection),
                Work::Nothing | Work::Pending(_) => {}
            }
            client.end_work();
            client.write();
        }
        more
    }

    fn answer(&mut self, request: &Request) -> Answer {
        match Call::of(request) {
            Ok(call) => self.carry_out_call(call).unwrap_or_else(|problem| refusal(&problem)),
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
            Answer::Logs(logs) => {
                client.connection.begin_stream(&logs.head());
                client.work = Work::Logs(Box::new(logs));
            }
            Answer::Attachment { slot, call } => self.begin_attachment(id, slot, &call),
            Answer::Metrics(metrics) => {
                client.connection.begin_stream(&metrics.head());
                client.work = Work::Metrics(Box::new(metrics));
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
            Work::Nothing | Work::Stream(_) | Work::Logs(_) => false,
            Work::Metrics(_) | Work::Attached(_) => false,
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
