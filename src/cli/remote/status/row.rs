//! What is said of one slot, in a row or in a sentence.

use super::super::print::printable;
use super::super::times::{between, short};
use crate::wire::{Death, Phase, SlotStatus, Spare, SparePhase, Time, Wanted};

/// Nothing stands here.
pub const NOTHING: &str = "-";

/// How far a slot is from what is wanted: the worst is the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    None,
    /// It is on its way.
    Starting,
    /// Its job has failed, and is not tried again.
    EndedBadly,
    FailedStarts,
    Backoff,
    GivenUp,
}

/// How bad it is.
pub fn trouble_of(slot: &SlotStatus) -> Trouble {
    match (slot.phase, slot.wanted) {
        (Phase::GivenUp, _) => Trouble::GivenUp,
        (_, Wanted::Down | Wanted::Gone) | (Phase::Ready, _) => Trouble::None,
        (Phase::Backoff, _) => Trouble::Backoff,
        (Phase::Idle, Wanted::Ended) if has_ended_well(slot) => Trouble::None,
        (Phase::Idle, Wanted::Ended) => Trouble::EndedBadly,
        (Phase::Idle | Phase::Starting | Phase::Stopping | Phase::Killing, _)
            if slot.failed_starts > 0 =>
        {
            Trouble::FailedStarts
        }
        (Phase::Idle | Phase::Starting | Phase::Stopping | Phase::Killing, _) => Trouble::Starting,
    }
}

/// What its spare is at.
pub fn spare(spare: &Spare) -> String {
    match spare.phase {
        SparePhase::Starting => "starting",
        SparePhase::Waiting => "waiting",
        SparePhase::Stopping => "stopping",
        SparePhase::Killing => "killing",
        SparePhase::Backoff => "backoff",
        SparePhase::GivenUp => "given up",
    }
    .to_owned()
}

/// True if it is ready, has ended well, or need not be there. `/healthz` says the same.
pub fn is_as_wanted(slot: &SlotStatus) -> bool {
    match slot.wanted {
        Wanted::Up => slot.phase == Phase::Ready,
        Wanted::Ended => has_ended_well(slot),
        Wanted::Down | Wanted::Gone => true,
    }
}

/// Its last worker has exited with 0.
pub fn has_ended_well(slot: &SlotStatus) -> bool {
    slot.last_death.as_ref().is_some_and(|death| death.exit_status == Some(0))
}

/// The phase, and how long it has lasted or will last if that matters: `backoff 3s`.
pub fn phase(slot: &SlotStatus, now: Time) -> String {
    let written = slot.phase.written();
    match slot.phase {
        Phase::Ready | Phase::GivenUp => written.to_owned(),
        Phase::Starting | Phase::Stopping | Phase::Killing => {
            format!("{written} {}", short(between(slot.phase_since, now)))
        }
        Phase::Backoff => match slot.next_try_at {
            Some(at) => format!("{written} {}", short(between(now, at))),
            None => written.to_owned(),
        },
        Phase::Idle if !slot.waits_for.is_empty() => {
            format!("{written} (waits for {})", slot.waits_for.join(", "))
        }
        Phase::Idle => match slot.wanted {
            Wanted::Up => written.to_owned(),
            Wanted::Down => format!("{written} (stopped)"),
            Wanted::Ended => format!("{written} (ended)"),
            Wanted::Gone => format!("{written} (removed)"),
        },
    }
}

/// How much of a core, or of more than one: `1.2%`, `250%`.
pub fn percent(cores: f64) -> String {
    let percent = cores * 100.0;
    if percent < 9.95 { format!("{percent:.1}%") } else { format!("{percent:.0}%") }
}

/// Bytes in the largest unit of 1024 that they reach: `512K`, `1.5G`.
pub fn memory(bytes: u64) -> String {
    let (mut number, mut unit) = (bytes as f64, "");
    for larger in ["K", "M", "G", "T"] {
        if number < 999.5 {
            break;
        }
        (number, unit) = (number / 1024.0, larger);
    }
    if number < 9.95 && !unit.is_empty() {
        format!("{number:.1}{unit}")
    } else {
        format!("{number:.0}{unit}")
    }
}

/// How a worker ended, in a word: `255`, `SIGKILL`.
pub fn last_word(death: Option<&Death>) -> String {
    match death {
        None => NOTHING.into(),
        Some(Death { signal: Some(signal), .. }) => signal.clone(),
        Some(Death { exit_status: Some(status), .. }) => status.to_string(),
        Some(Death { .. }) => "not started".into(),
    }
}

/// How a worker ended and when: `exited 255 after 2.1s, 3m ago`.
pub fn last(death: Option<&Death>, now: Time) -> String {
    match death {
        None => NOTHING.into(),
        Some(death) => format!("{}, {} ago", ended(death), short(between(death.at, now))),
    }
}

/// `exited 255 after 2.1s`
pub fn ended(death: &Death) -> String {
    let age = short(std::time::Duration::from_secs_f64(death.uptime_seconds.max(0.0)));
    let memory = if death.out_of_memory == Some(true) { ", out of memory" } else { "" };
    match (&death.signal, death.exit_status) {
        (Some(signal), _) => format!("killed by {signal} after {age}{memory}"),
        (None, Some(status)) => format!("exited {status} after {age}"),
        (None, None) => "could not be started".into(),
    }
}

/// A line of a slot that is not as it was asked to be; `None` for one that is ready, or is down as it should be.
pub fn trouble(slot: &SlotStatus) -> Option<String> {
    let is_down = slot.phase == Phase::Idle && slot.wanted != Wanted::Up;
    if slot.phase == Phase::Ready || is_down && slot.wanted != Wanted::Ended {
        return None;
    }
    let last = slot.last_death.as_ref().map(|death| format!("; last: {}", printable(&death.words)));
    Some(format!("  {}: {}{}", slot.slot, slot.phase.written(), last.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_and_memory_have_two_digits_at_least_and_four_columns_mostly() {
        let percents = [0.0, 0.0123, 0.0994, 0.0996, 1.0, 12.5].map(percent);
        assert_eq!(percents, ["0.0%", "1.2%", "9.9%", "10%", "100%", "1250%"]);
        let sizes = [0, 999, 1000, 4096, 10 << 10, 1023 << 10, 63 << 20, 1536 << 20].map(memory);
        assert_eq!(sizes, ["0", "999", "1.0K", "4.0K", "10K", "1.0M", "63M", "1.5G"]);
    }
}
