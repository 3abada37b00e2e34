//! The only way in for a plan: at the start, and each time the file has changed (SIGUSR1).
//!
//! A slot is recognized by its port, or without one by its pool and number. A worker that would be started the same way
//! stays; another is replaced, when the supervisor says so.

use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use super::control::status::url;
use super::control::{PageChange, problems};
use super::report::{Changes, NoFile, ReloadError, RunEvent};
use super::slots::{Kept, Revised};
use super::{Reactor, ReactorError};
use crate::plan::text::phrase;
use crate::plan::text::suggest::Suggestion;
use crate::plan::{Counts, Http, Plan, WORKERS_MAX};
use crate::supervisor::Event;
use crate::sys::page_socket::PageSocketError;
use crate::sys::{low_hard_limit, own_process};
use crate::wire::Problem;

impl Reactor {
    /// Starts the first plan.
    pub(super) fn start(&mut self, plan: Plan) -> Result<(), ReactorError> {
        let what = "the sockets on which workers notify";
        // A page that cannot be served ends the run before a worker is started.
        let page = self.serve_page(plan.http.as_ref())?;
        let revised = self.take_in(plan).map_err(|source| ReactorError::SetUp { what, source })?;
        self.relabel();
        self.say(RunEvent::Started(self.slots.pool_facts()));
        self.report_page(page);
        if let Some(why) = self.control.refused.take() {
            self.say(RunEvent::NoControl(why));
        }
        if let Some(limit) = self.slots.memory_limit() {
            self.say(limit);
        }
        if let Some(limit) = low_hard_limit() {
            self.say(RunEvent::LowLocksLimit(limit));
        }
        self.revise(revised);
        Ok(())
    }

    /// Reads the file again. If it has a fault, nothing changes.
    ///
    /// # Errors
    /// They are reported, too.
    pub(super) fn reload(&mut self) -> Result<Changes, Rc<ReloadError>> {
        self.control.tell_parent_of_reload();
        let reread = self.reread().and_then(|plan| {
            let http = plan.http.clone();
            Ok((http, self.take_in(plan).map_err(not_opened)?))
        });
        let result = match reread {
            Ok((http, revised)) => {
                let (changes, given_up) = (revised.changes.clone(), revised.given_up.clone());
                self.relabel();
                self.say(RunEvent::Reloaded(changes.clone()));
                match self.serve_page(http.as_ref()) {
                    Ok(change) => self.report_page(change),
                    // The page stays where it is.
                    Err(error) => self.say(RunEvent::NoPage(error)),
                }
                self.revise(revised);
                // What they could not start may have been repaired.
                given_up.into_iter().for_each(|slot| self.handle(Event::Start(slot)));
                Ok(changes)
            }
            Err(error) => {
                let error = Rc::new(error);
                self.say(RunEvent::ReloadRefused(error.clone()));
                Err(error)
            }
        };
        // As nginx does on this signal, whether or not the file is good: logrotate(8) sends it.
        self.output.reopen_files();
        self.close_unused_files();
        own_process::release_memory();
        result
    }

    /// What a reload would change.
    ///
    /// # Errors
    /// As a reload.
    pub(super) fn preview(&self) -> Result<Changes, ReloadError> {
        Ok(self.slots.preview(&self.reread()?, &self.supervisor))
    }

    /// Gives pools other numbers of workers: `5`, `+1` or `-1`.
    ///
    /// # Errors
    /// If there is no such pool, or if it cannot have that many workers. Then nothing has changed.
    pub(super) fn scale_to(
        &mut self,
        pools: &BTreeMap<String, String>,
    ) -> Result<Changes, Box<Problem>> {
        let bad_plan = |error: String| problems::new(422, "bad-plan", "Bad plan", error);
        let origin = self.agenda.origin.as_ref().ok_or_else(problems::draining)?;
        let make =
            |counts: &Counts| (origin.make)(counts).map_err(|error| bad_plan(error.to_string()));
        let mut counts = self.agenda.counts.clone();
        let now = make(&counts)?.pools;
        for (name, number) in pools {
            let Some(pool) = now.iter().find(|pool| pool.name == *name) else {
                let suggestion = Suggestion::of(name, now.iter().map(|pool| &*pool.name));
                let detail = format!("there is no pool `{name}`; {suggestion}");
                return Err(problems::new(404, "no-such-pool", "No such pool", detail));
            };
            counts.0.insert(name.clone(), wanted_count(number, pool.slots.len())?);
        }
        let plan = make(&counts)?;
        for pool in plan.pools.iter().filter(|pool| pools.contains_key(&pool.name)) {
            let (wanted, possible) = (counts.0[&pool.name], pool.slots.len());
            if possible < wanted {
                let (name, ports) = (&pool.name, phrase::count(possible, "port"));
                let detail = format!("{name} has {ports}: add more to `ports`, and reload");
                return Err(problems::new(422, "beyond-ports", "Not enough ports", detail));
            }
        }
        let revised =
            self.take_in(plan).map_err(|error| bad_plan(not_opened(error).to_string()))?;
        self.agenda.counts = counts;
        let changes = revised.changes.clone();
        self.relabel();
        self.say(RunEvent::Scaled(changes.clone()));
        self.revise(revised);
        Ok(changes)
    }

