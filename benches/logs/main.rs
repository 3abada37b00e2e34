//! Lines from workers through pm into a file: pm beside `cat`, which gets the same lines through one pipe, in one run.
//!
//!     make bench
//!
//! All take turns, so that all else that the machine does falls on all. Each line of each worker is looked for in the
//! file. Where there are many workers, one more writes a line now and then: its longest wait is shown.
//! With `PM_BESIDE=FILE` an older pm takes part too. The file is in `TMPDIR`; with `TMPDIR=/dev/shm` no disk takes
//! part. Needs a C compiler.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

const ROUNDS: usize = 11;
const PATIENCE: Duration = Duration::from_secs(60);
/// Of all workers of a run together.
const LINES: usize = 2_000_000;
const LINE_BYTES: usize = 100;
/// What a worker that does not flood writes, and its pause between two lines.
const QUIET_LINES: usize = 100;
const QUIET_PAUSE: &str = "1000";
/// With this many workers there is one that does not flood.
const MANY: usize = 100;

type Anything<T> = Result<T, Box<dyn Error>>;

/// What takes the lines of workers to a file.
#[derive(Clone)]
enum Carrier {
    Cat,
    Pm { program: PathBuf, settings: &'static str },
}

fn main() -> Anything<()> {
    let arguments: Vec<_> = std::env::args().collect();
    let rounds = arguments.iter().position(|argument| argument == "--rounds");
    let rounds = rounds.map(|at| arguments[at + 1].parse()).transpose()?.unwrap_or(ROUNDS);
    let sizes = std::env::var("PM_LOGS_SIZES").unwrap_or("1 4 100".into());
    let writer = compiled_writer()?;
    let pm = |program, settings| Carrier::Pm { program, settings };
    let own = PathBuf::from(env!("CARGO_BIN_EXE_pm"));
    let mut carriers = vec![
        ("cat", Carrier::Cat),
        ("pm", pm(own.clone(), "")),
        ("pm, no ring", pm(own, "[log]\nring = \"0\"\n")),
    ];
    if let Some(older) = std::env::var_os("PM_BESIDE") {
        carriers.push(("older pm", pm(older.into(), "")));
    }
    println!("lines of {LINE_BYTES} bytes into a file, {LINES} of them {rounds} times, by turns:");
    for size in sizes.split_whitespace() {
        let workers = size.parse()?;
        let mut runs: Vec<Vec<Figures>> = carriers.iter().map(|_| Vec::new()).collect();
        for round in 0..rounds {
            for n in 0..carriers.len() {
                let turn = (round + n) % carriers.len();
                let (name, carrier) = &carriers[turn];
                let figures = run(carrier, workers, &writer);
                runs[turn].push(figures.map_err(|error| format!("{name}: {error}"))?);
            }
        }
        let floor = Figures::medians(&runs[0]);
        for ((name, _), runs) in carriers.iter().zip(&runs) {
            let one = Figures::medians(runs);
            println!(
                "  workers {workers:>3}  {name:<12} {:>5.2}x  {:>6.2} M lines/s  CPU {:>4.0} ns a line  \
                 longest write {:>6.1} ms  of a quiet worker {:>5.1} ms",
                one.rate / floor.rate,
                one.rate / 1e6,
                one.cpu,
                one.longest / 1e3,
                one.longest_of_quiet / 1e3,
            );
        }
    }
    Ok(())
}

struct Figures {
    /// Lines a second.
    rate: f64,
    /// What the carrier used for each line, in nanoseconds.
    cpu: f64,
    /// The longest write of all workers that flood, in microseconds, and of the one that does not.
    longest: f64,
    longest_of_quiet: f64,
}

impl Figures {
    fn medians(runs: &[Self]) -> Self {
        let median = |of: fn(&Self) -> f64| {
            let mut values: Vec<_> = runs.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        Self {
            rate: median(|one| one.rate),
            cpu: median(|one| one.cpu),
            // What one run has shown is so.
            longest: runs.iter().map(|one| one.longest).fold(0.0, f64::max),
            longest_of_quiet: runs.iter().map(|one| one.longest_of_quiet).fold(0.0, f64::max),
        }
    }
}

fn run(carrier: &Carrier, workers: usize, writer: &Path) -> Anything<Figures> {
    let folder = tempfile::tempdir()?;
    let gate_path = folder.path().join("gate");
    mkfifo(&gate_path, Mode::S_IRWXU)?;
    // Open for both, so that no worker waits for the other end.
    let mut gate = OpenOptions::new().read(true).write(true).open(&gate_path)?;
    let out = folder.path().join("out");
    let lines = LINES / workers;
    // `cat` has one pipe for all: a worker that does not flood would show nothing.
    let quiet = usize::from(workers >= MANY && !matches!(carrier, Carrier::Cat));
    let flood = [lines.to_string(), gate_path.display().to_string(), "0".into()];
    let mut running = match carrier {
        Carrier::Cat => Running::cat(&out, writer, workers, &flood)?,
        Carrier::Pm { program, settings } => {
            let quiet_arguments =
                [QUIET_LINES.to_string(), flood[1].clone(), QUIET_PAUSE.to_owned()];
            let mut text = format!("{settings}{}", pool("w", writer, workers, &flood));
            if quiet > 0 {
                text += &pool("q", writer, quiet, &quiet_arguments);
            }
            let file = folder.path().join("pm.toml");
            std::fs::write(&file, text)?;
            Running::pm(program, &file, &out)?
        }
    };
    let all = workers + quiet;
    wait_until("all workers write", || Ok(newlines(&std::fs::read(&out)?) == all))?;
    let label = std::fs::metadata(&out)?.len() as usize / all - LINE_BYTES;
    let expected = (workers * (lines + 2) + quiet * (QUIET_LINES + 2)) * (label + LINE_BYTES);
    let cpu = running.processor_time()?;
    let began = Instant::now();
    gate.write_all(&vec![0; all])?;
    wait_until("all lines are there", || Ok(std::fs::metadata(&out)?.len() >= expected as u64))?;
    let took = began.elapsed().as_secs_f64();
    let cpu = running.processor_time()? - cpu;
    gate.write_all(&vec![0; all])?;
    running.child.wait()?;
    let longest = match carrier {
        // The lines of several writers of one pipe are torn.
        Carrier::Cat => [0.0; 2],
        Carrier::Pm { .. } => longest_writes(&std::fs::read(&out)?, label, workers, lines, quiet)?,
    };
    let lines = (workers * lines) as f64;
    let [longest, longest_of_quiet] = longest;
    Ok(Figures { rate: lines / took, cpu: cpu / lines, longest, longest_of_quiet })
}

/// A pool of writers.
fn pool(name: &str, writer: &Path, workers: usize, arguments: &[String]) -> String {
    let [lines, gate, pause] = arguments else { unreachable!("a writer has three") };
    format!(
        "[pool.{name}]\ncommand = [{writer:?}, \"{{slot}}\", \"{lines}\", {gate:?}, \"{pause}\"]\n\
         workers = {workers}\nrestart = \"never\"\nready = {{ after = \"0s\" }}\n"
    )
}

/// A carrier at work.
struct Running {
    child: Child,
    /// The process that moves the bytes: pm is two processes.
    mover: u32,
    writers: Vec<Child>,
}

impl Running {
    fn cat(out: &Path, writer: &Path, workers: usize, arguments: &[String]) -> Anything<Self> {
        let (reader, pipe) = std::io::pipe()?;
        let child = Command::new("cat").stdin(reader).stdout(File::create(out)?).spawn()?;
        let mut running = Self { mover: child.id(), child, writers: Vec::new() };
        for n in 1..=workers {
            let mut command = Command::new(writer);
            command.arg(format!("w.{n}")).args(arguments).stdout(pipe.try_clone()?);
            running.writers.push(command.spawn()?);
        }
        Ok(running)
    }

