//! What a command leaves behind under `--init`: it gets SIGTERM, and SIGKILL after the grace.

use std::time::{Duration, Instant};

use super::*;

#[test]
fn orphans_are_reaped_while_the_command_lives() {
    let init = Init::of_shell("(setsid sleep 1000 & echo orphan $!); exec sleep 1000");
    let orphan = number(&init.prints, "orphan");
    wait_until("the orphan is pm's", || children_of(init.pid()).contains(&orphan));
    send(SIGKILL, orphan);
    wait_until("the orphan is reaped", || state(orphan).is_none());
    assert_eq!(init.wait_members(2).len(), 2, "pm and its command are there");
}

#[test]
fn processes_that_the_command_leaves_are_killed() {
    let mut init = Init::with(
        &["--grace", "200ms"],
        &[
            "sh",
            "-c",
            "setsid sleep 1000 & (setsid sh -c 'sleep 1000 & :'); (trap '' TERM HUP; exec sleep 1000) & \
         sleep 1000 & kill -STOP $!; read line; exit 3",
        ],
    );
    init.wait_members(6);
    init.type_line("");
    init.wait_silent_exit(3);
}

/// A command that starts these workers in the background, waits for a line of stdin, and exits 3.
fn that_leaves(grace: &str, workers: &[&str]) -> Init {
    let started: String =
        workers.iter().map(|orders| format!("{} & ", worker_text(orders))).collect();
    let init =
        Init::with(&["--grace", grace], &["sh", "-c", &format!("{started} read line; exit 3")]);
    init.prints.wait_for_many(workers.len(), "up");
    init
}

#[test]
fn processes_that_the_command_leaves_get_sigterm_once_and_their_grace() {
    // One in the group of the command, one in a session of its own, and one whose parent is of the other two kinds.
    let one = "drain 300 say up stay";
    let mut init = that_leaves("1h", &[one, "setsid drain 300 say up stay"]);
    init.type_line("");
    init.wait_silent_exit(3);
    assert_eq!(init.prints.all_to_the_end(), ["up", "up", "drained", "drained"]);
}

#[test]
fn each_process_that_the_command_leaves_gets_sigterm_once() {
    let mut init =
        that_leaves("1s", &["child signals say up stay", "setsid child signals say up stay"]);
    init.prints.wait_for_many(2, "all handlers are set");
    init.type_line("");
    init.wait_silent_exit(3);
    let got = init.prints.all_to_the_end();
    let count = |word: &str| got.iter().filter(|line| *line == word).count();
    assert_eq!((count("got 15."), count("got 18.")), (2, 2), "{got:?}");
}

#[test]
fn a_process_that_ignores_sigterm_is_killed_after_the_grace() {
    let mut init =
        that_leaves("300ms", &["ignore TERM say up stay", "ignore TERM setsid say up stay"]);
    init.type_line("");
    let began = Instant::now();
    init.wait_silent_exit(3);
    assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
}

#[test]
fn with_a_grace_of_0_no_process_gets_sigterm() {
    let mut init = that_leaves("0s", &["drain 0 say up stay"]);
    init.type_line("");
    init.wait_silent_exit(3);
    assert_eq!(init.prints.all_to_the_end(), ["up"]);
}

#[test]
fn sigint_and_sigquit_end_the_grace() {
    for signal in [SIGINT, Signal::SIGQUIT] {
        let mut init = that_leaves("1h", &["ignore TERM setsid say up stay"]);
        let command = children_of(init.pid())[0];
        init.type_line("");
        wait_until("the command has ended", || state(command).is_none());
        send(signal, init.pid());
        init.wait_silent_exit(3);
    }
}

#[test]
fn a_stopped_process_is_continued_for_its_sigterm() {
    let mut init = Init::with(
        &["--grace", "1h"],
        &[
            "sh",
            "-c",
            "sleep 1000 & kill -STOP $!; setsid sh -c 'kill -STOP $$' & read line; exit 3",
        ],
    );
    wait_until("both are stopped", || {
        let members = processes::members_of(&init.name);
        members.iter().filter(|one| state(one.pid) == Some('T')).count() == 2
    });
    init.type_line("");
    init.wait_silent_exit(3);
}
