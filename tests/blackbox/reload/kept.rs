//! Workers that a reload keeps, and what they get of the new file.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::{BEFORE, pids, started};
use crate::support::pm::ask;
use crate::support::pool::Pool;
use crate::support::waiting::{eventually, for_as_long_as};

#[test]
fn a_file_with_the_same_meaning_changes_nothing() {
    let (_folder, pm) = started();
    let before = pids(&pm);
    pm.reload(&format!("# a comment\n{BEFORE}"));
    pm.says.wait_for("reload: kept 5 workers");
    assert_eq!(pids(&pm), before);
    pm.stop();
}

#[test]
fn a_change_that_a_worker_cannot_notice_does_not_replace_it() {
    let (_folder, pm) = started();
    let before = pids(&pm);
    let alive = "alive = { tcp = true, every = '20ms', timeout = '20ms' }";
    let rules = format!("stop = {{ grace = '1s' }}\nbackoff = {{ first = '1s' }}\n{alive}\n");
    pm.reload(&BEFORE.replace("env     =", &format!("{rules}env     =")));
    pm.says.wait_for("reload: kept 5 workers");
    for_as_long_as(Duration::from_millis(200), || assert_eq!(pids(&pm), before));
    pm.signal(Signal::SIGTERM);
    pm.says.wait_for("SIGKILL in 5s");
    pm.wait_stopped();
}

#[test]
fn a_changed_stop_signal_applies_to_the_running_worker() {
    let folder = tempfile::tempdir().unwrap();
    let text = "
        [pool.POOL]
        command = \"trap 'echo caught; exit 0' USR2; echo up; while :; do sleep 0.01; done\"
        ready   = { line = 'up' }
        stop    = { signal = 'TERM' }
    ";
    let mut pm = Pool::of_file(folder.path(), "pm.toml", 0, text).start();
    pm.wait_slot_ready(".1", 1);
    pm.reload(&text.replace("TERM", "USR2"));
    pm.says.wait_for("reload: kept 1 worker");
    pm.signal(Signal::SIGTERM);
    pm.prints.wait_for("caught");
    pm.wait_exit(0);
}

#[test]
fn a_changed_ready_key_applies_to_a_starting_worker() {
    let folder = tempfile::tempdir().unwrap();
    let text = "
        [pool.POOL]
        command = ['WORKER', 'say', 'up', 'wait', '600', 'say', 'serving', 'stay']
        ready   = { line = 'nothing of the kind' }
    ";
    let pm = Pool::of_file(folder.path(), "pm.toml", 0, text).start();
    pm.prints.wait_for("up");
    pm.reload(&text.replace("nothing of the kind", "serving"));
    pm.wait_slot_ready(".1", 1);
    pm.stop();
}

#[test]
fn a_log_file_and_a_probe_can_be_added_to_a_running_worker() {
    let folder = tempfile::tempdir().unwrap();
    let text = "
        [pool.POOL]
        command = ['WORKER', 'listen', '{port}', 'answer', 'silent', 'stay']
        ports   = PORT1
    ";
    let pm = Pool::of_file(folder.path(), "pm.toml", 1, text).start();
    pm.wait_slot_ready(".1", 1);
    pm.reload(&format!("{text}log = {{ file = '{{slot}}.log' }}\n"));
    pm.says.wait_for("reload: kept 1 worker");
    ask(pm.ports[0], "say written");
    let log = folder.path().join(format!("{}.log", pm.slot(1)));
    eventually("it is in the file", || {
        (std::fs::read_to_string(&log).ok()? == "written\n").then_some(())
    });
    let alive = "alive = { http = '/', every = '50ms', timeout = '50ms' }";
    pm.reload(&format!("{text}{alive}\n"));
    pm.says.wait_for("hangs: no answer within 50ms, 3 times in a row");
    pm.stop();
}
