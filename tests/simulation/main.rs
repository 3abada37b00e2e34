//! The supervisor between a hostile kernel and a virtual clock: years of faults in a few seconds.
//!
//! Each seed is one run: random plans that change at random, commands, a kernel that fails wherever it may, in half
//! of the runs a calm end, and wishes to stop. After every event the laws are checked. A broken law names its seed, and
//! the seed replays the same run:
//!
//! ```sh
//! PM_SEED=17 cargo test --test simulation -- --nocapture     # one run, every step of it printed
//! PM_SEEDS=100000 cargo test --test simulation               # more runs than the default 3500
//! ```
//!
//! Where to look next: `laws/` is what must hold; `kernel.rs` is the fake kernel; `plans.rs` makes plans; `rig/` plays
//! the reactor; `record.rs`, `facts/` and `life.rs` are what an observer knows; `coverage.rs` checks that everything
//! happens often enough; `exhaustive/` leaves nothing to chance.

mod coverage;
mod exhaustive;
mod facts;
mod kernel;
mod laws;
mod life;
mod plans;
mod record;
mod rig;

use std::ops::RangeInclusive;
use std::panic::catch_unwind;
use std::thread;

use coverage::Coverage;
use laws::Broken;
use rig::Rig;

/// Enough for everything to happen many times, in a few seconds without optimisation.
const SEEDS: u64 = 3_500;

/// Short runs are stopped while much is still under way.
const WAKEUPS_OF_CHAOS: RangeInclusive<u32> = 10..=150;

#[test]
fn the_laws_hold_whatever_the_kernel_does() {
    if let Some(seed) = number("PM_SEED") {
        run(seed, true).unwrap_or_else(|failure| panic!("{failure}"));
        return;
    }
    let seeds = number("PM_SEEDS").unwrap_or(SEEDS);
    let threads = thread::available_parallelism().map_or(1, usize::from) as u64;
    let coverage = thread::scope(|scope| {
        let share = |n: u64| move || run_all((n..seeds).step_by(threads as usize));
        let shares: Vec<_> = (0..threads).map(|n| scope.spawn(share(n))).collect();
        let shares = shares.into_iter().map(|share| share.join().expect("failures are values"));
        shares.collect::<Result<Vec<_>, _>>()
    });
    let mut all = Coverage::default();
    coverage.unwrap_or_else(|failure| panic!("{failure}")).into_iter().for_each(|one| all.add(one));
    all.print();
    if seeds >= SEEDS {
        all.assert_ample();
    }
}

fn run_all(seeds: impl Iterator<Item = u64>) -> Result<Coverage, String> {
    let mut all = Coverage::default();
    for seed in seeds {
        all.add(run(seed, false)?);
    }
    Ok(all)
}

/// One run. The error is what went wrong and how to see it again.
fn run(seed: u64, is_traced: bool) -> Result<Coverage, String> {
    let replay = format!("PM_SEED={seed} cargo test --test simulation -- --nocapture");
    match catch_unwind(|| run_phases(seed, is_traced)) {
        Ok(Ok(coverage)) => Ok(coverage),
        Ok(Err(Broken { law, how })) => {
            Err(format!("seed {seed} broke the law `{law}`: {how}\nreplay it: {replay}"))
        }
        Err(_) => Err(format!("seed {seed} panicked, see above\nreplay it: {replay}")),
    }
}

fn run_phases(seed: u64, is_traced: bool) -> Result<Coverage, Broken> {
    let mut rig = Rig::new(seed, is_traced);
    rig.run_chaos(WAKEUPS_OF_CHAOS)?;
    if seed.is_multiple_of(2) {
        rig.run_calm()?;
    }
    rig.stop()?;
    Ok(rig.coverage)
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}
