//! `GET /metrics`: what is counted is what has happened, and scrapers can read it.

mod text;

use std::collections::BTreeMap;
use std::io::{Read as _, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use self::text::{Dialect, Read, read};
use crate::support::api::Api;
use crate::support::pm::Pm;
use crate::support::pool::Pool;
use crate::support::waiting::eventually;

/// A pm with its socket in a folder of its own.
struct Measured {
    folder: TempDir,
    pm: Pm,
    api: Api,
}

fn run(ports: usize, text: &str) -> Measured {
    run_in(tempfile::tempdir().unwrap(), ports, text)
}

fn run_in(folder: TempDir, ports: usize, text: &str) -> Measured {
    let socket = folder.path().join(".pm.sock");
    let pool = Pool::of_file(folder.path(), "pm.toml", ports, text);
    let pm = pool.with("PM_SOCKET", socket.to_str().unwrap()).start();
    pm.says.wait_for("keeping");
    let api = Api::at(&socket);
    Measured { folder, pm, api }
}

const ONE: &str =
    "[pool.POOL]\ncommand = ['WORKER', 'listen', '{port}', 'stay']\nports = [PORT1]\n";

/// One ready worker.
fn one() -> Measured {
    let run = run(1, ONE);
    run.pm.wait_slot_ready(".1", 1);
    run
}

impl Measured {
    fn text(&self, path: &str, accept: &str) -> String {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: pm\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
        );
        let answer = self.api.ask(&request);
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }

    fn open_metrics(&self) -> String {
        self.text("/metrics", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    }

    fn read(&self) -> Read {
        read(&self.open_metrics(), Dialect::OpenMetrics)
    }

    /// A series of the first slot.
    fn of_slot(&self, name: &str, rest: &str) -> String {
        format!("{name}{{pool=\"{}\",slot=\"{}\"{rest}}}", self.pm.name, self.pm.slot(1))
    }

    fn value(&self, name: &str, rest: &str) -> f64 {
        self.read().value(&self.of_slot(name, rest))
    }

    /// How many times a histogram of the pool has.
    fn times(&self, name: &str) -> f64 {
        self.read().value(&format!("{name}_count{{pool=\"{}\"}}", self.pm.name))
    }
}

#[test]
fn both_dialects_can_be_read_and_have_the_same_series_from_the_start() {
    let run = one();
    let open = run.read();
    let plain = read(&run.text("/metrics", "*/*"), Dialect::Prometheus);
    assert_eq!(Vec::from_iter(open.samples.keys()), Vec::from_iter(plain.samples.keys()));
    for reason in ["crash", "failed_start", "hung", "asked", "changed"] {
        let series = run.of_slot("pm_restarts_total", &format!(",reason=\"{reason}\""));
        assert_eq!(open.value(&series), 0.0);
    }
    for reason in ["success", "failure", "signal", "oom", "hung", "asked"] {
        let series = run.of_slot("pm_exits_total", &format!(",reason=\"{reason}\""));
        assert_eq!(open.value(&series), 0.0);
    }
    assert!(!open.samples.keys().any(|series| series.contains("\"watch\"")));
    for sink in ["ring", "file"] {
        let series = run.of_slot("pm_log_dropped_lines_total", &format!(",sink=\"{sink}\""));
        assert_eq!(open.value(&series), 0.0);
    }
    for sink in ["stdout", "client"] {
        assert_eq!(open.value(&format!("pm_log_dropped_lines_total{{sink=\"{sink}\"}}")), 0.0);
    }
    assert_eq!(open.value(&run.of_slot("pm_probe_failures_total", ",purpose=\"alive\"")), 0.0);
    assert_eq!(open.value(&run.of_slot("pm_slot_phase", ",pm_slot_phase=\"ready\"")), 1.0);
    assert_eq!(open.value(&run.of_slot("pm_slot_phase", ",pm_slot_phase=\"idle\"")), 0.0);
    assert_eq!(open.value(&run.of_slot("pm_slot_wanted", "")), 1.0);
    assert!(open.value(&run.of_slot("pm_worker_resident_memory_bytes", "")) > 0.0);
    assert!(open.value("process_resident_memory_bytes") > 0.0);
    assert!(open.value("process_start_time_seconds") > 1.0e9);
    assert!(open.value("process_open_fds") > 3.0);
    run.pm.stop();
}

#[test]
fn a_crash_is_counted_with_its_times() {
    let run = one();
    assert_eq!(run.times("pm_ready_seconds"), 1.0);
    assert_eq!(run.times("pm_respawn_seconds"), 0.0);
    crate::support::pm::ask(run.pm.ports[0], "exit 255");
    run.pm.wait_slot_ready(".1", 2);
    assert_eq!(run.value("pm_restarts_total", ",reason=\"crash\""), 1.0);
    assert_eq!(run.value("pm_exits_total", ",reason=\"failure\""), 1.0);
    for name in ["pm_respawn_seconds", "pm_down_seconds"] {
        assert_eq!(run.times(name), 1.0, "{name}");
    }
    assert_eq!(run.times("pm_ready_seconds"), 2.0);
    assert_eq!(run.times("pm_stop_seconds"), 0.0);
    run.pm.stop();
}

#[test]
fn a_restart_and_a_stop_are_asked_for() {
    let run = one();
    run.api.command("restart", &[&run.pm.slot(1)]).outcome();
    assert_eq!(run.value("pm_restarts_total", ",reason=\"asked\""), 1.0);
    assert_eq!(run.value("pm_exits_total", ",reason=\"asked\""), 1.0);
    assert_eq!(run.times("pm_stop_seconds"), 1.0);
    run.api.command("stop", &[&run.pm.slot(1)]).outcome();
    assert_eq!(run.value("pm_exits_total", ",reason=\"asked\""), 2.0);
    assert_eq!(run.value("pm_slot_wanted", ""), 0.0);
    assert_eq!(run.value("pm_worker_resident_memory_bytes", ""), 0.0);
    let start = run.of_slot("pm_worker_start_time_seconds", "");
    assert!(!run.read().samples.contains_key(&start));
    assert!(run.read().value("pm_control_requests_total{code=\"200\"}") >= 7.0);
    run.pm.stop();
}

#[test]
fn failed_starts_are_counted_and_the_next_try_has_its_time() {
    let text = "[pool.POOL]\ncommand = ['WORKER', 'exit', '3']\nports = [PORT1]\n";
    let run = run(1, text);
    eventually("two failed starts", || {
        (run.value("pm_failed_starts_total", "") >= 2.0).then_some(())
    });
    let next = run.of_slot("pm_next_try_time_seconds", "");
    let read = eventually("a next try", || {
        let read = run.read();
        read.samples.contains_key(&next).then_some(read)
    });
    let failed = read.value(&run.of_slot("pm_failed_starts_total", ""));
    let failures = read.value(&run.of_slot("pm_exits_total", ",reason=\"failure\""));
    let restarts = read.value(&run.of_slot("pm_restarts_total", ",reason=\"failed_start\""));
    assert_eq!(failed, failures);
    assert!((failed - restarts).abs() <= 1.0, "{failed} {restarts}");
    run.pm.stop();
}

#[test]
fn probes_are_counted_by_purpose_with_their_times() {
    let text = "[pool.POOL]\ncommand = ['WORKER', 'wait', '100', 'listen', '{port}', 'stay']\n\
                ports = [PORT1]\n\
                alive = { exec = 'test ! -e ill', every = '50ms', failures = 1000 }\n";
    let run = run(1, text);
    run.pm.wait_slot_ready(".1", 1);
    let times = |purpose: &str| {
        let series =
            format!("pm_probe_seconds_count{{pool=\"{}\",purpose=\"{purpose}\"}}", run.pm.name);
        run.read().value(&series)
    };
    let failures =
        |purpose: &str| run.value("pm_probe_failures_total", &format!(",purpose=\"{purpose}\""));
    let failed = failures("ready");
    assert!(failed >= 1.0, "nothing has listened in the first 100 ms");
    assert_eq!(times("ready"), failed + 1.0, "the last one has passed");
    eventually("probes that pass", || (times("alive") >= 2.0).then_some(()));
    assert_eq!(failures("alive"), 0.0);
    std::fs::write(run.folder.path().join("ill"), "").unwrap();
    eventually("probes that fail", || (failures("alive") >= 2.0).then_some(()));
    assert!(times("alive") >= 4.0);
    run.pm.stop();
}

#[test]
fn lines_that_a_log_file_has_not_got_are_counted() {
    let text = "[pool.POOL]\ncommand = ['WORKER', 'say', 'one', 'say', 'two', 'stay']\n\
                ready = { after = '0s' }\nlog = { file = 'in the way/{slot}.log' }\n";
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in the way"), "").unwrap();
    let run = run_in(folder, 0, text);
    let lost = || run.value("pm_log_dropped_lines_total", ",sink=\"file\"");
    eventually("both lines", || (lost() == 2.0).then_some(()));
    run.pm.stop();
}

#[test]
fn lines_that_a_stalled_reader_of_stdout_has_not_got_are_counted() {
    let text = "[pool.POOL]\ncommand = ['WORKER', 'flood', '60000', 'stay']\n\
                ready = { after = '0s' }\n";
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join(".pm.sock");
    let pool = Pool::of_file(folder.path(), "pm.toml", 0, text);
    let pm = pool.with("PM_SOCKET", socket.to_str().unwrap()).into_pipe().start();
    let run = Measured { folder, pm, api: Api::at(&socket) };
    run.pm.says.wait_for("keeping");
    let lost = || run.read().value("pm_log_dropped_lines_total{sink=\"stdout\"}");
    eventually("lines are dropped", || (lost() > 0.0).then_some(()));
    // The rest can be read.
    let mut pm = run.pm;
    let reader = pm.stdout();
    let rest = std::thread::spawn(move || std::io::copy(&mut { reader }, &mut std::io::sink()));
    pm.stop();
    rest.join().unwrap().unwrap();
}

#[test]
fn lines_that_a_slow_client_has_not_got_are_counted() {
    let text = "log.ring = '64KiB'\n[pool.POOL]\ncommand = ['sh', '-c', 'while :; do seq 1000; done']\n\
                ready = { after = '0s' }\n";
    let run = run(0, text);
    // It asks, and reads nothing.
    let mut client = run.api.connect();
    client.write_all(b"GET /v1/logs?follow=1 HTTP/1.1\r\nHost: pm\r\n\r\n").unwrap();
    eventually("more lost lines than the client's socket and the ring hold", || {
        let dropped = run.value("pm_log_dropped_lines_total", ",sink=\"ring\"");
        (dropped > 50_000.0).then_some(())
    });
    // Once it reads again, it is told.
    let mut buffer = vec![0; 1 << 20];
    eventually("missed lines", || {
        let _ = client.read(&mut buffer);
        let missed = run.read().value("pm_log_dropped_lines_total{sink=\"client\"}");
        (missed > 0.0).then_some(())
    });
    run.pm.stop();
}

#[test]
fn each_of_100_scrapes_can_be_read_while_workers_crash_and_no_counter_falls() {
    let text = "[pool.POOL]\ncommand = ['WORKER', 'wait', '20', 'exit', '1']\nworkers = 20\n\
                ready = { after = '0s' }\n";
    let run = run(0, text);
    let mut before: BTreeMap<String, f64> = BTreeMap::new();
    for _ in 0..100 {
        let read = run.read();
        for (series, value) in &read.samples {
            let is_counter = ["_total", "_count", "_bucket"]
                .iter()
                .any(|suffix| series.split('{').next().is_some_and(|name| name.ends_with(suffix)));
            let last = before.get(series).copied().unwrap_or(0.0);
            assert!(!is_counter || *value >= last, "{series} falls from {last} to {value}");
        }
        before = read.samples;
    }
    let respawns = format!("pm_respawn_seconds_count{{pool=\"{}\"}}", run.pm.name);
    assert!(before[&respawns] > 0.0);
    run.pm.stop();
}

#[test]
fn many_slots_are_written_in_slices_and_a_pool_can_be_cut_out() {
    let text = "[pool.POOL]\ncommand = ['WORKER', 'stay']\nworkers = 80\n\
                ready = { after = '0s' }\n[pool.other]\ncommand = ['WORKER', 'stay']\n";
    let run = run(0, text);
    let whole = run.open_metrics();
    assert!(whole.len() > 128 * 1024, "{} bytes", whole.len());
    read(&whole, Dialect::OpenMetrics);
    let other = run.text("/metrics?pool=other", "*/*");
    let other = read(&other, Dialect::Prometheus);
    assert!(other.samples.keys().all(|series| !series.contains(&run.pm.name)));
    assert!(other.samples.keys().any(|series| series.contains("pool=\"other\"")));
    run.api.get("/metrics?pool=othr").refuses(404, "`othr`");
    let head = "HEAD /metrics HTTP/1.1\r\nHost: pm\r\nConnection: close\r\n\r\n";
    let head = run.api.ask(head);
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    run.pm.stop();
}

#[test]
fn the_dashboard_names_only_series_that_there_are() {
    let run = one();
    let names = run.read().names;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/grafana.json");
    let dashboard = std::fs::read_to_string(path).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    let mut found = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap();
            let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            for word in words.filter(|word| word.starts_with("pm_") || word.starts_with("process_"))
            {
                assert!(names.contains(word), "{word} in {query}");
                found += 1;
            }
        }
    }
    assert!(found > 8);
    run.pm.stop();
}

#[test]
fn the_parser_of_prometheus_client_reads_the_text() {
    let python = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), Into::into);
    let python = python.join("venv/bin/python");
    let check = "from prometheus_client.openmetrics.parser import text_string_to_metric_families";
    let has_it = Command::new(&python).args(["-c", check]).stderr(Stdio::null()).status();
    if !has_it.is_ok_and(|status| status.success()) {
        assert!(std::env::var_os("PM_SKIP_NOTHING").is_none(), "no prometheus_client");
        println!("skipped: there is no prometheus_client in {}", python.display());
        return;
    }
    let run = one();
    let code = format!(
        "{check}\nimport sys\n{}",
        "list(text_string_to_metric_families(sys.stdin.read()))"
    );
    let mut parser =
        Command::new(&python).args(["-c", &code]).stdin(Stdio::piped()).spawn().unwrap();
    let text = run.open_metrics();
    parser.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(parser.wait().unwrap().success(), "{text}");
    run.pm.stop();
}
