//! A child that has not exec'd yet: it is made here, and what it reads is kept until it has exec'd or ended.
//!
//! As a rule it execs at once, and pm waits for that: the kernel tells when the child has left pm's memory. If it takes
//! longer, pm goes on. The child holds the writing end of a pipe, its report, which exec(2) and exit(2) close. What it
//! does is in [`super::child`]; who asks for the report is [`super::children`].

use std::ffi::CString;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::time::TimeSpec;
use nix::unistd::Pid;

use super::child::{self, ChildSetup, ExecSetup, Step};
use super::low_files::LowFiles;
use super::port_calls::PortCalls;
use super::shared::Shared;
use super::spawn::SpawnError;
use super::{signals, wait};

/// Room for the child's system calls. A debug build without optimisation needs about 4 KiB.
const STACK_BYTES: usize = 64 * 1024;

/// How long pm waits at most between two looks at a child that has no descriptors of its own yet.
static LOOK_AGAIN: libc::timespec = libc::timespec { tv_sec: 0, tv_nsec: 5_000_000 };

/// How long pm waits at most for an exec, before it goes on with other work.
pub const GIVE_WAY: Duration = Duration::from_millis(50);

/// The same while another child is on its way: hundreds may wait for the same file system.
pub const GIVE_WAY_BESIDE_ANOTHER: Duration = Duration::from_millis(1);

/// A child on its way to exec.
#[derive(Debug)]
pub struct Starting {
    pub pid: Pid,
    /// Readable when the child is dead (pidfd_open(2)). `None` before Linux 5.2.
    pub pidfd: Option<OwnedFd>,
    /// The calls of bind(2) and listen(2) of a child with a filter. `None`: it has none, or could not install it.
    pub port_calls: Option<PortCalls>,
    /// `None`: it has exec'd or ended already.
    report: Option<OwnedFd>,
    /// Never freed where the child may still use it: it is lost if this is dropped without [`Starting::finish`].
    memory: ManuallyDrop<Box<Memory>>,
}

/// What the child uses.
pub struct Memory {
    pub setup: ChildSetup,
    /// What `setup` points to.
    _variables: Vec<CString>,
    stack: Vec<u128>,
}

/// Where a child is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In pm's memory, with descriptors of its own.
    Inside,
    /// It was in pm's memory, and has exec'd or ended.
    Left,
    /// In a copy of pm's memory.
    Apart,
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
        let prepared = &self.setup.exec.prepared;
        out.debug_struct("Memory").field("prepared", prepared).finish_non_exhaustive()
    }
}

impl Memory {
    /// `variables` are what `setup` points to besides what is prepared.
    pub fn new(setup: ChildSetup, variables: Vec<CString>) -> Box<Self> {
        // Never filled: only the pages that the child touches take up memory.
        let stack = Vec::with_capacity(STACK_BYTES / size_of::<u128>());
        Box::new(Self { setup, _variables: variables, stack })
    }
}

