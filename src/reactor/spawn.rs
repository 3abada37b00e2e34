//! From the supervisor's wish for a worker to its first instruction.

use std::os::fd::AsFd;

use super::Reactor;
use super::logs::Reading;
use super::place::{Refusal, SpawnFailure};
use super::source::Source;
use crate::supervisor::{Event, WorkerId};
use crate::sys::{Inheritance, ports, stale_worker};

impl Reactor {
    /// Spawns a worker, and says how that went.
    pub(super) fn spawn(&mut self, worker: WorkerId) -> Event {
        let place = self.places.get_mut(&worker.slot).expect("every slot has a place");
        if let Some(next) = place.next.take() {
            place.orders = next;
        }
        let result = self.try_spawn(worker);
        let place = self.places.get_mut(&worker.slot).expect("as above");
        match result {
            Ok(()) => {
                place.spawned_at = self.now;
                place.refusal = None;
                place.trouble = None;
                place.status = None;
                place.is_overruled = false;
                self.await_ready(worker);
                Event::Spawned(worker)
            }
            Err(error) => {
                place.refusal = Some(Refusal::after(place.refusal.take(), error));
                Event::SpawnFailed(worker)
            }
        }
    }

    fn try_spawn(&mut self, worker: WorkerId) -> Result<(), SpawnFailure> {
        let place = &self.places[&worker.slot];
        let (orders, plan) = (&place.orders, &place.orders.plan);
        // Where the last worker served, and is gone with its whole group, the port is not asked after: that would take
        // its share of the time until the next one serves. If it is held all the same, the next start fails, and the
        // one after it asks.
        let failures = self.supervisor.slot(worker.slot).map_or(0, |slot| slot.failures());
        let has_served = worker.generation > 1 && failures == 0;
        let folder = orders.launch.folder();
        if let Some(port) = plan.port
            && !has_served
            && ports::is_held(port)
            && let Some(holder) = ports::holder(port, folder)
        {
            if let (ports::Holder::StaleWorker { pid, .. }, true) = (&holder, self.takes_over) {
                stale_worker::kill(*pid, folder);
            }
            return Err(SpawnFailure::PortHeld { port, holder });
        }
        if plan.exec.notifies {
            self.notices.discard(worker.slot);
        }
        let reading = Reading {
            label: self.console.label(&plan.name, worker.slot.0),
            file: plan.log.clone(),
            line: orders.awaited_line().cloned(),
            terminal: plan.exec.pty.then(|| self.console.room()),
        };
        let token = |key| Source::Output(key).token();
        let output = self.logs.open(worker, reading, self.poll.registry(), token);
        let output = output.map_err(SpawnFailure::Output)?;
        let cgroup = self.memory.group(&plan.name, plan.exec.limits.memory_bytes);
        let cgroup = cgroup.map_err(SpawnFailure::Cgroup)?;
        let given = Inheritance {
            stdin: self.null.as_fd(),
            output: output.as_fd(),
            open_files: self.standing.open_files,
            altered_signals: &self.altered_signals,
            cgroup: cgroup.as_ref().map(AsFd::as_fd),
        };
        Ok(self.children.spawn(worker, &orders.launch, orders.stop_signal, given)?)
    }
}
