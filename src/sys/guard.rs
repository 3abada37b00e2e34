//! The guard: the outer process. It outlives the reactor by a moment and leaves no process of pm's behind.
//!
//! pm forks once, before it starts anything. The child continues as the reactor, in a process group of its own; the
//! parent is the guard and waits here. The terminal's foreground group holds only the guard, so a Ctrl-C reaches the
//! guard alone, and the guard passes each signal on once. When the reactor ends, in whatever way, its orphans become
//! children of the guard, which is a child subreaper (prctl(2)), and the guard kills and reaps until none is left. If
//! the guard itself is killed, the kernel sends the reactor a signal ([`death_signal`]), and the reactor drains.
//!
//! In `ps` the guard is called `pm-guard`, so that `killall -9 pm` leaves a process that cleans up.
//!
//! After the fork the guard allocates nothing, opens nothing but /proc, never writes, and wakes up for signals only.
//! Where to look next: [`super::wait`] waits for signals and children, [`super::child_list`] finds the orphans.

use std::ffi::{CStr, CString};
use std::io::stdin;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{self, SigHandler, SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::unistd::{
    ForkResult, Pid, execvp, fork, getpgrp, getpid, getppid, setpgid, tcgetpgrp, tcsetpgrp,
};

use super::child_list::ChildList;
use super::proc;
use super::wait::{self, Change};
use super::{own_process, signals};

/// What this process is after [`start`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The child: it does the work.
    Reactor,
    /// The parent, and everything has ended: the reactor's exit status, or 128 + n if signal n killed it.
    Guard(u8),
}

/// Why no guard could be started, or not the command that it would guard.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    #[error("cannot start the guard, so nothing was started: {}", .0.desc())]
    Refused(#[from] Errno),
    /// Found before the fork.
    #[error(
        "/proc is that of another pid namespace, so nothing was started; mount it anew, as \
         `unshare --pid --fork --mount-proc` does"
    )]
    ForeignProc,
    /// Reported by the child. The guard ends with the status that the child ends with.
    #[error("{program}: {}", .errno.desc())]
    Exec { program: String, errno: Errno },
}

/// The exit status of a command that cannot be executed, as of a shell (POSIX, XCU 2.8.2).
pub const NOT_EXECUTABLE: u8 = 126;
/// The exit status of a command that is not found, as of a shell.
pub const NOT_FOUND: u8 = 127;

impl GuardError {
    /// What to exit with where a command could not be executed; `None` if pm failed before that.
    pub fn exec_status(&self) -> Option<u8> {
        match self {
            Self::Exec { errno: Errno::ENOENT, .. } => Some(NOT_FOUND),
            Self::Exec { .. } => Some(NOT_EXECUTABLE),
            Self::Refused(_) | Self::ForeignProc => None,
        }
    }
}

/// The guard's name in `ps`, at most 15 bytes (prctl(2), PR_SET_NAME).
const GUARD_NAME: &CStr = c"pm-guard";

/// The signal that tells the reactor that its guard has died (prctl(2), PR_SET_PDEATHSIG).
///
/// Nothing else sends it, and no program is started with it ignored, as it may be with SIGTERM.
pub fn death_signal() -> libc::c_int {
    libc::SIGRTMAX() - 1
}

/// Starts the guard: forks, and continues as the reactor in the child and as the guard in the parent.
///
/// # Errors
/// If the kernel refuses the fork, or another system call that a guard needs.
pub fn start() -> Result<Role, GuardError> {
    match split()? {
        Side::Child { guard, .. } => {
            become_reactor(guard)?;
            // Signals stay blocked until the reactor has caught them (`OwnProcess::set_up`).
            Ok(Role::Reactor)
        }
        Side::Guard { child, inherited } => {
            let guarded = Guarded { pid: child, target: child, takes_terminal: false };
            Ok(Role::Guard(guarded.outlive(&inherited)))
        }
    }
}

/// Guards one command, which takes the reactor's place: what tini and dumb-init do as process 1.
///
/// The command gets a process group of its own, the terminal if this process had it, and everything else unchanged:
/// descriptors, signal mask, ignored signals. Signals go to its whole group. Returns its exit status, or 128 + n if
/// signal n killed it.
///
/// # Errors
/// If the kernel refuses the fork, or another system call that a guard needs; in the child, if exec(2) fails.
pub fn run_command(argv: &[CString]) -> Result<u8, GuardError> {
    let has_terminal = tcgetpgrp(stdin()) == Ok(getpgrp());
    match split()? {
        Side::Child { guard, mask } => {
            setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
            prctl::set_pdeathsig(Signal::SIGKILL)?;
            if getppid() != guard {
                return Err(Errno::ESRCH.into());
            }
            if has_terminal {
                // Works from the background too, since SIGTTOU is blocked here (tcsetpgrp(3)).
                tcsetpgrp(stdin(), getpid())?;
            }
            own_process::restore_sigpipe();
            sigprocmask(SigmaskHow::SIG_SETMASK, Some(&mask), None)?;
            let program = argv.first().expect("an argv names its program");
            let Err(errno) = execvp(program, argv);
            Err(GuardError::Exec { program: program.to_string_lossy().into_owned(), errno })
        }
        Side::Guard { child, inherited } => {
            let group = Pid::from_raw(-child.as_raw());
            let guarded = Guarded { pid: child, target: group, takes_terminal: true };
            Ok(guarded.outlive(&inherited))
        }
    }
}

