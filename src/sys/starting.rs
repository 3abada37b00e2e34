//! A child that has not exec'd yet: it is made here, and what it reads is kept until it has exec'd or ended.
//!
//! pm goes on meanwhile. The child holds the writing end of a pipe, its report, which exec(2) and exit(2) close. What
//! it does is in [`super::child`]; who asks for the report is [`super::children`].

use std::ffi::CString;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::unistd::Pid;

use super::child::{self, ChildSetup, Step};
use super::shared::Shared;
use super::spawn::{Prepared, SpawnError};
use super::wait;

/// Room for the child's system calls. A debug build without optimisation needs about 4 KiB.
const STACK_BYTES: usize = 64 * 1024;

/// How long pm waits at most between two looks at a child that has no descriptors of its own yet.
static LOOK_AGAIN: libc::timespec = libc::timespec { tv_sec: 0, tv_nsec: 5_000_000 };

/// How long pm waits at most for an exec, before it goes on with other work.
const GIVE_WAY_MS: u8 = 50;

/// A child on its way to exec.
#[derive(Debug)]
pub struct Starting {
    pub pid: Pid,
    /// Readable when the child is dead (pidfd_open(2)). `None` before Linux 5.2.
    pub pidfd: Option<OwnedFd>,
    report: OwnedFd,
    /// Never freed where the child may still use it: it is lost if this is dropped without [`Starting::finish`].
    memory: ManuallyDrop<Box<Memory>>,
}

/// What the child uses.
pub struct Memory {
    pub setup: ChildSetup,
    /// What `setup` points to.
    pub prepared: Rc<Prepared>,
    _variables: Vec<CString>,
    /// The files of `setup`, for messages.
    pub paths: Vec<PathBuf>,
    stack: Vec<u128>,
}

/// What a child that has not exec'd is waiting for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Awaiting {
    Folder(PathBuf),
    Program(PathBuf),
    /// Anything else, which does not take time as a rule.
    Other,
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Memory").field("paths", &self.paths).finish_non_exhaustive()
    }
}

impl Memory {
    pub fn new(
        setup: ChildSetup,
        prepared: Rc<Prepared>,
        variables: Vec<CString>,
        paths: Vec<PathBuf>,
    ) -> Box<Self> {
        // Never filled: only the pages that the child touches take up memory.
        let stack = Vec::with_capacity(STACK_BYTES / size_of::<u128>());
        Box::new(Self { setup, prepared, _variables: variables, paths, stack })
    }
}

