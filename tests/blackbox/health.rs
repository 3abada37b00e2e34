//! How pm finds out which workers are ready and which hang: each kind of probe, and workers that make it difficult.

use std::ffi::OsStr;
use std::fmt::Display;
use std::net::{Ipv4Addr, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use procfs::process::Process;

use crate::support::pm::{Pm, ask};
use crate::support::pool::Pool;
use crate::support::processes::{self, is_alive, processor_time};
use crate::support::run_mode::size;
use crate::support::waiting::{eventually, for_as_long_as};

/// What a probe costs at most, in the cost of a bare connection. Measured: 2 to 6.
const PROBE_MAX: f64 = 10.0;

/// The share of a core at most, where 20 workers are probed and never ready.
const UNREADY_MAX: f64 = 0.2;

/// A pool of one worker on one port, with these orders and these lines in its table.
fn probed_pool(folder: &tempfile::TempDir, orders: &str, lines: &str) -> Pm {
    let text = format!("[pool.POOL]\ncommand = \"exec WORKER {orders}\"\nports = PORT1\n{lines}\n");
    Pool::of_file(folder.path(), "pm.toml", 1, &text).start()
}

/// The same without a port.
fn portless(folder: &tempfile::TempDir, orders: &str, lines: &str) -> Pm {
    let text = format!("[pool.POOL]\ncommand = \"exec WORKER {orders}\"\n{lines}\n");
    Pool::of_file(folder.path(), "pm.toml", 0, &text).start()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

const HTTP: &str = "ready = { http = '/up', text = 'pid', within = '10s' }";

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

#[test]
fn a_descendant_that_has_left_the_group_can_notify_for_its_worker() {
    let folder = folder();
    let orders = "child setsid+notify+READY=1+stay stay";
    let pm = portless(&folder, orders, "ready = { notify = true }");
    pm.wait_slot_ready(".1", 1);
    pm.stop();
}

#[test]
fn a_process_that_is_not_of_the_worker_cannot_notify_for_it() {
    let folder = folder();
    let pm = portless(&folder, "stay", "ready = { notify = true }");
    let worker = pm.wait_members(1)[0].pid;
    let environment = Process::new(worker.as_raw()).unwrap().environ().unwrap();
    let name = environment[OsStr::new("NOTIFY_SOCKET")].to_str().unwrap();
    let address = SocketAddr::from_abstract_name(&name[1..]).unwrap();
    UnixDatagram::unbound().unwrap().send_to_addr(b"READY=1", &address).unwrap();
    pm.says.wait_for("which is not a process of it");
    assert_eq!(pm.says.with("is ready"), [""; 0]);
    pm.stop();
}

#[test]
fn a_member_of_the_group_can_notify_but_cannot_name_another_main_pid() {
    let folder = folder();
    let orders = "child notify+READY=1,MAINPID=1,MAINPID=2+stay stay";
    let pm = portless(&folder, orders, "ready = { notify = true }");
    pm.wait_slot_ready(".1", 1);
    pm.says.wait_for("ignored MAINPID=1");
    assert_eq!(pm.says.with("MAINPID").len(), 1, "it is said once");
    pm.stop();
}

#[test]
fn a_notification_of_an_old_worker_does_not_make_the_next_one_ready() {
    let folder = folder();
    let once =
        "test -e said || {{ touch said; exec WORKER notify READY=1 exit 1; }}; exec WORKER stay";
    let text = format!(
        "[pool.POOL]\ncommand = \"{once}\"\nready = {{ notify = true }}\nbackoff = {{ first = '10s' }}\n"
    );
    let pm = Pool::of_file(folder.path(), "pm.toml", 0, &text).start();
    // Its message and its end may arrive in either order.
    pm.says.wait_for("exited 1");
    pm.wait_members(1);
    for_as_long_as(Duration::from_millis(300), || {
        assert_eq!(pm.says.with("generation 2)"), [""; 0]);
    });
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

/// A pool of this many slots.
fn crowd(folder: &tempfile::TempDir, slots: usize, orders: &str, lines: &str) -> Pm {
    let ports: Vec<String> = (1..=slots).map(|n| format!("PORT{n},")).rev().collect();
    let text = format!(
        "[pool.POOL]\ncommand = \"exec WORKER {orders}\"\nports = [{}]\n{lines}\n",
        ports.concat()
    );
    Pool::of_file(folder.path(), "pm.toml", slots, &text).start()
}

/// The share of a core that pm uses during `time`.
fn share_of_a_core(pm: &Pm, time: Duration) -> f64 {
    let (reactor, before) = (pm.reactor(), processor_time(pm.reactor()));
    for_as_long_as(time, || {});
    (processor_time(reactor) - before).as_secs_f64() / time.as_secs_f64()
}

/// The CPU time of a thread so far, which `/proc/PID/schedstat` has in nanoseconds.
fn precise_processor_time(of: impl Display) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{of}/schedstat")).expect("it lives");
    Duration::from_nanos(text.split_whitespace().next().unwrap().parse().expect("a number"))
}

/// What it costs to connect to this port and to close the connection again.
fn cost_of_a_connection(port: u16) -> Duration {
    const CONNECTIONS: u32 = 1_000;
    let before = precise_processor_time("thread-self");
    for _ in 0..CONNECTIONS {
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a worker that serves"));
    }
    (precise_processor_time("thread-self") - before) / CONNECTIONS
}

#[test]
fn a_probe_costs_little_more_than_a_connection() {
    let folder = folder();
    let probe = "tcp = true, every = '20ms', timeout = '20ms', failures = 1000";
    let lines = format!("alive = {{ {probe} }}");
    let pm = crowd(&folder, 10, "listen {port} stay", &lines);
    pm.says.wait_for_many(10, "is ready");
    let reactor = pm.reactor();
    let asked =
        || ask(pm.ports[0], "lateness 20").split_once(' ').unwrap().1.parse::<u32>().unwrap();
    let (before, cost) = (asked(), precise_processor_time(reactor));
    let probes = eventually("a hundred probes of each", || {
        Some(asked() - before).filter(|probes| *probes >= 100)
    });
    let of_a_probe = (precise_processor_time(reactor) - cost) / (10 * probes);
    let of_a_connection = cost_of_a_connection(pm.ports[1]);
    let ratio = of_a_probe.as_secs_f64() / of_a_connection.as_secs_f64();
    println!("a probe costs {of_a_probe:?}, a connection {of_a_connection:?}: {ratio:.1}x");
    assert!(ratio < PROBE_MAX, "{ratio}");
    pm.stop();
}

#[test]
fn many_workers_are_probed_on_time_at_little_cost() {
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
        let (late, probes) = answer.split_once(' ').expect("two numbers");
        let (late, probes): (u64, u64) = (late.parse().unwrap(), probes.parse().unwrap());
        assert!(probes >= 4, "{port} was probed {probes} times");
        worst = worst.max(late);
    }
    println!(
        "proof: {slots} slots probed every {every} ms: {:.2} % of a core, none more than {worst} ms late",
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
    pm.wait_members(slots);
    let time = Duration::from_millis(size("PM_TEST_UNREADY_MS", 500, 10_000));
    let share = share_of_a_core(&pm, time);
    println!("proof: {slots} slots that are not ready: {:.2} % of a core", share * 100.0);
    assert!(share < if is_proof { 0.02 } else { UNREADY_MAX }, "{share}");
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
