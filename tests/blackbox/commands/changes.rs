//! The commands that change something: when they end, what they print, and how they fail.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::process::Stdio;

use super::{Run, command, settled, started};
use crate::support::hanging_mount::HangingMount;
use crate::support::pm::ask;
use crate::support::pool::Pool;
use crate::support::programs::worker_binary;
use crate::support::run_mode::skip;
use crate::support::waiting::eventually;

/// A worker that is never ready, and one that does not stop by itself.
const SLOW: &str = "
[pool.POOL-never]
command = ['WORKER', 'stay']
ports   = [PORT1]

[pool.POOL-stubborn]
command = ['WORKER', 'ignore', 'TERM', 'stay']
ready   = { after = '0s' }
stop    = { grace = '30s' }
";

#[test]
fn a_slot_is_stopped_and_started_when_the_command_ends() {
    let mut run = settled();
    let said = run.pm(&["stop", "@-web.2"]).ends(0).notes("@-web.2 stopped\n");
    assert_eq!(said.stdout, "@-web.2 is stopped\n");
    assert!(std::net::TcpListener::bind(("127.0.0.1", run.pm.ports[1])).is_ok());
    run.pm(&["stop", "@-web.2"]).ends(0).notes("it was so already\n");
    let said = run.pm(&["start", "@-web"]).ends(0).notes("@-web.2 is ready on port ");
    assert_eq!(said.stdout, "@-web.1, @-web.2 and @-web.3 are ready\n");
    assert_ne!(ask(run.pm.ports[1], "pid"), "");
    run.pm(&["start", "@-web", "--json"]).ends(0);
    assert!(!run.pm.has_ended());
}

#[test]
fn what_fails_is_1_and_says_why() {
    let run = settled();
    let said = run.pm(&["start", "@-bad"]).ends(1).without_result();
    // It has tried again, and each try is told.
    let said = said.notes("before it was ready; giving up; its last line: no config\n");
    said.notes("pm: @-bad.1 exited 3 after ").notes("; try `pm why @-bad.1`");
    let run = started(1, SLOW);
    let said = run.pm(&["start", "@-never", "--timeout", "50ms"]).ends(1).without_result();
    said.notes("@-never.1 is not ready in time");
    run.pm(&["stop", "@-stubborn", "--timeout", "50ms"]).ends(1).notes("is not stopped in time");
    run.pm(&["stop", "@-stubborn", "--now"]).ends(0).prints("@-stubborn.1 is stopped\n");
    run.pm(&["restart", "@-never", "--no-wait"]).ends(0).notes("accepted; `pm status` shows");
    // Otherwise pm has to wait for the grace.
    run.pm.stop();
}

#[test]
fn why_a_command_fails_is_the_last_that_it_says() {
    let run = settled();
    for _ in 0..5 {
        let said = run.pm(&["restart", "@-bad"]).ends(1).without_result();
        let lines = Vec::from_iter(said.stderr.lines());
        let [.., report, failure] = lines[..] else { panic!("{said:#?}") };
        assert!(report.ends_with("giving up; its last line: no config"), "{said:#?}");
        assert!(failure.starts_with("pm: @-bad.1 exited 3 after "), "{said:#?}");
    }
    run.pm.stop();
}

#[test]
fn a_command_names_its_slots() {
    let run = settled();
    for name in ["start", "stop", "restart", "kill", "wait", "scale"] {
        run.pm(&[name]).ends(2).without_result().notes("required");
    }
    for name in ["start", "stop", "restart", "kill", "wait"] {
        run.pm(&[name, "@-wbe"]).ends(2).without_result().notes("did you mean `@-web`?");
    }
    run.pm(&["start", "@-web", "--no-wait", "--timeout", "1s"])
        .ends(2)
        .notes("cannot be used with");
    run.pm(&["start", "@-web", "--timeout", "5"]).ends(2).notes("did you mean `5s`?");
}

#[test]
fn a_restart_replaces_the_workers_and_a_roll_one_after_another() {
    let run = settled();
    let before = ask(run.pm.ports[0], "pid");
    let said = run.pm(&["restart", "@-web.1"]).ends(0).notes("@-web.1: replacing generation 1\n");
    said.prints("@-web.1 is ready\n");
    assert_ne!(ask(run.pm.ports[0], "pid"), before);
    run.pm(&["stop", "@-web.1"]).ends(0);
    run.pm(&["restart", "@-web.1"]).ends(0).prints("@-web.1 is ready\n");
    let said = run.pm(&["restart", "@-web", "--roll"]).ends(0);
    let order: Vec<_> = said
        .stderr
        .lines()
        .filter(|line| line.contains(" is ready") || line.contains(": replacing"))
        .map(|line| line.split([' ', ':']).next().unwrap())
        .collect();
    assert_eq!(order, ["@-web.1", "@-web.1", "@-web.2", "@-web.2", "@-web.3", "@-web.3"]);
}

