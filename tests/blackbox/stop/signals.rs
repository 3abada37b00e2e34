//! Which signals stop pm, which kill, and what a second one does.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal::{self, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use nix::unistd::Pid;

use super::three;
use crate::support::pm::ask;
use crate::support::pool::Pool;
use crate::support::processes::{is_alive, status};
use crate::support::programs::worker;
use crate::support::waiting::eventually;

fn stops_by(signal: Signal) {
    let mut pm = three().start();
    pm.wait_all_ready(3);
    pm.wait_members(6);
    pm.signal(signal);
    pm.wait_exit(0);
    pm.says.wait_for(&format!("{signal}: stopping 3 workers; SIGKILL in 5s"));
    pm.says.wait_for("all workers stopped after");
}

#[test]
fn sigterm_stops_all_workers() {
    stops_by(SIGTERM);
}

#[test]
fn sigint_stops_all_workers() {
    stops_by(SIGINT);
}

#[test]
fn sighup_stops_all_workers() {
    stops_by(SIGHUP);
}

#[test]
fn sigquit_kills_all_workers() {
    let orders = "child ignore+TERM+stay drain 60000 listen {port} stay";
    let mut pm = Pool::of(worker(orders)).on_ports(3).start();
    pm.wait_all_ready(3);
    pm.wait_members(6);
    pm.signal(SIGQUIT);
    pm.wait_exit(0);
    pm.says.wait_for("SIGQUIT: killing 3 workers");
}

#[test]
fn a_signal_sent_twice_at_once_counts_once() {
    // timeout(1) does this: it signals pm, and then the process group of pm.
    let is_fast = || {
        let pool = Pool::of(worker("drain 200 listen {port} stay")).on_ports(1);
        let mut pm = pool.start();
        pm.wait_all_ready(1);
        let began = Instant::now();
        pm.signal(SIGTERM);
        pm.says.wait_for("SIGTERM: stopping 1 worker");
        pm.signal(SIGTERM);
        let is_fast = began.elapsed() < Duration::from_millis(12);
        pm.wait_exit(0);
        assert!(!is_fast || pm.says.with("killing").is_empty());
        assert!(!is_fast || pm.prints.with("drained").len() == 1, "it had its grace");
        is_fast
    };
    eventually("both signals were sent within 12 ms", || is_fast().then_some(()));
}

#[test]
fn a_sigterm_after_a_sigint_kills_at_once() {
    let pool = Pool::of(worker("ignore TERM listen {port} stay")).option("--grace", "1h");
    let mut pm = pool.on_ports(1).start();
    pm.wait_all_ready(1);
    pm.signal(SIGINT);
    pm.says.wait_for("SIGINT: stopping 1 worker");
    eventually("pm kills after another signal", || {
        pm.signal(SIGTERM);
        (!pm.says.with("SIGTERM: killing 1 worker").is_empty()).then_some(())
    });
    pm.wait_exit(0);
}

#[test]
fn a_signal_during_the_start_of_pm_is_not_lost() {
    const TERM: u64 = 1 << (SIGTERM as u64 - 1);
    for _ in 0..20 {
        let mut pm = Pool::of(worker("listen {port} stay")).on_ports(1).start();
        // From its first instruction on, the reactor either blocks the signal or has a handler for it.
        let children = format!("/proc/{0}/task/{0}/children", pm.pid());
        let reactor = loop {
            let list = std::fs::read_to_string(&children).expect("pm lives");
            if let Some(pid) = list.split_whitespace().next() {
                break Pid::from_raw(pid.parse().expect("a number"));
            }
        };
        while pm.says.with("is ready").is_empty() {
            let mask = |name| u64::from_str_radix(&status(reactor, name), 16).expect("a mask");
            let (blocked, caught) = (mask("SigBlk"), mask("SigCgt"));
            // The masks are read one after the other. pm installs the handler before it unblocks the signal, so the
            // handlers are read once more.
            assert_ne!((blocked | caught | mask("SigCgt")) & TERM, 0);
        }
        pm.signal(SIGTERM);
        pm.wait_exit(0);
    }
}

#[test]
fn a_second_sighup_does_not_kill() {
    let pool = Pool::of(worker("drain 400 listen {port} stay")).option("--grace", "1h");
    let mut pm = pool.on_ports(1).start();
    pm.wait_all_ready(1);
    pm.signal(SIGHUP);
    pm.says.wait_for("SIGHUP: stopping 1 worker");
    pm.signal(SIGHUP);
    pm.wait_exit(0);
    assert_eq!(pm.prints.wait_for_many(1, "drained").len(), 1, "it had its grace");
}

#[test]
fn a_signal_that_was_ignored_when_pm_started_stays_ignored() {
    let pool = Pool::of(worker("listen {port} stay")).on_ports(1);
    let pm = pool.after("trap '' HUP INT").start();
    pm.wait_all_ready(1);
    pm.signal(SIGHUP);
    pm.signal(SIGINT);
    ask(pm.ports[0], "exit 255");
    pm.wait_ready(1, 2);
    assert_eq!(pm.says.with("stopping"), [""; 0]);
    pm.stop();
}

#[test]
fn usr1_and_usr2_do_not_end_pm() {
    let pm = Pool::of(worker("listen {port} stay")).on_ports(1).start();
    let before = pm.wait_ready(1, 1);
    let answers = [
        (Signal::SIGUSR1, "reload refused: the pool is on the command line"),
        (Signal::SIGUSR2, "SIGUSR2: ignored"),
    ];
    for (signal, answer) in answers {
        pm.signal(signal);
        pm.says.wait_for(answer);
    }
    assert!(is_alive(before));
    pm.stop();
}
