//! A report as a table of markdown: ratios first, absolute figures second.

use std::fmt::Write;

use super::{Bound, Figure, Goal, Report, What};

pub fn of(report: &Report) -> String {
    let machine = &report.machine;
    let mut text = format!(
        "## {}\n\n{}\n\n{}, {} cores ({}), {} MiB, load {:.1}; pm {}, {}\n\n",
        report.bench,
        report.about,
        machine.kernel,
        machine.cores,
        machine.processor,
        machine.memory_mib,
        machine.load,
        report.pm_version,
        report.date,
    );
    let rows: Vec<_> = report.figures.iter().map(row).collect();
    let head = ["what", "workers", "of", "ratio", "figure", "goal"].map(String::from);
    let widths: [usize; 6] = std::array::from_fn(|column| {
        let cells = [&head].into_iter().chain(&rows).map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    });
    let rule = widths.map(|width| "-".repeat(width));
    for row in [&head, &rule].into_iter().chain(&rows) {
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(text, "| {cell:<width$} ");
        }
        text += "|\n";
    }
    if !report.notes.is_empty() {
        text.push('\n');
    }
    for note in &report.notes {
        let _ = writeln!(text, "- {note}");
    }
    text
}

fn row(figure: &Figure) -> [String; 6] {
    let size = figure.size.map_or(String::new(), |size| size.to_string());
    let ratio = figure.ratio.as_ref();
    let ratio = ratio.map_or(String::new(), |ratio| format!("{:.2}x of {}", ratio.value, ratio.of));
    let goals = figure.goals.iter().map(|goal| words(goal, &figure.unit));
    let goals = goals.collect::<Vec<_>>().join("; ");
    let value = format!("{} {}", short(figure.value), figure.unit);
    [figure.name.clone(), size, figure.subject.clone(), ratio, value, goals]
}

fn words(goal: &Goal, unit: &str) -> String {
    let bound = match goal.bound {
        Bound::AtMost => "at most ",
        Bound::AtLeast => "at least ",
        Bound::Below => "below ",
    };
    let unit = match goal.what {
        What::Ratio => "x".into(),
        What::Value => format!(" {unit}"),
    };
    let result = if goal.is_met { "met" } else { "MISSED" };
    format!("{bound}{}{unit}: {result}", goal.limit)
}

/// Three digits are more than a machine repeats.
fn short(value: f64) -> String {
    let decimals = match value.abs() {
        0.0 => 0,
        size if size < 0.1 => 4,
        size if size < 1.0 => 3,
        size if size < 10.0 => 2,
        size if size < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}
