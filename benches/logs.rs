//! Lines from workers through pm into a file: pm beside `cat`, which gets the same lines through one pipe.
//!
//!     cargo bench --bench logs
//!
//! Each line of each worker is looked for in the file: if one is lost, torn or out of order, the benchmark ends with an
//! error. Where there are many workers, one more writes a line now and then: its longest wait is shown. The file is in
//! `TMPDIR`; with `TMPDIR=/dev/shm` no disk takes part. Needs a C compiler.

mod support;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use support::processes::Usage;
use support::programs::{Contender, compiled, pm_on};
use support::report::{Bound, Figure, Report, Row, What};
use support::statistics::median;
use support::{Anything, settings, turns, wait_until};

const LINE_BYTES: usize = 100;
/// What a worker that does not flood writes, and its pause between two lines.
const QUIET_LINES: usize = 100;
const QUIET_PAUSE: &str = "1000";
/// With this many workers there is one that does not flood.
const MANY: usize = 100;

/// What takes the lines of workers to a file.
#[derive(Clone)]
enum Carrier {
    Cat,
    Pm { program: PathBuf, settings: &'static str },
}

fn main() -> Anything<()> {
    let (rounds, lines) = (settings::rounds(7)?, settings::lines(2_000_000)?);
    let writer = compiled("writer")?;
    let mut carriers = vec![("cat", Carrier::Cat)];
    for contender in Contender::pms() {
        let (name, Contender::Pm { program, .. }) = (contender.name(), contender) else { continue };
        carriers.push((name, Carrier::Pm { program: program.clone(), settings: "" }));
        if name == "pm" {
            let settings = "[log]\nring = \"0\"\n";
            carriers.push(("pm, no ring", Carrier::Pm { program, settings }));
        }
    }
    let mut report = Report::new(
        "logs",
        &format!(
            "{lines} lines of {LINE_BYTES} bytes into a file, from all workers together; each is looked for. Medians; \
             of the longest writes the longest."
        ),
    )?;
    for workers in settings::sizes(&[1, 4, MANY])? {
        let mut runs: Vec<Vec<Figures>> = carriers.iter().map(|_| Vec::new()).collect();
        for round in 0..rounds {
            for turn in turns(round, carriers.len()) {
                let (name, carrier) = &carriers[turn];
                let figures = run(carrier, workers, lines / workers, &writer);
                runs[turn].push(figures.map_err(|error| format!("{name}: {error}"))?);
            }
        }
        let names: Vec<_> = carriers.iter().map(|(name, _)| *name).collect();
        add_figures(&mut report, workers, &names, &runs);
    }
    report.finish()
}

fn add_figures(report: &mut Report, workers: usize, names: &[&str], runs: &[Vec<Figures>]) {
    let all: Vec<_> = runs.iter().map(|runs| Figures::of_all(runs)).collect();
    for (name, one) in names.iter().zip(&all) {
        let figure =
            Figure::new("lines a second", name, one.rate / 1e6, "million").of_size(workers);
        report.add(match *name {
            "cat" => figure,
            _ => {
                let figure = figure.beside(all[0].rate / 1e6, "cat");
                figure.goal(What::Ratio, Bound::AtLeast, 0.75)
            }
        });
    }
    let rows: [Row<Figures>; 3] = [
        ("CPU of a line", "ns", |one| one.cpu),
        ("longest write", "ms", |one| one.longest / 1e3),
        ("longest write of a quiet worker", "ms", |one| one.longest_of_quiet / 1e3),
    ];
    for (what, unit, value) in rows {
        for (name, one) in names.iter().zip(&all).filter(|(_, one)| value(one) > 0.0) {
            report.add(Figure::new(what, name, value(one), unit).of_size(workers));
        }
    }
}

#[derive(Default)]
struct Figures {
    /// Lines a second.
    rate: f64,
    /// What the carrier used for each line, in nanoseconds.
    cpu: f64,
    /// The longest write of all workers that flood, in microseconds, and of the one that does not; 0 if not known.
    longest: f64,
    longest_of_quiet: f64,
}

impl Figures {
    fn of_all(runs: &[Self]) -> Self {
        let median = |of: fn(&Self) -> f64| median(&runs.iter().map(of).collect::<Vec<_>>());
        Self {
            rate: median(|one| one.rate),
            cpu: median(|one| one.cpu),
            // What one run has shown is so.
            longest: runs.iter().map(|one| one.longest).fold(0.0, f64::max),
            longest_of_quiet: runs.iter().map(|one| one.longest_of_quiet).fold(0.0, f64::max),
        }
    }
}

fn run(carrier: &Carrier, workers: usize, lines: usize, writer: &Path) -> Anything<Figures> {
    let folder = tempfile::tempdir()?;
    let [mut begin, mut end] = [gate(folder.path(), "begin")?, gate(folder.path(), "end")?];
    let out = folder.path().join("out");
    // `cat` has one pipe for all: a worker that does not flood would show nothing.
    let quiet = usize::from(workers >= MANY && !matches!(carrier, Carrier::Cat));
    let flood = [lines.to_string(), folder.path().display().to_string(), "0".into()];
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
    let before = running.usage();
    let began = Instant::now();
    begin.write_all(&vec![0; all])?;
    wait_until("all lines are there", || Ok(std::fs::metadata(&out)?.len() >= expected as u64))?;
    let took = began.elapsed().as_secs_f64();
    let cpu = (running.usage() - before).cpu_nanoseconds as f64;
    end.write_all(&vec![0; all])?;
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

/// A pipe that lets a writer through for each byte.
fn gate(folder: &Path, name: &str) -> Anything<File> {
    let path = folder.join(name);
    mkfifo(&path, Mode::S_IRWXU)?;
    // Open for both, so that no worker waits for the other end.
    Ok(OpenOptions::new().read(true).write(true).open(path)?)
}

/// A pool of writers.
fn pool(name: &str, writer: &Path, workers: usize, arguments: &[String]) -> String {
    let [lines, folder, pause] = arguments else { unreachable!("a writer has three") };
    format!(
        "[pool.{name}]\ncommand = [{writer:?}, \"{{slot}}\", \"{lines}\", {folder:?}, \"{pause}\"]\n\
         workers = {workers}\nrestart = \"never\"\nready = {{ after = \"0s\" }}\n"
    )
}

/// A carrier at work.
struct Running {
    child: Child,
    /// Those that move the bytes: pm is two processes.
    processes: Vec<i32>,
    writers: Vec<Child>,
}

impl Running {
    fn of(child: Child) -> Anything<Self> {
        Ok(Self { processes: vec![child.id().try_into()?], child, writers: Vec::new() })
    }

    fn cat(out: &Path, writer: &Path, workers: usize, arguments: &[String]) -> Anything<Self> {
        let (reader, pipe) = std::io::pipe()?;
        let child = Command::new("cat").stdin(reader).stdout(File::create(out)?).spawn()?;
        let mut running = Self::of(child)?;
        for n in 1..=workers {
            let mut command = Command::new(writer);
            command.arg(format!("w.{n}")).args(arguments).stdout(pipe.try_clone()?);
            running.writers.push(command.spawn()?);
        }
        Ok(running)
    }

    fn pm(program: &Path, file: &Path, out: &Path) -> Anything<Self> {
        let mut command = pm_on(program, file);
        command.stdin(Stdio::null()).stdout(File::create(out)?).stderr(Stdio::null());
        let child = command.spawn()?;
        let mut running = Self::of(child)?;
        let guard = running.processes[0];
        let children = format!("/proc/{guard}/task/{guard}/children");
        wait_until("pm starts", || {
            let text = std::fs::read_to_string(&children)?;
            let children = text.split_whitespace().map(str::parse);
            running.processes.splice(1.., children.collect::<Result<Vec<_>, _>>()?);
            Ok(running.processes.len() > 1)
        })?;
        Ok(running)
    }

    fn usage(&self) -> Usage {
        Usage::of(&self.processes)
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
