//! What the benchmarks share. A benchmark takes it in with `mod support;`.
//!
//! A benchmark reports figures and never fails on one. Each compares pm with small C programs ("floors") that do the
//! least that can be done, by turns in one run, so that all else that the machine does falls on all.
//!
//! | module | what it does |
//! |---|---|
//! | [`programs`] | pm, the floors and the worker: where they are, how they are started |
//! | [`keeper`] | a running process that keeps workers alive, followed by the kernel's own events |
//! | [`processes`] | what processes have used, from /proc |
//! | [`statistics`] | medians and percentiles |
//! | [`steps`] | single steps inside pm, without a process |
//! | [`settings`] | the size of a run, from the environment |
//! | [`report`] | figures as JSON and as a table |

#![allow(dead_code, reason = "each benchmark uses a part of this module")]

pub mod keeper;
#[path = "../../tests/support/proc_events.rs"]
pub mod proc_events;
pub mod processes;
pub mod programs;
pub mod reloadable;
pub mod report;
pub mod settings;
pub mod statistics;
pub mod steps;

use std::error::Error;
use std::time::{Duration, Instant};

use self::proc_events::ProcEvents;

pub type Anything<T> = Result<T, Box<dyn Error>>;

/// What is awaited comes within this time, or never.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The kernel's record of forks, execs and exits. `None` without root: then the benchmark says so and ends.
pub fn events(bench: &str) -> Anything<Option<ProcEvents>> {
    match ProcEvents::listen() {
        Ok(events) => Ok(Some(events)),
        Err(error) => {
            let skipped = format!("skipped: the process event connector needs root: {error}");
            if std::env::var_os("PM_SKIP_NOTHING").is_some() {
                return Err(skipped.into());
            }
            println!("{bench}: {skipped}");
            Ok(None)
        }
    }
}

/// Asks again and again, until it is so.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> Anything<bool>) -> Anything<()> {
    let until = Instant::now() + PATIENCE;
    while !is_so()? {
        if Instant::now() > until {
            return Err(format!("not in time: {what}").into());
        }
        std::thread::park_timeout(Duration::from_micros(500));
    }
    Ok(())
}

/// Lets this time pass.
pub fn pass(time: Duration) {
    let until = Instant::now() + time;
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(left);
    }
}

/// The order of the turns: each is first, second and so on equally often, since the place in a round matters, and comes
/// after the one before it as often as after the one behind it.
pub fn turns(round: usize, contenders: usize) -> impl Iterator<Item = usize> {
    let is_backwards = round % 2 == 1;
    let place = move |n| if is_backwards { contenders - 1 - n } else { n };
    (0..contenders).map(move |n| (round / 2 + place(n)) % contenders)
}
