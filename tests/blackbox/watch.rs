//! How pm finds out who serves and who hangs: a probe of each kind, and workers that do not make it easy.

use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::harness::{Pm, Pool, ask, eventually, for_as_long_as, size};
use crate::processes::{is_alive, processor_time};

/// One worker on one port that obeys these orders, with these lines in its pool.
fn watched(folder: &tempfile::TempDir, orders: &str, lines: &str) -> Pm {
    let text = format!("[pool.POOL]\ncommand = \"exec WORKER {orders}\"\nports = PORT1\n{lines}\n");
    Pool::of_file(folder.path(), "pm.toml", 1, &text).start()
}

/// A worker without a port.
fn portless(folder: &tempfile::TempDir, orders: &str, lines: &str) -> Pm {
    let text = format!("[pool.POOL]\ncommand = \"exec WORKER {orders}\"\n{lines}\n");
    Pool::of_file(folder.path(), "pm.toml", 0, &text).start()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

const HTTP: &str = "ready = { http = '/up', text = 'pid', within = '10s' }";

#[test]
fn a_worker_that_answers_as_it_should_is_ready_and_one_that_does_not_is_not() {
    for how in ["503", "garbage", "early", "silent"] {
        let folder = folder();
        let pm = watched(&folder, &format!("answer {how} listen {{port}} say up stay"), HTTP);
        pm.prints.wait_for("up");
        for_as_long_as(Duration::from_millis(300), || {
            assert_eq!(pm.says.with("is ready"), [""; 0], "{how}");
        });
        ask(pm.ports[0], "answer ok");
        pm.is_up(".1", 1);
        pm.stop();
    }
}

#[test]
fn an_answer_that_comes_byte_by_byte_is_an_answer() {
    let folder = folder();
    let pm = watched(&folder, "answer drip listen {port} stay", HTTP);
    pm.is_up(".1", 1);
    pm.stop();
}

#[test]
fn a_worker_that_becomes_ready_late_is_found_by_each_kind_of_probe() {
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
        let pm = watched(&folder, &orders, &format!("ready = {{ {ready} }}"));
        let line = pm.says.wait_for("is ready");
        let age = line.split_once(" after ").unwrap().1.split_once("ms").expect("ms").0;
        let age: u32 = age.parse().unwrap();
        assert!((295..2_000).contains(&age), "{ready}: {line}");
        pm.stop();
    }
}

#[test]
fn a_worker_that_is_never_ready_is_replaced_and_the_last_trouble_is_said() {
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
            "did not pass its check within 200ms (last: the command that looks exited 3); stopping",
        ),
        ("say hello stay", "line = 'serving'", "did not write a line with `serving` within 200ms;"),
        (
            "notify STATUS=waiting+for+a+disk stay",
            "notify = true",
            "did not say READY=1 within 200ms (last: waiting+for+a+disk); stopping it",
        ),
    ] {
        let folder = folder();
        let pm = watched(&folder, orders, &format!("ready = {{ {ready}, within = '200ms' }}"));
        pm.says.wait_for(&what.replace("PORT", &pm.ports[0].to_string()));
        pm.says.wait_for("is gone; generation 2 takes its place");
        pm.stop();
    }
}

#[test]
fn a_worker_that_hangs_is_found_by_each_kind_of_probe_and_replaced() {
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
        let pm = watched(&folder, "listen {port} stay", &format!("alive = {{ {alive} }}"));
        let first = pm.is_up(".1", 1);
        if alive.starts_with("http") {
            for_as_long_as(Duration::from_millis(300), || assert!(is_alive(first)));
            ask(pm.ports[0], "answer silent");
        }
        pm.says.wait_for(why);
        pm.is_up(".1", 2);
        assert!(!is_alive(first));
        assert_eq!(pm.says.with("before it was ready"), [""; 0], "it is no failed start");
        pm.stop();
    }
}

#[test]
fn a_worker_that_stops_to_speak_hangs() {
    let folder = folder();
    let orders = "notify READY=1 pet 20 stay";
    let lines = "ready = { notify = true }\nalive = { notify = true, every = '200ms' }";
    let pm = portless(&folder, orders, lines);
    let first = pm.is_up(".1", 1);
    for_as_long_as(Duration::from_millis(600), || assert!(is_alive(first)));
    // Stopped, it says no more, and it would answer nobody.
    crate::processes::send(Signal::SIGSTOP, first);
    pm.says.wait_for("hangs: it has not said WATCHDOG=1 for 200ms; stopping it");
    pm.is_up(".1", 2);
    pm.stop();
}

