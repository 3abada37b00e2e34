//! Faults of a text at their places: all of them at once, in the order of the text.
//!
//! What a fault is, and what would be right, is its [`FaultKind`]. Here it becomes one line,
//! `pm.toml:12:3: unknown key `restrat`; did you mean `restart`?`. `cli::diagnostics` draws pictures of the place.

use std::fmt;
use std::ops::Range;

use super::explain::Explain;
use super::lines;
use super::printable::{has_effect, printable};
use crate::plan::fault_kind::FaultKind;
use crate::plan::format::Guess;

/// More faults than these are only counted.
pub const FAULTS_MAX: usize = 100;

/// Identifies one text: an index into [`Faults::sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceId(usize);

/// A text in which faults are looked for: a file, or the value of an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The name that messages show: `pm.toml`.
    pub name: String,
    pub text: String,
}

/// One fault at its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub file: SourceId,
    /// The bytes that are wrong, within the text and on its characters' boundaries.
    pub span: Range<usize>,
    pub kind: FaultKind,
    /// Another place in the same text that belongs to the fault, and what it is.
    pub related: Option<(Range<usize>, &'static str)>,
}

/// At least one fault, with the texts that they are in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    sources: Vec<Source>,
    faults: Vec<Fault>,
    left_out: usize,
    /// How it was decided what the file is, if its name does not tell.
    guess: Option<Guess>,
}

/// Where a span begins and ends: lines and columns from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub line: usize,
    pub column: usize,
    pub end_line: usize,
    pub end_column: usize,
}

/// The faults found so far by a reader that continues after a fault.
#[derive(Debug, Default)]
pub struct Findings {
    sources: Vec<Source>,
    faults: Vec<Fault>,
    left_out: usize,
}

impl Fault {
    pub fn new(file: SourceId, span: Range<usize>, kind: impl Into<FaultKind>) -> Self {
        Self { file, span, kind: kind.into(), related: None }
    }

    pub fn related(self, span: Range<usize>, label: &'static str) -> Self {
        Self { related: Some((span, label)), ..self }
    }

    /// What is wrong, in one phrase on one line.
    pub fn message(&self) -> String {
        one_line(&self.kind.to_string())
    }

    /// What would be right, on one line.
    pub fn help(&self) -> Option<String> {
        self.kind.help().as_deref().map(one_line)
    }

    /// What the marked text is. Often empty.
    pub fn label(&self) -> &'static str {
        self.kind.label()
    }
}

