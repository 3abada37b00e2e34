//! The guard: the outer process, which outlives the reactor by a moment so that nothing else does.
//!
//! pm forks once, before it starts anything. The child goes on as the reactor, in a process group of its own; the
//! parent waits here. A Ctrl-C therefore reaches the guard alone, which is in the terminal's foreground group, and it
//! passes each signal on once. However the reactor ends, all that it leaves becomes the guard's (a child subreaper's,
//! prctl(2)), and the guard kills and reaps until nobody is left. If the guard itself is killed, the reactor hears of
//! it ([`gone`]) and ends in good order.
//!
//! After the fork the guard allocates nothing, opens nothing but /proc, never writes, and is woken by signals only.

use std::ffi::CString;
use std::io::stdin;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{self, SigHandler, SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::unistd::{
    ForkResult, Pid, execvp, fork, getpgrp, getpid, getppid, setpgid, tcgetpgrp, tcsetpgrp,
};

use super::proc::{self, ChildList};
use super::wait::{self, Change};
use super::{own_process, signals};

/// Who this process is after [`stand`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The child: it does the work.
    Reactor,
    /// The parent, and all is over: the reactor's exit status, or 128 + n if signal n killed it.
    Guard(u8),
}

/// Why there is nobody to guard.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    #[error("cannot stand guard, so nothing was started: {}", .0.desc())]
    Refused(#[from] Errno),
    /// Said by the child: the guard ends with the status that comes of it.
    #[error(
        "/proc is that of another pid namespace, so nothing was started; mount it anew, as \
         `unshare --pid --fork --mount-proc` does"
    )]
    ForeignProc,
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
pub fn stand() -> Result<Role, GuardError> {
    match divide()? {
        Side::Ward { guard, .. } => {
            be_guarded(guard)?;
            // Signals stay blocked until the reactor has caught them (`OwnProcess::take`).
            Ok(Role::Reactor)
        }
        Side::Guard { child, inherited } => {
            let ward = Ward { pid: child, target: child, takes_terminal: false };
            Ok(Role::Guard(ward.outlive(&inherited)))
        }
    }
}

/// Stands guard over one command, which takes the reactor's place: what tini and dumb-init do as process 1.
///
/// The command gets a process group of its own, the terminal if this process had it, and everything else as it was:
/// descriptors, signal mask, what is ignored. Signals go to its whole group. Returns its exit status, or 128 + n if
/// signal n killed it.
///
/// # Errors
/// If the kernel refuses a fork or what a guard needs; in the child, if it cannot become the command.
pub fn init(argv: &[CString]) -> Result<u8, GuardError> {
    let has_terminal = tcgetpgrp(stdin()) == Ok(getpgrp());
    match divide()? {
        Side::Ward { guard, mask } => {
            setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
            prctl::set_pdeathsig(Signal::SIGKILL)?;
            if getppid() != guard {
                return Err(Errno::ESRCH.into());
            }
            if has_terminal {
                // From the background, which SIGTTOU forbids to all who do not block it (tcsetpgrp(3)).
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
            let ward = Ward { pid: child, target: group, takes_terminal: true };
            Ok(ward.outlive(&inherited))
        }
    }
}

/// Who this process is after the fork. All signals are blocked in both.
enum Side {
    /// `mask` is the one from before.
    Ward { guard: Pid, mask: SigSet },
    /// `inherited` are children from before the fork.
    Guard { child: Pid, inherited: Vec<Pid> },
}

fn divide() -> Result<Side, GuardError> {
    if !proc::is_proc_ours() {
        return Err(GuardError::ForeignProc);
    }
    own_process::let_go_of_code();
    prctl::set_child_subreaper(true)?;
    // A shell's `exec pm > >(tee log)` has children that are not pm's to end.
    let inherited = proc::children_of(getpid());
    let mut mask = SigSet::empty();
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut mask))?;
    let guard = getpid();
    // SAFETY: no other thread was ever started, so the child may go on as any program does.
    // WHY: the reactor is to be this very program, with its plan; a spawn would start another from the beginning.
    match unsafe { fork() }? {
        ForkResult::Child => Ok(Side::Ward { guard, mask }),
        ForkResult::Parent { child } => {
            // The child does the same; whoever comes first. It may be gone already.
            let _ = setpgid(child, child);
            Ok(Side::Guard { child, inherited })
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

/// Who is guarded.
struct Ward {
    pid: Pid,
    /// Where signals go, as kill(2) takes it: the process, or its whole group.
    target: Pid,
    /// The terminal that is pm's to read and write is the ward's instead.
    takes_terminal: bool,
}

impl Ward {
    /// Waits for its end, ends what it has left, and returns what to exit with.
    fn outlive(&self, inherited: &[Pid]) -> u8 {
        let status = self.keep();
        if self.takes_terminal {
            // Whoever comes next has it from pm.
            pass_terminal(self.pid, getpgrp());
        }
        sweep(inherited);
        status
    }

    /// Passes signals on until it has ended.
    fn keep(&self) -> u8 {
        // A Ctrl-Z was passed on, and nothing has gone on since.
        let mut is_suspending = false;
        loop {
            match wait::next_signal() {
                libc::SIGCHLD => {
                    while let Some((pid, change)) = wait::next_change() {
                        match change {
                            Change::Ended(exit) if pid == self.pid => return exit.status(),
                            // A stop by the terminal: whoever started pm is to see pm stopped too. After a mere
                            // SIGSTOP the guard stays awake, since a ward that is killed next leaves it all to do.
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
                // The guard neither reads nor writes; these were about a terminal it does not use.
                libc::SIGTTIN | libc::SIGTTOU => {}
                libc::SIGTSTP => {
                    is_suspending = true;
                    send(self.target, libc::SIGTSTP);
                }
                libc::SIGCONT => {
                    is_suspending = false;
                    if self.takes_terminal {
                        // A shell's `fg` gives it to pm.
                        pass_terminal(getpgrp(), self.pid);
                    }
                    send(self.target, libc::SIGCONT);
                }
                signal @ (libc::SIGINT | libc::SIGTERM | libc::SIGHUP | libc::SIGQUIT) => {
                    self.end(signal);
                }
                signal => send(self.target, signal),
            }
        }
    }

    /// A stopped process acts on such a signal only once it goes on.
    fn end(&self, signal: libc::c_int) {
        send(self.target, signal);
        send(self.target, libc::SIGCONT);
    }
}

/// Kills and reaps all that the reactor has left, until there is nobody but those who were there before.
fn sweep(inherited: &[Pid]) {
    loop {
        let mut left = 0;
        ChildList::open().for_each(|pid| {
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

/// Hands the foreground of the terminal on, if `from` has it. There may be no terminal, or no more.
fn pass_terminal(from: Pid, to: Pid) {
    if tcgetpgrp(stdin()) == Ok(from) {
        // All signals are blocked here, so it may be done from the background (tcsetpgrp(3)).
        let _ = tcsetpgrp(stdin(), to);
    }
}

/// Whoever is gone needs no signal.
fn send(pid: Pid, signal: libc::c_int) {
    let _ = signals::send(pid, signal);
}
