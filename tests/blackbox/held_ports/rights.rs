//! pm and workers of other users, pm below another pm, sealed runs, and what is left when pm is killed.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::clients::get;
use super::freeze;
use crate::sealed::skip_without_sealing;
use crate::support::pm::Pm;
use crate::support::pool::Pool;
use crate::support::processes::{send, status};
use crate::support::programs::{open_copies, pm_binary};
use crate::support::run_mode::skip;
use crate::support::waiting::eventually;

/// nobody
const USER: u32 = 65534;

fn address(pm: &Pm) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, pm.ports[0]).into()
}

/// Kills some generations. Each serves, and runs as this user, and may or may not gain privileges by a file.
fn survives_kills(pm: &Pm, user: u32, no_new_privileges: &str) {
    for generation in 1..=3 {
        let worker = pm.wait_ready(1, generation);
        assert!(status(worker, "Uid").starts_with(&user.to_string()));
        assert_eq!(status(worker, "NoNewPrivs"), no_new_privileges);
        assert!(get(address(pm)).unwrap().contains(&format!("pid {worker}")));
        freeze(worker);
        let waiting = TcpStream::connect(address(pm)).unwrap();
        send(Signal::SIGKILL, worker);
        get(address(pm)).unwrap();
        drop(waiting);
    }
}

/// `None`: the test is skipped.
fn pool(keys: &str) -> Option<(tempfile::TempDir, Pool)> {
    if !nix::unistd::geteuid().is_root() {
        skip("only root can start a program of another user");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let [pm, worker] = open_copies(folder.path());
    let worker = worker.display();
    let text = format!(
        "[pool.POOL]\ncommand = ['{worker}', 'listen', '{{port}}', 'stay']\n\
         ports = PORT1\nhold_port = true\n{keys}\n"
    );
    let pool = Pool::of_file(folder.path(), "pm.toml", 1, &text).program(&pm);
    let pool = pool.in_folder(folder.path());
    Some((folder, pool))
}

#[test]
fn a_port_is_held_for_workers_of_another_user() {
    let Some((_folder, pool)) = pool("user = 'nobody'") else { return };
    let pm = pool.start();
    survives_kills(&pm, USER, "0");
    pm.stop();
}

#[test]
fn a_pm_without_privileges_holds_a_port_too_and_its_workers_gain_none() {
    let Some((_folder, pool)) = pool("") else { return };
    let pm = pool.by_user(USER).start();
    survives_kills(&pm, USER, "1");
    pm.stop();
}

#[test]
fn a_pm_with_privileges_leaves_it_to_its_workers_to_gain_them() {
    let Some((_folder, pool)) = pool("") else { return };
    let pm = pool.start();
    survives_kills(&pm, 0, "0");
    pm.stop();
}

#[test]
fn a_killed_pm_leaves_no_process_and_no_socket() {
    let text = "[pool.POOL]\ncommand = ['WORKER', 'child', 'stay', 'listen', '{port}', 'stay']\n\
                ports = PORT1\nhold_port = true\n";
    let folder = tempfile::tempdir().unwrap();
    for victims in [[true, false], [false, true]] {
        let mut pm = Pool::of_file(folder.path(), "pm.toml", 1, text).start();
        pm.wait_ready(1, 1);
        pm.wait_members(2);
        let pids: [Pid; 2] = [pm.reactor(), pm.pid()];
        let killed = pids.iter().zip(victims).filter(|(_, is_killed)| *is_killed);
        killed.for_each(|(pid, _)| send(Signal::SIGKILL, *pid));
        pm.wait_end();
        eventually("nothing is left", || pm.members().is_empty().then_some(()));
        eventually("a refusal", || TcpStream::connect(address(&pm)).err());
    }
}

#[test]
fn a_port_is_held_in_a_sealed_run() {
    if skip_without_sealing() {
        return;
    }
    let text = "[pool.POOL]\ncommand = ['WORKER', 'listen', '{port}', 'stay']\n\
                ports = PORT1\nhold_port = true\n";
    let folder = tempfile::tempdir().unwrap();
    let pm = Pool::of_file(folder.path(), "pm.toml", 1, text).flag("--sealed").start();
    for generation in 1..=3 {
        let worker = pm.wait_ready(1, generation);
        freeze(worker);
        let waiting = TcpStream::connect(address(&pm)).unwrap();
        send(Signal::SIGKILL, worker);
        get(address(&pm)).unwrap();
        drop(waiting);
    }
    pm.stop();
}

#[test]
fn a_pm_below_another_one_that_holds_its_port_cannot_hold_one_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner.toml");
    let text = format!(
        "[pool.POOL]\ncommand = ['{}', 'run', '-f', '{}']\nenv = {{ PM_SOCKET = 'none' }}\n\
         ports = PORT1\nhold_port = true\n",
        pm_binary().display(),
        inner.display()
    );
    let pool = Pool::of_file(folder.path(), "pm.toml", 2, &text);
    let text = "[pool.inner]\ncommand = ['WORKER', 'listen', '{port}', 'stay']\n\
                ports = PORT2\nhold_port = true\n";
    std::fs::write(&inner, pool.filled_in(text)).unwrap();
    let pm = pool.start();
    let said = pm.prints.wait_for("cannot hold its port: seccomp(2):");
    assert!(said.contains("pm is itself below a supervisor that has such a filter"), "{said}");
    pm.stop();
}
