//! A worker that becomes root's while pm is not: pm may not signal it, says so, and leaves it behind only if asked to.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::Signal::{SIGKILL, SIGTERM};
use nix::unistd::Pid;

use crate::support::pm::Pm;
use crate::support::pool::Pool;
use crate::support::processes::{children_of, is_alive, send, status};
use crate::support::programs::open_copies;
use crate::support::run_mode::skip;
use crate::support::waiting::eventually;

/// nobody
const USER: u32 = 65534;

/// A pm of a user without rights, and its one worker, which is root's. `None`: the test is skipped.
fn start(folder: &tempfile::TempDir) -> Option<(Pm, Pid)> {
    if !nix::unistd::geteuid().is_root() {
        skip("only root can make a program set-uid");
        return None;
    }
    let [pm, worker] = open_copies(folder.path());
    set_permissions(&worker, Permissions::from_mode(0o4755)).unwrap();
    let command = vec![worker.into(), "superuser".into(), "stay".into()];
    let pool = Pool::of(command).program(&pm).in_folder(folder.path()).of_size(1).by_user(USER);
    let pm = pool.option("--grace", "100ms").start();
    pm.wait_ready(1, 1);
    let worker = children_of(pm.reactor())[0];
    eventually("it is root's", || status(worker, "Uid").starts_with("0\t0").then_some(()));
    Some((pm, worker))
}

#[test]
fn a_worker_that_became_roots_is_named_and_left_behind_at_a_third_wish() {
    let folder = tempfile::tempdir().unwrap();
    let Some((mut pm, worker)) = start(&folder) else { return };
    pm.signal(SIGTERM);
    let advice =
        format!("belongs to user 0 now, and pm may not signal it: `sudo kill -9 {worker}` ends it");
    pm.says.wait_for(&advice);
    assert_eq!(pm.says.with("leaves it behind"), [""; 0]);
    pm.signal(SIGTERM);
    pm.says.wait_for("SIGTERM: killing 1 worker");
    pm.says.wait_for(&format!("{advice}; Ctrl-C or SIGTERM leaves it behind"));
    assert!(!pm.has_ended());
    pm.signal(SIGTERM);
    pm.says.wait_for("leaving 1 worker behind, which SIGKILL has not ended");
    assert_eq!(pm.wait_end().code(), Some(3));
    assert!(is_alive(worker));
    send(SIGKILL, worker);
}

#[test]
fn the_guard_does_not_wait_for_a_process_that_it_may_not_kill() {
    let folder = tempfile::tempdir().unwrap();
    let Some((mut pm, worker)) = start(&folder) else { return };
    send(SIGKILL, pm.reactor());
    pm.wait_end();
    send(SIGKILL, worker);
}
