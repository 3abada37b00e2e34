//! What pm uses while a worker fails at once, again and again, with the default backoff.
//!
//!     cargo bench --bench crash_loop
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
    let Some(events) = support::events("crash_loop")? else { return Ok(()) };
    let programs = Programs::compile()?;
    let seconds = settings::seconds(60.0)?;
    let mut report = Report::new(
        "crash_loop",
        &format!(
            "A worker exits 1 at once, for {seconds} s: the share of a core that all threads of pm use, from the first \
             exec of the worker on."
        ),
    )?;
    for contender in Contender::pms() {
        let folder = tempfile::tempdir()?;
        let command = contender.command(&programs, 1, Work::Fail, folder.path())?;
        let mut keeper = Keeper::launch(command, &programs.worker, folder)?;
        keeper.wait_for_exec(&events)?;
        let before = keeper.usage();
        let starts = keeper.watch_for(&events, Duration::from_secs_f64(seconds))?;
        let used = keeper.usage() - before;
        keeper.stop(Signal::SIGTERM, &events)?;
        let share = 100.0 * used.cpu_seconds() / seconds;
        let figure = Figure::new("share of a core", contender.name(), share, "%");
        report.add(figure.goal(What::Value, Bound::Below, 0.1));
        report.add(Figure::new("starts of the worker", contender.name(), starts as f64, "starts"));
        let each = used.cpu_microseconds() / starts.max(1) as f64;
        report.add(Figure::new("CPU of a start", contender.name(), each, "us"));
    }
    report.finish()
}
