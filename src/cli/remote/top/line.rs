//! A line of a worker, or of pm, as cells of a screen: what acts on a terminal is left out, colours become styles.
//!
//! Nothing is looked at that would not be seen: the walk ends as soon as the caller has enough.

use std::ops::ControlFlow;

use ratatui::buffer::CellWidth;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Span;

use super::super::print::Paint;
use crate::plan::text::printable::has_effect;
use crate::plan::text::sequence::sequence;

/// The columns from one tab stop to the next.
const TAB: usize = 8;

/// Visits each character of a line, with its columns and its style. A character may be several code points.
pub fn walk(line: &str, paint: Paint, mut each: impl FnMut(&str, usize, Style) -> ControlFlow<()>) {
    let mut walk = Walk { style: Style::new(), column: 0, each: &mut each };
    // It ends early, which is all that there is to know.
    let _ = walk.line(last_version(line), paint);
}

/// How many columns a text has.
pub fn width(text: &str) -> usize {
    let mut columns = 0;
    walk(text, Paint::Plain, |_, width, _| {
        columns += width;
        ControlFlow::Continue(())
    });
    columns
}

/// How many lines of a screen a line takes, if it goes on in the next one where it does not fit.
pub fn height(line: &str, columns: usize) -> usize {
    if line.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return line.len().div_ceil(columns).max(1);
    }
    let mut fold = Fold::new(columns);
    walk(line, Paint::Plain, |_, width, _| {
        fold.place(width);
        ControlFlow::Continue(())
    });
    fold.row + 1
}

/// Places characters in lines of this many columns.
#[derive(Clone, Copy, Debug)]
pub struct Fold {
    columns: usize,
    pub row: usize,
    used: usize,
}

impl Fold {
    pub fn new(columns: usize) -> Self {
        Self { columns, row: 0, used: 0 }
    }

    /// The column of the next character, in the present row.
    pub fn place(&mut self, width: usize) -> usize {
        if self.used + width > self.columns && self.used > 0 {
            self.row += 1;
            self.used = 0;
        }
        let column = self.used;
        self.used += width;
        column
    }
}

/// The text of a line: without colours and what acts on a terminal.
pub fn plain(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    walk(line, Paint::Plain, |symbol, _, _| {
        text.push_str(symbol);
        ControlFlow::Continue(())
    });
    text
}

/// The text of a line without control sequences. Other characters that are not seen stay: this is quicker than
/// [`plain`], for all lines that there are.
pub fn without_colours(line: &str) -> String {
    let mut rest = last_version(line);
    let mut text = String::with_capacity(rest.len());
    while let Some(at) = memchr::memchr(0x1b, rest.as_bytes()) {
        text.push_str(&rest[..at]);
        let mut after = rest[at + 1..].chars();
        let _ = sequence(&mut after);
        rest = after.as_str();
    }
    text.push_str(rest);
    text
}

/// What stands there after the last carriage return: a progress bar writes over itself.
fn last_version(line: &str) -> &str {
    let line = line.trim_end_matches('\r');
    line.rsplit_once('\r').map_or(line, |(_, last)| last)
}

struct Walk<'a, F> {
    style: Style,
    column: usize,
    each: &'a mut F,
}

impl<F: FnMut(&str, usize, Style) -> ControlFlow<()>> Walk<'_, F> {
    fn line(&mut self, line: &str, paint: Paint) -> ControlFlow<()> {
        let mut rest = line;
        while let Some(special) = rest.find(is_special) {
            self.text(&rest[..special])?;
            let mut after = rest[special..].chars();
            match after.next() {
                Some('\u{1b}') => {
                    if let Some(colours) = sequence(&mut after).filter(|_| paint == Paint::Colour) {
                        self.style = styled(self.style, &colours);
                    }
                }
                Some('\t') => {
                    for _ in 0..TAB - self.column % TAB {
                        self.give(" ", 1)?;
                    }
                }
                Some(_) | None => {}
            }
            rest = after.as_str();
        }
        self.text(rest)
    }

    /// Text without special characters.
    fn text(&mut self, text: &str) -> ControlFlow<()> {
        let mut rest = text;
        // Most text is ASCII. What follows the last such character may belong to it.
        while let [first, second, ..] = rest.as_bytes()
            && first.is_ascii()
            && second.is_ascii()
        {
            self.give(&rest[..1], 1)?;
            rest = &rest[1..];
        }
        let span = Span::raw(rest);
        for grapheme in span.styled_graphemes(Style::new()) {
            match usize::from(grapheme.symbol.cell_width()) {
                0 => {}
                width => self.give(grapheme.symbol, width)?,
            }
        }
        ControlFlow::Continue(())
    }

    fn give(&mut self, symbol: &str, width: usize) -> ControlFlow<()> {
        self.column += width;
        (self.each)(symbol, width, self.style)
    }
}

