//! A port that is held by a process which pm may not see: the true reason is said.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use nix::unistd::geteuid;

use crate::support::pool::Pool;
use crate::support::ports::is_free;
use crate::support::programs::{open_copies, worker};
use crate::support::run_mode::{skip, skip_without};
use crate::support::waiting::eventually;

/// nobody
const USER: u32 = 65534;

/// What a pm that this command starts says of a port that a process of another user holds.
fn told_to(starter: &str) -> Option<String> {
    if !geteuid().is_root() {
        skip("only root may run a process as another user");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let pool = Pool::of(worker("listen {port} stay")).on_ports(1);
    let port = pool.number_of_port(1);
    let [_, program] = open_copies(folder.path());
    let mut holder = Command::new(program);
    holder.args(["listen", &port.to_string(), "stdin"]).uid(USER).gid(USER);
    // It ends with the test, whose end of its stdin is closed then.
    let mut holder: Child = holder.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    eventually("it listens", || (!is_free(port)).then_some(()));
    let pm = pool.after(&format!("exec {starter} \"$0\" \"$@\"")).start();
    let line = pm.says.wait_for("cannot start");
    drop(holder.stdin.take());
    holder.wait().unwrap();
    let (_, held) = line.split_once(" is held by ").unwrap_or_else(|| panic!("{line}"));
    let (holder, _) = held.split_once("; trying until").unwrap_or_else(|| panic!("{line}"));
    Some(holder.to_owned())
}

#[test]
fn root_without_the_capability_is_told_which_one_it_needs() {
    if skip_without(&["setpriv".into()]) {
        return;
    }
    let told = told_to("setpriv --bounding-set -sys_ptrace");
    let needed = "a process that root may see only with CAP_SYS_PTRACE, which pm does not have";
    assert_eq!(told.as_deref().unwrap_or(needed), needed);
}

#[test]
fn root_in_another_pid_namespace_is_told_that_the_process_may_be_outside() {
    let told = told_to("unshare --pid --fork --kill-child --mount-proc");
    let outside = "a process that is not in /proc (of another pid namespace, or the kernel itself)";
    assert_eq!(told.as_deref().unwrap_or(outside), outside);
}
