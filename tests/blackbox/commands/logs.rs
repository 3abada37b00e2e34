//! `pm logs`, with a real pm; and against a server that says what it is told to: what is asked for, and what becomes of
//! the answer.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread;

use super::{Said, command, pm, settled};

const STATUS: &str = r#"{"seq":1,"now":"2026-11-25T12:00:00.000Z",
    "pm":{"version":"0.1.0","pid":7,"started_at":"2026-11-25T11:00:00.000Z","plan":"pm.toml","draining":false},
    "slots":[{"slot":"web.1","pool":"web","number":1,"port":null,"wanted":"up","phase":"ready",
    "phase_since":"2026-11-25T11:00:00.000Z","phase_until":null,"worker":null,"restarts":1,"failed_starts":0,
    "next_try_at":null,"waits_for":[],"last_death":{"generation":7,"pid":8,"at":"2026-11-25T11:00:00.000Z",
    "reason":"crash","exit_status":1,"signal":null,"out_of_memory":null,"uptime_seconds":1.0,"words":"it ended",
    "last_lines":[]},"stats":null}]}"#;

const LINES: &str = "{\"n\":1,\"at\":\"2026-11-25T11:59:00.000Z\",\"slot\":\"web.1\",\"generation\":7,\
    \"from_worker\":true,\"line\":\"\\u001b[31mGET /\"}\n\
    {\"n\":2,\"at\":\"2026-11-25T11:59:01.000Z\",\"slot\":\"web.1\",\"generation\":7,\
    \"from_worker\":false,\"line\":\"web.1 exited 1\"}\n";

/// What a command says that asks a server with this answer to all but `/v1/status`, and the first thing that it asked
/// for beside that.
fn asked(words: &[&str], status: &str, answer: &str) -> (Said, String) {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join(".pm.sock")).unwrap();
    let serve = move || {
        loop {
            let (mut stream, _) = listener.accept().unwrap();
            let mut target = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            // Who only looks whether a pm listens asks nothing.
            if reader.read_line(&mut target).unwrap() == 0 {
                continue;
            }
            while !reader.by_line().is_empty() {}
            let is_status = target.contains("/v1/status");
            let (status, body) = if is_status { ("200 OK", STATUS) } else { (status, answer) };
            let length = body.len();
            let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}");
            if !is_status {
                return target;
            }
        }
    };
    thread::scope(|scope| {
        let server = scope.spawn(serve);
        let said = pm(folder.path(), words);
        (said, server.join().unwrap())
    })
}

trait ByLine {
    /// The next line, without its end.
    fn by_line(&mut self) -> String;
}

