//! The order of work in one wakeup: signals, exits, notifications, deadlines. The reactor is suspended until all of
//! them wait for it.

use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::{SIGCONT, SIGKILL, SIGSTOP, SIGTERM};
use nix::unistd::Pid;

use crate::support::pm::Pm;
use crate::support::pool::Pool;
use crate::support::processes::{send, state};
use crate::support::programs::worker;
use crate::support::waiting::{eventually, for_as_long_as};

/// Suspends the reactor while `prepare` runs, so that it finds all that has happened in one wakeup.
fn in_one_wakeup(pm: &Pm, prepare: impl FnOnce()) {
    let reactor = pm.reactor();
    send(SIGSTOP, reactor);
    eventually("the reactor is suspended", || (state(reactor) == Some('T')).then_some(()));
    prepare();
    send(SIGCONT, reactor);
}

fn wait_for_exit(worker: Pid) {
    eventually("the worker has exited", || (state(worker) == Some('Z')).then_some(()));
}

#[test]
fn an_exit_counts_before_a_deadline_that_has_come_too() {
    let grace = Duration::from_secs(2);
    let pool = Pool::of(worker("drain 300 listen {port} stay")).option("--grace", "2s");
    let mut pm = pool.on_ports(1).start();
    let worker = pm.wait_ready(1, 1);
    pm.signal(SIGTERM);
    pm.says.wait_for("SIGTERM: stopping 1 worker");
    let terminated = Instant::now();
    in_one_wakeup(&pm, || {
        wait_for_exit(worker);
        for_as_long_as(grace.saturating_sub(terminated.elapsed()), || {});
    });
    pm.wait_exit(0);
    pm.prints.wait_for("drained");
    assert_eq!(pm.says.with("did not stop within"), [""; 0]);
}

#[test]
fn a_wish_to_stop_that_comes_between_two_exits_is_granted_between_them() {
    const WORKERS: usize = 60;
    let folder = tempfile::tempdir().expect("a folder");
    // The first worker that is replaced asks pm to stop.
    let text = format!(
        "[pool.POOL]\nworkers = {WORKERS}\nready = {{ after = '0s' }}\n\
         command = 'test $PM_GENERATION = 1 || kill -TERM $PPID; exec sleep 1000'\n"
    );
    let replaced = || {
        let mut pm = Pool::of_file(folder.path(), "pm.toml", 0, &text).start();
        let workers = pm.wait_all_ready(WORKERS);
        in_one_wakeup(&pm, || {
            workers.iter().for_each(|worker| send(SIGKILL, *worker));
            workers.iter().for_each(|worker| wait_for_exit(*worker));
        });
        pm.wait_exit(0);
        pm.says.with("generation 2)").len()
    };
    // A busy machine may run the first of them only when all are replaced.
    eventually("some workers are not replaced", || (replaced() < WORKERS).then_some(()));
}

#[test]
fn a_notification_that_is_read_after_the_exit_of_its_sender_does_not_count_for_the_next_worker() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "[pool.POOL]\nready = { notify = true }\n\
                command = 'test $PM_GENERATION = 1 || exec WORKER stay; \
                exec WORKER await PORT1 notify READY=1 exit 1'\n";
    let pm = Pool::of_file(folder.path(), "pm.toml", 1, text).start();
    let worker = pm.wait_members(1)[0].pid;
    in_one_wakeup(&pm, || {
        eventually("it notifies", || TcpStream::connect((Ipv4Addr::LOCALHOST, pm.ports[0])).ok());
        wait_for_exit(worker);
    });
    pm.says.wait_for("exited 1");
    eventually("the next worker", || {
        pm.members().iter().any(|one| one.pid != worker).then_some(())
    });
    for_as_long_as(Duration::from_millis(300), || {
        assert_eq!(pm.says.with("is ready"), [""; 0]);
    });
    pm.stop();
}
