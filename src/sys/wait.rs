//! waitid(2), waitpid(2) and sigtimedwait(2) as functions of Rust. They keep nothing and know no worker.
//!
//! Only [`super::children`] may wait for a worker, and only [`super::guard`] for the reactor.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;

use crate::supervisor::Exit;

/// Whether this process has any child, alive or dead.
pub fn has_children() -> bool {
    // The only possible error is ECHILD.
    peek(libc::P_ALL, 0).is_ok()
}

/// True if this child is dead and can be reaped now.
pub fn is_dead(pid: Pid) -> bool {
    peek(libc::P_PID, pid.as_raw().unsigned_abs()) == Ok(true)
}

/// True if one of these children is dead and not reaped yet.
///
/// # Errors
/// ECHILD if there is no such child.
fn peek(kind: libc::idtype_t, id: libc::id_t) -> Result<bool, Errno> {
    // SAFETY: siginfo_t is plain data, for which all zeroes is a value.
    // WHY: libc offers no constructor.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `info` is a valid siginfo_t for the kernel to write to, for as long as the call lasts.
    // WHY: nix turns the status into its own `Signal`, which has no real-time signals: a child that one of those
    // killed would be an error and could never be reaped.
    Errno::result(unsafe { libc::waitid(kind, id, &mut info, flags) })?;
    // A child that made pm its tracer (ptrace(2), PTRACE_TRACEME) is reported when it stops, too, and then it is alive.
    Ok(matches!(info.si_code, libc::CLD_EXITED | libc::CLD_KILLED | libc::CLD_DUMPED))
}

/// Reaps this one child if it is dead.
///
/// # Errors
/// ECHILD if it is not a child of pm. Never EINTR (WNOHANG).
pub fn reap(pid: Pid) -> Result<Option<Exit>, Errno> {
    if is_dead(pid) { Ok(reap_dead(pid)?.map(|(exit, _)| exit)) } else { Ok(None) }
}

/// Reaps a child that is known to be dead, unless a tracer holds it. Returns also the CPU time of the child and of the
/// children that it has reaped, user and system, which costs nothing more: waitpid(2) is wait4(2).
///
/// # Errors
/// As [`reap`].
pub fn reap_dead(pid: Pid) -> Result<Option<(Exit, Duration)>, Errno> {
    let mut status = 0;
    // SAFETY: rusage is plain data, for which all zeroes is a value.
    // WHY: libc offers no constructor.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `status` and `usage` are valid for the kernel to write to, for as long as the call lasts.
    // WHY: as in `peek`.
    let reaped = unsafe { libc::wait4(pid.as_raw(), &mut status, libc::WNOHANG, &mut usage) };
    let reaped = Errno::result(reaped)?;
    let cpu = duration(usage.ru_utime) + duration(usage.ru_stime);
    Ok((reaped == pid.as_raw()).then(|| (exit(status), cpu)))
}

/// The kernel gives no negative times here.
fn duration(time: libc::timeval) -> Duration {
    let seconds = Duration::from_secs(time.tv_sec.unsigned_abs());
    seconds + Duration::from_micros(time.tv_usec.unsigned_abs())
}

/// How the state of a child has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is dead and not reaped yet, so that its number still belongs to it.
    Ended,
    /// This signal has stopped it.
    Stopped(libc::c_int),
    Continued,
}

/// The next child that has ended, or that was stopped or continued; `None` if there is none now.
///
/// A stop is returned once. A child that has ended is returned again and again until [`reap`] has taken it.
pub fn next_change() -> Option<(Pid, Change)> {
    loop {
        let (pid, code, status) = changed(libc::WEXITED | libc::WNOWAIT)?;
        let change = match code {
            libc::CLD_EXITED | libc::CLD_KILLED | libc::CLD_DUMPED => {
                return Some((pid, Change::Ended));
            }
            libc::CLD_CONTINUED => Change::Continued,
            _ => Change::Stopped(status),
        };
        // Taken without WEXITED: if it has died meanwhile, it must not be reaped here.
        if changed(0).is_some_and(|(taken, _, _)| taken == pid) {
            return Some((pid, change));
        }
    }
}

/// The pid, the code and the status of a child that was stopped or continued, or as `flags` say; `None` if there is
/// none now.
fn changed(flags: libc::c_int) -> Option<(Pid, libc::c_int, libc::c_int)> {
    // SAFETY: as in `peek`.
    // WHY: as in `peek`.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = flags | libc::WSTOPPED | libc::WCONTINUED | libc::WNOHANG;
    // SAFETY: as in `peek`.
    // WHY: as in `peek`.
    Errno::result(unsafe { libc::waitid(libc::P_ALL, 0, &mut info, flags) }).ok()?;
    // SAFETY: after a successful waitid these fields are set, or si_pid is 0 (waitid(2)).
    // WHY: as in `peek`.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    (pid != 0).then(|| (Pid::from_raw(pid), info.si_code, status))
}

