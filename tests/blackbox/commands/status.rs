//! `pm status`, `pm why` and `pm events`: what a run is at.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use super::{Said, command, settled, started};
use crate::support::processes::send;
use crate::support::terminal::Terminal;

#[test]
fn status_has_a_line_for_each_slot_and_is_0_whenever_pm_answers() {
    let run = settled();
    let said = run.pm(&["status"]).ends(0).quietly();
    let lines: Vec<_> = said.stdout.lines().collect();
    assert!(lines[0].starts_with("pm ") && lines[0].contains("pm.toml  up "), "{said:#?}");
    assert!(lines[0].ends_with("@-web 3/3  @-bad 0/1  @-setup 1/1"), "{said:#?}");
    assert!(lines[1].starts_with("SLOT") && lines[1].ends_with("LAST"), "{said:#?}");
    assert_eq!(lines.len(), 7, "{said:#?}");
    assert!(lines[2].contains(" ready ") && lines[2].contains(&run.pm.ports[0].to_string()));
    assert!(lines[5].contains(" given_up ") && lines[5].contains("exited 3 after "), "{said:#?}");
    assert!(lines[6].contains(" idle (ended) "), "{said:#?}");
    let ps = run.pm(&["ps", ":8"]).ends(2);
    ps.notes("there is no pool or slot `:8`");
}

#[test]
fn status_shows_only_what_is_selected() {
    let run = settled();
    run.pm(&["status", "-q", "@-web.2"]).ends(0).quietly().is("@-web.2\n");
    let port = format!(":{}", run.pm.ports[2]);
    run.pm(&["status", "-q", &port, "@-bad"]).ends(0).is("@-web.3\n@-bad.1\n");
    run.pm(&["status", "-q", "--phase", "given_up,idle"]).ends(0).is("@-bad.1\n@-setup.1\n");
    run.pm(&["status", "@-wbe"]).ends(2).without_result().notes("did you mean `@-web`?");
    run.pm(&["status", "@-web.9"]).ends(2).notes("@-web has @-web.1 to @-web.3");
    run.pm(&["status", "--phase", "dead"]).ends(2).notes("invalid value 'dead'");
}

#[test]
fn status_check_is_1_unless_every_wanted_slot_is_ready() {
    let run = settled();
    run.pm(&["status", "--check"]).ends(1).quietly().prints("given_up");
    run.pm(&["status", "--check", "@-web", "@-setup"]).ends(0);
    run.pm(&["stop", "@-web.1"]).ends(0);
    run.pm(&["status", "--check", "@-web"]).ends(0).prints("idle (stopped)");
}

#[test]
fn json_is_one_object_whatever_happens_beside_it() {
    let run = settled();
    let status = run.pm(&["status", "--json"]).ends(0).quietly().json();
    assert_eq!(status["slots"].as_array().unwrap().len(), 5);
    let why = run.pm(&["why", "--json", "@-bad"]).ends(0).json();
    assert_eq!(why[0]["deaths"][0]["exit_status"], 3);
    assert_eq!(run.pm(&["why", "--json", "@-web"]).ends(0).json().as_array().unwrap().len(), 3);
}

#[test]
fn status_watch_shows_each_change_until_pm_ends() {
    let run = settled();
    let mut watch = command(run.folder.path(), &["status", "-w", "-q", "--phase", "ready"]);
    let mut watch = watch.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines().map(Result::unwrap);
    let last = format!("{}-web.3", run.pm.name);
    assert!(lines.any(|line| line == last));
    run.pm(&["stop", "@-web.3"]).ends(0);
    run.pm(&["start", "@-web.3"]).ends(0);
    assert!(lines.any(|line| line == last));
    run.pm.stop();
    // It goes on to write as long as there is a reader.
    lines.by_ref().for_each(drop);
    let ended = watch.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("pm has ended"));
}

#[test]
fn why_explains_the_slots_in_trouble_with_their_last_lines() {
    let run = settled();
    let said = run.pm(&["why"]).ends(0).quietly().prints("@-bad.1 has given up since ");
    let said = said.prints(", after 3 failed starts in a row; `pm start @-bad.1` tries again\n");
    let said = said.prints("say 'no config' exit 3\n").prints("@-bad.1 exited 3 after ");
    assert!(!said.stdout.contains("-web.1"), "{said:#?}");
    run.pm(&["why", "@-web.1"]).ends(0).prints("@-web.1 is ready since ");
    run.pm(&["describe", "@-web.1"]).ends(0);
    run.pm(&["why", "@-wbe"]).ends(2).notes("did you mean `@-web`?");
}

#[test]
fn why_says_that_all_is_well() {
    let run = started(
        1,
        "[pool.POOL]\ncommand = ['WORKER', 'listen', '{port}', 'stay']\nports = [PORT1]\n",
    );
    run.pm(&["wait", "all"]).ends(0);
    run.pm(&["why"]).ends(0).is("the worker is ready\n");
}

