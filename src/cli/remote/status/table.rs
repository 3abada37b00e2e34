//! The table of `pm status`: as wide as the terminal at most. Columns drop one after another; no word is cut.

use anstyle::{AnsiColor, Style};

use super::super::print::Paint;
use super::super::times::{between, short};
use super::row::{self, NOTHING};
use crate::wire::{Phase, SlotStatus, Status, Time, Wanted};

/// Between columns, and between the parts of the first line.
const GAP: &str = "  ";

/// A column, with the text of each row.
struct Column {
    name: &'static str,
    align: Align,
    cells: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Align {
    Left,
    Right,
}

/// The columns that drop, the first one first.
const DROPPED: [&str; 9] = [BACKLOG, SPARE, "MEM", "PID", "CPU", "RESTARTS", "UP", "PORT", LAST];
const PHASE: &str = "PHASE";
const LAST: &str = "LAST";
/// Only there if pm holds a port.
const BACKLOG: &str = "BACKLOG";
/// Only there if a slot has one.
const SPARE: &str = "SPARE";

/// The lines of a status; `width` is that of the terminal.
pub fn lines(
    status: &Status,
    slots: &[SlotStatus],
    width: Option<usize>,
    paint: Paint,
) -> Vec<String> {
    let mut lines = heading(status, width);
    if !slots.is_empty() {
        lines.extend(table(slots, status.now, width, paint));
    }
    lines
}

/// `pm pm.toml  up 2d 3h  web 3/3  jobs 1/2`, on more than one line if that is too wide.
fn heading(status: &Status, width: Option<usize>) -> Vec<String> {
    let plan = status.pm.plan.as_deref().map(|plan| format!(" {plan}")).unwrap_or_default();
    let up = short(between(status.pm.started_at, status.now));
    let mut parts = vec![format!("pm{plan}"), format!("up {up}")];
    if status.pm.draining {
        parts.push("stopping".into());
    }
    let mut pools: Vec<(&str, usize, usize)> = Vec::new();
    for slot in &status.slots {
        let index = pools.iter().position(|(pool, ..)| *pool == slot.pool);
        let index = index.unwrap_or_else(|| {
            pools.push((&slot.pool, 0, 0));
            pools.len() - 1
        });
        pools[index].1 += usize::from(is_well(slot));
        pools[index].2 += 1;
    }
    parts.extend(pools.iter().map(|(pool, well, all)| format!("{pool} {well}/{all}")));
    let mut lines = vec![parts.remove(0)];
    for part in parts {
        let line = lines.last_mut().expect("the first part");
        let columns = line.chars().count() + GAP.len() + part.chars().count();
        if width.is_some_and(|width| columns > width) {
            lines.push(format!("{GAP} {part}"));
        } else {
            *line += &format!("{GAP}{part}");
        }
    }
    lines
}

/// It is ready, or a job that has ended well.
fn is_well(slot: &SlotStatus) -> bool {
    slot.phase == Phase::Ready || slot.wanted == Wanted::Ended && row::has_ended_well(slot)
}

fn table(slots: &[SlotStatus], now: Time, width: Option<usize>, paint: Paint) -> Vec<String> {
    let columns = fitting(slots, now, width);
    let heads = columns.iter().map(|column| column.name.to_owned()).collect();
    let mut lines = vec![line(&columns, heads, None)];
    for (index, slot) in slots.iter().enumerate() {
        let cells = columns.iter().map(|column| column.cells[index].clone()).collect();
        let style = (paint == Paint::Colour).then(|| style(slot));
        lines.push(line(&columns, cells, style));
    }
    lines
}

/// The columns that fit. SLOT and PHASE always stay.
fn fitting(slots: &[SlotStatus], now: Time, width: Option<usize>) -> Vec<Column> {
    let mut columns = columns(slots, now);
    let Some(width) = width else { return columns };
    let is_too_wide = |columns: &[Column]| {
        columns.iter().map(Column::width).sum::<usize>() + GAP.len() * (columns.len() - 1) > width
    };
    if is_too_wide(&columns) {
        let words = slots.iter().map(|slot| row::last_word(slot.last_death.as_ref()));
        columns.last_mut().expect("LAST").cells = words.collect();
    }
    for dropped in DROPPED {
        if !is_too_wide(&columns) {
            break;
        }
        columns.retain(|column| column.name != dropped);
    }
    columns
}

fn columns(slots: &[SlotStatus], now: Time) -> Vec<Column> {
    let column = |name, align, cell: &dyn Fn(&SlotStatus) -> String| Column {
        name,
        align,
        cells: slots.iter().map(cell).collect(),
    };
    let or_nothing = |text: Option<String>| text.unwrap_or_else(|| NOTHING.into());
    let mut columns = vec![
        column("SLOT", Align::Left, &|slot| slot.slot.clone()),
        column(PHASE, Align::Left, &|slot| row::phase(slot, now)),
        column("PORT", Align::Right, &|slot| or_nothing(slot.port.map(|port| port.to_string()))),
        column("PID", Align::Right, &|slot| {
            let pid = slot.worker.as_ref().and_then(|worker| worker.pid);
            or_nothing(pid.map(|pid| pid.to_string()))
        }),
        column("UP", Align::Right, &|slot| {
            let worker = slot.worker.as_ref();
            or_nothing(worker.map(|worker| {
                short(std::time::Duration::from_secs_f64(worker.uptime_seconds.max(0.0)))
            }))
        }),
        column("RESTARTS", Align::Right, &|slot| slot.restarts.to_string()),
        column("CPU", Align::Right, &|slot| {
            or_nothing(slot.stats.as_ref().map(|stats| row::percent(stats.cpu_cores)))
        }),
        column("MEM", Align::Right, &|slot| {
            or_nothing(slot.stats.as_ref().map(|stats| row::memory(stats.memory_bytes)))
        }),
        column(BACKLOG, Align::Right, &|slot| {
            or_nothing(slot.backlog.map(|held| format!("{}/{}", held.waiting, held.limit)))
        }),
        column(SPARE, Align::Left, &|slot| or_nothing(slot.spare.as_ref().map(row::spare))),
        column(LAST, Align::Left, &|slot| row::last(slot.last_death.as_ref(), now)),
    ];
    if slots.iter().all(|slot| slot.backlog.is_none()) {
        columns.retain(|column| column.name != BACKLOG);
    }
    if slots.iter().all(|slot| slot.spare.is_none()) {
        columns.retain(|column| column.name != SPARE);
    }
    columns
}

impl Column {
    fn width(&self) -> usize {
        let cells = self.cells.iter().map(String::as_str).chain([self.name]);
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    }
}

fn line(columns: &[Column], cells: Vec<String>, phase: Option<Style>) -> String {
    let mut text = String::new();
    for (index, (column, cell)) in columns.iter().zip(cells).enumerate() {
        let gap = if index == 0 { "" } else { GAP };
        let padding = " ".repeat(column.width() - cell.chars().count());
        let cell = match phase.filter(|_| column.name == PHASE) {
            Some(style) => format!("{style}{cell}{style:#}"),
            None => cell,
        };
        text += gap;
        text += &match column.align {
            Align::Left => cell + &padding,
            Align::Right => padding + &cell,
        };
    }
    text.truncate(text.trim_end().len());
    text
}

/// Green is well, red is trouble, yellow is on its way.
fn style(slot: &SlotStatus) -> Style {
    let colour = match slot.phase {
        Phase::Ready => AnsiColor::Green,
        Phase::Backoff | Phase::GivenUp => AnsiColor::Red,
        Phase::Starting | Phase::Stopping | Phase::Killing => AnsiColor::Yellow,
        Phase::Idle => return Style::new().dimmed(),
    };
    Style::new().fg_color(Some(colour.into()))
}

#[cfg(test)]
mod tests;
