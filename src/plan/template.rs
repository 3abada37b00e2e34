//! Placeholders in an argument: `{port}`, `{slot}`, `{n}`, `{pool}`, `{dir}`; `{{` and `}}` are braces.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::PlanError;

/// What the placeholders of one slot stand for.
pub struct Values<'a> {
    pub port: Option<u16>,
    pub slot: &'a str,
    pub n: usize,
    pub pool: &'a str,
    /// The folder that relative paths start from.
    pub dir: &'a Path,
}

/// What is wrong with a placeholder.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Reason {
    #[error(
        "`{{{0}}}` is no placeholder; there are {{port}}, {{slot}}, {{n}}, {{pool}} and {{dir}}, and `{{{{` is a brace"
    )]
    Unknown(String),
    #[error("this brace is never closed; write `{{{{` for a brace")]
    Open,
    #[error("this brace was never opened; write `}}}}` for a brace")]
    Closed,
    #[error("`{{port}}` in a pool without ports; give it some with `--ports`")]
    NoPort,
}

impl Values<'_> {
    /// Fills in one argument.
    ///
    /// # Errors
    /// [`PlanError::Placeholder`] with the argument and the column, from 1, where it is wrong.
    pub fn fill(&self, argument: &OsStr) -> Result<OsString, PlanError> {
        let bytes = argument.as_bytes();
        let mut filled = Vec::with_capacity(bytes.len());
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            let wrong = |reason| PlanError::Placeholder {
                argument: argument.to_string_lossy().into_owned(),
                column: String::from_utf8_lossy(&bytes[..at]).chars().count() + 1,
                reason,
            };
            let doubled = bytes.get(at + 1) == Some(&byte);
            match byte {
                b'{' | b'}' if doubled => {
                    filled.push(byte);
                    at += 2;
                }
                b'{' => {
                    let end = bytes[at..].iter().position(|&b| b == b'}');
                    let end = at + end.ok_or_else(|| wrong(Reason::Open))?;
                    let name = String::from_utf8_lossy(&bytes[at + 1..end]);
                    filled.extend(self.value(&name).map_err(wrong)?.as_bytes());
                    at = end + 1;
                }
                b'}' => return Err(wrong(Reason::Closed)),
                other => {
                    filled.push(other);
                    at += 1;
                }
            }
        }
        Ok(OsString::from_vec(filled))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(argument: &str) -> Result<String, String> {
        let dir = Path::new("/srv");
        let values = Values { port: Some(8081), slot: "web.2", n: 2, pool: "web", dir };
        let filled = values.fill(OsStr::new(argument));
        filled.map(|text| text.into_string().expect("text")).map_err(|error| error.to_string())
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
    fn what_is_no_placeholder_is_refused_with_its_column() {
        let message = fill("--x={prot}").unwrap_err();
        assert_eq!(
            message,
            "in the argument `--x={prot}`, column 5: `{prot}` is no placeholder; \
             there are {port}, {slot}, {n}, {pool} and {dir}, and `{{` is a brace"
        );
        assert!(fill("a{port").unwrap_err().contains("column 2: this brace is never closed"));
        assert!(fill("a}").unwrap_err().contains("column 2: this brace was never opened"));
    }

    #[test]
    fn a_port_in_a_pool_without_ports_is_refused() {
        let values = Values { port: None, slot: "a.1", n: 1, pool: "a", dir: Path::new("/") };
        let error = values.fill(OsStr::new("{port}")).unwrap_err().to_string();
        assert!(error.contains("pool without ports"), "{error}");
    }

    #[test]
    fn bytes_that_are_no_text_pass_untouched() {
        let values = Values { port: None, slot: "a.1", n: 1, pool: "a", dir: Path::new("/") };
        let raw = OsStr::from_bytes(b"\xff{n}\xfe");
        assert_eq!(values.fill(raw).unwrap().as_bytes(), b"\xff1\xfe");
    }
}
