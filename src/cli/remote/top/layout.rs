//! Which part of the screen is what, by its size.

use ratatui::layout::Rect;

use super::state::State;
use crate::wire::SlotStatus;

/// The columns of a time and of the space after it: `12:01:07.120 `.
pub const TIME_COLUMNS: usize = 13;

/// A smaller screen has a plain list.
const COLUMNS_LEAST: u16 = 60;
const ROWS_LEAST: u16 = 8;
/// With fewer columns the why pane takes the place of the log.
const COLUMNS_FOR_BOTH: u16 = 120;
const TABLE_ROWS_MAX: u16 = 16;

/// The parts; one that is not shown has no height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    pub kind: Kind,
    pub header: Rect,
    /// With the names of its columns, unless it is a list.
    pub table: Rect,
    /// The line above the log.
    pub bar: Rect,
    pub log: Rect,
    /// The why pane, with a line above it.
    pub why: Option<Rect>,
    /// What is typed, asked or said.
    pub message: Rect,
    pub keys: Rect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Full,
    /// Names and phases only.
    List,
}

impl Layout {
    pub fn of(state: &State) -> Self {
        let kind = if state.columns < COLUMNS_LEAST || state.rows < ROWS_LEAST {
            Kind::List
        } else {
            Kind::Full
        };
        let slots = u16::try_from(state.slots.all().len()).unwrap_or(u16::MAX);
        // What is left of the screen, from the top and from the bottom.
        let (mut top, mut bottom) = (0, state.rows);
        let from_top = |height: u16, top: &mut u16, bottom: u16| {
            let height = height.min(bottom.saturating_sub(*top));
            *top += height;
            Rect::new(0, *top - height, state.columns, height)
        };
        let from_bottom = |height: u16, top: u16, bottom: &mut u16| {
            let height = height.min(bottom.saturating_sub(top));
            *bottom -= height;
            Rect::new(0, *bottom, state.columns, height)
        };
        let header = from_top(1, &mut top, bottom);
        let (keys, message) = match kind {
            Kind::Full => (from_bottom(1, top, &mut bottom), from_bottom(1, top, &mut bottom)),
            // Both share a line.
            Kind::List => {
                let line = from_bottom(u16::from(state.rows > 2), top, &mut bottom);
                (line, line)
            }
        };
        let left = bottom - top;
        let table = match kind {
            Kind::List | Kind::Full if state.view.zoom => 0,
            Kind::List => left,
            Kind::Full => 1 + slots.clamp(1, TABLE_ROWS_MAX).min(left.saturating_sub(2).max(2) / 2),
        };
        let table = from_top(table, &mut top, bottom);
        let shows_log = kind == Kind::Full || state.view.zoom;
        let mut bar = from_top(u16::from(shows_log), &mut top, bottom);
        let mut log = Rect::new(0, top, state.columns, bottom - top);
        if !shows_log {
            log.height = 0;
        }
        let has_room = state.columns >= COLUMNS_FOR_BOTH;
        let is_shown = state.view.why.unwrap_or(has_room && !state.view.zoom);
        let why = (kind == Kind::Full && is_shown && log.height > 0).then(|| {
            let columns = if has_room { state.columns * 35 / 100 } else { state.columns };
            let why = Rect::new(state.columns - columns, bar.y, columns, 1 + log.height);
            bar.width -= columns;
            log.width -= columns;
            why
        });
        Self { kind, header, table, bar, log, why, message, keys }
    }

    /// The slots that the table has room for, and how many are above and below them.
    pub fn visible<'a>(&self, state: &'a State) -> Visible<'a> {
        let all = state.slots.sorted(state.time());
        let head = u16::from(self.kind == Kind::Full);
        let rows = usize::from(self.table.height.saturating_sub(head));
        if all.len() <= rows {
            return Visible { slots: all, above: 0, below: 0 };
        }
        // The last row says how many there are beside.
        let rows = if rows > 1 { rows - 1 } else { rows };
        let selected = state.slots.selected().map(|slot| slot.slot.as_str());
        let at = all.iter().position(|slot| Some(slot.slot.as_str()) == selected).unwrap_or(0);
        let above = at.saturating_sub(rows / 2).min(all.len() - rows);
        let below = all.len() - rows - above;
        Visible { slots: all[above..above + rows].to_vec(), above, below }
    }

    /// The slot in this row of the screen.
    pub fn slot_at<'a>(&self, state: &'a State, row: u16) -> Option<&'a SlotStatus> {
        let head = u16::from(self.kind == Kind::Full);
        let row = row.checked_sub(self.table.y + head)?;
        let is_in_table = row < self.table.height.saturating_sub(head);
        self.visible(state).slots.get(usize::from(row)).copied().filter(|_| is_in_table)
    }
}

/// A part of the slots.
#[derive(Clone, Debug)]
pub struct Visible<'a> {
    pub slots: Vec<&'a SlotStatus>,
    pub above: usize,
    pub below: usize,
}