#[test]
fn a_signal_is_sent_and_what_is_wanted_stays() {
    let run = settled();
    run.pm(&["kill", "-s", "HUP", "@-web.1"]).ends(0).quietly().prints("sent HUP to @-web.1\n");
    run.pm.wait_slot_ready("-web.1", 2);
    run.pm(&["kill", "@-web.1", "@-bad"])
        .ends(0)
        .prints("sent KILL to @-web.1\n")
        .notes("@-bad.1 has no worker\n");
    run.pm.wait_slot_ready("-web.1", 3);
    run.pm(&["kill", "-s", "HPU", "@-web"]).ends(2).notes("there is no signal `HPU`");
    run.pm(&["kill", "@-bad"]).ends(1).without_result().notes("@-bad.1 has no worker");
}

#[test]
fn a_pool_is_scaled_to_a_number_or_by_one() {
    let text = "[pool.POOL]\ncommand = ['WORKER', 'stay']\nworkers = 2\nready = { after = '0s' }\n\
                [pool.POOL-web]\ncommand = ['WORKER', 'listen', '{port}', 'stay']\nports = [PORT1]\n";
    let run = started(1, text);
    run.pm(&["scale", "@=4"]).ends(0).notes("@.4 is ready");
    run.pm(&["status", "-q", "@"]).ends(0).prints("@.1\n@.2\n@.3\n@.4\n");
    run.pm(&["scale", "@=-3"]).ends(0);
    let left = run.pm(&["status", "-q", "@"]).ends(0);
    assert_eq!(left.stdout, "@.1\n", "the highest numbers are removed first");
    run.pm(&["scale", "@=+1"]).ends(0).notes("@.2 is ready");
    run.pm(&["reload"]).ends(0);
    run.pm(&["status", "-q", "@"]).ends(0).prints("@.1\n@.2\n");
    run.pm(&["scale", "@-web=2"]).ends(2).without_result().notes("port");
    run.pm(&["scale", "@-wbe=2"]).ends(2).notes("did you mean `@-web`?");
    run.pm(&["scale", "@"]).ends(2).notes("write it like `web=5` or `web=+1`");
    run.pm(&["scale", "@=many"]).ends(2).notes("`many` is not a number of workers");
}

#[test]
fn a_reload_says_what_has_changed_and_a_dry_run_what_would() {
    let run = started(0, "[pool.POOL]\ncommand = ['WORKER', 'stay']\nready = { after = '0s' }\n");
    run.pm.rewrite(
        "[pool.POOL]\ncommand = ['WORKER', 'stay']\nready = { after = '0s' }\nworkers = 2\n",
    );
    run.pm(&["reload", "--dry-run"]).ends(0).prints("added @.2");
    run.pm(&["status", "-q"]).ends(0);
    assert_eq!(run.pm(&["status", "-q"]).stdout, "@.1\n", "nothing has changed");
    run.pm(&["reload"]).ends(0).prints("added @.2");
    assert_eq!(run.pm(&["status", "-q"]).stdout, "@.1\n@.2\n");
    run.pm.rewrite("[pool.POOL]\ncommand = 5\n");
    run.pm(&["reload"]).ends(2).without_result().notes("command");
    assert_eq!(run.pm(&["status", "-q"]).stdout, "@.1\n@.2\n");
}

#[test]
fn a_reload_warns_of_what_cannot_start_and_is_applied() {
    let run = started(0, "[pool.POOL]\ncommand = ['WORKER', 'stay']\nready = { after = '0s' }\n");
    run.pm.rewrite(
        "[pool.POOL]\ncommand = ['no-such-program']\n\
         [pool.POOL-far]\ncommand = ['WORKER', 'stay']\ncwd = 'missing'\n",
    );
    for words in [["reload", "--dry-run"].as_slice(), &["reload"], &["reload", "--json"]] {
        let said = run.pm(words).ends(0);
        let said = said.notes("warning: @ cannot start now: no-such-program: not found on PATH\n");
        let said = said.notes("warning: @-far cannot start now: cannot change to its folder ");
        said.notes("/missing: no such file or directory\n");
    }
    run.pm.says.wait_for(".1 cannot start: no-such-program: not found on PATH");
    run.pm.says.wait_for("-far.1 cannot start: cannot change to its folder");
}

