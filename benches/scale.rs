//! How the cost of pm grows with the number of slots.
//!
//!     cargo bench --bench scale
//!
//! Where a limit of the kernel is in the way, what pm says about it is reported. Needs root and a C compiler.

mod support;

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use support::proc_events::ProcEvents;
use support::processes::Memory;
use support::programs::{Programs, pm};
use support::reloadable::Reloadable;
use support::report::{Figure, Report};
use support::statistics::median;
use support::{Anything, settings};

fn main() -> Anything<()> {
    let Some(events) = support::events("scale")? else { return Ok(()) };
    let programs = Programs::compile()?;
    let (rounds, seconds) = (settings::rounds(3)?, settings::seconds(2.0)?);
    let mut report = Report::new(
        "scale",
        &format!(
            "One pm with more and more slots. Start: to the exec of the last worker. Storm: all workers are killed at \
             once. Reload: one that changes nothing. Idle: for {seconds} s. \
             Stop: from SIGTERM to the end of all. PSS: after the start."
        ),
    )?;
    for size in settings::sizes(&[100, 1_000, 5_000, 10_000])? {
        match row(&pm(), &programs, size, rounds, seconds, &events) {
            Ok(figures) => figures.into_iter().for_each(|figure| report.add(figure.of_size(size))),
            Err(error) => report.note(format!("{size} workers: {error}")),
        }
    }
    report.finish()
}

fn row(
    program: &Path,
    programs: &Programs,
    size: usize,
    rounds: usize,
    seconds: f64,
    events: &ProcEvents,
) -> Anything<Vec<Figure>> {
    let mut pm = Reloadable::start(program, programs, size, events)?;
    let start = pm.keeper.start_seconds()? * 1e3;
    let memory = Memory::of(&pm.keeper.processes())?;
    let (mut storms, mut deaths, mut reloads) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let before = pm.keeper.usage();
        storms.push(pm.keeper.replace(&pm.keeper.workers(), events)?.seconds * 1e3);
        pm.keeper.wait_until_quiet(events)?;
        deaths.push((pm.keeper.usage() - before).cpu_microseconds() / size as f64);
        reloads.push(pm.reload_unchanged(events)?.seconds * 1e3);
    }
    let before = pm.keeper.usage();
    pm.keeper.watch_for(events, Duration::from_secs_f64(seconds))?;
    let idle = pm.keeper.usage() - before;
    let stop = pm.keeper.stop(Signal::SIGTERM, events)? * 1e3;
    let figure = |name, value, unit| Figure::new(name, "pm", value, unit);
    Ok(vec![
        figure("start", start, "ms"),
        figure("storm", median(&storms), "ms"),
        figure("CPU of a death in a storm", median(&deaths), "us"),
        figure("reload, unchanged", median(&reloads), "ms"),
        figure("idle, context switches", idle.switches as f64, "switches"),
        figure("idle, CPU time", idle.cpu_microseconds(), "us"),
        figure("PSS", memory.pss as f64 / 1e6, "MB"),
        figure("stop", stop, "ms"),
    ])
}
