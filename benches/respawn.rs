//! From the death of a worker to the exec of the next: pm beside the floors, by the kernel's clock.
//!
//!     cargo bench --bench respawn
//!
//! All keep the same workers alive. In turn one worker of each is killed. Needs root and a C compiler.

mod support;

use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use nix::sys::signal::Signal;
use support::keeper::Keeper;
use support::proc_events::ProcEvents;
use support::programs::{Contender, Programs, Work};
use support::report::{Bound, Figure, Report, What};
use support::statistics::percentile;
use support::{Anything, pass, settings, turns, wait_until};

/// Until a keeper has done all that follows from a death; pm asks in its own time whether the worker serves.
const REST: Duration = Duration::from_millis(5);
const REST_WITH_PORT: Duration = Duration::from_millis(30);

/// The time with as many workers as `MANY` is compared with that of `FEW`.
const FEW: usize = 20;
const MANY: usize = 1_000;

fn main() -> Anything<()> {
    let Some(events) = support::events("respawn")? else { return Ok(()) };
    let programs = Programs::compile()?;
    let mut report = Report::new(
        "respawn",
        "One worker is killed: the time from its death to the exec of the next. \"Again\": the next one is killed at \
         once, too.",
    )?;
    let kills = settings::kills(300)?;
    let mut sides = Contender::all().into_iter();
    let mut sides: Vec<_> = sides
        .by_ref()
        .map(|contender| Side::with_port(contender, &programs, &events))
        .collect::<Anything<_>>()?;
    for round in 0..kills {
        for turn in turns(round, sides.len()) {
            sides[turn].kill(&events)?;
        }
    }
    add_figures(&mut report, "respawn, on a port", 1, &sides, |side| &side.first);
    stop(sides, &events)?;

    let mut p50_of_few = None;
    for size in settings::sizes(&[FEW, MANY])? {
        let mut sides: Vec<_> = Contender::all()
            .into_iter()
            .map(|contender| Side::without_port(contender, size, &programs, &events))
            .collect::<Anything<_>>()?;
        for round in 0..kills {
            for turn in turns(round, sides.len()) {
                sides[turn].kill_twice(&events)?;
            }
        }
        add_figures(&mut report, "respawn", size, &sides, |side| &side.first);
        add_figures(&mut report, "respawn, again", size, &sides, |side| &side.again);
        let own = sides.iter().find(|side| side.contender.name() == "pm").expect("it takes part");
        let p50 = percentile(&own.first, 50);
        match p50_of_few {
            None if size == FEW => p50_of_few = Some(p50),
            Some(few) if size == MANY => report.add(
                Figure::new("respawn p50, many", "pm", p50, "us")
                    .of_size(size)
                    .beside(few, "its own with 20 workers")
                    .goal(What::Ratio, Bound::AtMost, 1.2),
            ),
            None | Some(_) => {}
        }
        stop(sides, &events)?;
    }
    report.finish()
}

struct Side {
    contender: Contender,
    keeper: Keeper,
    port: Option<u16>,
    kills: usize,
    /// In microseconds.
    first: Vec<f64>,
    again: Vec<f64>,
}

impl Side {
    fn with_port(contender: Contender, programs: &Programs, events: &ProcEvents) -> Anything<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let keeper = Keeper::of(&contender, programs, 1, Work::Listen(port), events)?;
        let side = Self::new(contender, keeper, Some(port));
        side.wait_until_it_serves()?;
        Ok(side)
    }

    fn without_port(
        contender: Contender,
        size: usize,
        programs: &Programs,
        events: &ProcEvents,
    ) -> Anything<Self> {
        let keeper = Keeper::of(&contender, programs, size, Work::Nothing, events)?;
        Ok(Self::new(contender, keeper, None))
    }

    fn new(contender: Contender, keeper: Keeper, port: Option<u16>) -> Self {
        Self { contender, keeper, port, kills: 0, first: Vec::new(), again: Vec::new() }
    }

    fn kill(&mut self, events: &ProcEvents) -> Anything<i32> {
        let workers = self.keeper.workers();
        // Each worker in its turn.
        let victim = workers[self.kills * 7 % workers.len()];
        self.kills += 1;
        let replaced = self.keeper.replace(&[victim], events)?;
        self.first.push(replaced.seconds * 1e6);
        if self.port.is_some() {
            self.wait_until_it_serves()?;
        }
        Ok(replaced.last)
    }

    fn kill_twice(&mut self, events: &ProcEvents) -> Anything<()> {
        let next = self.kill(events)?;
        self.again.push(self.keeper.replace(&[next], events)?.seconds * 1e6);
        pass(REST);
        Ok(())
    }

    fn wait_until_it_serves(&self) -> Anything<()> {
        let port = self.port.ok_or("no port")?;
        wait_until("the worker serves", || Ok(TcpStream::connect(("127.0.0.1", port)).is_ok()))?;
        pass(REST_WITH_PORT);
        Ok(())
    }
}

fn add_figures(
    report: &mut Report,
    name: &str,
    size: usize,
    sides: &[Side],
    samples: fn(&Side) -> &Vec<f64>,
) {
    for (p, limit) in [(50, 1.15), (99, 1.5)] {
        let value = |side: &Side| percentile(samples(side), p);
        for side in sides {
            let figure =
                Figure::new(&format!("{name}, p{p}"), side.contender.name(), value(side), "us");
            let mut figure = figure.of_size(size);
            let floors = sides.iter().filter(|floor| floor.contender == Contender::SignalfdLoop);
            for floor in floors.filter(|_| !side.contender.is_floor()) {
                figure = figure.beside(value(floor), floor.contender.name());
                figure = figure.goal(What::Ratio, Bound::AtMost, limit);
            }
            report.add(figure);
        }
    }
}

fn stop(sides: Vec<Side>, events: &ProcEvents) -> Anything<()> {
    for mut side in sides {
        side.keeper.stop(Signal::SIGTERM, events)?;
    }
    Ok(())
}
