//! The control socket under clients that hurry, dawdle, send nonsense or never read, while workers die.

mod descriptors;
mod kinds;
mod long_answers;
mod readers;
mod respawns;
mod starts;
mod streams;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::api::Api;
use crate::support::pm::Pm;
use crate::support::pool::Pool;
use crate::support::processes::{send, status};
use crate::support::run_mode::size;

/// Workers that exit as soon as they have started, and are ready at once: each is replaced without a pause.
fn storm(workers: usize) -> (TempDir, Pm, Api) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join(".pm.sock");
    let text = format!(
        "[pool.POOL]\ncommand = ['WORKER', 'wait', '20', 'exit', '1']\nworkers = {workers}\n\
         ready = {{ after = '0s' }}\n"
    );
    let pool = Pool::of_file(folder.path(), "pm.toml", 0, &text);
    let pm = pool.with("PM_SOCKET", socket.to_str().unwrap()).start();
    pm.says.wait_for("keeping");
    let api = Api::at(&socket);
    (folder, pm, api)
}

/// One worker that does nothing.
fn calm() -> (TempDir, Pm, Api) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join(".pm.sock");
    let text = "[pool.POOL]\ncommand = ['WORKER', 'stay']\nready = { after = '0s' }\n";
    let pool = Pool::of_file(folder.path(), "pm.toml", 0, text);
    let pm = pool.with("PM_SOCKET", socket.to_str().unwrap()).start();
    pm.wait_slot_ready(".1", 1);
    let api = Api::at(&socket);
    (folder, pm, api)
}

/// What the events up to some number say of each slot: its generation and its phase.
#[derive(Default)]
struct Told(BTreeMap<String, (u64, String)>);

impl Told {
    fn take(&mut self, event: &Value) {
        if event["event"] == "phase" {
            let slot = event["slot"].as_str().unwrap().to_owned();
            let generation = event["generation"].as_u64().unwrap();
            let phase = event["to"].as_str().unwrap().to_owned();
            self.0.insert(slot, (generation, phase));
        }
    }
}

#[test]
fn a_status_is_what_the_events_up_to_its_number_say_and_they_have_no_hole() {
    let (_folder, pm, api) = storm(10);
    let mut events = api.follow("/v1/events?after=0&follow=1");
    let mut told = Told::default();
    let mut last = 0;
    let (statuses, enough) = (size("PM_STATUSES", 100, 1_000), size("PM_EVENTS", 1_000, 10_000));
    let mut asked = 0;
    while asked < statuses || last < enough {
        asked += 1;
        let now = api.get("/v1/status").json();
        let seq = now["seq"].as_u64().unwrap();
        while last < seq {
            let event = events.next().expect("an event");
            last += 1;
            assert_eq!(event["seq"], last, "no hole and none twice");
            told.take(&event);
        }
        for slot in now["slots"].as_array().unwrap() {
            let (generation, phase) = &told.0[slot["slot"].as_str().unwrap()];
            assert_eq!(slot["phase"], phase.as_str(), "at {seq}: {slot}");
            if let Some(worker) = slot["worker"].as_object() {
                assert_eq!(worker["generation"], *generation, "at {seq}: {slot}");
            }
        }
    }
    pm.stop();
}

#[test]
fn a_reader_that_falls_behind_is_told_how_much_it_has_lost() {
    // More than pm keeps, and than the kernel and pm hold for a client.
    const EVENTS: u64 = 6_500;
    let (_folder, pm, api) = calm();
    let mut stream = api.connect();
    stream.write_all(b"GET /v1/events?after=0&follow=1 HTTP/1.0\r\n\r\n").unwrap();
    let before = memory(&pm);
    // Each SIGUSR2 is reported, and needs no process. Those that come together are one.
    let reactor = pm.reactor();
    while api.get("/v1/status").json()["seq"].as_u64().unwrap() <= EVENTS {
        for _ in 0..100 {
            send(Signal::SIGUSR2, reactor);
            std::thread::yield_now();
        }
    }
    let grown = memory(&pm).saturating_sub(before);
    assert!(grown < 4_000, "pm has grown by {grown} kB");
    let mut next = 1;
    let mut gaps = 0;
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        let Ok(event) = serde_json::from_str::<Value>(&line) else { continue };
        let number = event["seq"].as_u64().unwrap();
        if event["event"] == "gap" {
            gaps += 1;
            next += event["dropped"].as_u64().unwrap();
            assert_eq!(number + 1, next);
            continue;
        }
        assert_eq!(number, next);
        next += 1;
        if next > EVENTS {
            break;
        }
    }
    assert!(gaps >= 1);
    pm.stop();
}

