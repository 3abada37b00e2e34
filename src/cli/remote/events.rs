//! `pm events`: what happens to the workers, as it happens.

use jiff::{Timestamp, Zoned};

use super::args::EventsArgs;
use super::failure::Failure;
use super::print::{Printer, printable, stderr_line};
use super::session::{Session, event, with_slots};
use super::times::{moment, of_day};
use crate::cli::exit_status::STOPPED;
use crate::client::{ClientError, Request};
use crate::wire::{Event, EventKind};

/// Prints the events that pm has kept, and goes on.
///
/// # Errors
/// If there is no pm or no such slot, or if the time cannot be used.
pub fn events(args: &EventsArgs) -> Result<u8, Failure> {
    let now = Zoned::now();
    let since = args.since.as_deref().map(|text| moment(text, &now)).transpose();
    let since = since.map_err(Failure::Usage)?;
    let request = with_slots(Request::get("/v1/events"), &args.slots);
    let request = if args.no_follow { request } else { request.query("follow", "1") };
    let session = Session::of(&args.target.place)?;
    let mut lines = session.lines(&request)?;
    let mut printer = Printer::new();
    let mut has_ended = false;
    loop {
        let line = match lines.next_line() {
            Ok(Some(line)) => line,
            Ok(None) => break,
            Err(ClientError::Ended) if !args.no_follow => {
                has_ended = true;
                break;
            }
            Err(other) => return Err(other.into()),
        };
        let event = event(&line)?;
        has_ended |= matches!(event.kind, EventKind::Bye { .. });
        if is_before(&event, since) {
            continue;
        }
        if args.target.json {
            printer.line(&line)?;
        } else if let EventKind::Gap { dropped } = event.kind {
            stderr_line(&format!("{dropped} events are older than what pm keeps"));
        } else if let Some(text) = sentence(&event, &now) {
            printer.line(&text)?;
        }
        if !args.no_follow {
            printer.flush()?;
        }
        if printer.is_closed() {
            return Ok(STOPPED);
        }
    }
    printer.flush()?;
    if has_ended {
        stderr_line("pm has ended");
    }
    Ok(STOPPED)
}

fn is_before(event: &Event, since: Option<Timestamp>) -> bool {
    since.is_some_and(|since| event.at.0 < since)
}

/// `12:01:09 web.2 is ready on port 8081 after 34ms`; nothing of what a report says too.
fn sentence(event: &Event, now: &Zoned) -> Option<String> {
    let words = match &event.kind {
        EventKind::Report { words, .. } | EventKind::Bye { words } => words,
        EventKind::Phase { .. } | EventKind::Gap { .. } => return None,
    };
    Some(format!("{} {}", of_day(event.at, now), printable(words)))
}

#[cfg(test)]
mod tests {
    use jiff::civil;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::wire::{Phase, Time};

    fn at(time: &str, kind: EventKind) -> Event {
        Event { seq: 1, at: Time(time.parse().unwrap()), kind }
    }

    #[test]
    fn an_event_is_a_line_with_its_time_and_a_phase_is_left_to_its_report() {
        let now = civil::date(2026, 11, 25).at(12, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap();
        let report = EventKind::Report {
            slot: Some("web.2".into()),
            generation: Some(8),
            words: "web.2 is ready\x1b[2J".into(),
        };
        let report = at("2026-11-25T01:02:03.004Z", report);
        assert_eq!(sentence(&report, &now).unwrap(), "01:02:03 web.2 is ready\\u{1b}[2J");
        let (from, to) = (Phase::Starting, Phase::Ready);
        let phase = EventKind::Phase { slot: "web.2".into(), generation: 8, from, to };
        assert_eq!(sentence(&at("2026-11-25T01:02:03.004Z", phase), &now), None);
    }

    #[test]
    fn an_event_before_the_time_that_was_asked_for_is_left_out() {
        let event = at("2026-11-25T01:02:03.004Z", EventKind::Gap { dropped: 1 });
        let since = |text: &str| Some(text.parse().unwrap());
        assert!(is_before(&event, since("2026-11-25T01:02:04Z")));
        assert!(!is_before(&event, since("2026-11-25T01:02:03Z")));
        assert!(!is_before(&event, None));
    }
}
