//! What chaos has cost, in words and as JSON.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::Fault;
use super::record::{Record, SlotRecord};
use crate::plan::text::{duration, phrase};

/// What `--json` prints. Times are in seconds.
#[derive(Debug, Serialize)]
pub struct Report {
    pub seconds: f64,
    /// The same faults again: `--seed`.
    pub seed: u64,
    pub all: Cost,
    /// Probes that have failed meanwhile, of all pools.
    pub failed_probes: u64,
    /// The slots that had no ready worker at the end.
    pub missing: Vec<String>,
    pub slots: Vec<SlotCost>,
}

#[derive(Debug, Serialize)]
pub struct SlotCost {
    pub slot: String,
    #[serde(flatten)]
    pub cost: Cost,
}

/// What one slot has gone through, or all together.
#[derive(Debug, Serialize)]
pub struct Cost {
    pub kills: usize,
    pub stops: usize,
    pub hangs: usize,
    /// Hangs that pm did not notice: no probe has told it.
    pub unnoticed_hangs: u32,
    /// Workers that have ended, also by themselves and before they were ready.
    pub deaths: u32,
    /// How long no worker was ready, each time; `null` if one always was.
    pub gap_seconds: Option<Gaps>,
    /// All gaps together.
    pub down_seconds: f64,
    /// The part of the time in which a worker was ready, the mean of the slots.
    pub availability: f64,
}

#[derive(Debug, Serialize)]
pub struct Gaps {
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
}

impl Report {
    pub fn of(record: &Record, time: Duration, seed: u64, failed_probes: u64) -> Self {
        let of_slot = |slot: &SlotRecord| SlotCost {
            slot: slot.name.clone(),
            cost: Cost::of(std::slice::from_ref(slot), time),
        };
        Self {
            seconds: time.as_secs_f64(),
            seed,
            all: Cost::of(&record.slots, time),
            failed_probes,
            missing: record.missing().into_iter().map(str::to_owned).collect(),
            slots: record.slots.iter().map(of_slot).collect(),
        }
    }

    /// A line for each slot, and what is to be said of all.
    pub fn text(&self) -> String {
        let mut rows = vec![HEAD.map(str::to_owned)];
        rows.extend(self.slots.iter().map(|slot| row(&slot.slot, &slot.cost)));
        if self.slots.len() > 1 {
            rows.push(row("all", &self.all));
        }
        let mut text = table(&rows);
        let seconds = Duration::from_secs_f64(self.seconds.round());
        let _ = writeln!(
            text,
            "{} of chaos, --seed {}; {} failed",
            duration::words(seconds),
            self.seed,
            phrase::count(usize::try_from(self.failed_probes).unwrap_or(usize::MAX), "probe")
        );
        if self.all.unnoticed_hangs > 0 {
            let count = usize::try_from(self.all.unnoticed_hangs).unwrap_or(usize::MAX);
            let _ = writeln!(
                text,
                "{} went unnoticed: `alive` tells pm of a worker that hangs",
                phrase::count(count, "hang")
            );
        }
        let _ = match &self.missing[..] {
            [] => writeln!(text, "every slot came back"),
            [one] => writeln!(text, "{one} did not come back; `pm why {one}`"),
            several => writeln!(text, "{} did not come back; `pm why`", phrase::list_and(several)),
        };
        text
    }
}

impl Cost {
    fn of(slots: &[SlotRecord], time: Duration) -> Self {
        let count = |fault| {
            let faults = slots.iter().flat_map(|slot| &slot.faults);
            faults.filter(|is| **is == fault).count()
        };
        let mut gaps: Vec<Duration> = slots.iter().flat_map(|slot| slot.gaps.clone()).collect();
        gaps.sort();
        let down: Duration = gaps.iter().sum();
        let watched = time.as_secs_f64() * slots.len() as f64;
        Self {
            kills: count(Fault::Kill),
            stops: count(Fault::Stop),
            hangs: count(Fault::Hang),
            unnoticed_hangs: slots.iter().map(|slot| slot.unnoticed).sum(),
            deaths: slots.iter().map(|slot| slot.deaths).sum(),
            gap_seconds: Gaps::of(&gaps),
            down_seconds: down.as_secs_f64(),
            availability: (1.0 - down.as_secs_f64() / watched).max(0.0),
        }
    }
}

