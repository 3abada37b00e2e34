//! When the stop is over: nothing is left, nothing is started any more, and pm ends without delay.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::SIGTERM;

use crate::support::pm::ask;
use crate::support::pool::Pool;
use crate::support::programs::worker;
use crate::support::waiting::eventually;

#[test]
fn processes_that_left_the_group_do_not_outlive_pm() {
    // One child with its own session, and a daemon, whose parent has ended.
    let orders = "child ignore+TERM+setsid+stay child setsid+child+stay+exit+0 listen {port} stay";
    let mut pm = Pool::of(worker(orders)).on_ports(1).start();
    let leader = pm.wait_ready(1, 1);
    eventually("two have left the group", || {
        let members = pm.members();
        let away = members.iter().filter(|member| member.group != leader).count();
        (members.len() == 3 && away == 2).then_some(())
    });
    pm.signal(SIGTERM);
    pm.wait_exit(0);
}

#[test]
fn no_worker_starts_after_a_stop_during_many_exits() {
    for round in 0..20 {
        let mut pm = Pool::of(worker("say up await {port} exit 255")).on_ports(3).start();
        pm.says.wait_for_many(5 + round, "exited 255");
        pm.signal(SIGTERM);
        pm.wait_exit(0);
        let lines = pm.says.all_to_the_end();
        let stop = lines.iter().position(|line| line.contains("SIGTERM: "));
        let after = &lines[stop.expect("the stop is reported") + 1..];
        for absent in ["starting generation", "next try", "is ready", "cannot start"] {
            assert!(!after.iter().any(|line| line.contains(absent)), "{after:#?}");
        }
    }
}

#[test]
fn a_stop_during_a_backoff_ends_at_once() {
    let mut pm = Pool::of(worker("exit 1")).on_ports(1).start();
    pm.says.wait_for("next try in 8");
    pm.signal(SIGTERM);
    pm.wait_exit(0);
    pm.says.wait_for("SIGTERM: no worker to stop");
    assert_eq!(pm.says.with("SIGTERM: killing"), [""; 0], "a SIGTERM does not kill at once");
}

#[test]
fn pm_ends_when_its_last_worker_has_ended() {
    let late = (0..3).map(|_| {
        let mut pm = Pool::of(worker("drain 300 listen {port} stay")).on_ports(1).start();
        pm.wait_all_ready(1);
        let connection = TcpStream::connect((Ipv4Addr::LOCALHOST, pm.ports[0])).unwrap();
        assert_eq!(
            ask(pm.ports[0], "pid"),
            pm.wait_ready(1, 1).to_string(),
            "it has accepted both"
        );
        pm.signal(SIGTERM);
        // The connection ends when the worker ends.
        let _ = BufReader::new(connection).lines().count();
        let gone = Instant::now();
        pm.wait_exit(0);
        gone.elapsed()
    });
    // A busy machine may delay one of three, but not all.
    let late = late.min().expect("three");
    println!("pm ended {late:?} after its last worker");
    assert!(late < Duration::from_secs(1), "{late:?}");
}
