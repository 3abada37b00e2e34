//! What pm says to people: one sentence for each report. What happened, to what, why, and what comes next, in that
//! order.
//!
//! Sentences only; what to report, and when, is decided where it happens. [`worker`] has those about one worker,
//! [`run`] those about the run. Parts of sentences that others need too stand in [`crate::plan::text::phrase`].

mod run;
mod worker;

use nix::sys::signal::Signal;

use super::{RunEvent, What};

/// The sentence of a report. Faults of a file have a line each.
pub fn of(what: &What) -> String {
    match what {
        What::Worker(facts, event) => worker::sentence(facts, event),
        What::Run(event) => of_run(event),
    }
}

/// What happened to the run.
pub fn of_run(event: &RunEvent) -> String {
    run::sentence(event)
}

/// `SIGTERM`, or `signal 40` if it has no name.
pub fn signal_name(number: i32) -> String {
    match Signal::try_from(number) {
        Ok(signal) => signal.as_str().to_owned(),
        Err(_) => format!("signal {number}"),
    }
}
