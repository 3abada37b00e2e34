//! The last lines of all slots, in memory, with one number for each line of the run.
//!
//! A line is kept as its slot's log file gets it: what the worker wrote, with its colours, after the filter of its
//! terminal and without the label. A line longer than 64 KiB comes in pieces ([`super::lines`]), each of which has a
//! number. The report of a death is a line too, so a worker's last line stands before it. Lines outlive their worker,
//! its slot and its name.
//!
//! The ring never grows beyond its size: the oldest lines are dropped, a [`page`] at a time. It takes no memory before
//! there are lines. It knows no readers: a reader keeps the number of the last line that it has seen, and is told how
//! many lines were dropped since ([`Ring::after`]).

mod page;
mod tally;

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use self::page::{Page, RUNS_MIN, Run};
use self::tally::Tally;
use crate::reactor::clock::WallTime;
use crate::supervisor::{SlotId, WorkerId};

pub use self::tally::Counts;

/// Memory is taken in pieces of this size, or of a smaller part of a small ring.
const PAGE_BYTES_MAX: usize = 64 * 1024;
const PAGES_MIN: usize = 16;

/// The lines that are kept.
#[derive(Debug, Default)]
pub struct Ring {
    bytes_max: usize,
    /// Those that are full, the oldest first.
    pages: VecDeque<Page>,
    open: Option<Page>,
    /// What the full pages take, in bytes.
    held: usize,
    /// How many lines have a number.
    last: u64,
    /// Without the lines of the open page.
    tallies: BTreeMap<SlotId, Tally>,
}

/// What is the same for all lines that come at once.
#[derive(Clone, Debug)]
pub struct Origin {
    pub author: Rc<Author>,
    pub kind: Kind,
    pub at: WallTime,
}

/// A worker, and the name that its slot has: `web.2`.
#[derive(Debug)]
pub struct Author {
    pub worker: WorkerId,
    pub slot: Rc<str>,
}

/// A line that is kept.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// Counts from 1, over all slots, and is never reused.
    pub n: u64,
    pub at: WallTime,
    pub worker: WorkerId,
    /// The name that its slot had then: `web.2`.
    pub slot: &'a Rc<str>,
    pub kind: Kind,
    /// Without the newline.
    pub bytes: &'a [u8],
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The worker wrote it.
    Output,
    /// It goes on with the worker's line before, which is longer than 64 KiB.
    Continuation,
    /// The report of the worker's end.
    Death,
}

impl Ring {
    /// Changes the size. What does not fit any more is dropped.
    pub fn resize(&mut self, bytes_max: usize) {
        if self.bytes_max != bytes_max {
            self.bytes_max = bytes_max;
            self.seal();
            self.make_room(0);
        }
    }

    /// Adds a line, given in parts without its newline, and returns its number.
    pub fn push(&mut self, origin: Origin, [first, second]: [&[u8]; 2]) -> u64 {
        let (n, bytes) = (self.last + 1, first.len() + second.len() + 1);
        if self.fits(bytes) {
            self.open_for(bytes).push(origin, n, 1, &[first, second, b"\n"]);
        } else {
            self.drop_all_and_count(origin.author.worker.slot, bytes, 1);
        }
        self.last = n;
        n
    }

