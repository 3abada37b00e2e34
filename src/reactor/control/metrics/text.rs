//! The text of metrics in two dialects: OpenMetrics 1.0.0, and the text format 0.0.4 of Prometheus.

use std::fmt::Write as _;

use super::super::super::slots::histogram::Histogram;
use super::super::http::Request;

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// <https://prometheus.io/docs/specs/om/open_metrics_spec/>
    OpenMetrics,
    /// <https://prometheus.io/docs/instrumenting/exposition_formats/>
    Prometheus,
}

/// What a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Info,
    StateSet,
    Histogram,
}

/// A name for all series of one kind of fact.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Without the suffix of its samples.
    pub name: &'static str,
    pub kind: Kind,
    /// The last part of its name, if it has one.
    pub unit: Option<&'static str>,
    pub help: &'static str,
}

/// A label and its value.
pub type Label<'a> = (&'a str, &'a str);

/// Text that grows by samples of one family.
#[derive(Debug)]
pub struct Text<'a> {
    pub dialect: Dialect,
    pub family: Family,
    pub written: &'a mut String,
}

impl Dialect {
    /// OpenMetrics for those that name it: a browser would not show it.
    pub fn of(request: &Request) -> Self {
        let accept = request.headers.get("accept").unwrap_or_default();
        if accept.contains("application/openmetrics-text") {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

impl Kind {
    /// What the names of its samples end with.
    fn suffix(self) -> &'static str {
        match self {
            Self::Counter => "_total",
            Self::Info => "_info",
            Self::Gauge | Self::StateSet | Self::Histogram => "",
        }
    }

    fn name(self, dialect: Dialect) -> &'static str {
        match (self, dialect) {
            (Self::Counter, _) => "counter",
            (Self::Histogram, _) => "histogram",
            (Self::Info, Dialect::OpenMetrics) => "info",
            (Self::StateSet, Dialect::OpenMetrics) => "stateset",
            (Self::Gauge, _) => "gauge",
            (Self::Info | Self::StateSet, Dialect::Prometheus) => "gauge",
        }
    }
}

impl Text<'_> {
    /// What stands before the samples of a family.
    pub fn head(&mut self) {
        let Family { name, kind, unit, help } = self.family;
        let suffix = match self.dialect {
            Dialect::OpenMetrics => "",
            Dialect::Prometheus => kind.suffix(),
        };
        let kind = kind.name(self.dialect);
        self.line(format_args!("# HELP {name}{suffix} {help}"));
        self.line(format_args!("# TYPE {name}{suffix} {kind}"));
        if let (Some(unit), Dialect::OpenMetrics) = (unit, self.dialect) {
            self.line(format_args!("# UNIT {name} {unit}"));
        }
    }

    pub fn count(&mut self, labels: &[Label<'_>], value: u64) {
        self.sample(self.family.kind.suffix(), labels, None, format_args!("{value}"));
    }

    pub fn number(&mut self, labels: &[Label<'_>], value: f64) {
        self.sample(self.family.kind.suffix(), labels, None, format_args!("{value:?}"));
    }

    pub fn histogram(&mut self, labels: &[Label<'_>], histogram: &Histogram) {
        let mut count = 0;
        for (bound, sum) in histogram.cumulative() {
            let bound = if bound.is_finite() { format!("{bound:?}") } else { "+Inf".into() };
            self.sample("_bucket", labels, Some(("le", &bound)), format_args!("{sum}"));
            count = sum;
        }
        self.sample("_count", labels, None, format_args!("{count}"));
        let sum = histogram.sum().as_secs_f64();
        self.sample("_sum", labels, None, format_args!("{sum:?}"));
    }

    fn sample(
        &mut self,
        suffix: &str,
        labels: &[Label<'_>],
        last: Option<Label<'_>>,
        value: std::fmt::Arguments<'_>,
    ) {
        self.written.push_str(self.family.name);
        self.written.push_str(suffix);
        let mut before = '{';
        for (name, value) in labels.iter().copied().chain(last) {
            self.written.push(before);
            self.written.push_str(name);
            self.written.push_str("=\"");
            push_escaped(value, self.written);
            self.written.push('"');
            before = ',';
        }
        let end = if before == ',' { "} " } else { " " };
        self.written.push_str(end);
        self.line(value);
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.written, "{line}").expect("a String takes all");
    }
}

fn push_escaped(value: &str, text: &mut String) {
    for char in value.chars() {
        match char {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::reactor::slots::histogram::SHORTER;

    fn written(dialect: Dialect, family: Family, write: impl FnOnce(&mut Text<'_>)) -> String {
        let mut text = String::new();
        let mut samples = Text { dialect, family, written: &mut text };
        samples.head();
        write(&mut samples);
        text
    }

    const COUNTER: Family =
        Family { name: "a_seconds", kind: Kind::Counter, unit: Some("seconds"), help: "Help." };

    #[test]
    fn the_dialects_differ_in_the_name_of_the_family_and_in_its_unit() {
        let write = |text: &mut Text<'_>| text.count(&[("pool", "a\\\"\nb")], 1);
        assert_eq!(
            written(Dialect::OpenMetrics, COUNTER, write),
            "# HELP a_seconds Help.\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\n\
             a_seconds_total{pool=\"a\\\\\\\"\\nb\"} 1\n"
        );
        assert_eq!(
            written(Dialect::Prometheus, COUNTER, write),
            "# HELP a_seconds_total Help.\n# TYPE a_seconds_total counter\n\
             a_seconds_total{pool=\"a\\\\\\\"\\nb\"} 1\n"
        );
    }

    #[test]
    fn only_openmetrics_has_info_and_statesets() {
        for (kind, name) in [(Kind::Info, "info"), (Kind::StateSet, "stateset")] {
            let family = Family { name: "a", kind, unit: None, help: "Help." };
            assert!(written(Dialect::OpenMetrics, family, |_| ()).ends_with(&format!("{name}\n")));
            assert!(written(Dialect::Prometheus, family, |_| ()).ends_with("gauge\n"));
        }
    }

    #[test]
    fn a_histogram_is_cumulative_and_its_bounds_are_canonical() {
        let family = Family { name: "a", kind: Kind::Histogram, unit: None, help: "Help." };
        let mut histogram = Histogram::new(SHORTER);
        histogram.observe(Duration::from_millis(300));
        let text = written(Dialect::OpenMetrics, family, |text| text.histogram(&[], &histogram));
        let end = "a_bucket{le=\"0.25\"} 0\na_bucket{le=\"1.0\"} 1\na_bucket{le=\"10.0\"} 1\n\
                   a_bucket{le=\"+Inf\"} 1\na_count 1\na_sum 0.3\n";
        assert!(text.ends_with(end), "{text}");
    }
}
