//! Times as people type and read them: `5m` (ago), `10:30`, `2d 3h`. The time zone is that of the user.

use std::time::Duration;

use jiff::civil;
use jiff::{SignedDuration, Timestamp, ToSpan, Zoned};

use crate::plan::text::duration;
use crate::wire::Time;

/// As pm takes a time.
pub fn written(time: Timestamp) -> String {
    format!("{time:.3}")
}

/// From one time to a later one; zero if it is not later.
pub fn between(earlier: Time, later: Time) -> Duration {
    Duration::try_from(later.0.duration_since(earlier.0)).unwrap_or_default()
}

/// A duration in its two largest units: `2d 3h`, `1m 30s`; below a second in milliseconds.
pub fn short(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let two = |first: u64, unit: char, second: u64, smaller: char| match second {
        0 => format!("{first}{unit}"),
        _ => format!("{first}{unit} {second}{smaller}"),
    };
    match (days, hours, minutes) {
        (0, 0, 0) if seconds < 1 => {
            duration::words(Duration::from_millis(time.subsec_millis().into()))
        }
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => two(minutes, 'm', seconds % 60, 's'),
        (0, hours, minutes) => two(hours, 'h', minutes, 'm'),
        (days, hours, _) => two(days, 'd', hours, 'h'),
    }
}

/// The time of day, with the date if that is not today's.
pub fn of_day(time: Time, now: &Zoned) -> String {
    let local = time.0.to_zoned(now.time_zone().clone());
    if local.date() == now.date() {
        local.strftime("%H:%M:%S").to_string()
    } else {
        local.strftime("%Y-%m-%d %H:%M:%S").to_string()
    }
}

/// Date and time with milliseconds, as before a line of a log.
pub fn stamp(time: Time, now: &Zoned) -> String {
    time.0.to_zoned(now.time_zone().clone()).strftime("%Y-%m-%dT%H:%M:%S%.3f").to_string()
}

/// The moment that was typed: `5m` before now, a time of day in the past 24 hours, a date with a time, RFC 3339.
///
/// # Errors
/// What to type instead.
pub fn moment(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    // `10:30:15` could be a duration too.
    let ago = duration::parse(text).ok().filter(|_| !text.contains(':'));
    if let Some(ago) = ago {
        let ago = SignedDuration::try_from(ago).expect("at most a day");
        return now.timestamp().checked_sub(ago).map_err(|error| error.to_string());
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(timestamp);
    }
    // A date alone is midnight. A time of day alone is no date.
    if let Ok(civil) = text.parse::<civil::DateTime>() {
        return zoned(civil, now);
    }
    if let Ok(time) = text.parse::<civil::Time>() {
        let today = zoned(now.date().to_datetime(time), now)?;
        if today <= now.timestamp() {
            return Ok(today);
        }
        let yesterday = now.date().saturating_sub(1.day());
        return zoned(yesterday.to_datetime(time), now);
    }
    Err(format!(
        "`{text}` is not a time; write it like `5m` (ago), `10:30` or `2026-11-25T10:30:00Z`"
    ))
}

fn zoned(civil: civil::DateTime, now: &Zoned) -> Result<Timestamp, String> {
    let zoned = civil.to_zoned(now.time_zone().clone());
    zoned.map(|zoned| zoned.timestamp()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use jiff::tz::{TimeZone, offset};

    use super::*;

    /// Noon in a zone that is an hour ahead.
    fn noon() -> Zoned {
        let zone = TimeZone::fixed(offset(1));
        civil::date(2026, 11, 25).at(12, 0, 0, 0).to_zoned(zone).unwrap()
    }

    #[test]
    fn a_moment_is_a_time_ago_a_time_of_day_or_a_date() {
        let read = |text: &str| moment(text, &noon()).map(|moment| moment.to_string());
        for (text, expected) in [
            ("5m", "2026-11-25T10:55:00Z"),
            ("1h30m", "2026-11-25T09:30:00Z"),
            ("10:30", "2026-11-25T09:30:00Z"),
            ("10:30:15", "2026-11-25T09:30:15Z"),
            ("13:00", "2026-11-24T12:00:00Z"),
            ("2026-11-25", "2026-11-24T23:00:00Z"),
            ("2026-11-25 10:30", "2026-11-25T09:30:00Z"),
            ("2026-11-25T10:30:00Z", "2026-11-25T10:30:00Z"),
            ("2026-11-25T10:30:00+02:00", "2026-11-25T08:30:00Z"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(expected), "{text}");
        }
        for text in ["", "5", "soon", "25:00", "2026-13-01"] {
            assert!(read(text).unwrap_err().contains("write it like `5m` (ago)"), "{text}");
        }
    }

    #[test]
    fn a_duration_has_at_most_two_units() {
        let short = |seconds| short(Duration::from_secs(seconds));
        assert_eq!([0, 9, 60, 123].map(short), ["0s", "9s", "1m", "2m 3s"]);
        assert_eq!([3_600, 7_500, 183_600].map(short), ["1h", "2h 5m", "2d 3h"]);
        assert_eq!(super::short(Duration::from_millis(340)), "340ms");
    }

    #[test]
    fn a_time_has_a_date_only_on_another_day() {
        let time = |text: &str| of_day(Time(text.parse().unwrap()), &noon());
        assert_eq!(time("2026-11-25T01:02:03.004Z"), "02:02:03");
        assert_eq!(time("2026-11-24T01:02:03.004Z"), "2026-11-24 02:02:03");
        let stamp = stamp(Time("2026-11-25T01:02:03.004Z".parse().unwrap()), &noon());
        assert_eq!(stamp, "2026-11-25T02:02:03.004");
    }
}
