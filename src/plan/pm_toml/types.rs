//! Single values: durations, sizes, ports, signals. Each type knows how it is written, and how the JSON schema
//! describes it. What can be wrong with one is in [`super::faults`].

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::faults::{Expected, Noun, ValueFault};
use super::patterns;
use super::value::{Actual, AnyValue, FileFaults, FromValue, Value};
use crate::plan::probe::{Pattern, ProbePort};
use crate::plan::text::duration::DurationError;
use crate::plan::text::suggest::Suggestion;
use crate::plan::text::{duration, signal, size};
use crate::plan::{RestartWord, STRING_BYTES_MAX, Stdin, StopTarget};

/// Text without a zero byte, no longer than the kernel accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(pub String);

/// The value of a variable: text, or a number or boolean as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariableText(pub String);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub Duration);

/// In bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

/// The number of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopSignal(pub i32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Umask(pub u32);

/// A whole number within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole<const MIN: i64, const MAX: i64>(pub i64);

/// A port, or text that names several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortsText {
    One(u16),
    Several(String),
}

/// `true`. `false` would say the same as a key that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct True;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status(pub RangeInclusive<u16>);

/// What comes after the host in a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target(pub String);

/// What servers accept at least (RFC 9110 section 4.1).
const TARGET_BYTES_MAX: usize = 8_000;

/// Reads a type by its `TryFrom<AnyValue>`, and describes it with this schema.
macro_rules! single_value {
    ($type:ty, $schema:tt) => {
        impl FromValue for $type {
            fn from_value(value: &Value<'_>, _: &mut FileFaults<'_>) -> Result<Self, ValueFault> {
                value.any()?.try_into()
            }
        }

        described!($type, $schema);
    };
}

/// Describes a type with this schema.
macro_rules! described {
    ($type:ty, $schema:tt) => {
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

single_value!(Text, { "type": "string" });
single_value!(VariableText, { "type": ["string", "number", "boolean"] });
single_value!(Time, {
    "type": "string",
    "pattern": patterns::time(),
    "not": { "pattern": patterns::time_beyond_bounds() },
    "examples": ["5s", "100ms", "1m30s"],
});
single_value!(Size, {
    "type": ["string", "integer"],
    "minimum": 0, "maximum": size::MAX,
    "pattern": patterns::SIZE,
    "not": { "type": "string", "pattern": patterns::SIZE_BEYOND_BOUNDS },
    "examples": ["512MB", "1GiB"],
});
single_value!(StopSignal, {
    "type": ["string", "integer"],
    "minimum": 1, "maximum": signal::MAX,
    "not": patterns::no_stop_signal(),
    "examples": ["TERM", "INT", "QUIT"],
});
described!(Umask, { "type": "string", "pattern": patterns::UMASK, "examples": ["022"] });
single_value!(PortsText, {
    "type": ["string", "integer"],
    "minimum": 1, "maximum": 65535,
    "pattern": patterns::ports(),
    "examples": ["8080-8082", "8080,8090"],
});
single_value!(ProbePort, {
    "anyOf": [{ "const": true }, { "type": "integer", "minimum": 1, "maximum": 65535 }]
});
single_value!(True, { "const": true });
single_value!(Status, {
    "type": ["integer", "string"], "minimum": 200, "maximum": 599,
    "pattern": patterns::STATUS,
    "examples": [204, "200-299"],
});
single_value!(Target, { "type": "string", "pattern": patterns::TARGET });
single_value!(Pattern, { "type": "string", "format": "regex" });

impl AnyValue<'_> {
    fn is_not(&self, noun: Noun) -> ValueFault {
        ValueFault::NotA { actual: self.actual(), noun }
    }
}

impl<const MIN: i64, const MAX: i64> FromValue for Whole<MIN, MAX> {
    fn from_value(value: &Value<'_>, _: &mut FileFaults<'_>) -> Result<Self, ValueFault> {
        let (min, max) = (MIN, MAX);
        match value.any()? {
            AnyValue::Whole(number) if number < MIN => Err(ValueFault::TooLow { number, min, max }),
            AnyValue::Whole(number) if number > MAX => {
                Err(ValueFault::TooHigh { number, min, max })
            }
            AnyValue::Whole(number) => Ok(Self(number)),
            AnyValue::Text(text) if text.parse::<i64>().is_ok() => {
                Err(ValueFault::NumberInQuotes(text.to_owned()))
            }
            other => Err(other.is_not(Noun::WholeNumber { min, max })),
        }
    }
}

impl<const MIN: i64, const MAX: i64> JsonSchema for Whole<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Whole{MIN}To{MAX}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        match MAX {
            i64::MAX => json_schema!({ "type": "integer", "minimum": MIN }),
            max => json_schema!({ "type": "integer", "minimum": MIN, "maximum": max }),
        }
    }
}

