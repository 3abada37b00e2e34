//! How often something took how long, in fixed buckets. To observe a time costs the search of its bucket.

use std::time::Duration;

/// The upper bounds of the buckets of what is short: a respawn, a probe. In seconds.
pub const SHORTER: &[f64] = &[0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 10.0];

/// The upper bounds of what takes longer: being ready, being down, being stopped. In seconds.
pub const LONGER: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// The times of one kind.
#[derive(Clone, Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    /// One more than there are bounds: the last one is for what exceeds them all.
    counts: Vec<u64>,
    sum: Duration,
}

impl Histogram {
    pub fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len() + 1], sum: Duration::ZERO }
    }

    /// Something took this long. A bound belongs to its bucket.
    pub fn observe(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        self.counts[self.bounds.partition_point(|bound| *bound < seconds)] += 1;
        self.sum += took;
    }

    /// Each bound with the number of times up to it; the last one is infinite.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        let sums = self.counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        bounds.zip(sums)
    }

    pub fn sum(&self) -> Duration {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket_and_more_than_it_does_not() {
        let mut histogram = Histogram::new(SHORTER);
        for micros in [0, 500, 501, 10_000_000, 10_000_001] {
            histogram.observe(Duration::from_micros(micros));
        }
        let counts = Vec::from_iter(histogram.cumulative().map(|(_, count)| count));
        assert_eq!(counts, [2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4, 5]);
        assert_eq!(histogram.sum(), Duration::from_micros(20_001_002));
    }
}
