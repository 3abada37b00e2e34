//! What is wrong with a text, and where. All of it at once, in the order of the file.
//!
//! Here is the one-line form, `pm.toml:12:3: unknown key `restrat`; did you mean `restart`?`. Pictures of the place
//! are drawn in floor 4.

use std::fmt;
use std::ops::Range;

/// More of them help nobody.
pub const FAULTS_MAX: usize = 100;

/// Which of the texts: an index into [`Faults::sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceId(usize);

/// A text that somebody wrote: a file, or the value of an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// As people know it: `pm.toml`.
    pub name: String,
    pub text: String,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub file: SourceId,
    /// The bytes that are wrong, within the text and on its characters' boundaries.
    pub span: Range<usize>,
    /// The whole of it in one phrase.
    pub message: String,
    /// What the underlined text is. May be empty.
    pub label: String,
    /// What would be right.
    pub help: Option<String>,
    /// Another place in the same file that has to do with it, and what it is.
    pub related: Option<(Range<usize>, String)>,
}

/// What is wrong: at least one fault, with the texts that they are in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    sources: Vec<Source>,
    faults: Vec<Fault>,
    left_out: usize,
}

/// Where a span begins and ends: lines and columns from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub line: usize,
    pub column: usize,
    pub end_line: usize,
    pub end_column: usize,
}

/// What has been found so far by a reader that goes on after a fault.
#[derive(Debug, Default)]
pub struct Findings {
    sources: Vec<Source>,
    faults: Vec<Fault>,
    left_out: usize,
}

impl Fault {
    pub fn new(file: SourceId, span: Range<usize>, message: impl Into<String>) -> Self {
        let (label, message) = (String::new(), message.into());
        Self { file, span, message, label, help: None, related: None }
    }

    /// A fault in words of the form `what is wrong; what would be right`.
    pub fn of(file: SourceId, span: Range<usize>, error: impl fmt::Display) -> Self {
        let words = error.to_string();
        match words.rsplit_once("; ") {
            Some((message, help)) => Self::new(file, span, message).help(help),
            None => Self::new(file, span, words),
        }
    }

    pub fn label(self, label: impl Into<String>) -> Self {
        Self { label: label.into(), ..self }
    }

    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    pub fn related(self, span: Range<usize>, label: impl Into<String>) -> Self {
        Self { related: Some((span, label.into())), ..self }
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

    /// How many more there were than [`FAULTS_MAX`].
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
        self.faults.iter().map(|fault| self.line(fault)).chain(more)
    }

    fn line(&self, fault: &Fault) -> String {
        let Place { line, column, .. } = self.place(fault);
        let name = &self.source(fault).name;
        let help = fault.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
        format!("{name}:{line}:{column}: {}{help}", fault.message)
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
    /// Takes in a text that faults may be found in.
    pub fn source(&mut self, name: impl Into<String>, text: impl Into<String>) -> SourceId {
        self.sources.push(Source { name: name.into(), text: text.into() });
        SourceId(self.sources.len() - 1)
    }

    pub fn text(&self, file: SourceId) -> &str {
        &self.sources[file.0].text
    }

    /// Notes a fault. A span that is not on the boundaries of characters is widened to them.
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
        fault.message = one_line(&fault.message);
        fault.help = fault.help.as_deref().map(one_line);
        self.faults.push(fault);
    }

    /// What has been noted, in that order.
    pub fn faults_so_far(&self) -> impl Iterator<Item = &Fault> {
        self.faults.iter()
    }

    /// All that has been noted.
    pub fn faults(self) -> Vec<Fault> {
        self.faults
    }

    /// How many have been noted.
    pub fn count(&self) -> usize {
        self.faults.len() + self.left_out
    }

    /// Forgets what has been noted since there were `count` faults.
    pub fn forget_since(&mut self, count: usize) {
        self.faults.truncate(count);
        self.left_out = count - self.faults.len();
    }

    /// True if what is added is only counted.
    pub fn is_full(&self) -> bool {
        self.faults.len() >= FAULTS_MAX
    }

    pub fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// The faults in the order of the text, if there are any, else `value`.
    ///
    /// # Errors
    /// All that has been noted.
    pub fn or<T>(mut self, value: T) -> Result<T, Faults> {
        if self.faults.is_empty() {
            return Ok(value);
        }
        self.faults.sort_by_key(|fault| (fault.file, fault.span.start, fault.span.end));
        let Self { sources, faults, left_out } = self;
        Err(Faults { sources, faults, left_out })
    }
}

/// What was written may be quoted in a message: it is not to break the line or to fill the screen.
fn one_line(words: &str) -> String {
    const CHARACTERS_MAX: usize = 300;
    let mut line = String::new();
    for (n, c) in words.chars().enumerate() {
        if n == CHARACTERS_MAX {
            line.push('…');
            break;
        }
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

fn on_characters(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = text.floor_char_boundary(span.start.min(text.len()));
    start..text.ceil_char_boundary(span.end.clamp(start, text.len()))
}

/// Line and column of a byte, from 1.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() + 1;
    let column = before[line_start..].trim_start_matches('\u{feff}').chars().count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_stand_in_the_order_of_the_text_with_line_and_column() {
        let mut findings = Findings::default();
        let file = findings.source("pm.toml", "ä = 1\nbü = 2\n");
        findings.add(Fault::of(file, 13..14, "`2` is wrong; did you mean `3`?"));
        findings.add(Fault::new(file, 0..2, "unknown key `ä`"));
        let faults = findings.or(()).unwrap_err();
        assert_eq!(
            faults.to_string(),
            "pm.toml:1:1: unknown key `ä`\npm.toml:2:6: `2` is wrong; did you mean `3`?"
        );
    }

    #[test]
    fn a_span_is_kept_within_the_text_and_on_its_characters() {
        let mut findings = Findings::default();
        let file = findings.source("a", "aä");
        findings.add(Fault::new(file, 2..2, "inside"));
        findings.add(Fault::new(file, 9..12, "beyond"));
        let faults = findings.or(()).unwrap_err();
        let spans: Vec<_> = faults.iter().map(|fault| fault.span.clone()).collect();
        assert_eq!(spans, [1..3, 3..3]);
    }

    #[test]
    fn what_is_quoted_neither_breaks_the_line_nor_fills_the_screen() {
        let mut findings = Findings::default();
        let file = findings.source("a", "a");
        findings.add(Fault::new(file, 0..1, format!("`\x1b\n{}`", "x".repeat(1_000))));
        let line = findings.or(()).unwrap_err().to_string();
        assert!(line.starts_with("a:1:1: `\\u{1b}\\nxxx") && line.ends_with("x…"), "{line}");
        assert!(line.len() < 400);
    }

    #[test]
    fn what_is_too_much_is_counted() {
        let mut findings = Findings::default();
        let file = findings.source("a", "a");
        for _ in 0..FAULTS_MAX + 3 {
            findings.add(Fault::new(file, 0..1, "wrong"));
        }
        let faults = findings.or(()).unwrap_err();
        assert_eq!(faults.lines().last().as_deref(), Some("and 3 more"));
        assert_eq!(faults.iter().count(), FAULTS_MAX);
    }
}
