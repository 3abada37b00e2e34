//! What a client of `/v1/stream` is told, and what it costs.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal::SIGKILL;
use serde_json::Value;

use super::{SOON, serve, serve_file, status};
use crate::support::processes::send;

const COMMAND: &str = "'echo up; exec sleep 1000'";

/// The events of a stream: each name with its data. Lines that are no events are passed over.
fn events(lines: impl Iterator<Item = String>) -> impl Iterator<Item = (String, Value)> {
    let mut name = String::new();
    lines.filter_map(move |line| {
        if let Some(event) = line.strip_prefix("event: ") {
            name = event.to_owned();
        }
        let data = line.strip_prefix("data: ")?;
        Some((name.clone(), serde_json::from_str(data).unwrap()))
    })
}

#[test]
fn a_stream_begins_with_a_status_and_tells_each_slot_that_changes() {
    let served = serve(COMMAND, &[]);
    let pid = served.pm.wait_slot_ready(".1", 1);
    let name = served.pm.slot(1);
    let mut stream = events(served.follow("/v1/stream"));
    let (first, status) = stream.next().unwrap();
    assert_eq!(
        (first.as_str(), &status["slots"][0]["slot"]),
        ("status", &Value::from(name.clone()))
    );
    assert_eq!(status["pm"]["page"], served.url());
    let killed = Instant::now();
    send(SIGKILL, pid);
    let mut told = stream.by_ref().filter(|(event, data)| {
        event == "slot" && data["worker"]["generation"] == 2 && data["phase"] == "ready"
    });
    let (_, slot) = told.next().unwrap();
    assert!(killed.elapsed() < SOON * 10, "{:?}", killed.elapsed());
    assert_eq!(slot["last_death"]["signal"], "SIGKILL");
    drop(told);
    served.pm.reload(
        "[pool.POOL]\ncommand = 'exec sleep 1000'\nworkers = 2\nready = { after = '0s' }\n",
    );
    let mut again = stream.by_ref().filter(|(event, _)| event == "status");
    let (_, status) = again.next().unwrap();
    assert_eq!(status["slots"].as_array().unwrap().len(), 2);
    drop(again);
    let api = served.api.clone();
    let answer = api.post("/v1/shutdown", &serde_json::json!({}));
    assert_eq!(answer.status, 200);
    let last = stream.last().unwrap();
    assert_eq!(last.0, "bye");
    let mut pm = served.pm;
    pm.wait_exit(0);
}

#[test]
fn a_stream_has_samples_and_lines_if_they_are_asked_for() {
    let served = serve(COMMAND, &[]);
    served.pm.wait_slot_ready(".1", 1);
    let mut stream = events(served.follow("/v1/stream?stats=1&logs=all&lines=10"));
    let mut seen = (false, false);
    let is_whole = |seen: (bool, bool)| seen == (true, true);
    while !is_whole(seen) {
        let (event, data) = stream.next().unwrap();
        match event.as_str() {
            "stats" => {
                assert!(data["slots"][0]["memory_bytes"].as_u64().unwrap() > 0, "{data}");
                seen.0 = true;
            }
            "log" => seen.1 |= data["line"] == "up",
            _ => {}
        }
    }
    let unknown = served.get("/v1/stream?logs=nothing", "");
    assert_eq!(status(&unknown), 404, "{unknown}");
    served.pm.stop();
}

/// The ids of the events, and their names.
fn ids(lines: impl Iterator<Item = String>) -> impl Iterator<Item = (String, String)> {
    let mut id = String::new();
    lines.filter_map(move |line| {
        if let Some(new) = line.strip_prefix("id: ") {
            id = new.to_owned();
        }
        Some((id.clone(), line.strip_prefix("event: ")?.to_owned()))
    })
}

#[test]
fn a_client_that_connects_again_is_told_what_pm_has_said_meanwhile_once() {
    let served = serve(COMMAND, &[]);
    let pid = served.pm.wait_slot_ready(".1", 1);
    let (last, _) = ids(served.follow("/v1/stream")).next().unwrap();
    send(SIGKILL, pid);
    served.pm.wait_slot_ready(".1", 2);
    let (run, seq) = last.split_once('-').unwrap();
    let again = |last: &str| {
        let header = format!("Last-Event-ID: {last}\n");
        let lines = served.follow_with("/v1/stream", &header);
        ids(lines).take_while(|(_, name)| name != "bye").collect::<Vec<_>>()
    };
    let api = served.api.clone();
    let reader = std::thread::scope(|scope| {
        let of_this_run = scope.spawn(|| again(&last));
        let of_another = scope.spawn(|| again(&format!("1-{seq}")));
        let of_none = scope.spawn(|| again(&format!("{run}-999999")));
        crate::support::waiting::eventually("three streams", || {
            let metrics = api.get("/metrics").body;
            metrics.contains("pm_control_clients 4").then_some(())
        });
        assert_eq!(api.post("/v1/shutdown", &serde_json::json!({})).status, 200);
        [of_this_run, of_another, of_none].map(|thread| thread.join().unwrap())
    });
    let reports = |of: &[(String, String)]| of.iter().filter(|(_, name)| name == "report").count();
    let [own, other, later] = &reader;
    assert_eq!(own[0].1, "status");
    assert!(reports(own) > reports(other), "{own:?} {other:?}");
    assert_eq!(reports(other), reports(later), "{other:?} {later:?}");
    let mut numbers: Vec<_> = own.iter().filter(|(_, name)| name == "report").collect();
    numbers.dedup();
    assert_eq!(numbers.len(), reports(own), "each of them once: {own:?}");
    let mut pm = served.pm;
    pm.wait_exit(0);
}

