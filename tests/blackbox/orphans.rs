//! Whose process is it: each process belongs to one worker, wherever it has gone and whatever it has thrown away.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::pool::Pool;
use crate::support::processes::{is_alive, send};
use crate::support::programs::{shell, worker, worker_text};
use crate::support::waiting::{eventually, for_as_long_as};

#[test]
fn a_daemon_without_an_environment_lives_as_long_as_its_own_worker() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[pool.POOL-db]\ncommand = \"WORKER daemon introduce+stay stay\"\nworkers = 1\n\
                ready = { after = \"0s\" }\n\
                [pool.POOL-web]\ncommand = \"WORKER stay\"\nworkers = 1\nready = { after = \"0s\" }\n";
    let pm = Pool::of_file(folder.path(), "pm.toml", 0, text).start();
    let db = pm.wait_slot_ready("-db.1", 1);
    let daemon = pm.wait_introduced(1);
    for generation in 1..=3 {
        send(Signal::SIGKILL, pm.wait_slot_ready("-web.1", generation));
    }
    pm.wait_slot_ready("-web.1", 4);
    for_as_long_as(Duration::from_millis(200), || {
        assert!(is_alive(daemon), "its worker lives");
    });
    send(Signal::SIGKILL, db);
    pm.wait_slot_ready("-db.1", 2);
    eventually("it has ended with its worker", || (!is_alive(daemon)).then_some(()));
    assert!(is_alive(pm.wait_introduced(2)), "the next worker has its own");
    pm.stop();
}

#[test]
fn a_leader_that_has_gone_to_another_group_is_stopped() {
    let pm = Pool::of(worker("join parent introduce stay")).of_size(1).start();
    let leader = pm.wait_introduced(1);
    pm.signal(Signal::SIGTERM);
    eventually("the leader has ended", || (!is_alive(leader)).then_some(()));
    pm.wait_stopped();
}

#[test]
fn a_leader_that_has_gone_to_the_group_of_another_worker_does_not_keep_that_one_from_ending() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other");
    let (other, join) = (other.display(), worker_text("join $(cat"));
    // Only the first generation of the first slot moves.
    let script = format!(
        "if [ {{n}}.$PM_GENERATION = 1.1 ]; then \
         until [ -s {other} ]; do :; done; exec {join} {other}) introduce stay; \
         elif [ $PM_GENERATION = 1 ]; then echo $$ > {other}.new; mv {other}.new {other}; fi; \
         exec sleep 1000"
    );
    let pm = Pool::of(shell(&script)).of_size(2).start();
    let second = pm.wait_ready(2, 1);
    pm.wait_introduced(1);
    send(Signal::SIGKILL, second);
    pm.wait_ready(2, 2);
    pm.wait_ready(1, 2);
    pm.stop();
}

#[test]
fn a_worker_that_a_signal_stops_for_its_tracer_has_not_exited() {
    let orders = worker("traceme introduce raise USR1");
    let pm = Pool::of(orders).of_size(1).option("--grace", "100ms").start();
    let leader = pm.wait_ready(1, 1);
    for_as_long_as(Duration::from_millis(300), || {
        assert_eq!(pm.says.with("exited"), [""; 0]);
        assert_eq!(pm.members().len(), 1);
    });
    assert!(is_alive(leader));
    pm.stop();
}
