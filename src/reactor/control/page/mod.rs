//! The page for browsers: one table and the last lines, whole without a script. `templates/page.js` keeps it up to date
//! by `/v1/stream`, and writes each cell as [`words`] does. Whatever a worker says is text here: the template escapes
//! it.

mod words;

use askama::Template;

use super::super::output::{Line, LineKind, Ring};
use super::http::{Reply, Status};
use crate::plan::text::sequence::sequence;
use crate::supervisor::SlotId;
use crate::wire::{Phase, SlotDetail, SlotStatus, Status as RunStatus};

pub use self::assets::Asset;

mod assets;

/// The last lines that stand in the page itself.
const LINES_MAX: usize = 200;

/// What the page shows of each of them.
const LINE_BYTES_MAX: usize = 4 * 1024;

/// The deaths that stand in the page itself.
const DEATHS_MAX: usize = 5;

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    /// What is loaded again without a script. An address with a fragment would not be.
    again: String,
    style: &'static str,
    script: &'static str,
    version: &'a str,
    run: i64,
    title: String,
    /// What the run is called.
    name: &'a str,
    /// As the API has it.
    plan: &'a str,
    /// Where that file is.
    place: String,
    icon: &'static str,
    up: String,
    ready: String,
    rows: Vec<Row<'a>>,
    pools: Vec<&'a str>,
    /// Whose lines are shown; all if it is empty.
    log: &'a str,
    lines: Vec<LogRow>,
    last: u64,
}

/// A slot, in words.
struct Row<'a> {
    slot: &'a str,
    phase: &'static str,
    shape: &'static str,
    words: String,
    port: String,
    pid: String,
    up: String,
    restarts: u64,
    cpu: String,
    memory: String,
    death: String,
    is_explained: bool,
    deaths: Vec<DeathRow>,
}

struct DeathRow {
    head: String,
    lines: String,
}

struct LogRow {
    at: String,
    time: String,
    slot: String,
    text: String,
    is_death: bool,
}

/// The page of this status. `why` is the slot whose deaths it explains, `log` whose lines it shows.
pub fn reply(
    status: &RunStatus,
    why: Option<&SlotDetail>,
    log: Option<(&str, Vec<SlotId>)>,
    ring: &Ring,
) -> Reply {
    let mut pools: Vec<_> = status.slots.iter().map(|slot| slot.pool.as_str()).collect();
    pools.dedup();
    let (name, selected) = log.unwrap_or(("", Vec::new()));
    let plan = status.pm.plan.as_deref().unwrap_or("no file");
    let place = words::place(status.pm.plan.as_deref());
    let name_of_run = words::name(status.pm.plan.as_deref());
    let trouble = status.slots.iter().filter(|slot| words::is_in_trouble(slot)).count();
    let page = Page {
        again: again(why, name),
        style: assets::style_url(),
        script: assets::script_url(),
        version: &status.pm.version,
        run: status.pm.started_at.0.as_millisecond(),
        title: words::title(trouble, &name_of_run),
        name: &name_of_run,
        plan,
        place,
        icon: words::icon(&status.slots),
        up: words::time(words::between(status.pm.started_at, status.now)),
        ready: words::ready(&status.slots),
        rows: status.slots.iter().map(|slot| row(slot, status, why)).collect(),
        pools,
        log: name,
        lines: lines(&selected, ring),
        last: ring.last(),
    };
    // Writing to a String cannot fail.
    let text = page.render().unwrap_or_default();
    Reply::new(Status::Ok, "text/html; charset=utf-8", text.into_bytes())
}

/// The address of this page, without a fragment.
fn again(why: Option<&SlotDetail>, log: &str) -> String {
    let why = why.map(|why| format!("why={}", why.status.slot));
    let log = (!log.is_empty()).then(|| format!("log={log}"));
    let parts: Vec<_> = why.into_iter().chain(log).collect();
    if parts.is_empty() { "/".into() } else { format!("/?{}", parts.join("&")) }
}

fn row<'a>(slot: &'a SlotStatus, status: &RunStatus, why: Option<&SlotDetail>) -> Row<'a> {
    let why = why.filter(|why| why.status.slot == slot.slot);
    let worker = slot.worker.as_ref();
    let or_none = |text: Option<String>| text.unwrap_or_else(|| words::NOTHING.into());
    Row {
        slot: &slot.slot,
        phase: slot.phase.written(),
        shape: words::shape(slot.phase),
        words: words::phase(slot, status.now),
        port: or_none(slot.port.map(|port| port.to_string())),
        pid: or_none(worker.and_then(|worker| worker.pid).map(|pid| pid.to_string())),
        up: or_none(
            worker
                .filter(|_| slot.phase == Phase::Ready)
                .map(|worker| words::time(words::between(worker.started_at, status.now))),
        ),
        restarts: slot.restarts,
        cpu: or_none(slot.stats.as_ref().map(|stats| words::cores(stats.cpu_cores))),
        memory: or_none(slot.stats.as_ref().map(|stats| words::bytes(stats.memory_bytes))),
        death: words::last_death(slot, status.now),
        is_explained: why.is_some(),
        deaths: why.map(deaths).unwrap_or_default(),
    }
}

fn deaths(why: &SlotDetail) -> Vec<DeathRow> {
    let deaths = why.deaths.iter().take(DEATHS_MAX);
    let row = |death: &crate::wire::Death| {
        let lines: Vec<_> = death.last_lines.iter().map(|line| plain(line.as_bytes())).collect();
        DeathRow { head: words::death(death), lines: lines.join("\n") }
    };
    deaths.map(row).collect()
}

fn lines(selected: &[SlotId], ring: &Ring) -> Vec<LogRow> {
    let is_meant = |worker: crate::supervisor::WorkerId| {
        selected.is_empty() || selected.binary_search(&worker.slot).is_ok()
    };
    let last = ring.lines(ring.first(), is_meant).rev().take(LINES_MAX);
    let mut lines: Vec<_> = last.map(|line| log_row(&line)).collect();
    lines.reverse();
    lines
}

fn log_row(line: &Line<'_>) -> LogRow {
    let (at, time) = words::moment(line.at);
    let is_death = line.kind == LineKind::Death;
    LogRow { at, time, slot: line.slot.to_string(), text: plain(line.bytes), is_death }
}

/// A line as text: what would move a cursor or set a colour is left out, and so is the rest of a very long one.
fn plain(line: &[u8]) -> String {
    let cut = line.len() > LINE_BYTES_MAX;
    let line = &line[..line.len().min(LINE_BYTES_MAX)];
    let text = String::from_utf8_lossy(line);
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => drop(sequence(&mut rest)),
            '\t' => plain.push(c),
            c if c.is_control() => {}
            c => plain.push(c),
        }
    }
    if cut {
        // Half a character.
        plain.truncate(plain.trim_end_matches(char::REPLACEMENT_CHARACTER).len());
        plain.push('…');
    }
    plain
}

#[cfg(test)]
mod tests;
