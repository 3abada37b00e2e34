//! The key `after`: a pool starts when the pools it is after are ready, and stops before them.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::pm::Pm;
use crate::support::pool::Pool;
use crate::support::processes;
use crate::support::waiting::{eventually, for_as_long_as};

fn start(text: &str) -> (tempfile::TempDir, Pm) {
    let folder = tempfile::tempdir().unwrap();
    let pm = Pool::of_file(folder.path(), "pm.toml", 3, text).start();
    (folder, pm)
}

/// The position of the first message with `text`.
fn at(pm: &Pm, text: &str) -> usize {
    let text = text.replace("POOL", &pm.name);
    let position = pm.says.all().iter().position(|line| line.contains(&text));
    position.unwrap_or_else(|| panic!("no {text}"))
}

const THREE: &str = "
[pool.POOL-web]
command = ['WORKER', 'listen', '{port}', 'stay']
ports   = [PORT1]
after   = ['POOL-app']

[pool.POOL-app]
command = ['WORKER', 'drain', '100', 'wait', '100', 'listen', '{port}', 'stay']
ports   = [PORT2]
after   = ['POOL-db']

[pool.POOL-db]
command = ['WORKER', 'wait', '200', 'listen', '{port}', 'stay']
ports   = [PORT3]
";

#[test]
fn pools_start_in_the_order_of_after_and_stop_in_the_reverse_order() {
    let (_folder, mut pm) = start(THREE);
    pm.says.wait_for(&format!("{0}-web waits for {0}-app", pm.name));
    pm.says.wait_for(&format!("{0}-app waits for {0}-db", pm.name));
    pm.wait_slot_ready("-web.1", 1);
    let ready = ["db", "app", "web"].map(|pool| at(&pm, &format!("POOL-{pool}.1 is ready")));
    assert!(ready.is_sorted(), "{:?}", pm.says.all());
    pm.signal(Signal::SIGTERM);
    pm.wait_exit(0);
    let gone = ["web", "app", "db"].map(|pool| at(&pm, &format!("POOL-{pool}.1 stopped")));
    assert!(gone.is_sorted(), "{:?}", pm.says.all());
}

#[test]
fn a_second_ctrl_c_ignores_the_stop_order() {
    let (_folder, mut pm) = start(&THREE.replace("'drain', '100'", "'drain', '100000'"));
    pm.wait_slot_ready("-web.1", 1);
    pm.signal(Signal::SIGINT);
    pm.says.wait_for("-web.1 stopped");
    eventually("pm ends after another Ctrl-C", || {
        pm.signal(Signal::SIGINT);
        pm.has_ended().then_some(())
    });
    pm.wait_exit(0);
}

#[test]
fn a_crash_in_a_pool_does_not_touch_the_pools_after_it() {
    let (_folder, pm) = start(THREE);
    let (web, db) = (pm.wait_slot_ready("-web.1", 1), pm.wait_slot_ready("-db.1", 1));
    processes::send(Signal::SIGKILL, db);
    pm.wait_slot_ready("-db.1", 2);
    assert!(processes::is_alive(web));
    // And a worker that had been ready does not wait for its dependencies.
    processes::send(Signal::SIGKILL, pm.wait_slot_ready("-db.1", 2));
    processes::send(Signal::SIGKILL, web);
    pm.wait_slot_ready("-web.1", 2);
    pm.stop();
}

#[test]
fn when_a_pool_gives_up_the_waiting_pools_are_named_and_pm_exits_1() {
    let (_folder, mut pm) = start(
        "
        [pool.POOL-web]
        command = ['WORKER', 'stay']
        after   = ['POOL-db']
        [pool.POOL-db]
        command = ['WORKER', 'exit', '3']
        backoff = { give_up_after = 2 }
        ",
    );
    pm.says.wait_for(&format!("{0}-web waits for {0}-db and is not started", pm.name));
    pm.wait_exit(1);
}

#[test]
fn a_job_that_exits_0_lets_the_next_pool_start() {
    let (_folder, pm) = start(
        "
        [pool.POOL-web]
        command = ['WORKER', 'listen', '{port}', 'stay']
        ports   = PORT1
        after   = ['POOL-migrate']
        [pool.POOL-migrate]
        command = ['WORKER', 'wait', '100', 'exit', '0']
        restart = 'never'
        ready   = { exit = true }
        ",
    );
    pm.wait_slot_ready("-web.1", 1);
    pm.says.wait_for_all(&["-migrate.1 exited 0 after 1", "ms; not restarted"]);
    assert!(at(&pm, "POOL-migrate.1 exited 0") < at(&pm, "POOL-web.1 is ready"));
    pm.stop();
}

#[test]
fn a_job_that_fails_does_not_let_the_next_pool_start() {
    let (_folder, mut pm) = start(
        "
        [pool.POOL-web]
        command = ['WORKER', 'say', 'up', 'stay']
        after   = ['POOL-migrate']
        [pool.POOL-migrate]
        command = ['WORKER', 'exit', '4']
        restart = 'never'
        ",
    );
    pm.wait_exit(4);
    assert_eq!(pm.prints.with("up"), [""; 0]);
    let name = &pm.name;
    let in_vain = format!(
        "{name}-web waits for {name}-migrate and is not started: {name}-migrate.1 exited 4"
    );
    assert_eq!(pm.says.with(&in_vain).len(), 1);
    let reason = format!("nothing is left to keep: {name}-migrate.1 exited 4");
    assert_eq!(pm.says.with(&reason).len(), 1);
}

#[test]
fn pools_that_wait_for_a_failed_job_are_told_so_once_and_again_after_a_reload() {
    let text = "
        [pool.POOL-web]
        command = ['WORKER', 'stay']
        after   = ['POOL-migrate']
        [pool.POOL-migrate]
        command = ['WORKER', 'exit', '4']
        restart = 'never'
        ready   = { exit = true }
        workers = 2
        [pool.POOL-other]
        command = ['WORKER', 'stay']
        ready   = { after = '0s' }
        ";
    let (_folder, pm) = start(text);
    let failed = format!("{0}-web waits for {0}-migrate and is not started: {0}-migrate.", pm.name);
    pm.says.wait_for(&failed);
    for n in 1..=2 {
        pm.says.wait_for(&format!("{}-migrate.{n} exited 4", pm.name));
    }
    pm.wait_slot_ready("-other.1", 1);
    assert_eq!(pm.says.with(&failed).len(), 1);
    pm.reload(text);
    eventually("it is reported again", || (pm.says.with(&failed).len() == 2).then_some(()));
    pm.reload(&text.replace("'exit', '4'", "'exit', '0'"));
    pm.wait_slot_ready("-web.1", 1);
    pm.stop();
}

#[test]
fn too_many_restarts_of_a_ready_worker_end_in_giving_up() {
    let (_folder, mut pm) = start(
        "
        [pool.POOL]
        command = ['WORKER', 'wait', '20', 'exit', '5']
        ready   = { after = '0s' }
        max_restarts = { count = 3, within = '1m' }
        ",
    );
    pm.says.wait_for("starting generation 4");
    pm.says.wait_for("exited 5 after");
    pm.says.wait_for("giving up: more restarts than `max_restarts` allows");
    pm.wait_exit(1);
}

#[test]
fn a_pool_waits_for_a_dependency_that_is_not_ready() {
    let (_folder, pm) = start(&THREE.replace("'wait', '200', ", "'wait', '100000', "));
    for_as_long_as(Duration::from_millis(500), || {
        assert_eq!(pm.says.with("is ready"), [""; 0]);
        assert!(pm.members().len() <= 1);
    });
    pm.stop();
}
