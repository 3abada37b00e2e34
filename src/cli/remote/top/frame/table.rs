//! The table: a row for each slot, with what its worker has used lately as a graph.

use std::collections::VecDeque;

use ratatui::layout::Rect;

use super::super::super::status::row::{Trouble, trouble_of};
use super::super::columns::{Align, Column, GUTTER, fitting, gap, phase};
use super::super::layout::{Kind, Layout};
use super::super::line;
use super::super::state::State;
use super::super::state::slots::{SAMPLES, SortBy};
use super::pen::{Ink, Pen, cut};
use crate::wire::{Phase, SlotStatus};

/// From nothing to all.
const BARS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
const ASCII_BARS: [&str; 8] = ["_", ".", ":", "-", "=", "+", "*", "#"];
/// A graph of CPU is not higher than this part of a core makes it, so that noise stays low.
const CPU_LEAST: f64 = 0.02;

pub fn draw(state: &State, layout: &Layout, pen: &mut Pen<'_>) {
    let area = layout.table;
    if area.height == 0 {
        return;
    }
    let visible = layout.visible(state);
    let first_row = match layout.kind {
        Kind::Full => {
            let columns = fitting(state, &visible.slots);
            draw_head(state, &columns, area, pen);
            for (index, slot) in visible.slots.iter().enumerate() {
                let row = 1 + u16::try_from(index).unwrap_or(u16::MAX);
                draw_row(state, &columns, (index, slot), area, row, pen);
            }
            1
        }
        Kind::List => {
            for (index, slot) in visible.slots.iter().enumerate() {
                let row = u16::try_from(index).unwrap_or(u16::MAX);
                draw_gutter(state, slot, area, row, pen);
                let name = pen.text(area, GUTTER, row, &slot.slot, Ink::Plain);
                let widest = visible.slots.iter().map(|slot| line::width(&slot.slot)).max();
                let column = (GUTTER + widest.unwrap_or(0)).max(name) + 2;
                let room = usize::from(area.width).saturating_sub(column);
                let text = cut(&phase(state, slot), room, state.look);
                pen.text(area, column, row, &text, phase_ink(slot));
            }
            0
        }
    };
    if state.slots.all().is_empty() {
        pen.text(area, GUTTER, first_row, "no slots", Ink::Faint);
    }
    let hidden = match (visible.above, visible.below) {
        (0, 0) => return,
        (0, below) => format!("{below} more below"),
        (above, 0) => format!("{above} more above"),
        (above, below) => format!("{above} more above, {below} below"),
    };
    let row = first_row + u16::try_from(visible.slots.len()).unwrap_or(u16::MAX);
    let dots = pen.glyph("…", "..");
    pen.text(area, GUTTER, row, &format!("{dots} {hidden}"), Ink::Faint);
}

fn draw_head(state: &State, columns: &[Column], area: Rect, pen: &mut Pen<'_>) {
    each(columns, area, |column, start, end| {
        let sort = state.slots.sort().filter(|sort| sort.by == column.by);
        let ink = if sort.is_some() { Ink::Strong } else { Ink::Faint };
        let is_left = column.align == Align::Left || column.graph > 0;
        let start = if is_left { start } else { end.saturating_sub(column.name.len()) };
        // A heading may be wider than the numbers below it.
        let after = pen.text(area, start, 0, column.name, ink);
        if let Some(sort) = sort {
            let arrow = if sort.reversed { pen.glyph("▼", "v") } else { pen.glyph("▲", "^") };
            let at = if is_left { after } else { start.saturating_sub(1) };
            pen.text(area, at, 0, arrow, ink);
        }
    });
}

fn draw_row(
    state: &State,
    columns: &[Column],
    (index, slot): (usize, &SlotStatus),
    area: Rect,
    row: u16,
    pen: &mut Pen<'_>,
) {
    let is_selected = draw_gutter(state, slot, area, row, pen);
    let plain = if is_selected { Ink::Strong } else { Ink::Plain };
    each(columns, area, |column, start, end| {
        let text = &column.cells[index];
        let ink = match column.by {
            SortBy::Phase => phase_ink(slot),
            SortBy::Last if trouble_of(slot) <= Trouble::Starting => Ink::Faint,
            SortBy::Last => Ink::Bad,
            SortBy::Slot
            | SortBy::Port
            | SortBy::Pid
            | SortBy::Generation
            | SortBy::Up
            | SortBy::Restarts
            | SortBy::ReadyIn
            | SortBy::Cpu
            | SortBy::Memory => plain,
        };
        let text_end = if column.graph > 0 { end - column.graph - 1 } else { end };
        match column.align {
            Align::Left => pen.text(area, start, row, text, ink),
            Align::Right => pen.text_to(area, text_end, row, text, ink),
        };
        if column.graph > 0
            && let Some(uses) = state.slots.uses(slot)
        {
            let levels = if column.by == SortBy::Memory {
                levels(&uses.memory, column.graph, |bytes| *bytes as f64, 0.0, 4.0)
            } else {
                levels(&uses.cpu, column.graph, |cores| *cores, CPU_LEAST, 7.0)
            };
            for (offset, level) in levels.into_iter().enumerate() {
                let bar = pen.glyph(BARS[level], ASCII_BARS[level]);
                pen.text(area, text_end + 1 + offset, row, bar, Ink::Plain);
            }
        }
    });
}

/// The mark, and the sign of the selected row. True if it is this one.
fn draw_gutter(state: &State, slot: &SlotStatus, area: Rect, row: u16, pen: &mut Pen<'_>) -> bool {
    if state.slots.is_marked(slot) {
        pen.text(area, 0, row, "+", Ink::Strong);
    }
    let is_selected = state.slots.selected().is_some_and(|other| other.slot == slot.slot);
    if is_selected {
        let sign = pen.glyph("▸", ">");
        pen.text(area, 1, row, sign, Ink::Strong);
    }
    is_selected
}

/// Visits each column with where it starts and ends.
fn each(columns: &[Column], area: Rect, mut visit: impl FnMut(&Column, usize, usize)) {
    let mut start = GUTTER;
    for column in columns {
        let end = start + column.width();
        visit(column, start, end);
        start = end + gap(column, usize::from(area.width));
    }
}

/// The bars of the last samples, of as many as there is room for. One is full at the highest sample.
fn levels<T>(
    samples: &VecDeque<T>,
    columns: usize,
    number: impl Fn(&T) -> f64,
    least: f64,
    full: f64,
) -> Vec<usize> {
    let shown = samples.iter().skip(samples.len().saturating_sub(columns.min(SAMPLES)));
    let numbers: Vec<_> = shown.map(number).collect();
    let highest = numbers.iter().copied().fold(least, f64::max);
    if highest <= 0.0 {
        return vec![0; numbers.len()];
    }
    numbers.iter().map(|number| ((number / highest * full).round() as usize).min(7)).collect()
}

fn phase_ink(slot: &SlotStatus) -> Ink {
    match slot.phase {
        Phase::Ready => Ink::Good,
        Phase::Starting | Phase::Stopping | Phase::Killing => Ink::Waiting,
        Phase::Backoff | Phase::GivenUp => Ink::Bad,
        Phase::Idle if trouble_of(slot) == Trouble::EndedBadly => Ink::Bad,
        Phase::Idle => Ink::Faint,
    }
}
