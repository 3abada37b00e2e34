//! No survivors: each way in which pm can end, with each kind of descendant that a worker can have.
//!
//! Each test is a row of the table in the README; `make matrix` prints it. The number in a cell is how many processes
//! of the pool are left.

use std::ffi::OsString;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::sealed::{kill_all_at_once, skip_without_sealing};
use crate::support::pm::Pm;
use crate::support::pool::Pool;
use crate::support::processes::{self, send};
use crate::support::programs::{pm_binary, shell, worker_binary};
use crate::support::terminal::Terminal;
use crate::support::waiting::eventually;

/// The kind, what a worker does before it listens, and how many processes there are then.
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

/// Ends a pm whose worker has these descendants. Returns the processes that are left of the pool.
fn survivors(way: Way, flags: &[&str], (_, before, count): (&str, &str, usize)) -> Vec<Pid> {
    let terminal = Terminal::open();
    let pool = Pool::of(serve(before)).on_ports(1).option("--grace", "1s");
    let pool = flags.iter().fold(pool, |pool, flag| pool.flag(flag));
    let mut pm = pool.in_terminal(&terminal).start();
    pm.wait_ready(1, 1);
    pm.wait_members(count);
    way(&mut pm, Some(terminal));
    pm.wait_end();
    let mut left = Vec::new();
    // If the guard was killed, the reactor still gives its workers the grace.
    eventually_or_not(|| {
        left = pm.members().iter().map(|member| member.pid).collect();
        left.is_empty()
    });
    left
}

/// Waits for a fact, for the grace and two seconds more.
fn eventually_or_not(mut fact: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(3);
    while !fact() && Instant::now() < until {
        thread::park_timeout(Duration::from_millis(10));
    }
}

/// One row of the table. The rows run one after another, since each has some hundred processes.
fn row(name: &str, way: Way, flags: &[&str]) -> Vec<(&'static str, usize)> {
    static ONE_ROW: Mutex<()> = Mutex::new(());
    // A poisoned lock is fine: the row that failed has ended its processes.
    let _alone = ONE_ROW.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let cells: Vec<_> = thread::scope(|scope| {
        let cells =
            DESCENDANTS.map(|kind| (kind.0, scope.spawn(move || survivors(way, flags, kind))));
        cells.into_iter().map(|(kind, cell)| (kind, cell.join().expect("a cell").len())).collect()
    });
    let counts: Vec<_> = cells.iter().map(|(_, count)| count.to_string()).collect();
    println!("matrix: | {name} | {} |", counts.join(" | "));
    cells
}

fn leaves_no_process(name: &str, way: Way) {
    for (kind, count) in row(name, way, &[]) {
        assert_eq!(count, 0, "{name}: {kind}");
    }
}

/// A row of a sealed run.
fn sealed_leaves_no_process(name: &str, way: Way) {
    if skip_without_sealing() {
        return;
    }
    for (kind, count) in row(&format!("sealed: {name}"), way, &["--sealed"]) {
        assert_eq!(count, 0, "sealed: {name}: {kind}");
    }
}

#[test]
fn ctrl_c_leaves_no_process() {
    leaves_no_process("Ctrl-C", |_, terminal| terminal.expect("a terminal").type_keys("\x03"));
}

#[test]
fn a_second_ctrl_c_leaves_no_process() {
    leaves_no_process("second Ctrl-C", |pm, terminal| {
        let terminal = terminal.expect("a terminal");
        terminal.type_keys("\x03");
        // If no worker delays the stop, pm may have ended, and its unread output is lost with the terminal.
        let is_received = || (pm.has_ended() || !pm.says.with("SIGINT: ").is_empty()).then_some(());
        eventually("pm has received the first", is_received);
        eventually("pm ends after another Ctrl-C", || {
            terminal.type_keys("\x03");
            pm.has_ended().then_some(())
        });
    });
}

#[test]
fn sigterm_leaves_no_process() {
    leaves_no_process("TERM", |pm, _terminal| ended_by(pm, Signal::SIGTERM));
}

#[test]
fn sighup_leaves_no_process() {
    leaves_no_process("HUP", |pm, _terminal| ended_by(pm, Signal::SIGHUP));
}

