//! What is no TOML, in words for people who do not know its grammar by heart.

use std::ops::Range;

use toml::de::{DeTable, DeValue, Error};

use crate::plan::text::diagnostics::{Fault, Findings, SourceId};

/// What helps with what the parser says. The first that is part of its words counts.
const HELP: [(&str, &str); 11] = [
    ("string values must be quoted", "put the text into quotes, as in `restart = \"always\"`"),
    ("key with no value", "write `key = value`"),
    ("missing value", "write `key = value`"),
    ("invalid key-value pair", "write `key = value`"),
    ("unclosed table", "close it with `]`"),
    ("unclosed array", "close it with `]`"),
    ("unclosed inline table", "close it with `}`"),
    ("leading zero", "put it into quotes, as in `umask = \"022\"`"),
    ("missing comma between array elements", "put `,` between two, and `]` after the last"),
    ("invalid literal string", "close it with `'`"),
    ("invalid basic string", "close it with `\"`, and double each backslash"),
];

/// Notes what the parser of `text` complained about.
pub fn note(
    text: &str,
    tree: &DeTable<'_>,
    errors: &[Error],
    file: SourceId,
    findings: &mut Findings,
) {
    let mut keys = None;
    let mut last_line: Option<Range<usize>> = None;
    for error in errors {
        if findings.is_full() {
            return;
        }
        let at = error.span().unwrap_or(text.len()..text.len());
        if error.message() == "duplicate key" {
            let keys = keys.get_or_insert_with(|| all_keys(tree));
            findings.add(duplicate(text, at, keys, file));
            continue;
        }
        // The parser gets out of step after an error: only the first of a line is sure to be one.
        if last_line.as_ref().is_some_and(|line| (line.start..=line.end).contains(&at.start)) {
            continue;
        }
        last_line = Some(line_of(text, &at));
        let message = error.message();
        findings.add(match HELP.iter().find(|(words, _)| message.contains(words)) {
            Some((_, help)) => {
                // What was expected is in the help, in words.
                let message = message.split(", expected").next().unwrap_or(message);
                Fault::new(file, at, format!("this is no TOML: {message}")).help(*help)
            }
            None => Fault::new(file, at, format!("this is no TOML: {message}")),
        });
    }
}

/// Passes on the faults that are in no line which has one already. Where a table's header could not be read, nobody
/// knows whose keys the next ones are.
pub fn note_elsewhere(text: &str, found: Vec<Fault>, file: SourceId, findings: &mut Findings) {
    let known: Vec<_> = findings.faults_so_far().map(|fault| line_of(text, &fault.span)).collect();
    if known.iter().any(|line| text[line.clone()].trim_start().starts_with('[')) {
        return;
    }
    for fault in found {
        if !known.iter().any(|line| line.start <= fault.span.start && fault.span.start <= line.end)
        {
            findings.add(Fault { file, ..fault });
        }
    }
}

fn duplicate(text: &str, at: Range<usize>, keys: &[(String, usize)], file: SourceId) -> Fault {
    let name = text.get(at.clone()).unwrap_or_default().trim_matches(['"', '\'']);
    let fault = Fault::new(file, at.clone(), format!("`{name}` is there twice"));
    let fault = fault.help("take one of the two out");
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
    fn walk(value: &DeValue<'_>, keys: &mut Vec<(String, usize)>) {
        match value {
            DeValue::Table(table) => {
                for (key, value) in table.iter() {
                    keys.push((key.get_ref().to_string(), key.span().start));
                    walk(value.get_ref(), keys);
                }
            }
            DeValue::Array(array) => array.iter().for_each(|value| walk(value.get_ref(), keys)),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => {}
        }
    }
    let mut keys = Vec::new();
    for (key, value) in tree.iter() {
        keys.push((key.get_ref().to_string(), key.span().start));
        walk(value.get_ref(), &mut keys);
    }
    keys.sort_by_key(|(_, start)| *start);
    keys
}

/// The line in which a place begins.
fn line_of(text: &str, at: &Range<usize>) -> Range<usize> {
    let at = text.floor_char_boundary(at.start.min(text.len()));
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[at..].find('\n').map_or(text.len(), |newline| at + newline);
    start..end
}
