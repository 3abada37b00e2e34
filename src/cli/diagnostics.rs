//! Faults for people, with a picture of the place, and for programs, as JSON.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::{Value, json};

use crate::plan::{Fault, Faults};

/// Every fault with the lines it is in, the wrong text underlined.
pub fn pictures(faults: &Faults, colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut text = String::new();
    for fault in faults.iter() {
        text += &renderer.render(&[picture(faults, fault)]);
        text += "\n\n";
    }
    let count = faults.iter().count() + faults.left_out();
    text += &match (count, faults.left_out()) {
        (1, _) => "1 fault".into(),
        (count, 0) => format!("{count} faults"),
        (count, _) => format!("{count} faults; these are the first"),
    };
    text + "\n"
}

fn picture<'a>(faults: &'a Faults, fault: &'a Fault) -> Group<'a> {
    let source = faults.source(fault);
    let related = fault.related.as_ref();
    // The rest of the file is not looked at for a picture of two places.
    let mut shown = lines_around(&source.text, &fault.span);
    if let Some((span, _)) = related {
        let other = lines_around(&source.text, span);
        shown = shown.start.min(other.start)..shown.end.max(other.end);
    }
    let within = |span: &Range<usize>| span.start - shown.start..span.end - shown.start;
    let primary = AnnotationKind::Primary.span(within(&fault.span));
    let label = Some(fault.label.as_str()).filter(|label| !label.is_empty());
    // The carriage returns of a file from Windows would be drawn; a blank keeps every place.
    let text = source.text[shown.clone()].replace('\r', " ");
    let mut snippet = Snippet::source(text)
        .line_start(source.text[..shown.start].matches('\n').count() + 1)
        .path(source.name.as_str())
        .annotation(primary.label(label));
    if let Some((span, label)) = related {
        let other = AnnotationKind::Context.span(within(span));
        snippet = snippet.annotation(other.label(label.as_str()));
    }
    let group = Level::ERROR.primary_title(fault.message.as_str()).element(snippet);
    match &fault.help {
        Some(help) => group.element(Level::HELP.message(help.as_str())),
        None => group,
    }
}

/// The whole lines that a span is in.
fn lines_around(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = text[..span.start].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[span.end..].find('\n').map_or(text.len(), |newline| span.end + newline);
    start..end
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
        "message": fault.message,
        "label": fault.label,
        "help": fault.help,
    })
}
