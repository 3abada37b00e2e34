//! Whose listener makes a worker ready: its own and that of its descendants, and of no other process.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::take;
use crate::support::pm::ask;
use crate::support::pool::Pool;
use crate::support::programs::{shell, worker, worker_binary, worker_text};
use crate::support::run_mode::skip;
use crate::support::waiting::{eventually, for_as_long_as};

#[test]
fn a_process_that_takes_the_port_of_a_dead_worker_does_not_make_the_next_one_ready() {
    let pool = Pool::of(worker("wait 100 listen {port} stay")).on_ports(1);
    let mut pm = pool.option("--give-up-after", "3").start();
    pm.wait_ready(1, 1);
    let port = pm.ports[0];
    let thief = std::thread::spawn(move || take(port));
    ask(port, "exit 255");
    let thief = thief.join().unwrap();
    pm.says.wait_for(&format!("127.0.0.1:{port} is held by pid {} (", std::process::id()));
    pm.wait_end();
    pm.says.wait_for("giving up");
    assert_eq!(pm.says.with("generation 2)"), [""; 0], "the other process was probed");
    drop(thief);
    pm.wait_exit(1);
}

#[test]
fn a_worker_without_its_port_is_never_ready_and_the_holder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[pool.POOL]\ncommand = 'test $PM_GENERATION = 1 && exec WORKER listen {port} stay; \
                exec WORKER stay'\nports = PORT1\nready = { tcp = true, within = '3s' }\n";
    let pm = Pool::of_file(folder.path(), "pm.toml", 1, text).start();
    pm.wait_slot_ready(".1", 1);
    let port = pm.ports[0];
    let thief = std::thread::spawn(move || take(port));
    ask(port, "exit 255");
    let thief = thief.join().unwrap();
    let line = pm.says.wait_for("within 3s");
    let (me, comm) = (std::process::id(), std::fs::read_to_string("/proc/self/comm").unwrap());
    let named = format!(
        "did not listen on port {port} within 3s (last: 127.0.0.1:{port} is held by pid {me} ({}))",
        comm.trim()
    );
    assert!(line.contains(&named), "{line}");
    assert_eq!(pm.says.with("generation 2)"), [""; 0]);
    drop(thief);
    pm.stop();
}

#[test]
fn a_listener_that_a_daemon_has_started_for_the_worker_counts_after_a_while() {
    let pm = Pool::of(worker("say up stay")).on_ports(1).start();
    pm.prints.wait_for("up");
    // It begins after the worker and has nothing to do with any pm, as the proxy of a container.
    // The kernel counts the start of a process in steps of 10 ms.
    for_as_long_as(Duration::from_millis(50), || {});
    let port = pm.ports[0].to_string();
    let mut proxy = Command::new(worker_binary());
    proxy.args(["listen", &port, "stay"]).stdin(Stdio::null());
    let mut proxy = proxy.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    let is_ready = || {
        let line = pm.says.with("is ready on port").pop();
        (line.is_some() || began.elapsed() > Duration::from_secs(10)).then_some(line)
    };
    let line = eventually("it is ready, or long over", is_ready);
    let after = began.elapsed();
    proxy.kill().unwrap();
    proxy.wait().unwrap();
    assert!(line.is_some() && after > Duration::from_secs(2), "{line:?} after {after:?}");
    pm.stop();
}

#[test]
fn a_listener_among_the_descendants_of_a_worker_counts() {
    let server = worker_text("listen {port} stay");
    let stay = worker_text("stay");
    for script in [
        format!("{server} & wait"),
        // A daemon: its parent has ended, and it has left the group.
        format!("(setsid {server} &); exec {stay}"),
    ] {
        let pm = Pool::of(shell(&script)).on_ports(1).start();
        let line = pm.says.wait_for("is ready on port");
        let age = line.split_once(" after ").unwrap().1;
        assert!(age.split_once(" (").unwrap().0.ends_with("ms"), "{line}");
        pm.stop();
    }
}

#[test]
fn a_probe_that_connects_to_itself_makes_no_worker_ready() {
    let has_own_network =
        Command::new("unshare").args(["-n", "ip", "link", "set", "lo", "up"]).status();
    if !has_own_network.is_ok_and(|status| status.success()) {
        return skip("only root can make a network namespace, with unshare and ip");
    }
    let pool = Pool::of(worker("say up stay")).on_ports(1);
    // A connect to a port without a listener succeeds if the kernel chooses that same port for the other end.
    let port = pool.number_of_port(1);
    let range = format!("echo {port} {} > /proc/sys/net/ipv4/ip_local_port_range", port + 1);
    let inside = format!("ip link set lo up; {range}; exec \"$@\"");
    let mut pm = pool.after(&format!("exec unshare -n sh -c '{inside}' sh \"$0\" \"$@\"")).start();
    pm.prints.wait_for("up");
    for_as_long_as(Duration::from_millis(300), || {
        assert_eq!(pm.says.with("is ready"), [""; 0]);
    });
    pm.signal(Signal::SIGTERM);
    pm.wait_exit(0);
}

#[test]
fn a_worker_that_does_not_listen_is_not_ready() {
    let mut pm = Pool::of(worker("say up stay")).on_ports(1).start();
    pm.prints.wait_for("up");
    for_as_long_as(Duration::from_millis(500), || {
        assert_eq!(pm.says.with("is ready"), [""; 0]);
    });
    pm.signal(Signal::SIGTERM);
    pm.wait_exit(0);
}
