//! What stands at the end of a key: durations, sizes, ports, signals. Each knows how it is written and says what is
//! wrong with one that is not, as `what is wrong; what would be right`.

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer};

use super::any_value::AnyValue;
use crate::plan::probe::Pattern;
use crate::plan::text::{duration, signal, size};
use crate::plan::{STRING_BYTES_MAX, environment};

/// Text, without a zero byte and no longer than the kernel takes.
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

/// Whose port is connected to: the worker's own, or this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpPort {
    Own,
    Other(u16),
}

/// `true`: what is not wanted is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Yes;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status(pub RangeInclusive<u16>);

/// What comes after the host in a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target(pub String);

/// Reads a type from what its `TryFrom<AnyValue>` makes of it, and describes it with this schema.
macro_rules! written_as {
    ($type:ty, $schema:tt) => {
        impl<'t> Deserialize<'t> for $type {
            fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
                AnyValue::deserialize(deserializer)?.try_into().map_err(de::Error::custom)
            }
        }

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

written_as!(Text, { "type": "string" });
written_as!(VariableText, { "type": ["string", "number", "boolean"] });
written_as!(Time, { "type": "string", "examples": ["5s", "100ms", "1m30s"] });
written_as!(Size, { "type": ["string", "integer"], "examples": ["512MB", "1GiB"] });
written_as!(StopSignal, { "type": ["string", "integer"], "examples": ["TERM", "INT", "QUIT"] });
written_as!(Umask, { "type": "string", "pattern": "^(0o)?[0-7]{1,4}$", "examples": ["022"] });
written_as!(PortsText, { "type": ["string", "integer"], "examples": ["8080-8082", "8080,8090"] });
written_as!(TcpPort, {
    "anyOf": [{ "const": true }, { "type": "integer", "minimum": 1, "maximum": 65535 }]
});
written_as!(Yes, { "const": true });
written_as!(Status, { "type": ["integer", "string"], "examples": [204, "200-299"] });
written_as!(Target, { "type": "string", "pattern": "^/" });
written_as!(Pattern, { "type": "string", "format": "regex" });

impl<'t, const MIN: i64, const MAX: i64> Deserialize<'t> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        let right = match MAX {
            i64::MAX => format!("give {MIN} or more"),
            max => format!("give {MIN} to {max}"),
        };
        let wrong = match AnyValue::deserialize(deserializer)? {
            AnyValue::Whole(number) if (MIN..=MAX).contains(&number) => return Ok(Self(number)),
            AnyValue::Whole(number) if number < MIN => format!("{number} is too low; {right}"),
            AnyValue::Whole(number) => format!("{number} is too high; {right}"),
            AnyValue::Text(text) if text.parse::<i64>().is_ok() => {
                format!("this string is no number; did you mean `{text}` without quotes?")
            }
            other => other.is_no("whole number", &right),
        };
        Err(de::Error::custom(wrong))
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

impl TryFrom<AnyValue> for Text {
    type Error = String;

    fn try_from(raw: AnyValue) -> Result<Self, String> {
        match raw {
            AnyValue::Text(text) if text.contains('\0') => {
                Err("a zero byte ends a text; take it out".into())
            }
            AnyValue::Text(text) if text.len() > STRING_BYTES_MAX => {
                Err("this is longer than the kernel takes; put it into a file".into())
            }
            AnyValue::Text(text) => Ok(Self(text)),
            other => match other.number() {
                Some(number) => Err(other.is_no("text", &format!("did you mean `\"{number}\"`?"))),
                None => Err(other.is_no("text", "write it in quotes")),
            },
        }
    }
}

impl TryFrom<AnyValue> for VariableText {
    type Error = String;

    fn try_from(raw: AnyValue) -> Result<Self, String> {
        match raw {
            AnyValue::Whole(number) => Ok(Self(number.to_string())),
            AnyValue::Fraction(number) => Ok(Self(number)),
            AnyValue::Boolean(boolean) => Ok(Self(boolean.to_string())),
            other => Text::try_from(other).map(|text| Self(text.0)),
        }
    }
}

impl TryFrom<AnyValue> for Time {
    type Error = String;

    fn try_from(raw: AnyValue) -> Result<Self, String> {
        match raw {
            AnyValue::Text(text) => {
                duration::parse(&text).map(Self).map_err(|error| error.to_string())
            }
            other => match other.number().filter(|number| !number.starts_with('-')) {
                Some(number) => {
                    Err(format!("`{number}` has no unit; did you mean `\"{number}s\"`?"))
                }
                None => Err(other.is_no("duration", "write it like `\"5s\"` or `\"100ms\"`")),
            },
        }
    }
}

impl TryFrom<AnyValue> for Size {
    type Error = String;

    fn try_from(raw: AnyValue) -> Result<Self, String> {
        match raw {
            AnyValue::Text(text) => size::parse(&text).map(Self).map_err(|error| error.to_string()),
            AnyValue::Whole(number) => {
                size::parse(&number.to_string()).map(Self).map_err(|error| error.to_string())
            }
            other => Err(other.is_no("size", "write it like `\"512MB\"` or as a number of bytes")),
        }
    }
}

impl TryFrom<AnyValue> for StopSignal {
    type Error = String;

    fn try_from(raw: AnyValue) -> Result<Self, String> {
        let number = match raw {
            AnyValue::Text(name) => signal::by_name(&name),
            AnyValue::Whole(number) => signal::by_number(number),
            other => return Err(other.is_no("signal", "write it like `\"TERM\"`")),
        };
        number.map(Self).map_err(|error| error.to_string())
    }
}

impl TryFrom<AnyValue> for Umask {
    type Error = String;

    fn try_from(raw: AnyValue) -> Result<Self, String> {
        match raw {
            AnyValue::Text(text) => {
                let digits = text.strip_prefix("0o").unwrap_or(&text);
                let octal = digits.bytes().all(|byte| byte.is_ascii_digit());
                let mask =
                    u32::from_str_radix(digits, 8).ok().filter(|mask| octal && *mask <= 0o777);
                mask.map(Self).ok_or_else(|| {
                    format!("`{text}` is no umask; give three octal digits, as in `\"022\"`")
                })
            }
            AnyValue::Whole(number) if (0..=777).contains(&number) => {
                Err(format!("a umask is octal, in quotes; did you mean `\"{number:03}\"`?"))
            }
            other => Err(other.is_no("umask", "write it in octal and in quotes, as in `\"022\"`")),
        }
    }
}

fn port(number: i64) -> Result<u16, String> {
    let port = u16::try_from(number).ok().filter(|port| *port > 0);
    port.ok_or_else(|| format!("`{number}` is no port; give 1 to 65535"))
}

impl TryFrom<AnyValue> for PortsText {
    type Error = String;

    fn try_from(raw: AnyValue) -> Result<Self, String> {
        match raw {
            AnyValue::Whole(number) => port(number).map(Self::One),
            AnyValue::Text(text) => Ok(Self::Several(text)),
            other => Err(other.is_no("port", "write 8080, `\"8080-8082\"` or a list of these")),
        }
    }
}

impl TryFrom<AnyValue> for TcpPort {
    type Error = String;

    fn try_from(raw: AnyValue) -> Result<Self, String> {
        match raw {
            AnyValue::Boolean(true) => Ok(Self::Own),
            AnyValue::Boolean(false) => Err("`false` asks for nothing; leave it out".into()),
            AnyValue::Whole(number) => port(number).map(Self::Other),
            other => Err(other.is_no("port", "write `true` for the worker's own, or a number")),
        }
    }
}

impl TryFrom<AnyValue> for Yes {
    type Error = String;

    fn try_from(raw: AnyValue) -> Result<Self, String> {
        match raw {
            AnyValue::Boolean(true) => Ok(Self),
            AnyValue::Boolean(false) => Err("`false` asks for nothing; leave it out".into()),
            other => Err(other.is_no("`true`", "write `true`, or leave it out")),
        }
    }
}

impl TryFrom<AnyValue> for Status {
    type Error = String;

    fn try_from(raw: AnyValue) -> Result<Self, String> {
        let right = "give 100 to 599, as in 204 or `\"200-299\"`";
        let text = match &raw {
            AnyValue::Whole(number) => number.to_string(),
            AnyValue::Text(text) => text.clone(),
            other => return Err(other.is_no("status", right)),
        };
        let wrong = || format!("`{text}` is no status of HTTP; {right}");
        let (first, last) = text.split_once('-').unwrap_or((&text, &text));
        let number =
            |part: &str| part.trim().parse().ok().filter(|part| (100..=599).contains(part));
        let (first, last): (u16, u16) =
            (number(first).ok_or_else(wrong)?, number(last).ok_or_else(wrong)?);
        if last < first {
            return Err(format!("`{text}` ends before it begins; did you mean `{last}-{first}`?"));
        }
        Ok(Self(first..=last))
    }
}

impl TryFrom<AnyValue> for Target {
    type Error = String;

    fn try_from(raw: AnyValue) -> Result<Self, String> {
        let text = match raw {
            AnyValue::Text(text) => text,
            other => return Err(other.is_no("path of a URL", "write it like `\"/health\"`")),
        };
        if !text.starts_with('/') {
            let path = text.split_once("://").map_or(text.as_str(), |(_, rest)| {
                rest.split_once('/').map_or("", |(_, path)| path)
            });
            return Err(format!("`{text}` does not begin with `/`; did you mean `/{path}`?"));
        }
        match text.chars().find(|c| !c.is_ascii_graphic()) {
            Some(c) => Err(format!("`{c}` cannot be in a URL; write it percent-encoded")),
            None if text.len() > TARGET_BYTES_MAX => {
                Err("no server takes a URL this long; ask for a shorter one".into())
            }
            None => Ok(Self(text)),
        }
    }
}

/// What every server takes (RFC 9110 section 4.1).
const TARGET_BYTES_MAX: usize = 8_000;

impl TryFrom<AnyValue> for Pattern {
    type Error = String;

    fn try_from(raw: AnyValue) -> Result<Self, String> {
        let Text(text) = raw.try_into()?;
        let why = |error: regex_lite::Error| format!("`{text}` is no regular expression; {error}");
        regex_lite::Regex::new(&text).map(Self).map_err(why)
    }
}

/// Why a variable cannot be called this, if it cannot.
pub fn variable_name_fault(name: &str) -> Option<String> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Some(format!("`{name}` is no name of a variable; use letters, digits and `_`"));
    }
    environment::is_own(name).then(|| {
        format!("`{name}` is what pm itself tells a worker; give the variable another name")
    })
}
