//! What the filter costs: requests a second with `hold_port` and without, by turns.

use std::process::{Command, Stdio};

use crate::running::{Mode, Running};
use crate::servers::Server;
use crate::support::report::{Bound, Figure, Report, What};
use crate::support::statistics::median;
use crate::support::{Anything, settings, turns};

const TURN: &str = "1s";
const CONNECTIONS: &str = "8";
const SERVERS: [&str; 3] = ["Node", "Go", "Rust"];

/// What becomes of a connection after a request, and what tells the server.
const KINDS: [(&str, &[&str]); 2] =
    [("kept", &[]), ("a connection each", &["--header", "Connection: close"])];

pub fn run() -> Anything<()> {
    let rounds = settings::rounds(20)?;
    let mut report = Report::new(
        "held_cost",
        &format!(
            "Requests a second over {CONNECTIONS} connections by wrk, by turns of {TURN} with hold_port and without. The \
             figures are medians, and so is the ratio, of the ratios of {rounds} rounds."
        ),
    )?;
    if let Err(error) = Command::new("wrk").arg("-v").stdout(Stdio::null()).status() {
        report.note(format!("wrk is not installed: {error}"));
        return report.finish();
    }
    for name in SERVERS {
        let server = Server::named(name);
        if server.find()?.is_none() {
            report.note(format!("{name} is not installed"));
            continue;
        }
        let sides = [Mode::Plain, Mode::Held].map(|mode| Running::start(server, mode));
        let sides = sides.into_iter().collect::<Anything<Vec<_>>>()?;
        for side in &sides {
            side.wait_settled()?;
        }
        for (kind, options) in KINDS {
            let mut rates = [Vec::new(), Vec::new()];
            for round in 0..rounds {
                for turn in turns(round, sides.len()) {
                    rates[turn].push(requests_a_second(&sides[turn], options)?);
                }
            }
            add_figures(&mut report, &format!("{name}, {kind}"), &rates);
        }
    }
    report.finish()
}

fn add_figures(report: &mut Report, name: &str, [plain, held]: &[Vec<f64>; 2]) {
    let ratios: Vec<_> = plain.iter().zip(held).map(|(plain, held)| held / plain).collect();
    let of = |mode: Mode| format!("{name}: {}", mode.name());
    report.add(Figure::new(&of(Mode::Plain), "pm", median(plain), "a second"));
    report.add(Figure::new(&of(Mode::Held), "pm", median(held), "a second"));
    let figure = Figure::new(&format!("{name}: ratio"), "pm", median(&ratios), "x");
    report.add(figure.goal(What::Value, Bound::AtLeast, 0.98));
}

fn requests_a_second(running: &Running, options: &[&str]) -> Anything<f64> {
    let mut command = Command::new("wrk");
    command.args(["-t", "1", "-c", CONNECTIONS, "-d", TURN]).args(options);
    let output = command.arg(format!("http://{}/", running.address)).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
    Ok(rate.ok_or_else(|| format!("wrk: {text}"))?.trim().parse()?)
}
