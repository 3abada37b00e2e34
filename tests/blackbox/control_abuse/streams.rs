//! Streams of events: whole, however long an event is and however long the reader sleeps.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::Value;

use super::{calm, memory, storm};
use crate::support::api::Api;
use crate::support::pool::Pool;
use crate::support::processes::{send, state};
use crate::support::programs::pm_binary;
use crate::support::run_mode::{proof, size};
use crate::support::waiting::{DEADLINE, eventually};

#[test]
fn an_event_that_is_longer_than_what_waits_for_a_client_is_given_whole() {
    let (_folder, pm, api) = calm();
    // Each of these keys is unknown, and named in the report. Two of the reports are more than waits for a client.
    let faults: String = (0..100).map(|n| format!("{}{n} = 1\n", "x".repeat(3_000))).collect();
    for n in 1..=4 {
        pm.reload(&faults);
        pm.says.wait_for_many(n, "reload refused");
    }
    // It comes behind the long ones.
    pm.signal(Signal::SIGUSR2);
    pm.says.wait_for("SIGUSR2");
    let events = api.get("/v1/events?after=0").body;
    let events = Vec::from_iter(events.lines().map(|line| {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: it is cut"))
    }));
    let long = |event: &&Value| event["words"].as_str().is_some_and(|words| words.len() > 32_000);
    assert_eq!(events.iter().filter(long).count(), 4);
    assert_eq!(events.last().unwrap()["words"], "SIGUSR2: ignored");
    for (n, event) in (1_u64..).zip(&events) {
        assert_eq!(event["seq"], n);
    }
    let same = api.ask(
        "GET /v1/events?after=0 HTTP/1.1\r\nHost: pm\r\nAccept: text/event-stream\r\n\
         Connection: close\r\n\r\n",
    );
    let blocks: Vec<_> = same.body.split_terminator("\n\n").collect();
    assert_eq!(blocks.len(), events.len());
    for (block, event) in blocks.iter().zip(&events) {
        let data = block.rsplit_once("\ndata: ").expect("data").1;
        assert_eq!(&serde_json::from_str::<Value>(data).unwrap(), event);
    }
    let mut followed = api.follow("/v1/events?after=0&follow=1");
    events.iter().for_each(|event| assert_eq!(&followed.next().unwrap(), event));
    pm.stop();
}

/// curl, or a command of pm where there is none. It prints each event as a line.
fn reader(socket: &str) -> Command {
    let has_curl = Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_ok();
    if has_curl {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--no-buffer", "--unix-socket", socket]);
        curl.arg("http://pm/v1/events?after=0&follow=1");
        return curl;
    }
    let mut events = Command::new(pm_binary());
    events.args(["events", "--json", "--socket", socket]);
    events
}

#[test]
fn a_reader_that_sleeps_through_many_exits_misses_none_or_is_told_how_many() {
    let exits = size("PM_SLEPT_EXITS", 60, 500);
    let (_folder, pm, api) = storm(10);
    let mut reader = reader(api.socket().to_str().unwrap());
    let mut reader = reader.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let pid = Pid::from_raw(reader.id().cast_signed());
    let parsed = |line: Result<String, _>| serde_json::from_str::<Value>(&line.unwrap()).unwrap();
    let mut slow = BufReader::new(reader.stdout.take().unwrap()).lines().map(parsed);
    let first = slow.next().expect("an event");
    send(Signal::SIGSTOP, pid);
    eventually("it is stopped", || (state(pid) == Some('T')).then_some(()));
    let before = memory(&pm);
    let asleep_since = api.get("/v1/status").json()["seq"].as_u64().unwrap();
    let mut most = before;
    let mut slowest = Duration::ZERO;
    let mut told: BTreeMap<u64, Value> = BTreeMap::new();
    let mut seen = 0;
    for event in api.follow("/v1/events?after=0&follow=1") {
        let seq = event["seq"].as_u64().unwrap();
        let is_exit = event["words"].as_str().is_some_and(|words| words.contains(" exited 1 "));
        // This reader may fall behind too.
        if event["event"] != "gap" {
            told.insert(seq, event);
        }
        if seq <= asleep_since || !is_exit {
            continue;
        }
        seen += 1;
        if seen % 20 == 0 {
            let asked = Instant::now();
            assert_eq!(api.get("/v1/status").status, 200);
            slowest = slowest.max(asked.elapsed());
            most = most.max(memory(&pm));
        }
        if seen == exits {
            break;
        }
    }
    let last = *told.last_key_value().expect("an event").0;
    send(Signal::SIGCONT, pid);
    let (mut next, mut lost) = (1, 0);
    for event in std::iter::once(first).chain(slow) {
        if event["event"] == "gap" {
            let dropped = event["dropped"].as_u64().unwrap();
            (next, lost) = (next + dropped, lost + dropped);
            assert_eq!(event["seq"].as_u64().unwrap() + 1, next);
        } else {
            assert_eq!(event["seq"], next);
            assert!(told.get(&next).is_none_or(|same| *same == event), "{event}");
            next += 1;
        }
        if next > last {
            break;
        }
    }
    let slept =
        format!("{seen} exits, {} events, of which {lost} were lost and told", last - asleep_since);
    proof("a sleeping reader", &slept);
    proof("answers meanwhile", &format!("the slowest status took {slowest:.1?}"));
    proof("memory of pm meanwhile", &format!("{before} kB, at most {most} kB"));
    assert!(most.saturating_sub(before) < 4_000, "{before} kB, then {most} kB");
    reader.kill().unwrap();
    reader.wait().unwrap();
    pm.stop();
}

