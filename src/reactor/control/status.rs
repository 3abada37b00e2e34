//! What a run is at, as [`crate::wire`] says it. Made when it is asked for, from the parts that know.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Instant;

use nix::unistd::{getpid, getppid};

use super::super::clock::Clock;
use super::super::held_ports::HeldPorts;
use super::super::slots::Slots;
use super::super::slots::history::{History, phase_of};
use crate::supervisor::{self, Phase, Slot, SlotId, Supervisor, WorkerId};
use crate::sys::sealed::outer_pid;
use crate::wire::{
    Backlog, Death, PmStatus, Retiring, SlotDetail, SlotStatus, Spare, SparePhase, Stats,
    Status as RunStatus, Time, Wanted, Worker,
};

/// Everything that a status is made from, at one moment.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub supervisor: &'a Supervisor,
    pub slots: &'a Slots,
    pub held_ports: &'a HeldPorts,
    pub clock: &'a Clock,
}

/// What is known of the run itself.
#[derive(Clone, Debug, Default)]
pub struct RunFacts {
    /// The file that the plan was made from.
    pub plan: Option<String>,
    pub started_at: Option<Time>,
    /// Where the page is served.
    pub page: Option<SocketAddr>,
    /// The plan allows `pm chaos` to kill its workers.
    pub allows_chaos: bool,
}

impl RunFacts {
    /// What tells this run from others: when it began, in milliseconds.
    pub fn run(&self) -> i64 {
        self.started_at.map_or(0, |Time(at)| at.as_millisecond())
    }

    /// The page, for browsers on this machine. Where it is served on all addresses, this is one of them.
    pub fn url(&self) -> Option<String> {
        self.page.map(url)
    }
}

