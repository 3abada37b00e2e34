//! Which pm a command talks to, and that there is none.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use nix::sys::signal::Signal::SIGKILL;

use super::{command, pm, say, settled, started};
use crate::support::pool::Pool;
use crate::support::processes::send;
use crate::support::waiting::eventually;

const ONE: &str = "[pool.POOL]\ncommand = ['WORKER', 'stay']\nready = { after = '0s' }\n";

/// Each command, as short as it can be.
const COMMANDS: [&[&str]; 11] = [
    &["status"],
    &["why"],
    &["logs"],
    &["start", "all"],
    &["stop", "all"],
    &["restart", "all"],
    &["kill", "all"],
    &["scale", "web=1"],
    &["events"],
    &["reload"],
    &["shutdown"],
];

#[test]
fn without_a_pm_each_command_is_4() {
    let folder = tempfile::tempdir().unwrap();
    for words in COMMANDS {
        let said = pm(folder.path(), words).ends(4).without_result();
        said.notes("pm: no pm runs in ").notes(" or above; start one with `pm`");
    }
}

#[test]
fn a_socket_whose_pm_was_killed_is_4_in_other_words() {
    let mut run = settled();
    send(SIGKILL, run.pm.reactor());
    run.pm.wait_end();
    for words in COMMANDS {
        let said = pm(run.folder.path(), words).ends(4).without_result();
        said.notes(".pm.sock: no pm listens on it: the pm that made it was killed");
    }
    pm(run.folder.path(), &["status", "--socket", ".pm.sock"]).ends(4).notes("was killed");
    pm(run.folder.path(), &["status", "--socket", "pm.toml"]).ends(4).notes("not a control socket");
    pm(run.folder.path(), &["status", "--socket", "none.sock"]).ends(4).notes("no such socket");
}

#[test]
fn the_socket_of_another_user_is_4_and_names_the_user() {
    if !nix::unistd::geteuid().is_root() {
        return crate::support::run_mode::skip("only root can be another user");
    }
    let run = started(0, ONE);
    let [pm, _] = crate::support::programs::open_copies(run.folder.path());
    let mut status = std::process::Command::new(pm);
    status.arg("status").current_dir(run.folder.path()).env_remove("PM_SOCKET");
    std::os::unix::process::CommandExt::uid(&mut status, 65534);
    let said = say(&mut status).ends(4).without_result();
    said.notes(".pm.sock: it belongs to the pm of ").notes("try `sudo -u ");
}

#[test]
fn a_pm_is_found_from_a_folder_below() {
    let run = started(0, ONE);
    let below = run.folder.path().join("a/b");
    fs::create_dir_all(&below).unwrap();
    let mut status = command(&below, &["status", "-q"]);
    say(status.env("HOME", run.folder.path())).ends(0).prints(".1\n");
}

#[test]
fn of_several_pms_one_has_to_be_named() {
    let run = started(0, ONE);
    let dev = Pool::of_file(run.folder.path(), "dev.toml", 0, ONE);
    let dev = dev.without("PM_SOCKET").start();
    let jobs = Pool::of(crate::support::programs::worker("stay")).of_size(1);
    let jobs = jobs.in_folder(run.folder.path()).without("PM_SOCKET").start();
    for pm in [&dev, &jobs] {
        pm.says.wait_for("keeping");
    }
    let said = run.pm(&["status"]).ends(2).without_result();
    let said = said.notes("3 pms run here; name one with `-f`:\n").notes("  -f pm.toml ");
    let said = said.notes("  -f dev ");
    said.notes(&format!("  -f {} ", jobs.name.replace(&run.pm.name, "@")));
    run.pm(&["status", "-q", "-f", "pm.toml"]).ends(0).prints("@.1\n");
    for file in ["dev.toml", "dev"] {
        pm(run.folder.path(), &["status", "-q", "-f", file]).ends(0).prints(&dev.slot(1));
    }
    pm(run.folder.path(), &["status", "-q", "-f", &jobs.name]).ends(0).prints(&jobs.slot(1));
    pm(run.folder.path(), &["logs", "--file", "other.toml"])
        .ends(4)
        .notes(".other.pm.sock: there is no");
    pm(run.folder.path(), &["status", "-f", "x", "--socket", "y"])
        .ends(2)
        .notes("cannot be used with");
    let mut by_variable = command(run.folder.path(), &["status", "-q"]);
    say(by_variable.env("PM_SOCKET", ".dev.pm.sock")).ends(0).prints(&dev.slot(1));
    let mut by_option = command(run.folder.path(), &["status", "-q", "--socket", ".pm.sock"]);
    say(by_option.env("PM_SOCKET", ".dev.pm.sock")).ends(0).prints(&run.pm.slot(1));
}