/// Asks for this. A read of the answer fails if it does not come.
fn asked(api: &Api, path: &str) -> UnixStream {
    let mut client = api.connect();
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(client, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
    client
}

/// The request is refused with 503 and these words.
#[track_caller]
fn is_refused(api: &Api, path: &str, words: &str) {
    let mut client = asked(api, path);
    assert_eq!(answered(&client), "503");
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.contains(words), "{answer}");
}

/// The status of an answer that has begun.
fn answered(mut client: &UnixStream) -> String {
    let mut start = [0; 12];
    client.read_exact(&mut start).unwrap();
    String::from_utf8_lossy(&start[9..]).into_owned()
}

#[test]
fn neither_streams_nor_waits_keep_other_clients_out() {
    let (_folder, pm, api) = calm();
    let paths = ["/v1/events?follow=1", "/v1/logs?follow=1"];
    let mut streams: Vec<_> = (0..32).map(|n| asked(&api, paths[n % 2])).collect();
    for stream in &streams {
        assert_eq!(answered(stream), "200");
    }
    for path in paths {
        is_refused(&api, path, "32 clients read events or lines of this pm or are attached");
    }
    let wait = "/v1/wait?slots=all&for=stopped&timeout_seconds=600";
    let _waits: Vec<_> = (0..28).map(|_| asked(&api, wait)).collect();
    // They are all read before this is, which comes after them.
    is_refused(&api, wait, "28 clients wait for this pm, and no more can");
    let pool = &pm.name;
    api.command("stop", &[pool]).refuses(503, "28 clients wait");
    for _ in 0..100 {
        let _idle = api.connect();
        for path in ["/v1/status", "/v1/events", "/v1/logs"] {
            assert_eq!(api.get(path).status, 200);
        }
    }
    drop(streams.pop());
    let more = eventually("there is room for a stream", || {
        let more = asked(&api, paths[0]);
        (answered(&more) == "200").then_some(more)
    });
    drop(more);
    pm.stop();
}

#[test]
fn clients_that_arrive_at_once_are_answered_one_after_another_where_few_more_can_be_taken() {
    let (_folder, pm, api) = calm();
    let streams: Vec<_> = (0..32).map(|_| asked(&api, "/v1/events?follow=1")).collect();
    for stream in &streams {
        assert_eq!(answered(stream), "200");
    }
    let wait = "/v1/wait?slots=all&for=stopped&timeout_seconds=600";
    let _waits: Vec<_> = (0..28).map(|_| asked(&api, wait)).collect();
    is_refused(&api, wait, "28 clients wait for this pm, and no more can");
    send(Signal::SIGSTOP, pm.reactor());
    eventually("it is stopped", || (state(pm.reactor()) == Some('T')).then_some(()));
    // Each stays connected after its answer.
    let request = "GET /v1/status HTTP/1.1\r\nHost: pm\r\n\r\n";
    let burst = (0..30).map(|_| {
        let mut client = api.connect();
        client.set_read_timeout(Some(DEADLINE)).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        client
    });
    let burst: Vec<_> = burst.collect();
    send(Signal::SIGCONT, pm.reactor());
    for client in &burst {
        assert_eq!(answered(client), "200");
    }
    pm.stop();
}

#[test]
fn what_has_happened_is_told_before_the_answer_that_depends_on_it() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join(".pm.sock");
    let text = "[pool.POOL]\ncommand = ['WORKER', 'exit', '3']\n\
        backoff = { first = '1ms', max = '1ms', give_up_after = 1 }\n\
        [pool.POOL-stays]\ncommand = ['WORKER', 'stay']\n";
    let pool = Pool::of_file(folder.path(), "pm.toml", 0, text);
    let pm = pool.with("PM_SOCKET", socket.to_str().unwrap()).start();
    pm.says.wait_for("giving up");
    let api = Api::at(&socket);
    let after = api.get("/v1/status").json()["seq"].as_u64().unwrap();
    // With each stream that is written behind the answer, it would be earlier.
    let path = format!("/v1/events?after={after}&follow=1");
    let mut streams: Vec<_> = (0..30).map(|_| asked(&api, &path)).collect();
    for stream in &streams {
        assert_eq!(answered(stream), "200");
        stream.set_nonblocking(true).unwrap();
    }
    for round in 1..=size("PM_REFUSALS", 20, 200) {
        let failed = api.command("restart", &[&pm.name]);
        for (n, stream) in (0..).zip(&mut streams) {
            let mut text = String::new();
            // It ends where nothing more has come.
            let _ = stream.read_to_string(&mut text);
            assert!(text.contains("giving up"), "round {round}, stream {n}: {text}");
        }
        failed.refuses(409, "giving up");
    }
    pm.stop();
}
