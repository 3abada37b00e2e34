//! The only way in for a plan: at the start, and each time the file has changed (SIGUSR1).
//!
//! A slot is recognized by its port, or without one by its pool and number. A worker that would be started the same way
//! stays; another is replaced, when the supervisor says so.

use std::io;

use super::report::{Changes, ReloadError, RunEvent};
use super::slots::{Kept, Revised};
use super::{Reactor, ReactorError};
use crate::plan::{Counts, Plan};
use crate::supervisor::Event;
use crate::sys::own_process;

impl Reactor {
    /// Starts the first plan.
    pub(super) fn start(&mut self, plan: &Plan) -> Result<(), ReactorError> {
        let what = "the sockets on which workers notify";
        let revised = self.take_in(plan).map_err(|source| ReactorError::SetUp { what, source })?;
        self.relabel();
        self.say(RunEvent::Started(self.slots.pool_facts()));
        if let Some(limit) = self.slots.memory_limit() {
            self.say(limit);
        }
        self.revise(revised);
        Ok(())
    }

    /// Reads the file again. If it has a fault, nothing changes.
    pub(super) fn reload(&mut self) {
        match self.reread() {
            Ok(revised) => {
                self.relabel();
                self.say(RunEvent::Reloaded(revised.changes.clone()));
                self.revise(revised);
            }
            Err(error) => self.say(RunEvent::ReloadRefused(error)),
        }
        // As nginx does on this signal, whether or not the file is good: logrotate(8) sends it.
        self.output.reopen_files();
        self.close_unused_files();
        own_process::release_code_pages();
    }

    fn reread(&mut self) -> Result<Revised, ReloadError> {
        let reread = self.agenda.reread.as_ref().ok_or(ReloadError::NoFile)?;
        if self.supervisor.is_draining() {
            return Err(ReloadError::Stopping);
        }
        let plan = reread(&Counts::default())?;
        self.take_in(&plan).map_err(ReloadError::NotifySocket)
    }

    fn take_in(&mut self, plan: &Plan) -> io::Result<Revised> {
        let Self { slots, supervisor, health, output, poller, .. } = self;
        let revised = slots.take_in(plan, supervisor, health, &mut poller.registrar())?;
        output.resize_ring(usize::try_from(plan.ring_bytes).unwrap_or(usize::MAX));
        Ok(revised)
    }

    /// Lets the supervisor decide what follows from the plan.
    fn revise(&mut self, revised: Revised) {
        let Revised { table, added, kept, changes: Changes { .. } } = revised;
        let mut actions = Vec::new();
        self.supervisor.revise(table, self.clock.now(), &mut actions);
        self.apply(actions);
        kept.into_iter().for_each(|kept| self.update_in_place(kept));
        added.into_iter().for_each(|slot| self.handle(Event::Start(slot)));
        for waiting in self.slots.waiting(&self.supervisor) {
            self.say(waiting);
        }
    }

    /// A worker stays, and from now on the new rules hold for it.
    fn update_in_place(&mut self, Kept { slot, has_new_ready, has_new_alive }: Kept) {
        let Some(worker) = self.supervisor.slot(slot).map(|slot| slot.worker()) else { return };
        let Some(spec) = self.slots.spec(worker) else { return };
        let (ready, alive) = (&spec.plan.ready, spec.plan.alive.as_ref());
        self.children.set_stop(worker, spec.stop);
        self.output.update(slot, |output| {
            output.file = spec.plan.log.clone();
            output.terminal_output = spec.plan.terminal_output;
            if has_new_ready {
                output.awaited = spec.awaited_line().cloned();
            }
        });
        self.health.heed(worker, ready, alive);
        // One that has not is watched by the new rules once it has.
        let has_execd = self.children.awaiting(worker).is_none();
        let (now, registrar) = (self.clock.now(), &mut self.poller.registrar());
        let probe = if has_new_alive && self.supervisor.is_serving(worker) {
            self.health.on_ready(worker, alive, now, registrar)
        } else if has_new_ready && self.supervisor.awaits_ready(worker) && has_execd {
            self.health.on_ready_changed(worker, ready, now, registrar)
        } else {
            None
        };
        self.kill_probe(probe);
    }

    /// Makes all labels as wide as the longest name.
    fn relabel(&mut self) {
        let Self { slots, output, .. } = self;
        output.set_label_width(slots.names().map(|(_, name)| name));
        let labels = slots.names().map(|(slot, name)| {
            let (pool, style) = slots.label_style(slot);
            (slot, output.label(pool, name, slot.0, style))
        });
        let labels: Vec<_> = labels.collect();
        for (slot, label) in labels {
            output.update(slot, |output| output.label = label.clone());
        }
    }

    /// Closes the log files that no slot writes to any more.
    pub(super) fn close_unused_files(&mut self) {
        let Self { slots, output, .. } = self;
        output.retain_files(|path| slots.is_log(path));
    }
}
