//! What pm has counted since its start, from its metrics: how workers have ended, and how long the next ones took to
//! start.

use std::collections::BTreeMap;

/// Of all slots together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    /// Workers that have ended, by how: `failure`, `asked`.
    pub exits: BTreeMap<String, u64>,
    /// For each limit in seconds, how many were not slower.
    respawns: Vec<(f64, u64)>,
}

const EXITS: &str = "pm_exits_total{";
const RESPAWNS: &str = "pm_respawn_seconds_bucket{";

impl Totals {
    /// Reads an answer to `GET /metrics`; other families are passed over.
    pub fn of(metrics: &str) -> Self {
        let mut totals = Self::default();
        let mut respawns: Vec<(String, u64)> = Vec::new();
        for line in metrics.lines() {
            let sample = |family: &str| {
                let (labels, value) = line.strip_prefix(family)?.rsplit_once("} ")?;
                // A count is written as a whole number.
                Some((labels, value.parse::<u64>().ok()?))
            };
            if let Some((labels, count)) = sample(EXITS) {
                let reason = label(labels, "reason").unwrap_or_default();
                *totals.exits.entry(reason.to_owned()).or_default() += count;
            } else if let Some((labels, count)) = sample(RESPAWNS) {
                let limit = label(labels, "le").unwrap_or_default();
                match respawns.iter_mut().find(|(other, _)| other == limit) {
                    Some((_, sum)) => *sum += count,
                    None => respawns.push((limit.to_owned(), count)),
                }
            }
        }
        totals.exits.retain(|_, count| *count > 0);
        totals.respawns =
            respawns.iter().filter_map(|(le, count)| Some((limit(le)?, *count))).collect();
        totals
    }

    /// The time in seconds that this part of all respawns, from 0 to 1, did not exceed: within a bucket it is taken as
    /// evenly spread. `None` if there was none.
    pub fn respawn_quantile(&self, part: f64) -> Option<f64> {
        let all = self.respawns.last().filter(|(_, count)| *count > 0)?.1 as f64;
        let (mut below, mut lower) = (0.0, 0.0);
        for (limit, count) in &self.respawns {
            let count = *count as f64;
            if count >= all * part && count > below {
                if limit.is_infinite() {
                    return Some(lower);
                }
                return Some(lower + (limit - lower) * (all * part - below) / (count - below));
            }
            (below, lower) = (count, *limit);
        }
        None
    }
}

fn limit(le: &str) -> Option<f64> {
    if le == "+Inf" { Some(f64::INFINITY) } else { le.parse().ok() }
}

/// The value of a label: `reason="asked"`.
fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    let start = labels.find(&format!("{name}=\""))? + name.len() + 2;
    let length = labels[start..].find('"')?;
    Some(&labels[start..start + length])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_all_slots_are_added() {
        let totals = Totals::of(
            "# TYPE pm_exits_total counter\n\
             pm_exits_total{pool=\"web\",slot=\"web.1\",reason=\"failure\"} 129\n\
             pm_exits_total{pool=\"web\",slot=\"web.2\",reason=\"failure\"} 1\n\
             pm_exits_total{pool=\"web\",slot=\"web.2\",reason=\"asked\"} 2\n\
             pm_exits_total{pool=\"web\",slot=\"web.2\",reason=\"oom\"} 0\n\
             pm_respawn_seconds_bucket{pool=\"a\",le=\"0.001\"} 0\n\
             pm_respawn_seconds_bucket{pool=\"a\",le=\"0.002\"} 5\n\
             pm_respawn_seconds_bucket{pool=\"a\",le=\"+Inf\"} 5\n\
             pm_respawn_seconds_bucket{pool=\"b\",le=\"0.001\"} 0\n\
             pm_respawn_seconds_bucket{pool=\"b\",le=\"0.002\"} 4\n\
             pm_respawn_seconds_bucket{pool=\"b\",le=\"+Inf\"} 5\n",
        );
        assert_eq!(totals.exits, BTreeMap::from([("failure".into(), 130), ("asked".into(), 2)]));
        let near = |part: f64, seconds: f64| {
            let quantile = totals.respawn_quantile(part).unwrap();
            assert!((quantile - seconds).abs() < 1e-6, "{part}: {quantile}");
        };
        near(0.45, 0.0015);
        near(0.99, 0.002);
        assert_eq!(Totals::of("").respawn_quantile(0.5), None);
        assert_eq!(Totals::of("nonsense } x\npm_exits_total{").exits, BTreeMap::new());
    }
}
