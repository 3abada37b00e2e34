//! No survivors: every way in which pm can die, times every kind of descendant that a worker can have.
//!
//! Each test is a row of the table in the README; `make matrix` prints it. The number in a cell is how many processes
//! of the pool are left.

use std::ffi::OsString;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::harness::{Pm, Pool, eventually, pm_binary, shell, worker_binary};
use crate::processes::{self, send};
use crate::terminal::Terminal;

/// What a worker does before it serves, and how many processes it then is.
const DESCENDANTS: [(&str, &str, usize); 7] = [
    ("worker", "", 1),
    ("child", "sleep 1000 &", 2),
    ("child that ignores TERM", "(trap '' TERM; exec sleep 1000) &", 2),
    ("setsid child", "setsid sleep 1000 &", 2),
    ("daemon", "(setsid sh -c 'sleep 1000 & :') ;", 2),
    ("stopped child", "sleep 1000 & kill -STOP $! ;", 2),
    ("200 children", "for n in $(seq 100); do (sleep 1000 & exec sleep 1000) & done;", 201),
];

/// A way for pm to end.
type Way = fn(&mut Pm, Option<Terminal>);

fn serve(before: &str) -> Vec<OsString> {
    shell(&format!("{before} exec {} listen {{port}} stay", worker_binary().display()))
}

/// Ends a pm on a worker with these descendants, and returns who is left of the pool.
fn survivors(way: Way, (_, before, count): (&str, &str, usize)) -> Vec<Pid> {
    let terminal = Terminal::open();
    let pool = Pool::of(serve(before)).on_ports(1).option("--grace", "1s");
    let mut pm = pool.in_terminal(&terminal).start();
    pm.is_ready(1, 1);
    pm.has_members(count);
    way(&mut pm, Some(terminal));
    pm.ends();
    let mut left = Vec::new();
    // The reactor of a killed guard has its grace; then all must be gone.
    eventually_or_not(|| {
        left = pm.members().iter().map(|member| member.pid).collect();
        left.is_empty()
    });
    left
}

/// Gives a fact the time of the grace and two seconds more to come true.
fn eventually_or_not(mut fact: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(3);
    while !fact() && Instant::now() < until {
        thread::park_timeout(Duration::from_millis(10));
    }
}

/// A row of the table. One at a time: there are a few hundred processes in each.
fn row(name: &str, way: Way) -> Vec<(&'static str, usize)> {
    static ONE_ROW: Mutex<()> = Mutex::new(());
    // A row that failed has ended what it had started.
    let _alone = ONE_ROW.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let cells: Vec<_> = thread::scope(|scope| {
        let cells = DESCENDANTS.map(|kind| (kind.0, scope.spawn(move || survivors(way, kind))));
        cells.into_iter().map(|(kind, cell)| (kind, cell.join().expect("a cell").len())).collect()
    });
    let counts: Vec<_> = cells.iter().map(|(_, count)| count.to_string()).collect();
    println!("matrix: | {name} | {} |", counts.join(" | "));
    cells
}

fn leaves_nobody(name: &str, way: Way) {
    for (kind, count) in row(name, way) {
        assert_eq!(count, 0, "{name}: {kind}");
    }
}

#[test]
fn ctrl_c_leaves_nobody() {
    leaves_nobody("Ctrl-C", |_, terminal| terminal.expect("a terminal").type_keys("\x03"));
}

#[test]
fn a_second_ctrl_c_leaves_nobody() {
    leaves_nobody("second Ctrl-C", |pm, terminal| {
        let terminal = terminal.expect("a terminal");
        terminal.type_keys("\x03");
        // Where nothing holds it up it has ended by now, and with it the terminal and what nobody had read.
        let heard = || (pm.has_ended() || !pm.says.with("SIGINT: ").is_empty()).then_some(());
        eventually("the first is heard", heard);
        eventually("it ends for whoever insists", || {
            terminal.type_keys("\x03");
            pm.has_ended().then_some(())
        });
    });
}

#[test]
fn sigterm_leaves_nobody() {
    leaves_nobody("TERM", |pm, _terminal| ended_by(pm, Signal::SIGTERM));
}

#[test]
fn sighup_leaves_nobody() {
    leaves_nobody("HUP", |pm, _terminal| ended_by(pm, Signal::SIGHUP));
}

#[test]
fn sigquit_leaves_nobody() {
    leaves_nobody("QUIT", |pm, _terminal| ended_by(pm, Signal::SIGQUIT));
}

#[test]
fn an_aborted_reactor_leaves_nobody() {
    leaves_nobody("reactor aborted", |pm, _terminal| send(Signal::SIGABRT, pm.reactor()));
}

#[test]
fn a_killed_reactor_leaves_nobody() {
    leaves_nobody("reactor killed with -9", |pm, _terminal| send(Signal::SIGKILL, pm.reactor()));
}

#[test]
fn a_killed_guard_leaves_nobody() {
    leaves_nobody("guard killed with -9", |pm, _terminal| {
        pm.signal(Signal::SIGKILL);
        pm.ends();
    });
}

#[test]
fn killing_every_process_named_pm_leaves_nobody() {
    leaves_nobody("killall -9 pm", |pm, _terminal| {
        let own = pm_binary().file_name().expect("a program").to_string_lossy().into_owned();
        // In ps, a name has at most 15 bytes (proc(5), /proc/PID/comm).
        let is_named_pm = |pid: &Pid| processes::status(*pid, "Name") == own[..own.len().min(15)];
        let (guard, reactor) = (pm.pid(), pm.reactor());
        eventually("the guard has its name", || {
            (processes::status(guard, "Name") == "pm-guard").then_some(())
        });
        let killed: Vec<_> = [guard, reactor].into_iter().filter(is_named_pm).collect();
        assert_eq!(killed, [reactor]);
        killed.into_iter().for_each(|pid| send(Signal::SIGKILL, pid));
    });
}

#[test]
fn a_stopped_and_killed_reactor_leaves_nobody() {
    leaves_nobody("reactor stopped, then killed", |pm, _terminal| {
        let reactor = pm.reactor();
        send(Signal::SIGSTOP, reactor);
        let is_stopped = || (processes::state(reactor) == Some('T')).then_some(());
        eventually("the reactor is stopped", is_stopped);
        send(Signal::SIGKILL, reactor);
    });
}

#[test]
fn a_closed_terminal_leaves_nobody() {
    leaves_nobody("terminal closed", |pm, terminal| {
        drop(terminal);
        pm.ends();
    });
}

/// Without root the kernel offers nothing that outlives both: a worker's own death signal does not reach its children.
/// Whoever needs this cell has a pid namespace or a cgroup around pm.
#[test]
fn both_killed_at_once_leave_no_worker() {
    let cells = row("both killed with -9 at once", |pm, _terminal| {
        let reactor = pm.reactor();
        // Stopped, neither can act on the other's death.
        send(Signal::SIGSTOP, reactor);
        send(Signal::SIGSTOP, pm.pid());
        send(Signal::SIGKILL, reactor);
        send(Signal::SIGKILL, pm.pid());
    });
    assert_eq!(cells[0], ("worker", 0));
}

fn ended_by(pm: &mut Pm, signal: Signal) {
    pm.signal(signal);
    // The terminal stays open until pm has ended.
    pm.ends();
}
