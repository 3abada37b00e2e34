//! SIGTSTP and SIGCONT: pm and its workers do what the later of the two says.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal::{self, SIGCONT, SIGTERM, SIGTSTP};
use nix::unistd::Pid;

use crate::support::pm::Pm;
use crate::support::pool::Pool;
use crate::support::processes::{state, status};
use crate::support::programs::worker;
use crate::support::run_mode::size;
use crate::support::waiting::eventually;

/// A pm with one worker, and all three processes.
fn running() -> (Pm, [Pid; 3]) {
    let pm = Pool::of(worker("drain 0 listen {port} stay")).on_ports(1).start();
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
