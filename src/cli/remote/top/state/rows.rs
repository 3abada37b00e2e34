//! The lines that `pm top` has: those of all slots in the order of pm, up to a number of bytes.

use std::cell::Cell;
use std::collections::VecDeque;

use crate::cli::remote::top::line;
use crate::wire::{LogLine, Time};

/// Text that is kept at most.
const BYTES_MAX: usize = 8 << 20;
/// What a row costs beside its text.
const ROW_BYTES: usize = size_of::<Row>();

/// The number of a row: counts from 0, and is never reused.
pub type RowId = u64;

/// A line.
#[derive(Debug)]
pub struct Row {
    pub at: Time,
    /// The index of the slot's name in [`Rows::name`].
    pub slot: u32,
    pub kind: Kind,
    /// As it came.
    pub text: Box<str>,
    /// A number of columns, and how many lines of a screen of that width it takes, as it was counted last.
    height: Cell<(u32, u32)>,
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Output,
    /// How a worker has ended.
    Death,
    /// Lines are missing here, or another pm begins.
    Note,
}

/// The lines, the oldest first.
#[derive(Debug, Default)]
pub struct Rows {
    rows: VecDeque<Row>,
    first: RowId,
    bytes: usize,
    names: Vec<String>,
    /// The number that pm has given to the last line.
    last_number: u64,
    /// Lines that pm had dropped before it could send them.
    lost: u64,
}

impl Row {
    fn new(at: Time, slot: u32, kind: Kind, text: &str) -> Self {
        Self { at, slot, kind, text: text.into(), height: Cell::default() }
    }

    /// How many lines of a screen it takes, if it is wrapped.
    pub fn height(&self, columns: usize) -> usize {
        let columns = u32::try_from(columns).unwrap_or(u32::MAX).max(1);
        let (counted_for, height) = self.height.get();
        if counted_for == columns {
            return height as usize;
        }
        let height = line::height(&self.text, columns as usize);
        self.height.set((columns, u32::try_from(height).unwrap_or(u32::MAX)));
        height
    }
}

impl Rows {
    /// Adds a line that pm has sent, and returns its number.
    pub fn push(&mut self, line: LogLine) -> RowId {
        let kind = match (line.from_worker, line.generation) {
            (true, _) => Kind::Output,
            (false, 0) => Kind::Note,
            (false, _) => Kind::Death,
        };
        if kind == Kind::Note {
            self.lost += line.n.saturating_sub(self.last_number);
        }
        self.last_number = self.last_number.max(line.n);
        let slot = self.index(&line.slot);
        // The name of the slot is shown where it is not known.
        let text = match kind {
            Kind::Death => line.line.strip_prefix(&line.slot).map_or(&*line.line, str::trim_start),
            Kind::Output | Kind::Note => &line.line,
        };
        self.add(Row::new(line.at, slot, kind, text))
    }

    /// Another pm begins: its lines count from 1.
    pub fn begin_again(&mut self, words: &str, at: Time) -> RowId {
        self.last_number = 0;
        let slot = self.index("pm");
        self.add(Row::new(at, slot, Kind::Note, words))
    }

    fn add(&mut self, row: Row) -> RowId {
        self.bytes += row.text.len() + ROW_BYTES;
        self.rows.push_back(row);
        while self.bytes > BYTES_MAX
            && let Some(row) = self.rows.pop_front()
        {
            self.bytes -= row.text.len() + ROW_BYTES;
            self.first += 1;
        }
        self.end() - 1
    }

    /// The index of this name, which it gets now if it has none.
    pub fn index(&mut self, name: &str) -> u32 {
        let index = self.names.iter().rposition(|other| other == name).unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        u32::try_from(index).expect("a name takes more than a byte")
    }

    pub fn name(&self, index: u32) -> &str {
        &self.names[index as usize]
    }

    pub fn get(&self, id: RowId) -> Option<&Row> {
        self.rows.get(usize::try_from(id.checked_sub(self.first)?).ok()?)
    }

    /// The rows with their numbers, the oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (RowId, &Row)> {
        let first = self.first;
        self.rows.iter().enumerate().map(move |(index, row)| (first + index as u64, row))
    }

    /// The number of the oldest row.
    pub fn first(&self) -> RowId {
        self.first
    }

    /// The number of the next row.
    pub fn end(&self) -> RowId {
        self.first + self.rows.len() as u64
    }

    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// The number of the last line, as pm counts: the next one is asked for after it.
    pub fn last_number(&self) -> u64 {
        self.last_number
    }
}
