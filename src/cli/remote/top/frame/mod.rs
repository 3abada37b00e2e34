//! From a state to a frame. Pure: no clock, no file, no terminal; what is not on the screen is not looked at.
//!
//! [`header`], [`table`], [`log`], [`why`] and [`foot`] draw the parts, [`help`] covers all of them; [`pen`] is what
//! they draw with.

mod foot;
mod header;
mod help;
mod log;
mod pen;
mod table;
#[cfg(test)]
mod tests;
mod why;

use ratatui::buffer::Buffer;

use self::pen::Pen;
use super::layout::{Kind, Layout};
use super::state::{Mode, State};

/// Draws a state that is settled ([`State::settle`]). Returns where the cursor of a line that is typed stands.
pub fn draw(state: &State, buffer: &mut Buffer) -> Option<(u16, u16)> {
    let layout = Layout::of(state);
    let mut pen = Pen::new(state.look, buffer);
    if state.mode == Mode::Help {
        help::draw(state, &mut pen);
        return None;
    }
    header::draw(state, layout.header, &mut pen);
    table::draw(state, &layout, &mut pen);
    if layout.log.height > 0 || layout.bar.height > 0 {
        log::draw(state, &layout, &mut pen);
    }
    if let Some(area) = layout.why {
        why::draw(state, area, &mut pen);
    }
    match layout.kind {
        Kind::Full => {
            foot::draw_keys(state, layout.keys, &mut pen);
            foot::draw_message(state, layout.message, &mut pen)
        }
        Kind::List => foot::draw_message(state, layout.message, &mut pen),
    }
}
