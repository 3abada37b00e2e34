//! Stale workers: processes that an earlier pm started and left behind when it was killed.
//!
//! A stale worker is not a child of this pm, and [`super::children`] does not know it. It is of interest only if it
//! holds a port ([`super::ports`]).

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{Pid, getpid};
use procfs::process::Process;

use super::proc::descends_from;
use super::sealed::outer_proc;
use super::worker_tag::WorkerTag;

/// True if this process was started for a worker, runs in `folder` or else in the folder of this process, and the pm
/// that started it is not among its ancestors. What that pm's program is called does not matter. A process in another
/// pid namespace, as of a sealed run or of a container, is none.
pub fn is_stale_worker(pid: Pid, folder: Option<&Path>) -> bool {
    // It would be outside of the namespace, where no process of this run can be.
    if outer_proc().is_some() {
        return false;
    }
    // First, since the folder may be on a file system that hangs.
    if WorkerTag::of(pid).is_none_or(|tag| descends_from(pid, tag.pm)) {
        return false;
    }
    // The kernel ends all of a pid namespace with its first process: what lives in another one has a pm that lives.
    let namespace = |pid: Pid| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    if namespace(pid).is_none_or(|of| namespace(getpid()) != Some(of)) {
        return false;
    }
    let folder_of = |pid: Pid| Process::new(pid.as_raw()).and_then(|process| process.cwd()).ok();
    let here = match folder {
        Some(folder) => folder.canonicalize().ok(),
        None => folder_of(getpid()),
    };
    here.is_some() && folder_of(pid) == here
}

/// Sends SIGKILL to a stale worker; `folder` as in [`is_stale_worker`].
///
/// It is not a child of this pm, so the kernel may give its number to another process at any moment. So it is checked
/// again through a handle that stays with the process (pidfd_open(2), Linux 5.3).
pub fn kill(pid: Pid, folder: Option<&Path>) {
    // SAFETY: a system call on numbers.
    // WHY: nix has no pidfds.
    let opened = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    let Ok(raw) = Errno::result(opened) else {
        return;
    };
    // SAFETY: the kernel has just made this descriptor, and nothing else owns it.
    // WHY: no safe call returns it.
    let handle = unsafe { OwnedFd::from_raw_fd(raw as RawFd) };
    if is_stale_worker(pid, folder) {
        let no_info = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: a system call on an open descriptor; a null siginfo_t stands for what kill(2) would send.
        // WHY: as above. It fails only if the process has ended, or belongs to another user; then the next spawn finds
        // it on the port again.
        unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                handle.as_raw_fd(),
                libc::SIGKILL,
                no_info,
                0,
            )
        };
    }
}
