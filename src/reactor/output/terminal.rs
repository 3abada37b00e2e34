//! What a worker writes to its terminal, made into lines that disturb no other line. Bytes in, bytes out.
//!
//! Colours stay, and are reset at the end of each line. A carriage return restarts the line, so that of a progress bar
//! the last state is left. What moves the cursor, clears the screen or sets the terminal is left out, and so are the
//! blank lines with which a program scrolls a screen away. No end of a line is ever swallowed by a sequence that does
//! not end. The states are those of a VT500, from the tables of `anstyle-parse`; [`line`] is the line that is being
//! written, [`style`] knows the colours.

mod line;
mod style;

use anstyle_parse::state::{Action, State, state_change};

use self::line::{Content, Cursor, Line};
use super::lines::LINE_BYTES_MAX;

/// A longer sequence is none that a line needs.
const PARAMETER_BYTES_MAX: usize = 128;

/// This many blank lines may be those of a screen that is cleared; more than the rows of any terminal.
const BLANK_LINES_MAX: usize = 256;

/// The state of one terminal.
#[derive(Debug, Default)]
pub struct TerminalFilter {
    state: State,
    /// Parameters and intermediates of the sequence that is being read.
    parameters: Vec<u8>,
    /// The bytes so far of a character of UTF-8.
    character: Vec<u8>,
    line: Line,
    /// Held back until it is known that they do not belong to a screen that is cleared.
    blank_lines: usize,
    /// What is passed on.
    out: Vec<u8>,
}