impl Gaps {
    /// Of gaps that are sorted.
    fn of(gaps: &[Duration]) -> Option<Self> {
        // The nearest rank.
        let at = |percent: usize| {
            let rank = (gaps.len() * percent).div_ceil(100).max(1);
            gaps.get(rank - 1).map(Duration::as_secs_f64)
        };
        Some(Self { p50: at(50)?, p99: at(99)?, max: at(100)? })
    }
}

type Row = [String; 9];

const HEAD: [&str; 9] =
    ["SLOT", "KILLED", "STOPPED", "HUNG", "DEATHS", "GAP P50", "P99", "MAX", "READY"];

fn row(name: &str, cost: &Cost) -> Row {
    let gap = |of: fn(&Gaps) -> f64| {
        cost.gap_seconds.as_ref().map_or("–".into(), |gaps| shown(of(gaps)))
    };
    [
        name.to_owned(),
        cost.kills.to_string(),
        cost.stops.to_string(),
        cost.hangs.to_string(),
        cost.deaths.to_string(),
        gap(|gaps| gaps.p50),
        gap(|gaps| gaps.p99),
        gap(|gaps| gaps.max),
        format!("{:.3}%", cost.availability * 100.0),
    ]
}

/// `3ms`, `2.104s`
fn shown(seconds: f64) -> String {
    duration::words(Duration::from_millis((seconds * 1e3).round() as u64))
}

/// The names to the left, the figures to the right.
fn table(rows: &[Row]) -> String {
    let width = |n: usize| rows.iter().map(|row| row[n].chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().enumerate().map(|(n, cell)| {
            let width = width(n);
            if n == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::remote::sample::{ready, slot};
    use crate::wire::Phase;

    fn report() -> Report {
        let mut record = Record::new(&[ready("web.1", 8080, 60.0), ready("web.2", 8081, 60.0)]);
        let [first, second] = &mut record.slots[..] else { panic!() };
        first.faults = vec![Fault::Kill, Fault::Kill, Fault::Hang];
        first.deaths = 2;
        first.unnoticed = 1;
        first.gaps = [34, 3, 30_000].map(Duration::from_millis).into();
        second.faults = vec![Fault::Stop];
        second.deaths = 1;
        Report::of(&record, Duration::from_secs(60), 7, 1)
    }

    #[test]
    fn a_report_has_a_line_for_each_slot_and_one_for_all() {
        assert_eq!(
            report().text(),
            "\
SLOT   KILLED  STOPPED  HUNG  DEATHS  GAP P50  P99  MAX     READY
web.1       2        0     1       2     34ms  30s  30s   49.938%
web.2       0        1     0       1        –    –    –  100.000%
all         2        1     1       3     34ms  30s  30s   74.969%
1m of chaos, --seed 7; 1 probe failed
1 hang went unnoticed: `alive` tells pm of a worker that hangs
every slot came back
"
        );
    }

    #[test]
    fn the_slots_that_did_not_come_back_are_named() {
        let record = |names: &[&str]| {
            let slots: Vec<_> = names.iter().map(|name| slot(name, Phase::GivenUp)).collect();
            Report::of(&Record::new(&slots), Duration::from_secs(1), 7, 0).text()
        };
        assert!(record(&["web.1"]).ends_with("web.1 did not come back; `pm why web.1`\n"));
        let two = record(&["web.1", "web.2"]);
        assert!(two.ends_with("web.1 and web.2 did not come back; `pm why`\n"), "{two}");
        assert!(two.contains("0 probes failed"), "{two}");
    }

    #[test]
    fn json_has_seconds_and_null_where_no_gap_was() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["slots"][1]["gap_seconds"], serde_json::Value::Null);
        assert_eq!(json["slots"][0]["gap_seconds"]["p50"], 0.034);
        assert_eq!(json["all"]["kills"], 2);
    }
}
