//! What is not TOML, in words for people who do not know its grammar by heart.

use std::ops::Range;

use toml::de::{DeTable, DeValue, Error};

use crate::plan::text::diagnostics::{Fault, Findings, SourceId};
use crate::plan::text::explain::Explain;
use crate::plan::text::lines;

/// A text that is not TOML.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxFault {
    #[error("`{0}` is set twice")]
    KeyTwice(String),
    #[error("the pool `{0}` is there twice")]
    PoolTwice(String),
    #[error("this is not TOML: {0}")]
    Known(TomlProblem),
    /// In the words of the toml crate.
    #[error("this is not TOML: {0}")]
    Other(String),
}

/// The problems that pm has a help for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TomlProblem {
    #[error("there is a key twice")]
    KeyTwice,
    #[error("a string is not in quotes")]
    NoQuotes,
    #[error("a key has no value")]
    NoValue,
    #[error("this is not a key with a value")]
    NoKey,
    #[error("a number begins with 0")]
    LeadingZero,
    #[error("there is no comma between two elements of a list")]
    NoComma,
    #[error("a list is not closed")]
    OpenList,
    #[error("the name of a table is not closed")]
    OpenTable,
    #[error("a table in braces is not closed")]
    OpenInlineTable,
    #[error("a string in single quotes is not closed")]
    OpenLiteralString,
    #[error("a string in double quotes is not closed")]
    OpenBasicString,
    #[error("tables are nested too deeply")]
    TooDeep,
}

/// What the toml crate says of each problem, in full. It says it in no other form; a test notices when it changes.
const TEXTS_OF_TOML: [(&str, TomlProblem); 13] = [
    ("duplicate key", TomlProblem::KeyTwice),
    ("string values must be quoted, expected literal string", TomlProblem::NoQuotes),
    ("key with no value, expected `=`", TomlProblem::NoValue),
    ("invalid key-value pair, expected key", TomlProblem::NoKey),
    ("unexpected leading zero, expected nothing", TomlProblem::LeadingZero),
    ("missing comma between array elements, expected `,`", TomlProblem::NoComma),
    ("unclosed array, expected `]`", TomlProblem::OpenList),
    ("unclosed table, expected `]`", TomlProblem::OpenTable),
    ("unclosed inline table, expected `}`", TomlProblem::OpenInlineTable),
    ("invalid literal string, expected `'`", TomlProblem::OpenLiteralString),
    ("invalid basic string, expected `\"`", TomlProblem::OpenBasicString),
    ("recursion limit", TomlProblem::TooDeep),
    ("max recursion depth met", TomlProblem::TooDeep),
];

impl TomlProblem {
    /// The problem that the toml crate reports. This is the only place where a text of it is compared.
    fn of(error: &Error) -> Option<Self> {
        let known = TEXTS_OF_TOML.iter().find(|(text, _)| *text == error.message());
        known.map(|(_, problem)| *problem)
    }
}

impl Explain for SyntaxFault {
    fn help(&self) -> Option<String> {
        let help = match self {
            Self::PoolTwice(_) => "give one of the two another name, or make one table of them",
            Self::KeyTwice(_) | Self::Known(TomlProblem::KeyTwice) => "remove one of the two",
            Self::Known(TomlProblem::NoQuotes) => {
                "put the string into quotes, as in `restart = \"always\"`"
            }
            Self::Known(TomlProblem::NoValue | TomlProblem::NoKey) => "write `key = value`",
            Self::Known(TomlProblem::LeadingZero) => "put it into quotes, as in `umask = \"022\"`",
            Self::Known(TomlProblem::NoComma) => {
                "write `,` between two elements, and `]` after the last"
            }
            Self::Known(TomlProblem::OpenList | TomlProblem::OpenTable) => "close it with `]`",
            Self::Known(TomlProblem::OpenInlineTable) => "close it with `}`",
            Self::Known(TomlProblem::OpenLiteralString) => "close it with `'`",
            Self::Known(TomlProblem::OpenBasicString) => {
                "close it with `\"`, and double each backslash"
            }
            Self::Known(TomlProblem::TooDeep) => "no key of pm is in more than 4 tables",
            Self::Other(_) => return None,
        };
        Some(help.into())
    }
}

/// Adds what the parser of `text` reported.
pub fn add_parser_errors(
    text: &str,
    tree: &DeTable<'_>,
    errors: &[Error],
    file: SourceId,
    findings: &mut Findings,
) {
    let mut keys = None;
    let mut last_line: Option<Range<usize>> = None;
    let mut last_pool_twice: Option<Range<usize>> = None;
    for error in errors {
        let at = error.span().unwrap_or(text.len()..text.len());
        let problem = TomlProblem::of(error);
        if problem == Some(TomlProblem::KeyTwice) {
            if findings.is_full() {
                findings.leave_out(1);
                continue;
            }
            if let Some(pool) = pool_twice(text, &at) {
                last_pool_twice = Some(at.start..table_end(text, at.end));
                findings.add(Fault::new(file, at, SyntaxFault::PoolTwice(pool)));
                continue;
            }
            // The keys of the second table are not set twice: the table is.
            if last_pool_twice.as_ref().is_some_and(|table| table.contains(&at.start)) {
                continue;
            }
            let keys = keys.get_or_insert_with(|| all_keys(tree));
            findings.add(key_twice(text, at, keys, file));
            continue;
        }
        // After an error the parser may be out of step: of each line only the first error is certain to be one.
        if last_line.as_ref().is_some_and(|line| (line.start..=line.end).contains(&at.start)) {
            continue;
        }
        last_line = Some(lines::around(text, at.start));
        let other = || SyntaxFault::Other(error.message().to_owned());
        findings.add(Fault::new(file, at, problem.map_or_else(other, SyntaxFault::Known)));
    }
}

