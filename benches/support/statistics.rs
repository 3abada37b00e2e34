//! What many samples say.

pub fn median(values: &[f64]) -> f64 {
    percentile(values, 50)
}

/// The value that `p` percent of all are below; NaN of none.
pub fn percentile(values: &[f64], p: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = sorted.len() * p / 100;
    sorted.get(at).or(sorted.last()).copied().unwrap_or(f64::NAN)
}
