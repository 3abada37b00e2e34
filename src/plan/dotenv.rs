//! `.env`: variables, one a line. Strict: each line is used or is a fault.
//!
//! What foreman, honcho, shoreman (which hands the file to a shell) and godotenv agree on is read as they read it.
//! Where they differ:
//!
//! | written | they | here |
//! |---|---|---|
//! | `export A=b` | foreman, honcho: ignored; shell, godotenv: set | set |
//! | `A = b` | foreman: ignored; shell: an error; honcho, godotenv: `b` | `b` |
//! | `A=b c` | shell: runs `c`; honcho: `bc`, once ignored; foreman, godotenv: `b c` | `b c` |
//! | `A=b # c` | foreman: `b # c`; the others: `b` | `b` |
//! | `A=b#c` | honcho: `b`; the others: `b#c` | `b#c` |
//! | `A=it's` | honcho, shell: an open quote; foreman, godotenv: `it's` | `it's` |
//! | `A='b\n'` | honcho: a line break; the others: as it is written | as it is written |
//! | `A="b\n"` | shell: as it is written; the others: a line break | a line break |
//! | `A="b\x"` | foreman, godotenv: `bx`; honcho, shell: `b\x` | a fault |
//! | `A="$B"` | shell, godotenv: filled in; foreman, honcho: as it is written | as it is written |
//! | `A="b` ... `c"` | foreman, honcho: garbled; shell, godotenv: two lines | two lines |
//! | `A="b"c` | each its own way | a fault |
//! | `A: b` | godotenv: `b`; shell: an error; foreman, honcho: ignored | a fault |
//! | `A=1`, `A=2` | all: the later wins | a fault |
//! | anything else | foreman, honcho: ignored; shell, godotenv: an error | a fault |

use std::ops::Range;

use super::fault_kind::{FaultKind, VariableFault};
use super::text::diagnostics::{Fault, Findings, SourceId};
use super::text::explain::Explain;
use super::text::lines::{self, BLANKS, TextLine};
use super::{FILE_BYTES_MAX, STRING_BYTES_MAX};

/// More variables than any worker needs.
const VARIABLES_MAX: usize = 1_000;

/// One variable, and where its value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    pub name: String,
    pub value: String,
    pub at: Range<usize>,
    named_at: Range<usize>,
}

/// What is wrong with a line of a `.env`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DotenvFault {
    #[error("there are more than {VARIABLES_MAX} variables")]
    TooMany,
    #[error("`{0}` is set twice")]
    SetTwice(String),
    #[error("this line sets no variable")]
    NoAssignment(LikelyLine),
    #[error("a zero byte ends the value")]
    ZeroByte,
    #[error("the value of `{0}` is longer than the kernel accepts")]
    TooLong(String),
    #[error("this quote is not closed")]
    QuoteNotClosed(char),
    #[error("`{}` is not an escape", .0.escape_debug())]
    Escape(String),
    #[error("there is text after the closing quote")]
    AfterQuote,
}

/// What a line that sets no variable was probably meant to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LikelyLine {
    /// A variable without a value.
    Name(String),
    /// `A: b` or `A b`.
    Assignment {
        name: String,
        value: String,
    },
    Unknown,
}

impl Explain for DotenvFault {
    fn help(&self) -> Option<String> {
        match self {
            Self::TooMany => Some("use several files, or fewer variables".into()),
            Self::SetTwice(_) => Some("remove one of the two lines".into()),
            Self::NoAssignment(LikelyLine::Name(name)) => {
                Some(format!("write `{name}=` for an empty value"))
            }
            Self::NoAssignment(LikelyLine::Assignment { name, value }) => {
                Some(format!("did you mean `{name}={value}`?"))
            }
            Self::NoAssignment(LikelyLine::Unknown) => {
                Some("write `NAME=value`, or `#` before a comment".into())
            }
            Self::ZeroByte => Some("remove it".into()),
            Self::TooLong(_) => Some("put it into a file of its own".into()),
            Self::QuoteNotClosed(quote) => Some(format!("close it with `{quote}`")),
            Self::Escape(_) => Some(
                "the escapes are \\n, \\t, \\r, \\\", \\\\ and \\$; in single quotes a backslash is a backslash"
                    .into(),
            ),
            Self::AfterQuote => {
                Some("put all of it into the quotes, or a blank and `#` before a comment".into())
            }
        }
    }

    fn label(&self) -> &'static str {
        match self {
            Self::NoAssignment(_) => "there is no `=` in it",
            Self::TooMany
            | Self::SetTwice(_)
            | Self::ZeroByte
            | Self::TooLong(_)
            | Self::QuoteNotClosed(_)
            | Self::Escape(_)
            | Self::AfterQuote => "",
        }
    }
}