/// Adds those of the faults that are in lines without a fault. Where the name of a table could not be read, it is not
/// known which table the next keys belong to: then none is added.
pub fn add_faults_elsewhere(
    text: &str,
    found: impl Iterator<Item = Fault>,
    file: SourceId,
    findings: &mut Findings,
) {
    let known = findings.faults_so_far().map(|fault| lines::around(text, fault.span.start));
    let known: Vec<_> = known.collect();
    if known.iter().any(|line| text[line.clone()].trim_start().starts_with('[')) {
        return;
    }
    for fault in found {
        let start = fault.span.start;
        if !known.iter().any(|line| line.start <= start && start <= line.end) {
            findings.add(Fault { file, ..fault });
        }
    }
}

/// The name of the pool, if the key at this place is the whole name of one in a header: `[pool.NAME]`.
fn pool_twice(text: &str, at: &Range<usize>) -> Option<String> {
    let line = text.get(lines::around(text, at.start))?.split('#').next()?.trim();
    let header = line.strip_prefix('[')?.strip_suffix(']')?;
    let name = header.split_once('.').filter(|(first, _)| first.trim() == "pool")?.1.trim();
    (name == text.get(at.clone())?).then(|| name.trim_matches(['"', '\'']).to_owned())
}

/// Where the next table begins, or the end of the text.
fn table_end(text: &str, start: usize) -> usize {
    text[start..].find("\n[").map_or(text.len(), |next| start + next)
}

fn key_twice(text: &str, at: Range<usize>, keys: &[(String, usize)], file: SourceId) -> Fault {
    let name = text.get(at.clone()).unwrap_or_default().trim_matches(['"', '\'']);
    let fault = Fault::new(file, at.clone(), SyntaxFault::KeyTwice(name.to_owned()));
    // A table's keys stand together: the last one of that name before this is the first of the two.
    let end = keys.partition_point(|(_, start)| *start < at.start);
    match keys[..end].iter().rev().find(|(known, _)| known == name) {
        Some((_, start)) => {
            let length = text[*start..].find(['=', '.', ']', '\n', ' ', '\t']).unwrap_or(1);
            fault.related(*start..*start + length, "the first time")
        }
        None => fault,
    }
}

/// Every key with its start, in the order of the text.
fn all_keys(tree: &DeTable<'_>) -> Vec<(String, usize)> {
    fn walk_table(table: &DeTable<'_>, keys: &mut Vec<(String, usize)>) {
        for (key, value) in table.iter() {
            keys.push((key.get_ref().to_string(), key.span().start));
            walk(value.get_ref(), keys);
        }
    }
    fn walk(value: &DeValue<'_>, keys: &mut Vec<(String, usize)>) {
        match value {
            DeValue::Table(table) => walk_table(table, keys),
            DeValue::Array(array) => array.iter().for_each(|value| walk(value.get_ref(), keys)),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => {}
        }
    }
    let mut keys = Vec::new();
    walk_table(tree, &mut keys);
    keys.sort_by_key(|(_, start)| *start);
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    /// If this fails after an update of the toml crate, its texts have changed: correct [`TEXTS_OF_TOML`].
    #[test]
    fn the_toml_crate_reports_each_problem_in_the_text_that_pm_knows() {
        for (text, problem) in [
            ("a = 1\na = 2\n", TomlProblem::KeyTwice),
            ("a = deno run\n", TomlProblem::NoQuotes),
            ("a: 1\n", TomlProblem::NoValue),
            ("}\n", TomlProblem::NoKey),
            ("a = 022\n", TomlProblem::LeadingZero),
            ("a = [1\nb = 2\n", TomlProblem::NoComma),
            ("a = [1\n", TomlProblem::OpenList),
            ("[a\n", TomlProblem::OpenTable),
            ("a = {b = 1\n", TomlProblem::OpenInlineTable),
            ("a = 'x\n", TomlProblem::OpenLiteralString),
            ("a = \"x\n", TomlProblem::OpenBasicString),
        ] {
            let (_, errors) = DeTable::parse_recoverable(text);
            let texts: Vec<_> = errors.iter().map(Error::message).collect();
            let problem_of_first = errors.first().and_then(TomlProblem::of);
            assert_eq!(problem_of_first, Some(problem), "{text:?}: {texts:?}");
        }
    }
}
