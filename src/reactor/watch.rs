//! Keeping watch over workers: probes begun and ended, what they find, and what workers say of themselves.

use std::os::fd::AsFd;

use super::Reactor;
use super::probe::{Finding, Trouble};
use super::source::Source;
use super::words;
use crate::plan::{Alive, AliveBy, ReadyBy};
use crate::supervisor::{Event, SlotId, WorkerId};
use crate::sys::Inheritance;
use crate::sys::notify::{self, Datagram, Notice};

impl Reactor {
    /// A worker has been spawned: does it serve?
    pub(super) fn await_ready(&mut self, worker: WorkerId) {
        match &self.place(worker).orders.plan.ready.by {
            ReadyBy::Probe(check) => self.probes.await_ready(worker, check.clone(), self.now),
            // Time, the worker itself, its output or its end will tell.
            ReadyBy::Lived | ReadyBy::Notify | ReadyBy::Line(_) | ReadyBy::Exit => {}
        }
    }

    /// A worker serves: does it go on to?
    pub(super) fn keep_watch(&mut self, worker: WorkerId) {
        self.stop_watching(worker);
        if let Some(alive) = self.place(worker).orders.plan.alive.clone() {
            self.probes.keep_watch(worker, alive, self.now);
        }
    }

    /// It no longer matters.
    pub(super) fn stop_watching(&mut self, worker: WorkerId) {
        if self.probes.forget(worker) {
            self.children.kill_check(worker);
        }
    }

    /// Goes on with all probes.
    pub(super) fn heed_probes(&mut self) {
        let token = |slot| Source::Probe(slot).token();
        while let Some(finding) = self.probes.advance(self.poll.registry(), token, self.now) {
            self.heed(finding);
        }
        while let Some(worker) = self.logs.take_found() {
            self.handle(Event::Ready(worker));
        }
    }

    pub(super) fn heed(&mut self, finding: Finding) {
        match finding {
            Finding::Serves(worker) => self.handle(Event::Ready(worker)),
            Finding::Hangs(worker, trouble) => self.hangs(worker, trouble),
            Finding::Run(worker) => self.run_check(worker),
            Finding::Kill(worker) => self.children.kill_check(worker),
        }
    }

    fn hangs(&mut self, worker: WorkerId, trouble: Trouble) {
        if let Some(place) = self.places.get_mut(&worker.slot) {
            place.trouble = Some(trouble);
        }
        self.handle(Event::Hung(worker));
    }

    fn run_check(&mut self, worker: WorkerId) {
        let orders = &self.places[&worker.slot].orders;
        let launch = match self.supervisor.awaits_ready(worker) {
            true => &orders.ready_check,
            false => &orders.alive_check,
        };
        let Some(launch) = launch else {
            return;
        };
        let given = Inheritance {
            stdin: self.null.as_fd(),
            output: self.null.as_fd(),
            open_files: self.standing.open_files,
            altered_signals: &self.altered_signals,
            cgroup: None,
        };
        if let Err(error) = self.children.check(worker, launch, given) {
            self.probes.cannot_look(worker, error.to_string(), self.now);
        }
    }

    /// Hears what workers say. True if there may be more at once.
    pub(super) fn heed_notices(&mut self) -> bool {
        let mut heard = Vec::new();
        let has_more = self.notices.read(|slot, datagram| heard.push((slot, datagram)));
        for (slot, datagram) in heard {
            self.hear(slot, datagram);
        }
        has_more
    }

    fn hear(&mut self, slot: SlotId, datagram: Datagram) {
        let Some(worker) = self.supervisor.slot(slot).map(|slot| slot.worker()) else {
            return;
        };
        let leader = self.children.pid(worker);
        let identity = &self.place(worker).orders.plan.exec.identity;
        let uid = identity.as_ref().map_or_else(notify::own_uid, |identity| identity.uid);
        if !leader.is_some_and(|leader| notify::may_speak_for(datagram.sender, leader, uid)) {
            let line = words::not_for_it_to_say(self.place(worker).name(), datagram.sender.pid);
            return self.overrule(worker, &line);
        }
        for notice in datagram.notices {
            self.take_note(worker, notice);
        }
    }

    fn take_note(&mut self, worker: WorkerId, notice: Notice) {
        let plan = &self.place(worker).orders.plan;
        let is_asked = plan.ready.by == ReadyBy::Notify;
        let is_watched = matches!(plan.alive, Some(Alive { by: AliveBy::Notify, .. }));
        match notice {
            Notice::Ready if is_asked => self.handle(Event::Ready(worker)),
            Notice::Alive => self.probes.has_spoken(worker, self.now),
            Notice::Hung if is_watched => self.hangs(worker, Trouble::Confessed),
            // Its readiness is found out in another way, and nobody asked whether it hangs.
            Notice::Ready | Notice::Hung => {}
            // It is on its way out, and answers no more.
            Notice::Stopping => self.stop_watching(worker),
            Notice::Status(status) => {
                if let Some(place) = self.places.get_mut(&worker.slot) {
                    place.status = Some(status);
                }
            }
            Notice::MainPid(pid) => {
                let line = words::main_pid_refused(self.place(worker).name(), &pid);
                self.overrule(worker, &line);
            }
        }
    }

    /// Says once of each worker that what it was made to say does not count.
    fn overrule(&mut self, worker: WorkerId, line: &str) {
        let place = self.places.get_mut(&worker.slot);
        if place.is_some_and(|place| !std::mem::replace(&mut place.is_overruled, true)) {
            self.console.say(line, self.now);
        }
    }
}