#[test]
fn the_number_of_an_event_of_another_run_hides_none_of_this_one() {
    let served = serve(COMMAND, &[]);
    served.pm.wait_slot_ready(".1", 1);
    let first = |last: &str| {
        let header = format!("Accept: text/event-stream\nLast-Event-ID: {last}\n");
        ids(served.follow_with("/v1/events?follow=0", &header)).map(|(id, _)| id).next()
    };
    let all = first("0").expect("an event");
    assert_eq!(first("1-100000"), Some(all.clone()));
    let (run, _) = all.split_once('-').expect("the run, and a number");
    assert_eq!(first(&format!("{run}-1")), Some(format!("{run}-2")));
    assert_eq!(status(&served.get("/v1/events", "Last-Event-ID: x\n")), 400);
    served.pm.stop();
}

/// Within this time another worker has begun, whatever else pm does.
const RESPAWNED_WITHIN: Duration = Duration::from_secs(2);

#[test]
fn a_pattern_that_takes_long_delays_no_worker() {
    let lines = "'yes xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx | head -n 40000; echo said; exec sleep 1000'";
    let served = serve(lines, &[]);
    served.pm.wait_slot_ready(".1", 1);
    served.pm.prints.wait_for("said");
    let too_large = served.get("/v1/logs?grep=(x%7B30%7D)%7B30%7Dy", "");
    assert_eq!(status(&too_large), 400, "{too_large}");
    for (query, generation) in [("lines=10&", 1), ("", 2)] {
        // To match all lines with it takes seconds.
        let path = format!("/v1/logs?{query}grep=(x%3F)%7B60%7Dy");
        let asked = served.follow(&path);
        let pid = served.pm.wait_slot_ready(".1", generation);
        let killed = Instant::now();
        send(SIGKILL, pid);
        served.pm.wait_slot_ready(".1", generation + 1);
        assert!(killed.elapsed() < RESPAWNED_WITHIN, "{query}: {:?}", killed.elapsed());
        drop(asked);
    }
    served.pm.stop();
}

#[test]
fn a_client_that_has_gone_is_forgotten() {
    let served = serve(COMMAND, &[]);
    served.pm.wait_slot_ready(".1", 1);
    // More than there may be at once, one after another.
    for _ in 0..40 {
        let mut stream = events(served.follow("/v1/stream"));
        assert_eq!(stream.next().unwrap().0, "status");
    }
    served.pm.stop();
}

#[test]
fn streams_of_tcp_leave_some_for_commands() {
    let served = serve(COMMAND, &[]);
    served.pm.wait_slot_ready(".1", 1);
    let open: Vec<_> = (0..24)
        .map(|_| {
            let mut stream = events(served.follow("/v1/stream"));
            assert_eq!(stream.next().unwrap().0, "status");
            stream
        })
        .collect();
    assert_eq!(status(&served.get("/v1/stream", "")), 503);
    let mut event = served.api.follow("/v1/events?follow=1");
    assert!(event.next().is_some());
    drop(open);
    served.pm.stop();
}

#[test]
fn a_page_that_nobody_reads_wakes_pm_no_more_than_none() {
    let served =
        serve_file("[pool.POOL]\ncommand = 'exec sleep 1000'\nready = { after = '0s' }\n", &[]);
    served.pm.wait_slot_ready(".1", 1);
    let wakeups = || {
        let metrics = served.api.get("/metrics").body;
        let line = metrics.lines().find(|line| line.starts_with("pm_wakeups_total ")).unwrap();
        line.split(' ').nth(1).unwrap().parse::<f64>().unwrap() as u64
    };
    let first = wakeups();
    let until = Instant::now() + Duration::from_secs(2);
    crate::support::waiting::for_as_long_as(until - Instant::now(), || {});
    // The two questions themselves.
    let count = wakeups() - first;
    assert!(count < 12, "{count} wakeups");
    served.pm.stop();
}
