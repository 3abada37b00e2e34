//! The line of a terminal that is being written, as far as it is shown.

use super::style::Style;

/// The line that is being written.
#[derive(Debug, Default)]
pub struct Line {
    pub bytes: Vec<u8>,
    pub content: Content,
    pub cursor: Cursor,
    pub style: Style,
}

/// What stands in the line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Content {
    /// At most colours.
    #[default]
    Nothing,
    Text,
    /// Text, whose beginning is passed on because the line is long.
    Continued,
}

/// Where the next text goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cursor {
    #[default]
    End,
    /// To the start of the line: it replaces what stands there.
    Start,
    /// This many rows above: as many line feeds lead back to this line, text is another line.
    Above(usize),
    /// To another row: it is another line.
    Elsewhere,
}

impl Line {
    pub fn is_untouched(&self) -> bool {
        self.bytes.is_empty() && self.content == Content::Nothing && self.cursor == Cursor::End
    }

    /// Back to what a line begins with: the colours that are set.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.style.write_to(&mut self.bytes);
        if self.content == Content::Text {
            self.content = Content::Nothing;
        }
    }

    pub fn move_up(&mut self, rows: &[u8]) {
        let rows = std::str::from_utf8(rows).ok().and_then(|rows| rows.parse().ok());
        let rows: usize = rows.unwrap_or(1).max(1);
        self.cursor = match self.cursor {
            Cursor::Above(already) => Cursor::Above(already.saturating_add(rows)),
            Cursor::End | Cursor::Start if self.content == Content::Nothing => self.cursor,
            Cursor::End | Cursor::Start => Cursor::Above(rows),
            Cursor::Elsewhere => Cursor::Elsewhere,
        };
    }

    pub fn print(&mut self, text: &[u8]) {
        if self.cursor == Cursor::Start {
            self.clear();
            self.cursor = Cursor::End;
        }
        self.bytes.extend_from_slice(text);
        if self.content == Content::Nothing {
            self.content = Content::Text;
        }
    }

    pub fn set_style(&mut self, parameters: &[u8]) {
        self.style.set(parameters);
        // At the start, the next text begins with the style that is set by then.
        if self.cursor == Cursor::End {
            if self.content == Content::Nothing {
                return self.clear();
            }
            self.bytes.extend_from_slice(b"\x1b[");
            self.bytes.extend_from_slice(parameters);
            self.bytes.push(b'm');
        }
    }

    /// Removes the last character, if it is text.
    pub fn step_back(&mut self) {
        let is_continuation = |byte: &u8| (0x80..0xc0).contains(byte);
        let length = 1 + self.bytes.iter().rev().take_while(|byte| is_continuation(byte)).count();
        let is_style = self.bytes.ends_with(b"m") && self.ends_with_style();
        if self.content == Content::Text && !is_style {
            self.bytes.truncate(self.bytes.len().saturating_sub(length));
        }
    }

    fn ends_with_style(&self) -> bool {
        let parameter = |byte: &u8| matches!(byte, b'0'..=b'9' | b';' | b':');
        let before = &self.bytes[..self.bytes.len() - 1];
        let count = before.iter().rev().take_while(|byte| parameter(byte)).count();
        before[..before.len() - count].ends_with(b"\x1b[")
    }
}
