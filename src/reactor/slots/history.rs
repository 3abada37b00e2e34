//! What became of a slot over time: since when it is at its phase, and how its last workers ended.
//!
//! Kept in the words of [`crate::wire`], since other programs are the only ones that ask for it.

use std::collections::VecDeque;

use nix::unistd::Pid;

use super::super::report::{Cause, Report, SpareEnd, What, WorkerEvent, WorkerFacts, signal_name};
use crate::plan::text::duration::words;
use crate::supervisor::{self, Exit, Slot};
use crate::wire::{Death, Phase, Reason, Time};

/// How many deaths of a slot are kept.
pub const DEATHS_MAX: usize = 20;

/// How much of each line before a death is kept, so that a slot takes at most 800 KiB for them.
const LINE_BYTES_MAX: usize = 2048;

/// What became of one slot.
#[derive(Debug, Default)]
pub struct History {
    /// What it was at when that was last looked at, and since when.
    phase: Phase,
    generation: u64,
    since: Option<Time>,
    started_at: Option<Time>,
    ready_at: Option<Time>,
    /// The latest first.
    deaths: VecDeque<Death>,
    restarts: u64,
    /// Why its worker is being stopped, once that is known.
    ending: Option<Ending>,
    /// How the leader of its worker ended, until nothing is left of it.
    exit: Option<Exit>,
    retiring: Option<Retiring>,
}

/// A worker that a spare has replaced.
#[derive(Debug)]
struct Retiring {
    generation: u64,
    reason: Reason,
    exit: Option<Exit>,
}

/// Why a worker is being stopped, and what was said of it.
#[derive(Debug)]
struct Ending {
    reason: Reason,
    /// `None` if it did nothing wrong.
    words: Option<String>,
}

/// A slot is at another phase, or has another worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhaseChange {
    pub at: Time,
    pub generation: u64,
    pub from: Phase,
    pub to: Phase,
}

impl History {
    /// Since when it is at its phase.
    pub fn since(&self) -> Option<Time> {
        self.since
    }

    /// When its worker was started.
    pub fn started_at(&self) -> Option<Time> {
        self.started_at
    }

    /// When its worker became ready.
    pub fn ready_at(&self) -> Option<Time> {
        self.ready_at
    }

    /// The latest first.
    pub fn deaths(&self) -> impl Iterator<Item = &Death> {
        self.deaths.iter()
    }

    /// How often a worker followed another one.
    pub fn restarts(&self) -> u64 {
        self.restarts
    }

    /// Looks at what the slot is at now.
    pub fn note_phase(&mut self, slot: &Slot, now: impl FnOnce() -> Time) -> Option<PhaseChange> {
        let (generation, to) = (slot.generation(), phase_of(slot.phase()));
        if (self.generation, self.phase) == (generation, to) {
            self.since.get_or_insert_with(now);
            return None;
        }
        let (at, from) = (now(), self.phase);
        self.since = Some(at);
        if self.generation != generation {
            self.restarts += u64::from(self.generation > 0);
            self.started_at = Some(at);
            self.ready_at = None;
            self.ending = None;
            self.exit = None;
        }
        if to == Phase::Ready {
            self.ready_at = Some(at);
        }
        (self.generation, self.phase) = (generation, to);
        Some(PhaseChange { at, generation, from, to })
    }

    /// The leader of a worker was reaped.
    pub fn note_exit(&mut self, generation: u64, exit: Exit) {
        if generation == self.generation {
            self.exit = Some(exit);
        } else if let Some(retiring) = &mut self.retiring
            && retiring.generation == generation
        {
            retiring.exit = Some(exit);
        }
    }

