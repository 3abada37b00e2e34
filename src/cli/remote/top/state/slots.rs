//! The rows of the table: the slots, their order, which one is selected and which are marked, and what their workers
//! have used lately.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use super::super::super::status::row::{Trouble, trouble_of};
use super::super::super::times::between;
use crate::sys::usage::TotalUsage;
use crate::wire::{SlotStatus, Stats, Time};

/// Samples of a slot: as many as the widest graph has columns.
pub const SAMPLES: usize = 20;

/// The slots.
#[derive(Debug, Default)]
pub struct Slots {
    /// In the order of the plan.
    all: Vec<SlotStatus>,
    selected: Option<String>,
    marked: BTreeSet<String>,
    sort: Option<Sort>,
    uses: BTreeMap<String, Use>,
}

/// By which column the table is sorted, and whether from the largest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    pub by: SortBy,
    pub reversed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortBy {
    Slot,
    Phase,
    Port,
    Pid,
    Generation,
    Up,
    Restarts,
    ReadyIn,
    Cpu,
    Memory,
    Last,
}

/// What the worker of a slot has used, the newest sample last.
#[derive(Clone, Debug, Default)]
pub struct Use {
    generation: u64,
    last: Option<(Timestamp, Duration)>,
    /// In cores.
    pub cpu: VecDeque<f64>,
    /// In bytes.
    pub memory: VecDeque<u64>,
}

impl Slots {
    /// Takes in the slots as they are.
    pub fn set(&mut self, slots: Vec<SlotStatus>) {
        self.all = slots;
        let names: BTreeSet<_> = self.all.iter().map(|slot| slot.slot.as_str()).collect();
        self.marked.retain(|name| names.contains(name.as_str()));
        self.uses.retain(|name, _| names.contains(name.as_str()));
        if self.selected.as_ref().is_none_or(|name| !names.contains(name.as_str())) {
            self.selected = self.all.first().map(|slot| slot.slot.clone());
        }
        for slot in &self.all {
            if let Some(stats) = &slot.stats {
                let usage = TotalUsage {
                    cpu: Duration::try_from_secs_f64(stats.cpu_seconds).unwrap_or_default(),
                    resident_bytes: stats.memory_bytes,
                    processes: stats.processes,
                };
                let Stats { sampled_at: Time(at), .. } = *stats;
                let uses = self.uses.entry(slot.slot.clone()).or_default();
                uses.add(generation(slot), at, usage);
            }
        }
    }

    /// Takes in what the worker of a slot uses.
    pub fn add_usage(&mut self, name: &str, at: Timestamp, usage: TotalUsage) {
        if let Some(slot) = self.all.iter().find(|slot| slot.slot == name) {
            self.uses.entry(name.to_owned()).or_default().add(generation(slot), at, usage);
        }
    }

    /// In the order of the plan.
    pub fn all(&self) -> &[SlotStatus] {
        &self.all
    }

    /// In the order in which they are shown.
    pub fn sorted(&self, now: Time) -> Vec<&SlotStatus> {
        let mut slots: Vec<_> = self.all.iter().collect();
        if let Some(Sort { by, reversed }) = self.sort {
            slots.sort_by_cached_key(|slot| self.key(slot, by, now));
            if reversed {
                slots.reverse();
            }
        }
        slots
    }

    /// What a slot is sorted by: a number, and a text where that is the same.
    fn key(&self, slot: &SlotStatus, by: SortBy, now: Time) -> (u64, String, usize) {
        let worker = slot.worker.as_ref();
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let number = match by {
            SortBy::Slot => 0,
            SortBy::Phase => trouble_of(slot) as u64,
            SortBy::Port => slot.port.unwrap_or(0).into(),
            SortBy::Pid => {
                worker.and_then(|worker| worker.pid).map_or(0, |pid| pid.unsigned_abs().into())
            }
            SortBy::Generation => generation(slot),
            SortBy::Up => worker.map_or(0, |worker| millis(between(worker.started_at, now))),
            SortBy::Restarts => slot.restarts,
            SortBy::ReadyIn => ready_in(slot).map_or(0, millis),
            SortBy::Cpu => {
                let cpu = self.uses(slot).and_then(|uses| uses.cpu.back().copied());
                (cpu.unwrap_or(0.0) * 1e6) as u64
            }
            SortBy::Memory => {
                self.uses(slot).and_then(|uses| uses.memory.back().copied()).unwrap_or(0)
            }
            SortBy::Last => {
                slot.last_death.as_ref().map_or(0, |death| millis(between(death.at, now)))
            }
        };
        (number, slot.pool.clone(), slot.number)
    }