impl Starting {
    /// Makes the child. When this returns, the child has descriptors of its own.
    ///
    /// # Errors
    /// If the kernel refuses the clone. Then there is no child.
    pub fn begin(mut memory: Box<Memory>, report: OwnedFd) -> Result<Self, Errno> {
        let top = memory.stack.spare_capacity_mut().as_mut_ptr_range().end;
        let setup: *const ChildSetup = &memory.setup;
        let mut before = SigSet::empty();
        // All signals are blocked: a handler that ran in the child would write to pm's memory and pm's self-pipe.
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before))?;
        // As by fork(2), or with pm's own memory and descriptors.
        let is_copied = matches!(memory.setup.exec.progress, Shared::Mapped(_));
        let shared = if is_copied { 0 } else { libc::CLONE_VM | libc::CLONE_FILES };
        let flags = shared | libc::CLONE_PIDFD | libc::SIGCHLD;
        // An older kernel ignores CLONE_PIDFD and leaves it.
        let mut pidfd: RawFd = -1;
        // SAFETY: `top` is the top of a stack, aligned as the ABI wants it (16 bytes). The stack and the setup are in a
        // box that is kept until the child has exec'd or ended. `run` reads the setup, writes to its progress, makes
        // system calls only, and never returns. `pidfd` is a valid int for the kernel to write to.
        // WHY: fork(2) copies page tables for every child, and safe spawn calls (std, posix_spawn) stand still until
        // the child has exec'd, and know no PR_SET_PDEATHSIG, no limits, and no check of the parent.
        let pid = unsafe {
            libc::clone(child::run, top.cast(), flags, setup.cast_mut().cast(), &raw mut pidfd)
        };
        let pid = Errno::result(pid).map(Pid::from_raw);
        if let Ok(pid) = pid
            && !is_copied
        {
            memory.await_detached(pid);
        }
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None)?;
        let pid = pid?;
        // SAFETY: the kernel has just made this descriptor, and nothing else owns it.
        // WHY: no safe call returns it.
        let pidfd = (pidfd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(pidfd) });
        Ok(Self { pid, pidfd, report, memory: ManuallyDrop::new(memory) })
    }

    /// Readable, at its end, when the child has exec'd or ended.
    pub fn report(&self) -> BorrowedFd<'_> {
        self.report.as_fd()
    }

    /// Lets the child exec first: on a busy machine it would wait for its turn while pm goes on. Not for long, since a
    /// file system may hang.
    pub fn give_way(&self) {
        let mut report = [PollFd::new(self.report(), PollFlags::empty())];
        // EINTR: the signal is more urgent.
        let _ = poll(&mut report, GIVE_WAY_MS);
    }

    /// True if the report is complete.
    pub fn is_reported(&self) -> bool {
        let mut report = [PollFd::new(self.report(), PollFlags::empty())];
        poll(&mut report, PollTimeout::ZERO) == Ok(1)
    }

    /// True if a step has failed, so that the child has ended or is about to.
    pub fn has_failed(&self) -> bool {
        self.memory.setup.exec.progress.errno.load(Ordering::Acquire) != 0
    }

    /// What the child is waiting for, if it has not exec'd.
    pub fn awaiting(&self) -> Awaiting {
        let Memory { setup, prepared, paths, .. } = &**self.memory;
        match setup.exec.progress.step() {
            Step::Folder => prepared
                .folder()
                .map_or(Awaiting::Other, |folder| Awaiting::Folder(folder.to_owned())),
            Step::Find | Step::PassOver | Step::Exec | Step::Interpreter => {
                let path = paths.get(setup.exec.progress.file()).cloned();
                path.map_or(Awaiting::Other, |path| Awaiting::Program(prepared.located(path)))
            }
            Step::Detach | Step::Group | Step::Cgroup | Step::Nice | Step::Limits => {
                Awaiting::Other
            }
            Step::Identity | Step::DeathSignal | Step::Output => Awaiting::Other,
        }
    }

    /// The report is complete, or the child is reaped: the child does not use its memory any more.
    ///
    /// # Errors
    /// Why it could not exec, if a step has failed.
    pub fn finish(self) -> Result<(), SpawnError> {
        let Self { memory, .. } = self;
        let Memory { setup, prepared, paths, .. } = *ManuallyDrop::into_inner(memory);
        match setup.exec.progress.error() {
            None => Ok(()),
            Some(errno) => {
                let path = paths.get(setup.exec.progress.file()).cloned().unwrap_or_default();
                Err(prepared.error(setup.exec.progress.step(), errno, path))
            }
        }
    }
}

impl Memory {
    /// Waits until the child has descriptors of its own, or has died. On its way there is nothing that can hang.
    fn await_detached(&self, pid: Pid) {
        let word = &self.setup.exec.progress.is_detached;
        while word.load(Ordering::Acquire) == 0 {
            let wait = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
            // SAFETY: the word lives as long as the call; the kernel reads it and the time, and writes nothing.
            // WHY: std has no futex, and a lock could not be left by a child that is killed.
            let waited = unsafe {
                libc::syscall(libc::SYS_futex, word.as_ptr(), wait, 0, &raw const LOOK_AGAIN)
            };
            if waited != 0 && Errno::last() == Errno::ETIMEDOUT && wait::is_dead(pid) {
                return;
            }
        }
    }
}