impl Starting {
    /// Makes the child with these files, and waits `most` for its exec: as a rule that is enough, and on a busy machine
    /// the child would not have its turn while pm goes on. `report` is the reading end of the report that is open in
    /// `low_files`; it is taken only if the child needs longer.
    ///
    /// # Errors
    /// If the kernel refuses the clone. Then there is no child.
    pub fn begin(
        mut memory: Box<Memory>,
        files: [Option<BorrowedFd<'_>>; 4],
        low_files: &LowFiles,
        report: &mut Option<OwnedFd>,
        most: Duration,
    ) -> Result<Self, Errno> {
        let (pid, pidfd, place) = low_files.with(files, || {
            let mut before = SigSet::empty();
            // All signals are blocked: a handler that ran in the child would write to pm's memory and pm's self-pipe.
            sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before))?;
            let made = memory.clone_child();
            sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None)?;
            let (pid, pidfd) = made?;
            Ok((pid, pidfd, memory.give_way(pid, most)))
        })?;
        let report = match place {
            Place::Left => None,
            // It has its own end of the report.
            Place::Inside | Place::Apart => {
                low_files.close_report();
                report.take()
            }
        };
        let port_calls = memory.take_listener().map(PortCalls::new);
        let memory = ManuallyDrop::new(memory);
        let starting = Self { pid, pidfd, port_calls, report, memory };
        if place == Place::Apart {
            starting.await_report(most.try_into().unwrap_or(PollTimeout::ZERO));
        }
        Ok(starting)
    }

    /// Readable, at its end, when the child has exec'd or ended. `None`: it has.
    pub fn report(&self) -> Option<BorrowedFd<'_>> {
        self.report.as_ref().map(AsFd::as_fd)
    }

    /// True if the child has exec'd or ended.
    pub fn is_reported(&self) -> bool {
        self.await_report(PollTimeout::ZERO)
    }

    fn await_report(&self, most: PollTimeout) -> bool {
        let Some(report) = self.report() else { return true };
        // EINTR: the signal is more urgent.
        poll(&mut [PollFd::new(report, PollFlags::empty())], most) == Ok(1)
    }

    /// True if a step has failed, so that the child has ended or is about to.
    pub fn has_failed(&self) -> bool {
        self.memory.setup.exec.progress.errno.load(Ordering::Acquire) != 0
    }

    /// True if the child, which has exec'd or ended, was killed on its way. One that was killed in the midst of its
    /// exec is taken for one that has exec'd: only the kernel tells them apart ([`super::proc::has_execd`]).
    pub fn was_killed(&self) -> bool {
        !self.has_failed() && self.memory.setup.exec.progress.step() != Step::Exec
    }

    /// What the child is waiting for, if it has not exec'd.
    pub fn awaiting(&self) -> Awaiting {
        let ExecSetup { prepared, progress, .. } = &self.memory.setup.exec;
        match progress.step() {
            Step::Folder => prepared
                .folder()
                .map_or(Awaiting::Other, |folder| Awaiting::Folder(folder.to_owned())),
            Step::Find | Step::PassOver | Step::Exec | Step::Interpreter => {
                prepared.file(progress.file()).map_or(Awaiting::Other, Awaiting::Program)
            }
            Step::Filter | Step::Detach | Step::Group | Step::Cgroup => Awaiting::Other,
            Step::Nice | Step::Limits | Step::Identity => Awaiting::Other,
            Step::DeathSignal | Step::Output => Awaiting::Other,
        }
    }

    /// The report is complete, or the child is reaped: the child does not use its memory any more.
    ///
    /// # Errors
    /// Why it could not exec, if a step has failed.
    pub fn finish(self) -> Result<(), SpawnError> {
        let Self { memory, .. } = self;
        let Memory { setup, .. } = *ManuallyDrop::into_inner(memory);
        let ExecSetup { prepared, progress, .. } = &setup.exec;
        match progress.error() {
            None => Ok(()),
            Some(errno) => Err(prepared.error(progress.step(), errno, progress.file())),
        }
    }
}

impl Memory {
    fn is_copied(&self) -> bool {
        matches!(self.setup.exec.progress, Shared::Mapped(_))
    }

