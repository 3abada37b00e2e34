//! What is wrong, and what would be right: two texts that every kind of fault has.
//!
//! The message is the `Display` of the kind, the help comes from [`Explain::help`]. No text is ever taken apart again:
//! code that decides something matches the kind.

use std::fmt;

/// A kind of fault, in words. Its `Display` is the message: one phrase without the help.
pub trait Explain: fmt::Display {
    /// What would be right, if there is something to suggest.
    fn help(&self) -> Option<String>;

    /// What the marked text is, if the message does not say it.
    fn label(&self) -> &'static str {
        ""
    }
}

/// Message and help in one sentence, for a place that has room for one: `message; help`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence<E>(pub E);

impl<E: Explain> fmt::Display for Sentence<E> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.0)?;
        self.0.help().map_or(Ok(()), |help| write!(out, "; {help}"))
    }
}

impl<E: Explain + fmt::Debug> std::error::Error for Sentence<E> {}
