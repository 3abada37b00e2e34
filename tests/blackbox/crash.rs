//! Workers that exit or die by themselves: replacement, sweep and backoff.

use std::fs::{Permissions, set_permissions, write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::pm::ask;
use crate::support::pool::Pool;
use crate::support::processes::{self, is_alive, send};
use crate::support::programs::{shell, worker, worker_text};
use crate::support::waiting::eventually;

#[test]
fn a_killed_worker_is_replaced_on_its_port_and_the_others_are_untouched() {
    let pm = Pool::of(worker("listen {port} stay")).on_ports(3).start();
    let before = pm.wait_all_ready(3);
    send(Signal::SIGKILL, before[1]);
    let after = pm.wait_ready(2, 2);
    assert_ne!(after, before[1]);
    let serving = [1, 2, 3].map(|n| ask(pm.ports[n - 1], "pid"));
    assert_eq!(serving, [before[0], after, before[2]].map(|pid| pid.to_string()));
    let news = pm.says.wait_for(&format!("{} was killed by SIGKILL", pm.slot(2)));
    assert!(news.ends_with("starting generation 2"), "{news}");
    pm.stop();
}

#[test]
fn a_worker_that_had_been_ready_is_replaced_at_once_however_often_it_exits() {
    let pm = Pool::of(worker("listen {port} stay")).on_ports(1).start();
    for generation in 1..=50 {
        pm.wait_ready(1, generation);
        ask(pm.ports[0], "exit 255");
    }
    pm.wait_ready(1, 51);
    assert_eq!(pm.says.with("exited 255").len(), 50);
    assert_eq!(pm.says.with("next try in"), [""; 0]);
    pm.stop();
}

#[test]
fn three_workers_killed_at_once_are_all_replaced() {
    let pm = Pool::of(worker("listen {port} stay")).on_ports(3).start();
    let mut before = pm.wait_all_ready(3);
    for generation in 2..=11 {
        for pid in &before {
            send(Signal::SIGKILL, *pid);
        }
        before = (1..=3).map(|n| pm.wait_ready(n, generation)).collect();
    }
    assert_eq!(pm.wait_members(3).len(), 3);
    pm.stop();
}

#[test]
fn a_hundred_workers_killed_at_once_are_all_replaced() {
    let pm = Pool::of(worker("stay")).of_size(100).start();
    let before = pm.wait_all_ready(100);
    for pid in &before {
        send(Signal::SIGKILL, *pid);
    }
    let after = eventually("a second generation of all", || {
        let members = pm.members();
        let is_whole = members.len() == 100 && members.iter().all(|member| member.generation == 2);
        is_whole.then_some(members)
    });
    assert!(after.iter().all(|member| member.group == member.pid));
    pm.stop();
}

#[test]
fn the_group_of_a_dead_worker_is_swept_before_its_port_is_used_again() {
    let orders = "listen {port} heir ignore+TERM+stay stay";
    let pm = Pool::of(worker(orders)).on_ports(1).option("--grace", "0s").start();
    let replacements = (1..=3).map(|generation| {
        let leader = pm.wait_ready(1, generation);
        let members = pm.wait_members(2);
        let heir = members.iter().find(|member| member.pid != leader).expect("a grandchild");
        let killed = Instant::now();
        send(Signal::SIGKILL, leader);
        pm.wait_ready(1, generation + 1);
        assert!(!is_alive(heir.pid), "it does not hold the port any more");
        killed.elapsed()
    });
    let fastest = replacements.min().expect("three");
    // Without a timer. SIGKILL is repeated after a second, which would also free the port, but later.
    assert!(fastest < Duration::from_millis(900), "{fastest:?}");
    assert_eq!(pm.says.with("cannot start"), [""; 0]);
    assert_eq!(pm.says.with("before it was ready"), [""; 0]);
    assert_eq!(pm.says.with("starting generation 2").len(), 1, "one message for one event");
    pm.stop();
}

#[test]
fn an_orphan_that_left_the_group_is_killed_with_its_worker() {
    let pm = Pool::of(worker("child setsid+stay listen {port} stay")).on_ports(2).start();
    let leaders = pm.wait_all_ready(2);
    let orphan_of = |n: usize| {
        let slot = pm.slot(n);
        eventually("a session of its own", || {
            let members = pm.members().into_iter();
            members.into_iter().find(|member| member.slot == slot && member.group != leaders[n - 1])
        })
    };
    let (orphan, other) = (orphan_of(1), orphan_of(2));
    send(Signal::SIGKILL, leaders[0]);
    pm.wait_ready(1, 2);
    eventually("it is reaped", || processes::state(orphan.pid).is_none().then_some(()));
    assert!(is_alive(other.pid), "the other slot's is untouched");
    pm.stop();
}

#[test]
fn the_report_of_a_death_by_signal_names_the_signal() {
    let pm = Pool::of(worker("listen {port} stay")).on_ports(1).start();
    for (generation, signal) in (1..).zip(["SEGV", "ABRT", "TERM"]) {
        pm.wait_ready(1, generation);
        ask(pm.ports[0], &format!("raise {signal}"));
        pm.says.wait_for(&format!("was killed by SIG{signal} after"));
    }
    pm.stop();
}

#[test]
fn the_backoff_is_0_then_100_ms_and_then_doubles() {
    let pm = Pool::of(worker("exit 3")).on_ports(1).start();
    let lines = pm.says.wait_for_many(5, "exited 3 after");
    assert!(lines.iter().all(|line| line.contains(", before it was ready; ")), "{lines:?}");
    assert!(lines[0].ends_with("starting generation 2"), "{}", lines[0]);
    for (line, rest) in lines[1..].iter().zip([100, 200, 400, 800]) {
        let (_, said) = line.split_once("next try in ").expect("the next try");
        let said: u32 = said.strip_suffix("ms").expect("milliseconds").parse().expect("a number");
        assert!((rest..=rest * 11 / 10).contains(&said), "{line}");
    }
    pm.stop();
}

#[test]
fn a_backoff_lasts_as_long_as_reported() {
    let pm = Pool::of(worker("exit 3")).on_ports(1).start();
    pm.says.wait_for_many(1, "exited 3");
    let began = Instant::now();
    pm.says.wait_for_many(5, "exited 3");
    let lasted = began.elapsed().as_millis();
    assert!((600..3_000).contains(&lasted), "100 + 200 + 400 ms took {lasted} ms");
    pm.stop();
}

#[test]
fn a_repaired_program_becomes_ready_without_help() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("serve");
    let replace = |text: &str| {
        let new = folder.path().join("new");
        write(&new, format!("#!/bin/sh\n{text}\n")).unwrap();
        set_permissions(&new, Permissions::from_mode(0o755)).unwrap();
        std::fs::rename(&new, &script).unwrap();
    };
    replace("exit 1");
    let pm = Pool::of(vec![script.clone().into(), "{port}".into()]).on_ports(1).start();
    pm.says.wait_for("next try in 2");
    let serve = worker_text("listen \"$1\" stay");
    replace(&format!("exec {serve}"));
    pm.says.wait_for("is ready on port");
    ask(pm.ports[0], "exit 255");
    let news = pm.says.wait_for("exited 255");
    assert!(news.contains("; starting generation"), "ready has cleared the count: {news}");
    pm.stop();
}

#[test]
fn a_shell_and_its_children_are_one_worker() {
    let serve = worker_text("listen {port} stay");
    let pm = Pool::of(shell(&format!("{serve} & wait"))).on_ports(1).start();
    let shell = pm.wait_ready(1, 1);
    assert_ne!(ask(pm.ports[0], "pid"), shell.to_string());
    assert!(pm.members().iter().all(|member| member.group == shell));
    send(Signal::SIGKILL, shell);
    let next = pm.wait_ready(1, 2);
    assert!(pm.members().iter().all(|member| member.group == next));
    assert!(!Path::new("/proc").join(shell.to_string()).exists());
    pm.stop();
}
