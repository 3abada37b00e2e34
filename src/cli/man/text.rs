//! Our texts as roff: sections, paragraphs and lists in which backticks become bold. Escaping is the roff crate's.

use clap_mangen::roff::{Inline, Roff, bold, roman};

/// The whole text of a page.
pub fn page(name: &str, section: &str, body: &Roff) -> String {
    // No date: the same pm makes the same page. The roff crate leaves an empty argument out, so this line is our own.
    let version = env!("CARGO_PKG_VERSION");
    format!(".TH {name} {section} \"\" \"pm {version}\" \"pm manual\"\n{}", body.render())
}

/// A section that begins with these paragraphs.
pub fn section(roff: &mut Roff, name: &str, paragraphs: &[impl AsRef<str>]) {
    roff.control("SH", [name]);
    for (index, text) in paragraphs.iter().enumerate() {
        // A section begins a paragraph of its own.
        if index > 0 {
            roff.control("PP", []);
        }
        roff.text(inlines(text.as_ref()));
    }
}

/// A paragraph that is not the first of its section.
pub fn paragraph(roff: &mut Roff, text: &str) {
    roff.control("PP", []);
    roff.text(inlines(text));
}

/// A word or a line, and under it what it means.
pub fn item(roff: &mut Roff, tag: impl Into<Vec<Inline>>, text: &str) {
    roff.control("TP", []);
    roff.text(tag);
    roff.text(inlines(text));
}

/// A text with what is in backticks in bold.
fn inlines(text: &str) -> Vec<Inline> {
    let parts = text.split('`').enumerate();
    let inline =
        |(index, part): (usize, &str)| if index % 2 == 1 { bold(part) } else { roman(part) };
    parts.map(inline).collect()
}
