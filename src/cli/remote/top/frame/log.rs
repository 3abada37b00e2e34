//! The log: the lines of the workers in the order in which they came, with each death among them.

use std::ops::ControlFlow;

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::layout::Layout;
use super::super::line::{self, Fold, walk};
use super::super::state::log::View;
use super::super::state::rows::{Kind, Row};
use super::super::state::{Link, Scope, State};
use super::pen::{Ink, Pen, cut, grouped};
use crate::cli::remote::print::Paint;
use crate::plan::text::phrase;
use crate::reactor::label_colour;
use crate::wire::Time;

/// Columns of the line after the words at its right.
const AFTER_WORDS: usize = 5;

pub fn draw(state: &State, layout: &Layout, pen: &mut Pen<'_>) {
    draw_bar(state, layout, pen);
    let area = layout.log;
    if layout.why.is_some_and(|why| why.x == 0) {
        return;
    }
    let placed = state.log.placed();
    if placed.is_empty() {
        let (lines, _) = state.log.counts();
        let words = match &state.link {
            Link::Live | Link::Silent | Link::Gone(_) if lines > 0 => "no line matches",
            Link::Live | Link::Silent => "no lines yet",
            Link::Gone(_) => "no lines",
        };
        pen.text(area, 1, 0, words, Ink::Faint);
    }
    let cursor = match state.log.view() {
        View::Follow => None,
        View::At { cursor, .. } => Some(cursor),
    };
    let mut top = 0;
    for placed in placed {
        let Some(row) = state.log.rows.get(placed.id) else { continue };
        let used = draw_row(state, row, area, top, placed.skipped, pen);
        if cursor == Some(placed.id) && row.kind != Kind::Death {
            let sign = pen.glyph("▸", ">");
            pen.text(area, 0, top, sign, Ink::Strong);
        }
        top = top.saturating_add(used);
        if top >= area.height {
            break;
        }
    }
}

/// The line above the log: whose lines they are, and where the view is.
fn draw_bar(state: &State, layout: &Layout, pen: &mut Pen<'_>) {
    let area = layout.bar;
    let width = usize::from(area.width);
    pen.rule(area, 0, width, 0);
    if width == 0 || area.height == 0 {
        return;
    }
    let dot = pen.glyph(" · ", " - ");
    let (lines, _) = state.log.counts();
    let newer = state.log.newer();
    let place = match state.log.view() {
        View::Follow => "following".to_owned(),
        View::At { .. } if newer == 0 => "held".to_owned(),
        View::At { .. } => format!("{} {} new", pen.glyph("▼", "v"), grouped(newer as u64)),
    };
    let mut parts = vec![place];
    if layout.why.is_some() {
        parts.push(if state.log.wrap { "wrap on" } else { "wrap off" }.to_owned());
    }
    if state.log.offset > 0 && !state.log.wrap {
        parts.push(format!("from column {}", state.log.offset + 1));
    }
    parts.push(format!("{} {}", grouped(lines), if lines == 1 { "line" } else { "lines" }));
    parts.push(format!("{} dropped", grouped(state.log.rows.lost())));
    let name = match state.view.scope {
        Scope::All => "all slots".to_owned(),
        Scope::Meant => {
            let names: Vec<_> = state.slots.meant().iter().map(|slot| slot.slot.as_str()).collect();
            phrase::slots(&names)
        }
    };
    let name = if layout.why.is_some() { format!("log: {name}") } else { name };
    let name = cut(&name, width.saturating_sub(4).min(width / 2), state.look);
    let after = pen.text(area, 2, 0, &format!("{name} "), Ink::Strong);
    pen.text(area, 1, 0, " ", Ink::Plain);
    // The last parts are left out where there is no room.
    while !parts.is_empty() {
        let words = format!(" {} ", parts.join(dot));
        let end = width.saturating_sub(AFTER_WORDS);
        if after + 2 + line::width(&words) <= end {
            pen.text_to(area, end, 0, &words, Ink::Plain);
            break;
        }
        parts.pop();
    }
}