    pub fn sort(&self) -> Option<Sort> {
        self.sort
    }

    /// Sorts by this column: numbers from the largest. Again: the other way round. `None`: as in the plan.
    pub fn sort_by(&mut self, by: Option<SortBy>) {
        let is_number = by != Some(SortBy::Slot);
        self.sort = match (self.sort, by) {
            (Some(sort), Some(by)) if sort.by == by => {
                Some(Sort { reversed: !sort.reversed, ..sort })
            }
            (_, by) => by.map(|by| Sort { by, reversed: is_number }),
        };
    }

    /// Sorts by the same column the other way round.
    pub fn reverse(&mut self) {
        let by = self.sort.map_or(SortBy::Slot, |sort| sort.by);
        self.sort = Some(Sort { by, reversed: self.sort.is_none_or(|sort| !sort.reversed) });
    }

    pub fn selected(&self) -> Option<&SlotStatus> {
        let name = self.selected.as_ref()?;
        self.all.iter().find(|slot| slot.slot == *name)
    }

    pub fn select(&mut self, name: &str) {
        if self.all.iter().any(|slot| slot.slot == name) {
            self.selected = Some(name.to_owned());
        }
    }

    /// Selects the slot that is `rows` below the selected one, or above it if `rows` is negative.
    pub fn move_by(&mut self, rows: isize, now: Time) {
        let sorted = self.sorted(now);
        let Some(last) = sorted.len().checked_sub(1) else { return };
        let at = sorted.iter().position(|slot| Some(&slot.slot) == self.selected.as_ref());
        let to = at.unwrap_or(0).saturating_add_signed(rows).min(last);
        self.selected = Some(sorted[to].slot.clone());
    }

    pub fn is_marked(&self, slot: &SlotStatus) -> bool {
        self.marked.contains(&slot.slot)
    }

    /// Marks the selected slot, or takes its mark away.
    pub fn mark(&mut self) {
        if let Some(name) = &self.selected
            && !self.marked.remove(name)
        {
            self.marked.insert(name.clone());
        }
    }

    pub fn has_marks(&self) -> bool {
        !self.marked.is_empty()
    }

    pub fn unmark_all(&mut self) {
        self.marked.clear();
    }

    /// The slots that a key acts on: those that are marked, or else the selected one.
    pub fn meant(&self) -> Vec<&SlotStatus> {
        if self.marked.is_empty() {
            return self.selected().into_iter().collect();
        }
        self.all.iter().filter(|slot| self.is_marked(slot)).collect()
    }

    /// How many are not what they should be, for longer than a start takes.
    pub fn in_trouble(&self) -> usize {
        self.all.iter().filter(|slot| trouble_of(slot) > Trouble::Starting).count()
    }

    /// What its present worker has used.
    pub fn uses(&self, slot: &SlotStatus) -> Option<&Use> {
        self.uses.get(&slot.slot).filter(|uses| uses.generation == generation(slot))
    }
}

impl Use {
    fn add(&mut self, generation: u64, at: Timestamp, usage: TotalUsage) {
        if self.generation != generation {
            *self = Self { generation, ..Self::default() };
        }
        if let Some((before, cpu)) = self.last {
            let time = between(Time(before), Time(at));
            if time.is_zero() {
                return;
            }
            let cores = usage.cpu.saturating_sub(cpu).as_secs_f64() / time.as_secs_f64();
            keep(&mut self.cpu, cores);
        }
        self.last = Some((at, usage.cpu));
        keep(&mut self.memory, usage.resident_bytes);
    }
}

fn keep<T>(samples: &mut VecDeque<T>, sample: T) {
    if samples.len() == SAMPLES {
        samples.pop_front();
    }
    samples.push_back(sample);
}

fn generation(slot: &SlotStatus) -> u64 {
    slot.worker.as_ref().map_or(0, |worker| worker.generation)
}

/// How long its worker took to be ready.
pub fn ready_in(slot: &SlotStatus) -> Option<Duration> {
    let worker = slot.worker.as_ref()?;
    Some(between(worker.started_at, worker.ready_at?))
}
