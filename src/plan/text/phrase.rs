//! Parts of sentences that all floors share: lists, counts, ports and sizes, each worded in this one place.
//!
//! Whole sentences are made elsewhere: those about workers in the reactor, those about faults beside their kinds.
//! Durations are in [`super::duration::words`].

use super::size;

/// More ports than these are not listed one by one.
const PORTS_LISTED_MAX: usize = 8;

/// More slots or ranges of slots than these are only counted.
const SLOTS_LISTED_MAX: usize = 20;

/// `a`, `a and b`, `a, b and c`. Of no parts at all: `nothing`.
pub fn list_and(parts: &[impl AsRef<str>]) -> String {
    list(parts, "and")
}

/// `a`, `a or b`, `a, b or c`. Of no parts at all: `nothing`.
pub fn list_or(parts: &[impl AsRef<str>]) -> String {
    list(parts, "or")
}

/// `1 worker`, `3 workers`. The noun is one whose plural ends in `s`.
pub fn count(n: usize, noun: &str) -> String {
    match n {
        1 => format!("1 {noun}"),
        several => format!("{several} {noun}s"),
    }
}

/// `port 8080`, `ports 8080 to 8082`, `ports 80, 90`, or for many `40 ports between 80 and 9000`. Of none: `no port`.
pub fn ports(ports: &[u16]) -> String {
    match ports {
        [] => "no port".into(),
        [one] => format!("port {one}"),
        [first, .., last] if is_range(ports) => format!("ports {first} to {last}"),
        several if several.len() <= PORTS_LISTED_MAX => {
            let several: Vec<_> = several.iter().map(u16::to_string).collect();
            format!("ports {}", several.join(", "))
        }
        many => {
            let least = many.iter().min().expect("there are many");
            let most = many.iter().max().expect("there are many");
            format!("{} ports between {least} and {most}", many.len())
        }
    }
}

/// `512 MB`, `1 GiB`, or `1500 bytes`: the largest unit in which the number is a whole one.
pub fn bytes(bytes: u64) -> String {
    let (number, unit) = size::in_exact_unit(bytes).unwrap_or((bytes, "bytes"));
    format!("{number} {unit}")
}

/// The names of slots: three or more in a row as `web.1 to web.300`, and of very many the first ones.
pub fn slots(names: &[impl AsRef<str>]) -> String {
    let mut ranges: Vec<(&str, &str, usize)> = Vec::new();
    for name in names.iter().map(AsRef::as_ref) {
        match ranges.last_mut() {
            Some((_, last, count)) if is_next(last, name) => (*last, *count) = (name, *count + 1),
            Some(_) | None => ranges.push((name, name, 1)),
        }
    }
    let mut parts = Vec::new();
    let mut shown = 0;
    for (first, last, count) in ranges {
        if parts.len() >= SLOTS_LISTED_MAX {
            parts.push(format!("{} more", names.len() - shown));
            break;
        }
        shown += count;
        match count {
            1 => parts.push(first.to_owned()),
            2 => parts.extend([first.to_owned(), last.to_owned()]),
            _ => parts.push(format!("{first} to {last}")),
        }
    }
    list_and(&parts)
}

/// True if the slot `next` is the one after `last`: `web.2` after `web.1`.
fn is_next(last: &str, next: &str) -> bool {
    let split = |name| {
        let (pool, n) = str::rsplit_once(name, '.')?;
        Some((pool, n.parse::<usize>().ok()?))
    };
    let (Some((pool, n)), Some(next)) = (split(last), split(next)) else { return false };
    next == (pool, n + 1)
}

fn list(parts: &[impl AsRef<str>], word: &str) -> String {
    let parts: Vec<_> = parts.iter().map(AsRef::as_ref).collect();
    match parts.as_slice() {
        [] => "nothing".into(),
        [one] => (*one).to_owned(),
        [before @ .., last] => format!("{} {word} {last}", before.join(", ")),
    }
}

/// True if each port is the one before it and 1.
fn is_range(ports: &[u16]) -> bool {
    ports.windows(2).all(|pair| pair[0].checked_add(1) == Some(pair[1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_listed_with_commas_and_one_word_before_the_last() {
        let parts = ["a", "b", "c"];
        let listed = [0, 1, 2, 3].map(|n| list_and(&parts[..n]));
        assert_eq!(listed, ["nothing", "a", "a and b", "a, b and c"]);
        assert_eq!(list_or(&parts), "a, b or c");
    }

    #[test]
    fn one_is_singular_and_any_other_number_is_plural() {
        assert_eq!([0, 1, 2].map(|n| count(n, "worker")), ["0 workers", "1 worker", "2 workers"]);
    }

    #[test]
    fn ports_in_a_row_are_a_range_and_many_others_are_counted() {
        assert_eq!(ports(&[8080]), "port 8080");
        assert_eq!(ports(&[8080, 8081, 8082]), "ports 8080 to 8082");
        assert_eq!(ports(&[8080, 9000, 8082]), "ports 8080, 9000, 8082");
        assert_eq!(ports(&[65535, 1]), "ports 65535, 1");
        let many: Vec<_> = (1..=40).map(|n| n * 10).collect();
        assert_eq!(ports(&many), "40 ports between 10 and 400");
    }

    #[test]
    fn slots_in_a_row_are_a_range_and_the_last_of_many_are_counted() {
        assert_eq!(slots(&["web.1", "web.2"]), "web.1 and web.2");
        assert_eq!(slots(&["web.1", "web.2", "web.3", "a.4"]), "web.1 to web.3 and a.4");
        assert_eq!(slots(&["web.1", "a.2", "a.4"]), "web.1, a.2 and a.4");
        let many: Vec<_> = (1..=50_000).map(|n| format!("w.{n}")).collect();
        assert_eq!(slots(&many), "w.1 to w.50000");
        let pools: Vec<_> = (1..=300).map(|n| format!("p{n}.1")).collect();
        assert!(slots(&pools).ends_with("p20.1 and 280 more"), "{}", slots(&pools));
    }

    #[test]
    fn sizes_are_written_in_the_largest_unit_that_is_exact() {
        let written = [512_000_000, 1 << 30, 1 << 20, 1_500, 1_001, 0].map(bytes);
        assert_eq!(written, ["512 MB", "1 GiB", "1 MiB", "1500 bytes", "1001 bytes", "0 bytes"]);
    }
}
