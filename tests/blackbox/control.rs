//! The control socket: a running pm is asked and told.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal::SIGKILL;
use serde_json::json;
use tempfile::TempDir;

use crate::support::api::Api;
use crate::support::pm::{Pm, ask};
use crate::support::pool::Pool;
use crate::support::processes::{is_alive, send};
use crate::support::programs::{pm_binary, worker};
use crate::support::waiting::eventually;

/// A pm with its socket in a folder of its own.
struct Controlled {
    folder: TempDir,
    pm: Pm,
    api: Api,
}

fn socket(folder: &TempDir) -> PathBuf {
    folder.path().join(".pm.sock")
}

/// A pm that runs this text.
fn run(ports: usize, text: &str) -> Controlled {
    let folder = tempfile::tempdir().unwrap();
    let socket = socket(&folder);
    let pool = Pool::of_file(folder.path(), "pm.toml", ports, text);
    let pm = pool.with("PM_SOCKET", socket.to_str().unwrap()).start();
    // The socket is made before.
    pm.says.wait_for("keeping");
    let api = Api::at(&socket);
    Controlled { folder, pm, api }
}

const THREE: &str = "[pool.POOL]\ncommand = ['WORKER', 'listen', '{port}', 'stay']\n\
                     ports = [PORT1, PORT2, PORT3]\n";

/// Three ready workers.
fn three() -> Controlled {
    let run = run(3, THREE);
    for n in 1..=3 {
        run.pm.wait_slot_ready(&format!(".{n}"), 1);
    }
    run
}

impl Controlled {
    /// The name of the pool.
    fn pool(&self) -> &str {
        &self.pm.name
    }

    fn slot(&self, n: usize) -> String {
        self.pm.slot(n)
    }

