//! The examples work: each is started with the command in its first lines, on free ports; then it is asked, a worker is
//! killed, and it is stopped.
//!
//! An example without its runtime is skipped. With `PM_SKIP_NOTHING` set, it fails.

mod example;
#[path = "../support/mod.rs"]
mod support;

use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::example::{Answer, Example, FILES, folder_of, get, good};
use crate::support::ports::is_free;
use crate::support::processes;
use crate::support::programs::{pm_binary, project};
use crate::support::run_mode::{skip_without, skip_without_deno};
use crate::support::waiting::{eventually, for_as_long_as};

const NOT_FOUND: u16 = 404;

/// Each example and the file that pm runs in it.
fn all() -> Vec<(String, &'static str)> {
    let entries = folder_of("").read_dir().expect("the examples").map(|entry| entry.expect("one"));
    let folders = entries.map(|entry| entry.path()).filter(|path| path.is_dir());
    let file = |folder: &Path| FILES.into_iter().find(|file| folder.join(file).exists());
    let name = |folder: &Path| folder.file_name().expect("a name").to_str().expect("text").into();
    folders.map(|folder| (name(&folder), file(&folder).expect("a file that pm runs"))).collect()
}

#[test]
fn each_example_passes_pm_check_and_names_its_command() {
    let all = all();
    assert!(all.len() >= 5, "{all:?}");
    for (name, file) in all {
        let path = folder_of(&name).join(file);
        let text = std::fs::read_to_string(&path).expect("text");
        let how = format!("pm run -f examples/{name}/{file}");
        let head = text.lines().take_while(|line| line.starts_with('#'));
        assert!({ head }.any(|line| line.contains(&how)), "{name} does not begin with `{how}`");
        let output = Command::new(pm_binary()).arg("check").arg("-f").arg(&path).output();
        let output = output.expect("pm can be started");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_procfile_runs_with_the_given_counts_and_port() {
    if skip_without(&["python3".into()]) {
        return;
    }
    let mut example = Example::of("procfile");
    let ports = example.take_ports(2);
    let port = ports[0].to_string();
    let running = example.start(&["-m", "web=2,clock=1", "--port", &port]);
    for (slot, port) in ["web.1", "web.2"].into_iter().zip(&ports) {
        running.wait_slot_ready(slot, 1);
        assert_eq!(answer_of(*port), good(&format!("Hello from {slot}\n")));
    }
    running.kill_and_wait_ready("web.2", &["web.1", "clock.1"]);
    assert_eq!(answer_of(ports[1]), good("Hello from web.2\n"));
    running.stop();
}

#[test]
fn the_clock_of_the_procfile_reads_its_interval_from_the_env_file() {
    let example = Example::of("procfile");
    example.replace_in(".env", "CLOCK_SECONDS=10", "CLOCK_SECONDS=0.1");
    let running = example.start(&["-m", "web=0,clock=1"]);
    running.prints.wait_for_many(3, "clock.1 | it is ");
    running.stop();
}

#[test]
fn node_workers_answer_on_their_ports_and_are_replaced_there() {
    if skip_without(&["node".into()]) {
        return;
    }
    let mut example = Example::of("node");
    let ports = example.move_ports("3000-3003");
    let running = example.start(&[]);
    let slots = ["web.1", "web.2", "web.3", "web.4"];
    let ask_all = || {
        for (slot, port) in slots.into_iter().zip(&ports) {
            assert_eq!(get(*port, "/?a=b"), good(&format!("Hello from {slot}\n")));
            assert_eq!(get(*port, "/up"), good("up\n"));
            assert_eq!(get(*port, "/nothing").status, NOT_FOUND);
        }
    };
    running.wait_slots_ready(&slots);
    ask_all();
    running.kill_and_wait_ready("web.3", &["web.1", "web.2", "web.4"]);
    ask_all();
    running.stop();
}

#[test]
fn a_node_worker_that_is_asked_to_stop_finishes_its_answer() {
    if skip_without(&["node".into()]) {
        return;
    }
    let mut example = Example::of("node");
    let port = example.move_ports("3000-3003")[1];
    let running = example.start(&[]);
    running.wait_slot_ready("web.2", 1);
    let visitor = thread::spawn(move || get(port, "/slow"));
    running.prints.wait_for("web.2 | a slow answer has begun");
    running.signal(Signal::SIGTERM);
    eventually("the others are gone, and so is the door", || is_free(port).then_some(()));
    assert_eq!(visitor.join().expect("an answer"), good("Hello from web.2\n"));
    running.wait_stopped();
}

#[test]
fn a_node_worker_that_hangs_is_replaced() {
    if skip_without(&["node".into()]) {
        return;
    }
    let mut example = Example::of("node");
    let port = example.move_ports("3000-3003")[0];
    example.replace("every = \"2s\", timeout = \"1s\"", "every = \"300ms\", timeout = \"300ms\"");
    let running = example.start(&[]);
    processes::send(Signal::SIGSTOP, running.wait_slot_ready("web.1", 1));
    running.says.wait_for("web.1 hangs");
    running.wait_slot_ready("web.1", 2);
    assert_eq!(get(port, "/"), good("Hello from web.1\n"));
    running.stop();
}

#[test]
fn gunicorn_and_uvicorn_answer_on_their_ports_and_are_replaced_there() {
    let venvs = [folder_of("python").join(".venv"), target().join("venv")];
    let programs = |venv: &Path| ["gunicorn", "uvicorn"].map(|name| venv.join("bin").join(name));
    let is_whole = |venv: &&PathBuf| programs(venv).iter().all(|program| program.is_file());
    let venv = venvs.iter().find(is_whole).unwrap_or(&venvs[1]);
    if skip_without(&programs(venv)) {
        return;
    }
    let mut example = Example::of("python");
    example.link(".venv", venv);
    let ports = [example.move_ports("8001-8002"), example.move_ports("8011-8012")].concat();
    let running = example.start(&[]);
    let slots = ["web.1", "web.2", "api.1", "api.2"];
    let ask_all = || {
        for (slot, port) in slots.into_iter().zip(&ports) {
            assert_eq!(get(*port, "/"), good(&format!("Hello from {slot}\n")));
        }
    };
    running.wait_slots_ready(&slots);
    ask_all();
    running.kill_and_wait_ready("web.1", &["web.2", "api.1", "api.2"]);
    running.kill_and_wait_ready("api.2", &["web.2", "api.1"]);
    ask_all();
    running.stop();
}

#[test]
fn the_lab_and_its_proxy_run_from_one_file_and_no_request_fails() {
    if skip_without_deno() {
        return;
    }
    let mut example = Example::of("deno");
    example.replace("../..", project().to_str().expect("text"));
    let web = example.move_ports("8080-8082");
    let list = format!("{:?}", web.iter().map(u16::to_string).collect::<Vec<_>>());
    example.replace(r#""8080", "8081", "8082""#, list.trim_matches(['[', ']']));
    let proxy = example.move_ports("1337")[0];
    let running = example.start(&[]);
    running.wait_slot_ready("proxy.1", 1);
    for port in web {
        // A request for a missing file never crashes the server.
        assert_eq!(get(port, "/nothing").status, NOT_FOUND);
    }
    running.kill_and_wait_ready("web.2", &["web.1", "web.3", "proxy.1"]);
    running.kill_and_wait_ready("proxy.1", &["web.1", "web.3"]);
    let page = std::fs::read_to_string(project().join("www/index.html")).expect("the page");
    for _ in 0..100 {
        assert_eq!(get(proxy, "/"), good(&page));
    }
    let says = running.stop();
    let gone = |slot: &str| says.iter().position(|line| line.contains(&format!("{slot} stopped")));
    let web = ["web.1", "web.2", "web.3"].map(|slot| gone(slot).expect("it is gone"));
    assert!(web.iter().all(|web| gone("proxy.1").expect("it is gone") < *web), "{says:?}");
}

#[test]
fn a_job_in_the_spool_is_done_once() {
    if skip_without(&["python3".into()]) {
        return;
    }
    let running = Example::of("ready").start(&[]);
    let slots = ["worker.1", "worker.2"];
    running.wait_slots_ready(&slots);
    let spool = running.folder.path().join("spool");
    for job in 0..20 {
        std::fs::write(spool.join(format!("letter-{job}")), "").expect("a job");
    }
    running.prints.wait_for_many(20, " is done");
    running.kill_and_wait_ready("worker.1", &["worker.2"]);
    assert_eq!(running.prints.with(" is done").len(), 20);
    running.stop();
}

#[test]
fn a_worker_that_stops_sending_watchdog_messages_is_replaced() {
    if skip_without(&["python3".into()]) {
        return;
    }
    let mut example = Example::of("ready");
    example.replace("every = \"5s\"", "every = \"1s\"");
    let running = example.start(&[]);
    processes::send(Signal::SIGSTOP, running.wait_slot_ready("worker.2", 1));
    running.says.wait_for("worker.2 hangs");
    running.wait_slot_ready("worker.2", 2);
    assert_eq!(running.says.with("worker.1 hangs"), [""; 0]);
    running.stop();
}

#[test]
fn no_worker_starts_before_a_slow_migration_has_ended() {
    if skip_without(&["python3".into()]) {
        return;
    }
    let mut example = Example::of("ready");
    let slow = r#""until [ -e go ]; do sleep 0.02; done; exec python3 migrate.py""#;
    example.replace(r#"["python3", "migrate.py"]"#, slow);
    let running = example.start(&[]);
    running.says.wait_for("worker waits for migrate");
    // Longer than the default `ready.after` of a worker without a port (1 s).
    for_as_long_as(Duration::from_millis(1_500), || {
        assert_eq!(running.says.with("| worker.1"), [""; 0]);
    });
    std::fs::write(running.folder.path().join("go"), "").expect("a file");
    running.wait_slot_ready("worker.1", 1);
    let says = running.stop();
    let at = |text: &str| says.iter().position(|line| line.contains(text)).expect(text);
    assert!(at("migrate.1 exited 0") < at("worker.1 is ready"), "{says:?}");
}

/// The answer of a server that pm does not probe.
fn answer_of(port: u16) -> Answer {
    eventually("a server", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok());
    get(port, "/")
}

/// The target folder of cargo.
fn target() -> PathBuf {
    let profile = Path::new(env!("CARGO_BIN_EXE_pm")).parent().expect("a folder");
    profile.parent().expect("a folder").into()
}