/// Reads one of these words by `read`.
pub(super) fn word<T>(
    value: &Value<'_>,
    words: &'static [&'static str],
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<T, ValueFault> {
    let AnyValue::Text(written) = value.any()? else {
        return Err(value.must_be(Expected::OneOf(words)));
    };
    read(written).ok_or_else(|| ValueFault::NotAWord {
        written: written.to_owned(),
        words,
        suggestion: Suggestion::of(written, words.iter().copied()),
    })
}

impl FromValue for RestartWord {
    fn from_value(value: &Value<'_>, _: &mut FileFaults<'_>) -> Result<Self, ValueFault> {
        word(value, &Self::WRITTEN, Self::read)
    }
}

impl FromValue for Stdin {
    fn from_value(value: &Value<'_>, _: &mut FileFaults<'_>) -> Result<Self, ValueFault> {
        word(value, &Self::WRITTEN, Self::read)
    }
}

impl FromValue for StopTarget {
    fn from_value(value: &Value<'_>, _: &mut FileFaults<'_>) -> Result<Self, ValueFault> {
        word(value, &Self::WRITTEN, Self::read)
    }
}

impl TryFrom<AnyValue<'_>> for Text {
    type Error = ValueFault;

    fn try_from(any: AnyValue<'_>) -> Result<Self, ValueFault> {
        match any {
            AnyValue::Text(text) if text.contains('\0') => Err(ValueFault::ZeroByte),
            AnyValue::Text(text) if text.len() > STRING_BYTES_MAX => Err(ValueFault::TooLong),
            AnyValue::Text(text) => Ok(Self(text.to_owned())),
            other => Err(other.is_not(Noun::Text)),
        }
    }
}

impl TryFrom<AnyValue<'_>> for VariableText {
    type Error = ValueFault;

    fn try_from(any: AnyValue<'_>) -> Result<Self, ValueFault> {
        match any {
            AnyValue::Whole(number) => Ok(Self(number.to_string())),
            AnyValue::Fraction(number) => Ok(Self(number.to_owned())),
            AnyValue::Boolean(boolean) => Ok(Self(boolean.to_string())),
            other => Text::try_from(other).map(|text| Self(text.0)),
        }
    }
}

impl TryFrom<AnyValue<'_>> for Time {
    type Error = ValueFault;

    fn try_from(any: AnyValue<'_>) -> Result<Self, ValueFault> {
        if let AnyValue::Text(text) = any {
            return Ok(Self(duration::parse(text)?));
        }
        match any.actual() {
            Actual::Number(number)
                if matches!(duration::parse(&number), Err(DurationError::NoUnit(_))) =>
            {
                Err(ValueFault::NoUnit(number))
            }
            actual => Err(ValueFault::NotA { actual, noun: Noun::Duration }),
        }
    }
}

impl TryFrom<AnyValue<'_>> for Size {
    type Error = ValueFault;

    fn try_from(any: AnyValue<'_>) -> Result<Self, ValueFault> {
        match any {
            AnyValue::Text(text) => Ok(Self(size::parse(text)?)),
            AnyValue::Whole(number) => Ok(Self(size::parse(&number.to_string())?)),
            other => Err(other.is_not(Noun::Size)),
        }
    }
}

impl TryFrom<AnyValue<'_>> for StopSignal {
    type Error = ValueFault;

    fn try_from(any: AnyValue<'_>) -> Result<Self, ValueFault> {
        match any {
            AnyValue::Text(name) => Ok(Self(signal::by_name(name)?)),
            AnyValue::Whole(number) => Ok(Self(signal::by_number(number)?)),
            other => Err(other.is_not(Noun::Signal)),
        }
    }
}