    fn pid(&self, n: usize) -> String {
        ask(self.pm.ports[n - 1], "pid")
    }
}

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
fn the_socket_is_for_its_user_alone_and_is_gone_with_pm() {
    let run = three();
    let path = socket(&run.folder);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    run.pm.stop();
    assert!(!path.exists());
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
fn a_restart_answers_when_another_worker_is_ready() {
    let run = three();
    let before = [1, 2, 3].map(|n| run.pid(n));
    let answer = run.api.command("restart", &[&run.slot(2)]);
    assert_eq!(answer.outcome(), "done");
    assert_eq!(answer.json()["slots"][0]["phase"], "ready");
    let after = [1, 2, 3].map(|n| run.pid(n));
    assert_eq!((&before[0], &before[2]), (&after[0], &after[2]));
    assert_ne!(before[1], after[1]);
    run.pm.stop();
}

#[test]
fn a_roll_replaces_one_worker_after_another() {
    let run = three();
    let before = [1, 2, 3].map(|n| run.pid(n));
    let answer = run.api.post("/v1/restart", &json!({ "slots": [run.pool()], "roll": true }));
    assert_eq!(answer.outcome(), "done");
    let after = [1, 2, 3].map(|n| run.pid(n));
    assert!(before.iter().zip(&after).all(|(before, after)| before != after));
    // The next is replaced when the last is ready.
    let lines = run.pm.says.with("generation");
    let place = |words: String| lines.iter().position(|line| line.contains(&words)).unwrap();
    for n in 1..3 {
        let ready = place(format!("{} is ready on port {}", run.slot(n), run.pm.ports[n - 1]));
        let first = lines[ready..].iter().position(|line| {
            line.contains(&format!("{} is ready", run.slot(n))) && line.contains("generation 2")
        });
        let next = place(format!("{}: replacing", run.slot(n + 1)));
        assert!(first.is_some_and(|first| ready + first < next), "{lines:?}");
    }
    run.pm.stop();
}

#[test]
fn a_roll_ends_at_a_worker_that_does_not_come_up_and_leaves_the_others_alone() {
    let text = "[pool.POOL]\n\
        command = 'test -e broken && exit 3; exec WORKER listen {port} stay'\n\
        ports = [PORT1, PORT2, PORT3]\n";
    let run = run(3, text);
    for n in 1..=3 {
        run.pm.wait_slot_ready(&format!(".{n}"), 1);
    }
    let before = [2, 3].map(|n| run.pid(n));
    let broken = run.folder.path().join("broken");
    std::fs::write(&broken, "").unwrap();
    let answer = run.api.post("/v1/restart", &json!({ "slots": [run.pool()], "roll": true }));
    answer.refuses(409, "exited 3");
    assert_eq!([2, 3].map(|n| run.pid(n)), before);
    // Even when that one comes up at last.
    std::fs::remove_file(&broken).unwrap();
    assert_eq!(run.api.command("start", &[&run.slot(1)]).outcome(), "done");
    assert_eq!([2, 3].map(|n| run.pid(n)), before);
    run.pm.stop();
}

#[test]
fn a_stopped_slot_stays_down_until_it_is_started() {
    let run = three();
    let slot = run.slot(1);
    assert_eq!(run.api.command("stop", &[&slot]).outcome(), "done");
    let status = run.api.slot(&slot);
    assert_eq!((&status["phase"], &status["wanted"]), (&json!("idle"), &json!("down")));
    assert_eq!(status["worker"], json!(null));
    assert_eq!(status["deaths"][0]["reason"], "asked");
    assert_eq!(run.api.command("stop", &[&slot]).outcome(), "already");
    assert_eq!(run.api.command("start", &[&slot]).outcome(), "done");
    assert_eq!(run.api.command("start", &[&slot]).outcome(), "already");
    run.pm.stop();
}

#[test]
fn a_stop_now_kills_what_ignores_the_stop_signal() {
    let text =
        "[pool.POOL]\ncommand = ['WORKER', 'ignore', 'TERM', 'stay']\nstop = { grace = '1h' }\n";
    let run = run(0, text);
    run.pm.wait_slot_ready(".1", 1);
    let answer = run.api.post("/v1/stop", &json!({ "slots": ["all"], "now": true }));
    assert_eq!(answer.outcome(), "done");
    assert_eq!(run.api.slot(&run.slot(1))["deaths"][0]["signal"], "SIGKILL");
    run.pm.stop();
}

#[test]
fn a_killed_worker_comes_back() {
    let run = three();
    let answer = run.api.post("/v1/kill", &json!({ "slots": [run.slot(3)] }));
    assert_eq!(answer.outcome(), "done");
    run.pm.wait_slot_ready(".3", 2);
    run.api.post("/v1/kill", &json!({ "slots": ["all"], "signal": "TREM" })).refuses(400, "TREM");
    run.pm.stop();
}

#[test]
fn a_pool_is_scaled_within_its_ports() {
    let run = three();
    let scale =
        |number: &str| run.api.post("/v1/scale", &json!({ "pools": { (run.pool()): number } }));
    assert_eq!(scale("1").outcome(), "done");
    assert_eq!(run.api.get("/v1/status").json()["slots"].as_array().unwrap().len(), 1);
    assert_eq!(scale("+1").outcome(), "done");
    assert_eq!(run.api.slot(&run.slot(2))["phase"], "ready");
    scale("4").refuses(422, "has 3 ports");
    scale("many").refuses(400, "not a number of workers");
    // The number stays when the file is read again.
    let answer = run.api.post("/v1/reload", &json!({}));
    assert_eq!(answer.json()["words"], "reload: kept 2 workers");
    run.pm.stop();
}

#[test]
fn a_reload_is_told_before_and_after() {
    let run = three();
    run.pm.rewrite(&format!("{THREE}env = {{ A = '1' }}\n"));
    let dry = run.api.post("/v1/reload", &json!({ "dry_run": true })).json();
    let expected = format!("reload: replacing {} to {} one by one", run.slot(1), run.slot(3));
    assert_eq!(dry["words"], expected.as_str());
    assert_eq!(run.api.slot(&run.slot(1))["worker"]["generation"], 1);
    let words = run.api.post("/v1/reload", &json!({})).json()["words"].clone();
    assert_eq!(words, expected.as_str());
    run.pm.wait_slot_ready(".3", 2);
    run.pm.rewrite("[pool.POOL]\ncomand = 'x'\n");
    run.api.post("/v1/reload", &json!({})).refuses(422, "comand");
    run.pm.stop();
}

#[test]
fn a_wait_ends_when_it_is_so_or_cannot_be() {
    let text = "[pool.POOL-slow]\ncommand = ['WORKER', 'await', 'PORT2', 'listen', '{port}', 'stay']\n\
        ports = PORT1\n\
        [pool.POOL-bad]\ncommand = ['WORKER', 'exit', '4']\nbackoff = { give_up_after = 1 }\n\
        ready = { after = '10s' }\n";
    let run = run(2, text);
    let (slow, bad) = (format!("{}-slow", run.pool()), format!("{}-bad", run.pool()));
    let late = run.api.get(&format!("/v1/wait?slots={slow}&timeout_seconds=0.1"));
    late.refuses(504, "is not ready in time");
    let failed = run.api.get(&format!("/v1/wait?slots={bad}"));
    failed.refuses(409, "exited 4");
    let api = run.api.clone();
    let path = format!("/v1/wait?slots={slow}");
    let waiting = std::thread::spawn(move || api.get(&path).outcome());
    let gate = run.pm.ports[1];
    eventually("the gate", || std::net::TcpStream::connect(("127.0.0.1", gate)).ok());
    assert_eq!(waiting.join().unwrap(), "done");
    run.pm.stop();
}

#[test]
fn a_request_behind_one_that_waits_is_answered_after_it() {
    let text = "[pool.POOL]\ncommand = ['WORKER', 'await', 'PORT2', 'listen', '{port}', 'stay']\n\
        ports = PORT1\n";
    let run = run(2, text);
    let mut client = run.api.connect();
    for path in ["/v1/wait?slots=all", "/v1/events", "/healthz"] {
        write!(client, "GET {path} HTTP/1.1\r\nHost: pm\r\n\r\n").unwrap();
    }
    let gate = run.pm.ports[1];
    eventually("the gate", || std::net::TcpStream::connect(("127.0.0.1", gate)).ok());
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut answers = BufReader::new(client).lines().map(Result::unwrap);
    // The text of /healthz, the last of the three.
    assert!(answers.any(|line| line == "ready"));
    run.pm.stop();
}

#[test]
fn two_commands_that_contradict_each_other_are_both_answered() {
    let text = "[pool.POOL]\ncommand = ['WORKER', 'drain', '300', 'stay']\n";
    let run = run(0, text);
    run.pm.wait_slot_ready(".1", 1);
    let (api, slot) = (run.api.clone(), run.slot(1));
    let stopping = std::thread::spawn(move || api.command("stop", &[&slot]));
    eventually("it is stopping", || {
        (run.api.slot(&run.slot(1))["phase"] == "stopping").then_some(())
    });
    assert_eq!(run.api.command("start", &[&run.slot(1)]).outcome(), "done");
    stopping.join().unwrap().refuses(409, "was started by another command");
    run.pm.stop();
}

#[test]
fn what_does_not_exist_is_refused_with_the_nearest_name() {
    let run = three();
    let pool = run.pool();
    run.api.command("stop", &[&format!("{pool}x")]).refuses(404, &format!("did you mean `{pool}`"));
    run.api.command("stop", &[&run.slot(9)]).refuses(404, "to");
    run.api.command("stop", &[]).refuses(400, "name the slots");
    run.api.get("/v1/stauts").refuses(404, "did you mean `/v1/status`");
    run.api.get("/v1/stop").refuses(405, "POST only");
    run.api.get("/v1/status?slot=1").refuses(400, "did you mean `slots`");
    run.api.post("/v1/stop", &json!({ "slots": ["all"], "nwo": true })).refuses(400, "nwo");
    run.pm.stop();
}

#[test]
fn the_server_has_each_path_of_its_openapi_document_and_no_other() {
    let run = three();
    let document = run.api.get("/openapi.json").json();
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 12);
    for (path, operations) in paths {
        if path == "/v1/shutdown" {
            continue;
        }
        let path = path.replace("{slot}", &run.slot(1));
        let operation = if operations["get"].is_object() { "get" } else { "post" };
        for parameter in operations[operation]["parameters"].as_array().into_iter().flatten() {
            assert!(parameter["description"].is_string(), "{path}: {parameter}");
        }
        let answer = match operation {
            "get" => run.api.get(&path),
            _ => run.api.post(&path, &json!({})),
        };
        // A command without slots is a bad request, and a terminal is no answer of HTTP.
        assert!(matches!(answer.status, 200 | 400 | 426), "{path}: {}", answer.body);
        let wrong = if operation == "get" { "POST" } else { "GET" };
        let request = format!(
            "{wrong} {path} HTTP/1.1\r\nHost: pm\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        );
        assert_eq!(run.api.ask(&request).status, 405, "{path}");
    }
    assert_eq!(run.api.get("/v1/nothing").status, 404);
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
fn a_second_pm_of_the_same_plan_is_refused_with_the_pid_of_the_first() {
    let run = three();
    let mut second = Command::new(pm_binary());
    second.current_dir(run.folder.path()).arg("run").env_remove("PM_SOCKET");
    let output = second.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(said.contains(&format!("pid {}", run.pm.reactor())), "{said}");
    run.pm.stop();
}

#[test]
fn a_socket_that_a_killed_pm_has_left_is_replaced() {
    let mut run = three();
    let (guard, reactor) = (run.pm.pid(), run.pm.reactor());
    send(SIGKILL, guard);
    send(SIGKILL, reactor);
    run.pm.wait_end();
    eventually("the reactor is gone", || (!is_alive(reactor)).then_some(()));
    let path = socket(&run.folder);
    assert!(path.exists());
    let pool = Pool::of(worker("stay")).of_size(1);
    let next = pool.with("PM_SOCKET", path.to_str().unwrap()).start();
    next.wait_ready(1, 1);
    assert_eq!(Api::at(&path).get("/v1/status").status, 200);
    next.stop();
    eventually("no worker is left", || run.pm.members().is_empty().then_some(()));
}

#[test]
fn a_socket_that_cannot_be_made_is_an_error_only_if_it_was_asked_for() {
    let mut usual = Command::new(pm_binary());
    usual.args(["run", "--workers", "1", "--restart", "never", "--", "true"]);
    let output = usual.current_dir("/sys").env_remove("PM_SOCKET").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("commands cannot reach this pm: "), "{said}");
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing/.pm.sock");
    let mut asked = Command::new(pm_binary());
    asked.args(["run", "--workers", "1", "--socket"]).arg(&missing).args(["--", "true"]);
    let output = asked.output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("its folder does not exist"), "{said}");
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