    /// Adds `count` lines, each with its newline. The first one has the number after [`Ring::last`].
    pub fn push_lines(&mut self, origin: Origin, lines: &[u8], count: usize) {
        if count == 0 {
            return;
        }
        if self.fits(lines.len()) {
            let first = self.last + 1;
            self.open_for(lines.len()).push(origin, first, count, &[lines]);
            self.last += count as u64;
            return;
        }
        if self.bytes_max == 0 {
            self.drop_all_and_count(origin.author.worker.slot, lines.len(), count as u64);
            self.last += count as u64;
            return;
        }
        // The last of them may fit.
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            self.push(origin.clone(), [&line[..line.len() - 1], b""]);
        }
    }

    /// The slots that are not there any more are forgotten once none of their lines is kept.
    pub fn retain(&mut self, is_there: impl Fn(SlotId) -> bool) {
        for run in self.open.iter().flat_map(Page::runs) {
            let tally = self.tallies.entry(run.origin.author.worker.slot).or_default();
            tally.last = run.end_number() - 1;
        }
        let first = self.first();
        self.tallies.retain(|slot, tally| {
            tally.is_removed = !is_there(*slot);
            !tally.is_removed || tally.last >= first
        });
    }

    fn fits(&self, bytes: usize) -> bool {
        page::held(bytes, RUNS_MIN) <= self.bytes_max
    }

    /// The open page, with room for this many bytes.
    fn open_for(&mut self, bytes: usize) -> &mut Page {
        if !self.open.as_ref().is_some_and(|page| page.has_room(bytes)) {
            self.seal();
            let most = self.bytes_max - page::held(0, RUNS_MIN);
            let size = (self.bytes_max / PAGES_MIN).min(PAGE_BYTES_MAX).min(most).max(bytes);
            let dropped = self.make_room(page::held(size, RUNS_MIN));
            let dropped = dropped.filter(|memory| memory.len() == size);
            let memory = dropped.unwrap_or_else(|| vec![0; size].into_boxed_slice());
            self.open = Some(Page::new(memory));
        }
        let held = self.open.as_ref().map_or(0, Page::held_with_one_more);
        self.make_room(held);
        self.open.as_mut().expect("it is open by now")
    }

    /// Closes the open page, and counts its lines.
    fn seal(&mut self) {
        let Some(page) = self.open.take() else { return };
        for run in page.runs() {
            self.tallies.entry(run.origin.author.worker.slot).or_default().take_in(run);
        }
        self.held += page.held();
        self.pages.push_back(page);
    }

    /// Drops the oldest full pages until there are this many free bytes. Returns the memory of the last one, for the
    /// next page.
    fn make_room(&mut self, bytes: usize) -> Option<Box<[u8]>> {
        let mut dropped = None;
        while self.held + bytes > self.bytes_max {
            let Some(page) = self.pages.pop_front() else { break };
            self.held -= page.held();
            for run in page.runs() {
                let slot = run.origin.author.worker.slot;
                let Some(tally) = self.tallies.get_mut(&slot) else { continue };
                tally.dropped += run.count();
                if tally.is_removed && tally.last < page.end() {
                    self.tallies.remove(&slot);
                }
            }
            dropped = Some(page.into_memory());
        }
        dropped
    }

    /// What is larger than the ring leaves nothing in it: it would follow what is dropped for it. `bytes` are with
    /// newlines.
    fn drop_all_and_count(&mut self, slot: SlotId, bytes: usize, lines: u64) {
        self.seal();
        self.make_room(self.bytes_max);
        let tally = self.tallies.entry(slot).or_default();
        tally.lines += lines;
        tally.bytes += bytes as u64 - lines;
        tally.dropped += lines;
    }
}

/// What readers ask for.
impl Ring {
    /// The number of the oldest line that is kept. If none is, the number of the next line.
    pub fn first(&self) -> u64 {
        let first = self.pages.front().or(self.open.as_ref()).and_then(Page::first);
        first.unwrap_or(self.last + 1)
    }

    /// The number of the last line, kept or not; 0 before the first. A reader that begins here sees what is new.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// How many of the lines after the one with the number `cursor` are not kept any more.
    pub fn lost_after(&self, cursor: u64) -> u64 {
        self.first().saturating_sub(cursor.saturating_add(1))
    }

    /// The lines from the number `from` on of the workers that are selected, in order. From the end as well:
    /// `.rev().take(10)` walks only over the pages that have lines of them, until ten are found.
    pub fn lines<'a>(
        &'a self,
        from: u64,
        is_selected: impl Fn(WorkerId) -> bool + Copy + 'a,
    ) -> impl DoubleEndedIterator<Item = Line<'a>> {
        let start = self.pages.partition_point(|page| page.end() <= from);
        let pages = self.pages.range(start..).chain(&self.open);
        pages.flat_map(move |page| page.lines(from, is_selected))
    }

    /// The last `count` lines that these workers wrote, in order. None of them has a number below `from`.
    pub fn last_lines<'a>(
        &'a self,
        workers: &'a [WorkerId],
        from: u64,
        count: usize,
    ) -> Vec<Line<'a>> {
        let lines = self.lines(from, move |author| workers.contains(&author)).rev();
        let mut last: Vec<_> = lines.filter(|line| line.kind != Kind::Death).take(count).collect();
        last.reverse();
        last
    }

    /// The lines of a slot from the number `from` on as a log file has them: the first one, and the bytes of all with a
    /// newline after each line. The reports of deaths are not there.
    pub fn as_in_file(&self, slot: SlotId, from: u64) -> (Option<Line<'_>>, u64) {
        let lines = self.lines(from, move |worker| worker.slot == slot);
        let mut lines = lines.filter(|line| line.kind != Kind::Death).peekable();
        let first = lines.peek().copied();
        let mut bytes = 0;
        while let Some(line) = lines.next() {
            let goes_on = lines.peek().is_some_and(|next| next.kind == Kind::Continuation);
            bytes += line.bytes.len() as u64 + u64::from(!goes_on);
        }
        (first, bytes)
    }

    /// How many lines a slot has had, and how many of them are dropped.
    pub fn counts(&self, slot: SlotId) -> Counts {
        let mut tally = self.tallies.get(&slot).copied().unwrap_or_default();
        let open = self.open.iter().flat_map(Page::runs);
        let of_slot = open.filter(|run: &&Run| run.origin.author.worker.slot == slot);
        of_slot.for_each(|run| tally.take_in(run));
        tally.counts()
    }
}

#[cfg(test)]
mod tests;
