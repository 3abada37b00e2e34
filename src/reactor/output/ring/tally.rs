//! How many lines each slot has had.

use super::page::Run;

/// The lines of a slot.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub lines: u64,
    pub bytes: u64,
    pub dropped: u64,
    /// The number of the last line that was kept.
    pub last: u64,
    /// The slot is not there any more.
    pub is_removed: bool,
}

/// The lines of a slot since the start of pm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// With the reports of deaths. Each piece of a line longer than 64 KiB is counted.
    pub lines: u64,
    /// Without newlines.
    pub bytes: u64,
    /// Lines that are not in the ring any more.
    pub dropped: u64,
}

impl Tally {
    /// Adds lines.
    pub fn take_in(&mut self, run: &Run) {
        self.lines += run.count();
        self.bytes += run.bytes();
        self.last = self.last.max(run.end_number() - 1);
    }

    pub fn counts(self) -> Counts {
        let Self { lines, bytes, dropped, .. } = self;
        Counts { lines, bytes, dropped }
    }
}
