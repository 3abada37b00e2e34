//! What pm holds in memory: with few workers, and for one more slot.
//!
//!     cargo bench --bench memory
//!
//! Needs root and a C compiler.

mod support;

use nix::sys::signal::Signal;
use support::keeper::Keeper;
use support::proc_events::ProcEvents;
use support::processes::Memory;
use support::programs::{Contender, Programs, Work};
use support::report::{Bound, Figure, Report, What};
use support::{Anything, settings};

/// The environment of pm, which each slot depends on, is the same everywhere.
const VARIABLES: usize = 35;

fn main() -> Anything<()> {
    let Some(events) = support::events("memory")? else { return Ok(()) };
    let programs = Programs::compile()?;
    let mut report = Report::new(
        "memory",
        &format!(
            "smaps_rollup of guard and reactor together, with {VARIABLES} variables of 40 bytes in the environment. \
             PSS: a page that n processes share counts 1/n. A slot: the difference to the size before, by \
             Private_Dirty and by RSS."
        ),
    )?;
    let sizes = settings::sizes(&[3, 1_003, 3_003])?;
    for contender in Contender::pms() {
        let mut before: Option<(usize, Memory)> = None;
        for &size in &sizes {
            let memory = memory(&contender, &programs, size, &events)?;
            let figure = |name: &str, bytes: f64, unit: &str, of: f64| {
                Figure::new(name, contender.name(), bytes / of, unit).of_size(size)
            };
            let pss = figure("PSS", memory.pss as f64, "MB", 1e6);
            report.add(if size == 3 { pss.goal(What::Value, Bound::Below, 2.0) } else { pss });
            report.add(figure("Private_Dirty", memory.private_dirty as f64, "MB", 1e6));
            if let Some((fewer, less)) = before {
                let slots = (size - fewer) as f64;
                let dirty = memory.private_dirty.saturating_sub(less.private_dirty) as f64 / slots;
                let rss = memory.rss.saturating_sub(less.rss) as f64 / slots;
                let figure = |name, bytes| figure(name, bytes, "KB", 1e3);
                let dirty = figure("one slot, Private_Dirty", dirty);
                report.add(dirty.goal(What::Value, Bound::Below, 6.0));
                report.add(figure("one slot, RSS", rss));
            }
            before = Some((size, memory));
        }
    }
    report.finish()
}

fn memory(
    contender: &Contender,
    programs: &Programs,
    size: usize,
    events: &ProcEvents,
) -> Anything<Memory> {
    let folder = tempfile::tempdir()?;
    let mut command = contender.command(programs, size, Work::Nothing, folder.path())?;
    command.env_clear().env("PM_SOCKET", "none");
    // The two others are PM_SOCKET and the mark of the benchmark.
    for n in 0..VARIABLES - 2 {
        command.env(format!("VARIABLE_{n:02}"), "x".repeat(28));
    }
    let mut keeper = Keeper::launch(command, &programs.worker, folder)?;
    keeper.wait_for_workers(size, events)?;
    keeper.wait_until_quiet(events)?;
    let memory = Memory::of(&keeper.processes())?;
    keeper.stop(Signal::SIGTERM, events)?;
    Ok(memory)
}
