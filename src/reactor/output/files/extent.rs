//! Which lines of the ring are in a log file, and where it ends: so that a reader can put the older lines of the file
//! before those of the ring. The file itself is not read.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What is in a log file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub device: u64,
    pub inode: u64,
    /// Its length in bytes once all that was collected is written.
    pub length: u64,
    pub lines: Lines,
}

/// The lines that were pushed to a file since this pm has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    /// The number of the first one in the ring.
    pub first: Option<u64>,
    pub last: u64,
    /// The number of the last one that the file may not have.
    pub lost: Option<u64>,
    /// The last one has no newline yet.
    pub is_open: bool,
}

impl Extent {
    pub fn new(metadata: &Metadata, collected: usize, lines: Lines) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len() + collected as u64,
            lines,
        }
    }

    /// A file that has no line of this run yet.
    pub fn of_unwritten(path: &Path) -> Option<Self> {
        Some(Self::new(&path.metadata().ok()?, 0, Lines::default()))
    }
}
