//! Workers are replaced under clients, again and again: by kills, restarts, rolls and changed plans.

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::json;

use super::clients::Clients;
use super::spares::{loopback, name, wait_spare};
use super::{Run, python, python_with};
use crate::support::processes::send;
use crate::support::run_mode::{is_proof, size, skip_without};
use crate::support::waiting::eventually;

/// It closes its socket when it is asked to stop, and finishes what it has accepted.
const FINISHES: &str = "
import select, signal
own = bound(socket.AF_INET, '127.0.0.1')
own.listen(128)
own.setblocking(False)
woken, wake = os.pipe()
signal.signal(signal.SIGTERM, lambda *_: os.write(wake, b'x'))
while not select.select([own, woken], [], [])[0].count(woken):
    try:
        client, _ = own.accept()
    except BlockingIOError:
        continue
    client.settimeout(5)
    client.recv(1000)
    client.sendall(b'%d' % os.getpid())
    client.close()
";

/// The generation and pid of the worker that is ready.
fn worker(run: &Run) -> Option<(u64, Pid)> {
    let slot = run.api.slot(&name(run));
    let worker = (slot["phase"] == "ready").then_some(&slot["worker"])?;
    Some((worker["generation"].as_u64()?, Pid::from_raw(worker["pid"].as_i64()? as i32)))
}

/// Waits for a worker later than this one.
fn wait_later(run: &Run, than: u64) {
    eventually("the next worker", || worker(run).filter(|(generation, _)| *generation > than));
}

#[test]
fn a_server_that_finishes_its_requests_loses_none_in_restarts_and_rolls() {
    if skip_without(&["python3".into()]) {
        return;
    }
    let run = python(FINISHES);
    run.pm.wait_ready(1, 1);
    let clients = Clients::of(loopback(&run));
    for n in 0..size("PM_ROLLS", 10, 50) {
        clients.wait_answered(8);
        let body = json!({ "slots": [name(&run)], "roll": n % 2 == 0 });
        assert_eq!(run.api.post("/v1/restart", &body).outcome(), "done");
    }
    clients.wait_answered(8);
    clients.end("restarts and rolls", 0);
    run.pm.stop();
}

#[test]
fn a_server_with_a_spare_loses_none_in_rolls_and_reloads_and_only_what_is_in_flight_in_kills() {
    if skip_without(&["python3".into()]) {
        return;
    }
    let run = python_with("spare = true\nenv = { ROUND = '0' }\n", FINISHES);
    run.pm.wait_ready(1, 1);
    let per_round = size("PM_KILLS", 4, 100);
    for _ in 0..if is_proof() { 3 } else { 1 } {
        let clients = Clients::of(loopback(&run));
        for _ in 0..per_round {
            wait_spare(&run);
            clients.wait_answered(8);
            let (generation, pid) = eventually("a ready worker", || worker(&run));
            send(Signal::SIGKILL, pid);
            wait_later(&run, generation);
        }
        clients.wait_answered(8);
        clients.end("kills", per_round);
    }
    let clients = Clients::of(loopback(&run));
    for _ in 0..size("PM_ROLLS", 4, 50) {
        clients.wait_answered(8);
        let body = json!({ "slots": [name(&run)], "roll": true });
        assert_eq!(run.api.post("/v1/restart", &body).outcome(), "done");
    }
    clients.wait_answered(8);
    clients.end("rolls", 0);
    let clients = Clients::of(loopback(&run));
    let file = run.folder.path().join("pm.toml");
    for round in 1..=size("PM_RELOADS", 4, 50) {
        clients.wait_answered(8);
        let (generation, _) = eventually("a ready worker", || worker(&run));
        let text = std::fs::read_to_string(&file).unwrap();
        let (was, is) = (format!("ROUND = '{}'", round - 1), format!("ROUND = '{round}'"));
        assert!(text.contains(&was));
        std::fs::write(&file, text.replace(&was, &is)).unwrap();
        let words = run.api.post("/v1/reload", &json!({})).json()["words"].to_string();
        assert!(words.contains(&name(&run)), "{words}");
        wait_later(&run, generation);
    }
    clients.wait_answered(8);
    clients.end("reloads", 0);
    run.pm.stop();
}
