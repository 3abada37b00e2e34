//! Ports in a sealed run: which process listens, inside and outside, where each process has two numbers.

use std::fs::{read_to_string, write};
use std::process::{Command, Stdio};

use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use procfs::process::Process;

use crate::sealed::skip_without_sealing;
use crate::support::pool::Pool;
use crate::support::programs::{worker, worker_binary, worker_text};
use crate::support::run_mode::skip;
use crate::support::waiting::eventually;

#[test]
fn a_sealed_worker_whose_daemon_listens_is_ready() {
    if skip_without_sealing() {
        return;
    }
    let orders = worker("daemon listen+{port}+stay stay");
    let pm = Pool::of(orders).flag("--sealed").on_ports(1).start();
    pm.wait_ready(1, 1);
    pm.stop();
}

/// Waits until the next process begins at a later tick of the machine than this one.
fn wait_for_the_tick_after(pid: Pid) {
    let began = Process::new(pid.as_raw()).and_then(|process| process.stat()).unwrap().starttime;
    eventually("the next tick", || {
        let uptime = read_to_string("/proc/uptime").unwrap();
        let seconds: f64 = uptime.split_whitespace().next().unwrap().parse().unwrap();
        (seconds * procfs::ticks_per_second() as f64 > (began + 1) as f64).then_some(())
    });
}

#[test]
fn a_process_outside_that_began_later_may_listen_for_a_sealed_worker() {
    if skip_without_sealing() {
        return;
    }
    let pool = Pool::of(worker("introduce stay")).flag("--sealed").on_ports(1);
    let port = pool.number_of_port(1).to_string();
    let pm = pool.start();
    pm.wait_introduced(1);
    wait_for_the_tick_after(pm.wait_members(1)[0].pid);
    // It ends with the test, whose end of its stdin is closed then.
    let mut outside = Command::new(worker_binary());
    outside.args(["listen", &port, "stdin"]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut outside = outside.spawn().unwrap();
    pm.wait_ready(1, 1);
    drop(outside.stdin.take());
    outside.wait().unwrap();
    pm.stop();
}

/// In a pid namespace with few processes, some of them wait outside of the sealed run, each for a word in the FIFO of
/// its number. The one whose number is that of the worker inside then listens on the port of the worker.
#[test]
fn a_process_outside_with_the_number_of_a_sealed_worker_is_not_taken_for_it() {
    let namespace = ["--pid", "--fork", "--mount-proc"];
    let tried = Command::new("unshare").args(namespace).arg("true").status();
    if skip_without_sealing() {
        return;
    }
    if !tried.is_ok_and(|status| status.success()) {
        return skip("there is no unshare here, or only root may make a pid namespace");
    }
    let folder = tempfile::tempdir().unwrap();
    for number in 1..60 {
        mkfifo(&folder.path().join(number.to_string()), Mode::S_IRWXU).unwrap();
    }
    let text = "sealed = true\n[pool.POOL]\ncommand = ['WORKER', 'introduce', 'stay']\n\
                ports = PORT1\nready = { tcp = true, within = '3s' }\n";
    let pool = Pool::of_file(folder.path(), "pm.toml", 1, text);
    let listen = worker_text(&format!("listen {} stay", pool.number_of_port(1)));
    let fifos = folder.path().display();
    let outside = format!(
        "for n in $(seq 30); do sh -c 'read go < {fifos}/$$ && exec {listen}' & done\n\"$@\"\n"
    );
    let script = folder.path().join("script");
    write(&script, outside).unwrap();
    let unshare = format!("exec unshare --pid --fork --mount-proc sh {}", script.display());
    let pm = pool.after(&format!("{unshare} \"$0\" \"$@\"")).start();
    let inside = pm.wait_introduced(1);
    write(folder.path().join(inside.to_string()), "go\n").unwrap();
    let line = eventually("it is ready or not", || {
        let [ready, held] = ["is ready", "did not listen"].map(|words| pm.says.with(words));
        ready.into_iter().chain(held).next()
    });
    assert!(line.contains("(worker)") && !line.contains("is ready"), "{line}");
}
