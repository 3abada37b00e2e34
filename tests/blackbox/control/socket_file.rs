//! The file of the socket: its owner, its end, and what pm does where there is one already or cannot be one.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use nix::sys::signal::Signal::SIGKILL;

use super::{socket, three};
use crate::support::api::Api;
use crate::support::pool::Pool;
use crate::support::processes::{is_alive, send};
use crate::support::programs::{pm_binary, worker};
use crate::support::waiting::eventually;

#[test]
fn the_socket_is_for_its_user_alone_and_is_gone_with_pm() {
    let run = three();
    let path = socket(&run.folder);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    run.pm.stop();
    assert!(!path.exists());
}

#[test]
fn a_second_pm_of_the_same_plan_is_refused_with_the_pid_of_the_first() {
    let run = three();
    let mut second = Command::new(pm_binary());
    second.current_dir(run.folder.path()).arg("run").env_remove("PM_SOCKET");
    let output = second.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(said.contains(&format!("pid {}", run.pm.reactor())), "{said}");
    run.pm.stop();
}

#[test]
fn a_socket_that_a_killed_pm_has_left_is_replaced() {
    let mut run = three();
    let (guard, reactor) = (run.pm.pid(), run.pm.reactor());
    send(SIGKILL, guard);
    send(SIGKILL, reactor);
    run.pm.wait_end();
    eventually("the reactor is gone", || (!is_alive(reactor)).then_some(()));
    let path = socket(&run.folder);
    assert!(path.exists());
    let pool = Pool::of(worker("stay")).of_size(1);
    let next = pool.with("PM_SOCKET", path.to_str().unwrap()).start();
    next.wait_ready(1, 1);
    assert_eq!(Api::at(&path).get("/v1/status").status, 200);
    next.stop();
    eventually("no worker is left", || run.pm.members().is_empty().then_some(()));
}

#[test]
fn a_socket_that_cannot_be_made_is_an_error_only_if_it_was_asked_for() {
    let mut usual = Command::new(pm_binary());
    usual.args(["run", "--workers", "1", "--restart", "never", "--", "true"]);
    let output = usual.current_dir("/sys").env_remove("PM_SOCKET").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("commands cannot reach this pm: "), "{said}");
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing/.pm.sock");
    let mut asked = Command::new(pm_binary());
    asked.args(["run", "--workers", "1", "--socket"]).arg(&missing).args(["--", "true"]);
    let output = asked.output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("its folder does not exist"), "{said}");
}
