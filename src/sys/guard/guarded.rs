//! The process that is guarded, from its start to its end: each signal is passed on once, and none is added.
//!
//! When it stops, the guard stops too, so that the program that started pm sees pm stopped. The reactor stops only when
//! the guard has passed a stop signal on: a signal to the reactor alone leaves the guard awake, since a SIGCONT to the
//! reactor alone would not continue it.

use std::io::stdin;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpgid, getpgrp, getpid, tcgetpgrp, tcsetpgrp};

use super::inherited::Inherited;
use super::leftovers;
use crate::sys::signals;
use crate::sys::wait::{self, Change, STOPS, Waiter};

/// The process that is guarded.
pub struct Guarded {
    pid: Pid,
    kind: Kind,
    /// Other children of the guard.
    inherited: Inherited,
    /// It is stopped now.
    is_stopped: bool,
    /// A stop signal was passed on, and no SIGCONT has come since.
    is_suspending: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// pm's reactor. Signals go to it alone.
    Reactor,
    /// A command, which leads a process group and has the terminal in pm's place. What it leaves has the grace.
    Command { grace: Duration },
}

/// What the guard has to do after it has looked at its children.
enum Due {
    Nothing,
    /// Stop, because the guarded process was stopped.
    Stop,
    /// The guarded process is dead, and not reaped yet.
    End,
}

impl Guarded {
    pub fn new(pid: Pid, kind: Kind, inherited: Inherited) -> Self {
        Self { pid, kind, inherited, is_stopped: false, is_suspending: false }
    }

    /// Waits for its end, ends what it has left behind, and returns the exit status for this process.
    pub fn outlive(mut self, waiter: &Waiter) -> u8 {
        self.wait(waiter);
        let left = match self.kind {
            Kind::Command { grace } if !grace.is_zero() => {
                // While it is not reaped, no other group can have its number.
                leftovers::terminate(group(self.pid));
                Some((self.pid, grace))
            }
            Kind::Command { .. } | Kind::Reactor => None,
        };
        let exit = wait::reap(self.pid).ok().flatten();
        if let Kind::Command { .. } = self.kind {
            // The program that started pm takes the terminal back from pm's group.
            pass_terminal(self.pid, getpgrp());
        }
        if let Some((pid, grace)) = left {
            leftovers::wait(pid, grace, waiter, &mut self.inherited);
        }
        leftovers::kill(waiter, &mut self.inherited);
        exit.expect("its end was seen, and only the guard reaps it").status()
    }

    /// Passes signals on until it has ended.
    fn wait(&mut self, waiter: &Waiter) {
        loop {
            let signal = match (self.kind, self.is_suspending) {
                // The command may go on after a stop signal, and the next one has to reach it.
                (Kind::Command { .. }, _) => waiter.next(),
                (Kind::Reactor, false) => waiter.next_but_stops(),
                (Kind::Reactor, true) => waiter.next_of_others(),
            };
            // A signal of a low number is taken before SIGCHLD: what has happened to it is looked at first.
            let due = self.look_at_children();
            if matches!(due, Due::End) {
                return;
            }
            self.act_on(signal, waiter);
            // It may have been stopped before the guard was asked to stop.
            let is_suspended = self.is_suspending && self.kind == Kind::Reactor;
            if self.is_stopped && (is_suspended || matches!(due, Due::Stop)) {
                self.stop();
            }
        }
    }

    fn act_on(&mut self, signal: libc::c_int, waiter: &Waiter) {
        match signal {
            libc::SIGCHLD => {}
            libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU => {
                self.is_suspending = true;
                self.pass_on(match self.kind {
                    Kind::Command { .. } => signal,
                    // The reactor stops its workers for this one.
                    Kind::Reactor => libc::SIGTSTP,
                });
            }
            libc::SIGCONT => {
                if let Kind::Command { .. } = self.kind {
                    // A shell's `fg` has given the terminal to pm.
                    pass_terminal(getpgrp(), self.pid);
                }
                self.resume();
            }
            libc::SIGINT | libc::SIGTERM | libc::SIGHUP | libc::SIGQUIT => {
                self.pass_on(signal);
                if self.is_stopped || self.is_suspending {
                    waiter.take_stops();
                    // A stopped process acts on such a signal only once it continues.
                    self.resume();
                }
            }
            signal => self.pass_on(signal),
        }
    }

    fn resume(&mut self) {
        self.is_suspending = false;
        self.is_stopped = false;
        self.pass_on(libc::SIGCONT);
    }

    /// Reaps what has ended, but the guarded process itself.
    fn look_at_children(&mut self) -> Due {
        let mut due = Due::Nothing;
        while let Some((pid, change)) = wait::next_change() {
            match change {
                Change::Ended if pid == self.pid => return Due::End,
                Change::Ended => self.inherited.reap(pid),
                Change::Stopped(signal) if pid == self.pid => {
                    self.is_stopped = true;
                    due = match self.kind {
                        // Nothing was passed on: if the reactor is killed next, the guard has to clean up.
                        Kind::Reactor if !self.is_suspending => Due::Nothing,
                        // So does it after a plain SIGSTOP. By another signal a command stops itself.
                        Kind::Command { .. } if !self.is_suspending && signal == libc::SIGSTOP => {
                            Due::Nothing
                        }
                        Kind::Reactor | Kind::Command { .. } => Due::Stop,
                    };
                }
                Change::Continued if pid == self.pid => {
                    self.is_stopped = false;
                    due = Due::Nothing;
                }
                Change::Stopped(_) | Change::Continued => {}
            }
        }
        due
    }

    /// Stops the guard until a SIGCONT.
    ///
    /// The stop signal that was passed on to the reactor waits still, unless a SIGCONT has come since. Where the kernel
    /// drops it, no shell waits for the guard to stop (setpgid(2)), and the guard stays awake.
    ///
    /// A command may have stopped by itself. Then the guard stops by a SIGSTOP; since that would remove a SIGCONT, it
    /// is looked for first. Between the two, for less than a microsecond, one can still be lost.
    fn stop(&self) {
        wait::stop_if_pending(&STOPS);
        let is_by_itself = match self.kind {
            Kind::Reactor => false,
            Kind::Command { .. } => !wait::pending().contains(Signal::SIGCONT),
        };
        if is_by_itself {
            send(getpid(), libc::SIGSTOP);
        }
    }

    fn pass_on(&self, signal: libc::c_int) {
        match self.kind {
            Kind::Reactor => send(self.pid, signal),
            Kind::Command { .. } => {
                send(group(self.pid), signal);
                // It may have left its own group. It is not reaped, so the number is still its own.
                if getpgid(Some(self.pid)) != Ok(self.pid) {
                    send(self.pid, signal);
                }
            }
        }
    }
}

/// The process group of this leader, as kill(2) takes it.
fn group(leader: Pid) -> Pid {
    Pid::from_raw(-leader.as_raw())
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
