//! Spares that the slots of a pool share: each port stays open, whichever worker is gone.

use std::net::{Ipv4Addr, SocketAddr};

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::json;

use super::clients::{Clients, get};
use super::{Run, run};
use crate::support::processes::{children_of, is_alive, send};
use crate::support::waiting::eventually;

const SLOTS: usize = 3;

/// The keys of a pool with a port for each slot, and one spare.
const POOLED: &str = "ports = [PORT1, PORT2, PORT3]\nhold_port = true\nspares = 1\n";

/// Three servers that need half a second to start, with one spare. Each answers with its generation, its slot and its
/// own port by its socket.
fn servers(more: &str) -> Run {
    const SERVER: &str = "
import os, socket, time
time.sleep(0.5)
listening = socket.socket()
listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listening.bind(('127.0.0.1', int(os.environ['PORT'])))
listening.listen()
print('serves', listening.getsockname()[1], flush=True)
while True:
    client, _ = listening.accept()
    try:
        client.recv(1000)
        client.sendall(b'%d' % listening.getsockname()[1])
    except OSError:
        pass
    client.close()
";
    let text = format!("[pool.POOL]\ncommand = ['python3', '-c', '''{SERVER}''']\n{POOLED}{more}");
    run(SLOTS, &text)
}

fn address(run: &Run, n: usize) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, run.pm.ports[n - 1]).into()
}

/// The spare that waits, and the number of the slot that holds it.
fn wait_spare(run: &Run) -> (usize, Pid) {
    eventually("a spare that waits", || {
        let waiting: Vec<_> =
            spares(run).into_iter().filter(|(_, phase, _)| phase == "waiting").collect();
        waiting.first().map(|(n, _, pid)| (*n, *pid))
    })
}

/// Each spare: the number of its slot, its phase and its pid.
fn spares(run: &Run) -> Vec<(usize, String, Pid)> {
    let of_slot = |n| {
        let slot = run.api.slot(&run.pm.slot(n));
        let spare = &slot["spare"];
        let pid = Pid::from_raw(i32::try_from(spare["pid"].as_i64()?).unwrap());
        Some((n, spare["phase"].as_str()?.to_owned(), pid))
    };
    (1..=SLOTS).filter_map(of_slot).collect()
}

/// Waits until this process is the ready worker of the slot.
fn wait_worker(run: &Run, n: usize, pid: Pid) {
    eventually("the spare is the worker now", || {
        let slot = run.api.slot(&run.pm.slot(n));
        (slot["phase"] == "ready" && slot["worker"]["pid"] == pid.as_raw()).then_some(())
    });
}

#[test]
fn one_spare_takes_over_in_whichever_slot_loses_its_worker() {
    let run = servers("");
    run.pm.wait_all_ready(SLOTS);
    wait_spare(&run);
    let clients: Vec<_> = (1..=SLOTS).map(|n| Clients::of(address(&run, n))).collect();
    for n in [3, 1, 2, 2, 3] {
        let (_, spare) = wait_spare(&run);
        assert_eq!(spares(&run).len(), 1, "one for all slots");
        let slot = run.api.slot(&run.pm.slot(n));
        let worker = Pid::from_raw(slot["worker"]["pid"].as_i64().unwrap() as i32);
        send(Signal::SIGKILL, worker);
        wait_worker(&run, n, spare);
        assert_eq!(get(address(&run, n)).unwrap(), run.pm.ports[n - 1].to_string());
        let slot = run.api.slot(&run.pm.slot(n));
        assert_eq!(slot["port"], run.pm.ports[n - 1]);
        assert_eq!(slot["failed_starts"], 0, "{slot}");
    }
    for (n, clients) in clients.into_iter().enumerate() {
        clients.end(&format!("slot {}", n + 1), 5);
    }
    // What it writes is its new slot's.
    let line = format!("{} | serves {}", run.pm.slot(2), run.pm.ports[1]);
    eventually("the lines of the three servers of a slot", || {
        (run.pm.prints.all().iter().filter(|said| said.contains(&line)).count() == 3).then_some(())
    });
    run.pm.stop();
}

