//! Signals to a pm with `--init`: each reaches the command once, and no other one does.

use super::*;
use crate::support::run_mode::skip_without;

#[test]
fn each_signal_that_can_be_forwarded_reaches_the_command() {
    let signals: Vec<_> = numbers().filter(|n| !UNSEEN.contains(n)).collect();
    let traps: String = signals.iter().map(|n| format!("trap 'echo got {n}.' {n}; ")).collect();
    // The `sleep` it waits for is in the group, so it receives the signal too.
    let script = format!("{traps} echo ready; while :; do sleep 1000 & wait; done");
    let mut init = Init::of_shell(&script);
    init.prints.wait_for("ready");
    for signal in signals {
        send_number(signal, init.pid());
        init.prints.wait_for(&format!("got {signal}."));
    }
    let command = children_of(init.pid())[0];
    send(SIGKILL, command);
    init.wait_exit(128 + SIGKILL as i32);
}

#[test]
fn a_signal_reaches_the_whole_group_of_the_command() {
    let orders = "child ignore+USR1+stay child stay drain 60000 say ready stay";
    let mut init = Init::of_shell(&format!("exec {}", worker_text(orders)));
    init.prints.wait_for("ready");
    init.wait_members(4);
    let command = children_of(init.pid())[0];
    send(Signal::SIGUSR2, init.pid());
    // The default action of SIGUSR2 ends each process of the group.
    init.wait_exit(128 + Signal::SIGUSR2 as i32);
    assert!(!is_alive(command));

    let init =
        Init::of_shell(&format!("exec {}", worker_text("child stay drain 60000 say ready stay")));
    init.prints.wait_for("ready");
    init.wait_members(3);
    send(SIGTERM, init.pid());
    // The child ends at once; the command is still draining.
    init.wait_members(2);
}

#[test]
fn a_suspended_command_is_continued_for_a_signal_that_ends_it() {
    let mut init = Init::of_shell("echo ready; while :; do sleep 1000 & wait; done");
    init.prints.wait_for("ready");
    let command = children_of(init.pid())[0];
    send(Signal::SIGSTOP, command);
    wait_until("the command is stopped", || state(command) == Some('T'));
    send(SIGTERM, init.pid());
    init.wait_silent_exit(128 + SIGTERM as i32);
}

#[test]
fn the_command_gets_each_signal_once_and_no_other() {
    // The signals of an error of the program itself have no handler in the fixture.
    let faults = [libc::SIGILL, libc::SIGFPE, libc::SIGSEGV];
    let signals: Vec<_> =
        numbers().filter(|n| !UNSEEN.contains(n) && !faults.contains(n)).collect();
    let mut init = Init::of_shell(&format!("exec {}", worker_text("signals")));
    init.prints.wait_for("all handlers are set");
    for signal in &signals {
        send_number(*signal, init.pid());
        init.prints.wait_for(&format!("got {signal}."));
    }
    send(SIGKILL, children_of(init.pid())[0]);
    init.wait_exit(128 + SIGKILL as i32);
    let got = init.prints.all_to_the_end();
    let wanted: Vec<_> = signals.iter().map(|signal| format!("got {signal}.")).collect();
    assert_eq!(got[1..], wanted);
}

#[test]
fn a_stop_signal_suspends_the_command_and_pm_until_sigcont() {
    for signal in [Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU] {
        let mut init = Init::of_shell("echo ready; exec sleep 1000");
        init.prints.wait_for("ready");
        let command = children_of(init.pid())[0];
        let both = [init.pid(), command];
        send(signal, init.pid());
        wait_until("both are stopped", || both.iter().all(|pid| state(*pid) == Some('T')));
        send(Signal::SIGCONT, init.pid());
        wait_until("both go on", || both.iter().all(|pid| state(*pid) == Some('S')));
        send(SIGTERM, init.pid());
        init.wait_silent_exit(128 + SIGTERM as i32);
    }
}

#[test]
fn a_signal_that_ends_a_suspended_command_ends_pm_too() {
    let mut init = Init::of_shell("echo ready; exec sleep 1000");
    init.prints.wait_for("ready");
    let pm = init.pid();
    send(Signal::SIGTSTP, pm);
    wait_until("pm is stopped", || state(pm) == Some('T'));
    send(SIGTERM, pm);
    // What is stopped acts on a signal when it continues, as a shell's `kill %1` makes it do.
    send(Signal::SIGCONT, pm);
    init.wait_silent_exit(128 + SIGTERM as i32);
}

#[test]
fn a_signal_reaches_a_command_that_has_left_its_group() {
    if skip_without(&["perl".into()]) {
        return;
    }
    let leave = "setpgrp(0, getpgrp(getppid)) or die; $| = 1; print \"left\\n\"; sleep 1000";
    let mut init = Init::of(&["perl", "-e", leave]);
    init.prints.wait_for("left");
    send(SIGTERM, init.pid());
    init.wait_silent_exit(128 + SIGTERM as i32);
}
