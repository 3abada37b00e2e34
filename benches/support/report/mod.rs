//! What a benchmark has found: figures, the machine, the date. Written as JSON for programs, and as a table for people.
//!
//! Each benchmark writes `target/bench/NAME.json`; `target/bench/report.md` has the tables of all that are there.
//! Ratios come first: what one machine says in microseconds another does not, and neither does the same one tomorrow.

mod machine;
mod table;

use std::path::PathBuf;

use jiff::{Timestamp, Unit};
use serde::{Deserialize, Serialize};

use self::machine::Machine;
use super::{Anything, programs};

/// Goes up when a field changes its meaning.
const SCHEMA: u32 = 1;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    schema: u32,
    bench: String,
    /// What is measured, in a sentence.
    about: String,
    /// RFC 3339, in UTC.
    date: String,
    pm_version: String,
    machine: Machine,
    figures: Vec<Figure>,
    /// What could not be measured, and why.
    notes: Vec<String>,
}

/// What one figure of many sides is: its name, its unit, and how it is read from a side.
pub type Row<T> = (&'static str, &'static str, fn(&T) -> f64);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Figure {
    /// What was measured: `storm`.
    name: String,
    /// Of how many workers, where the figure depends on it.
    size: Option<usize>,
    /// Whose figure it is: `pm`, or a floor.
    subject: String,
    value: f64,
    unit: String,
    ratio: Option<Ratio>,
    goals: Vec<Goal>,
}

/// The figure, as a multiple of that of another.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ratio {
    value: f64,
    of: String,
}

/// What pm is to reach. A goal that is missed is reported and changes nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Goal {
    what: What,
    bound: Bound,
    limit: f64,
    is_met: bool,
}

/// What the goal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    Value,
    Ratio,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    AtMost,
    AtLeast,
    Below,
}

impl Figure {
    pub fn new(name: &str, subject: &str, value: f64, unit: &str) -> Self {
        let (name, subject, unit) = (name.into(), subject.into(), unit.into());
        Self { name, size: None, subject, value, unit, ratio: None, goals: Vec::new() }
    }

    #[must_use]
    pub fn of_size(mut self, size: usize) -> Self {
        self.size = Some(size);
        self
    }

    /// As a multiple of this figure.
    #[must_use]
    pub fn beside(mut self, value: f64, of: &str) -> Self {
        self.ratio = Some(Ratio { value: self.value / value, of: of.into() });
        self
    }

    /// A goal, for pm alone: floors have none, nor has an older pm.
    #[must_use]
    pub fn goal(mut self, what: What, bound: Bound, limit: f64) -> Self {
        let figure = match what {
            What::Value => Some(self.value),
            What::Ratio => self.ratio.as_ref().map(|ratio| ratio.value),
        };
        if let Some(figure) = figure.filter(|_| self.subject == "pm") {
            let is_met = match bound {
                Bound::AtMost => figure <= limit,
                Bound::AtLeast => figure >= limit,
                Bound::Below => figure < limit,
            };
            self.goals.push(Goal { what, bound, limit, is_met });
        }
        self
    }

    pub fn value(&self) -> f64 {
        self.value
    }
}

impl Report {
    /// Begins a report. `bench` is the name of the benchmark.
    pub fn new(bench: &str, about: &str) -> Anything<Self> {
        Ok(Self {
            schema: SCHEMA,
            bench: bench.into(),
            about: about.into(),
            date: Timestamp::now().round(Unit::Second)?.to_string(),
            pm_version: env!("CARGO_PKG_VERSION").into(),
            machine: Machine::here()?,
            figures: Vec::new(),
            notes: Vec::new(),
        })
    }

    pub fn add(&mut self, figure: Figure) {
        self.figures.push(figure);
    }

    pub fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Writes the JSON and the tables of all benchmarks, and prints the one of this.
    pub fn finish(self) -> Anything<()> {
        let folder = programs::results()?;
        let json = serde_json::to_string_pretty(&self)?;
        std::fs::write(folder.join(format!("{}.json", self.bench)), json + "\n")?;
        print!("{}", table::of(&self));
        let all = Self::all()?.iter().map(table::of).collect::<Vec<_>>().join("\n");
        std::fs::write(folder.join("report.md"), format!("# Benchmarks of pm\n\n{all}"))?;
        Ok(())
    }

    /// The reports of all benchmarks that have run, by name. One of another schema is left out.
    fn all() -> Anything<Vec<Self>> {
        let entries = std::fs::read_dir(programs::results()?)?;
        let paths = entries.map(|entry| Ok(entry?.path()));
        let mut paths: Vec<PathBuf> = paths.collect::<Anything<_>>()?;
        paths.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
        paths.sort();
        let mut reports = Vec::new();
        for path in paths {
            let report: Option<Self> = serde_json::from_slice(&std::fs::read(path)?).ok();
            reports.extend(report.filter(|report| report.schema == SCHEMA));
        }
        Ok(reports)
    }
}
