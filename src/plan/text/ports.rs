//! The ports that a pool owns: `8080-8082`, `8080,8090` or both.

use std::ops::{Range, RangeInclusive};
use std::str::FromStr;

use super::explain::{Explain, Sentence};
use crate::plan::WORKERS_MAX;

/// Ports, each once, in the order given. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports(Vec<u16>);

/// Why a text is not a list of ports.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum PortsError {
    #[error("`{0}` is not a port")]
    NotAPort(String),
    #[error("the range `{0}-{1}` is backwards")]
    Backwards(u16, u16),
    #[error("port {0} is listed twice")]
    Twice(u16),
    #[error("with `{first}-{last}` there are {total} ports")]
    TooMany { first: u16, last: u16, total: usize },
}

impl Explain for PortsError {
    fn help(&self) -> Option<String> {
        Some(match self {
            Self::NotAPort(_) => "give 1 to 65535, as in `8080-8082` or `8080,8090`".into(),
            Self::Backwards(first, last) => format!("did you mean `{last}-{first}`?"),
            Self::Twice(_) => {
                "each slot owns its port alone; use another port for one of them".into()
            }
            Self::TooMany { .. } => format!("a pool may have at most {WORKERS_MAX}"),
        })
    }
}

impl Ports {
    pub fn as_slice(&self) -> &[u16] {
        &self.0
    }
}

/// One part of a list of ports, and where in the text it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub at: Range<usize>,
    pub ports: RangeInclusive<u16>,
}

/// Reads a list of ports part by part. It does not notice a port that is listed twice.
///
/// # Errors
/// The first part that is not a port or a range of ports: where it stands, and what is wrong with it.
pub fn parts(text: &str) -> Result<Vec<Part>, (Range<usize>, PortsError)> {
    let (mut parts, mut total, mut next) = (Vec::new(), 0, 0);
    for part in text.split(',') {
        let start = next + (part.len() - part.trim_start().len());
        next += part.len() + 1;
        let part = part.trim();
        let at = start..start + part.len();
        let ports = range(part).map_err(|error| (at.clone(), error))?;
        total += ports.len();
        if total > WORKERS_MAX {
            let (first, last) = ports.into_inner();
            return Err((at, PortsError::TooMany { first, last, total }));
        }
        parts.push(Part { at, ports });
    }
    Ok(parts)
}

fn range(part: &str) -> Result<RangeInclusive<u16>, PortsError> {
    let (first, last) = match part.split_once('-') {
        Some((first, last)) => (port(first)?, port(last)?),
        None => (port(part)?, port(part)?),
    };
    if last < first { Err(PortsError::Backwards(first, last)) } else { Ok(first..=last) }
}

impl FromStr for Ports {
    type Err = Sentence<PortsError>;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = parts(text).map_err(|(_, error)| Sentence(error))?;
        let mut ports = Vec::new();
        for port in parts.into_iter().flat_map(|part| part.ports) {
            if ports.contains(&port) {
                return Err(Sentence(PortsError::Twice(port)));
            }
            ports.push(port);
        }
        Ok(Self(ports))
    }
}

fn port(text: &str) -> Result<u16, PortsError> {
    let text = text.trim();
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|port| digits && text.len() <= 5 && *port > 0)
        .ok_or_else(|| PortsError::NotAPort(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(text: &str) -> Result<Vec<u16>, String> {
        text.parse::<Ports>().map(|ports| ports.0).map_err(|error| error.to_string())
    }

    #[test]
    fn ranges_and_lists_mix() {
        assert_eq!(ports("8080-8082").unwrap(), [8080, 8081, 8082]);
        assert_eq!(ports("9000, 8080-8081").unwrap(), [9000, 8080, 8081]);
        assert_eq!(ports("65535").unwrap(), [65535]);
    }

    #[test]
    fn what_is_not_a_port_is_refused_with_the_range_of_ports() {
        for bad in ["", "0", "65536", "80a", "+80", "8080-", "8080,,8081", "-1"] {
            assert!(ports(bad).unwrap_err().contains("is not a port; give 1 to 65535"), "{bad}");
        }
    }

    #[test]
    fn a_backward_range_a_repeated_port_and_too_many_are_refused() {
        let backwards = ports("8082-8080").unwrap_err();
        assert_eq!(backwards, "the range `8082-8080` is backwards; did you mean `8080-8082`?");
        assert!(ports("8080-8082,8081").unwrap_err().contains("port 8081 is listed twice"));
        assert!(ports("1-65535").unwrap_err().contains("there are 65535 ports"));
        assert!(ports("1-50001").unwrap_err().contains("there are 50001 ports"));
        assert!(parts("1-50000").is_ok());
    }

    #[test]
    fn a_part_knows_where_it_stands() {
        let read = parts("9000, 8080-8081").unwrap();
        assert_eq!(read[1], Part { at: 6..15, ports: 8080..=8081 });
        let (at, _) = parts("9000 ,  80x ,1").unwrap_err();
        assert_eq!(at, 8..11);
    }
}
