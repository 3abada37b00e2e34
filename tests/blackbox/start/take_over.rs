//! Workers that an earlier pm has left: they are known, and killed only with `--take-over`; those of a living pm never.

use std::fs::copy;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::stop_beside_another;
use crate::sealed::skip_without_sealing;
use crate::support::pool::Pool;
use crate::support::processes::{is_alive, send};
use crate::support::programs::{pm_binary, worker};
use crate::support::waiting::for_as_long_as;

#[test]
fn a_worker_of_an_earlier_pm_is_named_and_killed_only_with_take_over() {
    let folder = tempfile::tempdir().unwrap();
    // Guard and reactor killed at once: the only way that leaves a process. The heir has the listening socket.
    let orders = "listen {port} heir stay stay";
    let mut dead = Pool::of(worker(orders)).on_ports(1).in_folder(folder.path()).start();
    dead.wait_ready(1, 1);
    dead.wait_members(2);
    let reactor = dead.reactor();
    send(Signal::SIGSTOP, dead.pid());
    send(Signal::SIGKILL, reactor);
    send(Signal::SIGKILL, dead.pid());
    dead.wait_end();
    let heir = dead.wait_members(1)[0].pid;

    let port = dead.ports[0].to_string();
    let again = || {
        let pool = Pool::of(worker("listen {port} stay")).option("--ports", &port);
        pool.in_folder(folder.path())
    };
    let careful = again().start();
    let line = careful.says.wait_for("which an earlier pm has left here; `--take-over` would kill");
    assert!(line.contains(&format!("127.0.0.1:{port} is held by pid {heir} (worker)")), "{line}");
    assert!(is_alive(heir));
    careful.stop();

    let elsewhere = Pool::of(worker("listen {port} stay")).option("--ports", &port);
    let elsewhere = elsewhere.flag("--take-over").start();
    elsewhere.says.wait_for(&format!("is held by pid {heir} (worker); trying until it is free"));
    assert!(is_alive(heir), "it was started in another folder");
    elsewhere.stop();

    let bold = again().flag("--take-over").start();
    bold.says.wait_for("which an earlier pm has left here; killing it");
    bold.says.wait_for("is ready on port");
    assert!(!is_alive(heir));
    bold.stop();
}

#[test]
fn a_stale_worker_without_an_environment_is_known_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let orders = "listen {port} heir forget+introduce+stay stay";
    let mut dead = Pool::of(worker(orders)).on_ports(1).in_folder(folder.path()).start();
    dead.wait_ready(1, 1);
    let heir = dead.wait_introduced(1);
    let reactor = dead.reactor();
    send(Signal::SIGSTOP, dead.pid());
    send(Signal::SIGKILL, reactor);
    send(Signal::SIGKILL, dead.pid());
    dead.wait_end();
    assert!(is_alive(heir));

    let port = dead.ports[0].to_string();
    let pool = Pool::of(worker("listen {port} stay")).option("--ports", &port);
    let bold = pool.in_folder(folder.path()).flag("--take-over").start();
    bold.says.wait_for("which an earlier pm has left here; killing it");
    bold.says.wait_for("is ready on port");
    assert!(!is_alive(heir));
    bold.stop();
}

#[test]
fn take_over_leaves_the_worker_of_a_living_pm_alone_whatever_that_pm_is_called() {
    let folder = tempfile::tempdir().unwrap();
    let renamed = folder.path().join("keeper");
    copy(pm_binary(), &renamed).unwrap();
    take_over_leaves_alone(&folder, |pool| pool.program(&renamed));
}

#[test]
fn take_over_leaves_the_worker_of_a_living_sealed_pm_alone() {
    if skip_without_sealing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    take_over_leaves_alone(&folder, |pool| pool.flag("--sealed"));
}

/// A pm that takes over leaves the worker of this one alone, which runs in the same folder.
fn take_over_leaves_alone(folder: &tempfile::TempDir, as_living: impl FnOnce(Pool) -> Pool) {
    let pool = Pool::of(worker("listen {port} stay")).on_ports(1).in_folder(folder.path());
    let living = as_living(pool).start();
    let first = living.wait_ready(1, 1);
    let port = living.ports[0].to_string();
    let rival = Pool::of(worker("listen {port} stay")).option("--ports", &port);
    let rival = rival.flag("--take-over").in_folder(folder.path()).start();
    let line = rival.says.wait_for(&format!("127.0.0.1:{port} is held by pid {first} (worker)"));
    assert!(line.contains("; trying until it is free"), "{line}");
    // Several attempts happen in this time.
    for_as_long_as(Duration::from_millis(500), || assert!(is_alive(first)));
    stop_beside_another(rival);
    living.stop();
}