/// Draws a line, of which the first ones of the screen may stand above the view. Returns how many it takes.
fn draw_row(
    state: &State,
    row: &Row,
    area: Rect,
    top: u16,
    skipped: usize,
    pen: &mut Pen<'_>,
) -> u16 {
    let prefix = state.prefix_columns_of(row.kind);
    if skipped == 0 {
        draw_prefix(state, row, area, top, pen);
    }
    let (base, paint) = match row.kind {
        Kind::Output => (Style::new(), pen.paint()),
        Kind::Death => (pen.style(Ink::Strong), Paint::Plain),
        Kind::Note => (pen.style(Ink::Waiting), Paint::Plain),
    };
    let room = usize::from(area.width).saturating_sub(prefix).max(1);
    let height = usize::from(area.height - top.min(area.height));
    let offset = if state.log.wrap { 0 } else { state.log.offset };
    // What a filter looks for is found in the text as it is seen.
    let (mut seen, mut places) = (String::new(), Vec::new());
    let wants_matches = !state.log.filter().is_empty() && row.kind == Kind::Output;
    let mut fold = Fold::new(if state.log.wrap { room } else { usize::MAX });
    walk(&row.text, paint, |symbol, width, style| {
        let column = fold.place(width);
        let Some(line) = fold.row.checked_sub(skipped) else { return ControlFlow::Continue(()) };
        if line >= height || column >= offset.saturating_add(room) {
            return ControlFlow::Break(());
        }
        if wants_matches {
            places.push((seen.len(), line, column, width));
            seen.push_str(symbol);
        }
        if let Some(column) = column.checked_sub(offset) {
            let line = u16::try_from(line).unwrap_or(u16::MAX);
            let at = prefix + column;
            pen.cell(area, at, top.saturating_add(line), symbol, width, base.patch(style));
        }
        ControlFlow::Continue(())
    });
    if wants_matches {
        draw_matches(state, &seen, &places, area, top, offset, pen);
    }
    let used = if state.log.wrap { fold.row + 1 - skipped.min(fold.row) } else { 1 };
    u16::try_from(used).unwrap_or(u16::MAX)
}

/// Marks what the filter looks for.
fn draw_matches(
    state: &State,
    seen: &str,
    places: &[(usize, usize, usize, usize)],
    area: Rect,
    top: u16,
    offset: usize,
    pen: &mut Pen<'_>,
) {
    let prefix = state.prefix_columns_of(Kind::Output);
    let mut from = 0;
    while let Some(found) = state.log.filter().find(seen.get(from..).unwrap_or_default()) {
        let (start, end) = (from + found.start, from + found.end);
        for (at, line, column, width) in places {
            if (start..end).contains(at) && *column >= offset {
                let column = prefix + column - offset;
                let row = top.saturating_add(u16::try_from(*line).unwrap_or(u16::MAX));
                pen.restyle(area, column..column + width, row, Ink::Found);
            }
        }
        from = end;
    }
}

/// The sign of a death, the time, and the name of the slot.
fn draw_prefix(state: &State, row: &Row, area: Rect, top: u16, pen: &mut Pen<'_>) {
    if row.kind == Kind::Death {
        let sign = pen.glyph("✕", "!");
        pen.text(area, 0, top, sign, Ink::Strong);
    }
    let mut column = 1;
    if state.view.times && row.kind != Kind::Note {
        pen.text(area, column, top, &time_of_day(state, row.at), Ink::Faint);
        column += super::super::layout::TIME_COLUMNS;
    }
    if let Some(widest) = state.name_columns() {
        let name = state.log.rows.name(row.slot);
        let index = state.slots.all().iter().position(|slot| slot.slot == name);
        let style = match (index, pen.paint()) {
            (Some(index), Paint::Colour) => {
                let colour = anstyle::Ansi256Color::from(label_colour(index));
                Style::new().fg(ratatui::style::Color::Indexed(colour.0))
            }
            (None, _) | (_, Paint::Plain) => Style::new(),
        };
        pen.styled(area, column, top, name, style);
        let bar = pen.glyph("│", "|");
        pen.text(area, column + widest + 1, top, bar, Ink::Faint);
        column += widest + 3;
    }
    // A death always has its time.
    if row.kind == Kind::Death && !state.view.times {
        pen.text(area, column, top, &time_of_day(state, row.at), Ink::Strong);
    }
}

/// `12:01:09.402`, where the user is.
fn time_of_day(state: &State, time: Time) -> String {
    time.0.to_zoned(state.now.time_zone().clone()).strftime("%H:%M:%S%.3f").to_string()
}
