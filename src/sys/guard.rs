//! The guard: the outer process, which outlives the reactor by a moment so that nothing else does.
//!
//! pm forks once, before it starts anything. The child goes on as the reactor, in a process group of its own; the
//! parent waits here. A Ctrl-C therefore reaches the guard alone, which is in the terminal's foreground group, and it
//! passes each signal on once. However the reactor ends, all that it leaves becomes the guard's (a child subreaper's,
//! prctl(2)), and the guard kills and reaps until nobody is left. If the guard itself is killed, the reactor hears of
//! it ([`gone`]) and ends in good order.
//!
//! After the fork the guard allocates nothing, opens nothing but /proc, never writes, and is woken by signals only.

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{self, SigHandler, SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid, setpgid};

use super::processes;
use super::wait::{self, Change};

/// Who this process is after [`stand`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The child: it does the work.
    Reactor,
    /// The parent, and all is over: the reactor's exit status, or 128 + n if signal n killed it.
    Guard(u8),
}

/// The signal that tells the reactor that its guard is gone.
///
/// Nobody else sends it, and unlike SIGTERM it is never found ignored.
pub fn gone() -> libc::c_int {
    libc::SIGRTMAX() - 1
}

/// Stands guard over the rest of the program.
///
/// # Errors
/// If the kernel refuses a fork or what a guard needs.
pub fn stand() -> Result<Role, Errno> {
    prctl::set_child_subreaper(true)?;
    // A shell's `exec pm > >(tee log)` has children that are not pm's to end.
    let inherited = processes::children_of(getpid());
    let mut before = SigSet::empty();
    let all = SigSet::all();
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&all), Some(&mut before))?;
    let guard = getpid();
    // SAFETY: no other thread was ever started, so the child may go on as any program does.
    // WHY: the reactor is to be this very program, with its plan; a spawn would start another from the beginning.
    match unsafe { fork() }? {
        ForkResult::Child => {
            be_guarded(guard)?;
            sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None)?;
            Ok(Role::Reactor)
        }
        ForkResult::Parent { child } => {
            // The child does the same; whoever comes first. It may be gone already.
            let _ = setpgid(child, child);
            let status = keep(child);
            sweep(&inherited);
            Ok(Role::Guard(status))
        }
    }
}

/// In the child: a group of its own, and word of the guard's death.
fn be_guarded(guard: Pid) -> Result<(), Errno> {
    setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
    // SAFETY: changes an attribute of this process.
    // WHY: nix's `Signal` has no real-time signals.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, gone()) })?;
    // It may have died before the line above; then nobody would ever send the signal (prctl(2)).
    if getppid() != guard {
        return Err(Errno::ESRCH);
    }
    // The reactor writes to a terminal from a background group, which `stty tostop` forbids to all who do not ignore
    // this (termios(3)). Its workers get the default back.
    // SAFETY: SIG_IGN runs no code.
    // WHY: nix calls every change of an action unsafe.
    unsafe { signal::signal(Signal::SIGTTOU, SigHandler::SigIgn) }?;
    Ok(())
}

/// Passes signals on until the reactor has ended; returns what to exit with.
fn keep(reactor: Pid) -> u8 {
    loop {
        let signal = wait::next_signal();
        match signal {
            libc::SIGCHLD => {
                while let Some((pid, change)) = wait::next_change() {
                    match change {
                        Change::Ended(exit) if pid == reactor => return exit.status(),
                        // Ctrl-Z: the reactor has stopped its workers and itself. Now the shell is to see it.
                        Change::Stopped if pid == reactor => send(getpid(), libc::SIGSTOP),
                        Change::Ended(_) | Change::Stopped => {}
                    }
                }
            }
            // The guard neither reads nor writes; these were about a terminal it does not use.
            libc::SIGTTIN | libc::SIGTTOU => {}
            // The death signal of the guard's own parent, should that be a guard: it is as good as a SIGTERM.
            signal => {
                send(reactor, if signal == gone() { libc::SIGTERM } else { signal });
                if matches!(signal, libc::SIGINT | libc::SIGTERM | libc::SIGHUP | libc::SIGQUIT) {
                    // A stopped reactor could not act on it.
                    send(reactor, libc::SIGCONT);
                }
            }
        }
    }
}

/// Kills and reaps all that the reactor has left, until there is nobody but those who were there before.
fn sweep(inherited: &[Pid]) {
    loop {
        let mut left = 0;
        processes::for_each_child(|pid| {
            if !inherited.contains(&pid) {
                left += 1;
                // The number is a child's that nobody but this thread can reap, so it means nobody else.
                let _ = kill(pid, Signal::SIGKILL);
            }
        });
        if left == 0 || wait::any().is_err() {
            return;
        }
    }
}

fn send(pid: Pid, signal: libc::c_int) {
    // SAFETY: a system call on numbers.
    // WHY: nix's `Signal` has no real-time signals, and all are passed on.
    unsafe { libc::kill(pid.as_raw(), signal) };
}
