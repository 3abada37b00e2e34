//! A dead process that its tracer keeps: it cannot be reaped before the tracer lets it go.

use nix::sys::signal::Signal::SIGKILL;

use crate::sealed::skip_without_sealing;
use crate::support::pool::Pool;
use crate::support::processes::send;
use crate::support::programs::worker;
use crate::support::run_mode::skip;
use crate::support::tracer::Tracer;

/// Kills the traced worker of this pool. pm has to name the tracer, and to start the next one once that lets go.
fn names_the_tracer(pool: Pool) {
    let pm = pool.of_size(1).start();
    let leader = pm.wait_ready(1, 1);
    let Some(tracer) = Tracer::of(leader) else { return skip("no process may be traced here") };
    send(SIGKILL, leader);
    let tracer_pid = tracer.pid;
    let held = format!(
        "{} is dead, and pid {tracer_pid}, which traces its pid {leader}, keeps it: end that process",
        pm.slot(1)
    );
    pm.says.wait_for(&held);
    drop(tracer);
    pm.wait_ready(1, 2);
    pm.stop();
}

#[test]
fn a_dead_worker_that_its_tracer_keeps_is_named_with_the_tracer() {
    names_the_tracer(Pool::of(worker("stay")));
}

#[test]
fn a_dead_sealed_worker_that_a_tracer_outside_keeps_is_named_with_the_tracer() {
    if !skip_without_sealing() {
        names_the_tracer(Pool::of(worker("stay")).flag("--sealed"));
    }
}
