//! A screen without a terminal, for the benchmark of a frame.

use jiff::{Timestamp, Zoned, tz::TimeZone};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::frame;
use super::keys::Key;
use super::state::{Look, State};
use crate::wire::{LogLine, Time};

/// A screen of 160 columns and 50 rows.
pub struct Trial {
    state: State,
    buffer: Buffer,
    lines: u64,
}

impl Trial {
    /// The log has this text `lines` times, all of one slot.
    pub fn of(lines: u64, text: &str) -> Self {
        let now = Zoned::new(Timestamp::UNIX_EPOCH, TimeZone::UTC);
        let state = State::new(Look::default(), 160, 50, now);
        let mut trial = Self { state, buffer: Buffer::empty(Rect::new(0, 0, 160, 50)), lines: 0 };
        // There are no slots, so the lines of all are shown.
        trial.press('a');
        trial.push(lines, text);
        trial
    }

    /// Adds so many lines.
    pub fn push(&mut self, lines: u64, text: &str) {
        for _ in 0..lines {
            self.lines += 1;
            self.state.take_line(LogLine {
                n: self.lines,
                at: Time(Timestamp::UNIX_EPOCH),
                slot: "web.1".into(),
                generation: 1,
                from_worker: true,
                line: text.into(),
            });
        }
    }

    /// Presses a key that is a letter.
    pub fn press(&mut self, key: char) {
        self.state.settle();
        // Nothing is outside.
        let _ = self.state.press(&Key::Char(key));
    }

    /// Draws a frame.
    pub fn draw(&mut self) {
        self.state.settle();
        self.buffer.reset();
        frame::draw(&self.state, &mut self.buffer);
    }
}
