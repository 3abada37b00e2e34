//! The columns of the table: what stands in each, and which of them fit. They drop one after another; PHASE and SLOT
//! stay, and no word is cut.

use std::time::Duration;

use super::super::status::row;
use super::super::times::{between, short};
use super::line;
use super::state::slots::{SortBy, ready_in};
use super::state::{Glyphs, State};
use crate::wire::{Death, Phase, SlotStatus, Wanted};

/// A column with the text of each row.
#[derive(Clone, Debug)]
pub struct Column {
    pub name: &'static str,
    pub by: SortBy,
    pub align: Align,
    /// The least width, in columns of the screen.
    pub least: usize,
    /// Columns of the graph that follows each text; 0: none.
    pub graph: usize,
    pub cells: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// What is left out step by step, so that the table fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Drop {
    Nothing,
    MemoryGraph,
    ReadyIn,
    LongGraph,
    Generation,
    Words,
    CpuGraph,
    Memory,
    Pid,
    Cpu,
    Restarts,
    Up,
    Port,
    Last,
}

const DROPS: [Drop; 14] = [
    Drop::Nothing,
    Drop::MemoryGraph,
    Drop::ReadyIn,
    Drop::LongGraph,
    Drop::Generation,
    Drop::Words,
    Drop::CpuGraph,
    Drop::Memory,
    Drop::Pid,
    Drop::Cpu,
    Drop::Restarts,
    Drop::Up,
    Drop::Port,
    Drop::Last,
];

/// What stands before the first column: the mark, and which row is selected.
pub const GUTTER: usize = 3;
const GAP: usize = 2;
/// Below this width PHASE has a gap of one.
const WIDE: usize = 100;
const LONG_GRAPH: usize = super::state::slots::SAMPLES;
const SHORT_GRAPH: usize = 5;
/// `starting 28s` with its sign, so that the table does not jump with the seconds.
const PHASE_LEAST: usize = 14;

impl Column {
    /// With the graph.
    pub fn width(&self) -> usize {
        let graph = if self.graph > 0 { self.graph + 1 } else { 0 };
        self.text_width().max((self.name.len()).saturating_sub(graph)) + graph
    }

    /// Of the texts alone.
    pub fn text_width(&self) -> usize {
        let cells = self.cells.iter().map(|cell| line::width(cell));
        cells.max().unwrap_or(0).max(self.least)
    }
}

/// The gap after a column of a table of this width.
pub fn gap(column: &Column, columns: usize) -> usize {
    if column.by == SortBy::Phase && columns < WIDE { 1 } else { GAP }
}

/// The columns that fit, for these rows.
pub fn fitting(state: &State, slots: &[&SlotStatus]) -> Vec<Column> {
    let width = usize::from(state.columns);
    let mut columns = Vec::new();
    for dropped in DROPS {
        columns = all(state, slots, dropped);
        let gaps = columns.iter().rev().skip(1).map(|column| gap(column, width)).sum::<usize>();
        if GUTTER + columns.iter().map(Column::width).sum::<usize>() + gaps <= width {
            break;
        }
    }
    columns
}

/// What the digits sort by.
pub fn sortable(state: &State) -> Vec<SortBy> {
    let slots: Vec<_> = state.slots.all().iter().collect();
    fitting(state, &slots).iter().map(|column| column.by).collect()
}

fn all(state: &State, slots: &[&SlotStatus], dropped: Drop) -> Vec<Column> {
    let now = state.time();
    let column = |name, by, align, least, cell: &dyn Fn(&SlotStatus) -> Option<String>| {
        column(state, slots, (name, by, align, least), cell)
    };
    let worker = |slot: &SlotStatus| slot.worker.clone();
    let mut columns = vec![
        column("SLOT", SortBy::Slot, Align::Left, 6, &|slot| Some(slot.slot.clone())),
        column("PHASE", SortBy::Phase, Align::Left, PHASE_LEAST, &|slot| Some(phase(state, slot))),
    ];
    if dropped < Drop::Port {
        columns.push(column("PORT", SortBy::Port, Align::Right, 4, &|slot| {
            slot.port.map(|port| port.to_string())
        }));
    }
    if dropped < Drop::Pid {
        columns.push(column("PID", SortBy::Pid, Align::Right, 4, &|slot| {
            worker(slot)?.pid.map(|pid| pid.to_string())
        }));
    }
    if dropped < Drop::Generation {
        columns.push(column("GEN", SortBy::Generation, Align::Right, 3, &|slot| {
            let last = slot.last_death.as_ref().map(|death| death.generation);
            worker(slot).map(|worker| worker.generation).or(last).map(|n| n.to_string())
        }));
    }
    if dropped < Drop::Up {
        columns.push(column("UP", SortBy::Up, Align::Right, 6, &|slot| {
            Some(short(whole_seconds(between(worker(slot)?.started_at, now))))
        }));
    }
    if dropped < Drop::Restarts {
        columns.push(column("RESTARTS", SortBy::Restarts, Align::Right, 8, &|slot| {
            Some(slot.restarts.to_string())
        }));
    }
    if dropped < Drop::ReadyIn {
        columns.push(column("READY IN", SortBy::ReadyIn, Align::Right, 8, &|slot| {
            ready_in(slot).map(short)
        }));
    }
    columns.extend(measured(state, slots, dropped));
    columns.extend(last_deaths(state, slots, dropped));
    columns
}

