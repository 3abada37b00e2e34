//! What an earlier pm has left: processes that were a worker's and have no pm above them any more.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{Pid, getpid};
use procfs::process::Process;

use super::proc::WorkerTag;

/// True if this process was a worker's, was started in `folder` or else in the one that this process is in, and has no
/// pm above it any more.
pub fn is_stale_worker(pid: Pid, folder: Option<&Path>) -> bool {
    let folder_of = |pid: Pid| Process::new(pid.as_raw()).and_then(|process| process.cwd()).ok();
    let here = match folder {
        Some(folder) => folder.canonicalize().ok(),
        None => folder_of(getpid()),
    };
    WorkerTag::of(pid).is_some() && here.is_some() && folder_of(pid) == here && !has_pm_above(pid)
}

fn has_pm_above(pid: Pid) -> bool {
    let Ok(me) = Process::myself().and_then(|me| me.stat()) else {
        return true;
    };
    let mut above = pid.as_raw();
    while let Ok(stat) = Process::new(above).and_then(|process| process.stat()) {
        if above != pid.as_raw() && stat.comm == me.comm {
            return true;
        }
        above = stat.ppid;
    }
    false
}

/// SIGKILL to a process that an earlier pm has left behind; `folder` as in [`is_stale_worker`].
///
/// It is nobody's child here, so its number could change hands at any moment: once there is a handle that cannot
/// (pidfd_open(2), Linux 5.3), it is looked at again.
pub fn kill(pid: Pid, folder: Option<&Path>) {
    // SAFETY: a system call on numbers.
    // WHY: nix has no pidfds.
    let opened = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    let Ok(raw) = Errno::result(opened) else {
        return;
    };
    // SAFETY: the kernel has just made this descriptor, and nobody else knows of it.
    // WHY: no safe call returns it.
    let handle = unsafe { OwnedFd::from_raw_fd(raw as RawFd) };
    if is_stale_worker(pid, folder) {
        let no_info = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: a system call on an open descriptor; a null siginfo_t stands for what kill(2) would send.
        // WHY: as above. It fails only if the process is gone, or another user's, and then it is named again.
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
