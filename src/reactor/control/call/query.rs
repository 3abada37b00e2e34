//! What stands in the query, the headers and the body of a request.

use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use regex_lite::{Regex, RegexBuilder};
use serde::de::DeserializeOwned;

use super::Format;
use crate::reactor::clock::WallTime;
use crate::reactor::control::http::Request;
use crate::reactor::control::problems;
use crate::wire::Problem;

/// The words of a list that is written with commas.
pub fn words(request: &Request, name: &str) -> Vec<String> {
    let text = request.query(name).unwrap_or_default();
    text.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

pub fn number<N: FromStr>(request: &Request, name: &str) -> Result<Option<N>, Box<Problem>> {
    let Some(text) = request.query(name) else { return Ok(None) };
    let wrong = || problems::bad_request(format!("`{name}` is a number, not `{text}`"));
    text.parse().ok().ok_or_else(wrong).map(Some)
}

pub fn moment(request: &Request, name: &str) -> Result<Option<WallTime>, Box<Problem>> {
    let Some(text) = request.query(name) else { return Ok(None) };
    let time: Option<Timestamp> = text.parse().ok();
    let millis = time.map(|time| WallTime(u64::try_from(time.as_millisecond()).unwrap_or(0)));
    let wrong = || {
        let detail = format!("`{name}` is a time like 2026-11-25T01:02:03Z, not `{text}`");
        problems::bad_request(detail)
    };
    millis.ok_or_else(wrong).map(Some)
}

/// What a pattern takes in memory at most: some 250 characters. The time for a line is this times its length.
const PATTERN_BYTES_MAX: usize = 8 * 1024;

/// A pattern for lines.
pub fn pattern(request: &Request, name: &str) -> Result<Option<Regex>, Box<Problem>> {
    let Some(text) = request.query(name) else { return Ok(None) };
    let built = RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).build();
    built.map(Some).map_err(|error| problems::bad_request(format!("`{name}`: {error}")))
}

pub fn flag(request: &Request, name: &str) -> Result<bool, Box<Problem>> {
    match request.query(name) {
        None | Some("0" | "false") => Ok(false),
        Some("" | "1" | "true") => Ok(true),
        Some(other) => Err(problems::bad_request(format!("`{name}` is 1 or 0, not `{other}`"))),
    }
}

pub fn format(request: &Request) -> Format {
    let accept = request.headers.get("accept").unwrap_or_default();
    if accept.contains("text/event-stream") {
        Format::ServerSent
    } else if accept.contains("json") {
        Format::Lines
    } else {
        Format::Text
    }
}

/// A time that a client asks for, at most a day.
pub fn seconds(seconds: f64) -> Result<Duration, Box<Problem>> {
    const DAY: f64 = 86_400.0;
    if !(0.0..=DAY).contains(&seconds) {
        return Err(problems::bad_request(format!(
            "a timeout is 0 to {DAY} seconds, not {seconds}"
        )));
    }
    Ok(Duration::from_secs_f64(seconds))
}

pub fn body<T: DeserializeOwned>(request: &Request) -> Result<T, Box<Problem>> {
    // Whatever its type says: curl says that of a form.
    let bytes = if request.body.is_empty() { b"{}" } else { &request.body[..] };
    serde_json::from_slice(bytes).map_err(|error| problems::bad_request(format!("body: {error}")))
}
