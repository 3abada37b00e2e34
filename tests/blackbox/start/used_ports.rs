//! A port that another process uses: its slot waits, the process is named, and the other slots start.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use super::stop_beside_another;
use crate::support::pm::{Pm, ask};
use crate::support::pool::Pool;
use crate::support::programs::{shell, worker, worker_text};
use crate::support::run_mode::{size, skip};
use crate::support::waiting::{eventually, for_as_long_as};

#[test]
fn a_foreign_process_on_a_port_is_named_once_and_the_other_slots_start() {
    let pool = Pool::of(worker("listen {port} stay")).on_ports(3);
    let foreign = TcpListener::bind((Ipv4Addr::LOCALHOST, pool.number_of_port(2))).unwrap();
    let pm = pool.start();
    pm.wait_ready(1, 1);
    pm.wait_ready(3, 1);
    let line = pm.says.wait_for("cannot start");
    let (slot, port, pid) = (pm.slot(2), pm.ports[1], std::process::id());
    let comm = std::fs::read_to_string("/proc/self/comm").unwrap();
    let named =
        format!("{slot} cannot start: 127.0.0.1:{port} is held by pid {pid} ({})", comm.trim());
    assert!(line.contains(&named), "{line}");
    // Several attempts happen in this time: the first at once, the next three within 0.8 s.
    for_as_long_as(Duration::from_secs(1), || {
        assert_eq!(pm.says.with("cannot start").len(), 1);
    });
    drop(foreign);
    pm.says.wait_for(&format!("{slot} is ready on port {port}"));
    pm.stop();
}

#[test]
fn a_foreign_process_on_the_ipv6_loopback_blocks_the_port_too() {
    let pool = Pool::of(worker("listen {port} stay")).on_ports(1);
    let Ok(foreign) = TcpListener::bind(("::1", pool.number_of_port(1))) else {
        return skip("there is no IPv6 here");
    };
    let pm = pool.start();
    pm.says.wait_for(&format!("cannot start: [::1]:{} is held by pid ", pm.ports[0]));
    drop(foreign);
    pm.says.wait_for("is ready on port");
    pm.stop();
}

#[test]
fn of_two_pm_on_the_same_ports_only_the_one_whose_worker_listens_says_ready() {
    for _ in 0..size("PM_TEST_RACES", 4, 50) {
        // A worker that cannot have its port takes a while to end.
        let command = shell(&format!("{}; exec sleep 0.1", worker_text("listen {port} stay")));
        let pool = Pool::of(command.clone()).on_ports(3);
        let ports = (1..=3).map(|n| pool.number_of_port(n).to_string()).collect::<Vec<_>>();
        let rival = Pool::of(command).option("--ports", &ports.join(","));
        let both = [pool.start(), rival.start()];
        for port in &ports {
            let ready = format!("is ready on port {port} ");
            let held = format!("127.0.0.1:{port} is held by pid ");
            let winner = eventually("one pm has the port and the other names it", || {
                let have = |pm: &Pm, text: &str| !pm.says.with(text).is_empty();
                let is_loser = |pm: &&Pm| have(pm, &held);
                both.iter().find(is_loser)?;
                both.iter().find(|pm| have(pm, &ready))
            });
            let pid = ask(port.parse().unwrap(), "pid").parse::<i32>().unwrap();
            let members = winner.members();
            assert!(members.iter().any(|member| member.pid.as_raw() == pid), "{pid}: {members:?}");
            let told: Vec<_> = both.iter().flat_map(|pm| pm.says.with(&ready)).collect();
            assert_eq!(told.len(), 1, "{told:?}");
        }
        both.into_iter().for_each(stop_beside_another);
    }
}

#[test]
fn a_connection_in_time_wait_does_not_block_the_port() {
    let pm = Pool::of(worker("listen {port} stay")).on_ports(1).start();
    pm.wait_ready(1, 1);
    // The side of the worker is closed first, by its death. It is in TIME_WAIT afterwards (tcp(7)).
    let client = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, pm.ports[0])).unwrap();
    ask(pm.ports[0], "exit 255");
    pm.wait_ready(1, 2);
    drop(client);
    assert_eq!(pm.says.with("cannot start"), [""; 0]);
    pm.stop();
}