/// What a worker leaves behind that was a spare of another slot is known by the tag that it was started with: it lives
/// as long as the worker.
#[test]
fn an_orphan_of_a_spare_that_has_moved_is_its_workers() {
    let command = "sh -c 'setsid sleep 1000 & wait' & exec WORKER listen {port} stay";
    let text = format!("[pool.POOL]\ncommand = \"{command}\"\n{POOLED}");
    let run = run(SLOTS, &text);
    run.pm.wait_all_ready(SLOTS);
    let (holder, spare) = wait_spare(&run);
    let n = if holder == SLOTS { 1 } else { SLOTS };
    let slot = run.api.slot(&run.pm.slot(n));
    send(Signal::SIGKILL, Pid::from_raw(slot["worker"]["pid"].as_i64().unwrap() as i32));
    wait_worker(&run, n, spare);
    let child = |of| eventually("a child", || children_of(of).first().copied());
    let shell = child(spare);
    let orphan = child(shell);
    send(Signal::SIGKILL, shell);
    eventually("pm has it", || (!children_of(spare).contains(&shell)).then_some(()));
    // With each death pm looks whose its new children are.
    let third = (1..=SLOTS).find(|other| *other != n && *other != holder).unwrap();
    for generation in 1..4 {
        send(Signal::SIGKILL, run.pm.wait_ready(third, generation));
    }
    assert!(is_alive(orphan));
    send(Signal::SIGKILL, spare);
    eventually("the orphan is gone", || (!is_alive(orphan)).then_some(()));
    run.pm.stop();
}

/// A roll needs spares of the slots' own; the one of the pool is replaced too.
#[test]
fn a_pool_that_shares_a_spare_rolls_and_loses_no_connection() {
    let run = servers("env = { ROUND = '1' }\n");
    run.pm.wait_all_ready(SLOTS);
    let (_, first) = wait_spare(&run);
    let clients: Vec<_> = (1..=SLOTS).map(|n| Clients::of(address(&run, n))).collect();
    for n in 1..=SLOTS {
        assert_eq!(run.api.command("restart", &[&run.pm.slot(n)]).outcome(), "done");
    }
    let edited = std::fs::read_to_string(run.folder.path().join("pm.toml")).unwrap();
    std::fs::write(run.folder.path().join("pm.toml"), edited.replace("'1'", "'2'")).unwrap();
    assert_eq!(run.api.post("/v1/reload", &json!({})).outcome(), "done");
    eventually("the spare of the first plan is gone", || (!is_alive(first)).then_some(()));
    wait_spare(&run);
    for (n, clients) in clients.into_iter().enumerate() {
        // These servers do not finish what they have accepted.
        clients.end(&format!("slot {}", n + 1), 4);
    }
    run.pm.stop();
}

/// Kills the worker of a slot that does not hold the spare which waits. Returns the number of the slot, and the spare.
fn kill_beside(run: &Run) -> (usize, Pid) {
    let (holder, spare) = wait_spare(run);
    let n = if holder == 1 { 2 } else { 1 };
    let slot = run.api.slot(&run.pm.slot(n));
    send(Signal::SIGKILL, Pid::from_raw(slot["worker"]["pid"].as_i64().unwrap() as i32));
    (n, spare)
}

/// Its port was let go when it was stopped. The spare that takes over there finds it open again.
#[test]
fn a_spare_takes_over_in_a_slot_that_is_started_while_it_stops() {
    let command = "WORKER drain 500 listen {port} stay";
    let run = run(SLOTS, &format!("[pool.POOL]\ncommand = '{command}'\n{POOLED}"));
    run.pm.wait_all_ready(SLOTS);
    let (holder, spare) = wait_spare(&run);
    let n = if holder == 1 { 2 } else { 1 };
    let body = json!({ "slots": [run.pm.slot(n)], "wait": "nothing" });
    assert_eq!(run.api.post("/v1/stop", &body).outcome(), "accepted");
    assert_eq!(run.api.command("start", &[&run.pm.slot(n)]).outcome(), "done");
    wait_worker(&run, n, spare);
    assert!(get(address(&run, n)).is_ok());
    let slot = run.api.slot(&run.pm.slot(n));
    assert_eq!(slot["failed_starts"], 0, "{slot}");
    assert!(slot["backlog"].is_object(), "it holds its port: {slot}");
    run.pm.stop();
}