/// The page at this address.
pub fn url(mut at: SocketAddr) -> String {
    match at.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => at.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => at.set_ip(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    format!("http://{at}/")
}

impl View<'_> {
    /// The run with these slots, and with what their workers use as far as that is known.
    pub fn run(
        &self,
        facts: &RunFacts,
        seq: u64,
        slots: impl Iterator<Item = SlotId>,
        stats: impl Fn(WorkerId) -> Option<Stats>,
    ) -> RunStatus {
        let of_slot = |id: SlotId| {
            let slot = self.supervisor.slot(id).filter(|slot| slot.phase().has_worker());
            let stats = slot.and_then(|slot| stats(slot.worker()));
            Some(SlotStatus { stats, ..self.slot(id)? })
        };
        RunStatus {
            seq,
            now: self.clock.time(),
            pm: PmStatus {
                version: env!("CARGO_PKG_VERSION").into(),
                pid: own_pid(),
                started_at: facts.started_at.unwrap_or_else(|| self.clock.time()),
                plan: facts.plan.clone(),
                draining: self.supervisor.is_draining(),
                chaos: facts.allows_chaos,
                page: facts.url(),
            },
            slots: slots.filter_map(of_slot).collect(),
        }
    }

    /// These slots, in their order. One that is not there is left out.
    pub fn slots(&self, ids: impl IntoIterator<Item = SlotId>) -> Vec<SlotStatus> {
        ids.into_iter().filter_map(|id| self.slot(id)).collect()
    }

    /// One slot, if it is there.
    pub fn slot(&self, id: SlotId) -> Option<SlotStatus> {
        let slot = self.supervisor.slot(id)?;
        let facts = self.slots.identity(id)?;
        let history = self.slots.history(id)?;
        let phase = slot.phase();
        let waits_for = self.slots.pool_names(&self.supervisor.waits_for(id));
        Some(SlotStatus {
            slot: facts.name.to_owned(),
            pool: facts.pool.to_owned(),
            number: facts.number,
            port: facts.port,
            backlog: self
                .held_ports
                .backlog(id)
                .map(|held| Backlog { waiting: held.waiting, limit: held.limit }),
            terminal: self.slots.next_spec(id).is_some_and(|spec| spec.plan.exec.pty),
            wanted: wanted(slot),
            phase: phase_of(phase),
            phase_since: history.since().unwrap_or_else(|| self.clock.time()),
            phase_until: phase.deadline().map(|at| self.clock.time_of(at)),
            worker: phase.has_worker().then(|| self.worker(slot, history)),
            spare: self.spare(slot),
            retiring: self.retiring(slot),
            restarts: history.restarts(),
            failed_starts: slot.failures(),
            next_try_at: next_try(phase).map(|at| self.clock.time_of(at)),
            waits_for,
            last_death: history.deaths().next().map(without_lines),
            stats: None,
        })
    }

    /// One slot with its last deaths.
    pub fn detail(&self, id: SlotId) -> Option<SlotDetail> {
        let status = self.slot(id)?;
        let deaths = self.slots.history(id)?.deaths().cloned().collect();
        let exec = &self.slots.next_spec(id)?.plan.exec;
        let argv = exec.argv.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        let cwd = exec.cwd.as_ref().map(|cwd| cwd.display().to_string());
        Some(SlotDetail { status, deaths, argv, cwd })
    }

    fn spare(&self, slot: &Slot) -> Option<Spare> {
        let (worker, phase) = slot.spare()?;
        Some(Spare {
            generation: worker.generation,
            pid: phase.has_worker().then(|| self.pid(worker)).flatten(),
            phase: match phase {
                supervisor::SparePhase::Backoff { .. } => SparePhase::Backoff,
                supervisor::SparePhase::GivenUp => SparePhase::GivenUp,
                supervisor::SparePhase::Starting { .. } => SparePhase::Starting,
                supervisor::SparePhase::Waiting { .. } => SparePhase::Waiting,
                supervisor::SparePhase::Stopping { .. } => SparePhase::Stopping,
                supervisor::SparePhase::Killing { .. } => SparePhase::Killing,
            },
            phase_until: phase.deadline().map(|at| self.clock.time_of(at)),
        })
    }

    fn retiring(&self, slot: &Slot) -> Option<Retiring> {
        let (worker, phase) = slot.retiring()?;
        let (generation, pid) = (worker.generation, self.pid(worker));
        Some(Retiring { generation, pid, serving: !phase.is_ending() })
    }

    fn pid(&self, worker: WorkerId) -> Option<i32> {
        let facts = self.slots.facts(worker, self.clock.now());
        facts.pid.map(nix::unistd::Pid::as_raw)
    }

    fn worker(&self, slot: &Slot, history: &History) -> Worker {
        let facts = self.slots.facts(slot.worker(), self.clock.now());
        Worker {
            generation: slot.generation(),
            pid: facts.pid.map(nix::unistd::Pid::as_raw),
            started_at: history.started_at().unwrap_or_else(|| self.clock.time()),
            ready_at: history.ready_at(),
            uptime_seconds: facts.age.as_secs_f64(),
        }
    }
}

fn wanted(slot: &Slot) -> Wanted {
    match slot.wanted() {
        supervisor::Wanted::Up => Wanted::Up,
        supervisor::Wanted::Unset | supervisor::Wanted::Down => Wanted::Down,
        supervisor::Wanted::Ended(_) => Wanted::Ended,
        supervisor::Wanted::Gone => Wanted::Gone,
    }
}

fn next_try(phase: Phase) -> Option<Instant> {
    match phase {
        Phase::Backoff { until } => Some(until),
        Phase::Idle | Phase::Starting { .. } | Phase::Ready { .. } => None,
        Phase::Stopping { .. } | Phase::Killing { .. } | Phase::GivenUp => None,
    }
}

/// A status of many slots leaves the lines out.
fn without_lines(death: &Death) -> Death {
    Death { last_lines: Vec::new(), ..death.clone() }
}

/// That of the process that signals to pm are sent to: the guard.
pub fn own_pid() -> i32 {
    let guard = getppid();
    // In a sealed run the guard is outside.
    if guard.as_raw() > 0 { guard.as_raw() } else { outer_pid(getpid()).as_raw() }
}
