//! What pm uses while nothing happens: context switches and CPU time of the guard and the reactor, all threads.
//!
//!     cargo bench --bench idle
//!
//! Needs root and a C compiler.

mod support;

use std::time::Duration;

use nix::sys::signal::Signal;
use support::keeper::Keeper;
use support::programs::{Contender, Programs, Work};
use support::report::{Bound, Figure, Report, What};
use support::{Anything, settings};

fn main() -> Anything<()> {
    let Some(events) = support::events("idle")? else { return Ok(()) };
    let programs = Programs::compile()?;
    let seconds = settings::seconds(10.0)?;
    let mut report = Report::new(
        "idle",
        &format!(
            "Workers that do nothing, for {seconds} s: context switches and CPU time of all threads of pm."
        ),
    )?;
    for size in settings::sizes(&[3, 1_000])? {
        for contender in Contender::pms() {
            let mut keeper = Keeper::of(&contender, &programs, size, Work::Nothing, &events)?;
            let before = keeper.usage();
            keeper.watch_for(&events, Duration::from_secs_f64(seconds))?;
            let used = keeper.usage() - before;
            keeper.stop(Signal::SIGTERM, &events)?;
            let rows = [
                ("context switches", used.switches as f64, "switches"),
                ("CPU time", used.cpu_microseconds(), "us"),
            ];
            for (name, value, unit) in rows {
                let figure = Figure::new(name, contender.name(), value, unit).of_size(size);
                report.add(figure.goal(What::Value, Bound::AtMost, 0.0));
            }
        }
    }
    report.finish()
}
