//! Signals as events of the poll loop, by a self-pipe. What a signal means is not decided here.
//!
//! The pipe itself is in [`super::self_pipe`]. The guard has none: it waits with [`super::wait`].
//!
//! SIGTSTP and SIGCONT have no handler, since flags would lose their order. They are blocked, and wait in the kernel,
//! where each of the two removes the other (signal(7)): only the later one is there.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use mio::event::Source;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::errno::Errno;
use nix::libc::{
    SIG_DFL, SIG_IGN, SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2,
    SIGWINCH,
};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;

use super::self_pipe::SelfPipe;
use super::{guard, wait};

/// A signal that pm acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caught {
    /// SIGCHLD: a child has changed state.
    Child,
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM: stop all workers and end.
    Terminate,
    /// SIGHUP: the terminal is gone.
    Hangup,
    /// SIGQUIT: Ctrl-\.
    Quit,
    /// SIGTSTP: Ctrl-Z.
    Suspend,
    /// SIGCONT: after a stop.
    Continue,
    /// The guard was killed ([`guard::is_alive`]). Once.
    GuardGone,
    /// SIGUSR1: read the file again.
    Reload,
    /// SIGUSR2. Caught because its default action would end pm.
    User2,
    /// SIGWINCH: the size of the terminal has changed.
    Resized,
}

const CAUGHT_UNLESS_IGNORED: [i32; 7] =
    [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH];

/// How a suspension has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continued {
    /// [`Signals::take`] will find the SIGCONT.
    BySignal,
    /// Nothing was stopped, and no SIGCONT has come.
    AtOnce,
}

/// The signals that pm catches, as one source of the poll loop.
pub struct Signals {
    pipe: SelfPipe,
    /// Readable when one of [`Signals::blocked`] waits, or one that is held.
    waiting: SignalFd,
    guard: Guard,
}

/// What is known of the guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guard {
    Alive,
    Dead,
}

impl Signals {
    /// Catches the signals from now on. One that was ignored when pm started (nohup(1), or `&` in a script) stays
    /// ignored.
    ///
    /// # Errors
    /// If the kernel refuses a pipe, a handler or a descriptor.
    pub fn catch() -> io::Result<Self> {
        let others = CAUGHT_UNLESS_IGNORED.into_iter().filter(|signal| !is_ignored(*signal));
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let waiting = SignalFd::with_flags(&Self::blocked(), flags)?;
        let pipe = SelfPipe::catch(others.chain([SIGCHLD]))?;
        Ok(Self { pipe, waiting, guard: Guard::Alive })
    }

    /// The signals that stay blocked while the reactor runs.
    pub fn blocked() -> SigSet {
        SigSet::from_iter([Signal::SIGTSTP, Signal::SIGCONT])
    }

    /// The poll has reported this source: it reports the next signal again.
    pub fn empty_pipe(&mut self) {
        self.pipe.empty();
    }

    /// Takes the signals that have arrived since the last call. Never waits.
    ///
    /// [`Caught::Suspend`] is the last one. It is not taken from the kernel: [`Signals::suspend`] does that. There is
    /// none without a guard, since nothing would continue pm.
    pub fn take(&mut self) -> Vec<Caught> {
        let mut caught: Vec<_> = self.pipe.take().map(Caught::of).collect();
        let pending = wait::pending();
        let may_be_death = pending.contains(Signal::SIGCONT) || pending.contains(Signal::SIGTSTP);
        if may_be_death && self.guard == Guard::Alive && !guard::is_alive() {
            self.guard = Guard::Dead;
            caught.push(Caught::GuardGone);
        }
        if pending.contains(Signal::SIGCHLD) && wait::take_pending(Signal::SIGCHLD) {
            caught.push(Caught::Child);
        }
        // A SIGTSTP may have removed the SIGCONT meanwhile.
        if pending.contains(Signal::SIGCONT) && wait::take_pending(Signal::SIGCONT) {
            caught.push(Caught::Continue);
        }
        if pending.contains(Signal::SIGTSTP) && !is_ignored(SIGTSTP) {
            match self.guard {
                Guard::Alive => caught.push(Caught::Suspend),
                // A SIGCONT may have removed it meanwhile.
                Guard::Dead => drop(wait::take_pending(Signal::SIGTSTP)),
            }
        }
        caught
    }

