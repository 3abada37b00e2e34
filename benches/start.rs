//! The start and the stop of many workers: pm beside the floors, by the kernel's clock.
//!
//!     cargo bench --bench start
//!
//! Needs root and a C compiler.

mod support;

use nix::sys::signal::Signal;
use support::keeper::Keeper;
use support::programs::{Contender, Programs, Work};
use support::report::{Bound, Figure, Report, Row, What};
use support::statistics::median;
use support::{Anything, settings, turns};

fn main() -> Anything<()> {
    let Some(events) = support::events("start")? else { return Ok(()) };
    let programs = Programs::compile()?;
    let mut report = Report::new(
        "start",
        "Start: from the exec of the program to the exec of its last worker. Stop: from SIGTERM to the \
         end of it and of all workers; a floor ends at once, and the kernel kills its workers. Medians.",
    )?;
    let rounds = settings::rounds(7)?;
    for size in settings::sizes(&[3, 100, 1_000])? {
        let mut sides: Vec<_> =
            Contender::all().into_iter().map(|contender| (contender, Samples::default())).collect();
        for round in 0..rounds {
            for turn in turns(round, sides.len()) {
                let (contender, samples) = &mut sides[turn];
                let mut keeper = Keeper::of(contender, &programs, size, Work::Nothing, &events)?;
                samples.start.push(keeper.start_seconds()? * 1e3);
                samples.stop.push(keeper.stop(Signal::SIGTERM, &events)? * 1e3);
            }
        }
        add_figures(&mut report, size, &sides);
    }
    report.finish()
}

/// In milliseconds.
#[derive(Default)]
struct Samples {
    start: Vec<f64>,
    stop: Vec<f64>,
}

fn add_figures(report: &mut Report, size: usize, sides: &[(Contender, Samples)]) {
    let rows: [Row<Samples>; 2] = [
        ("start", "ms", |samples| median(&samples.start)),
        ("stop", "ms", |samples| median(&samples.stop)),
    ];
    for (name, unit, value) in rows {
        for (contender, own) in sides {
            let mut figure = Figure::new(name, contender.name(), value(own), unit).of_size(size);
            let floor = sides.iter().find(|(one, _)| *one == Contender::VforkLoop);
            if let Some((floor, its)) = floor.filter(|_| !contender.is_floor()) {
                figure = figure.beside(value(its), floor.name());
            }
            if size == 1_000 {
                figure = match name {
                    "start" => figure.goal(What::Ratio, Bound::AtMost, 1.3),
                    "stop" => figure.goal(What::Ratio, Bound::AtMost, 2.0).goal(
                        What::Value,
                        Bound::Below,
                        60.0,
                    ),
                    _ => figure,
                };
            }
            report.add(figure);
        }
    }
}
