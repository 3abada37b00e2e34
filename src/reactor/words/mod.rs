//! What pm says to people. What happened, to whom, why, and what comes next, in that order.
//!
//! Sentences only: who to tell, and when, is decided elsewhere. [`worker`] has those about one worker, [`run`] those
//! about all of them and about pm itself.

mod run;
mod worker;

use nix::sys::signal::Signal;

pub use self::run::*;
pub use self::worker::*;

/// `a`, `a and b`, `a, b and c`.
fn and(parts: &[impl AsRef<str>]) -> String {
    let parts: Vec<_> = parts.iter().map(AsRef::as_ref).collect();
    match &parts[..] {
        [] => "nothing".into(),
        [one] => (*one).to_owned(),
        [before @ .., last] => format!("{} and {last}", before.join(", ")),
    }
}

fn signal_name(number: i32) -> String {
    match Signal::try_from(number) {
        Ok(signal) => signal.as_str().to_owned(),
        Err(_) => format!("signal {number}"),
    }
}

/// A number of bytes as people write it, if it can be said exactly.
fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 6] = [
        (1_000_000_000, "GB"),
        (1 << 30, "GiB"),
        (1_000_000, "MB"),
        (1 << 20, "MiB"),
        (1_000, "kB"),
        (1 << 10, "KiB"),
    ];
    let exact = UNITS.into_iter().find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit));
    exact.map_or(format!("{bytes} bytes"), |(unit, name)| format!("{} {name}", bytes / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_as_people_write_them() {
        let written = [512_000_000, 1 << 30, 1 << 20, 1_500, 1_001].map(size);
        assert_eq!(written, ["512 MB", "1 GiB", "1 MiB", "1500 bytes", "1001 bytes"]);
    }
}
