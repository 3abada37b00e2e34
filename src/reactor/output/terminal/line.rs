//! The line of a terminal that is being written, as far as it is shown.

use super::style::Style;

/// A line is not filled with blanks or repeated characters beyond this column.
const FILLED_COLUMNS_MAX: usize = 256;

/// The columns from one tab stop to the next.
const TAB_COLUMNS: usize = 8;

/// The line that is being written.
#[derive(Debug, Default)]
pub struct Line {
    pub bytes: Vec<u8>,
    pub content: Content,
    pub cursor: Cursor,
    pub style: Style,
    /// Of the text in it. Each character counts as one.
    columns: usize,
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
    /// This many columns to the right of the end.
    Right(usize),
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
        self.columns = 0;
        self.style.write_to(&mut self.bytes);
        if self.content == Content::Text {
            self.content = Content::Nothing;
        }
    }

    pub fn move_up(&mut self, rows: &[u8]) {
        let rows = number(rows);
        self.cursor = match self.cursor {
            Cursor::Above(already) => Cursor::Above(already.saturating_add(rows)),
            Cursor::End | Cursor::Start | Cursor::Right(_) if self.content == Content::Nothing => {
                self.cursor
            }
            Cursor::End | Cursor::Start | Cursor::Right(_) => Cursor::Above(rows),
            Cursor::Elsewhere => Cursor::Elsewhere,
        };
    }

    pub fn move_right(&mut self, columns: &[u8]) {
        let column = match self.cursor {
            Cursor::End => self.columns,
            Cursor::Start => 0,
            Cursor::Right(columns) => self.columns + columns,
            Cursor::Above(_) | Cursor::Elsewhere => return,
        };
        self.go_to(column.saturating_add(number(columns)));
    }

    /// To a column of the line; the first one is 1.
    pub fn move_to(&mut self, column: &[u8]) {
        match self.cursor {
            Cursor::End | Cursor::Start | Cursor::Right(_) => self.go_to(number(column) - 1),
            Cursor::Above(_) | Cursor::Elsewhere => {}
        }
    }

    /// Where text stands already, or only a very wide terminal has a column, the cursor stays.
    fn go_to(&mut self, column: usize) {
        if column > self.columns && column <= FILLED_COLUMNS_MAX {
            self.cursor = Cursor::Right(column - self.columns);
        }
    }

    /// Writes the last character again.
    pub fn repeat(&mut self, times: &[u8]) {
        let times = number(times);
        let may_grow = self.columns.saturating_add(times) <= FILLED_COLUMNS_MAX;
        if self.columns > 0 && self.cursor == Cursor::End && may_grow && !self.ends_with_style() {
            let character = self.bytes[self.bytes.len() - self.last_length()..].to_vec();
            (0..times).for_each(|_| self.print(&character));
        }
    }

    /// Adds a character.
    pub fn print(&mut self, text: &[u8]) {
        match self.cursor {
            Cursor::Start => self.clear(),
            Cursor::Right(_) => self.fill(),
            Cursor::End | Cursor::Above(_) | Cursor::Elsewhere => {}
        }
        self.cursor = Cursor::End;
        self.bytes.extend_from_slice(text);
        self.columns = match text {
            b"\t" => (self.columns / TAB_COLUMNS + 1) * TAB_COLUMNS,
            _ => self.columns + 1,
        };
        if self.content == Content::Nothing {
            self.content = Content::Text;
        }
    }

    pub fn set_style(&mut self, parameters: &[u8]) {
        self.fill();
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

    /// Writes the blanks between the end and the cursor.
    fn fill(&mut self) {
        if let Cursor::Right(columns) = self.cursor {
            self.cursor = Cursor::End;
            (0..columns).for_each(|_| self.print(b" "));
        }
    }

    /// Goes back over a skipped column, or removes the last character, if it is text.
    pub fn step_back(&mut self) {
        if let Cursor::Right(columns) = self.cursor {
            self.cursor = if columns > 1 { Cursor::Right(columns - 1) } else { Cursor::End };
        } else if self.content == Content::Text && !self.ends_with_style() {
            self.bytes.truncate(self.bytes.len().saturating_sub(self.last_length()));
            self.columns = self.columns.saturating_sub(1);
        }
    }

    /// The bytes of the last character.
    fn last_length(&self) -> usize {
        let is_continuation = |byte: &&u8| (0x80..0xc0).contains(*byte);
        1 + self.bytes.iter().rev().take_while(is_continuation).count()
    }

    fn ends_with_style(&self) -> bool {
        let parameter = |byte: &u8| matches!(byte, b'0'..=b'9' | b';' | b':');
        let Some((b'm', before)) = self.bytes.split_last() else { return false };
        let count = before.iter().rev().take_while(|byte| parameter(byte)).count();
        before[..before.len() - count].ends_with(b"\x1b[")
    }
}

/// The number of a parameter: at least 1, and 1 if there is none.
fn number(parameter: &[u8]) -> usize {
    let number = std::str::from_utf8(parameter).ok().and_then(|digits| digits.parse().ok());
    number.unwrap_or(1).max(1)
}
