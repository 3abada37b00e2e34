//! The longest texts, of one thing repeated: each reader is linear.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use pm::plan::procfile::{self, Options};
use pm::plan::{Faults, Plan, pm_toml};

use crate::changes::WORDS;
use crate::host::{FakeHost, document};
use crate::{TIME_MAX, is_proof};

/// A text that repeats one thing, as long as a text may be: a reader that is not linear would be slow.
#[test]
fn a_long_repetition_is_read_in_linear_time() {
    // A build without optimization is given a sixteenth of it.
    let parts = if is_proof() { 1 } else { 16 };
    let most = pm::plan::FILE_BYTES_MAX / parts;
    let mut slow = String::new();
    for unit in WORDS.into_iter().chain([
        "a",
        "a\n",
        "a=\"\n",
        "A='\n",
        "A=1\n",
        "a: b\n",
        "a = {",
        "a.",
        "x = [",
        "x = 1\n",
        "[pool.a]\n",
        "'a',",
        "[pool.a]\ncommand='{n}'\n",
        "web=1,",
        "{port",
        "\"{a}\"",
        "8080,",
        "pool.a.env.b = 1\n",
        "'\\n",
    ]) {
        for (before, after) in
            [("", ""), ("[pool.web]\ncommand = [", "]"), ("[pool.web]\ncommand = '", "'")]
        {
            let count = (most - before.len() - after.len()) / unit.len();
            let text = format!("{before}{}{after}", unit.repeat(count));
            let dotenv = FakeHost { dotenv: &text };
            let formation = Options { formation: Some(text.clone()), port: None };
            let took = [
                time(|| pm_toml::read(&document("pm.toml", &text), &FakeHost { dotenv: "" })),
                time(|| {
                    procfile::read(
                        &document("Procfile", &text),
                        &Options::default(),
                        &FakeHost { dotenv: "" },
                    )
                }),
                time(|| {
                    procfile::read(&document("Procfile", "web: x"), &Options::default(), &dotenv)
                }),
                time(|| {
                    procfile::read(
                        &document("Procfile", "web: x"),
                        &formation,
                        &FakeHost { dotenv: "" },
                    )
                }),
            ];
            if let Some(most) = took.iter().max().filter(|took| **took > TIME_MAX) {
                writeln!(slow, "{:?} after {before:?}: {most:?}", unit.escape_debug()).unwrap();
            }
        }
    }
    assert!(slow.is_empty(), "{slow}");
}

fn time(read: impl FnOnce() -> Result<Plan, Faults>) -> Duration {
    let began = Instant::now();
    let _ = read();
    began.elapsed()
}