/// Reads the variables of a source of `findings`, and adds the faults that are in it.
pub fn read(file: SourceId, findings: &mut Findings) -> Vec<Variable> {
    let text = findings.text(file).to_owned();
    let mut variables: Vec<Variable> = Vec::new();
    let mut next = lines::first(&text);
    if text.len() > FILE_BYTES_MAX {
        findings.add(Fault::new(file, 0..0, FaultKind::FileTooLarge));
        return variables;
    }
    while next < text.len() {
        let (line, after) = TextLine::at(&text, next);
        next = after;
        if line.is_empty() {
            continue;
        }
        if variables.len() == VARIABLES_MAX {
            findings.add(Fault::new(file, line.whole(), DotenvFault::TooMany));
            break;
        }
        match assignment(&text, line) {
            Ok((variable, after)) => {
                next = after.max(next);
                if let Some(first) = variables.iter().find(|known| known.name == variable.name) {
                    let kind = DotenvFault::SetTwice(variable.name);
                    let fault = Fault::new(file, variable.named_at, kind);
                    findings.add(fault.related(first.named_at.clone(), "the first time"));
                } else {
                    variables.push(variable);
                }
            }
            Err(Wrong { at, kind }) => findings.add(Fault::new(file, at, kind)),
        }
    }
    variables
}

/// What is wrong with a line, and where.
struct Wrong {
    at: Range<usize>,
    kind: FaultKind,
}

impl Wrong {
    fn new(at: Range<usize>, kind: impl Into<FaultKind>) -> Self {
        Self { at, kind: kind.into() }
    }
}

/// The variable that a line sets, and where the next line starts: quotes may span lines.
fn assignment(text: &str, line: TextLine<'_>) -> Result<(Variable, usize), Wrong> {
    let start = line.text.trim_start_matches(BLANKS);
    let unexported = start.strip_prefix("export").filter(|rest| rest.starts_with(BLANKS));
    let start = unexported.unwrap_or(start).trim_start_matches(BLANKS);
    let Some((name, rest)) = start.split_once('=') else {
        return Err(Wrong::new(line.whole(), DotenvFault::NoAssignment(likely(start))));
    };
    let name = name.trim_end_matches(BLANKS);
    let named_at = line.span(name);
    if !is_variable(name) {
        let at = if name.is_empty() { line.span(&start[..1]) } else { named_at };
        return Err(Wrong::new(at, VariableFault::NotAName(name.to_owned())));
    }
    if let Some(fault) = VariableFault::of_own(name) {
        return Err(Wrong::new(named_at, fault));
    }
    let has_blank = rest.starts_with(BLANKS);
    let rest = rest.trim_start_matches(BLANKS);
    let is_comment = has_blank && rest.starts_with('#');
    let (value, at, after) = match rest.chars().next() {
        Some(quote @ ('"' | '\'')) => quoted(text, line.span(rest).start, quote)?,
        Some(_) if !is_comment => {
            let value = without_comment(rest).trim_end_matches(BLANKS);
            (value.to_owned(), line.span(value), 0)
        }
        Some(_) | None => (String::new(), line.span(&rest[..0]), 0),
    };
    if let Some(nul) = text[at.clone()].find('\0') {
        let nul = at.start + nul..at.start + nul + 1;
        return Err(Wrong::new(nul, DotenvFault::ZeroByte));
    }
    if name.len() + 1 + value.len() > STRING_BYTES_MAX {
        return Err(Wrong::new(at, DotenvFault::TooLong(name.to_owned())));
    }
    Ok((Variable { name: name.to_owned(), value, at, named_at }, after))
}

fn likely(line: &str) -> LikelyLine {
    let word = line.split([':', ' ', '\t']).next().unwrap_or_default();
    let rest = line[word.len()..].trim_start_matches([':', ' ', '\t']);
    if !is_variable(word) {
        LikelyLine::Unknown
    } else if rest.is_empty() {
        LikelyLine::Name(word.to_owned())
    } else {
        LikelyLine::Assignment { name: word.to_owned(), value: rest.to_owned() }
    }
}

fn is_variable(name: &str) -> bool {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(is_of_name)
}

/// An unquoted value up to the first `#` that has a blank before it.
fn without_comment(rest: &str) -> &str {
    let is_comment = |at: &usize| rest[..*at].ends_with(BLANKS);
    let comment = rest.match_indices('#').map(|(at, _)| at).find(is_comment);
    &rest[..comment.unwrap_or(rest.len())]
}

/// A value in quotes that begins at `start`: the value, where it stands, and where the next line starts.
fn quoted(text: &str, start: usize, quote: char) -> Result<(String, Range<usize>, usize), Wrong> {
    let mut value = String::new();
    let mut characters = text[start + 1..].char_indices().map(|(at, c)| (start + 1 + at, c));
    let end = loop {
        match characters.next() {
            Some((at, c)) if c == quote => break at + 1,
            Some((at, '\\')) if quote == '"' => {
                let escaped = characters.next();
                value.push(escape(escaped.map(|(_, c)| c)).ok_or_else(|| {
                    let end = escaped.map_or(at + 1, |(next, c)| next + c.len_utf8());
                    Wrong::new(at..end, DotenvFault::Escape(text[at..end].to_owned()))
                })?);
            }
            // A line break is the same in a file from Windows.
            Some((at, '\r')) if text[at..].starts_with("\r\n") => {}
            Some((_, c)) => value.push(c),
            None => {
                let (line, _) = TextLine::at(text, start);
                return Err(Wrong::new(line.span(line.text), DotenvFault::QuoteNotClosed(quote)));
            }
        }
    };
    let (line, next) = TextLine::at(text, end);
    let rest = line.text.trim_matches(BLANKS);
    let is_comment = rest.starts_with('#') && line.text.starts_with(BLANKS);
    if !rest.is_empty() && !is_comment {
        return Err(Wrong::new(line.span(rest), DotenvFault::AfterQuote));
    }
    Ok((value, start..end, next))
}