#[test]
fn a_thousand_idle_clients_do_not_keep_the_next_one_out() {
    let (_folder, pm, api) = calm();
    let before = memory(&pm);
    let mut idle = Vec::new();
    for n in 0..size("PM_IDLE", 200, 1_000) {
        let mut client = api.connect();
        // Some begin a request and never end it. It may be closed already.
        if n % 2 == 0 {
            let _ = client.write_all(b"GET /v1/status HTTP/1.1\r\nHost:");
        }
        idle.push(client);
    }
    assert_eq!(api.get("/v1/status").status, 200);
    let grown = memory(&pm).saturating_sub(before);
    assert!(grown < 2_000, "pm has grown by {grown} kB");
    drop(idle);
    pm.stop();
}

#[test]
fn a_request_that_is_cut_at_any_byte_harms_nobody() {
    let (_folder, pm, api) = calm();
    let body = r#"{"slots":["all"]}"#;
    let request = format!(
        "POST /v1/start HTTP/1.1\r\nHost: pm\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    for cut in 0..request.len() {
        let mut client = api.connect();
        client.write_all(&request.as_bytes()[..cut]).unwrap();
        drop(client);
    }
    assert_eq!(
        api.ask(&request.replace("Host: pm", "Host: pm\r\nConnection: close")).outcome(),
        "already"
    );
    pm.stop();
}

#[test]
fn requests_in_a_row_are_all_answered_in_their_order() {
    let (_folder, pm, api) = calm();
    let count = size("PM_REQUESTS", 200, 1_000);
    let mut client = api.connect();
    let mut sender = client.try_clone().unwrap();
    let sending = std::thread::spawn(move || {
        for n in 0..count {
            let path = if n % 2 == 0 { "/v1" } else { "/healthz" };
            write!(sender, "GET {path} HTTP/1.1\r\nHost: pm\r\n\r\n").unwrap();
        }
        sender
            .write_all(b"GET /nowhere HTTP/1.1\r\nHost: pm\r\nConnection: close\r\n\r\n")
            .unwrap();
    });
    let mut answers = String::new();
    client.read_to_string(&mut answers).unwrap();
    sending.join().unwrap();
    let statuses = answers.matches("HTTP/1.1 200 OK\r\n").count();
    assert_eq!(statuses as u64, count);
    assert!(answers.rfind("HTTP/1.1 404").unwrap() > answers.rfind("HTTP/1.1 200").unwrap());
    pm.stop();
}

#[test]
fn random_bytes_are_answered_or_closed_and_pm_goes_on() {
    let (_folder, pm, api) = calm();
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..size("PM_RANDOM", 50, 1_000) {
        let mut client = api.connect();
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let bytes: Vec<u8> = (0..random.usize(1..2_000)).map(|_| random.u8(..)).collect();
        // It may refuse and close before it has read all.
        let _ = client.write_all(&bytes);
        let _ = client.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        match client.read_to_end(&mut answer) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
        let is_refusal = answer.is_empty()
            || answer.starts_with(b"HTTP/1.1 4")
            || answer.starts_with(b"HTTP/1.1 5");
        assert!(is_refusal, "{}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(api.get("/v1/status").status, 200);
    pm.stop();
}

#[test]
fn a_client_that_reads_nothing_costs_little_and_delays_nobody() {
    let (_folder, pm, api) = calm();
    let before = memory(&pm);
    let mut asleep = Vec::new();
    for _ in 0..20 {
        let mut client = api.connect();
        client.set_nonblocking(true).unwrap();
        let request = b"GET /v1/status HTTP/1.1\r\nHost: pm\r\n\r\n";
        while client.write(request).is_ok() {}
        asleep.push(client);
    }
    assert_eq!(api.get("/v1/status").status, 200);
    let grown = memory(&pm).saturating_sub(before);
    assert!(grown < 4_000, "pm has grown by {grown} kB");
    pm.stop();
}

#[test]
fn the_last_lines_of_a_death_are_kept_without_their_rest() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join(".pm.sock");
    let (long, short) = (format!("{}é", "x".repeat(2_047)), "x".repeat(2_048));
    let text = format!(
        "[pool.POOL]\ncommand = ['WORKER', 'say', '{long}{long}', 'say', '{short}', 'exit', '1']\n\
         backoff = {{ first = '1h', max = '1h' }}\n"
    );
    let pool = Pool::of_file(folder.path(), "pm.toml", 0, &text);
    let pm = pool.with("PM_SOCKET", socket.to_str().unwrap()).start();
    pm.says.wait_for(" exited 1 ");
    let slot = Api::at(&socket).slot(&pm.slot(1));
    let lines = [format!("{}… (2051 bytes more)", "x".repeat(2_047)), short];
    assert_eq!(slot["deaths"][0]["last_lines"], serde_json::json!(lines));
    let logs = Api::at(&socket).get("/v1/logs").body;
    assert!(logs.contains(&format!("{long}{long}\n")), "the line itself is whole");
    pm.stop();
}

/// What the reactor has in memory of its own, in kB: pages of the program come and go.
fn memory(pm: &Pm) -> u64 {
    let text = status(pm.reactor(), "RssAnon");
    text.split_whitespace().next().and_then(|kb| kb.parse().ok()).unwrap()
}
