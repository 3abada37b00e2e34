//! What an exported file lacks, at the line of the key that asks for it.

use std::fmt;

use crate::plan::text::printable::printable;

/// A key that an engine does not carry over, or in part, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The name of the plan's file.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// `None` for a key before all pools.
    pub pool: Option<String>,
    /// `alive.http`.
    pub key: String,
    pub words: String,
}

impl fmt::Display for Note {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, pool, key, words } = self;
        write!(out, "{}:{line}: ", printable(file))?;
        if let Some(pool) = pool {
            write!(out, "pool {pool}: ")?;
        }
        write!(out, "{key}: {}", printable(words))
    }
}
