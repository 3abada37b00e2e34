//! What the commands print: results on stdout, all else on stderr. What came from a worker cannot act on the terminal.

use std::io::{self, ErrorKind, IsTerminal, StdoutLock, Write, stdout};
use std::os::fd::AsFd;

use anstyle::Style;
use serde::Serialize;

use super::failure::Failure;
use crate::cli::args::ColourArgs;
use crate::cli::colour;
use crate::plan::text::sequence::sequence;
use crate::sys::pty;

/// Whether a text has colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    Colour,
    Plain,
}

impl Paint {
    /// On stdout.
    pub fn of(colour: ColourArgs) -> Self {
        if colour::decide(colour.color).stdout { Self::Colour } else { Self::Plain }
    }

    /// This style, if it is to be seen.
    pub fn style(self, style: Style) -> Style {
        match self {
            Self::Colour => style,
            Self::Plain => Style::new(),
        }
    }
}

/// A terminal, or what else reads stdout.
pub struct Printer {
    out: StdoutLock<'static>,
    /// Its reader has gone (`pm logs | head`), so there is nothing more to do.
    is_closed: bool,
}

impl Printer {
    pub fn new() -> Self {
        Self { out: stdout().lock(), is_closed: false }
    }

    /// # Errors
    /// If it cannot be written, except that the reader has gone.
    pub fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.bytes(text.as_bytes()).and_then(|()| self.bytes(b"\n"))
    }

    /// # Errors
    /// As [`Self::line`].
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = if self.is_closed { Ok(()) } else { self.out.write_all(bytes) };
        self.note(written)
    }

    /// # Errors
    /// As [`Self::line`].
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        self.line(&serde_json::to_string(value).expect("the types of the wire have names as keys"))
    }

    /// Hands on what is printed.
    ///
    /// # Errors
    /// As [`Self::line`].
    pub fn flush(&mut self) -> Result<(), Failure> {
        let flushed = self.out.flush();
        self.note(flushed)
    }

    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    fn note(&mut self, result: io::Result<()>) -> Result<(), Failure> {
        match result {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.is_closed = true;
                Ok(())
            }
            other => other.map_err(Failure::Print),
        }
    }
}

/// A note or progress.
pub fn stderr_line(text: &str) {
    // If stderr is closed, there is no other place for it.
    let _ = writeln!(io::stderr(), "{text}");
}

/// The width of the terminal on stdout; `None` if it is none.
pub fn terminal_width() -> Option<usize> {
    stdout().is_terminal().then(|| pty::size_within(stdout().as_fd(), 0).ws_col.into())
}

/// The text without control characters, whatever a worker has put into it.
pub fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.into() };
    text.chars().map(shown).collect()
}

/// A line of a worker for a terminal: its tabs stay, and its colours if there are any; no other
/// control sequence does.
pub fn tame(line: &str, paint: Paint) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line.chars();
    let mut is_coloured = false;
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => {
                if let Some(style) = sequence(&mut rest).filter(|_| paint == Paint::Colour) {
                    text.push_str(&style);
                    is_coloured = true;
                }
            }
            '\t' => text.push(c),
            _ if c.is_control() => {}
            _ => text.push(c),
        }
    }
    if is_coloured {
        text.push_str("\u{1b}[0m");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_worker_keeps_its_colours_and_nothing_that_acts() {
        let line = "\x1b[31mred\x1b[0m\tx\x1b[2Jy\x1b]0;title\x07z\r\x08!\x1b";
        assert_eq!(tame(line, Paint::Colour), "\x1b[31mred\x1b[0m\txyz!\x1b[0m");
        assert_eq!(tame(line, Paint::Plain), "red\txyz!");
        for hidden in
            ["[\x1b#8m", "[\x1b8m", "[\rm", "[\x08\x08m", "[>4;2m", "[?4m", "[\u{9d}0;1\u{7}m"]
        {
            assert_eq!(tame(&format!("a\x1b{hidden}b"), Paint::Colour), "ab", "{hidden:?}");
        }
        assert_eq!(tame("\x1b[38;5;9m\x1b[4:3mx", Paint::Colour), "\x1b[38;5;9m\x1b[4:3mx\x1b[0m");
        assert_eq!(tame("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", Paint::Colour), "link");
    }

    #[test]
    fn a_control_character_is_shown_as_an_escape_sequence() {
        assert_eq!(printable("a\x1bb\nü"), "a\\u{1b}b\\nü");
    }
}
