//! How long workers have to stop, and that they can use that time.

use std::time::Duration;

use nix::sys::signal::Signal::{self, SIGSTOP, SIGTERM};
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::support::pm::Pm;
use crate::support::pool::Pool;
use crate::support::processes::{is_alive, send, state};
use crate::support::programs::worker;
use crate::support::waiting::{eventually, for_as_long_as};

/// Guard, reactor and workers.
fn processes_of(pm: &Pm) -> Vec<Pid> {
    let workers = pm.members().into_iter().map(|member| member.pid);
    [pm.pid(), pm.reactor()].into_iter().chain(workers).collect()
}

/// Stops these processes by SIGSTOP for this long.
fn freeze(all: &[Pid], time: Duration) {
    all.iter().for_each(|pid| send(SIGSTOP, *pid));
    let are_stopped = || all.iter().all(|pid| state(*pid) == Some('T'));
    eventually("all are stopped", || are_stopped().then_some(()));
    for_as_long_as(time, || assert!(are_stopped()));
    for pid in all {
        // pm continues its workers too, so a worker may have ended by now.
        let _ = kill(*pid, Signal::SIGCONT);
    }
}

#[test]
fn a_grace_is_not_over_while_pm_and_its_workers_are_stopped() {
    let pool = Pool::of(worker("drain 700 say up stay")).of_size(1);
    let mut pm = pool.option("--grace", "2s").start();
    pm.prints.wait_for("up");
    // To find them takes long where the machine has many processes.
    let all = processes_of(&pm);
    pm.signal(SIGTERM);
    pm.says.wait_for("SIGTERM: stopping 1 worker");
    freeze(&all, Duration::from_millis(2_500));
    pm.wait_exit(0);
    assert_eq!(pm.says.with("did not stop within"), [""; 0]);
    assert_eq!(pm.prints.with("drained").len(), 1);
}

#[test]
fn a_grace_of_0_kills_at_once() {
    let pool = Pool::of(worker("ignore TERM child ignore+TERM+stay listen {port} stay"));
    let mut pm = pool.on_ports(2).option("--grace", "0s").start();
    pm.wait_all_ready(2);
    pm.wait_members(4);
    pm.signal(SIGTERM);
    pm.wait_exit(0);
    pm.says.wait_for("SIGTERM: killing 2 workers");
    assert_eq!(pm.says.with("did not stop within"), [""; 0]);
}

#[test]
fn processes_that_outlive_their_group_leader_keep_the_rest_of_the_grace() {
    let pool = Pool::of(worker("child drain+400+say+up+stay listen {port} stay"));
    let mut pm = pool.on_ports(1).option("--grace", "1h").start();
    let leader = pm.wait_ready(1, 1);
    pm.prints.wait_for("up");
    pm.signal(SIGTERM);
    eventually("the leader is gone", || (!is_alive(leader)).then_some(()));
    pm.wait_exit(0);
    assert_eq!(pm.prints.wait_for_many(1, "drained").len(), 1);
}

#[test]
fn a_suspended_worker_is_continued_so_that_it_can_stop() {
    let pool = Pool::of(worker("drain 0 listen {port} stay")).option("--grace", "1h");
    let mut pm = pool.on_ports(1).start();
    let worker = pm.wait_ready(1, 1);
    send(SIGSTOP, worker);
    eventually("it is stopped", || (state(worker) == Some('T')).then_some(()));
    // Not by way of the guard: it sends SIGCONT after the signal, which the reactor passes on.
    send(SIGTERM, pm.reactor());
    pm.wait_exit(0);
    assert_eq!(pm.prints.wait_for_many(1, "drained").len(), 1);
}
