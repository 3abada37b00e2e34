//! Which worker is ready: each kind of probe finds it, a late one too. One that is never ready is replaced.

use std::time::Duration;

use super::{HTTP, folder, probed_pool};
use crate::support::pm::ask;
use crate::support::waiting::for_as_long_as;

#[test]
fn a_worker_is_ready_only_after_a_correct_http_answer() {
    for how in ["503", "garbage", "early", "silent"] {
        let folder = folder();
        let pm = probed_pool(&folder, &format!("answer {how} listen {{port}} say up stay"), HTTP);
        pm.prints.wait_for("up");
        for_as_long_as(Duration::from_millis(300), || {
            assert_eq!(pm.says.with("is ready"), [""; 0], "{how}");
        });
        ask(pm.ports[0], "answer ok");
        pm.wait_slot_ready(".1", 1);
        pm.stop();
    }
}

#[test]
fn an_answer_sent_byte_by_byte_counts() {
    let folder = folder();
    let pm = probed_pool(&folder, "answer drip listen {port} stay", HTTP);
    pm.wait_slot_ready(".1", 1);
    pm.stop();
}

#[test]
fn each_kind_of_probe_finds_a_worker_that_becomes_ready_late() {
    let late = "wait 300 listen {port}";
    for (orders, ready) in [
        (format!("{late} stay"), "tcp = true"),
        (format!("{late} stay"), "http = '/'"),
        (format!("{late} stay"), "exec = ['/bin/sh', '-c', 'exec 3<>/dev/tcp/localhost/{port}']"),
        ("wait 300 print serving say {port} stay".into(), "line = 'serving'"),
        ("wait 300 print serving say {port} stay".into(), "line_regex = '^serving\\d+$'"),
        ("wait 300 notify READY=1 stay".into(), "notify = true"),
        ("wait 300 stay".into(), "after = '300ms'"),
    ] {
        let folder = folder();
        let ready = ready.replace("/bin/sh", "/bin/bash");
        let pm = probed_pool(&folder, &orders, &format!("ready = {{ {ready} }}"));
        let line = pm.says.wait_for("is ready");
        let age = line.split_once(" after ").unwrap().1.split_once("ms").expect("ms").0;
        let age: u32 = age.parse().unwrap();
        assert!((295..2_000).contains(&age), "{ready}: {line}");
        pm.stop();
    }
}

#[test]
fn a_worker_that_is_never_ready_is_replaced_and_the_last_probe_failure_is_reported() {
    for (orders, ready, what) in [
        ("stay", "tcp = true", "did not accept a connection on port PORT within 200ms; stopping"),
        (
            "answer 503 listen {port} stay",
            "http = '/up'",
            "did not answer GET /up on port PORT as it should within 200ms \
             (last: it answered with status 503); stopping it",
        ),
        (
            "stay",
            "exec = ['/bin/sh', '-c', 'exit 3']",
            "did not pass its probe within 200ms (last: the probe command exited 3); stopping",
        ),
        ("say hello stay", "line = 'serving'", "did not write a line with `serving` within 200ms;"),
        (
            "notify STATUS=waiting+for+a+disk stay",
            "notify = true",
            "did not send READY=1 within 200ms (last: waiting+for+a+disk); stopping it",
        ),
    ] {
        let folder = folder();
        let pm = probed_pool(&folder, orders, &format!("ready = {{ {ready}, within = '200ms' }}"));
        pm.says.wait_for(&what.replace("PORT", &pm.ports[0].to_string()));
        pm.says.wait_for("stopped; starting generation 2");
        pm.stop();
    }
}
