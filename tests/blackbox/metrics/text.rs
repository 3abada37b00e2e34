//! A strict reader of metrics, in both dialects: it refuses what a scraper may not refuse.

use std::collections::{BTreeMap, BTreeSet};

/// What was read: each series with its labels as they are written, and its value.
#[derive(Debug, Default)]
pub struct Read {
    pub samples: BTreeMap<String, f64>,
    /// The names of all samples that there are or may be.
    pub names: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    OpenMetrics,
    Prometheus,
}

impl Read {
    /// The value of a series: `pm_exits_total{pool="web",slot="web.1",reason="failure"}`.
    #[track_caller]
    pub fn value(&self, series: &str) -> f64 {
        *self.samples.get(series).unwrap_or_else(|| panic!("no {series}: {:#?}", self.samples))
    }
}

/// A family whose samples are being read.
#[derive(Default)]
struct Family {
    name: String,
    kind: String,
    /// Of the series of a histogram that is being read: its labels without `le`, and its last bucket.
    bucket: Option<(String, f64, f64)>,
}

/// Reads the whole text, and panics where it breaks a rule.
#[track_caller]
pub fn read(text: &str, dialect: Dialect) -> Read {
    let mut read = Read::default();
    let mut families = BTreeSet::new();
    let mut family = Family::default();
    let body = match dialect {
        Dialect::OpenMetrics => text.strip_suffix("# EOF\n").expect("`# EOF` at the end"),
        Dialect::Prometheus => text,
    };
    assert!(!body.contains("# EOF") && body.ends_with('\n'));
    let mut lines = body.lines().peekable();
    while let Some(line) = lines.next() {
        assert!(!line.is_empty(), "an empty line");
        let Some(comment) = line.strip_prefix("# HELP ") else {
            family.sample(line, dialect, &mut read);
            continue;
        };
        assert!(family.bucket.is_none(), "{} ends in a histogram", family.name);
        let (name, help) = comment.split_once(' ').unwrap();
        assert!(help.ends_with('.'), "{line}");
        assert!(families.insert(name.to_owned()), "{name} comes twice");
        let kind = lines.next().and_then(|line| line.strip_prefix(&format!("# TYPE {name} ")));
        let kind = kind.unwrap_or_else(|| panic!("no TYPE after {line}"));
        family = Family { name: name.to_owned(), kind: kind.to_owned(), bucket: None };
        let unit = lines.next_if(|line| line.starts_with("# UNIT "));
        let ends_with_unit = name.ends_with("_seconds") || name.ends_with("_bytes");
        match dialect {
            Dialect::OpenMetrics => assert_eq!(unit.is_some(), ends_with_unit, "{name}"),
            Dialect::Prometheus => assert_eq!(unit, None),
        }
        if let Some(unit) = unit {
            let (own, unit) = unit["# UNIT ".len()..].split_once(' ').unwrap();
            assert!(own == name && name.ends_with(&format!("_{unit}")), "{name} has {unit}");
        }
        let suffixes: &[&str] = match (kind, dialect) {
            ("counter", Dialect::OpenMetrics) => &["_total"],
            ("info", Dialect::OpenMetrics) => &["_info"],
            ("histogram", _) => &["_bucket", "_count", "_sum"],
            ("gauge", _) | ("stateset", Dialect::OpenMetrics) => &[""],
            ("counter", Dialect::Prometheus) => &[""],
            _ => panic!("{name} is a {kind}"),
        };
        let is_total = name.ends_with("_total");
        assert_eq!(is_total, (kind, dialect) == ("counter", Dialect::Prometheus), "{name}");
        read.names.extend(suffixes.iter().map(|suffix| format!("{name}{suffix}")));
    }
    assert!(family.bucket.is_none());
    read
}

impl Family {
    #[track_caller]
    fn sample(&mut self, line: &str, dialect: Dialect, read: &mut Read) {
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        assert!(value.is_finite() && value >= 0.0, "{line}");
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels.strip_suffix('}').unwrap_or_else(|| panic!("{line}"));
        check_labels(labels, line);
        assert!(read.names.contains(name) && name.starts_with(&self.name), "{line}");
        let before = read.samples.insert(series.to_owned(), value);
        assert_eq!(before, None, "{series} comes twice");
        match self.kind.as_str() {
            "info" => assert!((value - 1.0).abs() < f64::EPSILON, "{line}"),
            "stateset" => {
                assert!(dialect == Dialect::OpenMetrics && (value == 0.0 || value == 1.0));
                assert!(labels.contains(&format!("{}=\"", self.name)), "{line}");
            }
            "histogram" => self.of_histogram(name, labels, value, line),
            _ => {}
        }
    }

    #[track_caller]
    fn of_histogram(&mut self, name: &str, labels: &str, value: f64, line: &str) {
        if name.ends_with("_bucket") {
            let at = labels.rfind("le=\"").unwrap_or_else(|| panic!("{line}"));
            let written = labels[at + 4..].trim_end_matches('"');
            assert!(written == "+Inf" || written.contains('.'), "{line}");
            let bound = if written == "+Inf" { f64::INFINITY } else { written.parse().unwrap() };
            let own = labels[..at].trim_end_matches(',').to_owned();
            if let Some((before, last, count)) = &self.bucket {
                assert!(*before == own && *last < bound && *count <= value, "{line}");
            }
            self.bucket = Some((own, bound, value));
        } else if name.ends_with("_count") {
            let (own, bound, count) = self.bucket.clone().unwrap_or_else(|| panic!("{line}"));
            assert!(own == labels && bound.is_infinite(), "{line}");
            assert!((count - value).abs() < f64::EPSILON, "{line}");
        } else {
            assert!(self.bucket.take().is_some_and(|(own, ..)| own == labels), "{line}");
        }
    }
}

/// `a="b",c="d"`, each name once, with the three escapes and no other.
#[track_caller]
fn check_labels(mut labels: &str, line: &str) {
    let mut names = BTreeSet::new();
    while !labels.is_empty() {
        let (name, rest) = labels.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
        let is_name = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        assert!(is_name && names.insert(name.to_owned()), "{line}");
        let mut chars = rest.char_indices();
        let end = loop {
            match chars.next().unwrap_or_else(|| panic!("{line}")) {
                (_, '\\') => assert!(matches!(chars.next(), Some((_, '\\' | '"' | 'n')))),
                (at, '"') => break at,
                _ => {}
            }
        };
        labels = &rest[end + 1..];
        assert!(labels.is_empty() || labels.starts_with(','), "{line}");
        labels = labels.trim_start_matches(',');
    }
}