/// Not to be seen, or not of the same width on every terminal: joiners and modifiers of emoji are left out, so that
/// each emoji stands for itself.
fn is_special(c: char) -> bool {
    !matches!(c, ' '..='~')
        && (has_effect(c)
            || matches!(c, '\u{200b}'..='\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ad}')
            || matches!(c, '\u{1f3fb}'..='\u{1f3ff}' | '\u{e0000}'..='\u{e007f}'))
}

/// The style after a sequence that sets colours: `ESC [ 1 ; 31 m`.
fn styled(mut style: Style, sequence: &str) -> Style {
    let parameters = sequence.trim_start_matches("\u{1b}[").trim_end_matches('m');
    let mut numbers = parameters.split([';', ':']).map(|number| number.parse().unwrap_or(0_u8));
    while let Some(number) = numbers.next() {
        style = match number {
            0 => Style::new(),
            1 => style.add_modifier(Modifier::BOLD),
            2 => style.add_modifier(Modifier::DIM),
            3 => style.add_modifier(Modifier::ITALIC),
            4 => style.add_modifier(Modifier::UNDERLINED),
            7 => style.add_modifier(Modifier::REVERSED),
            9 => style.add_modifier(Modifier::CROSSED_OUT),
            22 => style.remove_modifier(Modifier::BOLD | Modifier::DIM),
            23 => style.remove_modifier(Modifier::ITALIC),
            24 => style.remove_modifier(Modifier::UNDERLINED),
            27 => style.remove_modifier(Modifier::REVERSED),
            29 => style.remove_modifier(Modifier::CROSSED_OUT),
            30..=37 => style.fg(Color::Indexed(number - 30)),
            39 => Style { fg: None, ..style },
            40..=47 => style.bg(Color::Indexed(number - 40)),
            49 => Style { bg: None, ..style },
            90..=97 => style.fg(Color::Indexed(number - 90 + 8)),
            100..=107 => style.bg(Color::Indexed(number - 100 + 8)),
            38 => long_colour(&mut numbers).map_or(style, |colour| style.fg(colour)),
            48 => long_colour(&mut numbers).map_or(style, |colour| style.bg(colour)),
            _ => style,
        };
    }
    style
}

/// `5 ; N` or `2 ; R ; G ; B`.
fn long_colour(numbers: &mut impl Iterator<Item = u8>) -> Option<Color> {
    match numbers.next()? {
        5 => Some(Color::Indexed(numbers.next()?)),
        2 => Some(Color::Rgb(numbers.next()?, numbers.next()?, numbers.next()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_seen_is_left() {
        for (line, seen) in [
            ("a\x1b[2Jb\x1b]0;title\x07c\x08\x7f", "abc"),
            ("10%\r20%\r", "20%"),
            ("a\tb", "a       b"),
            ("\x1b[31ma\tb", "a       b"),
            ("e\u{301}x", "e\u{301}x"),
            ("a\u{202e}b\u{2028}c", "abc"),
            ("👩\u{200d}👩 ❤\u{fe0f}", "👩👩 ❤"),
            ("\x1b", ""),
        ] {
            assert_eq!(plain(line), seen, "{line:?}");
        }
    }

    #[test]
    fn a_line_goes_on_where_it_does_not_fit() {
        for (line, columns, lines) in [
            ("abcd", 4, 1),
            ("abcde", 4, 2),
            ("", 4, 1),
            ("日本語", 4, 2),
            ("日本語", 3, 3),
            ("日本", 1, 2),
            ("e\u{301}e\u{301}", 2, 1),
            ("\x1b[1mabcd\x1b[0m", 4, 1),
            ("👩\u{200d}👩", 4, 1),
            ("\ta", 4, 3),
        ] {
            assert_eq!(height(line, columns), lines, "{line:?}");
        }
    }

    #[test]
    fn colours_become_styles_and_are_left_out_if_there_are_none() {
        let mut styles = Vec::new();
        let line = "\x1b[1;31mr\x1b[39mb\x1b[0mp\x1b[38;5;200mi\x1b[48;2;1;2;3mt\x1b[92mg\x1b[mx";
        walk(line, Paint::Colour, |symbol, _, style| {
            styles.push((symbol.to_owned(), style));
            ControlFlow::Continue(())
        });
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let rgb = Color::Rgb(1, 2, 3);
        let expected = [
            ("r", bold.fg(Color::Indexed(1))),
            ("b", bold),
            ("p", Style::new()),
            ("i", Style::new().fg(Color::Indexed(200))),
            ("t", Style::new().fg(Color::Indexed(200)).bg(rgb)),
            ("g", Style::new().fg(Color::Indexed(10)).bg(rgb)),
            ("x", Style::new()),
        ];
        assert_eq!(styles, expected.map(|(symbol, style)| (symbol.to_owned(), style)));
        walk(line, Paint::Plain, |_, _, style| {
            assert_eq!(style, Style::new());
            ControlFlow::Continue(())
        });
    }

    #[test]
    fn a_walk_ends_when_its_caller_has_enough() {
        let mut count = 0;
        walk(&"x".repeat(90_000), Paint::Plain, |_, _, _| {
            count += 1;
            if count == 10 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(count, 10);
    }
}