impl Faults {
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.faults.iter()
    }

    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The text that a fault is in.
    pub fn source(&self, fault: &Fault) -> &Source {
        &self.sources[fault.file.0]
    }

    /// The same faults of a file whose name does not tell what it is.
    pub fn guessed(self, guess: Guess) -> Self {
        Self { guess: Some(guess), ..self }
    }

    /// How it was decided what the file is, if its name does not tell.
    pub fn guess(&self) -> Option<Guess> {
        self.guess
    }

    /// The number of faults beyond [`FAULTS_MAX`].
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    pub fn place(&self, fault: &Fault) -> Place {
        let text = &self.source(fault).text;
        let (line, column) = position(text, fault.span.start);
        let (end_line, end_column) = position(text, fault.span.end);
        Place { line, column, end_line, end_column }
    }

    /// One line for each fault.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let more = (self.left_out > 0).then(|| format!("and {} more", self.left_out));
        let name = self.sources.first().map_or("", |source| &source.name);
        let guess = self.guess.map(|guess| format!("{name}: {guess}"));
        self.faults.iter().map(|fault| self.line(fault)).chain(more).chain(guess)
    }

    fn line(&self, fault: &Fault) -> String {
        let Place { line, column, .. } = self.place(fault);
        let name = printable(&self.source(fault).name);
        let help = fault.help().map(|help| format!("; {help}")).unwrap_or_default();
        format!("{name}:{line}:{column}: {}{help}", fault.message())
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.lines().collect();
        out.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Faults {}

impl Findings {
    /// Adds a text in which faults may be found.
    pub fn add_source(&mut self, name: impl Into<String>, text: impl Into<String>) -> SourceId {
        self.sources.push(Source { name: name.into(), text: text.into() });
        SourceId(self.sources.len() - 1)
    }

    pub fn text(&self, file: SourceId) -> &str {
        &self.sources[file.0].text
    }

    /// Adds a fault. A span that is not on the boundaries of characters is widened to them.
    pub fn add(&mut self, mut fault: Fault) {
        if self.is_full() {
            self.left_out += 1;
            return;
        }
        let text = &self.sources[fault.file.0].text;
        fault.span = on_characters(text, &fault.span);
        if let Some((span, _)) = &mut fault.related {
            *span = on_characters(text, span);
        }
        self.faults.push(fault);
    }

    /// Counts a fault that there is no room for. Spares a reader the work of describing it.
    pub fn leave_out(&mut self, count: usize) {
        self.left_out += count;
    }

    /// How many faults are only counted.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// The faults so far, in the order in which they were added.
    pub fn faults_so_far(&self) -> impl Iterator<Item = &Fault> {
        self.faults.iter()
    }

    /// True if a further fault would only be counted.
    pub fn is_full(&self) -> bool {
        self.faults.len() >= FAULTS_MAX
    }

    pub fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// Returns `value` if there is no fault.
    ///
    /// # Errors
    /// All faults, in the order of the text.
    pub fn finish<T>(mut self, value: T) -> Result<T, Faults> {
        if self.faults.is_empty() {
            return Ok(value);
        }
        self.faults.sort_by_key(|fault| (fault.file, fault.span.start, fault.span.end));
        let Self { sources, faults, left_out } = self;
        Err(Faults { sources, faults, left_out, guess: None })
    }
}

/// Escapes and shortens a phrase: it may quote a text that would break the line or fill the screen.
fn one_line(words: &str) -> String {
    const CHARACTERS_MAX: usize = 300;
    let mut line = String::new();
    for (n, c) in words.chars().enumerate() {
        if n == CHARACTERS_MAX {
            line.push('…');
            break;
        }
        if has_effect(c) { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

fn on_characters(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = text.floor_char_boundary(span.start.min(text.len()));
    start..text.ceil_char_boundary(span.end.clamp(start, text.len()))
}

/// Line and column of a byte, from 1.
fn position(text: &str, at: usize) -> (usize, usize) {
    let line = lines::around(text, at);
    (lines::number(&text.as_bytes()[..at]), lines::column(&text[line.start..at]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::dotenv::DotenvFault;

    fn set_twice(name: &str) -> DotenvFault {
        DotenvFault::SetTwice(name.into())
    }

    #[test]
    fn faults_stand_in_the_order_of_the_text_with_line_and_column() {
        let mut findings = Findings::default();
        let file = findings.add_source(".env", "ä = 1\nbü = 2\n");
        findings.add(Fault::new(file, 13..14, DotenvFault::ZeroByte));
        findings.add(Fault::new(file, 0..2, set_twice("ä")));
        let faults = findings.finish(()).unwrap_err();
        assert_eq!(
            faults.to_string(),
            ".env:1:1: `ä` is set twice; remove one of the two lines\n\
             .env:2:6: a zero byte ends the value; remove it"
        );
    }

    #[test]
    fn a_span_is_kept_within_the_text_and_on_its_characters() {
        let mut findings = Findings::default();
        let file = findings.add_source("a", "aä");
        findings.add(Fault::new(file, 2..2, DotenvFault::ZeroByte));
        findings.add(Fault::new(file, 9..12, DotenvFault::ZeroByte));
        let faults = findings.finish(()).unwrap_err();
        let spans: Vec<_> = faults.iter().map(|fault| fault.span.clone()).collect();
        assert_eq!(spans, [1..3, 3..3]);
    }

    #[test]
    fn a_quoted_text_neither_breaks_the_line_nor_fills_the_screen() {
        let mut findings = Findings::default();
        let file = findings.add_source("a", "a");
        findings.add(Fault::new(file, 0..1, set_twice(&format!("\x1b\n{}", "x".repeat(1_000)))));
        let line = findings.finish(()).unwrap_err().to_string();
        assert!(line.starts_with("a:1:1: `\\u{1b}\\nxxx") && line.contains("x…"), "{line}");
        assert!(line.len() < 400);
    }

    #[test]
    fn faults_beyond_the_bound_are_counted() {
        let mut findings = Findings::default();
        let file = findings.add_source("a", "a");
        for _ in 0..FAULTS_MAX + 3 {
            findings.add(Fault::new(file, 0..1, DotenvFault::ZeroByte));
        }
        let faults = findings.finish(()).unwrap_err();
        assert_eq!(faults.lines().last().as_deref(), Some("and 3 more"));
        assert_eq!(faults.iter().count(), FAULTS_MAX);
    }
}
