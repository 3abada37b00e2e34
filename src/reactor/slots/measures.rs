//! What is counted of workers, and how long things took: for `GET /metrics`.
//!
//! It is counted where it happens, and nothing is ever made of a sentence. Each count costs at most a search in a map.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Slots;
use super::histogram::{Histogram, LONGER, SHORTER};
use super::record::Record;
use crate::reactor::health::{Concluded, Purpose};
use crate::supervisor::{
    Exit, Next, Phase, PoolId, Remains, Slot, SlotId, Transition, Wanted, WorkerId,
};
use crate::wire::Reason;

/// Why a worker was replaced, as it is written.
pub const RESTART_REASONS: [&str; 5] = ["crash", "failed_start", "hung", "asked", "changed"];

/// How a worker ended, as it is written.
pub const EXIT_REASONS: [&str; 6] = ["success", "failure", "signal", "oom", "hung", "asked"];

/// What a probe is for, as it is written.
pub const PURPOSES: [&str; 2] = ["ready", "alive"];

/// What is counted of one slot.
#[derive(Debug, Default)]
pub struct Measures {
    /// In the order of [`RESTART_REASONS`].
    pub restarts: [u64; RESTART_REASONS.len()],
    /// In the order of [`EXIT_REASONS`].
    pub exits: [u64; EXIT_REASONS.len()],
    pub failed_starts: u64,
    /// In the order of [`PURPOSES`].
    pub probe_failures: [u64; PURPOSES.len()],
    /// What the leaders of dead workers have used.
    pub dead_cpu: Duration,
    /// When the start of its worker began, until the leader is reaped or has turned out not to exec.
    pub spawned_at: Option<Instant>,
    /// When its worker was started, in seconds since the Unix epoch. As `spawned_at`.
    pub started_at: f64,
    generation: u64,
    /// When its last worker died, until the next one has exec'd. `None` if no worker follows at once.
    respawning_since: Option<Instant>,
    /// When its last worker died, until one is ready.
    down_since: Option<Instant>,
    /// How its worker is being stopped, since when.
    stop: Option<(StopCause, Instant)>,
    /// Why its last worker ended.
    end: Option<Reason>,
}

/// Why a worker is being stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StopCause {
    Asked,
    Hung,
    NeverReady,
}

/// How long things take in one pool.
#[derive(Debug)]
pub struct PoolTimes {
    pub respawn: Histogram,
    pub ready: Histogram,
    pub down: Histogram,
    pub stop: Histogram,
    /// In the order of [`PURPOSES`].
    pub probes: [Histogram; PURPOSES.len()],
}

impl Default for PoolTimes {
    fn default() -> Self {
        let longer = || Histogram::new(LONGER);
        let shorter = || Histogram::new(SHORTER);
        Self {
            respawn: shorter(),
            ready: longer(),
            down: longer(),
            stop: longer(),
            probes: [shorter(), shorter()],
        }
    }
}

impl Measures {
    /// The start of a worker begins.
    pub fn begin(&mut self, now: Instant) {
        self.spawned_at = Some(now);
        self.stop = None;
    }

    /// Looks at what the slot is at now.
    pub fn note_phase(&mut self, slot: &Slot) {
        if self.generation != slot.generation() {
            if self.generation > 0 {
                let reason = self.end.take().unwrap_or(Reason::Asked);
                self.restarts[restart_index(reason)] += 1;
            }
            self.generation = slot.generation();
        }
        match slot.phase() {
            Phase::Idle | Phase::Backoff { .. } | Phase::GivenUp => self.respawning_since = None,
            Phase::Starting { .. } | Phase::Ready { .. } => {}
            Phase::Stopping { .. } | Phase::Killing { .. } => {}
        }
        if slot.wanted() != Wanted::Up {
            self.down_since = None;
        }
    }

    fn exit_index(&self, exit: Exit, is_out_of_memory: impl FnOnce() -> bool) -> usize {
        match (self.stop, exit) {
            (Some((StopCause::Asked, _)), _) => 5,
            (Some((StopCause::Hung, _)), _) => 4,
            (Some((StopCause::NeverReady, _)), _) => 1,
            (None, exit) if exit.is_success() => 0,
            (None, Exit::Code(_)) => 1,
            (None, Exit::Signal(_)) if is_out_of_memory() => 3,
            (None, Exit::Signal(_)) => 2,
        }
    }
}

fn restart_index(reason: Reason) -> usize {
    match reason {
        Reason::Crash => 0,
        Reason::FailedStart => 1,
        Reason::Hung => 2,
        Reason::Asked | Reason::Shutdown => 3,
        Reason::Changed => 4,
    }
}

/// The record of the slot, if this is its latest worker: what becomes of a spare, and of a worker that a spare has
/// replaced, is not counted.
fn latest(
    records: &mut BTreeMap<SlotId, Box<Record>>,
    worker: WorkerId,
) -> Option<&mut Box<Record>> {
    records.get_mut(&worker.slot).filter(|record| record.is_latest(worker))
}