impl<T: BufRead> ByLine for T {
    fn by_line(&mut self) -> String {
        let mut line = String::new();
        self.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

fn lines(words: &[&str]) -> (String, String) {
    let (said, target) = asked(words, "200 OK", LINES);
    (said.ends(0).stdout, target)
}

#[test]
fn a_line_has_the_name_of_its_slot_and_a_death_is_a_line_too() {
    let (printed, target) = lines(&["logs"]);
    assert_eq!(printed, "web.1 | \x1b[31mGET /\nweb.1 | -- web.1 exited 1 --\n");
    assert_eq!(target, "GET /v1/logs?lines=all HTTP/1.1\r\n");
    assert_eq!(lines(&["logs", "--no-prefix"]).0, "\x1b[31mGET /\n-- web.1 exited 1 --\n");
    assert_eq!(lines(&["logs", "--raw"]).0, "\x1b[31mGET /\n");
    assert!(lines(&["logs", "-t"]).0.starts_with("2026-11-25T11:59:00.000 web.1 | "));
    let (json, _) = lines(&["logs", "--json"]);
    let first: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(first["line"], "\x1b[31mGET /");
}

#[test]
fn the_options_say_which_lines() {
    let words = ["logs", "web.1", ":80", "-n", "5", "-g", "a b|c", "-f"];
    let answer = format!("{{\"kept\":2,\"files\":[]}}\n{LINES}");
    let (said, target) = asked(&words, "200 OK", &answer);
    assert_eq!(said.ends(0).stdout.lines().count(), 2);
    let queries = "lines=5&grep=a%20b%7Cc&follow=1&files=1&slots=web.1,:80";
    assert_eq!(target, format!("GET /v1/logs?{queries} HTTP/1.1\r\n"));
    let (_, target) = lines(&["logs", "-s", "2026-11-25T10:00:00Z", "-u", "2026-11-25 11:00"]);
    let times = "since=2026-11-25T10%3A00%3A00.000Z&until=2026-11-25T11%3A00%3A00.000Z";
    assert_eq!(
        target.replace(":", "%3A").replace("HTTP/1.1", ""),
        format!("GET /v1/logs?lines=all&{times} \r\n")
    );
    let (_, target) = lines(&["logs", "-p"]);
    assert!(target.contains("slots=web.1&generation=7 "), "{target}");
}

#[test]
fn a_wrong_option_is_2() {
    let here = Path::new("/");
    for (words, reason) in [
        (["logs", "-n", "many"].as_slice(), "give a number of lines, or `all`"),
        (&["logs", "-s", "soon"], "`soon` is not a time"),
        (&["logs", "-f", "-u", "5m"], "cannot be used with"),
        (&["logs", "-f", "-p"], "cannot be used with"),
        (&["logs", "--raw", "--json"], "cannot be used with"),
    ] {
        pm(here, words).ends(2).without_result().notes(reason);
    }
}

#[test]
fn a_refusal_is_told_and_an_answer_that_cannot_be_read_is_3() {
    let problem = r#"{"type":"/errors/bad-request","title":"Bad request","status":400,"detail":"`(` is no expression"}"#;
    let (said, _) = asked(&["logs", "-g", "("], "400 Bad Request", problem);
    said.ends(2).without_result().notes("pm: `(` is no expression\n");
    let (said, _) = asked(&["logs"], "200 OK", "what?\n");
    said.ends(3).without_result().notes("the answer of pm cannot be read: ");
    let (said, _) = asked(&["logs"], "500 Internal Server Error", "");
    said.ends(3).without_result().notes("the answer of pm cannot be read: ");
}

#[test]
fn a_pm_that_ends_before_it_has_answered_is_1() {
    let (said, target) = asked(&["kill", "web"], "", "");
    assert!(target.starts_with("POST /v1/kill "), "{target}");
    said.ends(3).notes("the answer of pm cannot be read: ");
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join(".pm.sock")).unwrap();
    let said = thread::scope(|scope| {
        let server = scope.spawn(|| {
            let asks = |stream: &std::os::unix::net::UnixStream| {
                BufReader::new(stream).by_line().starts_with("POST")
            };
            while !asks(&listener.accept().unwrap().0) {}
        });
        let said = pm(folder.path(), &["kill", "web"]);
        server.join().unwrap();
        said
    });
    said.ends(1).without_result().notes("pm ended before it had answered");
}

#[test]
fn the_lines_and_deaths_of_all_workers_are_there_and_of_the_last_one_by_itself() {
    let run = settled();
    let said = run.pm(&["logs"]).ends(0).quietly().prints("@-bad.1   | no config\n");
    assert_eq!(said.stdout.matches("no config\n").count(), 3, "{said:#?}");
    said.prints(" -- @-bad.1 exited 3 after ").prints("giving up; its last line: no config --\n");
    let last = run.pm(&["logs", "-p", "@-bad"]).ends(0);
    assert!(last.stdout.starts_with("@-bad.1 | no config\n"), "{last:#?}");
    assert_eq!(last.stdout.matches(" | no config").count(), 1, "{last:#?}");
    let raw = run.pm(&["logs", "--raw", "-g", "^no c.nfig$"]).ends(0);
    assert_eq!(raw.stdout, "no config\n".repeat(3));
    assert_eq!(run.pm(&["logs", "-s", "0s"]).ends(0).stdout, "");
    run.pm(&["logs", "-p", "@-web.1"]).ends(0).without_result().notes("no worker has ended yet");
    run.pm(&["logs", "-g", "("]).ends(2).without_result().notes("`grep`");
    run.pm(&["logs", "@-wbe"]).ends(2).without_result().notes("did you mean `@-web`?");
    run.pm(&["why", "@-bad"]).ends(0).prints("\n    | no config\n");
}

#[test]
fn the_lines_are_followed_across_generations_until_pm_ends() {
    let run = super::started(
        0,
        "[pool.POOL]\ncommand = ['WORKER', 'say', 'hello', 'stay']\nready = { after = '0s' }\n",
    );
    run.pm.prints.wait_for("hello");
    let mut logs = command(run.folder.path(), &["logs", "-f", "--raw"]);
    let logs = logs.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut logs = logs.spawn().unwrap();
    let mut lines = BufReader::new(logs.stdout.take().unwrap());
    assert_eq!(lines.by_line(), "hello");
    run.pm(&["kill", "all"]).ends(0);
    assert_eq!(lines.by_line(), "hello");
    run.pm.stop();
    assert_eq!(lines.by_line(), "");
    let ended = logs.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("pm has ended"));
}

#[test]
fn lines_that_do_not_arrive_before_pm_ends_are_not_passed_over_in_silence() {
    let flood = "trap 'seq 300000; exit' TERM; echo up; while :; do sleep 0.01; done";
    let run = super::started(0, &format!("[pool.POOL]\ncommand = \"{flood}\"\n"));
    run.pm.prints.wait_for("up");
    let mut logs = command(run.folder.path(), &["logs", "-f", "--raw"]);
    let logs = logs.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut logs = logs.spawn().unwrap();
    let mut lines = BufReader::new(logs.stdout.take().unwrap());
    assert_eq!(lines.by_line(), "up");
    let reader = thread::spawn(move || lines.lines().map_while(Result::ok).last());
    run.pm.stop();
    let notes = logs.wait_with_output().unwrap().stderr;
    let notes = String::from_utf8(notes).unwrap();
    match reader.join().unwrap().as_deref() {
        Some("300000") => assert_eq!(notes, "pm has ended\n"),
        _ => assert_eq!(notes, "pm has ended; the last lines may be missing here\n"),
    }
}

#[test]
fn what_was_lost_is_a_note_where_only_the_lines_of_workers_are_printed() {
    let lost = "{\"n\":0,\"at\":\"1970-01-01T00:00:00.000Z\",\"slot\":\"pm\",\"generation\":0,\
                \"from_worker\":false,\"line\":\"7 lines were lost: pm keeps no more\"}";
    let (said, _) = asked(&["logs", "--raw"], "200 OK", &format!("{lost}\n{LINES}"));
    let said = said.ends(0).notes("7 lines were lost: pm keeps no more\n");
    assert_eq!(said.stdout, "\x1b[31mGET /\n");
}
