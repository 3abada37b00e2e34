//! Durations as people write and read them: `5s`, `100ms`, `1m30s`.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::SignedDuration;

use super::explain::{Explain, Sentence};

/// Longer than any wait for a worker, and far from every overflow.
const MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Shorter than any wait that pm can keep: poll(2) and all messages count milliseconds.
const LEAST: Duration = Duration::from_millis(1);

/// Why a text is not a duration.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum DurationError {
    #[error("`{0}` has no unit")]
    NoUnit(String),
    #[error("`{0}` is not a duration")]
    NotADuration(String),
    #[error("`{0}` is shorter than a millisecond")]
    TooShort(String),
    #[error("`{0}` is longer than a day")]
    TooLong(String),
}

impl Explain for DurationError {
    fn help(&self) -> Option<String> {
        match self {
            Self::NoUnit(number) => Some(format!("did you mean `{number}s`?")),
            Self::NotADuration(_) => Some("write it like `5s`, `100ms` or `1m30s`".into()),
            Self::TooShort(_) => Some("give at least `1ms`, or `0s`".into()),
            Self::TooLong(_) => Some("give at most `24h`".into()),
        }
    }
}

/// Reads a duration that is an argument of the command line.
///
/// # Errors
/// As [`parse`], with the help.
pub fn argument(text: &str) -> Result<Duration, Sentence<DurationError>> {
    parse(text).map_err(Sentence)
}

/// Reads a duration.
///
/// # Errors
/// If there is no unit, if it is negative or not a duration at all, if it is longer than a day, or shorter than 1ms and
/// not zero.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let text = text.trim();
    match read(text) {
        Some(duration) if duration > MAX => Err(DurationError::TooLong(text.to_owned())),
        Some(duration) if !duration.is_zero() && duration < LEAST => {
            Err(DurationError::TooShort(text.to_owned()))
        }
        Some(duration) => Ok(duration),
        None if read(&format!("{text}s")).is_some_and(|duration| duration <= MAX) => {
            Err(DurationError::NoUnit(text.to_owned()))
        }
        None => Err(DurationError::NotADuration(text.to_owned())),
    }
}

/// Reads numbers with units: no sign, no time of day, no duration of ISO 8601, which jiff would read too.
fn read(text: &str) -> Option<Duration> {
    let is_plain = text.starts_with(|c: char| c.is_ascii_digit()) && !text.contains(':');
    let signed: SignedDuration = is_plain.then(|| text.parse().ok()).flatten()?;
    Duration::try_from(signed).ok()
}

/// Writes a duration for people, with at most three digits: `34ms`, `2.1s`, `1m 30s`.
pub fn words(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    match (milliseconds, milliseconds / 100 % 10) {
        (0, _) if duration.is_zero() => "0s".to_owned(),
        (0, _) => format!("0.{}ms", duration.as_micros() / 100),
        (1..1_000, _) => format!("{milliseconds}ms"),
        (1_000..10_000, 0) => format!("{}s", duration.as_secs()),
        (1_000..10_000, tenths) => format!("{}.{tenths}s", duration.as_secs()),
        _ => in_units(duration.as_secs_f64().round() as u64),
    }
}

/// Each death has such words, and the printer of jiff costs ten times as much.
fn in_units(seconds: u64) -> String {
    let mut text = String::new();
    for (count, unit) in [(seconds / 3_600, 'h'), (seconds / 60 % 60, 'm'), (seconds % 60, 's')] {
        if count > 0 {
            let space = if text.is_empty() { "" } else { " " };
            write!(text, "{space}{count}{unit}").expect("a String takes in everything");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_their_unit() {
        assert_eq!(parse("5s").unwrap(), Duration::from_secs(5));
        assert_eq!(parse("100ms").unwrap(), Duration::from_millis(100));
        assert_eq!(parse("1m30s").unwrap(), Duration::from_secs(90));
        assert_eq!(parse("1.5s").unwrap(), Duration::from_millis(1_500));
        assert_eq!(parse("0s").unwrap(), Duration::ZERO);
    }

    #[test]
    fn what_is_not_a_duration_is_refused_with_an_example() {
        assert_eq!(argument("5").unwrap_err().to_string(), "`5` has no unit; did you mean `5s`?");
        for bad in ["", "s", "five", "-5s", "5 parsecs", "PT5S", "00:00:05", "+5s", "inf", "nan"] {
            assert!(matches!(parse(bad), Err(DurationError::NotADuration(_))), "{bad}");
        }
        for bad in ["-0", "1e5", "100000000"] {
            assert!(matches!(parse(bad), Err(DurationError::NotADuration(_))), "{bad}");
        }
        assert!(matches!(parse("25h"), Err(DurationError::TooLong(_))));
        assert!(matches!(parse("1ns"), Err(DurationError::TooShort(_))));
    }

    #[test]
    fn durations_are_written_short() {
        let written = |micros| words(Duration::from_micros(micros));
        assert_eq!(written(0), "0s");
        assert_eq!(written(412), "0.4ms");
        assert_eq!(written(34_600), "34ms");
        assert_eq!(written(2_140_000), "2.1s");
        assert_eq!(written(5_000_000), "5s");
        assert_eq!(written(90_400_000), "1m 30s");
    }

    #[test]
    fn durations_are_written_as_jiff_writes_them_rounded() {
        use jiff::fmt::friendly::{FractionalUnit, SpanPrinter};
        let of_jiff = |micros: u64| {
            let tenths = |unit| SpanPrinter::new().precision(Some(1)).fractional(Some(unit));
            let (printer, rounded) = match micros {
                0 => (SpanPrinter::new(), 0),
                1..1_000 => (tenths(FractionalUnit::Millisecond), micros),
                1_000..1_000_000 => (SpanPrinter::new(), micros / 1_000 * 1_000),
                1_000_000..10_000_000 => (tenths(FractionalUnit::Second), micros),
                _ => (SpanPrinter::new(), (micros + 500_000) / 1_000_000 * 1_000_000),
            };
            let rounded = SignedDuration::from_micros(rounded as i64);
            printer.duration_to_string(&rounded).replace(".0s", "s")
        };
        let each = (0..60).flat_map(|power| [0, 1, 2].map(|more| (1_u64 << power) / 1_000 + more));
        let limits = [50, 999, 1_000, 999_999, 1_000_000, 1_099_999, 9_999_999, 10_000_000];
        let longer = [59_499_999, 59_500_000, 60_000_000, 3_600_000_000, 3_660_000_000];
        for micros in each.chain(limits).chain(longer).chain([90_061_000_000]) {
            assert_eq!(words(Duration::from_micros(micros)), of_jiff(micros), "{micros}");
        }
        assert_eq!(words(Duration::MAX), "5124095576030431h 15s");
    }
}