    fn pm(program: &Path, file: &Path, out: &Path) -> Anything<Self> {
        let mut command = Command::new(program);
        command.env("PM_SOCKET", "none").args(["run", "-f"]).arg(file);
        command.stdin(Stdio::null()).stdout(File::create(out)?).stderr(Stdio::null());
        let child = command.spawn()?;
        let mut running = Self { mover: child.id(), child, writers: Vec::new() };
        let guard = running.child.id();
        let children = format!("/proc/{guard}/task/{guard}/children");
        wait_until("pm starts", || {
            let text = std::fs::read_to_string(&children)?;
            running.mover = text.trim().parse().unwrap_or(guard);
            Ok(running.mover != guard)
        })?;
        Ok(running)
    }

    /// What the process that moves the bytes has used, in nanoseconds.
    fn processor_time(&self) -> Anything<f64> {
        let mut nanoseconds = 0;
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.mover))? {
            let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
            nanoseconds += text.split(' ').next().ok_or("no time")?.parse::<u64>()?;
        }
        Ok(nanoseconds as f64)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Those that are reaped already are not touched. pm's guard ends all that pm has started.
        for child in self.writers.iter_mut().chain([&mut self.child]) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Looks for each line of each worker, in order. Returns the longest write of those that flood, and of the quiet one.
fn longest_writes(
    text: &[u8],
    label: usize,
    workers: usize,
    lines: usize,
    quiet: usize,
) -> Anything<[f64; 2]> {
    let mut next: BTreeMap<&[u8], usize> = BTreeMap::new();
    let mut longest = [0.0_f64; 2];
    let mut ended = 0;
    for line in text.chunks(label + LINE_BYTES) {
        let wrong = || format!("a wrong line: {}", String::from_utf8_lossy(line));
        let labelled = line.get(label..).ok_or_else(wrong)?;
        let name = labelled.split(|byte| *byte == b' ').next().ok_or_else(wrong)?;
        let is_quiet = name.starts_with(b"q");
        let (count, lines) =
            (next.entry(name).or_default(), if is_quiet { QUIET_LINES } else { lines });
        let rest = std::str::from_utf8(&labelled[name.len()..])?;
        let mut words = rest.split(' ').skip(1);
        let (word, number, dots) = (words.next(), words.next(), words.next());
        let number: usize = number.ok_or_else(wrong)?.parse()?;
        let expected = match *count {
            0 => ("starts", 0),
            n if n <= lines => ("line", n),
            n if n == lines + 1 => ("ends", number),
            _ => return Err(wrong().into()),
        };
        let is_whole = line.starts_with(name) && dots.is_some_and(|dots| dots.ends_with(".\n"));
        if (word, number) != (Some(expected.0), expected.1) || !is_whole {
            return Err(wrong().into());
        }
        if expected.0 == "ends" {
            let longest = &mut longest[usize::from(is_quiet)];
            *longest = longest.max(number as f64);
            ended += 1;
        }
        *count += 1;
    }
    if ended != workers + quiet {
        return Err(
            format!("the last lines of {} workers are missing", workers + quiet - ended).into()
        );
    }
    Ok(longest)
}

fn newlines(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte == b'\n').count()
}

/// Asks again and again, for a while.
fn wait_until(what: &str, mut is_so: impl FnMut() -> Anything<bool>) -> Anything<()> {
    let until = Instant::now() + PATIENCE;
    while !is_so()? {
        if Instant::now() > until {
            return Err(format!("not in time: {what}").into());
        }
        std::thread::park_timeout(Duration::from_micros(500));
    }
    Ok(())
}

fn compiled_writer() -> Anything<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/logs/writer.c");
    let program = Path::new(env!("CARGO_BIN_EXE_pm")).with_file_name("bare-writer");
    let compiler = std::env::var_os("CC").unwrap_or("cc".into());
    let mut command = Command::new(compiler);
    let status = command.args(["-O2", "-static"]).arg(&source).arg("-o").arg(&program).status()?;
    if status.success() { Ok(program) } else { Err("cannot compile writer.c".into()) }
}
