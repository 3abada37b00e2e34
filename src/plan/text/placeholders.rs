//! Placeholders in an argument: `{port}`, `{slot}`, `{n}`, `{pool}`, `{dir}`; `{{` and `}}` are braces.

use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::suggest::nearest;

/// What the placeholders of one slot stand for.
pub struct Values<'a> {
    pub port: Option<u16>,
    pub slot: &'a str,
    pub n: usize,
    pub pool: &'a str,
    /// The folder that relative paths start from.
    pub dir: &'a Path,
}

/// The placeholders that there are.
pub const NAMES: [&str; 5] = ["port", "slot", "n", "pool", "dir"];

/// Of more wrong placeholders in one argument nobody wants to hear.
const MISPLACED_MAX: usize = 10;

/// A placeholder that is wrong: where in the argument, and how.
#[derive(Debug, PartialEq, Eq)]
pub struct Misplaced {
    pub at: Range<usize>,
    pub reason: Reason,
}

/// What is wrong with a placeholder.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Reason {
    #[error("`{{{0}}}` is no placeholder; {advice}", advice = meant(.0))]
    Unknown(String),
    #[error("this brace is never closed; write `{{{{` for a brace")]
    Open,
    #[error("this brace was never opened; write `}}}}` for a brace")]
    Closed,
    #[error("`{{port}}` in a pool without ports")]
    NoPort,
}

impl Reason {
    /// What more is to be said of it on a command line.
    pub fn on_command_line(&self) -> &'static str {
        match self {
            Self::NoPort => "; give it some with `--ports`",
            Self::Unknown(_) | Self::Open | Self::Closed => "",
        }
    }
}

fn meant(written: &str) -> String {
    match nearest(written.trim(), NAMES) {
        Some(name) => format!("did you mean `{{{name}}}`?"),
        None => {
            "there are `{port}`, `{slot}`, `{n}`, `{pool}` and `{dir}`, and `{{` is a brace".into()
        }
    }
}

impl Values<'_> {
    /// Fills in one argument.
    ///
    /// # Errors
    /// Every placeholder that is none, at least one.
    pub fn fill(&self, argument: &OsStr) -> Result<OsString, Vec<Misplaced>> {
        let bytes = argument.as_bytes();
        let (mut filled, mut wrong) = (Vec::with_capacity(bytes.len()), Vec::new());
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            let is_doubled = bytes.get(at + 1) == Some(&byte);
            let start = at;
            at += 1;
            match byte {
                b'{' | b'}' if is_doubled => {
                    filled.push(byte);
                    at += 1;
                }
                b'{' => match name_of(&bytes[at..]) {
                    Some(name) => {
                        at += name.len() + 1;
                        match self.value(&String::from_utf8_lossy(name)) {
                            Ok(value) => filled.extend(value.as_bytes()),
                            Err(reason) => wrong.push(Misplaced { at: start..at, reason }),
                        }
                    }
                    None => wrong.push(Misplaced { at: start..at, reason: Reason::Open }),
                },
                b'}' => wrong.push(Misplaced { at: start..at, reason: Reason::Closed }),
                other => filled.push(other),
            }
            if wrong.len() == MISPLACED_MAX {
                break;
            }
        }
        if wrong.is_empty() { Ok(OsString::from_vec(filled)) } else { Err(wrong) }
    }

    fn value(&self, name: &str) -> Result<OsString, Reason> {
        match name {
            "port" => Ok(self.port.ok_or(Reason::NoPort)?.to_string().into()),
            "slot" => Ok(self.slot.into()),
            "n" => Ok(self.n.to_string().into()),
            "pool" => Ok(self.pool.into()),
            "dir" => Ok(self.dir.into()),
            other => Err(Reason::Unknown(other.to_owned())),
        }
    }
}

/// What stands before the brace that closes a placeholder. Another one that opens before that, or the end of the line,
/// means that the first was a brace that had not been doubled.
fn name_of(rest: &[u8]) -> Option<&[u8]> {
    let end = rest.iter().position(|byte| [b'}', b'{', b'\n'].contains(byte))?;
    (rest[end] == b'}').then(|| &rest[..end])
}

/// The text in which every placeholder and brace is as it was: what `fill` makes `text` of.
pub fn escaped(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(argument: &str) -> Result<String, String> {
        let dir = Path::new("/srv");
        let values = Values { port: Some(8081), slot: "web.2", n: 2, pool: "web", dir };
        let filled = values.fill(OsStr::new(argument));
        let said = |wrong: Vec<Misplaced>| {
            let lines = wrong.iter().map(|wrong| format!("{:?}: {}", wrong.at, wrong.reason));
            lines.collect::<Vec<_>>().join("\n")
        };
        filled.map(|text| text.into_string().expect("text")).map_err(said)
    }

    #[test]
    fn every_placeholder_is_filled_in_wherever_it_stands() {
        assert_eq!(fill("{dir}/{pool}-{n}:{port}{slot}").unwrap(), "/srv/web-2:8081web.2");
    }

    #[test]
    fn a_doubled_brace_is_a_brace() {
        assert_eq!(fill(r#"{{"a": {port}}}"#).unwrap(), r#"{"a": 8081}"#);
    }

    #[test]
    fn what_is_no_placeholder_is_refused_with_its_place() {
        assert_eq!(
            fill("--x={prot}").unwrap_err(),
            "4..10: `{prot}` is no placeholder; did you mean `{port}`?"
        );
        assert_eq!(
            fill("{host}").unwrap_err(),
            "0..6: `{host}` is no placeholder; \
             there are `{port}`, `{slot}`, `{n}`, `{pool}` and `{dir}`, and `{{` is a brace"
        );
        let several = fill("{a} {port} } {").unwrap_err();
        let places: Vec<_> = several.lines().map(|line| &line[..4]).collect();
        assert_eq!(places, ["0..3", "11..", "13.."]);
        assert!(fill("a{port").unwrap_err().contains("1..2: this brace is never closed"));
        assert!(fill("{ echo {port}").unwrap_err().contains("0..1: this brace is never closed"));
        assert!(fill("a}").unwrap_err().contains("1..2: this brace was never opened"));
    }

    #[test]
    fn an_escaped_text_is_filled_to_itself() {
        for text in ["${A:-{port}}", "}{", "awk '{print $1}'"] {
            assert_eq!(fill(&escaped(text)).unwrap(), text);
        }
    }

    #[test]
    fn a_port_in_a_pool_without_ports_is_refused() {
        let values = Values { port: None, slot: "a.1", n: 1, pool: "a", dir: Path::new("/") };
        assert_eq!(values.fill(OsStr::new("{port}")).unwrap_err()[0].reason, Reason::NoPort);
    }

    #[test]
    fn bytes_that_are_no_text_pass_untouched() {
        let values = Values { port: None, slot: "a.1", n: 1, pool: "a", dir: Path::new("/") };
        let raw = OsStr::from_bytes(b"\xff{n}\xfe");
        assert_eq!(values.fill(raw).unwrap().as_bytes(), b"\xff1\xfe");
    }
}
