//! Placeholders in a text: `{port}`, `{slot}`, `{n}`, `{pool}`, `{dir}`; `{{` and `}}` are braces.
//!
//! A text is parsed once, which finds every fault in it, and filled in for each slot, which cannot fail.

use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::explain::Explain;
use super::suggest::nearest;

/// A text whose placeholders are not yet filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

/// What the placeholders stand for in one slot.
pub struct Values<'a> {
    pub port: Option<u16>,
    pub slot: &'a str,
    pub n: usize,
    pub pool: &'a str,
    /// The folder that relative paths start from.
    pub dir: &'a Path,
}

/// Whether the slots that a text is for own ports. Without ports there is no `{port}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotPorts {
    Owned,
    None,
}

/// A placeholder that is wrong: where in the text, and how.
#[derive(Debug, PartialEq, Eq)]
pub struct Misplaced {
    pub at: Range<usize>,
    pub fault: PlaceholderFault,
}

/// What is wrong with a placeholder.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum PlaceholderFault {
    #[error("`{{{0}}}` is not a placeholder")]
    Unknown(String),
    /// After a `$`, as a shell writes a variable.
    #[error("`{{{0}}}` is not a placeholder")]
    ShellVariable(String),
    #[error("this brace is not closed")]
    Open,
    #[error("this brace was not opened")]
    Closed,
    #[error("`{{port}}` in a pool without ports")]
    NoPort,
}

/// A part of a template: a text, or what a placeholder stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Text(OsString),
    Port,
    Slot,
    N,
    Pool,
    Dir,
}

/// The names of all placeholders.
pub(crate) const NAMES: [&str; 5] = ["port", "slot", "n", "pool", "dir"];

/// More wrong placeholders than these are not reported of one text.
const MISPLACED_MAX: usize = 10;

impl Explain for PlaceholderFault {
    fn help(&self) -> Option<String> {
        Some(match self {
            Self::Unknown(written) => match nearest(written.trim(), NAMES) {
                Some(name) => format!("did you mean `{{{name}}}`?"),
                None => "use `{port}`, `{slot}`, `{n}`, `{pool}` or `{dir}`, and `{{` for a brace"
                    .into(),
            },
            Self::ShellVariable(name) => {
                format!("for `${{{name}}}` of the shell write `${{{{{name}}}}}`")
            }
            Self::Open => "write `{{` for a brace".into(),
            Self::Closed => "write `}}` for a brace".into(),
            Self::NoPort => "give it ports, as in `ports = \"8080-8082\"`".into(),
        })
    }
}

impl Template {
    /// Reads a text.
    ///
    /// # Errors
    /// Every placeholder that does not exist, and every brace that is not one of a pair. At least one.
    pub fn parse(text: &OsStr, ports: SlotPorts) -> Result<Self, Vec<Misplaced>> {
        let bytes = text.as_bytes();
        let (mut parts, mut literal, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            let is_doubled = bytes.get(at + 1) == Some(&byte);
            let start = at;
            at += 1;
            let found = match byte {
                b'{' | b'}' if is_doubled => {
                    literal.push(byte);
                    at += 1;
                    continue;
                }
                b'{' => match name_of(&bytes[at..]) {
                    Some(name) => {
                        at += name.len() + 1;
                        let part = Part::of(&String::from_utf8_lossy(name), ports);
                        part.map_err(|fault| match fault {
                            PlaceholderFault::Unknown(name) if bytes[..start].ends_with(b"$") => {
                                PlaceholderFault::ShellVariable(name)
                            }
                            other => other,
                        })
                    }
                    None => Err(PlaceholderFault::Open),
                },
                b'}' => Err(PlaceholderFault::Closed),
                other => {
                    literal.push(other);
                    continue;
                }
            };
            match found {
                Ok(part) => {
                    parts.extend([text_part(&mut literal), Some(part)].into_iter().flatten())
                }
                Err(fault) => wrong.push(Misplaced { at: start..at, fault }),
            }
            if wrong.len() == MISPLACED_MAX {
                break;
            }
        }
        parts.extend(text_part(&mut literal));
        if wrong.is_empty() { Ok(Self(parts)) } else { Err(wrong) }
    }

    /// A text that has no placeholders: every brace is a brace.
    pub fn literal(text: impl Into<OsString>) -> Self {
        Self(vec![Part::Text(text.into())])
    }

    /// One placeholder and nothing else.
    pub fn placeholder(part: Part) -> Self {
        Self(vec![part])
    }

