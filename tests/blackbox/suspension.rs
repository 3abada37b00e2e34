//! SIGTSTP and SIGCONT: pm and its workers do what the later of the two says.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal::{self, SIGCONT, SIGKILL, SIGSTOP, SIGTERM, SIGTSTP};
use nix::unistd::Pid;

use crate::sealed::skip_without_sealing;
use crate::support::pm::Pm;
use crate::support::pool::Pool;
use crate::support::processes::{is_alive, reactor_of, send, state, status};
use crate::support::programs::{worker, worker_text};
use crate::support::run_mode::size;
use crate::support::waiting::eventually;

/// A pm with one worker, and all three processes.
fn running() -> (Pm, [Pid; 3]) {
    let pm = Pool::of(worker("drain 0 listen {port} stay")).on_ports(1).in_own_group().start();
    let worker = pm.wait_ready(1, 1);
    let all = [pm.pid(), pm.reactor(), worker];
    (pm, all)
}

fn wait_stopped(all: &[Pid]) {
    eventually("all are stopped", || all.iter().all(|pid| state(*pid) == Some('T')).then_some(()));
}

fn wait_running(all: &[Pid]) {
    eventually("all go on", || {
        all.iter().all(|pid| matches!(state(*pid), Some('S' | 'R'))).then_some(())
    });
}

#[test]
fn a_sigcont_right_after_a_sigtstp_is_not_lost() {
    let (pm, all) = running();
    for n in 0..size("PM_TEST_SUSPENSIONS", 150, 2000) {
        pm.signal(SIGTSTP);
        let until = Instant::now() + Duration::from_micros(n * 37 % 400);
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        pm.signal(SIGCONT);
        // A reactor that is still about to stop would not end.
        eventually("the signals are handled", || all.iter().all(|pid| is_idle(*pid)).then_some(()));
        wait_running(&all);
    }
    pm.stop();
}

/// True if it waits and no signal waits for it.
fn is_idle(pid: Pid) -> bool {
    let pending = status(pid, "ShdPnd");
    state(pid) == Some('S') && u64::from_str_radix(&pending, 16) == Ok(0)
}

#[test]
fn a_sigtstp_right_after_a_sigcont_suspends() {
    let (pm, all) = running();
    for _ in 0..20 {
        pm.signal(SIGCONT);
        pm.signal(SIGTSTP);
        wait_stopped(&all);
        pm.signal(SIGCONT);
        wait_running(&all);
    }
    pm.stop();
}

#[test]
fn sigttin_and_sigttou_suspend_as_sigtstp_does() {
    let (pm, all) = running();
    for signal in [SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU] {
        pm.signal(signal);
        wait_stopped(&all);
        pm.signal(SIGCONT);
        wait_running(&all);
    }
    pm.stop();
}

#[test]
fn a_sigterm_right_after_a_sigtstp_stops_pm() {
    for _ in 0..10 {
        let (pm, _) = running();
        pm.signal(SIGTSTP);
        pm.signal(SIGTERM);
        // If pm is stopped already, it acts on the signal when it continues.
        pm.signal(SIGCONT);
        pm.wait_stopped();
    }
}

/// A SIGTSTP to the reactor alone suspends it and its workers, and a SIGCONT to it continues them. Both pass the guard
/// by, which still stops pm at once.
fn goes_on_after_signals_to_the_reactor_alone(pool: Pool) {
    let pm = pool.on_ports(1).start();
    let worker = pm.wait_ready(1, 1);
    let reactor = pm.reactor();
    for _ in 0..10 {
        send(SIGTSTP, reactor);
        wait_stopped(&[reactor, worker]);
        send(SIGCONT, reactor);
        wait_running(&[pm.pid(), reactor, worker]);
    }
    pm.stop();
}

#[test]
fn the_guard_is_not_left_stopped_by_signals_to_the_reactor_alone() {
    goes_on_after_signals_to_the_reactor_alone(Pool::of(worker("listen {port} stay")));
}

#[test]
fn the_guard_is_not_left_stopped_by_signals_to_a_sealed_reactor_alone() {
    if !skip_without_sealing() {
        let pool = Pool::of(worker("listen {port} stay")).flag("--sealed");
        goes_on_after_signals_to_the_reactor_alone(pool);
    }
}

#[test]
fn a_sigtstp_suspends_a_pm_whose_reactor_is_stopped_already() {
    for signal in [SIGSTOP, SIGTSTP] {
        let (pm, all) = running();
        send(signal, pm.reactor());
        wait_stopped(&[pm.reactor()]);
        pm.signal(SIGTSTP);
        wait_stopped(&[pm.pid(), pm.reactor()]);
        pm.signal(SIGCONT);
        wait_running(&all);
        pm.stop();
    }
}

/// Stops all of a pm, by a signal to its guard or to its reactor, and kills the guard. All has to end.
///
/// The reactor becomes a child of a process of its own session, as of a shell that is process 1 of a container. So the
/// kernel does not continue it, as it does where the new parent is in another session (setpgid(2)).
fn all_ends_without_the_guard(pool: Pool, signal: Signal) {
    let reaper = worker_text("subreaper exec /bin/sh -c");
    let script = format!("exec {reaper} '\"$0\" \"$@\"; exec sleep 1000' \"$0\" \"$@\"");
    let pm = pool.on_ports(1).after(&script).in_own_group().start();
    let worker = pm.wait_ready(1, 1);
    let guard = pm.reactor();
    let reactor = reactor_of(guard).unwrap();
    match signal {
        SIGSTOP => {
            send(SIGSTOP, reactor);
            wait_stopped(&[reactor]);
        }
        signal => {
            send(signal, guard);
            wait_stopped(&[guard, reactor, worker]);
        }
    }
    send(SIGKILL, guard);
    eventually("the reactor ends", || (!is_alive(reactor)).then_some(()));
    eventually("no process is left", || pm.members().is_empty().then_some(()));
}

#[test]
fn all_of_a_suspended_pm_ends_when_its_guard_is_killed() {
    for signal in [SIGTSTP, SIGSTOP] {
        all_ends_without_the_guard(Pool::of(worker("listen {port} stay")), signal);
    }
}

#[test]
fn all_of_a_suspended_sealed_pm_ends_when_its_guard_is_killed() {
    if skip_without_sealing() {
        return;
    }
    for signal in [SIGTSTP, SIGSTOP] {
        let pool = Pool::of(worker("listen {port} stay")).flag("--sealed");
        all_ends_without_the_guard(pool, signal);
    }
}
