//! Spares: workers that have started and wait at their bind, and take over when the worker of the slot is gone or is to
//! be replaced.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::clients::{Clients, get};
use super::{Run, python_with, run};
use crate::support::pm::Pm;
use crate::support::processes::{is_alive, send};
use crate::support::run_mode::skip_without;
use crate::support::waiting::eventually;

/// A server that needs this long to start, on a held port with a spare.
fn slow(millis: u64, more: &str) -> Run {
    let command = format!("sleep {}; exec WORKER listen {{port}} stay", millis as f64 / 1000.0);
    run(1, &format!("[pool.POOL]\ncommand = '{command}'\nHELD\nspare = true\n{more}"))
}

pub fn name(run: &Run) -> String {
    run.pm.slot(1)
}

/// Waits for a spare that waits. Its generation and pid.
pub fn wait_spare(run: &Run) -> (u64, Pid) {
    eventually("a spare that waits", || {
        let slot = run.api.slot(&name(run));
        let spare = &slot["spare"];
        let waits = spare["phase"] == "waiting";
        let pid = spare["pid"].as_i64()?;
        waits.then(|| (spare["generation"].as_u64().unwrap(), Pid::from_raw(pid as i32)))
    })
}

pub fn loopback(run: &Run) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, run.pm.ports[0]).into()
}

#[test]
fn a_spare_takes_over_when_the_worker_is_killed() {
    let run = slow(500, "");
    let clients = {
        run.pm.wait_ready(1, 1);
        wait_spare(&run);
        Clients::of(loopback(&run))
    };
    let mut waits = Vec::new();
    for _ in 0..5 {
        let (generation, spare) = wait_spare(&run);
        clients.wait_answered(8);
        let slot = run.api.slot(&name(&run));
        let worker = Pid::from_raw(slot["worker"]["pid"].as_i64().unwrap() as i32);
        let begin = Instant::now();
        send(Signal::SIGKILL, worker);
        let pid = run.pm.wait_ready(1, generation);
        clients.wait_answered(8);
        waits.push(begin.elapsed());
        assert_eq!(pid, spare, "the spare is the worker now");
    }
    clients.end("spares", 5);
    waits.sort();
    // Its own start takes half a second.
    assert!(waits[2] < Duration::from_millis(400), "{waits:?}");
    let slot = run.api.slot(&name(&run));
    assert_eq!(slot["restarts"], 5, "{slot}");
    assert_eq!(slot["failed_starts"], 0);
    run.pm.says.wait_for("its spare takes over");
    run.pm.stop();
}

#[test]
fn a_ready_worker_is_stopped_when_its_successor_listens() {
    let run = slow(50, "");
    let first = run.pm.wait_ready(1, 1);
    wait_spare(&run);
    let clients = Clients::of(loopback(&run));
    for _ in 0..5 {
        wait_spare(&run);
        clients.wait_answered(8);
        assert_eq!(run.api.command("restart", &[&name(&run)]).outcome(), "done");
    }
    clients.wait_answered(8);
    // These servers do not finish what they have accepted.
    clients.end("restarts", 5);
    eventually("the first worker is gone", || (!is_alive(first)).then_some(()));
    run.pm.stop();
}

#[test]
fn without_a_spare_a_restart_starts_the_next_worker_first() {
    let text = "[pool.POOL]\ncommand = 'sleep 0.1; exec WORKER listen {port} stay'\nHELD\n";
    let run = run(1, text);
    run.pm.wait_ready(1, 1);
    let clients = Clients::of(loopback(&run));
    for _ in 0..3 {
        clients.wait_answered(8);
        assert_eq!(run.api.command("restart", &[&name(&run)]).outcome(), "done");
        let slot = run.api.slot(&name(&run));
        assert!(slot["spare"].is_null(), "{slot}");
    }
    clients.end("restarts", 3);
    run.pm.stop();
}

#[test]
fn a_worker_serves_on_when_its_slot_gives_up_on_its_successor() {
    if skip_without(&["python3".into()]) {
        return;
    }
    let script = "
own = bound(socket.AF_INET, '127.0.0.1')
if int(os.environ['PM_GENERATION']) in (2, 3):
    sys.exit(3)
own.listen(128)
serve(own)
";
    let run = python_with("backoff = { first = '1ms', give_up_after = 2 }\n", script);
    let first = run.pm.wait_ready(1, 1);
    let clients = Clients::of(loopback(&run));
    clients.wait_answered(8);
    let answer = run.api.command("restart", &[&name(&run)]);
    answer.refuses(409, "exited 3");
    let slot = run.api.slot(&name(&run));
    assert_eq!(slot["phase"], "given_up");
    assert_eq!(slot["retiring"]["serving"], true);
    clients.wait_answered(8);
    clients.end("a failed restart", 0);
    assert!(get(loopback(&run)).unwrap().contains(&first.to_string()));
    // Another one is tried, and is better.
    assert_eq!(run.api.command("start", &[&name(&run)]).outcome(), "done");
    eventually("the first worker is gone", || (!is_alive(first)).then_some(()));
    run.pm.stop();
}

