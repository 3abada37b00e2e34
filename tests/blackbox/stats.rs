//! What workers use: asked for with `stats=1`, and shown by `pm status`.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::api::Api;
use crate::support::pm::Pm;
use crate::support::pool::Pool;
use crate::support::programs::pm_binary;
use crate::support::terminal::Terminal;
use crate::support::waiting::eventually;

/// A pm with its socket in a folder of its own.
struct Asked {
    folder: TempDir,
    pm: Pm,
    api: Api,
}

/// One worker: a shell that runs this.
fn run(script: &str) -> Asked {
    run_several(1, script)
}

fn run_several(workers: usize, script: &str) -> Asked {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[pool.POOL]\nworkers = {workers}\ncommand = ['sh', '-c', '''{script}''']\n\
         ready = {{ after = '0s' }}\n"
    );
    let pool = Pool::of_file(folder.path(), "pm.toml", 0, &text);
    let socket = folder.path().join(".pm.sock");
    let pm = pool.with("PM_SOCKET", socket.to_str().unwrap()).start();
    for n in 1..=workers {
        pm.wait_slot_ready(&format!(".{n}"), 1);
    }
    Asked { folder, pm, api: Api::at(&socket) }
}

impl Asked {
    fn stats(&self) -> Value {
        self.api.get("/v1/status?stats=1").json()["slots"][0]["stats"].clone()
    }

    /// The first stats that are like this.
    fn stats_with(&self, fact: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        eventually(fact, || Some(self.stats()).filter(|stats| stats.is_object() && is_so(stats)))
    }
}

/// Starts two processes beside the leader: a child, and an orphan in a session of its own.
const THREE: &str = "sleep 1000 & (setsid sleep 1000 &) ; exec sleep 1000";

#[test]
fn each_process_of_a_worker_counts_wherever_it_is() {
    let run = run(THREE);
    let stats = run.stats_with("three processes", |stats| stats["processes"] == 3);
    let memory = stats["memory_bytes"].as_u64().unwrap();
    assert!((3 * 4096..64 * 1024 * 1024).contains(&memory), "{stats}");
    assert!(stats["sampled_at"].as_str().unwrap().ends_with('Z'), "{stats}");
    run.pm.stop();
}

#[test]
fn of_many_workers_each_one_is_sampled_though_not_in_one_wakeup() {
    let run = run_several(100, "exec sleep 1000");
    let counts = || {
        let asked = Instant::now();
        let status = run.api.get("/v1/status?stats=1").json();
        // A part that nothing wakes pm for would come when the client is given up.
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
        let slots = status["slots"].as_array().expect("a list").clone();
        Vec::from_iter(slots.iter().map(|slot| slot["stats"]["processes"].as_u64()))
    };
    eventually("all are sampled", || (counts() == [Some(1); 100]).then_some(()));
    run.pm.stop();
}

#[test]
fn stats_are_null_unless_they_are_asked_for_and_there_is_a_worker() {
    let run = run("exec sleep 1000");
    for query in ["", "?stats=0"] {
        let status = run.api.get(&format!("/v1/status{query}")).json();
        assert_eq!(status["slots"][0]["stats"], Value::Null, "{query}");
    }
    assert_eq!(run.stats()["processes"], 1);
    run.api.get("/v1/status?stats=often").refuses(400, "`stats` is 1 or 0, not `often`");
    run.api.command("stop", &["all"]).outcome();
    assert_eq!(run.stats(), Value::Null);
    run.pm.stop();
}

#[test]
fn cpu_time_rises_and_what_an_orphan_has_used_stays() {
    let run = run("(sh -c \"while [ ! -e over ]; do :; done\" &) ; exec sleep 1000");
    let seconds = |stats: &Value| stats["cpu_seconds"].as_f64().unwrap();
    let before = run.stats_with("CPU time", |stats| seconds(stats) > 0.2);
    assert_eq!(before["processes"], 2);
    let cores = before["cpu_cores"].as_f64().unwrap();
    assert!(cores > 0.0 && cores < 1.5, "{before}");
    std::fs::write(run.folder.path().join("over"), "").unwrap();
    let after = run.stats_with("the end of the orphan", |stats| stats["processes"] == 1);
    assert!(seconds(&after) >= seconds(&before), "{before} {after}");
    run.pm.stop();
}

/// What a command says in the folder of this pm.
fn command(run: &Asked, words: &[&str]) -> Command {
    let mut command = Command::new("timeout");
    command.arg("20").arg(pm_binary()).args(words).current_dir(run.folder.path());
    command.env_remove("PM_SOCKET").env("HOME", run.folder.path());
    command
}

#[test]
fn status_has_cpu_and_memory_since_the_start_and_in_a_watch_since_the_line_before() {
    let run = run("while [ ! -e over ]; do :; done; exec sleep 1000");
    run.stats_with("CPU time", |stats| stats["cpu_seconds"].as_f64().unwrap() > 0.3);
    std::fs::write(run.folder.path().join("over"), "").unwrap();
    let once = command(&run, &["status"]).output().unwrap();
    let once = String::from_utf8(once.stdout).unwrap();
    let head: Vec<_> = once.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(head[6..], ["CPU", "MEM", "LAST"], "{once}");
    let row: Vec<_> = once.lines().nth(2).unwrap().split_whitespace().collect();
    let percent: f64 = row[6].strip_suffix('%').unwrap().parse().unwrap();
    assert!(percent > 0.0 && row[7].ends_with(['K', 'M']), "{once}");
    let terminal = Terminal::open();
    terminal.resize(24, 120);
    let mut watch = command(&run, &["status", "-w"]);
    let mut watch = watch.stdout(terminal.line()).stderr(Stdio::null()).spawn().unwrap();
    terminal.lines().wait_for(" 0.0%  ");
    let json = command(&run, &["ps", "--json"]).output().unwrap();
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert!(json["slots"][0]["stats"]["cpu_cores"].as_f64().unwrap() > 0.0, "{json}");
    run.pm.stop();
    assert!(watch.wait().unwrap().success());
}