impl FromValue for Umask {
    fn from_value(value: &Value<'_>, _: &mut FileFaults<'_>) -> Result<Self, ValueFault> {
        match value.any()? {
            AnyValue::Text(text) => {
                umask(text).map(Self).ok_or_else(|| ValueFault::Umask(text.to_owned()))
            }
            any @ AnyValue::Whole(_) => match value.digits() {
                Some((digits, 8 | 10)) if umask(digits).is_some() => {
                    Err(ValueFault::UmaskNumber(digits.to_owned()))
                }
                Some(_) | None => Err(any.is_not(Noun::Umask)),
            },
            other => Err(other.is_not(Noun::Umask)),
        }
    }
}

/// The umask that is written with these octal digits.
fn umask(written: &str) -> Option<u32> {
    let digits = written.strip_prefix("0o").unwrap_or(written);
    let is_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    u32::from_str_radix(digits, 8)
        .ok()
        .filter(|mask| is_digits && digits.len() <= 4 && *mask <= 0o777)
}

/// The port of this number.
fn port(number: i64, noun: Noun) -> Result<u16, ValueFault> {
    match u16::try_from(number) {
        Ok(port @ 1..) => Ok(port),
        Ok(0) | Err(_) => Err(AnyValue::Whole(number).is_not(noun)),
    }
}

impl TryFrom<AnyValue<'_>> for PortsText {
    type Error = ValueFault;

    fn try_from(any: AnyValue<'_>) -> Result<Self, ValueFault> {
        match any {
            AnyValue::Whole(number) => Ok(Self::One(port(number, Noun::Port)?)),
            AnyValue::Text(text) => Ok(Self::Several(text.to_owned())),
            other => Err(other.is_not(Noun::Port)),
        }
    }
}

impl TryFrom<AnyValue<'_>> for ProbePort {
    type Error = ValueFault;

    fn try_from(any: AnyValue<'_>) -> Result<Self, ValueFault> {
        match any {
            AnyValue::Boolean(true) => Ok(Self::Own),
            AnyValue::Boolean(false) => Err(ValueFault::False),
            AnyValue::Whole(number) => Ok(Self::Other(port(number, Noun::ProbePort)?)),
            other => Err(other.is_not(Noun::ProbePort)),
        }
    }
}

impl TryFrom<AnyValue<'_>> for True {
    type Error = ValueFault;

    fn try_from(any: AnyValue<'_>) -> Result<Self, ValueFault> {
        match any {
            AnyValue::Boolean(true) => Ok(Self),
            AnyValue::Boolean(false) => Err(ValueFault::False),
            other => Err(other.is_not(Noun::True)),
        }
    }
}

impl TryFrom<AnyValue<'_>> for Status {
    type Error = ValueFault;

    fn try_from(any: AnyValue<'_>) -> Result<Self, ValueFault> {
        let text = match any {
            AnyValue::Whole(number) => number.to_string(),
            AnyValue::Text(text) => text.to_owned(),
            other => return Err(other.is_not(Noun::Status)),
        };
        let status = |part: &str| match part.trim().parse() {
            // `parse` reads a sign and zeros before the number too.
            Ok(status @ 200..=599) if part.trim().len() == 3 => Ok(status),
            Ok(_) | Err(_) => Err(ValueFault::Status(text.clone())),
        };
        let (first, last) = text.split_once('-').unwrap_or((&text, &text));
        let (first, last): (u16, u16) = (status(first)?, status(last)?);
        if last < first {
            return Err(ValueFault::StatusBackwards(first, last));
        }
        Ok(Self(first..=last))
    }
}

impl TryFrom<AnyValue<'_>> for Target {
    type Error = ValueFault;

    fn try_from(any: AnyValue<'_>) -> Result<Self, ValueFault> {
        let AnyValue::Text(text) = any else { return Err(any.is_not(Noun::UrlPath)) };
        if !text.starts_with('/') {
            return Err(ValueFault::NoSlash(text.to_owned()));
        }
        match text.chars().find(|c| !c.is_ascii_graphic() || *c == '#') {
            Some(c) => Err(ValueFault::UrlCharacter(c)),
            None if text.len() > TARGET_BYTES_MAX => Err(ValueFault::UrlTooLong),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl TryFrom<AnyValue<'_>> for Pattern {
    type Error = ValueFault;

    fn try_from(any: AnyValue<'_>) -> Result<Self, ValueFault> {
        let Text(text) = any.try_into()?;
        let regex = regex_lite::Regex::new(&text);
        regex.map(Self).map_err(|error| ValueFault::Regex(text, error))
    }
}
