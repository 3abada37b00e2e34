//! Faults for people, with a picture of the place, and for programs, as JSON. What they say is made in floor 1.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde_json::{Value, json};

use crate::plan::text::printable::printable;
use crate::plan::text::{lines, phrase};
use crate::plan::{Fault, Faults};

/// Every fault with the lines it is in, the wrong text underlined.
pub fn pictures(faults: &Faults) -> String {
    drawn(faults, &Renderer::plain())
}

/// The same in colour.
pub fn pictures_in_colour(faults: &Faults) -> String {
    drawn(faults, &Renderer::styled())
}

fn drawn(faults: &Faults, renderer: &Renderer) -> String {
    let mut text = String::new();
    for fault in faults.iter() {
        text += &picture(faults, fault, renderer);
        text += "\n\n";
    }
    let all = phrase::count(faults.iter().count() + faults.left_out(), "fault");
    text += &match faults.left_out() {
        0 => all,
        _ => format!("{all}; only the first {} are shown", faults.iter().count()),
    };
    text += "\n";
    if let (Some(guess), Some(file)) = (faults.guess(), faults.sources().first()) {
        text += &format!("note: `{}`: {guess}\n", file.name);
    }
    text
}

fn picture(faults: &Faults, fault: &Fault, renderer: &Renderer) -> String {
    let source = faults.source(fault);
    let related = fault.related.as_ref();
    // Only the lines around the two places: the renderer reads all that it is given.
    let mut shown = lines_around(&source.text, &fault.span);
    if let Some((span, _)) = related {
        let other = lines_around(&source.text, span);
        shown = shown.start.min(other.start)..shown.end.max(other.end);
    }
    let within = |span: &Range<usize>| span.start - shown.start..span.end - shown.start;
    let primary = AnnotationKind::Primary.span(within(&fault.span));
    let label = Some(fault.label()).filter(|label| !label.is_empty());
    // The carriage returns of a file from Windows would be drawn; a blank keeps every column.
    let text = source.text[shown.clone()].replace('\r', " ");
    let mut snippet = Snippet::source(text)
        .line_start(lines::number(&source.text.as_bytes()[..shown.start]))
        .path(printable(&source.name))
        .annotation(primary.label(label));
    if let Some((span, label)) = related {
        let other = AnnotationKind::Context.span(within(span));
        snippet = snippet.annotation(other.label(*label));
    }
    let group = Level::ERROR.primary_title(fault.message()).element(snippet);
    let group = match fault.help() {
        Some(help) => group.element(Level::HELP.message(help)),
        None => group,
    };
    renderer.render(&[group])
}

/// The whole lines that a span is in.
fn lines_around(text: &str, span: &Range<usize>) -> Range<usize> {
    lines::around(text, span.start).start..lines::around(text, span.end).end
}

/// The faults as `pm check --json` has them.
pub fn json(faults: &Faults) -> Value {
    faults.iter().map(|fault| one(faults, fault)).collect()
}

fn one(faults: &Faults, fault: &Fault) -> Value {
    let place = faults.place(fault);
    json!({
        "file": faults.source(fault).name,
        "line": place.line,
        "column": place.column,
        "end_line": place.end_line,
        "end_column": place.end_column,
        "message": fault.message(),
        "label": fault.label(),
        "help": fault.help(),
    })
}
