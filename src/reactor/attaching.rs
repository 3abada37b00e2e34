//! The clients that have the terminal of a slot: who may have it, what goes in and out, and its size.

use slab::Slab;

use super::Reactor;
use super::control::ClientId;
use super::control::attachment::{Attachment, Stay, sent_away, smallest};
use super::control::call::AttachCall;
use super::control::client::{Client, Work};
use super::control::logs::More;
use super::control::problems;
use super::output::Device;
use super::serving::Answer;
use crate::supervisor::{SlotId, Wanted};
use crate::wire::Problem;
use crate::wire::terminal::{FromPm, PROTOCOL};

impl Reactor {
    /// # Errors
    /// If not one slot is meant, if it has no worker, or if its worker has no terminal.
    pub(super) fn attach(&self, call: AttachCall) -> Result<Answer, Box<Problem>> {
        let slots = self.resolve(std::slice::from_ref(&call.slot))?;
        let named = |slot: &SlotId| self.slots.identity(*slot).map(|facts| facts.name.to_owned());
        let [slot] = slots[..] else {
            let detail = format!("`{}` is {} slots; name one", call.slot, slots.len());
            let mut problem = problems::bad_request(detail);
            problem.candidates = slots.iter().filter_map(named).collect();
            return Err(problem);
        };
        let name = named(&slot).unwrap_or_default();
        let has_worker = self.supervisor.slot(slot).is_some_and(|slot| slot.phase().has_worker());
        match self.output.device(slot).filter(|_| has_worker) {
            Some(Device::Terminal(_)) => Ok(Answer::Attachment { slot, call }),
            Some(Device::Pipe) => {
                let detail = format!("{name} has no terminal; set `pty = true` in its pool");
                Err(problems::new(422, "no-terminal", "No terminal", detail))
            }
            None => {
                let what = if has_worker { "has closed its terminal" } else { "has no worker now" };
                let detail = format!("{name} {what}");
                let mut problem = problems::new(409, "not-attached", "Not attached", detail);
                problem.hint = Some(format!("`pm why {name}`"));
                Err(problem)
            }
        }
    }

    /// The client has the terminal from now on.
    pub(super) fn begin_attachment(&mut self, id: ClientId, slot: SlotId, call: &AttachCall) {
        let greeting = self.greeting(slot);
        let Some(client) = self.control.clients.get_mut(id) else { return };
        client.connection.switch_protocols(PROTOCOL);
        let output = &mut self.output;
        let attachment = Attachment::begin(slot, call, greeting, output, &mut client.connection);
        client.work = Work::Attached(Box::new(attachment));
    }

    /// Takes the keys and sizes of the attached clients, and sends those away whose terminal is gone for good.
    pub(super) fn take_keys(&mut self) -> More {
        if !self.output.has_screens() {
            return More::No;
        }
        let Self { control, output, supervisor, slots, clock, poller, .. } = self;
        let mut more = More::No;
        for (_, Client { connection, work, .. }) in &mut control.clients {
            let Work::Attached(attachment) = work else { continue };
            let slot = attachment.slot;
            let is_gone = supervisor
                .slot(slot)
                .is_none_or(|slot| slot.wanted() == Wanted::Gone && !slot.phase().has_worker());
            let name = || slots.identity(slot).map_or("the slot", |facts| facts.name);
            let stay = if is_gone {
                sent_away(&format!("{} was removed", name()), connection)
            } else if let Some(Device::Pipe) = output.device(slot) {
                sent_away(&format!("{} has no terminal any more", name()), connection)
            } else {
                attachment.take(output, &mut poller.registrar(), clock.now(), connection)
            };
            match stay {
                Stay::Yes => {}
                Stay::YesWithMore => more = More::Yes,
                Stay::No => *work = Work::Nothing,
            }
        }
        more
    }

    /// Each attached terminal has the size that all of its clients can show; and the screens whose clients have left
    /// are forgotten.
    pub(super) fn settle_screens(&mut self) {
        let Self { control, output, .. } = self;
        if !output.has_screens() {
            return;
        }
        for slot in output.attached_slots() {
            let of_slot = attached(&control.clients, slot);
            output.fit_screen(slot, smallest(of_slot.filter_map(|one| one.size)));
        }
        for (_, client) in &mut control.clients {
            if let Work::Attached(attachment) = &mut client.work
                && attachment.take_redraw()
            {
                output.redraw_screen(attachment.slot);
            }
        }
        output.retain_screens(|slot| attached(&control.clients, slot).next().is_some());
    }

    /// pm ends.
    pub(super) fn part_from_attached(&mut self) {
        for (_, Client { connection, work, .. }) in &mut self.control.clients {
            if let Work::Attached(attachment) = work {
                attachment.fill(&self.output, connection);
                connection.send_frame(&FromPm::Bye("pm has ended".into()).frame());
                connection.end_frames();
            }
        }
    }

    fn greeting(&self, slot: SlotId) -> String {
        let facts = self.slots.identity(slot);
        let name = facts.map_or("the slot", |facts| facts.name);
        match facts.and_then(|facts| facts.pid) {
            Some(pid) => format!("attached to {name} (pid {pid})"),
            None => format!("attached to {name}"),
        }
    }
}

/// Those of these clients that are attached to this slot.
fn attached(clients: &Slab<Client>, slot: SlotId) -> impl Iterator<Item = &Attachment> {
    clients.iter().filter_map(move |(_, client)| match &client.work {
        Work::Attached(attachment) if attachment.slot == slot => Some(&**attachment),
        Work::Attached(_)
        | Work::Nothing
        | Work::Pending(_)
        | Work::Sampling(_)
        | Work::Stream(_)
        | Work::Logs(_)
        | Work::Live(_)
        | Work::Metrics(_) => None,
    })
}
