//! The guard: the outer process. It outlives the reactor by a moment and leaves no process of pm's behind.
//!
//! pm forks once, before it starts anything. The child continues as the reactor, in a process group of its own; the
//! parent is the guard and waits here. The terminal's foreground group holds only the guard, so a Ctrl-C reaches the
//! guard alone, and the guard passes each signal on once. When the reactor ends, in whatever way, its orphans become
//! children of the guard, which is a child subreaper (prctl(2)), and the guard kills and reaps until none is left. If
//! the guard itself is killed, the kernel sends the reactor SIGCONT, and the reactor asks [`is_alive`] and drains.
//!
//! In `ps` the guard is called `pm-guard`, so that `killall -9 pm` leaves a process that cleans up.
//!
//! After the fork the guard opens nothing but /proc, never writes, and wakes up for signals only. It allocates nothing
//! before the end of what it guards.
//! Where to look next: [`guarded`] passes signals on, [`leftovers`] ends what is left, but not what was [`inherited`].
//! [`super::wait`] waits for signals and children, [`super::child_list`] finds the orphans.

mod guarded;
mod inherited;
mod leftovers;

use crate::sys::errno_words;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, stdin};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::OnceLock;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal, sigprocmask};
use nix::unistd::{
    ForkResult, Pid, chdir, execvp, fork, getpgrp, getpid, getppid, setpgid, tcgetpgrp, tcsetpgrp,
};

use self::guarded::{Guarded, Kind};
use self::inherited::Inherited;
use super::own_process;
use super::proc::{self, Usable};
use super::sealed::{self, Seal, SealError};
use super::wait::Waiter;

/// What this process is after [`start`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role<T> {
    /// The child: it does the work.
    Reactor(T),
    /// The parent, and everything has ended: the reactor's exit status, or 128 + n if signal n killed it.
    Guard(u8),
}

/// What is around the reactor and its descendants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enclosure {
    None,
    /// [`sealed`]: whatever ends pm, the kernel ends all of it.
    PidNamespace,
}

/// Why no guard could be started, or not the command that it would guard.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    #[error(
        "cannot start the guard, so nothing was started: {}{}", errno_words(*.0),
        if *.0 == Errno::EAGAIN { " (too many processes)" } else { "" }
    )]
    Refused(#[from] Errno),
    /// Found before the fork.
    #[error(
        "there is no /proc, so nothing was started: without it no process that leaves its group can be found; mount \
         it, as `mount -t proc proc /proc` does"
    )]
    NoProc,
    /// As above.
    #[error(
        "/proc is that of another pid namespace, so nothing was started; mount it anew, as \
         `unshare --pid --fork --mount-proc` does"
    )]
    ForeignProc,
    /// Before the fork, or reported by the child.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Reported by the child. The guard ends with the status that the child ends with.
    #[error("{program}: {}", errno_words(*.errno))]
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
            Self::Refused(_) | Self::NoProc | Self::ForeignProc | Self::Seal(_) => None,
        }
    }
}

/// The guard's name in `ps`, at most 15 bytes (prctl(2), PR_SET_NAME).
const GUARD_NAME: &CStr = c"pm-guard";

/// The signal that the kernel sends the reactor when the guard has died (prctl(2), PR_SET_PDEATHSIG). A stopped reactor
/// acts on no other. Since anyone may send it, the reactor asks [`is_alive`] at each.
const DEATH_SIGNAL: Signal = Signal::SIGCONT;

/// In the reactor: a pipe whose other end the guard alone has open. The kernel closes that before it sends
/// [`DEATH_SIGNAL`]; a pidfd and, in a sealed run, getppid(2) would tell of the death only later, or never.
static LIFE: OnceLock<PipeReader> = OnceLock::new();

/// In the reactor: false if its guard has died. True where there is no guard.
pub fn is_alive() -> bool {
    let Some(life) = LIFE.get() else { return true };
    let mut ended = [PollFd::new(life.as_fd(), PollFlags::empty())];
    // The guard writes nothing: what is reported is the end (POLLHUP).
    poll(&mut ended, PollTimeout::ZERO) != Ok(1)
}

/// Starts the guard: forks, and continues as the reactor in the child and as the guard in the parent. `for_reactor` is
/// what only the reactor needs: the guard frees it.
///
/// # Errors
/// If the kernel refuses the fork, or another system call that a guard needs.
pub fn start<T>(enclosure: Enclosure, for_reactor: T) -> Result<Role<T>, GuardError> {
    match split(enclosure)? {
        Side::Child { guard, seal, life, .. } => {
            LIFE.set(life).expect("a process becomes the reactor once");
            become_reactor(guard)?;
            if let Some(seal) = seal {
                seal.enter()?;
            }
            // Signals stay blocked until the reactor has caught them (`OwnProcess::set_up`).
            Ok(Role::Reactor(for_reactor))
        }
        Side::Guard { child, waiter, inherited, _life } => {
            drop(for_reactor);
            own_process::release_memory();
            Ok(Role::Guard(Guarded::new(child, Kind::Reactor, inherited).outlive(&waiter)))
        }
    }
}

