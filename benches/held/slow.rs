//! A server that needs 10 s to start, with a spare: it is killed every 15 s while clients connect.

use std::time::{Duration, Instant};

use crate::clients::Clients;
use crate::running::{Mode, Running};
use crate::servers::Server;
use crate::support::report::{Bound, Figure, Report, What};
use crate::support::statistics::percentile;
use crate::support::{Anything, pass, settings};

const START_SECONDS: u32 = 10;
const BETWEEN_KILLS: Duration = Duration::from_secs(15);

pub fn run() -> Anything<()> {
    let seconds = settings::seconds(300.0)?;
    let mut report = Report::new(
        "held_slow",
        &format!(
            "A Node server that needs {START_SECONDS} s to start, with a spare, is killed every {} s for {seconds} s while \
             4 clients open a connection each 2 ms.",
            BETWEEN_KILLS.as_secs()
        ),
    )?;
    let server = Server::named("Node");
    if server.find()?.is_none() {
        report.note("Node is not installed".into());
        return report.finish();
    }
    let running = Running::start_with(server, Mode::Spare, |argv| {
        let words: Vec<_> = argv.iter().map(|word| format!("'{word}'")).collect();
        let script = format!("sleep {START_SECONDS}; exec {}", words.join(" "));
        vec!["/bin/sh".into(), "-c".into(), script]
    })?;
    running.wait_settled()?;
    let clients = Clients::start(running.address);
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let mut waits = Vec::new();
    while Instant::now() + BETWEEN_KILLS <= until {
        let next = Instant::now() + BETWEEN_KILLS;
        let worker = running.wait_settled()?;
        pass(next.saturating_duration_since(Instant::now()));
        waits.push(running.kill(worker)?);
    }
    running.wait_settled()?;
    let counts = clients.end();
    report.add(Figure::new("kills", "pm", waits.len() as f64, ""));
    report.add(Figure::new("kill to answer, p50", "pm", percentile(&waits, 50), "ms"));
    report.add(Figure::new("kill to answer, longest", "pm", percentile(&waits, 100), "ms"));
    let longest = counts.longest.as_secs_f64() * 1e3;
    let figure = Figure::new("longest wait of a client", "pm", longest, "ms");
    report.add(figure.goal(What::Value, Bound::Below, 100.0));
    let figure = Figure::new("refused", "pm", counts.refused as f64, "connections");
    report.add(figure.goal(What::Value, Bound::AtMost, 0.0));
    report.add(Figure::new("lost in flight", "pm", counts.lost as f64, "connections"));
    report.add(Figure::new("answered", "pm", counts.answered as f64, "connections"));
    report.finish()
}
