//! The last two lines: what is typed, asked or said, and the keys.

use ratatui::layout::Rect;

use super::super::line;
use super::super::state::prompt::Prompt;
use super::super::state::{Link, Mode, SILENT, State, Tone};
use super::pen::{Ink, Pen, cut, grouped};

/// Columns after the words at the right.
const MARGIN: usize = 4;

/// Each key and its word, in the order in which they are shown, and how early it is left out where there is no room:
/// the highest number first.
const KEYS: [(&str, &str, u8); 17] = [
    ("s", "start", 2),
    ("x", "stop", 1),
    ("r", "restart", 1),
    ("R", "roll", 3),
    ("X", "stop now", 7),
    ("w", "why", 2),
    ("⏎", "log", 4),
    ("f", "follow", 4),
    ("W", "wrap", 7),
    ("t", "time", 7),
    ("a", "all slots", 7),
    ("p", "freeze", 8),
    ("y", "copy", 8),
    ("/", "filter", 2),
    (":", "command", 7),
    ("?", "help", 0),
    ("q", "leave (pm goes on)", 6),
];
const KEYS_GAP: usize = 2;

pub fn draw_keys(state: &State, area: Rect, pen: &mut Pen<'_>) {
    let room = usize::from(area.width);
    let enter = pen.glyph("⏎", "RET");
    let word_of = |key: &'static str, word: &'static str, level: u8| match key {
        // The key stays without its words.
        "q" if level < 6 => "",
        "⏎" if state.view.zoom => "back",
        "⏎" if level >= 7 => "zoom",
        _ => word,
    };
    let shown = |level: u8| {
        let kept = KEYS.iter().filter(move |(key, _, first)| *key == "q" || *first <= level);
        kept.map(move |(key, word, _)| {
            (if *key == "⏎" { enter } else { *key }, word_of(key, word, level))
        })
    };
    let width_at = |level: u8| {
        let each = shown(level).map(|(key, word)| {
            let word = if word.is_empty() { 0 } else { 1 + word.len() };
            line::width(key) + word + KEYS_GAP
        });
        1 + each.sum::<usize>() - KEYS_GAP
    };
    let level = (0..=8).rev().find(|level| width_at(*level) <= room).unwrap_or(0);
    let mut column = 1;
    for (key, word) in shown(level) {
        column = pen.text(area, column, 0, key, Ink::Strong);
        if !word.is_empty() {
            column = pen.text(area, column + 1, 0, word, Ink::Plain);
        }
        column += KEYS_GAP;
    }
}

/// Returns where the cursor of a line that is typed stands.
pub fn draw_message(state: &State, area: Rect, pen: &mut Pen<'_>) -> Option<(u16, u16)> {
    if area.height == 0 {
        return None;
    }
    match &state.mode {
        Mode::Filter(prompt) => {
            draw_matching(state, area, pen);
            return draw_prompt("filter: ", prompt, state, area, pen);
        }
        Mode::Command(prompt) => return draw_prompt(":", prompt, state, area, pen),
        Mode::Confirm { question, .. } => {
            let text = format!("{question} y/n");
            pen.text(area, 1, 0, &text, Ink::Waiting);
            return None;
        }
        Mode::Browse | Mode::Help => {}
    }
    let room = usize::from(area.width).saturating_sub(2);
    if let Some(note) = &state.note {
        let ink = match note.tone {
            Tone::Good => Ink::Good,
            Tone::Bad => Ink::Bad,
            Tone::Pending => Ink::Waiting,
        };
        pen.text(area, 1, 0, &cut(&note.words, room, state.look), ink);
    } else if let Some(words) = lack(&state.link) {
        let text = format!("{words}; waiting for pm (q quits)");
        pen.text(area, 1, 0, &cut(&text, room, state.look), Ink::Bad);
    } else if !state.log.filter().is_empty() {
        draw_matching(state, area, pen);
        let filter = state.log.filter().text();
        let text = format!("filter: {filter}");
        pen.text(area, 1, 0, &cut(&text, room / 2, state.look), Ink::Plain);
    } else {
        let text = "q leaves: pm and its workers go on";
        pen.text(area, 1, 0, &cut(text, room, state.look), Ink::Faint);
    }
    None
}

/// How many lines match, at the right.
/// What is wrong with pm.
fn lack(link: &Link) -> Option<&str> {
    match link {
        Link::Live => None,
        Link::Silent => Some(SILENT),
        Link::Gone(words) => Some(words),
    }
}

fn draw_matching(state: &State, area: Rect, pen: &mut Pen<'_>) {
    let (lines, matching) = state.log.counts();
    if state.log.filter().is_empty() {
        return;
    }
    let text = format!("{} of {} match", grouped(matching), grouped(lines));
    let end = usize::from(area.width).saturating_sub(MARGIN);
    if end > 2 * line::width(&text) {
        pen.text_to(area, end, 0, &text, Ink::Plain);
    }
}

/// A line that is typed. Its end is always in view.
fn draw_prompt(
    before: &str,
    prompt: &Prompt,
    state: &State,
    area: Rect,
    pen: &mut Pen<'_>,
) -> Option<(u16, u16)> {
    let start = pen.text(area, 1, 0, before, Ink::Strong);
    let (left, right) = prompt.parts();
    let is_filter = matches!(state.mode, Mode::Filter(_));
    let reserved = if is_filter && !prompt.text().is_empty() { area.width / 2 } else { 1 };
    let room = usize::from(area.width.saturating_sub(reserved)).saturating_sub(start);
    // What does not fit is cut off at the left.
    let mut shown = left;
    while line::width(shown) > room.saturating_sub(1) {
        let first = shown.chars().next().map_or(0, char::len_utf8);
        shown = &shown[first..];
    }
    let column = pen.text(area, start, 0, shown, Ink::Plain);
    let rest = cut(right, (start + room).saturating_sub(column), state.look);
    pen.text(area, column, 0, &rest, Ink::Plain);
    let x = area.x + u16::try_from(column).unwrap_or(u16::MAX).min(area.width.saturating_sub(1));
    Some((x, area.y))
}
