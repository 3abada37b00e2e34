//! A process that traces another one (ptrace(2)) and never waits for it, as a debugger that is stopped.

use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

use nix::sys::ptrace::{Options, seize};
use nix::unistd::{Pid, gettid};

/// It lets go of the process when it is dropped.
pub struct Tracer {
    /// Its number, which the kernel shows as TracerPid.
    pub pid: Pid,
    stays: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Tracer {
    /// `None`: a security module forbids it.
    pub fn of(traced: Pid) -> Option<Self> {
        let (stays, until_dropped) = channel();
        let (answer, answered) = channel();
        // The tracer of a process is a thread, and its end lets go of what it traces.
        let thread = thread::spawn(move || {
            answer.send((gettid(), seize(traced, Options::empty()))).expect("the test waits");
            // An error: the sender is dropped.
            let _ = until_dropped.recv();
        });
        let (pid, seized) = answered.recv().expect("an answer");
        seized.ok()?;
        Some(Self { pid, stays: Some(stays), thread: Some(thread) })
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        drop(self.stays.take());
        drop(self.thread.take().map(JoinHandle::join));
    }
}