fn escape(c: Option<char>) -> Option<char> {
    match c? {
        'n' => Some('\n'),
        't' => Some('\t'),
        'r' => Some('\r'),
        c @ ('"' | '\\' | '$') => Some(c),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(text: &str) -> Result<Vec<(String, String)>, String> {
        let mut findings = Findings::default();
        let file = findings.add_source(".env", text);
        let variables = read(file, &mut findings);
        let variables = variables.into_iter().map(|known| (known.name, known.value)).collect();
        findings.finish(variables).map_err(|faults| faults.to_string())
    }

    fn value(line: &str) -> String {
        let mut variables = read_all(line).unwrap();
        assert_eq!(variables.len(), 1, "{line}");
        variables.remove(0).1
    }

    #[test]
    fn values_are_read_as_the_table_says() {
        for (line, read) in [
            ("A=b", "b"),
            ("export A=b", "b"),
            ("\texport\tA=b", "b"),
            ("A = b ", "b"),
            ("A=b c", "b c"),
            ("A=b # c", "b"),
            ("A=b\t#c", "b"),
            ("A=b#c", "b#c"),
            ("A=#c", "#c"),
            ("A= #c", ""),
            ("A=", ""),
            ("A=\"\" # none", ""),
            ("A=it's", "it's"),
            ("A=b=c", "b=c"),
            ("A='b\\n$C # \"'", "b\\n$C # \""),
            (r#"A="a\nb\t\r\"\\\$C $D #""#, "a\nb\t\r\"\\$C $D #"),
            ("A=\"a\nb\"", "a\nb"),
            ("A=\"a\r\nb\"\r\n", "a\nb"),
            ("A=\"a\rb\"", "a\rb"),
            ("A='a\nb'", "a\nb"),
            ("\u{feff}A=b\r\n", "b"),
            ("A=\\n", "\\n"),
            ("export=b", "b"),
            ("A=ü", "ü"),
        ] {
            assert_eq!(value(line), read, "{line}");
        }
    }

    #[test]
    fn blank_lines_and_comments_set_nothing() {
        assert_eq!(read_all("\n# A=b\n\t # c\r\n  \n").unwrap(), []);
        let two = read_all("A=1\n\nB='2\n3'\n# c\nC=4").unwrap();
        assert_eq!(two.iter().map(|(name, _)| name.as_str()).collect::<String>(), "ABC");
    }

    #[test]
    fn a_line_that_cannot_be_read_is_a_fault_with_its_place() {
        for (text, said) in [
            ("A=1\nA", ".env:2:1: this line sets no variable; write `A=` for an empty value"),
            ("A: b", ".env:1:1: this line sets no variable; did you mean `A=b`?"),
            ("  export A b", ".env:1:3: this line sets no variable; did you mean `A=b`?"),
            (
                "- x",
                ".env:1:1: this line sets no variable; write `NAME=value`, or `#` before a comment",
            ),
            ("1A=b", ".env:1:1: `1A` is not a variable name"),
            ("=b", ".env:1:1: `` is not a variable name"),
            ("a-b=c", ".env:1:1: `a-b` is not a variable name"),
            ("ü=\"b", ".env:1:1: `ü` is not a variable name"),
            ("A='b", ".env:1:3: this quote is not closed; close it with `'`"),
            ("A=\"b\\x\"", ".env:1:5: `\\\\x` is not an escape"),
            ("A=\"b\\", ".env:1:5: `\\\\` is not an escape"),
            ("A=\"b\"c", ".env:1:6: there is text after the closing quote"),
            ("A='b' 'c'", ".env:1:7: there is text after the closing quote"),
            ("A='b'#c", ".env:1:6: there is text after the closing quote"),
            ("A=b\0c", ".env:1:4: a zero byte ends the value; remove it"),
            ("A=1\n B=2\nA=3", ".env:3:1: `A` is set twice; remove one of the two lines"),
        ] {
            let faults = read_all(text).unwrap_err();
            assert!(faults.starts_with(said), "{text:?}: {faults}");
            assert_eq!(faults.lines().count(), 1, "{faults}");
        }
    }

    #[test]
    fn after_a_fault_the_next_line_is_read() {
        let faults = read_all("A=\"1\nB=2\nC\nD\n").unwrap_err();
        let lines: Vec<_> = faults.lines().map(|line| &line[..7]).collect();
        assert_eq!(lines, [".env:1:", ".env:3:", ".env:4:"]);
    }
}
