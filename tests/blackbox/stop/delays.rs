//! A process that delays the stop is named, with what it does instead of ending.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal::{self, SIGTERM};
use nix::unistd::Pid;

use crate::support::pool::Pool;
use crate::support::processes::{send, state, status};
use crate::support::programs::worker;
use crate::support::run_mode::skip_without;
use crate::support::waiting::{eventually, for_as_long_as};

#[test]
fn a_process_that_ignores_the_stop_signal_is_named_with_the_time_left_and_then_killed() {
    let pool = Pool::of(worker("child ignore+TERM+stay listen {port} stay"));
    let mut pm = pool.on_ports(1).option("--grace", "2s").start();
    let leader = pm.wait_ready(1, 1);
    let child = eventually("a child that ignores SIGTERM", || {
        let members = pm.members();
        let child = members.iter().find(|member| member.pid != leader)?.pid;
        let ignored = u64::from_str_radix(&status(child, "SigIgn"), 16).unwrap();
        (ignored & 1 << (SIGTERM as i32 - 1) != 0).then_some(child)
    });
    pm.signal(SIGTERM);
    let line = pm.says.wait_for("is still stopping");
    let named = format!(
        "{} is still stopping: pid {child} (worker) ignores SIGTERM; SIGKILL in ",
        pm.slot(1)
    );
    assert!(line.contains(&named), "{line}");
    let named = format!("did not stop within 2s: pid {child} (worker) ignores SIGTERM; killing it");
    pm.says.wait_for(&named);
    pm.wait_exit(0);
}

#[test]
fn a_process_that_blocks_the_stop_signal_is_named() {
    let pool = Pool::of(worker("block TERM listen {port} stay"));
    let mut pm = pool.on_ports(1).option("--grace", "1500ms").start();
    let leader = pm.wait_ready(1, 1);
    pm.signal(SIGTERM);
    pm.says.wait_for(&format!("pid {leader} (worker) blocks SIGTERM"));
    pm.wait_exit(0);
}

/// Stops a pool of one Python worker that runs this script, with a grace of 1.5 s, after `before` has happened to it.
/// Returns the first line on what delays the stop.
fn delay_of(script: &str, before: impl FnOnce(Pid)) -> String {
    let script = format!("import ctypes, platform, signal, sys, threading, time\n{script}");
    let command = ["python3", "-c", &script].map(Into::into).to_vec();
    let mut pm = Pool::of(command).of_size(1).option("--grace", "1500ms").start();
    pm.prints.wait_for("up");
    let leader = pm.wait_ready(1, 1);
    before(leader);
    pm.signal(SIGTERM);
    let line = pm.says.wait_for("is still ");
    assert!(line.contains(&format!("pid {leader} (")), "{line}");
    pm.wait_end();
    line
}

#[test]
fn a_process_whose_first_thread_has_ended_is_named() {
    if skip_without(&["python3".into()]) {
        return;
    }
    let line = delay_of(
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n\
         threading.Thread(target=lambda: time.sleep(1000)).start()\n\
         print('up', flush=True)\n\
         exit = 93 if platform.machine() in ('aarch64', 'riscv64') else 60\n\
         ctypes.CDLL(None).syscall(exit, 0)",
        |leader| eventually("its first thread ends", || (state(leader) == Some('Z')).then_some(())),
    );
    assert!(line.contains(" has 1 thread besides its first, which has ended"), "{line}");
}

#[test]
fn a_dead_process_that_a_debugger_keeps_is_named_with_the_debugger() {
    if skip_without(&["python3".into()]) {
        return;
    }
    let tracer = "import ctypes, sys, time\n\
                  # PTRACE_SEIZE\n\
                  print(ctypes.CDLL(None).ptrace(0x4206, int(sys.argv[1]), 0, 0), flush=True)\n\
                  time.sleep(1000)";
    let mut debugger = None;
    let line = delay_of("print('up', flush=True)\ntime.sleep(1000)", |leader| {
        let mut command = Command::new("python3");
        command.args(["-c", tracer, &leader.to_string()]).stdout(Stdio::piped());
        let mut child = command.spawn().expect("python3");
        let mut answer = String::new();
        let out = child.stdout.take().expect("a pipe");
        BufReader::new(out).read_line(&mut answer).expect("an answer");
        assert_eq!(answer.trim(), "0", "the tracer may trace it");
        send(Signal::SIGKILL, leader);
        eventually("it is dead", || (state(leader) == Some('Z')).then_some(()));
        let pid = child.id();
        // It lets go of the dead process long after this has been reported.
        std::thread::spawn(move || {
            for_as_long_as(Duration::from_secs(4), || {});
            child.kill().expect("a child");
            child.wait().expect("a child");
        });
        debugger = Some(pid);
    });
    let debugger = debugger.expect("it was started");
    assert!(line.contains(&format!(" is dead, and pid {debugger}, which traces it")), "{line}");
}
