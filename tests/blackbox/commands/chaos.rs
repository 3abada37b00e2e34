//! `pm chaos`: workers are killed where that is wanted, and what it costs is printed.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::Value;

use super::{Run, started};
use crate::support::processes::{send, status};
use crate::support::programs::pm_binary;
use crate::support::waiting::eventually;

const THREE: &str = "[pool.POOL]\ncommand = ['WORKER', 'listen', '{port}', 'stay']\n\
                     ports = [PORT1, PORT2, PORT3]\n";

fn ready(text: &str) -> Run {
    let run = started(3, text);
    run.pm.wait_all_ready(3);
    run
}

/// The generation of the worker of this slot.
fn generation(run: &Run, n: usize) -> u64 {
    let said = run.pm(&["status", "--json", &format!("@.{n}")]).ends(0);
    let status: Value = serde_json::from_str(&said.stdout).unwrap();
    status["slots"][0]["worker"]["generation"].as_u64().unwrap()
}

fn allowed() -> Run {
    ready(&format!("chaos = true\n{THREE}"))
}

#[test]
fn nothing_is_killed_where_the_plan_does_not_allow_it() {
    let run = ready(THREE);
    let refused = "pm.toml does not say `chaos = true`; `--yes` does it all the same";
    run.pm(&["chaos", "--kill", "100/1s", "--for", "100ms"]).ends(2).notes(refused);
    run.pm(&["status"]).ends(0).prints("@.1  ready");
    assert_eq!(generation(&run, 1), 1);
    let said = run.pm(&["chaos", "@.1", "--kill", "50/1s", "--for", "500ms", "--yes"]).ends(0);
    said.prints("every slot came back").notes("SIGKILL to @.1, generation 1");
    assert_eq!((generation(&run, 2), generation(&run, 3)), (1, 1));
    run.pm.stop();
}

#[test]
fn each_death_is_counted_and_each_slot_comes_back() {
    let run = allowed();
    let words = ["chaos", "--kill", "20/1s", "--stop", "10/1s", "--for", "2s", "--seed", "7"];
    let said = run.pm(&[&words[..], &["--json"]].concat()).ends(0);
    let report: Value = serde_json::from_str(&said.stdout).unwrap();
    let all = &report["all"];
    let count = |key: &str| all[key].as_u64().unwrap();
    assert!(count("kills") >= 2 && count("stops") >= 1, "{all}");
    // One that stops may be killed before it has.
    let faults = count("kills") + count("stops");
    assert!((count("kills")..=faults).contains(&count("deaths")), "{all}");
    assert_eq!(report["missing"], serde_json::json!([]));
    let availability = all["availability"].as_f64().unwrap();
    assert!((0.0..1.0).contains(&availability) && availability > 0.1, "{all}");
    assert!(all["gap_seconds"]["max"].as_f64().unwrap() > 0.0);
    let deaths: u64 = (1..=3).map(|n| generation(&run, n) - 1).sum();
    assert_eq!(deaths, count("deaths"));
    run.pm(&["chaos", "--kill", "1/1h", "--for", "10ms"]).ends(0).prints("every slot came back");
    run.pm.stop();
}

#[test]
fn a_worker_that_hangs_unnoticed_continues_also_when_the_command_is_interrupted() {
    let run = allowed();
    let words = ["chaos", "@.1", "--hang", "10/1s", "--hang-for", "50ms", "--for", "1s"];
    let said = run.pm(&words).ends(0);
    said.prints("went unnoticed: `alive` tells pm").notes("continues: pm did not notice its hang");
    assert_eq!(generation(&run, 1), 1);

    let mut command = Command::new(pm_binary());
    command.args(["chaos", "--hang", "100/1s", "--for", "1m"]).current_dir(run.folder.path());
    command.env_remove("PM_SOCKET").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut notes = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("SIGSTOP") {
        line.clear();
        assert_ne!(notes.read_line(&mut line).unwrap(), 0, "it has ended");
    }
    send(Signal::SIGINT, Pid::from_raw(child.id() as i32));
    let mut report = String::new();
    child.stdout.take().unwrap().read_to_string(&mut report).unwrap();
    assert!(report.contains("every slot came back"), "{report}");
    assert_eq!(child.wait().unwrap().code(), None, "it has ended by the signal");
    for n in 1..=3 {
        let worker = run.pm.wait_ready(n, 1);
        eventually("it runs", || (!status(worker, "State").starts_with('T')).then_some(()));
    }
    run.pm.stop();
}

#[test]
fn a_hang_that_a_probe_notices_is_a_death() {
    let text = "chaos = true\n[pool.POOL]\ncommand = ['WORKER', 'listen', '{port}', 'stay']\n\
                ports = [PORT1, PORT2, PORT3]\nstop = { grace = '0s' }\n\
                alive = { http = '/', every = '50ms', timeout = '50ms', failures = 1 }\n";
    let run = ready(text);
    let words = ["chaos", "@.1", "--hang", "1/300ms", "--hang-for", "20s", "--for", "1s", "--json"];
    let said = run.pm(&words).ends(0);
    let report: Value = serde_json::from_str(&said.stdout).unwrap();
    let count = |key: &str| report["all"][key].as_u64().unwrap();
    // The last one may come too late to be noticed.
    assert!(count("deaths") >= 1 && count("unnoticed_hangs") <= 1, "{report}");
    assert_eq!(count("deaths") + count("unnoticed_hangs"), count("hangs"));
    run.pm.stop();
}

#[test]
fn a_slot_that_does_not_come_back_is_named() {
    let text = "chaos = true\n[pool.POOL]\nrestart = 'on-failure'\nmax_restarts = { count = 1, within = '1m' }\n\
                command = ['WORKER', 'listen', '{port}', 'stay']\nports = [PORT1, PORT2, PORT3]\n";
    let run = ready(text);
    let said = run.pm(&["chaos", "@.2", "--kill", "10/1s", "--for", "2s"]).ends(1);
    said.prints("@.2 did not come back; `pm why @.2`");
    run.pm.stop();
}

#[test]
fn there_is_no_chaos_without_a_ready_worker() {
    let run =
        started(1, "chaos = true\n[pool.POOL]\ncommand = ['WORKER', 'stay']\nports = PORT1\n");
    run.pm(&["chaos"]).ends(2).notes("no worker is ready yet; `pm wait all` waits until they are");
    run.pm(&["chaos", "nothing"]).ends(2).notes("there is no");
    run.pm(&["chaos", "--kill", "often"]).ends(2).notes("write it like `1/20s`");
    run.pm.stop();
}
