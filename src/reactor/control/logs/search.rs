//! Where the last lines begin that match a pattern. Matching takes long, and an exit does not wait for it: so the lines
//! are looked at from the first one on, some in each wakeup.

use std::collections::VecDeque;

use super::super::super::output::Ring;
use super::{Budget, Filter, More, beginning};
use crate::wire::LogFile;

/// A search that is not at its end.
#[derive(Debug)]
pub struct Search {
    /// The number of the last line that was looked at.
    cursor: u64,
    /// How many lines are wanted; `None`: all.
    wanted: Option<usize>,
    /// How many match.
    count: u64,
    /// The numbers of the last ones that match, at most as many as are wanted.
    last: VecDeque<u64>,
    /// Where the number of the first one goes back to, if all are wanted.
    start: u64,
    /// What is told with the number of lines.
    files: Option<Vec<LogFile>>,
}

impl Search {
    /// For the last lines after the one with the number `cursor`.
    pub fn new(cursor: u64, wanted: Option<usize>) -> Self {
        Self { cursor, wanted, count: 0, last: VecDeque::new(), start: cursor, files: None }
    }

    pub fn behind(self, files: Vec<LogFile>) -> Self {
        Self { files: Some(files), ..self }
    }

    /// Looks at some lines. `More::No` if none is left.
    pub fn go_on(&mut self, filter: &Filter, ring: &Ring) -> More {
        let mut budget = Budget::default();
        for line in ring.lines(self.cursor.saturating_add(1), |worker| filter.has(worker)) {
            if !budget.has_room_for(&line, filter) {
                return More::Yes;
            }
            self.cursor = line.n;
            if filter.is_meant(&line) {
                self.count += 1;
                self.note(line.n);
            }
        }
        self.cursor = self.cursor.max(ring.last());
        More::No
    }

    fn note(&mut self, n: u64) {
        let Some(wanted) = self.wanted else { return };
        self.last.push_back(n);
        if self.last.len() > wanted {
            self.last.pop_front();
        }
    }

    /// The number of the line before the first one that is wanted.
    pub fn cursor(&self) -> u64 {
        match (self.wanted, self.last.front()) {
            (None, _) => self.start,
            (Some(_), Some(first)) => first - 1,
            (Some(_), None) => self.cursor,
        }
    }

    /// What the client is told first, if it is told something.
    pub fn beginning(self) -> Option<String> {
        let kept = if self.wanted.is_some() { self.last.len() as u64 } else { self.count };
        self.files.map(|files| beginning(kept, files))
    }
}
