//! The lines that are shown, and where the view of them is: at the newest, or at a row, which has a number. So nothing
//! moves under the eyes of a reader, whatever comes.

use std::collections::VecDeque;

use super::filter::Filter;
use super::rows::{Kind, Row, RowId, Rows};
use crate::wire::LogLine;

/// The log.
#[derive(Debug, Default)]
pub struct Log {
    pub rows: Rows,
    /// The slots whose lines are shown; `None`: all.
    scope: Option<Vec<u32>>,
    filter: Filter,
    search: Search,
    /// The rows that are shown, the oldest first.
    shown: VecDeque<RowId>,
    /// Those of the scope, whether the filter shows them or not, and those that it matches.
    in_scope: u64,
    matching: u64,
    view: View,
    /// Columns to the left of the view.
    pub offset: usize,
    pub wrap: bool,
    /// As it was when it was settled.
    size: Size,
}

/// The room for the text of the lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    pub columns: usize,
    /// That of a death, which has its time.
    pub of_deaths: usize,
    pub height: usize,
}

/// What is shown while there is a filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Search {
    /// The lines that match.
    #[default]
    Only,
    /// All lines, from match to match.
    Context,
}

/// Where the view is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// The newest rows.
    #[default]
    Follow,
    /// At `cursor`, with `top` as the first row.
    At { cursor: RowId, top: RowId },
}

/// A row that is to be drawn, and how many of its lines stand above the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    pub id: RowId,
    pub skipped: usize,
}

impl Log {
    /// Adds a line.
    pub fn push(&mut self, line: LogLine) {
        let id = self.rows.push(line);
        self.take_in(id);
    }

    /// Another pm begins.
    pub fn begin_again(&mut self, words: &str, at: crate::wire::Time) {
        let id = self.rows.begin_again(words, at);
        self.take_in(id);
    }

    fn take_in(&mut self, id: RowId) {
        let Self { rows, scope, filter, search, .. } = self;
        let row = rows.get(id).expect("it was just added");
        if is_in_scope(scope.as_deref(), row) {
            self.in_scope += 1;
            let is_match = filter.is_in(&row.text);
            self.matching += u64::from(is_match);
            if is_match || *search == Search::Context {
                self.shown.push_back(id);
            }
        }
        let first = self.rows.first();
        while self.shown.front().is_some_and(|id| *id < first) {
            self.shown.pop_front();
        }
    }

    /// Shows the lines of these slots; `None`: of all.
    pub fn set_scope(&mut self, slots: Option<&[String]>) {
        let rows = &mut self.rows;
        let scope = slots.map(|names| names.iter().map(|name| rows.index(name)).collect());
        if self.scope != scope {
            self.scope = scope;
            self.view = View::Follow;
            self.renew();
        }
    }

    pub fn set_filter(&mut self, filter: Filter) {
        if self.filter == filter {
            return;
        }
        // What has more letters is in fewer lines, and only in those.
        let is_narrower = !self.filter.is_empty() && filter.text().starts_with(self.filter.text());
        let is_narrower = is_narrower && self.search == Search::Only;
        self.filter = filter;
        self.search = Search::Only;
        if is_narrower {
            let Self { rows, filter, shown, .. } = self;
            shown.retain(|id| rows.get(*id).is_some_and(|row| filter.is_in(&row.text)));
            self.matching = self.shown.len() as u64;
            self.renew_view();
        } else {
            self.renew();
        }
    }

    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Finds out again which rows are shown.
    fn renew(&mut self) {
        let Self { rows, scope, filter, search, .. } = self;
        (self.in_scope, self.matching) = (0, 0);
        self.shown.clear();
        for (id, row) in rows.iter().filter(|(_, row)| is_in_scope(scope.as_deref(), row)) {
            self.in_scope += 1;
            let is_match = filter.is_in(&row.text);
            self.matching += u64::from(is_match);
            if is_match || *search == Search::Context {
                self.shown.push_back(id);
            }
        }
        self.renew_view();
    }

    /// The view stays at a row that is shown.
    fn renew_view(&mut self) {
        let View::At { cursor, top } = self.view else { return };
        self.view = match self.nearest(cursor) {
            Some(cursor) => View::At { cursor, top: top.min(cursor) },
            None => View::Follow,
        };
    }

    /// How many lines there are of the slots that are shown, and how many of them match.
    pub fn counts(&self) -> (u64, u64) {
        (self.in_scope, self.matching)
    }

    pub fn view(&self) -> View {
        self.view
    }

    pub fn follow(&mut self) {
        self.view = View::Follow;
    }

    /// Holds the view where it is.
    pub fn hold(&mut self) {
        if self.view == View::Follow
            && let Some(last) = self.shown.back().copied()
        {
            let top = self.placed().first().map_or(last, |row| row.id);
            self.view = View::At { cursor: last, top };
        }
    }

