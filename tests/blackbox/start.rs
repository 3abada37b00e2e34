//! What can prevent a start: a used port, a missing program, a limit; and what pm prints when it runs nothing.

use std::fs::{Permissions, copy, set_permissions, write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::geteuid;

use crate::support::pm::ask;
use crate::support::pool::Pool;
use crate::support::processes::{is_alive, send};
use crate::support::programs::{pm_binary, worker, worker_binary};
use crate::support::run_mode::skip;
use crate::support::waiting::for_as_long_as;

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
    let named = format!("{slot} cannot start: port {port} is held by pid {pid} ({})", comm.trim());
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
    pm.says.wait_for(&format!("port {} is held by", pm.ports[0]));
    drop(foreign);
    pm.says.wait_for("is ready on port");
    pm.stop();
}

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
    assert!(line.contains(&format!("port {port} is held by pid {heir} (worker)")), "{line}");
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

#[test]
fn a_program_that_does_not_exist_is_a_failed_start() {
    let pm = Pool::of(vec!["no-such-program".into()]).on_ports(1).start();
    let lines = pm.says.wait_for_many(3, "cannot start: no-such-program: not found on PATH; ");
    assert!(lines[0].ends_with("trying again"), "{lines:?}");
    assert!(lines[2].contains("next try in 2"), "{lines:?}");
    pm.stop();
}

#[test]
fn a_file_that_is_not_executable_is_a_failed_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("job");
    write(&file, "#!/bin/sh\n").unwrap();
    let pm = Pool::of(vec![file.clone().into()]).of_size(1).start();
    let trouble = format!("cannot start: {}: not executable: permission denied", file.display());
    pm.says.wait_for_all(&[&trouble, "next try in 1"]);
    write(folder.path().join("exec"), "#!/no/such/interpreter\n").unwrap();
    set_permissions(folder.path().join("exec"), Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(folder.path().join("exec"), &file).unwrap();
    pm.says.wait_for("the interpreter that its first line names is not there");
    pm.stop();
}

#[test]
fn too_few_file_descriptors_are_a_failed_start_that_is_retried() {
    let pool = Pool::of(worker("stay")).of_size(12).after("ulimit -n 16");
    let pm = pool.start();
    let line = pm.says.wait_for("cannot open a pipe for its output: Too many open files");
    assert!(line.ends_with("; trying again") || line.contains("; next try in "), "{line}");
    // There is room for one worker again, and a slot uses it.
    let worker = pm.members()[0].clone();
    let before = pm.members().len();
    send(Signal::SIGKILL, worker.pid);
    pm.says.wait_for("was killed by SIGKILL");
    pm.wait_members(before);
    pm.stop();
}

#[test]
fn too_many_processes_are_a_failed_start_that_is_retried() {
    if !geteuid().is_root() {
        return skip("only root can become a user that has no process yet");
    }
    // The other user may have no access to the folder in which the programs were built.
    let folder = tempfile::tempdir().unwrap();
    set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let own = folder.path().join("worker");
    copy(worker_binary(), &own).unwrap();
    let pm = folder.path().join("pm");
    copy(pm_binary(), &pm).unwrap();
    let user = 100_000 + std::process::id() % 1_000_000;
    let pool = Pool::of(vec![own.into(), "stay".into()]).of_size(4).by_user(user);
    // The limit on processes is `-p` in dash and `-u` in bash.
    let limit = "ulimit -p 4 2>/dev/null || ulimit -u 4";
    let pm = pool.in_folder(folder.path()).program(&pm).after(limit).start();
    let line = pm.says.wait_for("cannot fork: ");
    assert!(line.contains("(too many processes); "), "{line}");
    let members = pm.wait_members(2);
    send(Signal::SIGKILL, members[0].pid);
    pm.says.wait_for("was killed by SIGKILL");
    let after = pm.wait_members(2);
    assert!(!is_alive(members[0].pid) && after != members);
    pm.stop();
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

#[test]
fn nothing_is_started_in_a_pid_namespace_without_its_own_proc() {
    for arguments in
        [&["run", "--workers", "1", "--", "true"][..], &["run", "--init", "--", "true"]]
    {
        let mut unshare = Command::new("unshare");
        unshare.args(["--pid", "--fork"]).arg(pm_binary()).args(arguments);
        let output = unshare.output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        if text.starts_with("unshare: ") {
            return skip(format!("only root can make a pid namespace: {text}"));
        }
        assert_eq!(output.status.code(), Some(3), "{text}");
        assert!(text.contains("`unshare --pid --fork --mount-proc`"), "{text}");
    }
}

#[test]
fn an_empty_folder_has_nothing_to_run() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(pm_binary()).current_dir(folder.path()).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text.starts_with("pm: nothing to run in "), "{text}");
    assert!(text.contains("`pm run --ports 8080-8082 -- ./server {port}`"), "{text}");
}

#[test]
fn help_and_version_exit_0() {
    for (argument, text) in [("--help", "Usage: pm"), ("--version", "pm ")] {
        let output = Command::new(pm_binary()).arg(argument).output().unwrap();
        assert!(output.status.success(), "{argument}");
        assert!(String::from_utf8(output.stdout).unwrap().contains(text), "{argument}");
    }
}

#[test]
fn the_first_message_names_the_slots_the_ports_and_ctrl_c() {
    let pm = Pool::of(worker("listen {port} stay")).on_ports(3).start();
    let line = pm.says.wait_for("keeping");
    let (first, last) = (pm.slot(1), pm.slot(3));
    assert!(line.contains(&format!("keeping {first} to {last} on ports ")), "{line}");
    assert!(line.ends_with("; Ctrl-C stops it"), "{line}");
    assert_eq!(pm.says.all()[0], line);
    pm.stop();
}
