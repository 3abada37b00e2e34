//! What each key does, over the whole screen.

use ratatui::layout::Rect;

use super::super::line;
use super::super::state::{Glyphs, State};
use super::pen::{Ink, Pen, cut};

/// Keys and what they do. A heading has no key.
const KEYS: [(&str, &str); 21] = [
    ("", "slots"),
    ("j k ↑ ↓ g G", "select"),
    ("Space", "mark: keys act on all marked slots"),
    ("s x X", "start, stop, stop at once (SIGKILL)"),
    ("r R", "restart; restart the pool, one slot after another"),
    ("w ] [", "why the last workers ended; older ones, newer ones"),
    ("1-9 S 0", "sort by the n-th column; reverse; as in the plan"),
    ("", "log"),
    ("PgUp PgDn", "scroll a page; Ctrl-U and Ctrl-D half of one"),
    ("f ← →", "hold or follow; to the side"),
    ("W t a", "wrap, times, all slots"),
    ("Enter + _", "zoom: then j k g G move in the log"),
    ("/ n N", "filter; the next match, the last one, with what is around it"),
    ("y", "copy the line (OSC 52)"),
    ("", "pm"),
    (":", "a command of pm: `scale web=+1`, `kill -s HUP web`"),
    ("Q", "shut down pm"),
    ("q Ctrl-C", "leave: pm and its workers go on"),
    ("", "screen"),
    ("Esc p m", "back; freeze; the mouse is for pm or the terminal"),
    ("Ctrl-L Ctrl-Z", "draw again; to the shell"),
];
const SIGNS: &str = "● ready   ◐ on its way   ○ waits to try again   ✕ failed   ◌ stopped";

pub fn draw(state: &State, pen: &mut Pen<'_>) {
    let area = Rect::new(0, 0, state.columns, state.rows);
    let width = usize::from(area.width);
    let widest = KEYS.iter().map(|(key, _)| line::width(&ascii(key, state))).max().unwrap_or(0);
    let column = 2 + widest.min(width / 3) + 2;
    let mut row = 0;
    for (key, does) in KEYS {
        if row + 2 >= area.height {
            break;
        }
        if key.is_empty() {
            pen.text(area, 1, row, does, Ink::Strong);
        } else {
            pen.text(area, 2, row, &ascii(key, state), Ink::Strong);
            let room = width.saturating_sub(column);
            pen.text(area, column, row, &cut(does, room, state.look), Ink::Plain);
        }
        row += 1;
    }
    pen.text(area, 1, row, &ascii(SIGNS, state), Ink::Plain);
    pen.text(area, 1, area.height.saturating_sub(1), "any key goes back", Ink::Faint);
}

/// Without what ASCII does not have.
fn ascii(key: &str, state: &State) -> String {
    if state.look.glyphs == Glyphs::Unicode {
        return key.to_owned();
    }
    let signs = [
        ("↑ ↓", "up down"),
        ("← →", "left right"),
        ("●", "*"),
        ("◐", "~"),
        ("○", "o"),
        ("✕", "!"),
        ("◌", "."),
    ];
    signs.iter().fold(key.to_owned(), |key, (unicode, ascii)| key.replace(unicode, ascii))
}
