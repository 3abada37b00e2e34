//! A page of the ring: lines that follow each other, in one piece of memory that is taken and given back as a whole.
//!
//! A run is what was added at once: lines of one worker. So a read of many lines costs one copy. Single lines are found
//! by their newlines, when they are asked for.

use super::{Author, Line, Origin};
use crate::reactor::output::lines::COPIED_BYTES_MAX;
use crate::supervisor::WorkerId;

/// A page has room for this many runs, or for as many as take no more memory than its bytes.
pub const RUNS_MIN: usize = 4;

#[derive(Debug)]
pub struct Page {
    memory: Box<[u8]>,
    used: usize,
    runs: Vec<Run>,
}

/// Lines of one worker that came at once.
#[derive(Debug)]
pub struct Run {
    pub origin: Origin,
    /// The number of its first line.
    pub first: u64,
    count: u32,
    /// Its place in the page, with a newline after each line.
    start: u32,
    end: u32,
}

impl Page {
    pub fn new(memory: Box<[u8]>) -> Self {
        Self { memory, used: 0, runs: Vec::new() }
    }

    /// The memory that it takes, in bytes.
    pub fn held(&self) -> usize {
        held(self.memory.len(), self.runs.capacity())
    }

    /// The same once there is one more run.
    pub fn held_with_one_more(&self) -> usize {
        let runs = self.runs.capacity();
        let more = if self.runs.len() == runs { runs.max(RUNS_MIN) } else { 0 };
        held(self.memory.len(), runs + more)
    }

    pub fn into_memory(self) -> Box<[u8]> {
        self.memory
    }

    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The number of its first line.
    pub fn first(&self) -> Option<u64> {
        self.runs.first().map(|run| run.first)
    }

    /// The number after that of its last line.
    pub fn end(&self) -> u64 {
        self.runs.last().map_or(0, Run::end_number)
    }

    /// True if a run of this many bytes fits in.
    pub fn has_room(&self, bytes: usize) -> bool {
        let runs = self.runs.capacity();
        let is_run_free =
            self.runs.len() < runs || 2 * runs * size_of::<Run>() <= self.memory.len();
        is_run_free && self.used + bytes <= self.memory.len()
    }

    /// Appends `count` lines, of which the first has the number `first`. There is room for them.
    pub fn push(&mut self, origin: Origin, first: u64, count: usize, parts: &[&[u8]]) {
        let start = self.used;
        for part in parts.iter().flat_map(|part| part.chunks(COPIED_BYTES_MAX)) {
            self.memory[self.used..self.used + part.len()].copy_from_slice(part);
            self.used += part.len();
        }
        if self.runs.len() == self.runs.capacity() {
            self.runs.reserve_exact(self.runs.len().max(RUNS_MIN));
        }
        let small = |number: usize| u32::try_from(number).expect("a page is smaller than 4 GiB");
        let (count, start, end) = (small(count), small(start), small(self.used));
        self.runs.push(Run { origin, first, count, start, end });
    }

    /// Its lines from the number `from` on, of the workers that are selected.
    pub fn lines(
        &self,
        from: u64,
        is_selected: impl Fn(WorkerId) -> bool,
    ) -> impl DoubleEndedIterator<Item = Line<'_>> {
        let start = self.runs.partition_point(|run| run.end_number() <= from);
        let runs =
            self.runs[start..].iter().filter(move |run| is_selected(run.origin.author.worker));
        runs.flat_map(move |run| self.lines_of(run, from))
    }

    fn lines_of<'a>(&'a self, run: &'a Run, from: u64) -> Lines<'a> {
        let bytes = &self.memory[run.start as usize..run.end as usize - 1];
        let mut lines = Lines { run, first: run.first, count: run.count(), bytes };
        while lines.first < from && lines.next().is_some() {}
        lines
    }
}

impl Run {
    /// Without newlines.
    pub fn bytes(&self) -> u64 {
        u64::from(self.end - self.start - self.count)
    }

    pub fn count(&self) -> u64 {
        self.count.into()
    }

    /// The number after that of its last line.
    pub fn end_number(&self) -> u64 {
        self.first + self.count()
    }
}

/// What a page of this size with room for this many runs takes, in bytes.
pub fn held(bytes: usize, runs: usize) -> usize {
    size_of::<Page>() + bytes + runs * size_of::<Run>()
}

/// Lines of a run.
struct Lines<'a> {
    run: &'a Run,
    first: u64,
    count: u64,
    /// Without the last newline.
    bytes: &'a [u8],
}

impl<'a> Lines<'a> {
    fn line(&self, n: u64, bytes: &'a [u8]) -> Line<'a> {
        let Origin { author, kind, at } = &self.run.origin;
        let Author { worker, slot } = &**author;
        Line { n, at: *at, worker: *worker, slot, kind: *kind, bytes }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        let (line, rest) = match self.count {
            0 => return None,
            1 => (self.bytes, &[][..]),
            _ => split(self.bytes, memchr::memchr(b'\n', self.bytes)),
        };
        let line = self.line(self.first, line);
        (self.first, self.count, self.bytes) = (self.first + 1, self.count - 1, rest);
        Some(line)
    }
}

impl DoubleEndedIterator for Lines<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let (rest, line) = match self.count {
            0 => return None,
            1 => (&[][..], self.bytes),
            _ => split(self.bytes, memchr::memrchr(b'\n', self.bytes)),
        };
        (self.count, self.bytes) = (self.count - 1, rest);
        Some(self.line(self.first + self.count, line))
    }
}

/// What stands before and after a newline.
fn split(bytes: &[u8], newline: Option<usize>) -> (&[u8], &[u8]) {
    let at = newline.expect("a newline stands between two lines");
    (&bytes[..at], &bytes[at + 1..])
}
