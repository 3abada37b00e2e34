//! Processes that have left the group of their worker, and that pm adopts when their parents have ended.

use std::time::Duration;

use nix::sys::signal::Signal::{SIGKILL, SIGTERM};
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::support::pool::Pool;
use crate::support::processes::{children_of, is_alive, send};
use crate::support::programs::{shell, worker};
use crate::support::waiting::{eventually, for_as_long_as};

#[test]
fn an_orphan_that_comes_after_the_stop_signal_is_sent_it_too() {
    // pm adopts the child when its parent, the leader, has died of the stop signal.
    let orders = "child setsid+drain+0+say+up+stay listen {port} stay";
    let mut pm = Pool::of(worker(orders)).on_ports(1).option("--grace", "1h").start();
    pm.wait_ready(1, 1);
    pm.prints.wait_for("up");
    pm.signal(SIGTERM);
    pm.wait_exit(0);
    assert_eq!(pm.prints.with("drained").len(), 1);
}

#[test]
fn an_orphan_of_an_orphan_does_not_outlive_a_reactor_without_its_guard() {
    // The stop signal ends the leader, and then `outer`. `inner` is left alone, and nothing tells whose it was.
    let inner = "setsid env -i sleep 1000 & echo inner $!; wait";
    let outer = format!("setsid sh -c '{inner}' & exec sleep 1000");
    let pm = Pool::of(shell(&outer)).of_size(1).start();
    let said = pm.prints.wait_for("inner ");
    let inner = said.split_once("inner ").expect("a pid").1.parse().expect("a pid");
    let inner = Pid::from_raw(inner);
    let reactor = pm.reactor();
    send(SIGKILL, pm.pid());
    eventually("the reactor ends", || (!is_alive(reactor)).then_some(()));
    let is_left = is_alive(inner);
    // Its name is not in the environment of the process: the support of the tests does not find it.
    let _ = kill(inner, SIGKILL);
    assert!(!is_left, "it outlives pm");
}

#[test]
fn processes_without_an_environment_that_a_probe_leaves_in_its_group_are_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "[pool.POOL]\ncommand = 'exec WORKER listen {port} stay'\nports = [PORT1]\n\
                alive = { exec = 'env -i sleep 1000 & true', every = '20ms', timeout = '20ms' }\n";
    let pm = Pool::of_file(folder.path(), "pm.toml", 1, text).start();
    pm.wait_slot_ready(".1", 1);
    let reactor = pm.reactor();
    for_as_long_as(Duration::from_millis(500), || assert!(children_of(reactor).len() <= 4));
    pm.stop();
}