/// Guards one command, which takes the reactor's place: what tini and dumb-init do as process 1.
///
/// The command gets a process group of its own, the terminal if this process had it, and everything else unchanged:
/// descriptors, signal mask, ignored signals. Signals go to its whole group. What it leaves behind gets SIGTERM, and
/// SIGKILL after `grace`. Returns its exit status, or 128 + n if signal n killed it.
///
/// # Errors
/// If the kernel refuses the fork, or another system call that a guard needs; in the child, if exec(2) fails.
pub fn run_command(argv: &[CString], grace: Duration) -> Result<u8, GuardError> {
    let has_terminal = tcgetpgrp(stdin()) == Ok(getpgrp());
    match split(Enclosure::None)? {
        Side::Child { guard, mask, sigchld, .. } => {
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
            // SAFETY: at the start of a program no action runs code of it (execve(2)).
            // WHY: as in `split`.
            unsafe { signal(Signal::SIGCHLD, sigchld) }?;
            sigprocmask(SigmaskHow::SIG_SETMASK, Some(&mask), None)?;
            let program = argv.first().expect("an argv names its program");
            let Err(errno) = execvp(program, argv);
            Err(GuardError::Exec { program: program.to_string_lossy().into_owned(), errno })
        }
        Side::Guard { child, waiter, inherited, _life } => {
            // A folder that a process is in cannot be unmounted, and the guard needs none.
            let _ = chdir("/");
            Ok(Guarded::new(child, Kind::Command { grace }, inherited).outlive(&waiter))
        }
    }
}

/// What this process is after the fork. All signals are blocked in both.
enum Side {
    /// `guard` is the parent, as getppid(2) returns it; `mask` is the signal mask and `sigchld` the action of SIGCHLD
    /// that pm was started with; `life` as in [`LIFE`].
    Child { guard: Pid, mask: SigSet, sigchld: SigHandler, seal: Option<Seal>, life: PipeReader },
    /// `_life` stays open as long as the guard lives.
    Guard { child: Pid, waiter: Waiter, inherited: Inherited, _life: PipeWriter },
}

fn split(enclosure: Enclosure) -> Result<Side, GuardError> {
    match proc::usable() {
        Usable::Yes => {}
        Usable::Missing => return Err(GuardError::NoProc),
        Usable::Foreign => return Err(GuardError::ForeignProc),
    }
    own_process::release_memory();
    prctl::set_child_subreaper(true)?;
    let inherited = Inherited::find();
    let mut mask = SigSet::empty();
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut mask))?;
    own_process::held_requests().into_iter().for_each(|request| mask.remove(request));
    // A process that ignores SIGCHLD is told of no child's end, and cannot reap its children (wait(2)).
    // SAFETY: SIG_DFL runs no code.
    // WHY: nix calls every change of an action unsafe.
    let sigchld = unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) }?;
    let waiter = Waiter::new()?;
    let seal = match enclosure {
        Enclosure::None => None,
        Enclosure::PidNamespace => Some(sealed::seal()?),
    };
    // A parent outside of the namespace has no number in it (pid_namespaces(7)).
    let guard = if seal.is_some() { Pid::from_raw(0) } else { getpid() };
    // After the seal, whose process 1 must not have the guard's end open.
    let (life, guards_end) = io::pipe().map_err(sealed::errno_of)?;
    // SAFETY: no other thread was ever started, so the child may go on as any program does.
    // WHY: the reactor is to be this very program, with its plan; a spawn would start another from the beginning.
    match unsafe { fork() }? {
        ForkResult::Child => {
            drop(guards_end);
            Ok(Side::Child { guard, mask, sigchld, seal, life })
        }
        ForkResult::Parent { child } => {
            // The child does the same: the first of the two to run does it. The child may have ended already.
            let _ = setpgid(child, child);
            // Only messages and people read the name.
            let _ = prctl::set_name(GUARD_NAME);
            Ok(Side::Guard { child, waiter, inherited, _life: guards_end })
        }
    }
}

/// In the child: a process group of its own, no terminal, and a signal when the guard dies.
fn become_reactor(guard: Pid) -> Result<(), Errno> {
    setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
    prctl::set_pdeathsig(DEATH_SIGNAL)?;
    // If the guard died before the line above, the kernel never sends the signal (prctl(2)). In a sealed run getppid(2)
    // is 0 before and after.
    if getppid() != guard || !is_alive() {
        return Err(Errno::ESRCH);
    }
    detach_from_terminal();
    Ok(())
}

/// Gives up the terminal that the reactor would hand on to its workers: no worker may take the keyboard from pm by
/// tcsetpgrp(3), change its modes, or be stopped for reading from it. The guard keeps it.
///
/// Without a terminal of its own a process may write to any terminal that it has open, whatever `stty tostop` says.
fn detach_from_terminal() {
    let terminal =
        File::options().read(true).write(true).custom_flags(libc::O_NOCTTY).open("/dev/tty");
    if let Ok(terminal) = terminal {
        // SAFETY: an ioctl without an argument, on an open descriptor.
        // WHY: nix has no TIOCNOTTY (ioctl_tty(2)).
        unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCNOTTY) };
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::wait::{WaitStatus, waitpid};

    use super::*;

    /// What [`become_reactor`] returns in a child whose parent is this process.
    fn in_child(guard: Pid) -> Result<(), Errno> {
        // SAFETY: the child makes system calls only, and never returns.
        // WHY: only a process of its own may leave the group of this one.
        match unsafe { fork() }.unwrap() {
            ForkResult::Child => {
                let errno = become_reactor(guard).err().map_or(0, |errno| errno as i32);
                // SAFETY: _exit(2) is async-signal-safe and does not return.
                // WHY: exit(3) would run the exit work of the test.
                unsafe { libc::_exit(errno) }
            }
            ForkResult::Parent { child } => match waitpid(child, None).unwrap() {
                WaitStatus::Exited(_, 0) => Ok(()),
                WaitStatus::Exited(_, errno) => Err(Errno::from_raw(errno)),
                other => panic!("{other:?}"),
            },
        }
    }

    #[test]
    fn a_reactor_whose_guard_has_died_does_not_start() {
        assert_eq!(in_child(getpid()), Ok(()));
        assert_eq!(in_child(Pid::from_raw(1)), Err(Errno::ESRCH));
    }
}
