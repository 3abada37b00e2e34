//! How many instructions of its own pm needs for one step. They are counted by callgrind, so the result does not depend
//! on what else the machine does, and they are compared with `baseline.json`.
//!
//!     make check-speed       fails if a step needs more than its baseline, and some percent
//!     make speed-baseline    writes a new baseline, which belongs into the commit that changes the figures
//!
//! Each step is counted twice, few times and many times; the difference is what the steps alone need. A whole pm is
//! counted by root alone: a worker of another user is made by a fork that valgrind can follow.

#[path = "../support/mod.rs"]
mod support;

mod callgrind;
mod running;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use support::Anything;
use support::steps::{Reads, Table};

/// The option of this program that makes it do steps and nothing else, for callgrind.
const STEPS: &str = "--steps";

/// What a step may need, in what its baseline says. The same code is compiled a little differently in another folder,
/// and how a running pm is woken depends on time a little.
const LIBRARY_MAX: f64 = 1.1;
const RUNNING_MAX: f64 = 1.15;

/// What a death with many slots may need, in what it needs with few: maps are trees.
const GROWTH_MAX: f64 = 1.3;

/// What is counted, and what a step is. `name` is for people, and for the baseline.
struct Counted {
    name: &'static str,
    by: By,
}

#[derive(Clone, Copy)]
enum By {
    /// Of the library, in this very program.
    Library(Step),
    Pm(PmStep),
}

/// What a running pm does.
#[derive(Clone, Copy)]
enum PmStep {
    /// A worker is killed, with so many slots.
    Death(usize),
    /// A worker is started and stopped.
    Start,
    /// A worker writes a line of 100 bytes.
    Line,
}

#[derive(Clone, Copy)]
enum Step {
    /// A ready worker exits and the next one is there, with so many slots.
    Death(usize),
    /// The same for so many workers that exit before the next one is there.
    Storm(usize),
    /// 64 KiB of lines of so many bytes are cut.
    Cut(usize),
}

const FEW: &str = "supervisor: a death, 100 slots";
const MANY: &str = "supervisor: a death, 10,000 slots";

const COUNTED: [Counted; 10] = [
    Counted { name: FEW, by: By::Library(Step::Death(100)) },
    Counted { name: MANY, by: By::Library(Step::Death(10_000)) },
    Counted { name: "supervisor: a storm of 100", by: By::Library(Step::Storm(100)) },
    Counted { name: "output: 64 KiB of lines of 10 bytes", by: By::Library(Step::Cut(10)) },
    Counted { name: "output: 64 KiB of lines of 100 bytes", by: By::Library(Step::Cut(100)) },
    Counted { name: "output: 64 KiB of lines of 1,000 bytes", by: By::Library(Step::Cut(1_000)) },
    Counted { name: "pm: a death, 3 slots", by: By::Pm(PmStep::Death(3)) },
    Counted { name: "pm: a death, 100 slots", by: By::Pm(PmStep::Death(100)) },
    Counted { name: "pm: a start and a stop", by: By::Pm(PmStep::Start) },
    Counted { name: "pm: a line of 100 bytes", by: By::Pm(PmStep::Line) },
];

/// What a committed baseline says.
#[derive(Default, Deserialize, Serialize)]
struct Baseline {
    /// Another compiler makes other code, so it comes with another baseline.
    compiler: String,
    instructions: BTreeMap<String, u64>,
}

fn main() -> Anything<()> {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if let [option, counted, times] = &arguments[..]
        && option == STEPS
    {
        return do_steps(counted.parse()?, times.parse()?);
    }
    let is_new_baseline = arguments.iter().any(|word| word == "--write-baseline");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/speed/baseline.json");
    let baseline: Baseline = match std::fs::read_to_string(&file) {
        Ok(text) => serde_json::from_str(&text)?,
        Err(_) => Baseline::default(),
    };
    let measured = Baseline { compiler: compiler()?, instructions: measured()? };
    let excess = compared(&measured, &baseline);
    let growth = measured.instructions[MANY] as f64 / measured.instructions[FEW] as f64;
    println!("a death with 10,000 slots needs {growth:.2}x of one with 100, at most {GROWTH_MAX}x");
    if growth > GROWTH_MAX {
        return Err("the cost of a death grows with the number of slots".into());
    }
    if is_new_baseline {
        std::fs::write(&file, serde_json::to_string_pretty(&measured)? + "\n")?;
        println!("written to {}", file.display());
        return Ok(());
    }
    if excess.is_empty() {
        return Ok(());
    }
    let compilers = if measured.compiler == baseline.compiler {
        String::new()
    } else {
        format!("; the baseline is of {}, this is {}", baseline.compiler, measured.compiler)
    };
    let excess = excess.join(", ");
    Err(format!(
        "more instructions than the baseline: {excess}{compilers}; if that is meant, `make speed-baseline` moves it"
    )
    .into())
}

