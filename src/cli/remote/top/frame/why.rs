//! The why pane: how the last workers of the selected slot ended, with their last lines.

use ratatui::layout::Rect;

use super::super::super::times::of_day;
use super::super::columns::ended;
use super::super::state::State;
use super::pen::{Ink, Pen, cut};
use crate::wire::{Death, SlotDetail};

/// Lines of each death, if there are many deaths.
const LINES_MAX: usize = 6;

/// A line of the pane.
struct Line {
    text: String,
    ink: Ink,
}

pub fn draw(state: &State, area: Rect, pen: &mut Pen<'_>) {
    let is_beside = area.x > 0;
    let selected = state.slots.selected().map(|slot| slot.slot.as_str()).unwrap_or_default();
    let width = usize::from(area.width);
    pen.rule(area, 0, width, 0);
    if is_beside {
        let corner = pen.glyph("┬", "+");
        pen.text(area, 0, 0, corner, Ink::Faint);
        let bar = pen.glyph("│", "|");
        for row in 1..area.height {
            pen.text(area, 0, row, bar, Ink::Faint);
        }
    }
    let title = cut(&format!("why {selected}"), width.saturating_sub(6), state.look);
    pen.text(area, 2, 0, &format!(" {title} "), Ink::Strong);
    let left = if is_beside { 2 } else { 1 };
    let detail = state.detail.as_ref().filter(|detail| detail.status.slot == selected);
    let Some(detail) = detail else {
        pen.text(area, left, 1, "asking pm", Ink::Faint);
        return;
    };
    let height = usize::from(area.height.saturating_sub(1));
    let room = width.saturating_sub(left);
    let (lines, footer) = lines(state, detail, height.saturating_sub(1));
    for (row, line) in (1..).zip(lines.iter().take(height)) {
        pen.text(area, left, row, &cut(&line.text, room, state.look), line.ink);
    }
    if let Some(footer) = footer.filter(|_| height > 1) {
        let row = area.height - 1;
        pen.text(area, left, row, &cut(&footer, room, state.look), Ink::Faint);
    }
}

/// What is told, in at most this many lines, and what is left.
fn lines(state: &State, detail: &SlotDetail, height: usize) -> (Vec<Line>, Option<String>) {
    let mut lines = Vec::new();
    let mut add = |text: String, ink: Ink| lines.push(Line { text, ink });
    if detail.deaths.is_empty() {
        add("no worker has ended yet".into(), Ink::Good);
    }
    let skipped = state.skipped_deaths.min(detail.deaths.len().saturating_sub(1));
    let mut shown = 0;
    let mut used = 0;
    for death in &detail.deaths[skipped..] {
        let told = told(state, death);
        if used > 0 && used + told.len() > height {
            break;
        }
        used += told.len();
        shown += 1;
        for line in told {
            add(line.text, line.ink);
        }
    }
    if skipped == 0 && used + 3 <= height {
        add(String::new(), Ink::Plain);
        add(format!("runs {}", detail.argv.join(" ")), Ink::Faint);
        if let Some(cwd) = &detail.cwd {
            add(format!("in {cwd}"), Ink::Faint);
        }
    }
    let all = detail.deaths.len();
    let footer = match (skipped + shown < all, skipped > 0) {
        (false, false) => None,
        (true, _) => Some(format!("{all} are kept; more with ]")),
        (false, true) => Some(format!("{all} are kept; newer ones with [")),
    };
    (lines, footer)
}

fn told(state: &State, death: &Death) -> Vec<Line> {
    let when = of_day(death.at, &state.now);
    let head = format!("generation {:<3} {when}   {}", death.generation, ended(death));
    let mut lines =
        vec![Line { text: head, ink: if is_bad(death) { Ink::Bad } else { Ink::Plain } }];
    if death.out_of_memory == Some(true) {
        let text = "  the kernel killed it: it used more memory than there is".into();
        lines.push(Line { text, ink: Ink::Plain });
    }
    let last = &death.last_lines[death.last_lines.len().saturating_sub(LINES_MAX)..];
    let told = last.iter().map(|line| Line { text: format!("  {line}"), ink: Ink::Plain });
    lines.extend(told);
    lines
}

/// It was not asked for, and is no success.
fn is_bad(death: &Death) -> bool {
    use crate::wire::Reason;
    match death.reason {
        Reason::Asked | Reason::Changed | Reason::Shutdown => false,
        Reason::Crash | Reason::FailedStart | Reason::Hung => death.exit_status != Some(0),
    }
}
