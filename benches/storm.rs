//! What the deaths of workers cost, by how many there are: pm beside the floors.
//!
//!     cargo bench --bench storm
//!
//! All workers are killed at once, and then some of them one after another. Needs root and a C compiler.

mod support;

use support::keeper::Keeper;
use support::proc_events::ProcEvents;
use support::programs::{Contender, Programs, Work};
use support::report::{Bound, Figure, Report, Row, What};
use support::statistics::median;
use support::{Anything, settings, turns};

fn main() -> Anything<()> {
    let Some(events) = support::events("storm")? else { return Ok(()) };
    let programs = Programs::compile()?;
    let mut report = Report::new(
        "storm",
        "All workers are killed at once: the time from the first death to the exec of the last new worker, and the CPU \
         time of pm for each death; then deaths come alone. Medians.",
    )?;
    let [storms, deaths] = [settings::rounds(5)?, settings::kills(200)?];
    for size in settings::sizes(&[100, 500, 1_000, 5_000])? {
        let mut sides = Vec::new();
        for contender in Contender::all() {
            match Keeper::of(&contender, &programs, size, Work::Nothing, &events) {
                Ok(keeper) => sides.push(Side::new(contender, keeper)),
                Err(error) => report.note(format!("{size} workers, {}: {error}", contender.name())),
            }
        }
        for round in 0..storms {
            for turn in turns(round, sides.len()) {
                sides[turn].storm(&events)?;
            }
        }
        for side in &mut sides {
            side.single_deaths(deaths, &events)?;
        }
        add_figures(&mut report, size, &sides);
        for side in &mut sides {
            side.keeper.stop(nix::sys::signal::Signal::SIGTERM, &events)?;
        }
    }
    report.finish()
}

struct Side {
    contender: Contender,
    keeper: Keeper,
    milliseconds: Vec<f64>,
    /// CPU time of a death in a storm, in microseconds.
    cpu: Vec<f64>,
    cpu_alone: f64,
}

impl Side {
    fn new(contender: Contender, keeper: Keeper) -> Self {
        Self { contender, keeper, milliseconds: Vec::new(), cpu: Vec::new(), cpu_alone: f64::NAN }
    }

    fn storm(&mut self, events: &ProcEvents) -> Anything<()> {
        let before = self.keeper.usage();
        let victims = self.keeper.workers();
        let replaced = self.keeper.replace(&victims, events)?;
        self.milliseconds.push(replaced.seconds * 1e3);
        self.keeper.wait_until_quiet(events)?;
        let used = self.keeper.usage() - before;
        self.cpu.push(used.cpu_microseconds() / victims.len() as f64);
        Ok(())
    }

    fn single_deaths(&mut self, count: usize, events: &ProcEvents) -> Anything<()> {
        let before = self.keeper.usage();
        for n in 0..count {
            let workers = self.keeper.workers();
            self.keeper.replace(&[workers[n * 7 % workers.len()]], events)?;
        }
        self.keeper.wait_until_quiet(events)?;
        self.cpu_alone = (self.keeper.usage() - before).cpu_microseconds() / count as f64;
        Ok(())
    }
}

fn add_figures(report: &mut Report, size: usize, sides: &[Side]) {
    let rows: [Row<Side>; 3] = [
        ("storm", "ms", |side| median(&side.milliseconds)),
        ("CPU of a death in a storm", "us", |side| median(&side.cpu)),
        ("CPU of a death alone", "us", |side| side.cpu_alone),
    ];
    for (name, unit, value) in rows {
        for side in sides {
            let mut figure =
                Figure::new(name, side.contender.name(), value(side), unit).of_size(size);
            let floor = sides.iter().find(|side| side.contender == Contender::VforkLoop);
            if let Some(floor) = floor.filter(|_| !side.contender.is_floor()) {
                figure = figure.beside(value(floor), floor.contender.name());
            }
            if name == "storm" && size == 1_000 {
                figure = figure.goal(What::Ratio, Bound::AtMost, 1.25);
            }
            report.add(figure);
        }
    }
}