    /// Its parts in their order, for a text that another program fills in.
    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    /// The text for one slot.
    pub fn fill(&self, values: &Values<'_>) -> OsString {
        let mut filled = OsString::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => filled.push(text),
                Part::Port => {
                    let port = values.port.expect("`parse` refuses {port} in a pool without ports");
                    filled.push(port.to_string());
                }
                Part::Slot => filled.push(values.slot),
                Part::N => filled.push(values.n.to_string()),
                Part::Pool => filled.push(values.pool),
                Part::Dir => filled.push(values.dir),
            }
        }
        filled
    }
}

impl Part {
    fn of(name: &str, ports: SlotPorts) -> Result<Self, PlaceholderFault> {
        match (name, ports) {
            ("port", SlotPorts::Owned) => Ok(Self::Port),
            ("port", SlotPorts::None) => Err(PlaceholderFault::NoPort),
            ("slot", _) => Ok(Self::Slot),
            ("n", _) => Ok(Self::N),
            ("pool", _) => Ok(Self::Pool),
            ("dir", _) => Ok(Self::Dir),
            (other, _) => Err(PlaceholderFault::Unknown(other.to_owned())),
        }
    }
}

/// The bytes between two placeholders, if there are any.
fn text_part(literal: &mut Vec<u8>) -> Option<Part> {
    let bytes = std::mem::take(literal);
    (!bytes.is_empty()).then(|| Part::Text(OsString::from_vec(bytes)))
}

/// The name before the brace that closes a placeholder. If another brace opens before that, or the line ends, the
/// first one was a brace that had not been doubled.
fn name_of(rest: &[u8]) -> Option<&[u8]> {
    let end = rest.iter().position(|byte| [b'}', b'{', b'\n'].contains(byte))?;
    (rest[end] == b'}').then(|| &rest[..end])
}

/// The text that is filled in to `text` itself: every brace of it doubled.
pub fn escaped(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(text: &str) -> Result<String, String> {
        let dir = Path::new("/srv");
        let values = Values { port: Some(8081), slot: "web.2", n: 2, pool: "web", dir };
        let lines = |wrong: Vec<Misplaced>| {
            let lines = wrong.iter().map(|wrong| format!("{:?}: {}", wrong.at, wrong.fault));
            lines.collect::<Vec<_>>().join("\n")
        };
        let template = Template::parse(OsStr::new(text), SlotPorts::Owned).map_err(lines)?;
        Ok(template.fill(&values).into_string().expect("text"))
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
    fn what_is_not_a_placeholder_is_refused_with_its_place() {
        assert_eq!(fill("--x={prot}").unwrap_err(), "4..10: `{prot}` is not a placeholder");
        let several = fill("{a} {port} } {").unwrap_err();
        let places: Vec<_> = several.lines().map(|line| &line[..4]).collect();
        assert_eq!(places, ["0..3", "11..", "13.."]);
        assert!(fill("a{port").unwrap_err().contains("1..2: this brace is not closed"));
        assert!(fill("{ echo {port}").unwrap_err().contains("0..1: this brace is not closed"));
        assert!(fill("a}").unwrap_err().contains("1..2: this brace was not opened"));
    }

    #[test]
    fn the_help_names_the_nearest_placeholder_or_all_of_them() {
        let help = |name: &str| PlaceholderFault::Unknown(name.into()).help().unwrap();
        assert_eq!(help("prot"), "did you mean `{port}`?");
        assert!(help("host").starts_with("use `{port}`, `{slot}`, `{n}`, `{pool}` or `{dir}`"));
    }

    #[test]
    fn an_escaped_text_is_filled_to_itself() {
        for text in ["${A:-{port}}", "}{", "awk '{print $1}'"] {
            assert_eq!(fill(&escaped(text)).unwrap(), text);
        }
    }

    #[test]
    fn a_port_in_a_pool_without_ports_is_refused() {
        let wrong = Template::parse(OsStr::new("{port}"), SlotPorts::None).unwrap_err();
        assert_eq!(wrong[0].fault, PlaceholderFault::NoPort);
    }

    #[test]
    fn bytes_that_are_not_text_are_kept() {
        let values = Values { port: None, slot: "a.1", n: 1, pool: "a", dir: Path::new("/") };
        let raw = Template::parse(OsStr::from_bytes(b"\xff{n}\xfe"), SlotPorts::None).unwrap();
        assert_eq!(raw.fill(&values).as_bytes(), b"\xff1\xfe");
    }
}
