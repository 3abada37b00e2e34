//! A dead process that its tracer keeps: it cannot be reaped before the tracer lets it go.

use std::fs::read_to_string;

use nix::sys::signal::Signal::SIGKILL;
use nix::unistd::Pid;

use crate::sealed::skip_without_sealing;
use crate::support::pool::Pool;
use crate::support::processes::{send, state};
use crate::support::programs::worker;
use crate::support::run_mode::skip;
use crate::support::tracer::Tracer;
use crate::support::waiting::eventually;

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

#[test]
fn a_probe_command_that_its_tracer_keeps_has_failed_and_no_other_one_is_started() {
    let folder = tempfile::tempdir().unwrap();
    let probes = folder.path().join("probes");
    let text = format!(
        "[pool.POOL]\ncommand = ['WORKER', 'stay']\nworkers = 1\nready = {{ after = '0s' }}\n\
         alive = {{ exec = 'echo $PM_GENERATION $$ >> {}; exec sleep 1000', every = '1s', \
         timeout = '1s', failures = 3 }}\n",
        probes.display()
    );
    let pm = Pool::of_file(folder.path(), "pm.toml", 0, &text).start();
    pm.wait_slot_ready(".1", 1);
    // Those of the first worker.
    let started = || {
        let lines = read_to_string(&probes).unwrap_or_default();
        let pids = lines.lines().filter_map(|line| line.strip_prefix("1 ")?.parse().ok());
        Vec::from_iter(pids.map(Pid::from_raw))
    };
    let probe = eventually("a probe", || started().first().copied());
    let Some(tracer) = Tracer::of(probe) else { return skip("no process may be traced here") };
    pm.says.wait_for("hangs: no answer within 1s, 3 times in a row; stopping it");
    assert_eq!(state(probe), Some('Z'));
    assert_eq!(started(), [probe]);
    drop(tracer);
    pm.wait_slot_ready(".1", 2);
    pm.stop();
}
