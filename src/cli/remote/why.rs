//! `pm why`: what slots are at, what they run, and how their last workers ended.

use std::fmt::Write as _;

use jiff::Zoned;

use super::args::WhyArgs;
use super::failure::Failure;
use super::print::{Printer, printable};
use super::session::Session;
use super::status::row::{Trouble, trouble_of};
use super::times::{between, of_day, short};
use crate::cli::exit_status::STOPPED;
use crate::client::Request;
use crate::plan::text::phrase;
use crate::wire::{Death, Phase, SlotDetail, SlotStatus, Status, Time, Wanted};

/// At most this many deaths of each slot are shown.
const DEATHS: usize = 3;

/// Explains the slots that are named, or those in trouble.
///
/// # Errors
/// If there is no pm, or no such slot.
pub fn why(args: &WhyArgs) -> Result<u8, Failure> {
    let session = Session::of(&args.target.place)?;
    let (status, _) = session.status(&args.slots)?;
    let meant =
        if args.slots.is_empty() { in_trouble(&status) } else { status.slots.iter().collect() };
    let details = meant.iter().map(|slot| detail(&session, slot)).collect::<Result<Vec<_>, _>>()?;
    let mut printer = Printer::new();
    if args.target.json {
        printer.json(&details)?;
    } else if details.is_empty() {
        printer.line(&all_is_well(&status))?;
    } else {
        let now = Zoned::now();
        let texts: Vec<_> =
            details.iter().map(|detail| paragraph(detail, status.now, &now)).collect();
        printer.line(texts.join("\n").trim_end())?;
    }
    printer.flush()?;
    Ok(STOPPED)
}

fn detail(session: &Session, slot: &SlotStatus) -> Result<SlotDetail, Failure> {
    Ok(session.ask(&Request::get(&format!("/v1/slots/{}", slot.slot)))?.0)
}

/// The worst first.
fn in_trouble(status: &Status) -> Vec<&SlotStatus> {
    let mut slots: Vec<_> =
        status.slots.iter().filter(|slot| trouble_of(slot) != Trouble::None).collect();
    slots.sort_by_key(|slot| std::cmp::Reverse((trouble_of(slot), slot.failed_starts)));
    slots
}

/// `all 3 workers are ready`, with what is stopped or was replaced.
fn all_is_well(status: &Status) -> String {
    let ready = status.slots.iter().filter(|slot| slot.phase == Phase::Ready).count();
    let down = status.slots.iter().filter(|slot| slot.wanted == Wanted::Down).count();
    let ended = status.slots.iter().filter(|slot| slot.wanted == Wanted::Ended).count();
    let mut text = match ready {
        0 => "no slot is in trouble".to_owned(),
        1 => "the worker is ready".to_owned(),
        ready => format!("all {ready} workers are ready"),
    };
    if down > 0 {
        let _ = write!(text, "; {} stopped", phrase::count(down, "slot"));
    }
    if ended > 0 {
        let _ = write!(text, "; {} ended with status 0", phrase::count(ended, "slot"));
    }
    if let Some(most) =
        status.slots.iter().max_by_key(|slot| slot.restarts).filter(|slot| slot.restarts > 0)
    {
        let name = &most.slot;
        let times = phrase::count(usize::try_from(most.restarts).unwrap_or(usize::MAX), "restart");
        let _ = write!(text, "; {name} has had {times}: `pm why {name}` tells of the last ones");
    }
    text
}

/// All about one slot.
fn paragraph(detail: &SlotDetail, status_now: Time, now: &Zoned) -> String {
    let mut text = format!("{}\n", state(&detail.status, status_now, now));
    let argv: Vec<_> = detail.argv.iter().map(|word| shell_word(word)).collect();
    let _ = writeln!(text, "  runs: {}", argv.join(" "));
    if let Some(cwd) = &detail.cwd {
        let _ = writeln!(text, "  in: {}", printable(cwd));
    }
    for death in detail.deaths.iter().take(DEATHS) {
        text += &told(death, now);
    }
    let count = detail.deaths.len();
    if count > DEATHS {
        let _ = writeln!(text, "  {} earlier; `--json` has them", count - DEATHS);
    }
    text
}

/// `web.2 is at backoff since 12:01:09 (3s), after 4 failed starts in a row; next try in 2s`
fn state(slot: &SlotStatus, status_now: Time, now: &Zoned) -> String {
    let name = &slot.slot;
    let since = of_day(slot.phase_since, now);
    let age = short(between(slot.phase_since, status_now));
    let what = match (slot.phase, slot.wanted) {
        (Phase::Ready, _) => "is ready".to_owned(),
        (Phase::GivenUp, _) => "has given up".to_owned(),
        (Phase::Idle, _) if !slot.waits_for.is_empty() => {
            format!("waits for {}", phrase::list_and(&slot.waits_for))
        }
        (Phase::Idle, Wanted::Down) => "is stopped".to_owned(),
        (Phase::Idle, Wanted::Ended) => "has ended".to_owned(),
        (Phase::Idle, Wanted::Gone) => "was removed from the plan".to_owned(),
        (Phase::Backoff, _) => "waits before its next try".to_owned(),
        (Phase::Idle | Phase::Starting | Phase::Stopping | Phase::Killing, _) => {
            format!("is at {}", slot.phase.written())
        }
    };
    let mut text = format!("{name} {what} since {since} ({age})");
    if let Some(worker) = &slot.worker {
        let pid = worker.pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
        let _ = write!(text, ": generation {}{pid}", worker.generation);
    }
    if let Some(retiring) = slot.retiring.as_ref().filter(|retiring| retiring.serving) {
        let pid = retiring.pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
        let _ = write!(text, "; generation {}{pid}, serves on", retiring.generation);
    }
    if slot.failed_starts > 0 {
        let count = usize::try_from(slot.failed_starts).unwrap_or(usize::MAX);
        let _ = write!(text, ", after {} in a row", phrase::count(count, "failed start"));
    }
    if let Some(at) = slot.next_try_at {
        let _ = write!(text, "; next try in {}", short(between(status_now, at)));
    }
    if slot.phase == Phase::GivenUp {
        let _ = write!(text, "; `pm start {name}` tries again");
    }
    text
}

/// A death, with the last lines before it.
fn told(death: &Death, now: &Zoned) -> String {
    let mut text = format!("  {} {}\n", of_day(death.at, now), printable(&death.words));
    if death.out_of_memory == Some(true) {
        text += "    the kernel killed it: it used more memory than there is\n";
    }
    for line in &death.last_lines {
        let _ = writeln!(text, "    | {}", printable(line));
    }
    text
}

/// A word as a shell takes it.
fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", printable(word).replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests;
