//! Which worker hangs, and which does not although it was silent: what was stopped, and what is stopping.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::{folder, portless, probed_pool};
use crate::support::pm::ask;
use crate::support::processes::{self, is_alive};
use crate::support::waiting::{eventually, for_as_long_as};

#[test]
fn each_kind_of_probe_finds_a_worker_that_hangs_and_it_is_replaced() {
    let every = "every = '50ms', timeout = '50ms', failures = 2";
    for (alive, why) in [
        (format!("http = '/up', {every}"), "hangs: no answer within 50ms, 2 times in a row"),
        (
            format!(
                "exec = ['/bin/bash', '-c', 'read -t 5 <>/dev/tcp/localhost/{{port}}'], {every}"
            ),
            "hangs: no answer within 50ms, 2 times in a row; stopping it",
        ),
    ] {
        let folder = folder();
        let pm = probed_pool(&folder, "listen {port} stay", &format!("alive = {{ {alive} }}"));
        let first = pm.wait_slot_ready(".1", 1);
        if alive.starts_with("http") {
            for_as_long_as(Duration::from_millis(300), || assert!(is_alive(first)));
            ask(pm.ports[0], "answer silent");
        }
        pm.says.wait_for(why);
        pm.wait_slot_ready(".1", 2);
        assert!(!is_alive(first));
        assert_eq!(pm.says.with("before it was ready"), [""; 0], "it is not a failed start");
        pm.stop();
    }
}

#[test]
fn a_worker_that_stops_sending_watchdog_messages_hangs() {
    let folder = folder();
    let orders = "notify READY=1 pet 20 stay";
    let lines = "ready = { notify = true }\nalive = { notify = true, every = '200ms' }";
    let pm = portless(&folder, orders, lines);
    let first = pm.wait_slot_ready(".1", 1);
    for_as_long_as(Duration::from_millis(600), || assert!(is_alive(first)));
    // A suspended worker sends nothing more.
    processes::send(Signal::SIGSTOP, first);
    pm.says.wait_for("hangs: it did not send WATCHDOG=1 for 200ms; stopping it");
    pm.wait_slot_ready(".1", 2);
    pm.stop();
}

#[test]
fn the_time_while_pm_is_suspended_does_not_count_as_a_hang() {
    let folder = folder();
    let orders = "notify READY=1 pet 100 stay";
    let lines = "ready = { notify = true }\nalive = { notify = true, every = '1s' }";
    let pm = portless(&folder, orders, lines);
    let worker = pm.wait_slot_ready(".1", 1);
    pm.signal(Signal::SIGTSTP);
    let is_stopped = || processes::state(worker) == Some('T');
    eventually("all are stopped", || is_stopped().then_some(()));
    for_as_long_as(Duration::from_millis(1_500), || assert!(is_stopped()));
    pm.signal(Signal::SIGCONT);
    eventually("all go on", || (!is_stopped()).then_some(()));
    for_as_long_as(Duration::from_millis(1_200), || assert_eq!(pm.says.with("hangs"), [""; 0]));
    pm.stop();
}

#[test]
fn a_worker_that_notified_while_pm_was_stopped_does_not_hang() {
    let folder = folder();
    let orders = "notify READY=1 pet 100 stay";
    let lines = "ready = { notify = true }\nalive = { notify = true, every = '1s' }";
    let pm = portless(&folder, orders, lines);
    let worker = pm.wait_slot_ready(".1", 1);
    let both = [pm.pid(), pm.reactor()];
    let are_stopped = || both.iter().all(|pid| processes::state(*pid) == Some('T'));
    both.iter().for_each(|pid| processes::send(Signal::SIGSTOP, *pid));
    eventually("pm is stopped", || are_stopped().then_some(()));
    for_as_long_as(Duration::from_millis(1_500), || assert!(are_stopped()));
    both.iter().for_each(|pid| processes::send(Signal::SIGCONT, *pid));
    for_as_long_as(Duration::from_millis(1_200), || assert!(is_alive(worker)));
    assert_eq!(pm.says.with("hangs"), [""; 0]);
    pm.stop();
}

#[test]
fn the_time_while_everything_is_stopped_does_not_count_as_a_hang() {
    let folder = folder();
    let orders = "notify READY=1 pet 500 stay";
    let lines = "ready = { notify = true }\nalive = { notify = true, every = '1s' }";
    let pm = portless(&folder, orders, lines);
    let worker = pm.wait_slot_ready(".1", 1);
    let all = [pm.pid(), pm.reactor(), worker];
    let are_stopped = || all.iter().all(|pid| processes::state(*pid) == Some('T'));
    all.iter().for_each(|pid| processes::send(Signal::SIGSTOP, *pid));
    eventually("all are stopped", || are_stopped().then_some(()));
    for_as_long_as(Duration::from_millis(1_500), || assert!(are_stopped()));
    // pm goes on first, and judges while the worker is still stopped.
    all[..2].iter().for_each(|pid| processes::send(Signal::SIGCONT, *pid));
    for_as_long_as(Duration::from_millis(200), || assert!(is_alive(worker)));
    processes::send(Signal::SIGCONT, worker);
    for_as_long_as(Duration::from_millis(1_200), || assert!(is_alive(worker)));
    assert_eq!(pm.says.with("hangs"), [""; 0]);
    pm.stop();
}

#[test]
fn a_worker_that_sends_watchdog_trigger_is_replaced() {
    let folder = folder();
    let orders = "notify READY=1 wait 100 notify WATCHDOG=trigger stay";
    let lines = "ready = { notify = true }\nalive = { notify = true, every = '10s' }";
    let pm = portless(&folder, orders, lines);
    pm.says.wait_for("hangs: it sent WATCHDOG=trigger; stopping it");
    pm.wait_slot_ready(".1", 2);
    pm.stop();
}

#[test]
fn a_worker_that_sends_stopping_is_not_probed_any_more() {
    let folder = folder();
    let orders = "listen {port} notify READY=1,STOPPING=1 answer silent stay";
    let lines = "ready = { notify = true }\n\
                 alive = { http = '/', every = '50ms', timeout = '50ms', failures = 1 }";
    let pm = probed_pool(&folder, orders, lines);
    let worker = pm.wait_slot_ready(".1", 1);
    for_as_long_as(Duration::from_millis(500), || assert!(is_alive(worker)));
    assert_eq!(pm.says.with("hangs"), [""; 0]);
    pm.stop();
}
