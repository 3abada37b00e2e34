//! How many workers of each process type: `all=1,web=3`, as foreman has it.

use std::collections::BTreeMap;
use std::ops::Range;

use super::text::diagnostics::{Fault, Findings, SourceId};
use super::text::explain::Explain;
use super::text::lines::BLANKS;
use super::text::suggest::Suggestion;
use super::{STRING_BYTES_MAX, WORKERS_MAX};

/// The word for every process type that is not named.
const ALL: &str = "all";

/// What is wrong with a formation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormationFault {
    #[error("this is too long for a formation")]
    TooLong,
    #[error("`{0}` is not a count")]
    NotACount(String),
    #[error("there is no process type `{name}`")]
    NoProcessType { name: String, suggestion: Suggestion },
    #[error("`{0}` is not a number of workers")]
    NotANumber(String),
    #[error("`{0}` is there twice")]
    Twice(String),
    #[error("this keeps no worker alive")]
    NoWorkers,
    #[error("these are {0} workers")]
    TooManyWorkers(usize),
}

impl Explain for FormationFault {
    fn help(&self) -> Option<String> {
        Some(match self {
            Self::TooLong | Self::NotACount(_) => "write `web=3`, as in `-m all=1,web=3`".into(),
            Self::NoProcessType { suggestion, .. } => suggestion.to_string(),
            Self::NotANumber(_) => format!("give 0 to {WORKERS_MAX}"),
            Self::Twice(_) => "remove one of the two".into(),
            Self::NoWorkers => "give one of them 1 or more".into(),
            Self::TooManyWorkers(_) => format!("there can be at most {WORKERS_MAX}"),
        })
    }
}

/// Reads the number of workers of each of `names`. A name that is not mentioned has the number of `all`, or none.
///
/// Faults are added to `findings`, as those of a text that is called `-m`.
pub fn counts(written: &str, names: &[&str], findings: &mut Findings) -> Vec<usize> {
    let file = findings.add_source("-m", written);
    let whole = 0..written.len();
    if written.len() > STRING_BYTES_MAX {
        findings.add(Fault::new(file, whole, FormationFault::TooLong));
        return Vec::new();
    }
    let given = given_counts(file, written, names, findings);
    let count = |name: &str| given.get(name).or_else(|| given.get(ALL)).map_or(0, |(n, _)| *n);
    let counts: Vec<_> = names.iter().map(|name| count(name)).collect();
    let total: usize = counts.iter().sum();
    if total == 0 && findings.is_empty() {
        findings.add(Fault::new(file, whole, FormationFault::NoWorkers));
    } else if total > WORKERS_MAX {
        findings.add(Fault::new(file, whole, FormationFault::TooManyWorkers(total)));
    }
    counts
}

/// The number that stands beside each name, and where the two stand.
fn given_counts<'a>(
    file: SourceId,
    written: &'a str,
    names: &[&str],
    findings: &mut Findings,
) -> BTreeMap<&'a str, (usize, Range<usize>)> {
    let mut given = BTreeMap::new();
    let mut next = 0;
    for part in written.split(',') {
        if findings.is_full() {
            break;
        }
        let start = next + (part.len() - part.trim_start_matches(BLANKS).len());
        next += part.len() + 1;
        let part = part.trim_matches(BLANKS);
        let at = start..start + part.len();
        let (name, count) = match name_and_count(part, names) {
            Ok(pair) => pair,
            Err((within, kind)) => {
                findings.add(Fault::new(file, start + within.start..start + within.end, kind));
                continue;
            }
        };
        if let Some((_, first)) = given.insert(name, (count, at.clone())) {
            let fault = Fault::new(file, at, FormationFault::Twice(name.to_owned()));
            findings.add(fault.related(first, "the first time"));
        }
    }
    given
}

/// Reads `web=3`, or says which part of it is wrong.
fn name_and_count<'a>(
    part: &'a str,
    names: &[&str],
) -> Result<(&'a str, usize), (Range<usize>, FormationFault)> {
    let Some((written, count)) = part.split_once('=') else {
        return Err((0..part.len(), FormationFault::NotACount(part.to_owned())));
    };
    let name = written.trim_end_matches(BLANKS);
    if name != ALL && !names.contains(&name) {
        let suggestion = Suggestion::of(name, names.iter().copied().chain([ALL]));
        let fault = FormationFault::NoProcessType { name: name.to_owned(), suggestion };
        return Err((0..written.len(), fault));
    }
    let digits = count.trim_start_matches(BLANKS);
    let is_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.parse() {
        Ok(count) if is_digits && count <= WORKERS_MAX => Ok((name, count)),
        Ok(_) | Err(_) => {
            let at = part.len() - count.len()..part.len();
            Err((at, FormationFault::NotANumber(digits.to_owned())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(written: &str) -> Result<Vec<usize>, String> {
        let mut findings = Findings::default();
        let counts = counts(written, &["web", "worker", "clock"], &mut findings);
        findings.finish(counts).map_err(|faults| faults.to_string())
    }

    #[test]
    fn a_type_that_is_not_named_has_the_number_of_all_or_none() {
        assert_eq!(read("all=1,web=3").unwrap(), [3, 1, 1]);
        assert_eq!(read("web=3, worker = 0, all=2").unwrap(), [3, 0, 2]);
        assert_eq!(read("web=1").unwrap(), [1, 0, 0]);
        assert_eq!(read("web=50000").unwrap(), [50_000, 0, 0]);
    }

    #[test]
    fn what_is_not_a_formation_is_refused_with_its_place() {
        for (written, said) in [
            ("all=1,wbe=3", "-m:1:7: there is no process type `wbe`; did you mean `web`?"),
            (
                "db=3",
                "-m:1:1: there is no process type `db`; use `web`, `worker`, `clock` or `all`",
            ),
            ("web", "-m:1:1: `web` is not a count; write `web=3`"),
            ("web=1,", "-m:1:7: `` is not a count"),
            ("web=x", "-m:1:5: `x` is not a number of workers; give 0 to 50000"),
            ("web=+1", "-m:1:5: `+1` is not a number of workers"),
            ("web=50001", "-m:1:5: `50001` is not a number of workers"),
            ("web=1,web=2", "-m:1:7: `web` is there twice"),
            ("all=0", "-m:1:1: this keeps no worker alive; give one of them 1 or more"),
            ("all=20000", "-m:1:1: these are 60000 workers; there can be at most 50000"),
        ] {
            let faults = read(written).unwrap_err();
            assert!(faults.starts_with(said), "{faults}");
        }
    }
}