impl Slots {
    /// What is counted of this slot.
    pub fn measures(&self, slot: SlotId) -> Option<&Measures> {
        self.records.get(&slot).map(|record| &record.measures)
    }

    /// How long things take in this pool; `None` if nothing has happened there yet.
    pub fn times(&self, pool: PoolId) -> Option<&PoolTimes> {
        self.times.get(&pool)
    }

    /// The start of a worker has begun at this time of day, in seconds since the Unix epoch.
    pub fn measure_start(&mut self, worker: WorkerId, at: f64) {
        if let Some(record) = self.records.get_mut(&worker.slot) {
            record.measures.started_at = at;
        }
    }

    /// The leader of a worker was reaped at `now`, which is this very moment.
    pub fn measure_death(
        &mut self,
        worker: WorkerId,
        exit: Exit,
        cpu: Duration,
        remains: Remains,
        now: Instant,
    ) {
        let Some(record) = self.records.get_mut(&worker.slot) else { return };
        if !record.is_latest(worker) {
            record.measures.dead_cpu += cpu;
            return;
        }
        let is_out_of_memory = record.cause(worker).is_some();
        let measures = &mut record.measures;
        measures.exits[measures.exit_index(exit, || is_out_of_memory)] += 1;
        measures.dead_cpu += cpu;
        measures.spawned_at = None;
        measures.respawning_since = Some(now);
        measures.down_since.get_or_insert(now);
        if remains == Remains::Nothing {
            self.measure_emptied(worker, now);
        }
    }

    /// A probe has come to an end.
    pub fn measure_probe(&mut self, probe: Concluded) {
        let Some(record) = self.records.get_mut(&probe.slot) else { return };
        let index = match probe.purpose {
            Purpose::Ready => 0,
            Purpose::Alive => 1,
        };
        record.measures.probe_failures[index] += u64::from(!probe.has_passed);
        self.times.entry(record.pool).or_default().probes[index].observe(probe.took);
    }

    /// The last process of a worker is gone.
    pub fn measure_emptied(&mut self, worker: WorkerId, now: Instant) {
        let Some(record) = latest(&mut self.records, worker) else { return };
        if let Some((_, since)) = record.measures.stop.take() {
            let times = self.times.entry(record.pool).or_default();
            times.stop.observe(now.saturating_duration_since(since));
        }
    }

    /// A stop signal or SIGKILL is sent to a worker.
    pub fn measure_stop(&mut self, worker: WorkerId, now: Instant) {
        let Some(record) = latest(&mut self.records, worker) else { return };
        let measures = &mut record.measures;
        // What a dead leader has left is killed without being asked.
        if measures.spawned_at.is_some() {
            measures.stop.get_or_insert((StopCause::Asked, now));
        }
    }

    /// A worker has exec'd at `now`, which is this very moment.
    pub fn measure_exec(&mut self, worker: WorkerId, now: Instant) {
        let Some(record) = latest(&mut self.records, worker) else { return };
        if let Some(since) = record.measures.respawning_since.take() {
            let times = self.times.entry(record.pool).or_default();
            times.respawn.observe(now.saturating_duration_since(since));
        }
    }

    /// Something became of a worker. `stopped_by` is why one is stopped that did nothing wrong.
    pub fn measure_transition(&mut self, transition: Transition, stopped_by: Reason, now: Instant) {
        let Some(record) = self.records.get_mut(&transition.worker().slot) else { return };
        let measures = &mut record.measures;
        let fail = |measures: &mut Measures| {
            measures.failed_starts += 1;
            measures.end = Some(Reason::FailedStart);
        };
        match transition {
            Transition::Ready(_) => {
                let times = self.times.entry(record.pool).or_default();
                if let Some(since) = measures.spawned_at {
                    times.ready.observe(now.saturating_duration_since(since));
                }
                if let Some(since) = measures.down_since.take() {
                    times.down.observe(now.saturating_duration_since(since));
                }
            }
            Transition::Crashed { next: Next::Replaced, .. }
            | Transition::Stopped { next: Next::Replaced, .. } => {}
            Transition::Crashed { .. } => measures.end = Some(Reason::Crash),
            // It has done its work.
            Transition::FailedStart { exit, next: Next::End, .. } if exit.is_success() => {}
            Transition::FailedStart { .. } => fail(measures),
            Transition::SpawnFailed { .. } => {
                measures.spawned_at = None;
                fail(measures);
            }
            Transition::NeverReady(_) => {
                measures.stop = Some((StopCause::NeverReady, now));
                fail(measures);
            }
            Transition::Hung(_) => {
                measures.stop = Some((StopCause::Hung, now));
                measures.end = Some(Reason::Hung);
            }
            Transition::Replacing(_) => measures.end = Some(stopped_by),
            Transition::Stopped { .. } => {
                measures.end.get_or_insert(stopped_by);
            }
            Transition::GraceOver { .. } => {}
            Transition::SpareWaits(_) | Transition::SpareFailed { .. } => {}
            Transition::SpareStopped(_) => {}
        }
    }
}
