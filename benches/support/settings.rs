//! The size of a run. Defaults are small; a variable of the environment makes a run larger or smaller.
//!
//! | variable | meaning |
//! |---|---|
//! | `PM_BENCH_SIZES` | numbers of workers, such as `"100 1000"` |
//! | `PM_BENCH_ROUNDS` | how often each turn is repeated |
//! | `PM_BENCH_KILLS` | workers that are killed one after another |
//! | `PM_BENCH_SECONDS` | how long is watched |
//! | `PM_BENCH_LINES` | lines of all workers of a run together |
//! | `PM_BENCH_SERVERS` | the programs of the servers that take part, such as `"node go"` |
//! | `PM_BESIDE` | the file of an older pm that takes part too |
//! | `PM_TEST_BIN` | the file of the pm that is measured, instead of the one that was built |

use std::collections::BTreeSet;
use std::str::FromStr;

use super::Anything;

pub fn sizes(default: &[usize]) -> Anything<Vec<usize>> {
    let Ok(text) = std::env::var("PM_BENCH_SIZES") else { return Ok(default.to_vec()) };
    text.split_whitespace().map(|size| number("PM_BENCH_SIZES", size)).collect()
}

pub fn rounds(default: usize) -> Anything<usize> {
    one("PM_BENCH_ROUNDS", default)
}

pub fn kills(default: usize) -> Anything<usize> {
    one("PM_BENCH_KILLS", default)
}

pub fn seconds(default: f64) -> Anything<f64> {
    one("PM_BENCH_SECONDS", default)
}

pub fn lines(default: usize) -> Anything<usize> {
    one("PM_BENCH_LINES", default)
}

/// `None`: all.
pub fn servers() -> Option<BTreeSet<String>> {
    let text = std::env::var("PM_BENCH_SERVERS").ok()?;
    Some(text.split_whitespace().map(Into::into).collect())
}

fn one<T: FromStr>(variable: &str, default: T) -> Anything<T> {
    std::env::var(variable).map_or(Ok(default), |text| number(variable, &text))
}

fn number<T: FromStr>(variable: &str, text: &str) -> Anything<T> {
    text.parse().ok().ok_or_else(|| format!("{variable}: {text:?} is not a number").into())
}