    fn serve_page(&mut self, http: Option<&Http>) -> Result<PageChange, PageSocketError> {
        let Self { control, poller, .. } = self;
        control.serve_page(http, &mut poller.registrar())
    }

    fn report_page(&mut self, change: PageChange) {
        match change {
            PageChange::None => {}
            PageChange::Opened(at) => self.say(RunEvent::Page(url(at))),
            PageChange::Closed => self.say(RunEvent::PageClosed),
        }
    }

    fn reread(&self) -> Result<Plan, ReloadError> {
        let origin = self.agenda.origin.as_ref().ok_or(NoFile::CommandLine)?;
        if let Err(why) = origin.file {
            return Err(why.into());
        }
        if self.supervisor.is_draining() {
            return Err(ReloadError::Stopping);
        }
        Ok((origin.make)(&self.agenda.counts)?)
    }

    fn take_in(&mut self, plan: Plan) -> io::Result<Revised> {
        let Self { slots, supervisor, health, output, poller, control, .. } = self;
        let allows_chaos = plan.chaos;
        let ring_bytes = usize::try_from(plan.ring_bytes).unwrap_or(usize::MAX);
        let revised = slots.take_in(plan, supervisor, health, &mut poller.registrar())?;
        output.resize_ring(ring_bytes);
        control.facts.allows_chaos = allows_chaos;
        Ok(revised)
    }

    /// Lets the supervisor decide what follows from the plan.
    fn revise(&mut self, revised: Revised) {
        let Revised { table, added, kept, given_up: _, changes: Changes { .. } } = revised;
        let mut actions = Vec::new();
        self.supervisor.revise(table, self.clock.now(), &mut actions);
        self.apply(actions);
        self.note_all_phases();
        kept.into_iter().for_each(|kept| self.update_in_place(kept));
        added.into_iter().for_each(|slot| self.handle(Event::Start(slot)));
        for waiting in self.slots.waiting(&self.supervisor) {
            self.say(waiting);
        }
    }

    /// A worker stays, and from now on the new rules hold for it.
    fn update_in_place(&mut self, Kept { slot, has_new_ready, has_new_alive }: Kept) {
        let Some(known) = self.supervisor.slot(slot) else { return };
        // A spare that is started alike is stopped by the new rules too.
        for worker in known.workers() {
            if let Some(spec) = self.slots.spec(worker) {
                self.children.set_stop(worker, spec.stop);
            }
        }
        let worker = known.worker();
        let Some(spec) = self.slots.spec(worker) else { return };
        let (ready, alive) = (&spec.plan.ready, spec.plan.alive.as_ref());
        self.output.update(slot, |output| {
            output.file = spec.plan.log.clone();
            output.terminal_output = spec.plan.terminal_output;
            if has_new_ready {
                output.awaited = spec.awaited_line().cloned();
            }
        });
        self.health.heed(worker, ready, alive);
        // One that has not is watched by the new rules once it has.
        let has_execd = self.children.has_execd(worker);
        let (now, registrar) = (self.clock.now(), &mut self.poller.registrar());
        let probe = if has_new_alive && self.supervisor.is_serving(worker) {
            self.health.on_ready(worker, alive, now, registrar)
        } else if has_new_ready && self.supervisor.awaits_ready(worker) && has_execd {
            self.health.on_ready_changed(worker, ready, now, registrar)
        } else {
            None
        };
        self.kill_probe(probe);
        if has_new_ready && self.held_ports.listens(worker) {
            self.note_listening(worker);
        }
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

/// The number of workers that a text asks for, where there are `now`.
fn wanted_count(written: &str, now: usize) -> Result<usize, Box<Problem>> {
    let digits = written.trim_start_matches(['+', '-']);
    let count = digits.parse::<usize>().ok().filter(|_| written.len() - digits.len() <= 1);
    let Some(count) = count.filter(|count| *count <= WORKERS_MAX) else {
        let detail = format!("`{written}` is not a number of workers; write 5, +1 or -1");
        return Err(problems::bad_request(detail));
    };
    Ok(match written.as_bytes().first() {
        Some(b'+') => now.saturating_add(count),
        Some(b'-') => now.saturating_sub(count),
        _ => count,
    })
}

fn not_opened(source: io::Error) -> ReloadError {
    ReloadError::NotifySocket(source)
}