    /// Takes in what was reported of a worker. `stopped_by` is why a worker is stopped that did nothing wrong;
    /// `last_lines` are the last ones that it wrote.
    pub fn note_report(
        &mut self,
        report: &Report,
        stopped_by: Reason,
        now: Time,
        last_lines: impl FnOnce() -> Vec<String>,
    ) {
        let What::Worker(facts, event) = &report.what else { return };
        let last_lines = || last_lines().into_iter().map(shortened).collect();
        let (reason, exit, cause) = match event {
            WorkerEvent::Crashed { death, .. } => (Reason::Crash, Some(death.exit), death.cause),
            WorkerEvent::FailedStart { death, .. } => {
                (Reason::FailedStart, Some(death.exit), death.cause)
            }
            WorkerEvent::SpawnFailed { .. } => (Reason::FailedStart, None, None),
            WorkerEvent::NeverReady { .. } => {
                return self.begin_to_end(Reason::FailedStart, report);
            }
            WorkerEvent::Hung { .. } => return self.begin_to_end(Reason::Hung, report),
            WorkerEvent::SpareFailed { how, .. } => match how {
                SpareEnd::Exited(death) => (Reason::FailedStart, Some(death.exit), death.cause),
                SpareEnd::NotSpawned(_) => (Reason::FailedStart, None, None),
                SpareEnd::NeverWaited(_) => return,
            },
            WorkerEvent::Replacing => {
                let generation = facts.id.generation;
                self.retiring = Some(Retiring { generation, reason: stopped_by, exit: None });
                self.ending = Some(Ending { reason: stopped_by, words: None });
                return;
            }
            WorkerEvent::Stopped { .. } => {
                let generation = facts.id.generation;
                // Its exit was noted. Another worker may have died since.
                if self.deaths.iter().any(|death| death.generation == generation) {
                    return;
                }
                if let Some(retired) =
                    self.retiring.take_if(|retiring| retiring.generation == generation)
                    && self.generation != generation
                {
                    let Retiring { reason, exit, .. } = retired;
                    let words = stopped(facts, exit);
                    return self.add(death(facts, reason, exit, None, words, last_lines(), now));
                }
                let ending = self.ending.take();
                let Ending { reason, words } =
                    ending.unwrap_or(Ending { reason: stopped_by, words: None });
                let exit = self.exit.take();
                let words = words.unwrap_or_else(|| stopped(facts, exit));
                return self.add(death(facts, reason, exit, None, words, last_lines(), now));
            }
            WorkerEvent::SpareWaits
            | WorkerEvent::SpareStopped
            | WorkerEvent::Ready
            | WorkerEvent::SlowStart { .. }
            | WorkerEvent::GraceOver { .. }
            | WorkerEvent::StillStopping { .. }
            | WorkerEvent::StillKilling { .. }
            | WorkerEvent::KeptDead(_)
            | WorkerEvent::NotWatched(_)
            | WorkerEvent::NotHeld(_)
            | WorkerEvent::Rejected(_) => return,
        };
        self.add(death(facts, reason, exit, cause, report.words.clone(), last_lines(), now));
    }

    fn begin_to_end(&mut self, reason: Reason, report: &Report) {
        self.ending = Some(Ending { reason, words: Some(report.words.clone()) });
    }

    fn add(&mut self, death: Death) {
        self.deaths.truncate(DEATHS_MAX - 1);
        self.deaths.push_front(death);
    }
}

/// What is kept of a line, with a mark at the end if that is not all.
fn shortened(line: String) -> String {
    if line.len() <= LINE_BYTES_MAX {
        return line;
    }
    let end = line.floor_char_boundary(LINE_BYTES_MAX);
    format!("{}… ({} bytes more)", &line[..end], line.len() - end)
}

/// `web.2 was stopped after 91ms, by SIGTERM`
fn stopped(facts: &WorkerFacts, exit: Option<Exit>) -> String {
    let how = match exit {
        Some(Exit::Code(code)) => format!(", and exited {code}"),
        Some(Exit::Signal(number)) => format!(", by {}", signal_name(i32::from(number))),
        None => String::new(),
    };
    format!("{} was stopped after {}{how}", facts.name, words(facts.age))
}

fn death(
    facts: &WorkerFacts,
    reason: Reason,
    exit: Option<Exit>,
    cause: Option<Cause>,
    words: String,
    last_lines: Vec<String>,
    now: Time,
) -> Death {
    let (exit_status, signal) = match exit {
        Some(Exit::Code(code)) => (Some(code), None),
        Some(Exit::Signal(number)) => (None, Some(signal_name(i32::from(number)))),
        None => (None, None),
    };
    // What the kernel says is only known of a control group.
    let out_of_memory = cause.map(|Cause::MemoryLimit(_)| true);
    Death {
        generation: facts.id.generation,
        pid: facts.pid.map(Pid::as_raw),
        at: now,
        reason,
        exit_status,
        signal,
        out_of_memory,
        uptime_seconds: facts.age.as_secs_f64(),
        words,
        last_lines,
    }
}

/// What a slot is at, without its times.
pub fn phase_of(phase: supervisor::Phase) -> Phase {
    match phase {
        supervisor::Phase::Idle => Phase::Idle,
        supervisor::Phase::Starting { .. } => Phase::Starting,
        supervisor::Phase::Ready { .. } => Phase::Ready,
        supervisor::Phase::Stopping { .. } => Phase::Stopping,
        supervisor::Phase::Killing { .. } => Phase::Killing,
        supervisor::Phase::Backoff { .. } => Phase::Backoff,
        supervisor::Phase::GivenUp => Phase::GivenUp,
    }
}
