//! Probe commands: they belong to no worker, end with it, and leave no process.

use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::{crowd, folder, portless, probed_pool};
use crate::support::pm::Pm;
use crate::support::processes::{self, is_alive};
use crate::support::waiting::{eventually, for_as_long_as};

#[test]
fn processes_that_a_probe_leaves_outside_its_group_are_killed() {
    let folder = folder();
    let probe = "exec = 'setsid sleep 1000 & exit 0', every = '20ms', timeout = '20ms'";
    let pm = probed_pool(&folder, "listen {port} stay", &format!("alive = {{ {probe} }}"));
    let worker = pm.wait_slot_ready(".1", 1);
    for_as_long_as(Duration::from_millis(500), || assert!(pm.members().len() <= 6));
    assert!(is_alive(worker));
    pm.stop();
}

#[test]
fn a_probe_command_is_not_part_of_the_worker_and_leaves_no_process() {
    let folder = folder();
    let probe = "exec = ['/bin/sh', '-c', 'sleep 1000 & wait'], every = '50ms', timeout = '50ms'";
    let lines = format!("alive = {{ {probe}, failures = 1000 }}");
    let mut pm = probed_pool(&folder, "listen {port} stay", &lines);
    let worker = pm.wait_slot_ready(".1", 1);
    // Several probe commands are killed in this time, together with their children.
    for_as_long_as(Duration::from_millis(500), || assert!(pm.members().len() <= 3));
    eventually("a probe command runs", || (pm.members().len() > 1).then_some(()));
    assert!(is_alive(worker));
    pm.signal(Signal::SIGTERM);
    pm.wait_exit(0);
}

/// A worker, and a probe command that does not end by itself.
fn probed(folder: &tempfile::TempDir) -> (Pm, Pid, Pid) {
    let probe = "exec = ['WORKER', 'stay'], every = '30s', timeout = '30s'";
    let pm = probed_pool(folder, "listen {port} stay", &format!("alive = {{ {probe} }}"));
    let worker = pm.wait_slot_ready(".1", 1);
    let members = pm.wait_members(2);
    let probe = members.iter().find(|member| member.pid != worker).expect("a probe command");
    (pm, worker, probe.pid)
}

#[test]
fn a_probe_command_is_killed_with_its_worker() {
    let folder = folder();
    let (pm, worker, probe) = probed(&folder);
    processes::send(Signal::SIGKILL, worker);
    pm.wait_slot_ready(".1", 2);
    eventually("the probe command is gone", || (!is_alive(probe)).then_some(()));
    pm.stop();
}

#[test]
fn a_running_probe_command_does_not_delay_a_stop() {
    let folder = folder();
    let (mut pm, _, _) = probed(&folder);
    pm.signal(Signal::SIGTERM);
    pm.wait_exit(0);
    assert_eq!(pm.says.with("still stopping"), [""; 0]);
}

#[test]
fn probe_commands_that_run_at_the_same_time_are_told_apart() {
    let folder = folder();
    let probe = "exec = 'sleep 2; test $PM_SLOT = POOL.2', every = '3s', timeout = '3s'";
    let lines = format!("alive = {{ {probe}, failures = 1 }}");
    let pm = crowd(&folder, 2, "listen {port} stay", &lines);
    pm.wait_slot_ready(".2", 1);
    let slot = |n| format!("{} hangs", pm.slot(n));
    pm.says.wait_for(&slot(1));
    assert_eq!(pm.says.with(&slot(2)), [""; 0]);
    pm.stop();
}

#[test]
fn processes_that_a_probe_leaves_in_its_group_are_killed() {
    let folder = folder();
    let probe = "exec = 'sleep 1000 & true', every = '20ms', timeout = '20ms'";
    let pm = probed_pool(&folder, "listen {port} stay", &format!("alive = {{ {probe} }}"));
    pm.wait_slot_ready(".1", 1);
    for_as_long_as(Duration::from_millis(500), || assert!(pm.members().len() <= 4));
    pm.stop();
}

#[test]
fn a_probe_command_that_cannot_start_is_named_once_and_the_worker_stays() {
    let folder = folder();
    let alive = "alive = { exec = ['./probe'], every = '10ms', failures = 1 }";
    let pm = portless(&folder, "stay", &format!("ready = {{ after = '0s' }}\n{alive}"));
    let line = pm.says.wait_for("is not watched");
    assert!(line.contains("is not watched: the probe command cannot start: "), "{line}");
    for_as_long_as(Duration::from_millis(200), || {
        assert_eq!(pm.says.with("is not watched").len(), 1);
        assert_eq!(pm.says.with("hangs"), [""; 0]);
    });
    pm.stop();
}
