//! The worker is killed: how long until the next answer, and what becomes of the connections of clients?

use crate::clients::{Clients, Counts};
use crate::running::{Mode, Running};
use crate::servers::{ALL, Server};
use crate::support::report::{Bound, Figure, Report, What};
use crate::support::statistics::percentile;
use crate::support::{Anything, settings, turns};

/// That there is load before and after.
const ANSWERS: u64 = 8;

/// What one mode has shown.
struct Side {
    mode: Mode,
    running: Running,
    /// In milliseconds.
    waits: Vec<f64>,
    counts: Counts,
}

pub fn run() -> Anything<()> {
    let kills = settings::kills(100)?;
    let mut report = Report::new(
        "held",
        &format!(
            "The worker, alone in its slot, is killed {kills} times while 4 clients open a connection each 2 ms: the time \
             from SIGKILL to the next answer, and the connections that were refused, or lost in flight. By turns without \
             hold_port (plain), with it (held), and with a spare."
        ),
    )?;
    let mut table = String::from(
        "| server | plain, p50 / p99 | held | with a spare | spare / plain | refused: plain, held, spare | lost in flight |\n\
         |---|---|---|---|---|---|---|\n",
    );
    let wanted = settings::servers();
    for server in
        ALL.iter().filter(|server| wanted.as_ref().is_none_or(|all| all.contains(server.program)))
    {
        let Some(program) = server.find()? else {
            report.note(format!(
                "{} is not installed ({} is not on PATH)",
                server.name, server.program
            ));
            continue;
        };
        match measure(server, kills) {
            Ok(sides) => {
                report.note(format!("{}: {}", server.name, server.version(&program)?));
                add_figures(&mut report, server.name, &sides);
                let row = row(server.name, &sides);
                eprint!("{row}");
                table += &row;
            }
            Err(error) => report.note(format!("{}: {error}", server.name)),
        }
    }
    report.finish()?;
    println!("\n{table}");
    Ok(())
}

fn measure(server: &Server, kills: usize) -> Anything<Vec<Side>> {
    let side = |mode| -> Anything<Side> {
        let running = Running::start(server, mode)?;
        Ok(Side { mode, running, waits: Vec::new(), counts: Counts::default() })
    };
    let mut sides = Mode::ALL.into_iter().map(side).collect::<Anything<Vec<_>>>()?;
    // All rest before the first turn.
    for side in &sides {
        side.running.wait_settled()?;
    }
    for round in 0..kills {
        for turn in turns(round, sides.len()) {
            let side = &mut sides[turn];
            side.kill().map_err(|error| {
                format!(
                    "{}, kill {}: {error}; pm: {}",
                    side.mode.name(),
                    round + 1,
                    side.running.said()
                )
            })?;
        }
    }
    Ok(sides)
}

impl Side {
    fn kill(&mut self) -> Anything<()> {
        let worker = self.running.wait_settled()?;
        let clients = Clients::start(self.running.address);
        clients.wait_answered(ANSWERS)?;
        self.waits.push(self.running.kill(worker)?);
        clients.wait_answered(ANSWERS)?;
        self.counts += clients.end();
        // The next turn is another's.
        self.running.wait_settled().map(drop)
    }

    fn wait(&self, p: usize) -> f64 {
        percentile(&self.waits, p)
    }
}

fn add_figures(report: &mut Report, server: &str, sides: &[Side]) {
    let [plain, ..] = sides else { return };
    for side in sides {
        let name = |what: &str| format!("{server}, {}: {what}", side.mode.name());
        for p in [50, 99] {
            let mut figure =
                Figure::new(&name(&format!("kill to answer, p{p}")), "pm", side.wait(p), "ms");
            if side.mode != Mode::Plain {
                figure = figure.beside(plain.wait(p), "plain");
            }
            if side.mode == Mode::Spare && p == 50 {
                figure = figure.goal(What::Value, Bound::AtMost, 10.0);
                figure = figure.goal(What::Ratio, Bound::AtMost, 0.25);
            }
            report.add(figure);
        }
        let Counts { answered, refused, lost, .. } = side.counts;
        let mut figure = Figure::new(&name("refused"), "pm", refused as f64, "connections");
        if side.mode != Mode::Plain {
            figure = figure.goal(What::Value, Bound::AtMost, 0.0);
        }
        report.add(figure);
        report.add(Figure::new(&name("lost in flight"), "pm", lost as f64, "connections"));
        report.add(Figure::new(&name("answered"), "pm", answered as f64, "connections"));
    }
}

/// For docs/held-ports.md.
fn row(server: &str, sides: &[Side]) -> String {
    let waits = sides.iter().map(|side| format!("{:.1} / {:.1} ms", side.wait(50), side.wait(99)));
    let waits: Vec<_> = waits.collect();
    let each = |count: fn(&Counts) -> u64| {
        sides.iter().map(|side| count(&side.counts).to_string()).collect::<Vec<_>>().join(", ")
    };
    let ratio = sides[2].wait(50) / sides[0].wait(50);
    let (refused, lost) = (each(|counts| counts.refused), each(|counts| counts.lost));
    format!("| {server} | {} | {ratio:.2}x | {refused} | {lost} |\n", waits.join(" | "))
}
