//! What can prevent a start: a used port, a missing program, a limit; and what pm prints when it runs nothing.

use std::fs::{Permissions, copy, set_permissions, write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::geteuid;

use crate::sealed::skip_without_sealing;
use crate::support::pm::{Pm, ask};
use crate::support::pool::Pool;
use crate::support::processes::{is_alive, send};
use crate::support::programs::{pm_binary, shell, worker, worker_binary, worker_text};
use crate::support::run_mode::{size, skip};
use crate::support::waiting::{DEADLINE, eventually, for_as_long_as};

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

/// Stops a pm whose ports another process may hold.
fn stop_beside_another(mut pm: Pm) {
    pm.ports.clear();
    pm.stop();
}

/// Takes a port as soon as it is free.
fn take(port: u16) -> TcpListener {
    let until = Instant::now() + DEADLINE;
    loop {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(listener) => return listener,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
    }
}

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
fn without_proc_nothing_is_started() {
    if !geteuid().is_root() {
        return skip("only root can mount");
    }
    let script = "mount -t tmpfs none /proc && exec \"$0\" run --workers 1 -- /bin/true";
    let mut unshare = Command::new("unshare");
    let output = unshare.args(["-m", "sh", "-c", script]).arg(pm_binary()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("there is no /proc, so nothing was started"), "{said}");
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
    let pool = Pool::of(worker("stay")).of_size(12).after("ulimit -n 30");
    let pm = pool.start();
    let line = pm.says.wait_for(
        "too many open files (each worker needs two, each client one: raise the hard limit",
    );
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
    // The reactor has two threads, and each thread counts.
    let limit = "ulimit -p 5 2>/dev/null || ulimit -u 5";
    let pm = pool.in_folder(folder.path()).program(&pm).after(limit).start();
    let line = pm.says.wait_for("cannot fork: ");
    assert!(line.contains("(too many processes: see `ulimit -u`"), "{line}");
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
