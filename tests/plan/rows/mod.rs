//! For each key of `pm.toml`: right values with what they make of the pool, and wrong values.

mod alive;
mod output;
mod pool;
mod process;
mod ready;
mod restarts;
mod stop;

use std::time::Duration;

use pm::plan::{Pool, Probe, ReadyBy};
use pm::supervisor::Readiness;

/// Lines of a `pm.toml`, and what must be true of the pool.
type Right = (&'static str, fn(&Pool));

pub struct Row {
    /// Below the pool's table: `stop.grace`.
    pub key: &'static str,
    pub right: &'static [Right],
    pub wrong: &'static [&'static str],
}

/// One list for each part of the keys.
const PARTS: [&[Row]; 7] =
    [pool::ROWS, process::ROWS, restarts::ROWS, ready::ROWS, alive::ROWS, stop::ROWS, output::ROWS];

/// Each key has one.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    PARTS.into_iter().flatten()
}

fn variable<'a>(pool: &'a Pool, n: usize, name: &str) -> Option<&'a str> {
    let mut found = pool.slots[n].exec.env.iter().filter(|(known, _)| known == name);
    let value = found.next().map(|(_, value)| value.as_str());
    assert_eq!(found.next(), None, "{name} is set twice");
    value
}

/// The time a worker has to become ready, which the supervisor is told too.
fn within(pool: &Pool) -> Duration {
    let within = pool.slots[0].ready.within;
    assert_eq!(pool.policy.ready, Readiness::Probe { within });
    within
}

/// The time a worker has to live to be ready, which the supervisor is told too.
fn lived(pool: &Pool) -> Duration {
    let after = pool.slots[0].ready.within;
    assert_eq!(pool.slots[0].ready.by, ReadyBy::Lived);
    assert_eq!(pool.policy.ready, Readiness::Lived { after });
    after
}

fn http(port: u16) -> Probe {
    Probe::Http { port, target: "/health".into(), status: 200..=399, text: None }
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
