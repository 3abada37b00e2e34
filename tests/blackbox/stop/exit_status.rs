//! The exit status of pm: when its workers have ended by themselves, when slots have given up, and for bad usage.

use std::process::{Command, Output};

use nix::sys::signal::Signal::SIGTERM;

use crate::support::pm::{Pm, ask};
use crate::support::pool::Pool;
use crate::support::processes::send;
use crate::support::programs::{pm_binary, shell, worker, worker_text};

fn ends_by_itself(restart: &str, script: &str, workers: usize) -> Pm {
    Pool::of(shell(script)).of_size(workers).option("--restart", restart).start()
}

#[test]
fn when_all_workers_have_ended_pm_exits_with_the_first_status_that_is_not_0() {
    ends_by_itself("never", "exit 0", 2).wait_exit(0);
    ends_by_itself("never", "exit $(({n} == 2 ? 7 : 0))", 3).wait_exit(7);
    ends_by_itself("never", "kill -SEGV $$", 1).wait_exit(128 + 11);
}

#[test]
fn the_first_failure_in_time_decides_the_exit_status() {
    let script = "test {n} = 2 && exit 4; while test -d \"/proc/$PPID\"; do :; done";
    let mut pm = ends_by_itself("never", script, 2);
    pm.says.wait_for("exited 4");
    let other = pm.wait_members(1)[0].pid;
    send(SIGTERM, other);
    pm.wait_exit(4);
}

#[test]
fn on_failure_restarts_until_it_succeeds() {
    let mut pm = ends_by_itself("on-failure", "exit $((3 - PM_GENERATION))", 1);
    pm.wait_exit(0);
    assert_eq!(pm.says.with("before it was ready").len(), 2);
    assert_eq!(pm.says.with("exited 0").len(), 1);
}

#[test]
fn giving_up_exits_1() {
    let pool = Pool::of(worker("exit 9")).on_ports(1).option("--give-up-after", "3");
    let mut pm = pool.start();
    pm.wait_exit(1);
    let lines = pm.says.with("exited 9");
    assert_eq!(lines.len(), 3);
    assert!(lines[2].ends_with("giving up"), "{lines:?}");
}

#[test]
fn one_slot_that_gave_up_does_not_end_the_others() {
    let serve = worker_text("listen {port} stay");
    let pool = Pool::of(shell(&format!("test {{n}} = 1 && exit 9; exec {serve}"))).on_ports(2);
    let pm = pool.option("--give-up-after", "2").start();
    pm.says.wait_for("giving up");
    pm.wait_ready(2, 1);
    ask(pm.ports[1], "exit 255");
    pm.wait_ready(2, 2);
    pm.stop();
}

fn refused(arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = Command::new(pm_binary())
        .args(arguments)
        .env("PM_SOCKET", "none")
        .output()
        .expect("pm can be started");
    assert_eq!(status.code(), Some(2), "{arguments:?}");
    assert_eq!(stdout, b"");
    String::from_utf8(stderr).expect("text")
}

#[test]
fn bad_usage_exits_2_with_a_hint() {
    for (arguments, right) in [
        ("run --ports 8082-8080 -- job", "did you mean `8080-8082`?"),
        ("run --ports 8080,8080 -- job", "port 8080 is listed twice"),
        ("run --ports 8080", "<CMD>"),
        ("run --port 8080 -- job", "did you mean `--ports 8080`?"),
        ("run -- job", "`--ports 8080-8082` (one worker for each port) or `--workers N`"),
        ("run --workers 0 -- job", "give 1 to 50000"),
        ("run --workers 2 -- job {prot}", "`{prot}` is not a placeholder"),
        ("run --workers 2 -- job {port}", "give it ports, as in `--ports 8080-8082`"),
        ("run --workers 2 --name a.b -- job", "`a.b` is not a pool name"),
        ("run --grace 5 --workers 2 -- job", "did you mean `5s`?"),
        ("rum", "Usage: pm"),
    ] {
        let arguments: Vec<_> = arguments.split(' ').collect();
        let text = refused(&arguments);
        assert!(text.contains(right), "{arguments:?}: {text}");
    }
}