#[test]
fn time_in_suspense_is_held_against_nobody() {
    let folder = folder();
    let orders = "notify READY=1 pet 100 stay";
    let lines = "ready = { notify = true }\nalive = { notify = true, every = '1s' }";
    let pm = portless(&folder, orders, lines);
    let worker = pm.is_up(".1", 1);
    pm.signal(Signal::SIGTSTP);
    let is_stopped = || crate::processes::state(worker) == Some('T');
    eventually("all are stopped", || is_stopped().then_some(()));
    for_as_long_as(Duration::from_millis(1_500), || assert!(is_stopped()));
    pm.signal(Signal::SIGCONT);
    eventually("all go on", || (!is_stopped()).then_some(()));
    for_as_long_as(Duration::from_millis(1_200), || assert_eq!(pm.says.with("hangs"), [""; 0]));
    pm.stop();
}

#[test]
fn what_a_check_leaves_outside_its_group_is_swept_too() {
    let folder = folder();
    let check = "exec = 'setsid sleep 1000 & exit 0', every = '20ms', timeout = '20ms'";
    let pm = watched(&folder, "listen {port} stay", &format!("alive = {{ {check} }}"));
    let worker = pm.is_up(".1", 1);
    for_as_long_as(Duration::from_millis(500), || assert!(pm.members().len() <= 6));
    assert!(is_alive(worker));
    pm.stop();
}

#[test]
fn a_worker_that_says_it_hangs_is_believed() {
    let folder = folder();
    let orders = "notify READY=1 wait 100 notify WATCHDOG=trigger stay";
    let lines = "ready = { notify = true }\nalive = { notify = true, every = '10s' }";
    let pm = portless(&folder, orders, lines);
    pm.says.wait_for("hangs: it said WATCHDOG=trigger; stopping it");
    pm.is_up(".1", 2);
    pm.stop();
}

#[test]
fn a_worker_that_says_it_is_stopping_is_left_to_it() {
    let folder = folder();
    let orders = "listen {port} notify READY=1,STOPPING=1 answer silent stay";
    let lines = "ready = { notify = true }\n\
                 alive = { http = '/', every = '50ms', timeout = '50ms', failures = 1 }";
    let pm = watched(&folder, orders, lines);
    let worker = pm.is_up(".1", 1);
    for_as_long_as(Duration::from_millis(500), || assert!(is_alive(worker)));
    assert_eq!(pm.says.with("hangs"), [""; 0]);
    pm.stop();
}

#[test]
fn nobody_else_speaks_for_a_worker() {
    let folder = folder();
    // The child leaves the group, and so is no part of the worker; the worker itself says nothing.
    let orders = "child setsid+wait+50+notify+READY=1+stay stay";
    let pm = portless(&folder, orders, "ready = { notify = true }");
    pm.says.wait_for("which it is no part of; ignored");
    assert_eq!(pm.says.with("is ready"), [""; 0]);
    pm.stop();
}

#[test]
fn a_member_of_its_group_speaks_for_a_worker_but_names_no_other_pid() {
    let folder = folder();
    let orders = "child notify+READY=1,MAINPID=1,MAINPID=2+stay stay";
    let pm = portless(&folder, orders, "ready = { notify = true }");
    pm.is_up(".1", 1);
    pm.says.wait_for("says that its main process is 1; ignored");
    assert_eq!(pm.says.with("main process").len(), 1, "it is said once");
    pm.stop();
}

#[test]
fn what_an_old_worker_said_is_not_taken_for_the_word_of_the_next() {
    let folder = folder();
    let once =
        "test -e said || {{ touch said; exec WORKER notify READY=1 exit 1; }}; exec WORKER stay";
    let text = format!(
        "[pool.POOL]\ncommand = \"{once}\"\nready = {{ notify = true }}\nbackoff = {{ first = '10s' }}\n"
    );
    let pm = Pool::of_file(folder.path(), "pm.toml", 0, &text).start();
    // Whichever is heard first, its word or its end.
    pm.says.wait_for("exited 1");
    pm.has_members(1);
    for_as_long_as(Duration::from_millis(300), || {
        assert_eq!(pm.says.with("generation 2)"), [""; 0]);
    });
    pm.stop();
}

#[test]
fn a_check_is_no_part_of_the_worker_and_leaves_nobody_behind() {
    let folder = folder();
    let check = "exec = ['/bin/sh', '-c', 'sleep 1000 & wait'], every = '50ms', timeout = '50ms'";
    let lines = format!("alive = {{ {check}, failures = 1000 }}");
    let mut pm = watched(&folder, "listen {port} stay", &lines);
    let worker = pm.is_up(".1", 1);
    // Several have been killed by now, and what they started with them.
    for_as_long_as(Duration::from_millis(500), || assert!(pm.members().len() <= 3));
    eventually("a check is under way", || (pm.members().len() > 1).then_some(()));
    assert!(is_alive(worker));
    pm.signal(Signal::SIGTERM);
    pm.ends_with(0);
}

