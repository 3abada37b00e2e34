//! What can be wrong with one value.

use std::fmt;

use crate::plan::text::duration::DurationError;
use crate::plan::text::explain::Explain;
use crate::plan::text::phrase::{list_and, list_or};
use crate::plan::text::signal::StopSignalError;
use crate::plan::text::size::SizeError;
use crate::plan::text::suggest::{Suggestion, quoted};

use super::super::value::Actual;

/// Why a value cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueFault {
    /// A value of a key that needs another type of TOML.
    #[error("`{key}` must be {expected}")]
    WrongType { key: String, expected: Expected, actual: Actual },
    /// A value that is not one of a single type of pm's own.
    #[error("{actual} is not {noun}")]
    NotA { actual: Actual, noun: Noun },
    #[error("`{written}` is not {}", list_or(&quoted(words)))]
    NotAWord { written: String, words: &'static [&'static str], suggestion: Suggestion },
    #[error("this string is not a number")]
    NumberInQuotes(String),
    #[error("this number is too large")]
    NumberTooLarge,
    #[error("{number} is too low")]
    TooLow { number: i64, min: i64, max: i64 },
    #[error("{number} is too high")]
    TooHigh { number: i64, min: i64, max: i64 },
    #[error("a zero byte ends a string")]
    ZeroByte,
    #[error("this string is longer than the kernel accepts")]
    TooLong,
    #[error("`{0}` has no unit")]
    NoUnit(String),
    #[error(transparent)]
    Duration(#[from] DurationError),
    #[error(transparent)]
    Size(#[from] SizeError),
    #[error(transparent)]
    Signal(#[from] StopSignalError),
    #[error("`{0}` is not a umask")]
    Umask(String),
    #[error("a umask is octal, and in quotes")]
    UmaskNumber(String),
    #[error("`false` has no effect here")]
    False,
    #[error("`{0}` is not an HTTP status")]
    Status(String),
    #[error("the range `{0}-{1}` is backwards")]
    StatusBackwards(u16, u16),
    #[error("`{0}` is not an IP address")]
    Address(String),
    #[error("`{0}` is not an IP address with a port")]
    HttpAddress(String),
    #[error("`{0}` does not begin with `/`")]
    NoSlash(String),
    #[error("`{0}` cannot be in a URL")]
    UrlCharacter(char),
    #[error("this URL is longer than servers accept")]
    UrlTooLong,
    #[error("`{0}` is not a regular expression: {1}")]
    Regex(String, regex_lite::Error),
}

/// A type of TOML that a key needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    Boolean,
    /// A table with these keys, or with names of the user's own.
    Table(&'static [&'static str]),
    OneOf(&'static [&'static str]),
    Command,
    Address,
    HttpAddress,
}

/// A type of a single value of pm's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noun {
    Text,
    WholeNumber {
        min: i64,
        max: i64,
    },
    Duration,
    Size,
    Signal,
    Umask,
    /// A port, or a text with several.
    Port,
    /// The port of a probe: `true` or a number.
    ProbePort,
    True,
    Status,
    UrlPath,
}

impl Explain for ValueFault {
    fn help(&self) -> Option<String> {
        match self {
            Self::WrongType { expected, .. } => expected.help(),
            Self::NotA { actual, noun } => Some(noun.help(actual)),
            Self::NotAWord { suggestion: Suggestion::Meant(word), .. } => {
                Some(format!("did you mean `{word}`?"))
            }
            // The message lists all words.
            Self::NotAWord { suggestion: Suggestion::OneOf { .. }, .. } => None,
            Self::NumberInQuotes(number) => {
                Some(format!("did you mean `{number}` without quotes?"))
            }
            Self::NumberTooLarge => None,
            Self::TooLow { min, max, .. } | Self::TooHigh { min, max, .. } => {
                Some(range(*min, *max))
            }
            Self::ZeroByte => Some("remove it".into()),
            Self::TooLong => Some("put it into a file".into()),
            Self::NoUnit(number) => Some(format!("did you mean `\"{number}s\"`?")),
            Self::Duration(error) => error.help(),
            Self::Size(error) => error.help(),
            Self::Signal(error) => error.help(),
            Self::Umask(_) => Some("write three octal digits, as in `\"022\"`".into()),
            Self::UmaskNumber(digits) => Some(format!("did you mean `\"{digits:0>3}\"`?")),
            Self::False => Some("leave the key out".into()),
            Self::HttpAddress(_) => {
                Some("write for example `\"127.0.0.1:9001\"` or `\"[::1]:9001\"`".into())
            }
            Self::Address(_) => Some("write for example `\"127.0.0.1\"` or `\"::1\"`".into()),
            Self::Status(_) => Some(STATUS_HELP.into()),
            Self::StatusBackwards(first, last) => Some(format!("did you mean `{last}-{first}`?")),
            Self::NoSlash(written) => Some(format!("did you mean `{}`?", path_of(written))),
            Self::UrlCharacter('#') => Some("remove the fragment: no client sends it".into()),
            Self::UrlCharacter(_) => Some("write it percent-encoded".into()),
            Self::UrlTooLong => Some("use a shorter one".into()),
            Self::Regex(..) => None,
        }
    }

