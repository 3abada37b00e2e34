//! How long a port is held: as long as a worker is wanted there.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::clients::get;
use super::{Run, fixture, freeze, run};
use crate::support::processes::send;
use crate::support::waiting::eventually;

fn address(run: &Run) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, run.pm.ports[0]).into()
}

#[track_caller]
fn is_refused(run: &Run) {
    let refused = TcpStream::connect(address(run)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

fn slot(run: &Run) -> Value {
    run.api.get("/v1/status").json()["slots"][0].clone()
}

#[test]
fn a_stopped_slot_refuses_connections_and_a_started_one_has_them_wait() {
    // Each generation waits before it listens.
    let run = fixture("wait 300 listen {port} stay");
    run.pm.wait_ready(1, 1);
    for generation in 2..=3 {
        assert_eq!(run.api.command("stop", &[&run.pm.slot(1)]).status, 200);
        is_refused(&run);
        assert_eq!(slot(&run)["backlog"], Value::Null);
        let body = json!({ "slots": [run.pm.slot(1)], "wait": "nothing" });
        assert_eq!(run.api.post("/v1/start", &body).status, 200);
        let early = eventually("an open port", || TcpStream::connect(address(&run)).ok());
        assert_eq!(run.pm.says.with(&format!("generation {generation})")), [""; 0], "not ready");
        drop(early);
        get(address(&run)).unwrap();
        run.pm.wait_ready(1, generation);
    }
    run.pm.stop();
}

#[test]
fn a_slot_that_gives_up_refuses_connections() {
    let text = "[pool.POOL]\ncommand = '''case $PM_GENERATION in 1) exec WORKER listen {port} stay;; \
                *) sleep 0.2; exit 3;; esac'''\nHELD\nbackoff = { give_up_after = 2 }\n\
                [pool.POOL-other]\ncommand = ['WORKER', 'stay']\n";
    let run = run(1, text);
    let worker = run.pm.wait_ready(1, 1);
    send(Signal::SIGKILL, worker);
    run.pm.says.wait_for("starting generation 2");
    let waiting = TcpStream::connect(address(&run)).unwrap();
    run.pm.says.wait_for("giving up");
    eventually("a refusal", || TcpStream::connect(address(&run)).err());
    drop(waiting);
    run.pm.stop();
}

#[test]
fn a_port_is_let_go_when_a_plan_does_not_hold_it_any_more() {
    let text = "[pool.POOL]\ncommand = ['WORKER', 'listen', '{port}', 'stay']\n\
                ports = PORT1\nhold_port = true\n";
    let run = run(1, text);
    run.pm.wait_ready(1, 1);
    run.pm.reload(&text.replace("hold_port = true", "hold_port = false"));
    run.pm.wait_ready(1, 2);
    get(address(&run)).unwrap();
    assert_eq!(slot(&run)["backlog"], Value::Null);
    run.pm.reload(text);
    let third = run.pm.wait_ready(1, 3);
    assert_ne!(slot(&run)["backlog"], Value::Null);
    freeze(third);
    let waiting = TcpStream::connect(address(&run)).unwrap();
    send(Signal::SIGKILL, third);
    get(address(&run)).unwrap();
    drop(waiting);
    run.pm.stop();
}

#[test]
fn the_connections_that_wait_are_in_the_status_and_in_the_metrics() {
    let run = fixture("listen {port} stay");
    let worker = run.pm.wait_ready(1, 1);
    freeze(worker);
    let waiting = [(); 4].map(|()| TcpStream::connect(address(&run)).unwrap());
    let backlog = slot(&run)["backlog"].clone();
    let count = backlog["waiting"].as_u64().unwrap();
    assert_eq!(count, 4, "{backlog}");
    assert!(backlog["limit"].as_u64().unwrap() >= 4, "{backlog}");
    let metrics = run.api.get("/metrics").body;
    let labels = format!("{{pool=\"{}\",slot=\"{}\"}}", run.pm.name, run.pm.slot(1));
    assert!(metrics.contains(&format!("pm_port_backlog{labels} {count}\n")), "{metrics}");
    assert!(metrics.contains(&format!("pm_port_backlog_limit{labels} ")), "{metrics}");
    send(Signal::SIGCONT, worker);
    drop(waiting);
    eventually("none waits", || (slot(&run)["backlog"]["waiting"] == 0).then_some(()));
    run.pm.stop();
}

#[test]
fn a_ready_slot_with_a_held_port_does_not_wake_pm() {
    let run = fixture("listen {port} stay");
    run.pm.wait_ready(1, 1);
    get(address(&run)).unwrap();
    let reactor = run.pm.reactor();
    let switches = || {
        let mut threads = std::fs::read_dir(format!("/proc/{reactor}/task")).unwrap();
        let count = |status: String| -> u64 {
            let line =
                status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            line.unwrap().trim().parse().unwrap()
        };
        threads
            .by_ref()
            .map(|thread| {
                count(std::fs::read_to_string(thread.unwrap().path().join("status")).unwrap())
            })
            .sum::<u64>()
    };
    // What follows the start is over once nothing has happened for a while.
    let settled = eventually("rest", || {
        let before = switches();
        std::thread::park_timeout(std::time::Duration::from_millis(300));
        (switches() == before).then_some(before)
    });
    for _ in 0..20 {
        get(address(&run)).unwrap();
    }
    assert_eq!(switches(), settled);
    run.pm.stop();
}