/// What the workers have used lately.
fn measured(state: &State, slots: &[&SlotStatus], dropped: Drop) -> Vec<Column> {
    let mut columns = Vec::new();
    if dropped < Drop::Cpu {
        let name = if dropped < Drop::LongGraph { "CPU 60s" } else { "CPU" };
        let head = (name, SortBy::Cpu, Align::Right, 4);
        let mut cpu = column(state, slots, head, &|slot| {
            state.slots.uses(slot)?.cpu.back().map(|cores| row::percent(*cores))
        });
        cpu.graph = match dropped {
            dropped if dropped < Drop::LongGraph => LONG_GRAPH,
            dropped if dropped < Drop::CpuGraph => SHORT_GRAPH,
            _ => 0,
        };
        columns.push(cpu);
    }
    if dropped < Drop::Memory {
        let has_graph = dropped < Drop::MemoryGraph;
        let head = (if has_graph { "MEM 60s" } else { "MEM" }, SortBy::Memory, Align::Right, 4);
        let mut memory = column(state, slots, head, &|slot| {
            state.slots.uses(slot)?.memory.back().map(|bytes| row::memory(*bytes))
        });
        memory.graph = if has_graph { LONG_GRAPH } else { 0 };
        columns.push(memory);
    }
    columns
}

/// How the last workers ended: in words, in a word, or not at all.
fn last_deaths(state: &State, slots: &[&SlotStatus], dropped: Drop) -> Option<Column> {
    let now = state.time();
    if dropped < Drop::Words {
        let head = ("LAST DEATH", SortBy::Last, Align::Left, 0);
        return Some(column(state, slots, head, &|slot| {
            let death = slot.last_death.as_ref()?;
            Some(format!("{}, {} ago", ended(death), largest_unit(between(death.at, now))))
        }));
    }
    let head = ("LAST", SortBy::Last, Align::Left, 4);
    (dropped < Drop::Last)
        .then(|| column(state, slots, head, &|slot| slot.last_death.as_ref().map(last_word)))
}

/// A column of these rows, with a dash where there is nothing.
fn column(
    state: &State,
    slots: &[&SlotStatus],
    (name, by, align, least): (&'static str, SortBy, Align, usize),
    cell: &dyn Fn(&SlotStatus) -> Option<String>,
) -> Column {
    let nothing = nothing(state);
    let cells = slots.iter().map(|slot| cell(slot).unwrap_or_else(|| nothing.into()));
    Column { name, by, align, least, graph: 0, cells: cells.collect() }
}

/// A dash where there is nothing.
fn nothing(state: &State) -> &'static str {
    match state.look.glyphs {
        Glyphs::Unicode => "–",
        Glyphs::Ascii => "-",
    }
}

/// Below a second the table shows `0s`: it is drawn once a second.
pub fn whole_seconds(time: Duration) -> Duration {
    if time < Duration::from_secs(1) { Duration::ZERO } else { time }
}

/// `exited 255 after 2.1s`, `SIGKILL (out of memory)`.
pub fn ended(death: &Death) -> String {
    let seconds = death.uptime_seconds.max(0.0);
    let age = match Duration::try_from_secs_f64(seconds) {
        Ok(time) if time.as_secs() >= 60 => short(time),
        Ok(_) | Err(_) => format!("{seconds:.1}s"),
    };
    match (&death.signal, death.exit_status) {
        (Some(signal), _) if death.out_of_memory == Some(true) => {
            format!("{signal} (out of memory)")
        }
        (Some(signal), _) => format!("{signal} after {age}"),
        (None, Some(status)) => format!("exited {status} after {age}"),
        (None, None) => "could not be started".into(),
    }
}

/// `2m`
fn largest_unit(time: Duration) -> String {
    let text = short(whole_seconds(time));
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// `255`, `KILL`, or what else fits.
fn last_word(death: &Death) -> String {
    match (&death.signal, death.exit_status) {
        (Some(signal), _) => signal.strip_prefix("SIG").unwrap_or(signal).to_owned(),
        (None, Some(status)) => status.to_string(),
        (None, None) => "none".into(),
    }
}

/// The sign of a phase, its word, and how long it has lasted or will last.
pub fn phase(state: &State, slot: &SlotStatus) -> String {
    let sign = sign(state.look.glyphs, slot);
    let words = match (slot.phase, slot.wanted) {
        (Phase::Idle, _) if !slot.waits_for.is_empty() => {
            format!("waits for {}", slot.waits_for.join(", "))
        }
        (Phase::Idle, Wanted::Up) => "idle".into(),
        (Phase::Idle, Wanted::Down) => "stopped".into(),
        (Phase::Idle, Wanted::Ended) => "ended".into(),
        (Phase::Idle, Wanted::Gone) => "removed".into(),
        (Phase::GivenUp, _) => "given up".into(),
        (Phase::Ready, _) => "ready".into(),
        (Phase::Starting | Phase::Stopping | Phase::Killing, _) => {
            let time = whole_seconds(between(slot.phase_since, state.time()));
            format!("{} {}", slot.phase.written(), short(time))
        }
        (Phase::Backoff, _) => match slot.next_try_at {
            Some(at) => format!("backoff {}", short(whole_seconds(between(state.time(), at)))),
            None => "backoff".into(),
        },
    };
    format!("{sign} {words}")
}

/// A full circle serves, a half one is on its way, an empty one waits, a cross is trouble that does not pass.
pub fn sign(glyphs: Glyphs, slot: &SlotStatus) -> &'static str {
    let is_failed = slot.wanted == Wanted::Ended && !row::has_ended_well(slot);
    let signs = match slot.phase {
        Phase::Ready => ["●", "*"],
        Phase::Starting | Phase::Stopping | Phase::Killing => ["◐", "~"],
        Phase::Backoff => ["○", "o"],
        Phase::GivenUp => ["✕", "!"],
        Phase::Idle if is_failed => ["✕", "!"],
        Phase::Idle => ["◌", "."],
    };
    match glyphs {
        Glyphs::Unicode => signs[0],
        Glyphs::Ascii => signs[1],
    }
}