impl TerminalFilter {
    /// Takes the next bytes, and returns what they complete.
    pub fn push(&mut self, mut bytes: &[u8]) -> &[u8] {
        self.out.clear();
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let line = &bytes[..end];
            // Most lines are text, and are passed on as they stand.
            if self.is_at_rest() && is_plain(line) {
                self.pass_on_blank_lines();
                self.out.extend_from_slice(&bytes[..=end]);
            } else {
                line.iter().for_each(|byte| self.take(*byte));
                self.end_line();
            }
            bytes = &bytes[end + 1..];
        }
        bytes.iter().for_each(|byte| self.take(*byte));
        &self.out
    }

    /// The text of a line that has no newline yet.
    pub fn unfinished(&self) -> Option<&[u8]> {
        (self.line.content == Content::Text).then_some(&self.line.bytes)
    }

    /// Nothing more comes: returns what is left, which has no newline.
    pub fn finish(&mut self) -> &[u8] {
        self.out.clear();
        self.end_character();
        self.pass_on_blank_lines();
        if self.line.content != Content::Nothing {
            self.out.extend_from_slice(&self.line.bytes);
            self.out.extend_from_slice(self.line.style.reset());
        }
        self.line = Line::default();
        &self.out
    }

    /// True if a line that begins here looks as it is written.
    fn is_at_rest(&self) -> bool {
        self.state == State::Ground && self.line.is_untouched() && self.character.is_empty()
    }

    fn take(&mut self, byte: u8) {
        if !self.character.is_empty() || (byte >= 0x80 && self.state == State::Ground) {
            return self.take_of_character(byte);
        }
        let (next, action) = state_change(self.state, byte);
        match action {
            // DEL is shown nowhere.
            Action::Print | Action::BeginUtf8 if byte == 0x7f => {}
            Action::Print | Action::BeginUtf8 => self.print(&[byte]),
            Action::Execute => self.execute(byte),
            Action::Collect | Action::Param => {
                if self.parameters.len() < PARAMETER_BYTES_MAX {
                    self.parameters.push(byte);
                }
            }
            Action::CsiDispatch => self.dispatch(byte),
            Action::EscDispatch => match byte {
                b'c' => self.clear_screen(),
                b'D' | b'E' => self.line_feed(),
                // A title for screen(1), up to ESC \, as the strings of ECMA-48.
                b'k' if self.parameters.is_empty() => return self.state = State::SosPmApcString,
                _ => {}
            },
            Action::Nop | Action::Clear | Action::Ignore => {}
            Action::Hook | Action::Put | Action::Unhook => {}
            Action::OscStart | Action::OscPut | Action::OscEnd => {}
        }
        if matches!(next, State::Escape | State::CsiEntry) {
            self.parameters.clear();
        }
        if next != State::Anywhere {
            self.state = next;
        }
    }

    /// A byte of a character that is not ASCII. What is not UTF-8 is kept, unless a terminal could take it for a
    /// control character.
    fn take_of_character(&mut self, byte: u8) {
        let is_continuation = (0x80..0xc0).contains(&byte);
        let length = |first: u8| match first {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 1,
        };
        match self.character.first().copied() {
            Some(_) if !is_continuation => {
                self.end_character();
                self.take(byte);
            }
            first => {
                self.character.push(byte);
                if self.character.len() == length(first.unwrap_or(byte)) {
                    self.end_character();
                }
            }
        }
    }

    fn end_character(&mut self) {
        if self.character.is_empty() {
            return;
        }
        let bytes = std::mem::take(&mut self.character);
        match std::str::from_utf8(&bytes) {
            Ok(text) if !text.contains(char::is_control) => self.print(&bytes),
            Ok(_) => {}
            Err(_) => {
                bytes.iter().filter(|byte| **byte >= 0xa0).for_each(|byte| self.print(&[*byte]))
            }
        }
        self.character = bytes;
        self.character.clear();
    }

    fn print(&mut self, text: &[u8]) {
        match self.line.cursor {
            Cursor::End | Cursor::Start | Cursor::Right(_) => {}
            Cursor::Above(_) | Cursor::Elsewhere => {
                self.line_feed();
                self.line.cursor = Cursor::End;
            }
        }
        self.line.print(text);
        self.pass_on_long_line();
    }

    /// Passes on what there is of a line that may not grow more.
    fn pass_on_long_line(&mut self) {
        if self.line.bytes.len() >= LINE_BYTES_MAX {
            self.pass_on_blank_lines();
            self.out.append(&mut self.line.bytes);
            self.out.extend_from_slice(self.line.style.reset());
            self.line.content = Content::Continued;
            self.line.clear();
        }
    }

    fn execute(&mut self, control: u8) {
        match control {
            b'\r' => self.line.cursor = Cursor::Start,
            b'\t' => self.print(b"\t"),
            0x08 => self.line.step_back(),
            _ => {}
        }
    }

    /// A control sequence is complete.
    fn dispatch(&mut self, last: u8) {
        let parameters = std::mem::take(&mut self.parameters);
        let is_plain = parameters.iter().all(|byte| matches!(byte, b'0'..=b'9' | b';' | b':'));
        if is_plain {
            match (last, parameters.as_slice()) {
                (b'm', _) => {
                    self.line.set_style(&parameters);
                    self.pass_on_long_line();
                }
                // To the first column.
                (b'G', b"" | b"0" | b"1") | (b'F', _) => self.line.cursor = Cursor::Start,
                // To the right in the line: what is skipped is blank there.
                (b'C', columns) => self.line.move_right(columns),
                (b'G', column) => self.line.move_to(column),
                (b'b', times) => self.line.repeat(times),
                // Erases the line, or the rest of it or of the screen.
                (b'K', b"2") => self.line.clear(),
                (b'K' | b'J', b"" | b"0") if self.line.cursor == Cursor::Start => self.line.clear(),
                // To another place on the screen, or erases the screen.
                (b'H' | b'f', _) | (b'J', b"2" | b"3") => self.clear_screen(),
                (b'A', rows) => self.line.move_up(rows),
                (b'B' | b'd', _) => self.line.cursor = Cursor::Elsewhere,
                (b'E', _) => self.line_feed(),
                _ => {}
            }
        }
        self.parameters = parameters;
    }

    /// What has been written stays as a line; blank lines only scrolled it away.
    fn clear_screen(&mut self) {
        self.line_feed();
        self.blank_lines = 0;
    }

    /// What comes goes to another row.
    fn line_feed(&mut self) {
        if self.line.content != Content::Nothing {
            self.line.cursor = Cursor::End;
            self.end_line();
        }
    }

    /// Also ends a sequence that has not ended.
    fn end_line(&mut self) {
        self.end_character();
        self.state = State::Ground;
        if let Cursor::Above(rows) = self.line.cursor {
            self.line.cursor = if rows > 1 { Cursor::Above(rows - 1) } else { Cursor::Start };
            return;
        }
        if self.line.content == Content::Nothing {
            if self.blank_lines < BLANK_LINES_MAX {
                self.blank_lines += 1;
            } else {
                self.out.push(b'\n');
            }
        } else {
            self.pass_on_blank_lines();
            self.out.extend_from_slice(&self.line.bytes);
            self.out.extend_from_slice(self.line.style.reset());
            self.out.push(b'\n');
        }
        self.line.clear();
        self.line.cursor = Cursor::End;
        self.line.content = Content::Nothing;
    }

    fn pass_on_blank_lines(&mut self) {
        let count = std::mem::take(&mut self.blank_lines);
        self.out.resize(self.out.len() + count, b'\n');
    }
}

/// True if a line is text that a terminal shows as it is, and not blank.
fn is_plain(line: &[u8]) -> bool {
    let is_text = |byte: &u8| (0x20..0x7f).contains(byte) || *byte == b'\t';
    if line.is_empty() {
        return false;
    }
    line.iter().all(is_text)
        || std::str::from_utf8(line)
            .is_ok_and(|text| !text.contains(|c: char| c.is_control() && c != '\t'))
}

#[cfg(test)]
mod tests;