#[test]
fn a_new_revision_that_fails_leaves_the_worker_that_serves() {
    let text = "[pool.POOL]\ncommand = ['WORKER', 'listen', '{port}', 'stay']\nports = PORT1\nhold_port = true\n";
    let run = run(1, text);
    let first = run.pm.wait_ready(1, 1);
    run.pm.rewrite(&text.replace("'listen', '{port}', 'stay'", "'exit', '3'"));
    run.pm.signal(Signal::SIGUSR1);
    run.pm.says.wait_for("exited 3");
    run.pm.says.wait_for("next try in");
    assert!(is_alive(first));
    assert!(get(loopback(&run)).is_ok());
    let slot = run.api.slot(&name(&run));
    assert_eq!(
        (slot["phase"].as_str(), slot["worker"]["generation"].as_u64()),
        (Some("ready"), Some(1))
    );
    // A plan that works ends it.
    run.pm.rewrite(&text.replace("'stay'", "'stay', 'stay'"));
    run.pm.signal(Signal::SIGUSR1);
    eventually("another worker", || (!is_alive(first)).then_some(()));
    assert!(get(loopback(&run)).is_ok());
    run.pm.stop();
}

#[test]
fn a_spare_that_dies_is_no_crash_of_its_slot() {
    let run = slow(10, "");
    let worker = run.pm.wait_ready(1, 1);
    let (_, spare) = wait_spare(&run);
    send(Signal::SIGKILL, spare);
    run.pm.says.wait_for("spare of generation 2 was killed by SIGKILL");
    let (generation, _) = wait_spare(&run);
    assert_eq!(generation, 3);
    let slot = run.api.slot(&name(&run));
    assert_eq!((slot["restarts"].as_u64(), slot["failed_starts"].as_u64()), (Some(0), Some(0)));
    assert!(is_alive(worker));
    run.pm.stop();
}

/// A spare that dies without a word takes none from the worker that serves; and what a worker has written before
/// a spare takes over from it is its own too.
#[test]
fn the_last_lines_of_each_worker_are_its_own() {
    let text = "[pool.POOL]\ncommand = 'WORKER listen {port} say \"I am $PM_GENERATION\" stay'\nHELD\nspare = true\n";
    let run = run(1, text);
    let slot = name(&run);
    let last_lines = |generation: u64| {
        let slot = run.api.slot(&slot);
        let mut deaths = slot["deaths"].as_array().unwrap().iter();
        deaths.find(|death| death["generation"] == generation).unwrap()["last_lines"].clone()
    };
    let first = run.pm.wait_ready(1, 1);
    run.pm.prints.wait_for("I am 1");
    send(Signal::SIGKILL, wait_spare(&run).1);
    eventually("the next spare", || {
        (run.api.slot(&slot)["spare"]["generation"] == 3).then_some(())
    });
    wait_spare(&run);
    send(Signal::SIGKILL, first);
    run.pm.wait_ready(1, 3);
    assert_eq!(last_lines(1), serde_json::json!(["I am 1"]));
    run.pm.prints.wait_for("I am 3");
    wait_spare(&run);
    assert_eq!(run.api.command("restart", &[&slot]).outcome(), "done");
    run.pm.says.wait_for("generation 3 stopped");
    assert_eq!(last_lines(3), serde_json::json!(["I am 3"]));
    run.pm.stop();
}

/// It says so before its bind, as some servers do, and so does a spare. That counts when it listens.
#[test]
fn a_spare_that_has_said_that_it_is_ready_is_ready_once_it_listens() {
    for (says, ready) in [("say up", "line = 'up'"), ("notify READY=1", "notify = true")] {
        let text = format!(
            "[pool.POOL]\ncommand = 'WORKER {says} listen {{port}} stay'\nHELD\nspare = true\n\
             ready = {{ {ready}, within = '20s' }}\n"
        );
        let run = run(1, &text);
        for _ in 0..3 {
            let (generation, spare) = wait_spare(&run);
            let worker = &run.api.slot(&name(&run))["worker"]["pid"];
            send(Signal::SIGKILL, Pid::from_raw(worker.as_i64().unwrap() as i32));
            assert_eq!(run.pm.wait_ready(1, generation), spare);
            wait_spare(&run);
            assert_eq!(run.api.command("restart", &[&name(&run)]).outcome(), "done");
        }
        let said = run.pm.says.all();
        assert!(!said.iter().any(|line| line.contains("ignored")), "{said:?}");
        run.pm.stop();
    }
}

#[test]
fn a_stop_ends_the_spare_too() {
    let run = slow(10, "");
    run.pm.wait_ready(1, 1);
    let (_, spare) = wait_spare(&run);
    assert_eq!(run.api.command("stop", &[&name(&run)]).outcome(), "done");
    assert!(!is_alive(spare));
    assert_eq!(run.api.command("start", &[&name(&run)]).outcome(), "done");
    let (_, spare) = wait_spare(&run);
    run.pm.stop();
    assert!(!is_alive(spare));
}

