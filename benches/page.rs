//! What the page costs: pm with ten browsers and a scrape each second, beside pm without.
//!
//!     cargo bench --bench page
//!
//! A browser is a reader of `/v1/stream`. Needs root and a C compiler.

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::signal::Signal;
use support::keeper::Keeper;
use support::proc_events::ProcEvents;
use support::programs::{self, Programs, Work};
use support::report::{Bound, Figure, Report, What};
use support::statistics::percentile;
use support::{Anything, pass, settings, turns, wait_until};

const BROWSERS: usize = 10;

/// Until pm has told its browsers of a death and of the next worker.
const REST: Duration = Duration::from_millis(20);

/// The share of a core, in percent, that pm may use at most with so many workers.
const SHARES: [(usize, f64); 2] = [(3, 2.0), (500, 5.0)];

fn main() -> Anything<()> {
    let Some(events) = support::events("page")? else { return Ok(()) };
    let programs = Programs::compile()?;
    let mut report = Report::new(
        "page",
        "pm with ten browsers and a scrape of its metrics each second: the time from the death of a worker to the exec of \
         the next, and the share of a core that all threads of pm use while nothing happens.",
    )?;
    add_respawn(&mut report, &programs, &events)?;
    for (size, limit) in SHARES {
        add_share(&mut report, size, limit, &programs, &events)?;
    }
    report.finish()
}

fn add_respawn(report: &mut Report, programs: &Programs, events: &ProcEvents) -> Anything<()> {
    const SIZE: usize = 20;
    let kills = settings::kills(300)?;
    let mut sides =
        [Side::without(SIZE, programs, events)?, Side::watched(SIZE, programs, events)?];
    for round in 0..kills {
        for turn in turns(round, sides.len()) {
            sides[turn].kill(events)?;
        }
    }
    for p in [50, 99] {
        let [without, watched] = sides.each_ref().map(|side| percentile(&side.respawns, p));
        let name = format!("respawn, p{p}");
        report.add(Figure::new(&name, "pm without a page", without, "us").of_size(SIZE));
        let figure = Figure::new(&name, "pm", watched, "us").of_size(SIZE);
        let figure = figure.beside(without, "pm without a page");
        let is_goal = p == 50;
        report.add(if is_goal { figure.goal(What::Ratio, Bound::AtMost, 1.1) } else { figure });
    }
    sides.into_iter().try_for_each(|side| side.stop(events))
}

fn add_share(
    report: &mut Report,
    size: usize,
    limit: f64,
    programs: &Programs,
    events: &ProcEvents,
) -> Anything<()> {
    let seconds = settings::seconds(20.0)?;
    let side = Side::watched(size, programs, events)?;
    let before = side.keeper.usage();
    pass(Duration::from_secs_f64(seconds));
    let used = side.keeper.usage() - before;
    side.stop(events)?;
    let share = 100.0 * used.cpu_seconds() / seconds;
    let figure = Figure::new("share of a core", "pm", share, "%").of_size(size);
    report.add(figure.goal(What::Value, Bound::Below, limit));
    Ok(())
}

/// A pm, and those that look at its page.
struct Side {
    keeper: Keeper,
    viewers: Option<Viewers>,
    kills: usize,
    /// In microseconds.
    respawns: Vec<f64>,
}

impl Side {
    fn without(size: usize, programs: &Programs, events: &ProcEvents) -> Anything<Self> {
        Self::start("", size, programs, events)
    }

    fn watched(size: usize, programs: &Programs, events: &ProcEvents) -> Anything<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let side = Self::start(&format!("http = \"127.0.0.1:{port}\"\n"), size, programs, events)?;
        let viewers = Viewers::of(port)?;
        Ok(Self { viewers: Some(viewers), ..side })
    }

    fn start(keys: &str, size: usize, programs: &Programs, events: &ProcEvents) -> Anything<Self> {
        let folder = tempfile::tempdir()?;
        let command = command(keys, size, programs, folder.path())?;
        let mut keeper = Keeper::launch(command, &programs.worker, folder)?;
        keeper.wait_for_workers(size, events)?;
        keeper.wait_until_quiet(events)?;
        Ok(Self { keeper, viewers: None, kills: 0, respawns: Vec::new() })
    }

    fn kill(&mut self, events: &ProcEvents) -> Anything<()> {
        let workers = self.keeper.workers();
        // Each worker in its turn.
        let victim = workers[self.kills * 7 % workers.len()];
        self.kills += 1;
        self.respawns.push(self.keeper.replace(&[victim], events)?.seconds * 1e6);
        pass(REST);
        Ok(())
    }

    fn stop(mut self, events: &ProcEvents) -> Anything<()> {
        self.keeper.stop(Signal::SIGTERM, events)?;
        self.viewers.into_iter().for_each(Viewers::stop);
        Ok(())
    }
}

fn command(
    keys: &str,
    size: usize,
    programs: &Programs,
    folder: &Path,
) -> Anything<std::process::Command> {
    use std::process::Stdio;
    let file = folder.join("pm.toml");
    let pool = programs::pool("w", &programs.worker, size, Work::Nothing);
    std::fs::write(&file, format!("{keys}{pool}"))?;
    let mut command = programs::pm_on(&programs::pm(), &file);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command)
}

/// Browsers that have the page open, and a program that scrapes the metrics.
struct Viewers {
    streams: Vec<TcpStream>,
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Viewers {
    fn of(port: u16) -> Anything<Self> {
        wait_until("the page", || Ok(TcpStream::connect(("127.0.0.1", port)).is_ok()))?;
        let is_over = Arc::new(AtomicBool::new(false));
        let mut viewers = Self { streams: Vec::new(), is_over, threads: Vec::new() };
        for _ in 0..BROWSERS {
            let mut stream = ask(port, "/v1/stream")?;
            viewers.streams.push(stream.try_clone()?);
            viewers.threads.push(thread::spawn(move || read_all(&mut stream)));
        }
        let is_over = Arc::clone(&viewers.is_over);
        viewers.threads.push(thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                if let Ok(mut answer) = ask(port, "/metrics") {
                    read_all(&mut answer);
                }
                pass(Duration::from_secs(1));
            }
        }));
        Ok(viewers)
    }

    fn stop(self) {
        self.is_over.store(true, Ordering::Relaxed);
        for stream in &self.streams {
            // pm may have closed it.
            let _ = stream.shutdown(Shutdown::Both);
        }
        for thread in self.threads {
            thread.join().expect("it reads");
        }
    }
}

fn ask(port: u16, path: &str) -> Anything<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    let head =
        format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut status = [0; 12];
    stream.read_exact(&mut status)?;
    if &status != b"HTTP/1.1 200" {
        return Err(format!("{path}: {}", String::from_utf8_lossy(&status)).into());
    }
    Ok(stream)
}

/// Reads until the other side ends it.
fn read_all(stream: &mut TcpStream) {
    let mut bytes = [0; 64 * 1024];
    while stream.read(&mut bytes).is_ok_and(|count| count > 0) {}
}
