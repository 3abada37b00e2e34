//! Ports that stay open: servers as they are, under clients, while their workers are killed; and what that costs them.
//!
//!     cargo bench --bench held                  # all of it
//!     cargo bench --bench held -- kills slow    # two of its parts
//!
//! | part | question |
//! |---|---|
//! | [`kills`] | how long does a visitor wait after a kill, and is a connection refused: plain, held, with a spare? |
//! | [`slow`] | the same of a server that needs 10 s to start |
//! | [`cost`] | requests a second with the filter and without |
//!
//! What is not installed is said. It needs no root.

mod clients;
mod cost;
mod kills;
mod running;
mod servers;
mod slow;
#[path = "../support/mod.rs"]
mod support;

use support::Anything;

type Part = (&'static str, fn() -> Anything<()>);

const PARTS: [Part; 3] = [("kills", kills::run), ("slow", slow::run), ("cost", cost::run)];

fn main() -> Anything<()> {
    // cargo adds `--bench`.
    let wanted: Vec<_> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    if let Some(word) = wanted.iter().find(|word| PARTS.iter().all(|(name, _)| name != word)) {
        return Err(format!("there is no part {word}").into());
    }
    for (name, run) in PARTS {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            run()?;
        }
    }
    Ok(())
}
