//! The signal that asks a worker to stop, as people write it: `TERM`, `SIGINT`, `quit`, 15.

use nix::sys::signal::Signal;

use super::suggest::nearest;

/// The greatest number of a signal on Linux (signal(7), SIGRTMAX).
const MAX: i64 = 64;

/// Why something is no stop signal.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum StopSignalError {
    #[error("there is no signal `{0}`; {advice}", advice = meant(.0))]
    Unknown(String),
    #[error("{0} is no signal; their numbers are 1 to 64")]
    NoNumber(i64),
    #[error("SIGKILL leaves no time to stop; `grace = \"0s\"` kills at once")]
    Kill,
    #[error("SIGSTOP only halts a worker and never ends it; leave `signal` out for SIGTERM")]
    Stop,
}

/// The number of a signal by its name, with or without SIG, in any case, or by its number.
///
/// # Errors
/// If there is no such signal, or if it is one that no worker can catch.
pub fn by_name(written: &str) -> Result<i32, StopSignalError> {
    let upper = written.trim().to_ascii_uppercase();
    if let Ok(number) = upper.parse() {
        return by_number(number);
    }
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let signal = Signal::iterator().find(|signal| &signal.as_str()[3..] == name);
    let signal = signal.ok_or_else(|| StopSignalError::Unknown(written.to_owned()))?;
    by_number(signal as i64)
}

/// A signal by its number.
///
/// # Errors
/// As [`by_name`].
pub fn by_number(number: i64) -> Result<i32, StopSignalError> {
    if !(1..=MAX).contains(&number) {
        return Err(StopSignalError::NoNumber(number));
    }
    let number = i32::try_from(number).expect("64 at most");
    match Signal::try_from(number) {
        Ok(Signal::SIGKILL) => Err(StopSignalError::Kill),
        Ok(Signal::SIGSTOP) => Err(StopSignalError::Stop),
        Ok(_) | Err(_) => Ok(number),
    }
}

/// `SIGTERM`, or `signal 34` for one that has no name of its own (signal(7), real-time signals).
pub fn name(number: i32) -> String {
    match Signal::try_from(number) {
        Ok(signal) => signal.as_str().to_owned(),
        Err(_) => format!("signal {number}"),
    }
}

fn meant(written: &str) -> String {
    let upper = written.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    match nearest(name, Signal::iterator().map(|signal| &signal.as_str()[3..])) {
        Some(name) => format!("did you mean `{name}`?"),
        None => "write it like `TERM`, `INT` or `QUIT`".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_goes_by_its_name_in_any_case_or_by_its_number() {
        for written in ["TERM", "SIGTERM", "term", "SigTerm", " 15 "] {
            assert_eq!(by_name(written), Ok(15), "{written}");
        }
        assert_eq!(by_number(34), Ok(34));
    }

    #[test]
    fn a_signal_is_named_and_a_real_time_signal_is_numbered() {
        assert_eq!((name(15), name(34)), ("SIGTERM".into(), "signal 34".into()));
    }

    #[test]
    fn what_cannot_stop_a_worker_is_refused_with_why() {
        assert_eq!(by_name("kill"), Err(StopSignalError::Kill));
        assert_eq!(by_number(19), Err(StopSignalError::Stop));
        assert_eq!(by_number(65), Err(StopSignalError::NoNumber(65)));
        assert!(by_name("0").is_err() && by_name("SIG").is_err());
        let error = by_name("SIGTREM").unwrap_err().to_string();
        assert_eq!(error, "there is no signal `SIGTREM`; did you mean `TERM`?");
    }
}