#[test]
fn a_reload_looks_for_programs_where_the_running_pm_would() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("tools")).unwrap();
    symlink(worker_binary(), folder.path().join("tools/pm-test-tool")).unwrap();
    let text = "[pool.POOL]\ncommand = ['pm-test-tool', 'stay']\nready = { after = '0s' }\n";
    let pool = Pool::of_file(folder.path(), "pm.toml", 0, text).found_by_itself();
    let path =
        format!("{}:{}", folder.path().join("tools").display(), std::env::var("PATH").unwrap());
    let pool = pool.in_folder(folder.path()).with("PATH", &path).without("PM_SOCKET");
    let pm = pool.start();
    pm.wait_slot_ready(".1", 1);
    let run = Run { folder, pm };
    run.pm(&["reload"]).ends(0).quietly().prints("kept 1 worker");
    fs::remove_file(run.folder.path().join("tools/pm-test-tool")).unwrap();
    run.pm(&["reload"]).ends(0).notes("@ cannot start now: pm-test-tool: not found on PATH");
}

#[test]
fn a_reload_is_applied_before_programs_are_looked_for() {
    let Some(hangs) = HangingMount::new() else { return skip("no FUSE can be mounted here") };
    let text = "[pool.POOL]\ncommand = ['WORKER', 'stay']\nready = { after = '0s' }\n";
    let run = started(0, text);
    let program = hangs.folder().join("serve");
    run.pm.rewrite(&format!("{text}[pool.POOL-hung]\ncommand = [{program:?}]\n"));
    let mut reload = command(run.folder.path(), &["reload"]);
    let mut reload = reload.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(reload.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("added"), "{line}");
    run.pm.says.wait_for("-hung.1 has not started yet");
    // The command goes on when the file system is gone.
    drop(hangs);
    assert!(reload.wait().unwrap().success());
}

#[test]
fn shutdown_ends_when_pm_has_ended() {
    for words in [["shutdown"].as_slice(), &["down", "--now"], &["quit", "--no-wait"]] {
        let mut run = settled();
        let said = run.pm(words).ends(0);
        if words.contains(&"--no-wait") {
            said.prints("pm is stopping\n");
        } else {
            said.prints("pm has ended\n").notes("all workers stopped");
            assert!(!run.folder.path().join(".pm.sock").exists());
        }
        eventually("pm ends", || run.pm.has_ended().then_some(()));
        run.pm.wait_exit(0);
    }
}

#[test]
fn stop_all_leaves_pm_running() {
    let mut run = settled();
    run.pm(&["stop", "all"]).ends(0).prints("stopped\n");
    run.pm(&["why"]).ends(0).prints("no slot is in trouble");
    assert!(!run.pm.has_ended());
    run.pm(&["start", "@-web"]).ends(0);
}

#[test]
fn a_pm_that_is_stopping_starts_nothing_and_is_1() {
    let mut run = started(1, SLOW);
    run.pm(&["wait", "@-stubborn"]).ends(0);
    run.pm(&["shutdown", "--no-wait"]).ends(0).prints("pm is stopping\n");
    for words in
        [["start", "all"].as_slice(), &["restart", "all"], &["scale", "@-stubborn=2"], &["reload"]]
    {
        run.pm(words).ends(1).without_result().notes("pm is stopping");
    }
    run.pm(&["status"]).ends(0).prints("  stopping  ");
    run.pm(&["shutdown", "--now"]).ends(0).prints("pm has ended\n");
    run.pm.wait_exit(0);
}

#[test]
fn a_roll_goes_on_for_one_command_when_it_is_too_late_for_another() {
    let text = "[pool.POOL]\ncommand = ['WORKER', 'stay']\nworkers = 2\nready = { after = '1s' }\n";
    let run = started(0, text);
    for slot in [".1", ".2"] {
        run.pm.wait_slot_ready(slot, 1);
    }
    let mut roll = command(run.folder.path(), &["restart", "all", "--roll", "--timeout", "15s"]);
    let roll = roll.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    run.pm.says.wait_for(".1: replacing generation 1");
    run.pm(&["restart", "all", "--roll", "--timeout", "0s"]).ends(1).notes("not ready in time");
    let output = roll.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    run.pm.stop();
}