#[test]
fn a_spare_that_never_binds_has_failed() {
    let text = "[pool.POOL]\ncommand = 'test $PM_GENERATION = 1 && exec WORKER listen {port} stay; sleep 100'\nHELD\nspare = true\nready = { listen = true, within = '300ms' }\n";
    let run = run(1, text);
    run.pm.wait_ready(1, 1);
    run.pm.says.wait_for("did not bind its port within 300ms");
    run.pm.stop();
}

#[test]
fn a_spare_that_has_waited_for_too_long_is_replaced() {
    let run = slow(10, "spare_max_age = '100ms'\n");
    let worker = run.pm.wait_ready(1, 1);
    eventually("a third spare", || {
        let spare = &run.api.slot(&name(&run))["spare"];
        (spare["generation"].as_u64()? >= 4).then_some(())
    });
    assert!(is_alive(worker));
    run.pm.stop();
}

/// Python ends with a traceback where it cannot bind; nothing waits for SIGKILL.
#[test]
fn a_spare_that_waits_ends_within_its_grace() {
    if skip_without(&["python3".into()]) {
        return;
    }
    let script = "
import signal
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
own = bound(socket.AF_INET, '127.0.0.1')
own.listen()
serve(own)
";
    let run = python_with("spare = true\n", script);
    run.pm.wait_ready(1, 1);
    wait_spare(&run);
    stop_without_kill(run);
}

fn stop_without_kill(run: Run) {
    run.pm.signal(Signal::SIGTERM);
    run.pm.says.wait_for("all workers stopped");
    let said = run.pm.says.all();
    assert!(!said.iter().any(|line| line.contains("killing it")), "{said:?}");
    run.pm.stop();
}

/// It has not called bind(2) yet when it is asked to stop, and takes no other notice of that.
#[test]
fn a_spare_that_binds_after_it_was_asked_to_stop_ends_within_its_grace() {
    if skip_without(&["python3".into()]) {
        return;
    }
    let script = "
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
if os.environ['PM_GENERATION'] != '1':
    print('waits to be asked', flush=True)
    signal.sigwait([signal.SIGTERM])
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
own = bound(socket.AF_INET, '127.0.0.1')
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
own.listen()
serve(own)
";
    let run = python_with("spare = true\n", script);
    run.pm.wait_ready(1, 1);
    run.pm.prints.wait_for("waits to be asked");
    stop_without_kill(run);
}

/// A way for pm to end.
type Way = fn(&Pm);

const WAYS: [(&str, Way); 7] = [
    ("INT", |pm| pm.signal(Signal::SIGINT)),
    ("TERM", |pm| pm.signal(Signal::SIGTERM)),
    ("HUP", |pm| pm.signal(Signal::SIGHUP)),
    ("QUIT", |pm| pm.signal(Signal::SIGQUIT)),
    ("reactor aborted", |pm| send(Signal::SIGABRT, pm.reactor())),
    ("reactor killed", |pm| send(Signal::SIGKILL, pm.reactor())),
    ("guard killed", |pm| pm.signal(Signal::SIGKILL)),
];

/// A worker with a descendant that has left its group and ignores SIGTERM.
const WITH_DAEMON: &str = "(trap '' TERM; exec setsid sleep 1000) & ";

/// Whatever a spare is at when pm ends, and however pm ends: no process is left.
#[test]
fn no_spare_and_no_retiring_worker_outlives_pm() {
    let waiting: fn(&Run) = |run| {
        wait_spare(run);
    };
    let starting: fn(&Run) = |run| {
        eventually("a spare on its way", || {
            (run.api.slot(&name(run))["spare"]["phase"] == "starting").then_some(())
        });
    };
    let retiring: fn(&Run) = |run| {
        wait_spare(run);
        let body = serde_json::json!({ "slots": [name(run)], "wait": "nothing" });
        assert_eq!(run.api.post("/v1/restart", &body).outcome(), "accepted");
        eventually("a worker that retires", || {
            run.api.slot(&name(run))["retiring"].is_object().then_some(())
        });
    };
    // A retiring worker that ignores SIGTERM is there for its grace.
    let stubborn = "trap '' TERM; ";
    for (what, is_so, before) in [
        ("waits", waiting, ""),
        ("starts", starting, "test $PM_GENERATION = 1 || sleep 1000; "),
        ("retires", retiring, stubborn),
    ] {
        for (way, end) in WAYS {
            let command = format!("{before}{WITH_DAEMON}exec WORKER listen {{port}} stay");
            let text = format!(
                "[pool.POOL]\ncommand = \"{command}\"\nHELD\nspare = true\nstop = {{ grace = '300ms' }}\n"
            );
            let mut run = run(1, &text);
            run.pm.wait_ready(1, 1);
            is_so(&run);
            end(&run.pm);
            run.pm.wait_end();
            eventually(&format!("no process where a worker {what}: {way}"), || {
                run.pm.members().is_empty().then_some(())
            });
        }
    }
}