#[test]
fn sigquit_leaves_no_process() {
    leaves_no_process("QUIT", |pm, _terminal| ended_by(pm, Signal::SIGQUIT));
}

#[test]
fn an_aborted_reactor_leaves_no_process() {
    leaves_no_process("reactor aborted", |pm, _terminal| send(Signal::SIGABRT, pm.reactor()));
}

#[test]
fn a_killed_reactor_leaves_no_process() {
    leaves_no_process("reactor killed with -9", |pm, _terminal| {
        send(Signal::SIGKILL, pm.reactor())
    });
}

#[test]
fn killing_every_process_named_pm_leaves_no_process() {
    leaves_no_process("killall -9 pm", |pm, _terminal| {
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
fn a_killed_guard_leaves_no_process() {
    leaves_no_process("guard killed with -9", |pm, _terminal| {
        pm.signal(Signal::SIGKILL);
        pm.wait_end();
    });
}

#[test]
fn a_suspended_and_killed_reactor_leaves_no_process() {
    leaves_no_process("reactor stopped, then killed", |pm, _terminal| {
        let reactor = pm.reactor();
        send(Signal::SIGSTOP, reactor);
        let is_stopped = || (processes::state(reactor) == Some('T')).then_some(());
        eventually("the reactor is stopped", is_stopped);
        send(Signal::SIGKILL, reactor);
    });
}

#[test]
fn a_closed_terminal_leaves_no_process() {
    leaves_no_process("terminal closed", |pm, terminal| {
        drop(terminal);
        pm.wait_end();
    });
}

/// Without root the kernel has nothing that outlives both processes: the death signal of a worker does not reach its
/// children (prctl(2), PR_SET_PDEATHSIG). A sealed run, any pid namespace or a cgroup around pm kills them too.
#[test]
fn guard_and_reactor_killed_at_once_leave_no_worker() {
    let cells = row("both killed with -9 at once", |pm, _terminal| kill_both_at_once(pm), &[]);
    assert_eq!(cells[0], ("worker", 0));
}

fn kill_both_at_once(pm: &Pm) {
    let reactor = pm.reactor();
    // While both are suspended, neither can react to the death of the other.
    send(Signal::SIGSTOP, reactor);
    send(Signal::SIGSTOP, pm.pid());
    send(Signal::SIGKILL, reactor);
    send(Signal::SIGKILL, pm.pid());
}

#[test]
fn ctrl_c_leaves_no_process_of_a_sealed_run() {
    sealed_leaves_no_process("Ctrl-C", |_, terminal| {
        terminal.expect("a terminal").type_keys("\x03");
    });
}

#[test]
fn a_killed_reactor_leaves_no_process_of_a_sealed_run() {
    sealed_leaves_no_process("reactor killed with -9", |pm, _| {
        send(Signal::SIGKILL, pm.reactor());
    });
}

#[test]
fn a_killed_guard_leaves_no_process_of_a_sealed_run() {
    sealed_leaves_no_process("guard killed with -9", |pm, _| pm.signal(Signal::SIGKILL));
}

#[test]
fn guard_and_reactor_killed_at_once_leave_no_process_of_a_sealed_run() {
    sealed_leaves_no_process("both killed with -9 at once", |pm, _| kill_both_at_once(pm));
}

#[test]
fn all_of_pm_killed_at_once_leaves_no_process_of_a_sealed_run() {
    sealed_leaves_no_process("all of pm killed with -9 at once", |pm, _| kill_all_at_once(pm));
}

#[test]
fn a_killed_process_1_leaves_no_process_of_a_sealed_run() {
    sealed_leaves_no_process("its process 1 killed with -9", |pm, _| {
        let children = processes::children_of(pm.pid());
        let is_first = |pid: &Pid| processes::name(*pid).is_some_and(|name| name == "pm-sealed");
        send(Signal::SIGKILL, children.into_iter().find(is_first).expect("a process 1"));
    });
}

fn ended_by(pm: &mut Pm, signal: Signal) {
    pm.signal(signal);
    // The terminal stays open until pm has ended.
    pm.wait_end();
}
