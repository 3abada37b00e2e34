//! How many of each: `all=1,web=3`, as foreman has it.

use std::collections::BTreeMap;

use super::text::diagnostics::{Fault, Findings};
use super::text::lines::BLANKS;
use super::text::suggest::advice;
use super::{STRING_BYTES_MAX, WORKERS_MAX};

/// The word for every process type that is not named.
const ALL: &str = "all";

/// Reads how many workers each of `names` has. A name that is not there has what `all` has, or none.
///
/// What is wrong is noted in `findings`, as of a text that is called `-m`.
pub fn counts(written: &str, names: &[&str], findings: &mut Findings) -> Vec<usize> {
    let file = findings.source("-m", written);
    if written.len() > STRING_BYTES_MAX {
        findings.add(Fault::new(file, 0..written.len(), "a formation this long is none"));
        return Vec::new();
    }
    let mut said = BTreeMap::new();
    let mut next = 0;
    for part in written.split(',') {
        if findings.is_full() {
            break;
        }
        let start = next + (part.len() - part.trim_start_matches(BLANKS).len());
        next += part.len() + 1;
        let part = part.trim_matches(BLANKS);
        let at = start..start + part.len();
        let Some((name, count)) = part.split_once('=') else {
            let fault = Fault::new(file, at, format!("`{part}` is no count"));
            findings.add(fault.help("write `web=3`, as in `-m all=1,web=3`"));
            continue;
        };
        let (name_at, count_at) = (at.start..at.start + name.len(), at.end - count.len()..at.end);
        let name = name.trim_end_matches(BLANKS);
        if name != ALL && !names.contains(&name) {
            let words = names.iter().copied().chain([ALL]);
            let fault = Fault::new(file, name_at, format!("no process type is called `{name}`"));
            findings.add(fault.help(advice(name, words)));
            continue;
        }
        let digits = count.trim_start_matches(BLANKS);
        let count = digits.parse().ok().filter(|count| *count <= WORKERS_MAX);
        let Some(count) = count.filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit())) else {
            let fault = Fault::new(file, count_at, format!("`{digits}` is no number of workers"));
            findings.add(fault.help(format!("give 0 to {WORKERS_MAX}")));
            continue;
        };
        if let Some((_, first)) = said.insert(name, (count, at.clone())) {
            let fault = Fault::new(file, at, format!("`{name}` is there twice"));
            findings.add(fault.related(first, "the first time"));
        }
    }
    let count = |name: &str| said.get(name).or_else(|| said.get(ALL)).map_or(0, |(n, _)| *n);
    let counts: Vec<_> = names.iter().map(|name| count(name)).collect();
    let total: usize = counts.iter().sum();
    if total == 0 && findings.is_empty() {
        let fault = Fault::new(file, 0..written.len(), "this keeps nothing alive");
        findings.add(fault.help("give one of them 1 or more"));
    }
    if total > WORKERS_MAX {
        let message = format!("these are {total} workers, and {WORKERS_MAX} is the most");
        findings.add(Fault::new(file, 0..written.len(), message));
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(written: &str) -> Result<Vec<usize>, String> {
        let mut findings = Findings::default();
        let counts = counts(written, &["web", "worker", "clock"], &mut findings);
        findings.or(counts).map_err(|faults| faults.to_string())
    }

    #[test]
    fn a_type_that_is_not_named_has_what_all_has_or_none() {
        assert_eq!(read("all=1,web=3").unwrap(), [3, 1, 1]);
        assert_eq!(read("web=3, worker = 0, all=2").unwrap(), [3, 0, 2]);
        assert_eq!(read("web=1").unwrap(), [1, 0, 0]);
    }

    #[test]
    fn what_is_no_formation_is_refused_with_its_place() {
        for (written, said) in [
            ("all=1,wbe=3", "-m:1:7: no process type is called `wbe`; did you mean `web`?"),
            ("db=3", "-m:1:1: no process type is called `db`; there is `web`, `worker`, `clock`"),
            ("web", "-m:1:1: `web` is no count; write `web=3`"),
            ("web=1,", "-m:1:7: `` is no count"),
            ("web=x", "-m:1:5: `x` is no number of workers; give 0 to 1000"),
            ("web=+1", "-m:1:5: `+1` is no number of workers"),
            ("web=1001", "-m:1:5: `1001` is no number of workers"),
            ("web=1,web=2", "-m:1:7: `web` is there twice"),
            ("all=0", "-m:1:1: this keeps nothing alive; give one of them 1 or more"),
            ("all=500", "-m:1:1: these are 1500 workers, and 1000 is the most"),
        ] {
            let faults = read(written).unwrap_err();
            assert!(faults.starts_with(said), "{faults}");
        }
    }
}
