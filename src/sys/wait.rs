//! waitid(2), waitpid(2) and sigwaitinfo(2) as functions of Rust. They keep nothing and know no worker.
//!
//! Only [`super::children`] may wait for a worker, and only [`super::guard`] for the reactor.

use nix::errno::Errno;
use nix::unistd::Pid;

use crate::supervisor::Exit;

/// A child that is dead and not reaped yet, so that its number still belongs to it; `None` if there is none now.
///
/// # Errors
/// ECHILD if there are no children at all.
pub fn peek() -> Result<Option<Pid>, Errno> {
    // SAFETY: siginfo_t is plain data, for which all zeroes is a value.
    // WHY: libc offers no constructor.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `info` is a valid siginfo_t for the kernel to write to, for as long as the call lasts.
    // WHY: nix turns the status into its own `Signal`, which has no real-time signals: a child that one of those
    // killed would be an error and could never be reaped.
    Errno::result(unsafe { libc::waitid(libc::P_ALL, 0, &mut info, flags) })?;
    // SAFETY: after a successful waitid the field si_pid is set, and it is 0 if no child was waitable (waitid(2)).
    // WHY: the field sits in a union; libc reads it through this accessor.
    let pid = unsafe { info.si_pid() };
    Ok((pid != 0).then(|| Pid::from_raw(pid)))
}

/// Reaps this one child, which [`peek`] has shown to be dead.
///
/// # Errors
/// ECHILD if it is not a child of pm. Never EINTR (WNOHANG).
pub fn reap(pid: Pid) -> Result<Option<Exit>, Errno> {
    let mut status = 0;
    // SAFETY: `status` is a valid int for the kernel to write to, for as long as the call lasts.
    // WHY: as in `peek`.
    let reaped = unsafe { libc::waitpid(pid.as_raw(), &mut status, libc::WNOHANG) };
    let reaped = Errno::result(reaped)?;
    Ok((reaped == pid.as_raw()).then(|| exit(status)))
}

/// How the state of a child has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Ended(Exit),
    /// This signal has stopped it.
    Stopped(libc::c_int),
}

/// Takes the next child that has ended or was stopped, and reaps it if it has ended; `None` when no more are waiting.
pub fn next_change() -> Option<(Pid, Change)> {
    changed(libc::WNOHANG | libc::WUNTRACED).ok().flatten()
}

/// Waits until a child ends, and reaps it.
///
/// # Errors
/// ECHILD if there are no children.
pub fn any() -> Result<(), Errno> {
    changed(0).map(drop)
}

fn changed(flags: libc::c_int) -> Result<Option<(Pid, Change)>, Errno> {
    let mut status = 0;
    // SAFETY: `status` is a valid int for the kernel to write to, for as long as the call lasts.
    // WHY: as in `peek`.
    let pid = Errno::result(unsafe { libc::waitpid(-1, &mut status, flags) })?;
    let change = if libc::WIFSTOPPED(status) {
        Change::Stopped(libc::WSTOPSIG(status))
    } else {
        Change::Ended(exit(status))
    };
    Ok((pid > 0).then(|| (Pid::from_raw(pid), change)))
}

/// Waits for the next of the signals, all of which are blocked.
pub fn next_signal() -> libc::c_int {
    // SAFETY: sigset_t is plain data, for which all zeroes is a value, and sigfillset fills it. A null siginfo_t asks
    // for the number alone.
    // WHY: nix's `SigSet::wait` has no real-time signals: one of those would be taken and lost.
    unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&mut all);
        loop {
            // EINTR: this process was stopped and continues (signal(7)).
            let signal = libc::sigwaitinfo(&all, std::ptr::null_mut());
            if signal > 0 {
                return signal;
            }
        }
    }
}

fn exit(status: libc::c_int) -> Exit {
    if libc::WIFSIGNALED(status) {
        Exit::Signal(libc::WTERMSIG(status) as u8)
    } else {
        Exit::Code(libc::WEXITSTATUS(status) as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_tells_a_code_from_a_signal() {
        assert_eq!(exit(255 << 8), Exit::Code(255));
        assert_eq!(exit(9), Exit::Signal(9));
        assert_eq!(exit(34 | 0x80), Exit::Signal(34));
    }
}