    /// From now on SIGCHLD waits in the kernel until it is taken, and ends no system call: where hundreds of workers
    /// end at once and none is started, a handler would run for each.
    ///
    /// # Errors
    /// As signalfd(2). Then the handler goes on.
    pub fn hold_children(&mut self) -> io::Result<()> {
        let mut held = Self::blocked();
        held.add(Signal::SIGCHLD);
        self.waiting.set_mask(&held)?;
        Ok(held.thread_block()?)
    }

    /// Stops this process by the SIGTSTP that [`Signals::take`] has found, until a SIGCONT.
    ///
    /// If a SIGCONT has come since, as at the death of the guard, the kernel has removed the SIGTSTP, and this returns
    /// at once.
    pub fn suspend(&self) -> Continued {
        wait::stop_if_pending(&[Signal::SIGTSTP]);
        if wait::pending().contains(Signal::SIGCONT) {
            Continued::BySignal
        } else {
            Continued::AtOnce
        }
    }
}

impl Caught {
    fn of(signal: i32) -> Self {
        match signal {
            SIGCHLD => Self::Child,
            SIGINT => Self::Interrupt,
            SIGTERM => Self::Terminate,
            SIGHUP => Self::Hangup,
            SIGQUIT => Self::Quit,
            SIGUSR1 => Self::Reload,
            SIGUSR2 => Self::User2,
            SIGWINCH => Self::Resized,
            other => unreachable!("signal {other} is not caught"),
        }
    }
}

impl Source for Signals {
    fn register(&mut self, at: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        SourceFd(&self.pipe.as_fd().as_raw_fd()).register(at, token, interest)?;
        SourceFd(&self.waiting.as_fd().as_raw_fd()).register(at, token, interest)
    }

    fn reregister(&mut self, at: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        SourceFd(&self.pipe.as_fd().as_raw_fd()).reregister(at, token, interest)?;
        SourceFd(&self.waiting.as_fd().as_raw_fd()).reregister(at, token, interest)
    }

    fn deregister(&mut self, at: &Registry) -> io::Result<()> {
        SourceFd(&self.pipe.as_fd().as_raw_fd()).deregister(at)?;
        SourceFd(&self.waiting.as_fd().as_raw_fd()).deregister(at)
    }
}

/// The signals whose action in pm is not the default. Complete only after [`Signals::catch`].
pub fn altered() -> Vec<i32> {
    (1..=SIGNAL_MAX).filter(|signal| action(*signal) != SIG_DFL as u64).collect()
}

/// Sends a signal by its number to a process, or to the process group of minus that number (kill(2)).
///
/// # Errors
/// ESRCH if there is no such process, EPERM if all of them belong to other users.
pub(super) fn send(to: Pid, signal: i32) -> Result<(), Errno> {
    // SAFETY: a system call on numbers.
    // WHY: nix's `Signal` has no real-time signals.
    Errno::result(unsafe { libc::kill(to.as_raw(), signal) }).map(drop)
}

/// The highest signal number of Linux.
const SIGNAL_MAX: i32 = 64;

pub(super) fn is_ignored(signal: i32) -> bool {
    action(signal) == SIG_IGN as u64
}

/// The action of a signal: SIG_DFL, SIG_IGN, or the address of a handler. Allocates nothing.
pub(super) fn action(signal: i32) -> u64 {
    // The kernel's own `struct sigaction`, at most four words, the handler first.
    let mut action = [0_u64; 4];
    let no_new = std::ptr::null::<u64>();
    // SAFETY: `action` is as large as the largest that the kernel writes; a null new action changes nothing. An error
    // (no such signal) leaves it at zeroes: the default.
    // WHY: nix can set an action but not read one, and libc hides 32 and 33, which pm may have been started with
    // ignored.
    unsafe {
        let old = action.as_mut_ptr();
        libc::syscall(libc::SYS_rt_sigaction, signal, no_new, old, size_of::<u64>());
    }
    action[0]
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::raise;

    use super::*;

    #[test]
    fn a_sigchld_that_is_held_waits_until_it_is_taken() {
        let mut signals = Signals::catch().unwrap();
        signals.hold_children().unwrap();
        raise(Signal::SIGCHLD).unwrap();
        assert!(wait::pending().contains(Signal::SIGCHLD), "it waits");
        assert!(signals.take().contains(&Caught::Child));
        assert!(!wait::pending().contains(Signal::SIGCHLD), "it is taken");
        SigSet::from(Signal::SIGCHLD).thread_unblock().unwrap();
    }
}
