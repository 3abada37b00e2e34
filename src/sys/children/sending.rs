//! Signals to workers and probes: to the group, and to each process of it that is elsewhere.

use super::group::Group;
use super::{Children, Owner};
use crate::plan::StopSpec;
use crate::supervisor::WorkerId;
use crate::sys::worker_tag::ProbeId;

/// Whether a worker has left pm's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exec {
    Awaited,
    Over,
}

/// The signals that dump core by default (signal(7)). [`Children::terminate`] says why they are not for a child before
/// its exec.
const DUMPS: [libc::c_int; 10] = [
    libc::SIGQUIT,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGABRT,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGSEGV,
    libc::SIGXCPU,
    libc::SIGXFSZ,
    libc::SIGSYS,
];

impl Children {
    /// Sends the worker's stop signal to its group and its orphans, or to its leader alone, and SIGCONT so that a
    /// stopped process can act on it.
    ///
    /// Before its exec it gets SIGKILL: it blocks all other signals there, has nothing to lose, and if it dumped core,
    /// the kernel would end with it each process that shares its memory, which is pm (before Linux 5.16).
    pub fn terminate(&mut self, worker: WorkerId) {
        if self.learn_exec(worker) == Exec::Awaited {
            return self.kill(worker);
        }
        self.adopt();
        if let Some(group) = self.groups.get_mut(&Owner::Worker(worker)) {
            group.terminate();
        }
    }

    /// Whether this worker is still on its way to exec at this moment.
    fn learn_exec(&mut self, worker: WorkerId) -> Exec {
        let Some(start) = self.group(worker).and_then(Group::start) else { return Exec::Over };
        let starting = self.starts.get(&start).map(|(_, starting)| starting);
        if starting.is_some_and(|starting| !starting.is_reported()) {
            return Exec::Awaited;
        }
        self.on_reported(start);
        Exec::Over
    }

    /// Changes how [`Children::terminate`] stops a worker that runs.
    pub fn set_stop(&mut self, worker: WorkerId, stop: StopSpec) {
        if let Some(group) = self.groups.get_mut(&Owner::Worker(worker)) {
            group.stop = stop;
        }
    }

    /// Sends SIGKILL to the worker's group and its orphans.
    pub fn kill(&mut self, worker: WorkerId) {
        self.send(worker, libc::SIGKILL);
        self.suspect(Some(Owner::Worker(worker)));
    }

    /// Sends a signal to the worker's group and its orphans. What it does about it is its own affair: it was not asked
    /// to stop.
    pub fn signal(&mut self, worker: WorkerId, signal: libc::c_int) {
        if DUMPS.contains(&signal) && self.learn_exec(worker) == Exec::Awaited {
            return self.kill(worker);
        }
        self.adopt();
        if let Some(group) = self.groups.get(&Owner::Worker(worker)) {
            group.signal(signal);
        }
        if signal == libc::SIGKILL {
            self.suspect(Some(Owner::Worker(worker)));
        }
    }

    /// Sends SIGKILL to the process group of this probe, if it still runs.
    pub fn kill_probe(&self, probe: ProbeId) {
        if let Some(group) = self.groups.get(&Owner::Probe(probe)) {
            group.signal(libc::SIGKILL);
        }
    }

    fn send(&mut self, worker: WorkerId, signal: libc::c_int) {
        self.adopt();
        if let Some(group) = self.groups.get_mut(&Owner::Worker(worker)) {
            group.sent = Some(signal);
            group.signal(signal);
        }
    }

    /// Sends SIGSTOP to every worker: pm itself is about to be suspended.
    pub fn suspend(&mut self) {
        self.adopt();
        self.workers().for_each(|group| group.signal(libc::SIGSTOP));
    }

    /// Sends SIGCONT to every worker.
    pub fn resume(&self) {
        self.workers().for_each(|group| group.signal(libc::SIGCONT));
    }
}
