//! Other process managers beside pm: each that is found keeps three static workers alive.
//!
//!     make bench-peers
//!
//! Each has the smallest configuration that does so ([`adapters`]), in a temporary folder of its own. They run one
//! after another: some of them never rest. What is not installed is said. Needs root and a C compiler.

mod adapters;
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use adapters::{Peer, Replaces};
use nix::sys::signal::Signal;
use support::keeper::Keeper;
use support::proc_events::ProcEvents;
use support::processes::Memory;
use support::programs::{Contender, Programs, Work};
use support::report::{Figure, Report, Row};
use support::statistics::{median, percentile};
use support::{Anything, settings};

const WORKERS: usize = 3;
/// Some throttle the restart of a worker that has lived less than a second: each worker lives longer.
const BETWEEN_KILLS: Duration = Duration::from_millis(400);
/// After the start: some have more to do then.
const SETTLING: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> Anything<()> {
    let Some(events) = support::events("peers")? else { return Ok(()) };
    let programs = Programs::compile()?;
    let size = Size {
        rounds: settings::rounds(3)?,
        kills: settings::kills(20)?,
        seconds: settings::seconds(5.0)?,
    };
    let mut report = Report::new(
        "peers",
        &format!(
            "{WORKERS} workers that do nothing. Respawn: one is killed every {} ms; from its death to the exec of the \
             next. Start: from the exec of the program to the exec of the last worker. Stop: to the end of all. Idle, for \
             {} s, and memory (PSS): of all processes but the workers.",
            BETWEEN_KILLS.as_millis(),
            size.seconds,
        ),
    )?;
    let mut all = Vec::new();
    for contender in Contender::all() {
        let launch = || {
            let folder = tempfile::tempdir()?;
            let command = contender.command(&programs, WORKERS, Work::Nothing, folder.path())?;
            Keeper::launch(command, &programs.worker, folder)
        };
        let one =
            measure(contender.name(), launch, Signal::SIGTERM, Replaces::Yes, &size, &events)?;
        all.push(one);
    }
    for peer in adapters::ALL {
        let Some(program) = peer.find() else {
            report
                .note(format!("{} is not installed ({} is not on PATH)", peer.name, peer.program));
            continue;
        };
        let launch = || launch(&peer, &program, &programs);
        match measure(peer.name, launch, peer.stop, peer.replaces, &size, &events) {
            Ok(one) => {
                report.note(format!("{}: {}", peer.name, peer.version(&program)));
                all.push(one);
            }
            Err(error) => report.note(format!("{}: {error}", peer.name)),
        }
    }
    for one in &mut all {
        one.notes.drain(..).for_each(|note| report.note(note));
    }
    add_figures(&mut report, &all);
    report.finish()
}

struct Size {
    rounds: usize,
    kills: usize,
    seconds: f64,
}

#[derive(Default)]
struct Figures {
    name: &'static str,
    /// In milliseconds.
    start: Vec<f64>,
    stop: Vec<f64>,
    respawn: Vec<f64>,
    /// Percent of a core.
    idle_share: f64,
    switches_a_second: f64,
    pss: f64,
    notes: Vec<String>,
}

fn measure(
    name: &'static str,
    launch: impl Fn() -> Anything<Keeper>,
    stop: Signal,
    replaces: Replaces,
    size: &Size,
    events: &ProcEvents,
) -> Anything<Figures> {
    let mut figures = Figures { name, ..Figures::default() };
    for round in 1..=size.rounds {
        let mut keeper = launch()?;
        keeper.wait_for_workers(WORKERS, events)?;
        figures.start.push(keeper.start_seconds()? * 1e3);
        keeper.watch_for(events, SETTLING)?;
        if round == size.rounds {
            let before = keeper.usage();
            keeper.watch_for(events, Duration::from_secs_f64(size.seconds))?;
            let used = keeper.usage() - before;
            figures.idle_share = 100.0 * used.cpu_seconds() / size.seconds;
            figures.switches_a_second = used.switches as f64 / size.seconds;
            figures.pss = Memory::of(&keeper.processes())?.pss as f64 / 1e6;
            match replaces {
                Replaces::Yes => match respawn(&mut keeper, size.kills, events) {
                    Ok(samples) => figures.respawn = samples,
                    Err(error) => figures.notes.push(format!("{name}, respawn: {error}")),
                },
                Replaces::No => {
                    figures.notes.push(format!("{name} does not replace a worker that has ended"));
                }
            }
        }
        match keeper.stop(stop, events) {
            Ok(seconds) => figures.stop.push(seconds * 1e3),
            Err(error) => figures.notes.push(format!("{name}, stop: {error}")),
        }
    }
    Ok(figures)
}

fn respawn(keeper: &mut Keeper, kills: usize, events: &ProcEvents) -> Anything<Vec<f64>> {
    let mut samples = Vec::new();
    // The oldest first.
    let mut workers = std::collections::VecDeque::from(keeper.workers());
    for _ in 0..kills {
        let victim = workers.pop_front().ok_or("no worker")?;
        let replaced = keeper.replace_within(&[victim], events, PATIENCE)?;
        workers.push_back(replaced.last);
        samples.push(replaced.seconds * 1e3);
        keeper.watch_for(events, BETWEEN_KILLS)?;
    }
    Ok(samples)
}

fn launch(peer: &Peer, program: &std::path::Path, programs: &Programs) -> Anything<Keeper> {
    let folder = tempfile::tempdir()?;
    let command = peer.command(program, &programs.worker, folder.path(), WORKERS)?;
    Keeper::launch(command, &programs.worker, folder)
}

fn add_figures(report: &mut Report, all: &[Figures]) {
    let rows: [Row<Figures>; 7] = [
        ("respawn, p50", "ms", |one| percentile(&one.respawn, 50)),
        ("respawn, p99", "ms", |one| percentile(&one.respawn, 99)),
        ("start", "ms", |one| median(&one.start)),
        ("stop", "ms", |one| median(&one.stop)),
        ("idle, CPU", "% of a core", |one| one.idle_share),
        ("idle, context switches", "a second", |one| one.switches_a_second),
        ("PSS", "MB", |one| one.pss),
    ];
    let own = all.iter().find(|one| one.name == "pm");
    for (name, unit, value) in rows {
        for one in all.iter().filter(|one| value(one).is_finite()) {
            let mut figure = Figure::new(name, one.name, value(one), unit).of_size(WORKERS);
            if let Some(own) = own.filter(|own| own.name != one.name && value(own) > 0.0) {
                figure = figure.beside(value(own), own.name);
            }
            report.add(figure);
        }
    }
}
