//! What the deaths of workers cost, by how many there are: pm beside a bare C loop, by the kernel's clock.
//!
//!     cargo bench --bench storm
//!
//! All workers are killed at once, and then some of them one after another; at last pm is stopped. `PM_STORM_SIZES` is
//! a list of numbers of workers. With `PM_BESIDE=FILE` an older pm takes part too, where it can keep that number. Needs
//! root (see `proc_events`) and a C compiler.

#[path = "../../tests/support/proc_events.rs"]
mod proc_events;

use std::collections::BTreeSet;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use proc_events::{ProcEvents, What};

const STORMS: usize = 5;
const SINGLE_DEATHS: usize = 200;
const PATIENCE: Duration = Duration::from_secs(30);
/// pm is done with all that followed from a death when nothing has happened for this long.
const QUIET: Duration = Duration::from_millis(300);

type Anything<T> = Result<T, Box<dyn Error>>;

fn main() -> Anything<()> {
    let events = match ProcEvents::listen() {
        Ok(events) => events,
        Err(error) => {
            println!("storm: skipped, the process event connector needs root: {error}");
            return Ok(());
        }
    };
    let bare = compiled_loop()?;
    let sizes = std::env::var("PM_STORM_SIZES").unwrap_or("100 1000 5000".into());
    let mut keepers = vec![("bare C loop", None), ("pm", Some(env!("CARGO_BIN_EXE_pm").into()))];
    if let Some(older) = std::env::var_os("PM_BESIDE") {
        keepers.push(("older pm", Some(PathBuf::from(older))));
    }
    println!(
        "{:>8} {:<12} {:>12} {:>14} {:>14} {:>10}",
        "workers", "", "storm", "CPU a death", "CPU of one", "stop"
    );
    for size in sizes.split_whitespace() {
        let size: usize = size.parse()?;
        for (name, program) in &keepers {
            match figures(&bare, program.as_deref(), size, &events) {
                Ok(Figures { storm, cpu_in_storm, cpu_alone, stop }) => println!(
                    "{size:>8} {name:<12} {:>9.1} ms {cpu_in_storm:>11.1} us {cpu_alone:>11.1} us {:>7.1} ms",
                    storm * 1_000.0,
                    stop * 1_000.0,
                ),
                Err(error) => println!("{size:>8} {name:<12} {error}"),
            }
        }
    }
    Ok(())
}

struct Figures {
    /// From the first death to the exec of the last replacement, in seconds: the median.
    storm: f64,
    /// What the process that forks used for each death, in microseconds: the median; and where deaths come alone.
    cpu_in_storm: f64,
    cpu_alone: f64,
    /// From SIGTERM to the end, in seconds.
    stop: f64,
}

fn figures(
    bare: &Path,
    program: Option<&Path>,
    size: usize,
    events: &ProcEvents,
) -> Anything<Figures> {
    let folder = tempfile::tempdir()?;
    let mut keeper = Keeper::start(folder.path(), bare, program, size, events)?;
    let (mut storms, mut cpu) = (Vec::new(), Vec::new());
    for _ in 0..STORMS {
        let before = keeper.processor_time()?;
        let victims: Vec<i32> = keeper.workers.iter().copied().collect();
        storms.push(keeper.replace(&victims, events)?);
        keeper.wait_until_quiet(events)?;
        cpu.push((keeper.processor_time()? - before) / size as f64);
    }
    let before = keeper.processor_time()?;
    for n in 0..SINGLE_DEATHS {
        let victims: Vec<i32> = keeper.workers.iter().copied().skip(n * 7 % size).take(1).collect();
        keeper.replace(&victims, events)?;
    }
    keeper.wait_until_quiet(events)?;
    let cpu_alone = (keeper.processor_time()? - before) / SINGLE_DEATHS as f64;
    let stop = keeper.stop()?;
    Ok(Figures { storm: median(storms), cpu_in_storm: median(cpu), cpu_alone, stop })
}

/// A process that keeps workers alive.
struct Keeper {
    child: Child,
    /// The process that forks the workers: pm is two processes.
    parent: i32,
    workers: BTreeSet<i32>,
    /// Forked, and not exec'd.
    forked: BTreeSet<i32>,
}