#[test]
fn events_are_those_that_pm_has_kept_and_then_those_that_come() {
    let run = settled();
    let said = run.pm(&["events", "--no-follow"]).ends(0).quietly();
    said.prints("@-web.1 is ready").prints("@-bad.1 exited 3");
    let said = run.pm(&["events", "--no-follow", "@-web.1"]).ends(0).prints("@-web.1 is ready");
    assert!(!said.stdout.contains("-bad.1"), "{said:#?}");
    run.pm(&["events", "--no-follow", "--since", "0s"]).ends(0).is("");
    run.pm(&["events", "--since", "soon"])
        .ends(2)
        .notes("`soon` is not a time; write it like `5m`");
    run.pm(&["events", "@-wbe"]).ends(2).notes("did you mean `@-web`?");
    let said = run.pm(&["events", "--no-follow", "--json"]).ends(0);
    let kinds = said.stdout.lines().map(serde_json::from_str::<serde_json::Value>);
    assert!(kinds.map(Result::unwrap).any(|event| event["event"] == "phase"), "{said:#?}");
}

#[test]
fn events_follow_until_pm_ends() {
    let run = settled();
    let mut events = command(run.folder.path(), &["events", "--since", "0s"]);
    let mut events = events.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(events.stdout.take().unwrap()).lines().map(Result::unwrap);
    // What happens before the command is connected is not printed; so it happens until it is.
    let killed = format!("{}-web.1 was killed by SIGKILL", run.pm.name);
    run.pm(&["kill", "@-web.1"]).ends(0);
    run.pm(&["wait", "@-web.1"]);
    run.pm(&["kill", "@-web.1"]).ends(0);
    assert!(lines.any(|line| line.contains(&killed)));
    run.pm.stop();
    // It goes on to write as long as there is a reader.
    lines.by_ref().for_each(drop);
    let ended = events.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("pm has ended"));
}

#[test]
fn a_reader_that_closes_the_pipe_is_no_failure() {
    let run = settled();
    let mut events = command(run.folder.path(), &["events"]);
    let mut events = events.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(events.stdout.take());
    // Each kill makes a line.
    run.pm(&["kill", "@-web.1"]).ends(0);
    let ended = events.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), ended.stderr.len()), (Some(0), 0));
}

#[test]
fn on_a_narrow_terminal_columns_are_left_out_and_phases_are_coloured() {
    let run = settled();
    let shown = |columns: u16| {
        let terminal = Terminal::open();
        terminal.resize(24, columns);
        let mut status = command(run.folder.path(), &["status"]);
        status.env("TERM", "xterm-256color").env_remove("NO_COLOR").stdout(terminal.line());
        assert!(status.status().unwrap().success());
        let lines = terminal.lines();
        lines.wait_for("-setup.1 ");
        lines.all().join("\n").replace(&run.pm.name, "@")
    };
    let wide = shown(160);
    assert!(
        wide.contains("\x1b[32mready\x1b[0m") && wide.contains("\x1b[31mgiven_up\x1b[0m"),
        "{wide}"
    );
    assert!(wide.contains("  PID  ") && wide.contains("exited 3 after "), "{wide}");
    let narrow = shown(60);
    assert!(!narrow.contains("  PID  ") && narrow.contains("LAST"), "{narrow}");
    assert!(narrow.lines().any(|line| line.trim_end().ends_with(" 3")), "{narrow}");
}

#[test]
fn a_watch_on_a_terminal_fits_its_height_and_goes_on() {
    let run = settled();
    let terminal = Terminal::open();
    terminal.resize(5, 100);
    let mut watch = command(run.folder.path(), &["status", "-w"]);
    let mut watch = watch.stdout(terminal.line()).stderr(Stdio::null()).spawn().unwrap();
    // Nothing happens, but the times go on.
    let lines = terminal.lines().wait_for_many(2, "and 4 more");
    assert_eq!(lines.len(), 2);
    assert!(terminal.lines().all().iter().any(|line| line.contains("\x1b[H\x1b[Jpm ")));
    run.pm.stop();
    assert!(watch.wait().unwrap().success());
}

#[test]
fn a_suspended_pm_is_not_waited_for_without_end() {
    use nix::sys::signal::Signal::{SIGCONT, SIGSTOP};
    let run = settled();
    let reactor = run.pm.reactor();
    send(SIGSTOP, reactor);
    let said = run.pm(&["status"]);
    send(SIGCONT, reactor);
    said.ends(1).without_result().notes("pm does not answer; perhaps it is suspended");
}

impl Said {
    /// The result is this.
    #[track_caller]
    fn is(self, text: &str) {
        assert_eq!(self.stdout, text, "{self:#?}");
    }
}
