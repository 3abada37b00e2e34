//! A seeded hostile kernel and a virtual clock over the supervisor: years of bad luck in a few seconds.
//!
//! Each seed is one run: plans at random that change at random, commands, a kernel at its worst, sometimes a kind end,
//! and a shutdown.
//! After every event the laws are checked. A law that breaks names its seed, and the seed replays the very same run:
//!
//! ```sh
//! PM_SEED=17 cargo test --test simulation -- --nocapture     # one run, every step of it printed
//! PM_SEEDS=100000 cargo test --test simulation               # more runs than the usual 2000
//! ```
//!
//! Where to look next: `laws/` says what must hold, `kernel.rs` how bad it gets, `plans.rs` what is wanted, `world/`
//! plays the reactor, `record.rs`, `facts.rs` and `life.rs` keep what an observer knows, `coverage.rs` sees to it that
//! everything happens often enough.

mod coverage;
mod facts;
mod kernel;
mod laws;
mod life;
mod plans;
mod record;
mod world;

use std::panic::catch_unwind;
use std::thread;

use coverage::Coverage;
use laws::Broken;
use world::World;

/// Enough for everything to happen many times, in a few seconds without optimisation.
const SEEDS: u64 = 2_000;
const WAKEUPS_OF_CHAOS: u32 = 120;

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
fn run(seed: u64, trace: bool) -> Result<Coverage, String> {
    let replay = format!("PM_SEED={seed} cargo test --test simulation -- --nocapture");
    match catch_unwind(|| live(seed, trace)) {
        Ok(Ok(coverage)) => Ok(coverage),
        Ok(Err(Broken { law, how })) => {
            Err(format!("seed {seed} broke the law `{law}`: {how}\nreplay it: {replay}"))
        }
        Err(_) => Err(format!("seed {seed} panicked, see above\nreplay it: {replay}")),
    }
}

fn live(seed: u64, trace: bool) -> Result<Coverage, Broken> {
    let mut world = World::new(seed, trace);
    world.live_through_chaos(WAKEUPS_OF_CHAOS)?;
    if seed.is_multiple_of(2) {
        world.live_in_kindness()?;
    }
    world.shut_down()?;
    Ok(world.coverage)
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}
