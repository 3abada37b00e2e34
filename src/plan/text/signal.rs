//! The signal that asks a worker to stop, as people write it: `TERM`, `SIGINT`, `quit`, 15.

use nix::sys::signal::Signal;

use super::explain::Explain;
use super::suggest::nearest;

/// The greatest number of a signal on Linux (signal(7), SIGRTMAX).
pub const MAX: i64 = 64;

/// Why a text or a number is not a stop signal.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum StopSignalError {
    #[error("there is no signal `{0}`")]
    Unknown(String),
    #[error("{0} is not a signal")]
    NotASignal(i64),
    #[error("SIGKILL leaves no time to stop")]
    Kill,
    #[error("{} suspends a worker and never ends it", .0.as_str())]
    Suspends(Signal),
    #[error("{} ends no worker: it is ignored by default", .0.as_str())]
    Ignored(Signal),
}

impl Explain for StopSignalError {
    fn help(&self) -> Option<String> {
        Some(match self {
            Self::Unknown(written) => match meant(written) {
                Some(name) => format!("did you mean `{name}`?"),
                None => "write it like `TERM`, `INT` or `QUIT`".into(),
            },
            Self::NotASignal(_) => format!("the numbers of signals are 1 to {MAX}"),
            Self::Kill => "`grace = \"0s\"` kills at once".into(),
            Self::Suspends(_) | Self::Ignored(_) => "remove `signal`: the default is TERM".into(),
        })
    }
}

/// The number of any signal by its name, with or without SIG, in any case, or by its number.
///
/// # Errors
/// If there is no such signal.
pub fn number(written: &str) -> Result<i32, StopSignalError> {
    let upper = written.trim().to_ascii_uppercase();
    if let Ok(number) = upper.parse::<i64>() {
        let known = i32::try_from(number).ok().filter(|_| (1..=MAX).contains(&number));
        return known.ok_or(StopSignalError::NotASignal(number));
    }
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let signal = Signal::iterator().find(|signal| &signal.as_str()[3..] == name);
    let signal = signal.ok_or_else(|| StopSignalError::Unknown(written.to_owned()))?;
    Ok(signal as i32)
}

/// The number of a stop signal by its name, with or without SIG, in any case, or by its number.
///
/// # Errors
/// If there is no such signal, or if it is one that a worker cannot catch.
pub fn by_name(written: &str) -> Result<i32, StopSignalError> {
    by_number(number(written)?.into())
}

/// A signal by its number.
///
/// # Errors
/// As [`by_name`].
pub fn by_number(number: i64) -> Result<i32, StopSignalError> {
    if !(1..=MAX).contains(&number) {
        return Err(StopSignalError::NotASignal(number));
    }
    let number = i32::try_from(number).expect("at most 64");
    match Signal::try_from(number) {
        Ok(Signal::SIGKILL) => Err(StopSignalError::Kill),
        Ok(signal @ (Signal::SIGSTOP | Signal::SIGTSTP | Signal::SIGTTIN | Signal::SIGTTOU)) => {
            Err(StopSignalError::Suspends(signal))
        }
        // WINCH, which is ignored by default too, asks Apache to stop.
        Ok(signal @ (Signal::SIGCHLD | Signal::SIGCONT | Signal::SIGURG)) => {
            Err(StopSignalError::Ignored(signal))
        }
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

fn meant(written: &str) -> Option<&'static str> {
    let upper = written.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    nearest(name, Signal::iterator().map(|signal| &signal.as_str()[3..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_known_by_its_name_in_any_case_and_by_its_number() {
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
    fn a_signal_that_cannot_stop_a_worker_is_refused_with_the_reason() {
        assert_eq!(by_name("kill"), Err(StopSignalError::Kill));
        assert_eq!(by_number(19), Err(StopSignalError::Suspends(Signal::SIGSTOP)));
        assert_eq!(by_name("chld"), Err(StopSignalError::Ignored(Signal::SIGCHLD)));
        assert_eq!(by_name("winch"), Ok(28));
        assert_eq!(by_number(65), Err(StopSignalError::NotASignal(65)));
        assert!(by_name("0").is_err() && by_name("SIG").is_err());
        let error = by_name("SIGTREM").unwrap_err();
        assert_eq!(error.to_string(), "there is no signal `SIGTREM`");
        assert_eq!(error.help().as_deref(), Some("did you mean `TERM`?"));
    }
}
