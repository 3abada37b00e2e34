//! The first line: which pm it is, how its pools are, and whether what is shown is live.

use std::time::Duration;

use ratatui::layout::Rect;

use super::super::super::status::row;
use super::super::super::times::{between, short};
use super::super::columns::{sign, whole_seconds};
use super::super::layout::{Kind, Layout};
use super::super::line;
use super::super::state::{Link, State};
use super::pen::{Ink, Pen, grouped};
use crate::wire::{Phase, SlotStatus, Wanted};

/// From this width on, the parts have more room and more words.
const WIDE: usize = 140;
/// Below this width they have as little as can be.
const NARROW: usize = 60;
/// A pool with more slots has no sign for each.
const SIGNS_MAX: usize = 12;

pub fn draw(state: &State, area: Rect, pen: &mut Pen<'_>) {
    let width = usize::from(area.width);
    let is_wide = width >= WIDE;
    let gap = match width {
        WIDE.. => 4,
        NARROW.. => 3,
        _ => 2,
    };
    let mut end = width.saturating_sub(1);
    for (index, (text, ink)) in right(state).into_iter().rev().enumerate() {
        if index > 0 {
            end = end.saturating_sub(if is_wide { gap } else { 2 });
        }
        end = pen.text_to(area, end, 0, &text, ink);
    }
    let room = end.saturating_sub(if is_wide { gap } else { 2 });
    let up = state.pm.as_ref().map(|pm| whole_seconds(between(pm.started_at, state.time())));
    let up = up.map(|up| format!("up {}", if is_wide { three_units(up) } else { short(up) }));
    let pools = pools(state);
    let pid = state.pm.as_ref().filter(|_| is_wide).map(|pm| format!("pid {}", pm.pid));
    let least = pools.first().map_or(0, |(text, _)| line::width(text) + gap);
    let title = title(state, room.saturating_sub(least + 1));
    let mut column = pen.text(area, 1, 0, &title, Ink::Strong);
    let mut put = |text: &str, ink: Ink, gap: usize| {
        if column + gap + line::width(text) <= room {
            column = pen.text(area, column + gap, 0, text, ink);
            true
        } else {
            false
        }
    };
    if let Some(pid) = pid {
        put(&pid, Ink::Plain, 2);
    }
    if let Some(up) = up.filter(|_| width >= NARROW) {
        put(&up, Ink::Plain, if is_wide { 2 } else { gap });
    }
    for (index, (text, ink)) in pools.iter().enumerate() {
        let gap = if index == 0 { gap } else { (gap - 1).max(2) };
        let left = pools.len() - index;
        if !put(text, *ink, gap) {
            put(&format!("+{left}"), Ink::Faint, 2);
            break;
        }
    }
    for text in totals(state).into_iter().filter(|_| is_wide) {
        put(&text, Ink::Plain, gap);
    }
}

/// The file, without its folder where there is no room for it, or not at all.
fn title(state: &State, room: usize) -> String {
    let name = state.title.rsplit('/').next().unwrap_or_default();
    let titles = [format!("pm {}", state.title), format!("pm {name}")];
    let fits = |title: &String| line::width(title) <= room && !name.is_empty();
    titles.into_iter().find(fits).unwrap_or_else(|| "pm".into())
}

/// What stands at the right edge.
fn right(state: &State) -> Vec<(String, Ink)> {
    let is_wide = usize::from(state.columns) >= WIDE;
    let mut parts = Vec::new();
    let trouble = state.slots.in_trouble();
    if trouble > 0 {
        parts.push((format!("{trouble} in trouble"), Ink::Bad));
    }
    let is_small = Layout::of(state).kind == Kind::List;
    let draining = state.pm.as_ref().is_some_and(|pm| pm.draining);
    parts.push(match &state.link {
        Link::Gone(_) => ("no pm".into(), Ink::Bad),
        Link::Silent => ("no answer".into(), Ink::Bad),
        Link::Live if state.view.frozen => ("frozen".into(), Ink::Waiting),
        Link::Live if draining => ("stopping".into(), Ink::Waiting),
        Link::Live if is_wide && !is_small => {
            let dropped = grouped(state.log.rows.lost());
            let dot = pen_dot(state);
            (format!("live {dot} {dropped} dropped"), Ink::Good)
        }
        Link::Live => ("live".into(), Ink::Good),
    });
    parts
}

fn pen_dot(state: &State) -> &'static str {
    match state.look.glyphs {
        super::super::state::Glyphs::Unicode => "·",
        super::super::state::Glyphs::Ascii => "-",
    }
}

/// `web 3/3`, and on a wide screen a sign for each slot.
fn pools(state: &State) -> Vec<(String, Ink)> {
    let is_wide = usize::from(state.columns) >= WIDE;
    let mut pools: Vec<(&str, Vec<&SlotStatus>)> = Vec::new();
    for slot in state.slots.all() {
        match pools.iter_mut().find(|(pool, _)| *pool == slot.pool) {
            Some((_, slots)) => slots.push(slot),
            None => pools.push((&slot.pool, vec![slot])),
        }
    }
    let part = |(pool, slots): &(&str, Vec<&SlotStatus>)| {
        let well = slots.iter().filter(|slot| is_well(slot)).count();
        let mut text = format!("{pool} {well}/{}", slots.len());
        if is_wide && slots.len() <= SIGNS_MAX {
            text.push(' ');
            text.extend(slots.iter().map(|slot| sign(state.look.glyphs, slot)));
        }
        (text, Ink::Plain)
    };
    pools.iter().map(part).collect()
}

/// It is ready, or a job that has ended well.
fn is_well(slot: &SlotStatus) -> bool {
    slot.phase == Phase::Ready || slot.wanted == Wanted::Ended && row::has_ended_well(slot)
}

/// What pm has counted.
fn totals(state: &State) -> Vec<String> {
    let Some(totals) = &state.totals else { return Vec::new() };
    let mut parts = Vec::new();
    let all: u64 = totals.exits.values().sum();
    let mut exits: Vec<_> = totals.exits.iter().collect();
    exits.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let each: Vec<_> =
        exits.iter().map(|(reason, count)| format!("{reason} {}", grouped(**count))).collect();
    if all > 0 {
        parts.push(format!("exits {} ({})", grouped(all), each.join(", ")));
    }
    let quantile = |part| totals.respawn_quantile(part).map(milliseconds);
    if let (Some(half), Some(most)) = (quantile(0.5), quantile(0.99)) {
        parts.push(format!("respawn p50 {half} p99 {most}"));
    }
    parts
}

/// `2.1ms`
fn milliseconds(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.1}ms", seconds * 1e3) } else { format!("{seconds:.1}s") }
}

/// `2d 3h 4m`
fn three_units(time: Duration) -> String {
    let minutes = time.as_secs() / 60;
    if minutes < 24 * 60 {
        return short(time);
    }
    format!("{}d {}h {}m", minutes / 1440, minutes / 60 % 24, minutes % 60)
}