/// One worker and the command that looks at it, which takes its time.
fn looked_at(folder: &tempfile::TempDir) -> (Pm, Pid, Pid) {
    let check = "exec = ['WORKER', 'stay'], every = '30s', timeout = '30s'";
    let pm = watched(folder, "listen {port} stay", &format!("alive = {{ {check} }}"));
    let worker = pm.is_up(".1", 1);
    let members = pm.has_members(2);
    let look = members.iter().find(|member| member.pid != worker).expect("a look");
    (pm, worker, look.pid)
}

#[test]
fn a_check_goes_with_the_worker_it_looks_at() {
    let folder = folder();
    let (pm, worker, look) = looked_at(&folder);
    crate::processes::send(Signal::SIGKILL, worker);
    pm.is_up(".1", 2);
    eventually("the look is over", || (!is_alive(look)).then_some(()));
    pm.stop();
}

#[test]
fn a_check_that_is_under_way_does_not_delay_a_stop() {
    let folder = folder();
    let (mut pm, _, _) = looked_at(&folder);
    pm.signal(Signal::SIGTERM);
    pm.ends_with(0);
    assert_eq!(pm.says.with("still stopping"), [""; 0]);
}

#[test]
fn what_a_check_leaves_in_its_group_is_swept() {
    let folder = folder();
    let check = "exec = 'sleep 1000 & true', every = '20ms', timeout = '20ms'";
    let pm = watched(&folder, "listen {port} stay", &format!("alive = {{ {check} }}"));
    pm.is_up(".1", 1);
    for_as_long_as(Duration::from_millis(500), || assert!(pm.members().len() <= 4));
    pm.stop();
}

/// So many slots, each looked at once in `every`.
fn crowd(folder: &tempfile::TempDir, slots: usize, orders: &str, lines: &str) -> Pm {
    let ports: Vec<String> = (1..=slots).map(|n| format!("PORT{n},")).rev().collect();
    let text = format!(
        "[pool.POOL]\ncommand = \"exec WORKER {orders}\"\nports = [{}]\n{lines}\n",
        ports.concat()
    );
    Pool::of_file(folder.path(), "pm.toml", slots, &text).start()
}

/// The share of a core that pm takes while `time` passes.
fn share_of_a_core(pm: &Pm, time: Duration) -> f64 {
    let (reactor, before) = (pm.reactor(), processor_time(pm.reactor()));
    for_as_long_as(time, || {});
    (processor_time(reactor) - before).as_secs_f64() / time.as_secs_f64()
}

#[test]
fn many_workers_are_looked_at_in_time_and_at_little_cost() {
    let is_proof = std::env::var_os("PM_PROOF").is_some();
    let slots = size("PM_TEST_PROBED", 20, 1_000) as usize;
    let every = size("PM_TEST_PROBE_EVERY_MS", 200, 5_000);
    let folder = folder();
    let lines = format!("alive = {{ tcp = true, every = '{every}ms', timeout = '{every}ms' }}");
    let pm = crowd(&folder, slots, "listen {port} stay", &lines);
    pm.says.wait_for_many(slots, "is ready");
    let share = share_of_a_core(&pm, Duration::from_millis(5 * every));
    let mut worst = 0;
    for port in &pm.ports {
        let answer = ask(*port, &format!("lateness {every}"));
        let (late, looks) = answer.split_once(' ').expect("two numbers");
        let (late, looks): (u64, u64) = (late.parse().unwrap(), looks.parse().unwrap());
        assert!(looks >= 4, "{port} was looked at {looks} times");
        worst = worst.max(late);
    }
    println!(
        "proof: {slots} slots looked at every {every} ms: {:.2} % of a core, none more than {worst} ms late",
        share * 100.0
    );
    assert!(!is_proof || (share < 0.02 && worst <= 50), "{share} {worst}");
    assert_eq!(pm.says.with("hangs"), [""; 0]);
    pm.stop();
}

#[test]
fn many_workers_that_are_never_ready_cost_little() {
    let is_proof = std::env::var_os("PM_PROOF").is_some();
    let slots = size("PM_TEST_PROBED", 20, 1_000) as usize;
    let folder = folder();
    let pm = crowd(&folder, slots, "stay", "ready = { tcp = true, within = '1h' }");
    pm.has_members(slots);
    let time = Duration::from_millis(size("PM_TEST_UNREADY_MS", 500, 10_000));
    let share = share_of_a_core(&pm, time);
    println!("proof: {slots} slots that are not ready: {:.2} % of a core", share * 100.0);
    assert!(!is_proof || share < 0.02, "{share}");
    pm.stop();
}
