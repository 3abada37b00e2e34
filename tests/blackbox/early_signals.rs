//! Signals that come before pm can act on them: while it reads its command line and its file.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};

use crate::support::pool::Pool;
use crate::support::processes::{send, status};
use crate::support::programs::pm_binary;

#[test]
fn a_request_before_pm_runs_waits_until_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let pool = Pool::of_file(folder.path(), "pm.toml", 0, "");
    let text =
        pool.filled_in("[pool.POOL]\ncommand = ['WORKER', 'stay']\nready = { after = '0s' }\n");
    let pipe = folder.path().join("pm.toml");
    fs::remove_file(&pipe).unwrap();
    mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    let pm = pool.start();
    // Opened once pm has opened it, to read its file: it has begun, and does not run yet.
    let mut file = File::create(&pipe).unwrap();
    pm.signal(Signal::SIGUSR1);
    pm.signal(Signal::SIGUSR2);
    file.write_all(text.as_bytes()).unwrap();
    drop(file);
    pm.wait_slot_ready(".1", 1);
    pm.says.wait_for("reload refused: the configuration came through a pipe");
    pm.says.wait_for("SIGUSR2: ignored");
    pm.stop();
}

#[test]
fn a_command_that_is_no_run_has_the_default_action_of_each_signal() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pm.toml");
    mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    let mut check = Command::new(pm_binary());
    let mut check = check.args(["check", "-f"]).arg(&pipe).spawn().unwrap();
    let file = File::create(&pipe).unwrap();
    send(Signal::SIGUSR1, Pid::from_raw(check.id().try_into().unwrap()));
    let status = check.wait().unwrap();
    assert_eq!(status.signal(), Some(libc::SIGUSR1));
    drop(file);
}

#[test]
fn a_reload_that_comes_while_pm_is_loaded_waits_if_its_starter_has_blocked_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[pool.POOL]\ncommand = ['WORKER', 'stay']\nready = { after = '0s' }\n";
    for _ in 0..10 {
        let pool = Pool::of_file(folder.path(), "pm.toml", 0, text);
        // A new process has the mask of the thread that makes it.
        let reload = SigSet::from(Signal::SIGUSR1);
        reload.thread_block().unwrap();
        let pm = pool.start();
        pm.signal(Signal::SIGUSR1);
        reload.thread_unblock().unwrap();
        pm.says.wait_for("reload: kept 1 worker");
        let all = u64::from_str_radix(&status(pm.wait_slot_ready(".1", 1), "SigBlk"), 16);
        assert_eq!(all, Ok(0), "a worker has an empty mask");
        pm.stop();
    }
}
