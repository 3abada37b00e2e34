//! A stop of many workers is as fast as that of one, and so is the answer to a second signal.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal::SIGTERM;

use crate::support::pm::Pm;
use crate::support::pool::Pool;
use crate::support::programs::worker;
use crate::support::run_mode::{is_proof, size};

/// A pool of many workers that are slow to stop, all of which can be asked to.
fn many_slow(orders: &str, grace: &str) -> (Pm, usize) {
    let workers = size("PM_TEST_SLOW", 200, 1_000) as usize;
    let pool = Pool::of(worker(orders)).of_size(workers);
    let pm = pool.option("--grace", grace).start();
    pm.prints.wait_for_many(workers, "up");
    (pm, workers)
}

#[test]
fn many_workers_that_are_slow_to_stop_do_not_delay_the_end() {
    let (mut pm, workers) = many_slow("drain 1500 say up stay", "5s");
    let began = Instant::now();
    pm.signal(SIGTERM);
    pm.wait_end();
    let took = began.elapsed();
    pm.wait_exit(0);
    assert_eq!(pm.prints.with("drained").len(), workers);
    assert_eq!(pm.says.with("did not stop within"), [""; 0]);
    let rounds = pm.says.with("more workers are still stopping; SIGKILL in ").len();
    let named = pm.says.with("is still stopping: pid ").len();
    assert!(rounds >= 1 && named <= 5 * rounds, "{named} workers named in {rounds} reports");
    println!("proof: {workers} workers that need 1.5 s stopped in {took:?}");
    assert!(!is_proof() || took < Duration::from_millis(1_800), "{took:?}");
}

#[test]
fn a_second_ctrl_c_is_acted_on_while_many_workers_delay_the_stop() {
    let (mut pm, workers) = many_slow("ignore TERM say up stay", "1h");
    pm.signal(SIGTERM);
    pm.says.wait_for(&format!("and {} more workers are still stopping", workers - 5));
    let began = Instant::now();
    pm.signal(SIGTERM);
    pm.says.wait_for(&format!("SIGTERM: killing {workers} workers"));
    let took = began.elapsed();
    pm.wait_exit(0);
    println!("proof: a second SIGTERM was acted on after {took:?} beside {workers} workers");
    assert!(!is_proof() || took < Duration::from_millis(100), "{took:?}");
}

#[test]
fn many_graces_that_are_over_at_once_kill_at_once() {
    let (mut pm, workers) = many_slow("ignore TERM say up stay", "300ms");
    pm.signal(SIGTERM);
    pm.wait_exit(0);
    assert_eq!(pm.says.with("did not stop within 300ms").len(), workers);
    assert_eq!(pm.says.with("did not stop within 300ms: pid ").len(), 5);
}
