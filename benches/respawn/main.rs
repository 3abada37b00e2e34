//! From the death of a worker to the exec of the next: pm beside two bare C loops, in one run, by the kernel's clock.
//!
//!     make bench
//!
//! All keep the same worker alive. In turn one worker of each is killed, so that all else that the machine does falls
//! on all. With `PM_BESIDE=FILE` an older pm takes part too. Needs root (see `proc_events`) and a C compiler.

#[path = "../../tests/support/proc_events.rs"]
mod proc_events;

use std::error::Error;
use std::ffi::OsString;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use proc_events::{ProcEvents, What};

const ROUNDS: usize = 300;
const PATIENCE: Duration = Duration::from_secs(10);

type Anything<T> = Result<T, Box<dyn Error>>;

fn main() -> Anything<()> {
    let arguments: Vec<_> = std::env::args().collect();
    let rounds = arguments.iter().position(|argument| argument == "--rounds");
    let rounds = rounds.map(|at| arguments[at + 1].parse()).transpose()?.unwrap_or(ROUNDS);
    let events = match ProcEvents::listen() {
        Ok(events) => events,
        Err(error) => {
            let skipped = format!("skipped: the process event connector needs root: {error}");
            if std::env::var_os("PM_SKIP_NOTHING").is_some() {
                return Err(skipped.into());
            }
            println!("respawn: {skipped}");
            return Ok(());
        }
    };
    let [bare, with_signalfd] = [compiled("loop")?, compiled("signalfd")?];
    let worker = beside(Path::new(env!("CARGO_BIN_EXE_pm")), "examples/worker");
    if !worker.exists() {
        return Err("build the worker first: make bench does".into());
    }
    let pm = |file: OsString| {
        move |port: &str| {
            let mut pm = Command::new(file);
            pm.env("PM_SOCKET", "none").args(["run", "--ports", port, "--"]);
            pm
        }
    };
    let mut contenders = vec![
        Contender::start("vfork", &worker, &events, |_| Command::new(&bare))?,
        Contender::start("signalfd", &worker, &events, |_| Command::new(&with_signalfd))?,
        Contender::start("pm", &worker, &events, pm(env!("CARGO_BIN_EXE_pm").into()))?,
    ];
    if let Some(older) = std::env::var_os("PM_BESIDE") {
        contenders.push(Contender::start("older pm", &worker, &events, pm(older))?);
    }
    for round in 0..rounds {
        // Each is first, second and so on equally often: the place in the round makes 2 % of a difference.
        for n in 0..contenders.len() {
            let contender = (round + n) % contenders.len();
            contenders[contender].round(&events)?;
        }
    }
    println!("death of a worker to exec of the next, {rounds} times each, by turns:");
    for contender in &mut contenders {
        let [p50, p99] = [50, 99].map(|p| contender.percentile(p));
        println!("  {:<12} p50 {p50:>7.1} us   p99 {p99:>7.1} us", contender.name);
    }
    let (floors, managers) = contenders.split_at_mut(2);
    for floor in floors {
        let [floor50, floor99] = [50, 99].map(|p| floor.percentile(p));
        for pm in managers.iter_mut() {
            let [p50, p99] = [pm.percentile(50) / floor50, pm.percentile(99) / floor99];
            let (pm, floor) = (pm.name, floor.name);
            println!(
                "  {pm:<12} p50 {p50:>6.2}x      p99 {p99:>6.2}x   of the bare C loop ({floor})"
            );
        }
    }
    Ok(())
}

/// One that keeps a worker alive.
struct Contender {
    name: &'static str,
    keeper: Child,
    /// Who forks the workers.
    parent: i32,
    worker: i32,
    port: u16,
    /// In microseconds.
    samples: Vec<f64>,
}

impl Contender {
    fn start(
        name: &'static str,
        worker: &Path,
        events: &ProcEvents,
        keeper: impl FnOnce(&str) -> Command,
    ) -> Anything<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let port_text = port.to_string();
        let mut command = keeper(&port_text);
        command.arg(worker).args(["listen", &port_text, "stay"]);
        let nowhere = || Stdio::null();
        let keeper = command.stdin(nowhere()).stdout(nowhere()).stderr(nowhere()).spawn()?;
        let pid = i32::try_from(keeper.id())?;
        // From here on it is ended with the contender, whatever comes.
        let mut contender =
            Self { name, keeper, parent: pid, worker: 0, port, samples: Vec::new() };
        (_, contender.worker, contender.parent) = next_worker(events, pid)?;
        contender.wait_until_it_serves()?;
        Ok(contender)
    }

    fn round(&mut self, events: &ProcEvents) -> Anything<()> {
        kill(Pid::from_raw(self.worker), Signal::SIGKILL)?;
        let died = loop {
            match events.next(PATIENCE)?.ok_or("no worker died")? {
                (when, What::Exited { pid }) if pid == self.worker => break when,
                _ => {}
            }
        };
        let (execd, worker, _) = next_worker(events, self.parent)?;
        self.samples.push((execd - died) as f64 / 1_000.0);
        self.worker = worker;
        self.wait_until_it_serves()
    }

    /// A worker that dies before it is ready has failed to start, and pm would let it rest.
    fn wait_until_it_serves(&self) -> Anything<()> {
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if Instant::now() > until {
                return Err(format!("{}: no worker on port {}", self.name, self.port).into());
            }
            std::thread::park_timeout(Duration::from_millis(1));
        }
        // pm asks in its own time whether the worker serves.
        std::thread::park_timeout(Duration::from_millis(30));
        Ok(())
    }

    fn percentile(&mut self, p: usize) -> f64 {
        self.samples.sort_by(f64::total_cmp);
        self.samples[(self.samples.len() * p / 100).min(self.samples.len() - 1)]
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        let keeper = i32::try_from(self.keeper.id()).expect("a pid");
        let _ = kill(Pid::from_raw(keeper), Signal::SIGTERM);
        let _ = self.keeper.wait();
    }
}

/// Waits until a child of `keeper`, or of what it has forked, has exec'd; returns when, who, and whose child it is.
///
/// pm is two processes, and the inner one forks the workers.
fn next_worker(events: &ProcEvents, keeper: i32) -> Anything<(u64, i32, i32)> {
    let mut family = vec![(keeper, keeper)];
    loop {
        match events.next(PATIENCE)?.ok_or("no worker was started")? {
            (_, What::Forked { parent, child }) if family.iter().any(|(pid, _)| *pid == parent) => {
                family.push((child, parent));
            }
            (_, What::Exited { pid }) if pid == keeper => {
                return Err("it has ended, instead of starting a worker".into());
            }
            (when, What::Execd { pid }) if pid != keeper => {
                if let Some((_, parent)) = family.iter().find(|(member, _)| *member == pid) {
                    return Ok((when, pid, *parent));
                }
            }
            _ => {}
        }
    }
}

fn beside(binary: &Path, name: &str) -> PathBuf {
    binary.with_file_name(name)
}

fn compiled(name: &str) -> Anything<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/respawn");
    let source = folder.join(name).with_extension("c");
    let program = beside(Path::new(env!("CARGO_BIN_EXE_pm")), &format!("bare-{name}"));
    let compiler = std::env::var_os("CC").unwrap_or("cc".into());
    let status = Command::new(compiler).arg("-O2").arg(&source).arg("-o").arg(&program).status()?;
    if status.success() { Ok(program) } else { Err(format!("cannot compile {name}.c").into()) }
}