#[test]
fn ls_without_a_runtime_folder_lists_none_and_says_why_but_for_root() {
    let folder = tempfile::tempdir().unwrap();
    let [program, worker] = crate::support::programs::open_copies(folder.path());
    let is_root = nix::unistd::geteuid().is_root();
    let run = is_root.then(|| {
        let text = ONE.replace("WORKER", worker.to_str().unwrap());
        let pool = Pool::of_file(folder.path(), "pm.toml", 0, &text).without("PM_SOCKET");
        let run = pool.without("XDG_RUNTIME_DIR").start();
        run.wait_ready(1, 1);
        run
    });
    let ls = |words: &[&str]| {
        let mut ls = std::process::Command::new(&program);
        ls.args(words).current_dir("/").env_remove("XDG_RUNTIME_DIR");
        ls
    };
    if let Some(run) = run {
        let socket = folder.path().join(".pm.sock");
        say(&mut ls(&["ls"])).ends(0).prints(socket.to_str().unwrap());
        run.stop();
    }
    let by_other = |words: &[&str]| {
        let mut ls = ls(words);
        if is_root {
            std::os::unix::process::CommandExt::uid(&mut ls, 65534);
        }
        say(&mut ls)
    };
    let said = by_other(&["ls"]).ends(0).without_result();
    let said =
        said.notes("XDG_RUNTIME_DIR is not a folder of this user, so no running pm is listed");
    assert!(!said.stderr.contains("no pm runs"), "that is not known: {said:#?}");
    assert_eq!(by_other(&["ls", "--json"]).ends(0).quietly().json(), serde_json::json!([]));
}

#[test]
fn ls_is_3_if_the_folder_of_the_links_is_not_one_of_the_user() {
    let runtime = tempfile::tempdir().unwrap();
    fs::write(runtime.path().join("pm"), "").unwrap();
    let mut ls = command(runtime.path(), &["ls"]);
    let said = say(ls.env("XDG_RUNTIME_DIR", runtime.path())).ends(3).without_result();
    said.notes("/pm: it is not a folder that belongs to pm's user alone; remove it");
}

#[test]
fn ls_has_each_running_pm_of_the_user() {
    let runtime = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ls =
        |words: &[&str]| say(command(folder.path(), words).env("XDG_RUNTIME_DIR", runtime.path()));
    ls(&["ls"]).ends(0).without_result().notes("no pm runs\n");
    assert_eq!(ls(&["ls", "--json"]).ends(0).quietly().json(), serde_json::json!([]));
    let pool = Pool::of_file(folder.path(), "pm.toml", 0, ONE);
    let pool = pool.without("PM_SOCKET");
    let mut run = pool.with("XDG_RUNTIME_DIR", runtime.path().to_str().unwrap()).start();
    run.wait_ready(1, 1);
    let socket = folder.path().join(".pm.sock").display().to_string();
    let said = ls(&["ls"]).ends(0).quietly().prints(&socket).prints(" 1/1 ");
    assert!(said.stdout.contains(" UP  READY  SOCKET\n"), "{said:#?}");
    let listed = ls(&["ls", "--json"]).ends(0).json();
    assert_eq!((&listed[0]["socket"], &listed[0]["ready"]), (&socket.into(), &1.into()));
    run.signal(SIGKILL);
    run.wait_end();
    eventually("it is listed no more", || ls(&["ls"]).stdout.is_empty().then_some(()));
}

#[test]
fn a_command_goes_on_without_the_stream_for_which_pm_has_no_room() {
    let run = started(0, ONE);
    let socket = run.folder.path().join(".pm.sock");
    let follow = |_| {
        let mut client = UnixStream::connect(&socket).unwrap();
        client.write_all(b"GET /v1/events?follow=1 HTTP/1.0\r\n\r\n").unwrap();
        // The answer has begun.
        client.read_exact(&mut [0; 12]).unwrap();
        client
    };
    let clients: Vec<_> = (0..32).map(follow).collect();
    for words in [&["logs", "-f"][..], &["events"]] {
        let refused = run.pm(words).ends(1).without_result();
        refused.notes(
            "pm: 32 clients read events or lines of this pm or are attached, and no more can",
        );
    }
    run.pm(&["status"]).ends(0).quietly();
    run.pm(&["logs"]).ends(0).quietly();
    run.pm(&["wait", "all"]).ends(0).notes("what happens is not shown: 32 clients read ");
    run.pm(&["restart", "all"]).ends(0).prints("@.1 is ready");
    run.pm(&["shutdown"]).ends(0).prints("pm is stopping\n").notes("what happens is not shown");
    let mut pm = run.pm;
    assert!(pm.wait_end().success());
    drop(clients);
}