/// It cannot serve there. What waits in the socket of the slot is for the worker after it.
#[test]
fn a_spare_that_binds_the_address_of_another_slot_closes_no_socket() {
    const SERVER: &str = "
import os, socket
listening = socket.socket()
listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listening.bind(('127.0.0.' + os.environ['PM_SLOT'][-1], int(os.environ['PORT'])))
listening.listen(128)
while True:
    client, _ = listening.accept()
    client.recv(1000)
    client.sendall(b'served')
    client.close()
";
    let command = format!("command = ['python3', '-c', '''{SERVER}''']\n");
    let run = run(SLOTS, &format!("[pool.POOL]\n{command}{POOLED}"));
    run.pm.wait_all_ready(SLOTS);
    let address = |n: usize| (Ipv4Addr::new(127, 0, 0, n as u8), run.pm.ports[n - 1]).into();
    let clients: Vec<_> = (1..=SLOTS).map(|n| Clients::of(address(n))).collect();
    let (n, _) = kill_beside(&run);
    run.pm.says.wait_for("before it was ready");
    run.pm.wait_ready(n, 3);
    for (n, clients) in clients.into_iter().enumerate() {
        clients.end(&format!("slot {}", n + 1), 1);
    }
    run.pm.stop();
}

#[test]
fn a_changed_stop_signal_is_that_of_the_spare_too() {
    let stop = |signal| format!("stop = {{ signal = '{signal}', grace = '300ms' }}\n");
    let command = "command = ['WORKER', 'listen', '{port}', 'signals']\n";
    let text = |signal| format!("[pool.POOL]\n{command}{POOLED}{}", stop(signal));
    let run = run(SLOTS, &text("TERM"));
    run.pm.wait_all_ready(SLOTS);
    wait_spare(&run);
    run.pm.rewrite(&text("INT"));
    assert_eq!(run.api.post("/v1/reload", &json!({})).outcome(), "done");
    let (n, spare) = kill_beside(&run);
    wait_worker(&run, n, spare);
    assert_eq!(run.api.command("stop", &[&run.pm.slot(n)]).outcome(), "done");
    let said = |number| format!("{} | got {number}.", run.pm.slot(n));
    run.pm.prints.wait_for(&said(2));
    assert_eq!(run.pm.prints.with(&said(15)), [""; 0]);
    run.pm.stop();
}

/// Also those that it wrote as a spare of another slot.
#[test]
fn the_last_lines_of_a_worker_are_its_own_wherever_it_began() {
    let command = "WORKER say \"I began as $PM_SLOT\" listen {port} stay";
    let run = run(SLOTS, &format!("[pool.POOL]\ncommand = '{command}'\n{POOLED}"));
    run.pm.wait_all_ready(SLOTS);
    let (holder, _) = wait_spare(&run);
    let (n, spare) = kill_beside(&run);
    wait_worker(&run, n, spare);
    send(Signal::SIGKILL, spare);
    let death = eventually("its death", || {
        let slot = run.api.slot(&run.pm.slot(n));
        let mut deaths = slot["deaths"].as_array().unwrap().iter();
        deaths.find(|death| death["pid"] == spare.as_raw()).cloned()
    });
    let began = format!("I began as {}", run.pm.slot(holder));
    assert_eq!(death["last_lines"], json!([began]), "{death}");
    run.pm.stop();
}

/// Neither the turn of a slot nor a slot that waits for its turn has failed because a spare had failed before.
#[test]
fn a_roll_tries_another_spare_where_the_last_one_has_failed() {
    let command = "command = 'test -e bad && exit 9; exec WORKER listen {port} stay'\n";
    let backoff = "backoff = { first = '60s', max = '60s' }\n";
    let run = run(SLOTS, &format!("[pool.POOL]\n{command}{POOLED}{backoff}"));
    let first = run.pm.wait_all_ready(SLOTS);
    let (_, spare) = wait_spare(&run);
    let bad = run.folder.path().join("bad");
    std::fs::write(&bad, "").unwrap();
    send(Signal::SIGKILL, spare);
    eventually("a spare that has failed", || {
        spares(&run).is_empty().then_some(())?;
        run.pm.says.with("next try in").first().map(|_| ())
    });
    std::fs::remove_file(&bad).unwrap();
    let body = json!({ "slots": [run.pm.name], "roll": true });
    assert_eq!(run.api.post("/v1/restart", &body).outcome(), "done");
    eventually("other workers", || (!first.iter().any(|pid| is_alive(*pid))).then_some(()));
    run.pm.stop();
}
