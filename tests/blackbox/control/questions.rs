//! What a running pm answers when it is asked: its status, deaths, lines, events and health are those of its workers.

use serde_json::json;

use super::{run, three};
use crate::support::pm::ask;
use crate::support::processes::is_alive;
use crate::support::waiting::eventually;

#[test]
fn status_is_what_the_workers_say() {
    let run = three();
    let status = run.api.get("/v1/status").json();
    assert_eq!(status["pm"]["pid"], run.pm.pid().as_raw());
    let slots = status["slots"].as_array().unwrap();
    assert_eq!(slots.len(), 3);
    for (n, slot) in (1..).zip(slots) {
        assert_eq!(slot["slot"], run.slot(n));
        assert_eq!(slot["phase"], "ready");
        assert_eq!(slot["port"], run.pm.ports[n - 1]);
        assert_eq!(slot["worker"]["pid"].to_string(), run.pid(n));
        assert_eq!(slot["last_death"], json!(null));
    }
    let one = run.api.get(&format!("/v1/status?slots=:{}", run.pm.ports[1])).json();
    assert_eq!(one["slots"].as_array().unwrap().len(), 1);
    assert_eq!(one["slots"][0]["slot"], run.slot(2));
    run.pm.stop();
}

#[test]
fn a_death_is_told_with_its_exit_and_the_next_worker() {
    let run = three();
    let _ = ask(run.pm.ports[0], "exit 7");
    run.pm.wait_slot_ready(".1", 2);
    let slot = run.api.slot(&run.slot(1));
    assert_eq!(slot["worker"]["generation"], 2);
    assert_eq!(slot["restarts"], 1);
    let death = &slot["deaths"][0];
    assert_eq!(death["exit_status"], 7);
    assert_eq!(death["signal"], json!(null));
    assert_eq!(death["reason"], "crash");
    assert!(death["words"].as_str().unwrap().contains("exited 7 after"), "{death}");
    run.pm.stop();
}

#[test]
fn the_lines_of_all_workers_are_kept_in_one_order_with_each_death_among_them() {
    let text = "[pool.POOL]\ncommand = ['WORKER', 'say', 'hello', 'listen', '{port}', 'stay']\n\
                ports = [PORT1, PORT2]\n";
    let run = run(2, text);
    for n in 1..=2 {
        run.pm.wait_slot_ready(&format!(".{n}"), 1);
    }
    let _ = ask(run.pm.ports[0], "exit 3");
    run.pm.wait_slot_ready(".1", 2);
    let lines: Vec<_> = run.api.follow(&format!("/v1/logs?slots={}", run.slot(1))).collect();
    let seen: Vec<_> = lines
        .iter()
        .map(|line| (line["generation"].as_u64().unwrap(), line["from_worker"].as_bool().unwrap()))
        .collect();
    assert_eq!(seen, [(1, true), (1, false), (2, true)], "{lines:?}");
    assert!(lines[1]["line"].as_str().unwrap().contains("exited 3 after"));
    assert!(lines.windows(2).all(|pair| pair[0]["n"].as_u64() < pair[1]["n"].as_u64()));
    // The lines before a death are kept with it.
    let death = &run.api.slot(&run.slot(1))["deaths"][0];
    assert_eq!(death["last_lines"], json!(["hello"]));
    let all = run.api.get("/v1/logs?grep=^hel%2Bo$").body;
    assert_eq!(all.lines().count(), 3, "{all}");
    assert!(all.contains(" | hello\n"), "{all}");
    let last = run.api.get("/v1/logs?lines=1").body;
    assert_eq!(last.lines().count(), 1, "{last}");
    run.api.get("/v1/logs?grep=(").refuses(400, "grep");
    let beyond = format!("/v1/logs?after={}", u64::MAX);
    assert_eq!(run.api.get(&beyond).body, "");
    let beyond = format!("/v1/events?after={}", u64::MAX);
    assert_eq!(run.api.get(&beyond).body, "");
    run.pm.stop();
}

#[test]
fn events_are_followed_from_a_status_to_the_end() {
    let run = three();
    let seq = run.api.get("/v1/status").json()["seq"].as_u64().unwrap();
    let events = run.api.follow(&format!("/v1/events?after={seq}&follow=1"));
    let _ = ask(run.pm.ports[0], "exit 1");
    run.pm.wait_slot_ready(".1", 2);
    run.api.post("/v1/shutdown", &json!({}));
    let mut phases = Vec::new();
    let mut last = None;
    for (next, event) in (seq + 1..).zip(events) {
        assert_eq!(event["seq"], next, "there is no hole");
        if event["event"] == "phase" && event["slot"] == run.slot(1) {
            phases.push(event["to"].as_str().unwrap().to_owned());
        }
        last = Some(event["event"].clone());
    }
    assert_eq!(phases, ["starting", "ready", "stopping", "idle"]);
    assert_eq!(last, Some(json!("bye")));
    let mut pm = run.pm;
    pm.wait_exit(0);
}

#[test]
fn health_is_503_until_all_is_ready() {
    let text = "[pool.POOL]\ncommand = ['WORKER', 'await', 'PORT2', 'listen', '{port}', 'stay']\n\
        ports = PORT1\n";
    let run = run(2, text);
    assert_eq!(run.api.get("/healthz").status, 503);
    let gate = run.pm.ports[1];
    eventually("the gate", || std::net::TcpStream::connect(("127.0.0.1", gate)).ok());
    run.pm.wait_slot_ready(".1", 1);
    assert_eq!(run.api.get("/healthz").status, 200);
    assert!(is_alive(run.pm.pid()));
    run.pm.stop();
}