    fn label(&self) -> &'static str {
        match self {
            Self::WrongType { actual, .. } => actual.label(),
            Self::NotA { .. }
            | Self::NotAWord { .. }
            | Self::NumberInQuotes(_)
            | Self::NumberTooLarge
            | Self::TooLow { .. }
            | Self::TooHigh { .. }
            | Self::ZeroByte
            | Self::TooLong
            | Self::NoUnit(_)
            | Self::Duration(_)
            | Self::Size(_)
            | Self::Signal(_)
            | Self::Umask(_)
            | Self::UmaskNumber(_)
            | Self::False
            | Self::Status(_)
            | Self::StatusBackwards(..)
            | Self::Address(_)
            | Self::HttpAddress(_)
            | Self::NoSlash(_)
            | Self::UrlCharacter(_)
            | Self::UrlTooLong
            | Self::Regex(..) => "",
        }
    }
}

const STATUS_HELP: &str = "give 200 to 599, as in 204 or `\"200-299\"`";

fn range(min: i64, max: i64) -> String {
    match max {
        i64::MAX => format!("give {min} or more"),
        max => format!("give {min} to {max}"),
    }
}

/// The path of a URL that begins with its scheme and host, or a path without its `/`.
fn path_of(written: &str) -> String {
    let path = match written.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => written,
    };
    format!("/{path}")
}

impl Expected {
    fn help(self) -> Option<String> {
        match self {
            Self::Table([]) | Self::Boolean | Self::OneOf(_) => None,
            Self::Command | Self::Address | Self::HttpAddress => None,
            Self::Table(keys) => Some(format!("its keys are {}", list_and(&quoted(keys)))),
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => out.write_str("`true` or `false`"),
            Self::Table(_) => out.write_str("a table"),
            Self::Address => out.write_str("an IP address in quotes"),
            Self::HttpAddress => out.write_str("an IP address with a port, in quotes"),
            Self::OneOf(words) => out.write_str(&list_or(&quoted(words))),
            Self::Command => {
                out.write_str("a list of the program and its arguments, or a string for `sh -c`")
            }
        }
    }
}

impl Noun {
    fn help(self, actual: &Actual) -> String {
        match (self, actual) {
            (Self::Text, Actual::Number(number)) => format!("did you mean `\"{number}\"`?"),
            (Self::Text, _) => "write it in quotes".into(),
            (Self::WholeNumber { min, max }, _) => range(min, max),
            (Self::Duration, _) => "write it like `\"5s\"` or `\"100ms\"`".into(),
            (Self::Size, _) => "write it like `\"512MB\"` or as a number of bytes".into(),
            (Self::Signal, _) => "write it like `\"TERM\"`".into(),
            (Self::Umask, _) => "write it in octal and in quotes, as in `\"022\"`".into(),
            (Self::Port, Actual::Number(_)) => "give 1 to 65535".into(),
            (Self::Port, _) => "write 8080, `\"8080-8082\"` or a list of these".into(),
            (Self::ProbePort, Actual::Number(_)) => "give 1 to 65535".into(),
            (Self::ProbePort, _) => "write `true` for the slot's own port, or a number".into(),
            (Self::True, _) => "write `true`, or leave the key out".into(),
            (Self::Status, _) => STATUS_HELP.into(),
            (Self::UrlPath, _) => "write it like `\"/health\"`".into(),
        }
    }
}

impl fmt::Display for Noun {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Text => "a string",
            Self::WholeNumber { .. } => "a whole number",
            Self::Duration => "a duration",
            Self::Size => "a size",
            Self::Signal => "a signal",
            Self::Umask => "a umask",
            Self::Port | Self::ProbePort => "a port",
            Self::True => "`true`",
            Self::Status => "an HTTP status",
            Self::UrlPath => "the path of a URL",
        })
    }
}