fn measured() -> Anything<BTreeMap<String, u64>> {
    let (folder, is_root) = (tempfile::tempdir()?, running::are_counted()?);
    let mut instructions = BTreeMap::new();
    for (n, Counted { name, by }) in COUNTED.iter().enumerate() {
        let count = match by {
            By::Library(step) => {
                let (few, many) = step.times();
                let [less, more] = [few, many].map(|times| {
                    let own = std::env::current_exe()?;
                    let steps = [STEPS.to_owned(), n.to_string(), times.to_string()];
                    callgrind::run(&own, &steps, folder.path())
                });
                (more? - less?) / (many - few) as u64
            }
            By::Pm(_) if !is_root => continue,
            By::Pm(PmStep::Death(slots)) => running::of_a_death(*slots, folder.path())?,
            By::Pm(PmStep::Start) => running::of_a_start(folder.path())?,
            By::Pm(PmStep::Line) => running::of_a_line(folder.path())?,
        };
        instructions.insert((*name).to_owned(), count);
    }
    Ok(instructions)
}

/// Prints what was measured beside the baseline. Returns the steps that need too much.
fn compared(measured: &Baseline, baseline: &Baseline) -> Vec<String> {
    let mut excess = Vec::new();
    println!("{:<42} {:>12} {:>12} {:>7}", "instructions for", "now", "baseline", "ratio");
    for Counted { name, by } in &COUNTED {
        let Some(now) = measured.instructions.get(*name) else { continue };
        let Some(before) = baseline.instructions.get(*name) else {
            println!("{name:<42} {now:>12} {:>12}", "none");
            excess.push(format!("{name} (no baseline)"));
            continue;
        };
        let ratio = *now as f64 / *before as f64;
        println!("{name:<42} {now:>12} {before:>12} {ratio:>6.3}x");
        let most = by.most();
        if ratio > most {
            excess.push(format!("{name} ({:.1} %)", (ratio - 1.0) * 100.0));
        } else if ratio < 1.0 / most {
            println!("  it needs less: `make speed-baseline` keeps it so");
        }
    }
    excess
}

fn do_steps(counted: usize, times: usize) -> Anything<()> {
    match COUNTED[counted].by {
        By::Library(Step::Death(slots)) => {
            let mut table = Table::ready(slots);
            (0..times).for_each(|_| table.death());
        }
        By::Library(Step::Storm(slots)) => {
            let mut table = Table::ready(slots);
            (0..times).for_each(|_| table.storm());
        }
        By::Library(Step::Cut(line_bytes)) => {
            let mut reads = Reads::of(line_bytes);
            (0..times).for_each(|_| reads.cut_one());
        }
        By::Pm(_) => return Err("a step of a whole pm is counted from without".into()),
    }
    Ok(())
}

impl By {
    fn most(self) -> f64 {
        match self {
            Self::Library(_) => LIBRARY_MAX,
            Self::Pm(_) => RUNNING_MAX,
        }
    }
}

impl Step {
    /// How often it is done, in the shorter and in the longer run.
    fn times(self) -> (usize, usize) {
        match self {
            Self::Death(_) => (100, 1_100),
            Self::Storm(_) | Self::Cut(_) => (4, 36),
        }
    }
}

/// The name and version of the compiler.
fn compiler() -> Anything<String> {
    let program = std::env::var_os("RUSTC").map_or("rustc".into(), PathBuf::from);
    let output = std::process::Command::new(program).arg("--version").output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
