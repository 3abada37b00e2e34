//! What a running pm does when it is told to, and that the answer comes when it is done.

use serde_json::json;

use super::{THREE, run, three};
use crate::support::waiting::eventually;

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
