//! The lines of a text with the place of each; the line and the column of a place.

use std::ops::Range;

/// The byte order mark: some editors write it at the start of a file.
const BOM: char = '\u{feff}';

/// One line, without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextLine<'a> {
    /// Where it starts, in bytes.
    pub start: usize,
    pub text: &'a str,
}

impl<'a> TextLine<'a> {
    /// The line of `text` that starts at `start`, up to its LF or CRLF, and where the next one starts.
    pub fn at(text: &'a str, start: usize) -> (Self, usize) {
        let rest = &text[start..];
        let (line, next) = match rest.find('\n') {
            Some(end) => (&rest[..end], start + end + 1),
            None => (rest, text.len()),
        };
        (Self { start, text: line.strip_suffix('\r').unwrap_or(line) }, next)
    }

    /// The place of a part of this line.
    pub fn span(&self, part: &str) -> Range<usize> {
        let offset = (part.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        debug_assert!(offset + part.len() <= self.text.len(), "a part of another text");
        self.start + offset..self.start + offset + part.len()
    }

    /// The whole line without the blanks around it.
    pub fn whole(&self) -> Range<usize> {
        self.span(self.text.trim_matches(BLANKS))
    }

    /// True if it is blank or a comment.
    pub fn is_empty(&self) -> bool {
        let text = self.text.trim_start_matches(BLANKS);
        text.is_empty() || text.starts_with('#')
    }
}

/// What may stand around a word.
pub const BLANKS: [char; 2] = [' ', '\t'];

/// Where the first line of a text starts: after the byte order mark.
pub fn first(text: &str) -> usize {
    if text.starts_with(BOM) { BOM.len_utf8() } else { 0 }
}

/// The line that `at` is in, without its line feed.
pub fn around(text: &str, at: usize) -> Range<usize> {
    let at = text.floor_char_boundary(at.min(text.len()));
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[at..].find('\n').map_or(text.len(), |newline| at + newline);
    start..end
}

/// The number of the line that comes after these bytes of a text, from 1.
pub fn number(before: &[u8]) -> usize {
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

/// The column that comes after these characters of a line, from 1. A byte order mark is not a column.
pub fn column(before: &str) -> usize {
    before.trim_start_matches(BOM).chars().count() + 1
}

/// Every line of a text.
pub fn lines(text: &str) -> impl Iterator<Item = TextLine<'_>> {
    let mut next = first(text);
    std::iter::from_fn(move || {
        if next >= text.len() {
            return None;
        }
        let (line, after) = TextLine::at(text, next);
        next = after;
        Some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_with_lf_or_crlf_and_begin_after_a_byte_order_mark() {
        let read: Vec<_> = lines("\u{feff}a\r\n\n b").map(|line| (line.start, line.text)).collect();
        assert_eq!(read, [(3, "a"), (6, ""), (7, " b")]);
    }

    #[test]
    fn a_place_has_a_line_and_a_column() {
        let text = "\u{feff}ü\nab\r\nc";
        assert_eq!(around(text, 7), 6..9);
        assert_eq!((number(&text.as_bytes()[..7]), column(&text[6..7])), (2, 2));
        assert_eq!(column(&text[..5]), 2);
        assert_eq!(around(text, 99), 10..11);
    }

    #[test]
    fn a_part_knows_its_place() {
        let (line, _) = TextLine::at("x\n ab c ", 2);
        assert_eq!(line.span(&line.text[4..5]), 6..7);
        assert_eq!(line.whole(), 3..7);
    }
}
