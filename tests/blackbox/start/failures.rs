//! Starts that fail, and runs that cannot begin: a program, a limit or /proc is missing.

use std::fs::{Permissions, copy, set_permissions, write};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use nix::sys::signal::Signal;
use nix::unistd::geteuid;

use crate::support::pool::Pool;
use crate::support::processes::{is_alive, send};
use crate::support::programs::{pm_binary, worker, worker_binary};
use crate::support::run_mode::{skip, skip_without};

#[test]
fn without_proc_nothing_is_started() {
    if !geteuid().is_root() {
        return skip("only root can mount");
    }
    let script = "mount -t tmpfs none /proc && exec \"$0\" run --workers 1 -- /bin/true";
    let mut unshare = Command::new("unshare");
    let output = unshare.args(["-m", "sh", "-c", script]).arg(pm_binary()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("there is no /proc, so nothing was started"), "{said}");
}

#[test]
fn a_program_that_does_not_exist_is_a_failed_start() {
    let pm = Pool::of(vec!["no-such-program".into()]).on_ports(1).start();
    let lines = pm.says.wait_for_many(3, "cannot start: no-such-program: not found on PATH; ");
    assert!(lines[0].ends_with("trying again"), "{lines:?}");
    assert!(lines[2].contains("next try in 2"), "{lines:?}");
    pm.stop();
}

#[test]
fn a_file_that_is_not_executable_is_a_failed_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("job");
    write(&file, "#!/bin/sh\n").unwrap();
    let pm = Pool::of(vec![file.clone().into()]).of_size(1).start();
    let trouble = format!("cannot start: {}: not executable: permission denied", file.display());
    pm.says.wait_for_all(&[&trouble, "next try in 1"]);
    write(folder.path().join("exec"), "#!/no/such/interpreter\n").unwrap();
    set_permissions(folder.path().join("exec"), Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(folder.path().join("exec"), &file).unwrap();
    pm.says.wait_for("the interpreter that its first line names is not there");
    pm.stop();
}

#[test]
fn too_few_file_descriptors_are_a_failed_start_that_is_retried() {
    let pool = Pool::of(worker("stay")).of_size(12).after("ulimit -n 30");
    let pm = pool.start();
    let line = pm.says.wait_for(
        "too many open files (each worker needs two, each client one: raise the hard limit",
    );
    assert!(line.ends_with("; trying again") || line.contains("; next try in "), "{line}");
    // There is room for one worker again, and a slot uses it.
    let worker = pm.members()[0].clone();
    let before = pm.members().len();
    send(Signal::SIGKILL, worker.pid);
    pm.says.wait_for("was killed by SIGKILL");
    pm.wait_members(before);
    pm.stop();
}

#[test]
fn a_limit_on_files_that_is_lowered_below_those_of_pm_is_said_as_that_limit() {
    if skip_without(&["prlimit".into()]) {
        return;
    }
    let pm = Pool::of(worker("stay")).of_size(1).start();
    let worker = pm.wait_ready(1, 1);
    pm.limit_files("4");
    send(Signal::SIGKILL, worker);
    let line = pm.says.wait_for("cannot start: ");
    assert!(line.contains("cannot fork: too many open files (each worker needs two"), "{line}");
    pm.limit_files("256");
    pm.says.wait_for_many(2, " is ready");
    pm.stop();
}

#[test]
fn too_many_processes_are_a_failed_start_that_is_retried() {
    if !geteuid().is_root() {
        return skip("only root can become a user that has no process yet");
    }
    // The other user may have no access to the folder in which the programs were built.
    let folder = tempfile::tempdir().unwrap();
    set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let own = folder.path().join("worker");
    copy(worker_binary(), &own).unwrap();
    let pm = folder.path().join("pm");
    copy(pm_binary(), &pm).unwrap();
    let user = 100_000 + std::process::id() % 1_000_000;
    let pool = Pool::of(vec![own.into(), "stay".into()]).of_size(4).by_user(user);
    // The limit on processes is `-p` in dash and `-u` in bash.
    // The reactor has two threads, and each thread counts.
    let limit = "ulimit -p 5 2>/dev/null || ulimit -u 5";
    let pm = pool.in_folder(folder.path()).program(&pm).after(limit).start();
    let line = pm.says.wait_for("cannot fork: ");
    assert!(line.contains("(too many processes: see `ulimit -u`"), "{line}");
    let members = pm.wait_members(2);
    send(Signal::SIGKILL, members[0].pid);
    pm.says.wait_for("was killed by SIGKILL");
    let after = pm.wait_members(2);
    assert!(!is_alive(members[0].pid) && after != members);
    pm.stop();
}

#[test]
fn nothing_is_started_in_a_pid_namespace_without_its_own_proc() {
    for arguments in
        [&["run", "--workers", "1", "--", "true"][..], &["run", "--init", "--", "true"]]
    {
        let mut unshare = Command::new("unshare");
        unshare.args(["--pid", "--fork"]).arg(pm_binary()).args(arguments);
        let output = unshare.output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        if text.starts_with("unshare: ") {
            return skip(format!("only root can make a pid namespace: {text}"));
        }
        assert_eq!(output.status.code(), Some(3), "{text}");
        assert!(text.contains("`unshare --pid --fork --mount-proc`"), "{text}");
    }
}