/// The signals of a process that has blocked all of them, taken one by one.
#[derive(Debug)]
pub struct Waiter {
    all: libc::sigset_t,
    /// All but [`STOPS`].
    others: libc::sigset_t,
    /// Readable when any signal waits.
    any: SignalFd,
}

/// The stop signals that a process can block.
pub const STOPS: [Signal; 3] = [Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU];

impl Waiter {
    /// # Errors
    /// If the kernel refuses a descriptor.
    pub fn new() -> Result<Self, Errno> {
        // SAFETY: sigset_t is plain data, for which all zeroes is a value, and sigfillset fills it. The numbers that
        // are taken out are signals.
        // WHY: nix's `SigSet::all` and `wait` have no real-time signals: one of those would be taken and lost.
        let (all, others) = unsafe {
            let mut all = std::mem::zeroed();
            libc::sigfillset(&mut all);
            let mut others = all;
            for stop in STOPS {
                libc::sigdelset(&mut others, stop as libc::c_int);
            }
            (all, others)
        };
        // SAFETY: the set is one that sigfillset has made.
        // WHY: nix makes no set of all numbers.
        let set = unsafe { SigSet::from_sigset_t_unchecked(all) };
        Ok(Self { all, others, any: SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC)? })
    }

    /// Waits for the next signal and takes it.
    pub fn next(&self) -> libc::c_int {
        wait_for(&self.all)
    }

    /// Waits for the next signal, and takes it unless it is a stop signal: that one stays, until a SIGCONT removes it
    /// or [`stop_if_pending`] acts on it.
    pub fn next_but_stops(&self) -> libc::c_int {
        loop {
            // EINTR: this process was stopped and continues (signal(7)).
            let _ =
                poll(&mut [PollFd::new(self.any.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE);
            if let Some(signal) = taken_of(&self.others, Some(Duration::ZERO)) {
                return signal;
            }
            let pending = pending();
            if let Some(stop) = STOPS.into_iter().find(|stop| pending.contains(*stop)) {
                return stop as libc::c_int;
            }
        }
    }

    /// Takes the stop signals that wait, so that they do not act.
    pub fn take_stops(&self) {
        for stop in STOPS {
            take_pending(stop);
        }
    }

    /// Waits for the next signal that is no stop signal, and takes it.
    pub fn next_of_others(&self) -> libc::c_int {
        wait_for(&self.others)
    }

    /// Waits for the next signal and takes it, at most for `limit`. `None` if none has come.
    pub fn next_within(&self, limit: Duration) -> Option<libc::c_int> {
        taken_of(&self.all, Some(limit))
    }
}

fn wait_for(set: &libc::sigset_t) -> libc::c_int {
    loop {
        // EINTR: this process was stopped and continues (signal(7)).
        if let Some(signal) = taken_of(set, None) {
            return signal;
        }
    }
}

/// Lets those of these stop signals that wait act: this process stops until a SIGCONT. They are blocked before and
/// after.
///
/// Returns at once if none waits, because a SIGCONT has removed it, and if this process group has no parent in its
/// session, where the kernel drops them (setpgid(2)).
pub fn stop_if_pending(stops: &[Signal]) {
    let stops = SigSet::from_iter(stops.iter().copied());
    let changed = stops.thread_unblock().and_then(|()| stops.thread_block());
    changed.expect("a signal may be unblocked and blocked");
}

fn taken_of(set: &libc::sigset_t, limit: Option<Duration>) -> Option<libc::c_int> {
    let limit = limit.map(|limit| libc::timespec {
        tv_sec: limit.as_secs().try_into().unwrap_or(i32::MAX.into()),
        tv_nsec: limit.subsec_nanos().into(),
    });
    let limit = limit.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: a null siginfo_t asks for the number alone; a null timespec sets no limit.
    // WHY: nix has no sigtimedwait(2).
    let signal = unsafe { libc::sigtimedwait(set, std::ptr::null_mut(), limit) };
    (signal > 0).then_some(signal)
}

/// Takes this signal, which is blocked. False if it has not come.
pub fn take_pending(signal: Signal) -> bool {
    taken_of(SigSet::from(signal).as_ref(), Some(Duration::ZERO)).is_some()
}

/// The blocked signals that have come and were not taken yet.
pub fn pending() -> SigSet {
    // SAFETY: sigset_t is plain data, for which all zeroes is a value, and sigpending fills it.
    // WHY: nix has no sigpending(2).
    unsafe {
        let mut pending = std::mem::zeroed();
        libc::sigpending(&mut pending);
        SigSet::from_sigset_t_unchecked(pending)
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
