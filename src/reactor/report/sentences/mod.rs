//! What pm says to people: one sentence for each report. What happened, to what, why, and what comes next, in that
//! order.
//!
//! Sentences only; what to report, and when, is decided where it happens. [`worker`] has those about one worker,
//! [`run`] those about the run. Parts of sentences that others need too stand in [`crate::plan::text::phrase`].

mod run;
mod worker;

use nix::sys::signal::Signal;

use super::{ReloadError, RunEvent, What};
use crate::plan::LoadError;
use crate::plan::text::printable::printable;

/// The sentence of a report, in which nothing acts on a terminal. Faults of a file have a line each.
pub fn of(what: &What) -> String {
    match what {
        What::Worker(facts, event) => printable(&worker::sentence(facts, event)),
        What::Run(event) => of_run(event),
    }
}

/// What happened to the run.
pub fn of_run(event: &RunEvent) -> String {
    let words = run::sentence(event);
    let has_lines = matches!(
        event,
        RunEvent::ReloadRefused(error) if matches!(**error, ReloadError::Load(LoadError::Faults(_)))
    );
    if has_lines {
        words.lines().map(printable).collect::<Vec<_>>().join("\n")
    } else {
        printable(&words)
    }
}

/// `SIGTERM`, or `signal 40` if it has no name.
pub fn signal_name(number: i32) -> String {
    match Signal::try_from(number) {
        Ok(signal) => signal.as_str().to_owned(),
        Err(_) => format!("signal {number}"),
    }
}
