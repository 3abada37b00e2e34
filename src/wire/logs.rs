//! The lines of workers, and where the older ones are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Time;

/// With `files=1`, `/v1/logs` begins with this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogStart {
    /// How many of the lines that follow pm has already.
    pub kept: u64,
    /// One for each slot that has a log file.
    pub files: Vec<LogFile>,
}

/// Where the lines of a slot are that are older than those which pm keeps in memory: its log file up to this place, and
/// before that the files which it was rotated to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogFile {
    pub slot: String,
    pub file: String,
    /// Of the file that had this name when this was told; it may be rotated meanwhile.
    pub device: u64,
    pub inode: u64,
    /// In bytes. Below 0: that many bytes before the end of the file that this one followed. `null` if lines could
    /// not be written, so that the place is not known.
    pub offset: Option<i64>,
    /// How the line at this place begins, with its newline if that is all of it; `null` if pm keeps none that is in the
    /// file.
    pub next: Option<String>,
}

/// One line of a worker, or a death between the lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogLine {
    /// Counts over all slots.
    pub n: u64,
    pub at: Time,
    pub slot: String,
    pub generation: u64,
    /// False if pm says it: a death.
    pub from_worker: bool,
    /// Bytes that are not UTF-8 are replaced.
    pub line: String,
}