    fn clone_child(&mut self) -> Result<(Pid, Option<OwnedFd>), Errno> {
        let top = self.stack.spare_capacity_mut().as_mut_ptr_range().end;
        let setup: *const ChildSetup = &self.setup;
        self.setup.exec.progress.is_inside.store(1, Ordering::Relaxed);
        // As by fork(2), or with pm's own memory and descriptors.
        let shared = match (self.is_copied(), self.setup.has_filter) {
            (false, _) => libc::CLONE_VM | libc::CLONE_FILES,
            // The listener of its filter has to lie in pm's table.
            (true, true) => libc::CLONE_FILES,
            (true, false) => 0,
        };
        let flags = shared | libc::CLONE_PIDFD | libc::SIGCHLD;
        // An older kernel ignores CLONE_PIDFD and leaves it.
        let mut pidfd: RawFd = -1;
        // SAFETY: `top` is the top of a stack, aligned as the ABI wants it (16 bytes). The stack and the setup are in a
        // box that is kept until the child has exec'd or ended. `run` reads the setup, writes to its progress, makes
        // system calls only, and never returns. `pidfd` is a valid int for the kernel to write to.
        // WHY: fork(2) copies page tables for every child, and safe spawn calls (std, posix_spawn) stand still until
        // the child has exec'd, and know no PR_SET_PDEATHSIG, no limits, and no check of the parent.
        let pid = unsafe {
            let setup = setup.cast_mut().cast();
            libc::clone(child::run, top.cast(), flags, setup, &raw mut pidfd)
        };
        let pid = Errno::result(pid).map(Pid::from_raw)?;
        // SAFETY: the kernel has just made this descriptor, and nothing else owns it.
        // WHY: no safe call returns it.
        let pidfd = (pidfd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(pidfd) });
        Ok((pid, pidfd))
    }

    /// Waits a moment for a child that shares pm's memory to leave it, and then until it has descriptors of its own.
    fn give_way(&self, pid: Pid, most: Duration) -> Place {
        if self.is_copied() {
            if self.setup.has_filter {
                self.await_detached(pid);
            }
            return Place::Apart;
        }
        let is_inside = &self.setup.exec.progress.is_inside;
        let most = *TimeSpec::from_duration(most).as_ref();
        // The kernel wakes whatever waits for this word, not only threads of this process.
        while is_inside.load(Ordering::Acquire) != 0 {
            match wait_while(is_inside, 1, libc::FUTEX_WAIT, &most) {
                Ok(()) | Err(Errno::EAGAIN) => {}
                // EINTR: the signal is more urgent, and the children of a storm exec side by side.
                Err(_) => break,
            }
        }
        if is_inside.load(Ordering::Acquire) == 0 {
            return Place::Left;
        }
        self.await_detached(pid);
        Place::Inside
    }

    /// Waits until a child has descriptors of its own.
    fn await_detached(&self, pid: Pid) {
        let progress = &self.setup.exec.progress;
        let is_detached = &progress.is_detached;
        // On its way there is nothing that can hang. But any process may stop it there (SIGSTOP), and pm with it: it is
        // continued. A child that runs does not notice, since its signals are blocked and SIGCONT has its default
        // action.
        let wait = libc::FUTEX_WAIT | progress.futex_flag();
        while is_detached.load(Ordering::Acquire) == 0 {
            if wait_while(is_detached, 0, wait, &LOOK_AGAIN) != Err(Errno::ETIMEDOUT) {
                continue;
            }
            if wait::is_dead(pid) {
                return;
            }
            let continued = signals::send(pid, libc::SIGCONT);
            debug_assert_eq!(continued, Ok(()), "a child that is not reaped is there");
        }
    }

    /// The listener of its filter, once the child is detached or has ended.
    fn take_listener(&self) -> Option<OwnedFd> {
        if !self.setup.has_filter {
            return None;
        }
        let number = self.setup.exec.progress.listener.swap(0, Ordering::Acquire);
        // SAFETY: the child has made this descriptor in the table that it shared with pm, and its own copy is in
        // another table by now. Nothing else owns it.
        // WHY: as for the pidfd.
        (number > 0).then(|| unsafe { OwnedFd::from_raw_fd(number) })
    }
}

/// Waits until the word is woken, if it has this value (futex(2)).
fn wait_while(
    word: &AtomicU32,
    value: u32,
    operation: libc::c_int,
    most: &libc::timespec,
) -> Result<(), Errno> {
    let most: *const libc::timespec = most;
    // SAFETY: the word lives as long as the call; the kernel reads it and the time, and writes nothing.
    // WHY: std has no futex, and a lock could not be left by a child that is killed.
    let waited = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, value, most) };
    Errno::result(waited).map(drop)
}