/// What this process is after the fork. All signals are blocked in both.
enum Side {
    /// `mask` is the signal mask from before the fork.
    Child { guard: Pid, mask: SigSet },
    /// `inherited` are the children from before the fork.
    Guard { child: Pid, inherited: Vec<Pid> },
}

fn split() -> Result<Side, GuardError> {
    if !proc::is_of_own_namespace() {
        return Err(GuardError::ForeignProc);
    }
    own_process::release_code_pages();
    prctl::set_child_subreaper(true)?;
    // A shell's `exec pm > >(tee log)` has children that pm must not kill.
    let inherited = proc::children_of(getpid());
    let mut mask = SigSet::empty();
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut mask))?;
    let guard = getpid();
    // SAFETY: no other thread was ever started, so the child may go on as any program does.
    // WHY: the reactor is to be this very program, with its plan; a spawn would start another from the beginning.
    match unsafe { fork() }? {
        ForkResult::Child => Ok(Side::Child { guard, mask }),
        ForkResult::Parent { child } => {
            // The child does the same: the first of the two to run does it. The child may have ended already.
            let _ = setpgid(child, child);
            // Only messages and people read the name.
            let _ = prctl::set_name(GUARD_NAME);
            Ok(Side::Guard { child, inherited })
        }
    }
}

/// In the child: a process group of its own, and a signal when the guard dies.
fn become_reactor(guard: Pid) -> Result<(), Errno> {
    setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
    // SAFETY: changes an attribute of this process.
    // WHY: nix's `Signal` has no real-time signals.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, death_signal()) })?;
    // If the guard died before the line above, the kernel never sends the signal (prctl(2)).
    if getppid() != guard {
        return Err(Errno::ESRCH);
    }
    // The reactor writes to a terminal from a background group, which `stty tostop` forbids to every process that does
    // not ignore SIGTTOU (termios(3)). Its workers get the default back.
    // SAFETY: SIG_IGN runs no code.
    // WHY: nix calls every change of an action unsafe.
    unsafe { signal::signal(Signal::SIGTTOU, SigHandler::SigIgn) }?;
    Ok(())
}

/// The process that is guarded.
struct Guarded {
    pid: Pid,
    /// Where signals go, as kill(2) takes it: the process, or its whole group.
    target: Pid,
    /// The terminal belongs to it in pm's place.
    takes_terminal: bool,
}

impl Guarded {
    /// Waits for its end, kills what it has left behind, and returns the exit status for this process.
    fn outlive(&self, inherited: &[Pid]) -> u8 {
        let status = self.wait();
        if self.takes_terminal {
            // The program that started pm takes the terminal back from pm's group.
            pass_terminal(self.pid, getpgrp());
        }
        sweep(inherited);
        status
    }

    /// Passes signals on until it has ended.
    fn wait(&self) -> u8 {
        // A SIGTSTP was passed on, and no SIGCONT has come since.
        let mut is_suspending = false;
        loop {
            match wait::next_signal() {
                libc::SIGCHLD => {
                    while let Some((pid, change)) = wait::next_change() {
                        match change {
                            Change::Ended(exit) if pid == self.pid => return exit.status(),
                            // The terminal stopped it, so the program that started pm has to see pm stopped too. After
                            // a plain SIGSTOP the guard stays awake: if the reactor is killed next, the guard has to
                            // clean up.
                            Change::Stopped(signal)
                                if pid == self.pid
                                    && (is_suspending || signal != libc::SIGSTOP) =>
                            {
                                send(getpid(), libc::SIGSTOP);
                            }
                            Change::Ended(_) | Change::Stopped(_) => {}
                        }
                    }
                }
                // Sent for reading from or writing to the terminal, and the guard does neither.
                libc::SIGTTIN | libc::SIGTTOU => {}
                libc::SIGTSTP => {
                    is_suspending = true;
                    send(self.target, libc::SIGTSTP);
                }
                libc::SIGCONT => {
                    is_suspending = false;
                    if self.takes_terminal {
                        // A shell's `fg` has given the terminal to pm.
                        pass_terminal(getpgrp(), self.pid);
                    }
                    send(self.target, libc::SIGCONT);
                }
                signal @ (libc::SIGINT | libc::SIGTERM | libc::SIGHUP | libc::SIGQUIT) => {
                    send(self.target, signal);
                    // A stopped process acts on such a signal only once it continues.
                    send(self.target, libc::SIGCONT);
                }
                signal => send(self.target, signal),
            }
        }
    }
}

/// Kills and reaps everything that the reactor has left, until only the inherited children remain.
fn sweep(inherited: &[Pid]) {
    loop {
        let mut left = 0;
        ChildList::open().for_each(|pid| {
            if !inherited.contains(&pid) {
                left += 1;
                // Only this thread can reap the child, so its number cannot stand for another process.
                let _ = kill(pid, Signal::SIGKILL);
            }
        });
        if left == 0 || wait::any().is_err() {
            return;
        }
    }
}

/// Gives the foreground of the terminal to the group `to`, if `from` has it. There may be no terminal any more.
fn pass_terminal(from: Pid, to: Pid) {
    if tcgetpgrp(stdin()) == Ok(from) {
        // All signals are blocked here, so this works from the background too (tcsetpgrp(3)).
        let _ = tcsetpgrp(stdin(), to);
    }
}

/// Sends a signal. A process that has ended needs none.
fn send(pid: Pid, signal: libc::c_int) {
    let _ = signals::send(pid, signal);
}
