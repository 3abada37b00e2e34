//! `--exit-with` and the key `ends_run`: when that pool has ended, all others stop and pm exits with its status.

use nix::sys::signal::Signal;

use crate::support::pm::Pm;
use crate::support::pool::Pool;
use crate::support::waiting::eventually;

fn start(text: &str) -> (tempfile::TempDir, Pm) {
    let folder = tempfile::tempdir().unwrap();
    let pm = Pool::of_file(folder.path(), "pm.toml", 1, text).start();
    (folder, pm)
}

/// A server, and a pool of tests that runs when it is ready.
const TESTS: &str = "
    [pool.POOL-web]
    command = ['WORKER', 'wait', '100', 'listen', '{port}', 'stay']
    ports   = PORT1
    [pool.POOL-tests]
    command = ['WORKER', 'say', 'tested', 'wait', '100', 'ORDER']
    after   = ['POOL-web']
    ends_run = true
    ";

fn tests(orders: &str) -> String {
    TESTS.replace("'ORDER'", orders)
}

#[test]
fn when_the_pool_has_ended_the_others_stop_and_its_status_is_that_of_pm() {
    for (orders, status, how) in [
        ("'exit', '0'", 0, " with success"),
        ("'exit', '2'", 2, ": {}-tests.1 exited 2"),
        ("'raise', 'SEGV'", 128 + 11, ": {}-tests.1 was killed by SIGSEGV"),
    ] {
        let (_folder, mut pm) = start(&tests(orders));
        pm.wait_exit(status);
        let name = &pm.name;
        assert_eq!(pm.prints.with("tested").len(), 1, "it ran once, when the server was ready");
        let how = how.replace("{}", name);
        pm.says.wait_for(&format!(
            "{name}-tests has ended{how}; stopping 1 worker; SIGKILL in 5s, or at once on Ctrl-C"
        ));
        pm.says.wait_for(&format!("{name}-web.1 stopped"));
        pm.says.wait_for("all workers stopped after");
    }
}

#[test]
fn exit_with_names_the_pool_on_the_command_line_and_is_not_restarted() {
    let text = tests("'exit', '3'").replace("ends_run = true", "");
    let folder = tempfile::tempdir().unwrap();
    let pool = Pool::of_file(folder.path(), "pm.toml", 1, &text);
    let tests = pool.filled_in("POOL-tests");
    let mut pm = pool.option("--exit-with", &tests).start();
    pm.wait_exit(3);
    assert_eq!(pm.prints.with("tested").len(), 1);
}

#[test]
fn a_pool_that_waits_for_a_failed_job_ends_the_run_with_the_status_of_the_job() {
    let (_folder, mut pm) = start(
        "
        [pool.POOL-web]
        command = ['WORKER', 'listen', '{port}', 'stay']
        ports   = PORT1
        [pool.POOL-migrate]
        command = ['WORKER', 'exit', '4']
        restart = 'never'
        ready   = { exit = true }
        after   = ['POOL-web']
        [pool.POOL-seed]
        command = ['WORKER', 'exit', '0']
        restart = 'never'
        ready   = { exit = true }
        after   = ['POOL-migrate']
        [pool.POOL-tests]
        command = ['WORKER', 'say', 'tested', 'exit', '0']
        after   = ['POOL-seed']
        ends_run = true
        ",
    );
    pm.wait_exit(4);
    assert_eq!(pm.prints.with("tested"), [""; 0]);
    let name = &pm.name;
    pm.says.wait_for(&format!(
        "{name}-tests waits for {name}-migrate and cannot start: {name}-migrate.1 exited 4; \
         stopping 1 worker"
    ));
}

#[test]
fn a_pool_that_cannot_be_started_ends_the_run_with_status_1() {
    let (_folder, mut pm) =
        start(&tests("").replace("'WORKER', 'say'", "'no-such-program', 'say'"));
    pm.wait_exit(1);
    pm.says.wait_for(&format!("{0}-tests has ended: {0}-tests.1 gave up; stopping 1", pm.name));
}

#[test]
fn a_ctrl_c_before_the_end_stops_as_always_and_one_after_it_kills_and_keeps_the_status() {
    let (_folder, pm) = start(&tests("'stay'"));
    pm.prints.wait_for("tested");
    pm.signal(Signal::SIGINT);
    pm.wait_stopped();

    let slow =
        tests("'exit', '2'").replace("'wait', '100', 'listen'", "'drain', '100000', 'listen'");
    let (_folder, mut pm) = start(&slow);
    pm.says.wait_for("has ended");
    eventually("pm ends after a Ctrl-C", || {
        pm.signal(Signal::SIGINT);
        pm.has_ended().then_some(())
    });
    pm.wait_exit(2);
    pm.says.wait_for("SIGINT: killing 1 worker");
}

#[test]
fn a_reload_changes_which_pool_ends_the_run() {
    let stay = tests("'exit', '2'").replace("ends_run = true", "restart = 'never'");
    let (_folder, mut pm) = start(&stay);
    pm.says.wait_for_all(&["-tests.1 exited 2", "not restarted"]);
    pm.reload(&tests("'exit', '2'"));
    pm.wait_exit(2);
    pm.says.wait_for(&format!("{0}-tests has ended: {0}-tests.1 exited 2", pm.name));
}

#[test]
fn a_run_of_that_pool_alone_has_nothing_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let text = "POOL: exit $((PORT - 4995))\n";
    let pool = Pool::of_file(folder.path(), "Procfile", 0, text).with("PORT", "5000");
    let name = pool.filled_in("POOL");
    let mut pm = pool.option("--exit-with", &name).start();
    pm.wait_exit(5);
    let last = pm.says.all().pop().unwrap();
    assert!(last.ends_with(&format!("{name} has ended: {name}.1 exited 5")), "{last}");
}