impl Keeper {
    fn start(
        folder: &Path,
        bare: &Path,
        program: Option<&Path>,
        size: usize,
        events: &ProcEvents,
    ) -> Anything<Self> {
        let mut command = match program {
            None => {
                let mut command = Command::new(bare);
                command.arg(size.to_string()).arg(bare).arg("0");
                command
            }
            Some(pm) => {
                let file = folder.join("pm.toml");
                let text = format!(
                    "[pool.w]\ncommand = [{bare:?}, \"0\"]\nworkers = {size}\nready = {{ after = \"0s\" }}\n"
                );
                std::fs::write(&file, text)?;
                let mut command = Command::new(pm);
                command.args(["run", "-f"]).arg(file);
                command
            }
        };
        let nowhere = || Stdio::null();
        let child = command.stdin(nowhere()).stdout(nowhere()).stderr(nowhere()).spawn()?;
        let pid = i32::try_from(child.id())?;
        let (workers, forked) = (BTreeSet::new(), BTreeSet::new());
        let mut keeper = Self { child, parent: pid, workers, forked };
        let mut is_two_processes = program.is_some();
        while keeper.workers.len() < size {
            let (_, what) = events.next(PATIENCE)?.ok_or("the workers do not start")?;
            match what {
                What::Forked { parent, child } if is_two_processes && parent == pid => {
                    keeper.parent = child;
                    is_two_processes = false;
                }
                What::Exited { pid: ended } if ended == pid => {
                    return Err("cannot keep that number".into());
                }
                What::Forked { .. } | What::Execd { .. } | What::Exited { .. } => keeper.note(what),
            }
        }
        keeper.wait_until_quiet(events)?;
        Ok(keeper)
    }

    fn note(&mut self, what: What) {
        match what {
            What::Forked { parent, child } if parent == self.parent => {
                self.forked.insert(child);
            }
            What::Execd { pid } if self.forked.remove(&pid) => {
                self.workers.insert(pid);
            }
            What::Exited { pid } => {
                self.workers.remove(&pid);
            }
            What::Forked { .. } | What::Execd { .. } => {}
        }
    }

    /// Kills workers and waits until each is replaced. Returns how long that took, in seconds.
    fn replace(&mut self, victims: &[i32], events: &ProcEvents) -> Anything<f64> {
        for victim in victims {
            kill(Pid::from_raw(*victim), Signal::SIGKILL)?;
        }
        let (mut first, mut execs) = (None, 0);
        loop {
            let (when, what) = events.next(PATIENCE)?.ok_or("a worker is not replaced")?;
            let before = self.workers.len();
            self.note(what);
            if self.workers.len() < before {
                first.get_or_insert(when);
            }
            execs += usize::from(self.workers.len() > before);
            if execs == victims.len() {
                return Ok((when - first.ok_or("an exec without a death")?) as f64 / 1e9);
            }
        }
    }

    /// Until no event of its own comes for a while: others go on all the time.
    fn wait_until_quiet(&mut self, events: &ProcEvents) -> Anything<()> {
        let mut until = Instant::now() + QUIET;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            if let Some((_, what)) = events.next(left)? {
                let before = self.workers.len();
                self.note(what);
                if self.workers.len() != before {
                    until = Instant::now() + QUIET;
                }
            }
        }
        Ok(())
    }

    /// What the process that forks has used, in microseconds.
    fn processor_time(&self) -> Anything<f64> {
        let mut nanoseconds = 0;
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.parent))? {
            let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
            nanoseconds += text.split(' ').next().ok_or("no time")?.parse::<u64>()?;
        }
        Ok(nanoseconds as f64 / 1_000.0)
    }

    fn stop(&mut self) -> Anything<f64> {
        let asked = Instant::now();
        kill(Pid::from_raw(i32::try_from(self.child.id())?), Signal::SIGTERM)?;
        self.child.wait()?;
        Ok(asked.elapsed().as_secs_f64())
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // It is not reaped unless it was stopped, and then this does nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn compiled_loop() -> Anything<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/storm/loop.c");
    let program = Path::new(env!("CARGO_BIN_EXE_pm")).with_file_name("bare-storm");
    let compiler = std::env::var_os("CC").unwrap_or("cc".into());
    let status = Command::new(compiler)
        .args(["-O2", "-static"])
        .arg(&source)
        .arg("-o")
        .arg(&program)
        .status()?;
    if status.success() { Ok(program) } else { Err("cannot compile loop.c".into()) }
}
