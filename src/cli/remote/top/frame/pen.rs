//! What everything is drawn with: texts that stay within their part, and the few colours there are.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};

use super::super::line::{self, width};
use super::super::state::{Colours, Glyphs, Look};
use crate::cli::remote::print::Paint;

/// Draws into a frame. Outside of it nothing is drawn.
pub struct Pen<'a> {
    look: Look,
    buffer: &'a mut Buffer,
}

/// What a text means. Each can be told without its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    Plain,
    Strong,
    Faint,
    Good,
    Waiting,
    Bad,
    /// A match, or the row of the cursor.
    Found,
}

impl<'a> Pen<'a> {
    pub fn new(look: Look, buffer: &'a mut Buffer) -> Self {
        Self { look, buffer }
    }

    pub fn paint(&self) -> Paint {
        match self.look.colours {
            Colours::Some => Paint::Colour,
            Colours::None => Paint::Plain,
        }
    }

    pub fn style(&self, ink: Ink) -> Style {
        let coloured = |colour: Color| match self.look.colours {
            Colours::Some => Style::new().fg(colour),
            Colours::None => Style::new(),
        };
        match ink {
            Ink::Plain => Style::new(),
            Ink::Strong => Style::new().add_modifier(Modifier::BOLD),
            Ink::Faint => Style::new().add_modifier(Modifier::DIM),
            Ink::Good => coloured(Color::Green),
            Ink::Waiting => coloured(Color::Yellow),
            Ink::Bad => coloured(Color::Red).add_modifier(Modifier::BOLD),
            Ink::Found => Style::new().add_modifier(Modifier::REVERSED),
        }
    }

    /// Writes a text from this place on, up to the end of the part. Returns the column after it.
    pub fn text(&mut self, area: Rect, column: usize, row: u16, text: &str, ink: Ink) -> usize {
        let style = self.style(ink);
        self.styled(area, column, row, text, style)
    }

    pub fn styled(
        &mut self,
        area: Rect,
        column: usize,
        row: u16,
        text: &str,
        style: Style,
    ) -> usize {
        let mut column = column;
        line::walk(text, Paint::Plain, |symbol, width, _| {
            self.cell(area, column, row, symbol, width, style);
            column += width;
            if column < usize::from(area.width) {
                std::ops::ControlFlow::Continue(())
            } else {
                std::ops::ControlFlow::Break(())
            }
        });
        column
    }

    /// Writes a text that ends before this column.
    pub fn text_to(&mut self, area: Rect, end: usize, row: u16, text: &str, ink: Ink) -> usize {
        let start = end.saturating_sub(width(text));
        self.text(area, start, row, text, ink);
        start
    }

    /// One character, if all of it is within the part.
    pub fn cell(
        &mut self,
        area: Rect,
        column: usize,
        row: u16,
        symbol: &str,
        width: usize,
        style: Style,
    ) {
        let area = area.intersection(self.buffer.area);
        let end = column.saturating_add(width);
        if row >= area.height || end > usize::from(area.width) {
            return;
        }
        let x = area.x + u16::try_from(column).expect("it is within the part");
        let y = area.y + row;
        self.buffer[(x, y)].set_symbol(symbol).set_style(style);
        for more in 1..width {
            let x = x + u16::try_from(more).expect("a character has two columns at most");
            // What a wide character covers.
            self.buffer[(x, y)].reset();
        }
    }

    /// A line over these columns.
    pub fn rule(&mut self, area: Rect, from: usize, to: usize, row: u16) {
        let symbol = self.glyph("─", "-");
        let style = self.style(Ink::Faint);
        for column in from..to.min(usize::from(area.width)) {
            self.cell(area, column, row, symbol, 1, style);
        }
    }

    pub fn glyph(&self, unicode: &'static str, ascii: &'static str) -> &'static str {
        match self.look.glyphs {
            Glyphs::Unicode => unicode,
            Glyphs::Ascii => ascii,
        }
    }

    /// Changes the style of cells that are drawn.
    pub fn restyle(&mut self, area: Rect, columns: std::ops::Range<usize>, row: u16, ink: Ink) {
        let style = self.style(ink);
        let area = area.intersection(self.buffer.area);
        if row >= area.height {
            return;
        }
        for column in columns.start..columns.end.min(usize::from(area.width)) {
            let x = area.x + u16::try_from(column).expect("it is within the part");
            self.buffer[(x, area.y + row)].set_style(style);
        }
    }
}

/// The text in this many columns; what is cut ends with an ellipsis.
pub fn cut(text: &str, columns: usize, look: Look) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mark = match look.glyphs {
        Glyphs::Unicode => "…",
        Glyphs::Ascii => ".",
    };
    let (mut kept, mut used) = (String::new(), 0);
    line::walk(text, Paint::Plain, |symbol, width, _| {
        if used + width + 1 > columns {
            return std::ops::ControlFlow::Break(());
        }
        used += width;
        kept.push_str(symbol);
        std::ops::ControlFlow::Continue(())
    });
    if columns > 0 {
        kept.push_str(mark);
    }
    kept
}

/// `12,040`
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
