//! The programs that tests start: pm itself, the fixture worker and shells.

use std::ffi::OsString;
use std::fs::{Permissions, copy, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Once, OnceLock};

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::processes;

/// The folder of the project.
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The pm under test: `PM_TEST_BIN`, or the one that cargo has built.
pub fn pm_binary() -> PathBuf {
    std::env::var_os("PM_TEST_BIN").map_or(env!("CARGO_BIN_EXE_pm").into(), |path| {
        std::path::absolute(PathBuf::from(path)).expect("a path")
    })
}

/// The fixture worker. `cargo test` builds it, but `cargo test --test NAME` does not: then it is built here.
pub fn worker_binary() -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--locked", "--example", "worker", "--profile", profile]);
        let status = cargo.current_dir(project()).status().expect("cargo");
        assert!(status.success(), "the fixture cannot be built");
        Path::new(env!("CARGO_BIN_EXE_pm")).with_file_name("examples").join("worker")
    };
    PATH.get_or_init(build).clone()
}

/// Copies pm and the fixture worker into this folder and opens it to every user: their own folder may be closed.
pub fn open_copies(folder: &Path) -> [PathBuf; 2] {
    set_permissions(folder, Permissions::from_mode(0o755)).expect("a folder of its own");
    [("pm", pm_binary()), ("worker", worker_binary())].map(|(name, program)| {
        let path = folder.join(name);
        copy(program, &path).expect("a copy");
        path
    })
}

/// A command line of the fixture worker.
pub fn worker(orders: &str) -> Vec<OsString> {
    let orders = orders.split_whitespace().map(OsString::from);
    std::iter::once(worker_binary().into()).chain(orders).collect()
}

/// A command of the fixture worker, as text for a shell.
pub fn worker_text(orders: &str) -> String {
    worker(orders).join(" ".as_ref()).into_string().expect("text")
}

/// A command line that gives this script to a shell.
pub fn shell(script: &str) -> Vec<OsString> {
    ["/bin/sh", "-c", script].map(Into::into).to_vec()
}

/// Makes pm start with no signal ignored, as from a terminal.
///
/// Tests that run in the background (`&` in a script, nohup(1)) inherit ignored signals. A signal that has a handler
/// is reset to its default by exec (signal(7)), so such signals get a handler here.
pub fn reset_ignored_signals() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let ignored = processes::status(Pid::this(), "SigIgn");
        let ignored = u64::from_str_radix(&ignored, 16).expect("a mask");
        for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM] {
            if ignored & 1 << (signal as i32 - 1) != 0 {
                let unread = Arc::new(AtomicBool::new(false));
                signal_hook::flag::register(signal as i32, unread).expect("a handler");
            }
        }
    });
}
