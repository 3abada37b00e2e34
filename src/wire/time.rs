//! A moment, which is a text only where it is read: pm notes several for each death.

use jiff::Timestamp;
use jiff::tz::Offset;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A moment: `2026-11-25T01:02:03.004Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(into = "String", try_from = "String")]
#[schemars(with = "String")]
pub struct Time(pub Timestamp);

impl From<Time> for String {
    fn from(Time(time): Time) -> Self {
        let at = Offset::UTC.to_datetime(time);
        let Ok(year) = u16::try_from(at.year()) else { return format!("{time:.3}") };
        let below_thousand = |number: i8| u16::from(number.unsigned_abs());
        let [month, day] = [at.month(), at.day()].map(below_thousand);
        let [hour, minute, second] = [at.hour(), at.minute(), at.second()].map(below_thousand);
        let millisecond = at.millisecond().unsigned_abs();
        // Each line that a client follows has a time, and jiff's own words cost several times as much.
        let mut text = Self::with_capacity("2026-11-25T01:02:03.004Z".len());
        for (number, digits, end) in [
            (year, 4, '-'),
            (month, 2, '-'),
            (day, 2, 'T'),
            (hour, 2, ':'),
            (minute, 2, ':'),
            (second, 2, '.'),
            (millisecond, 3, 'Z'),
        ] {
            for unit in &[1000, 100, 10, 1][4 - digits..] {
                text.push(char::from(b'0' + (number / unit % 10) as u8));
            }
            text.push(end);
        }
        text
    }
}

impl TryFrom<String> for Time {
    type Error = jiff::Error;

    fn try_from(text: String) -> Result<Self, jiff::Error> {
        text.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_jiff_writes_it_and_read_again() {
        let last = Timestamp::MAX.as_second() * 1_000;
        let some = (-40..40_i64).map(|n| n * 86_400_000 * 36_524 / 4 + n * 7_919);
        for millisecond in some.chain([0, 1, -1, 1_764_032_523_004, 951_782_400_000, last]) {
            let time = Timestamp::from_millisecond(millisecond).unwrap();
            let text = String::from(Time(time));
            assert_eq!(text, format!("{time:.3}"));
            assert_eq!(Time::try_from(text).ok(), Some(Time(time)));
        }
        for time in [Timestamp::MIN, Timestamp::MAX] {
            assert_eq!(String::from(Time(time)), format!("{time:.3}"));
        }
        assert!(Time::try_from("soon".to_owned()).is_err());
    }
}