    /// Moves by rows: up, if this is negative. Past the newest row it follows again.
    pub fn move_by(&mut self, rows: isize) {
        let Some(last) = self.shown.len().checked_sub(1) else { return };
        let was_following = self.view == View::Follow;
        if was_following && rows >= 0 {
            return;
        }
        self.hold();
        let View::At { cursor, top } = self.view else { return };
        let index = self.index_of(cursor);
        let wanted = index.saturating_add_signed(rows);
        // The cursor stands at the newest row while it is there; one step further goes on with what comes.
        if wanted > last && !was_following {
            self.view = View::Follow;
            return;
        }
        self.view = View::At { cursor: self.shown[wanted.min(last)], top };
    }

    /// To the oldest row.
    pub fn go_to_start(&mut self) {
        if let Some(first) = self.shown.front().copied() {
            self.view = View::At { cursor: first, top: first };
        }
    }

    /// To the next row that matches, or to the one before. All lines are shown around it.
    pub fn go_to_match(&mut self, step: Step) {
        if self.filter.is_empty() {
            return;
        }
        self.hold();
        if self.search == Search::Only {
            self.search = Search::Context;
            self.renew();
        }
        let View::At { cursor, .. } = self.view else { return };
        let at = self.index_of(cursor);
        let is_match =
            |id: &&RowId| self.rows.get(**id).is_some_and(|row| self.filter.is_in(&row.text));
        let found = match step {
            Step::Newer => self.shown.range((at + 1).min(self.shown.len())..).find(is_match),
            Step::Older => self.shown.range(..at).rev().find(is_match),
        };
        let cursor = found.copied().unwrap_or(cursor);
        let top = self.index_of(cursor).saturating_sub(self.size.height / 2);
        self.view = View::At { cursor, top: self.shown[top] };
    }

    /// The row that `y` copies: that of the cursor, or the newest one.
    pub fn current(&self) -> Option<&Row> {
        match self.view {
            View::Follow => self.rows.get(*self.shown.back()?),
            View::At { cursor, .. } => self.rows.get(cursor),
        }
    }

    /// Shown rows that are newer than the last one in view.
    pub fn newer(&self) -> usize {
        let last = self.placed().last().map(|row| self.index_of(row.id) + 1);
        self.shown.len() - last.unwrap_or(self.shown.len())
    }

    /// Moves the view so that the cursor is in it.
    pub fn settle(&mut self, size: Size) {
        self.size = size;
        let height = size.height;
        let View::At { cursor, top } = self.view else { return };
        let Some(cursor) = self.nearest(cursor) else {
            self.view = View::Follow;
            return;
        };
        let top = self.nearest(top).unwrap_or(cursor).min(cursor);
        // The earliest first row with which the cursor is still in view.
        let (mut index, mut used) = (self.index_of(cursor), 0);
        let first = loop {
            used += self.height_of(self.shown[index]);
            if used > height {
                break (index + 1).min(self.index_of(cursor));
            }
            if index == 0 || self.shown[index] <= top {
                break index;
            }
            index -= 1;
        };
        // No line of the screen stays empty while there are older rows.
        let mut first = first;
        let below = self.shown.range(first..).take(height);
        let mut used = below.map(|id| self.height_of(*id)).sum::<usize>();
        while first > 0 && used + self.height_of(self.shown[first - 1]) <= height {
            first -= 1;
            used += self.height_of(self.shown[first]);
        }
        self.view = View::At { cursor, top: self.shown[first] };
    }

    /// The rows that are in view, the first one first.
    pub fn placed(&self) -> Vec<Placed> {
        let height = self.size.height;
        let mut placed = Vec::new();
        let mut used = 0;
        match self.view {
            View::Follow => {
                for id in self.shown.iter().rev().copied() {
                    if used >= height {
                        break;
                    }
                    used += self.height_of(id);
                    placed.push(Placed { id, skipped: used.saturating_sub(height) });
                }
                placed.reverse();
            }
            View::At { top, .. } => {
                for id in self.shown.range(self.index_of(top)..).copied() {
                    if used >= height {
                        break;
                    }
                    used += self.height_of(id);
                    placed.push(Placed { id, skipped: 0 });
                }
            }
        }
        placed
    }

    /// How many lines of the screen a row takes.
    fn height_of(&self, id: RowId) -> usize {
        let Some(row) = self.rows.get(id).filter(|_| self.wrap) else { return 1 };
        row.height(match row.kind {
            Kind::Death => self.size.of_deaths,
            Kind::Output | Kind::Note => self.size.columns,
        })
    }

    fn index_of(&self, id: RowId) -> usize {
        self.shown.partition_point(|shown| *shown < id).min(self.shown.len().saturating_sub(1))
    }

    /// The shown row that is this one, or else the next.
    fn nearest(&self, id: RowId) -> Option<RowId> {
        self.shown.get(self.index_of(id)).copied()
    }
}

/// To which side a match is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Newer,
    Older,
}

fn is_in_scope(scope: Option<&[u32]>, row: &Row) -> bool {
    row.kind == Kind::Note || scope.is_none_or(|slots| slots.contains(&row.slot))
}
