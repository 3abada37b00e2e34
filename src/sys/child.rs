//! Between clone and exec: what the child does in pm's memory, with system calls only (signal-safety(7)).
//!
//! Nothing here allocates, locks or formats. [`super::spawn`] prepares the [`ChildSetup`].

use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::ptr::null;
use std::sync::atomic::{AtomicI32, Ordering};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::unistd::Pid;

/// Room for the child's system calls. A debug build without optimisation needs about 2 KiB.
const STACK_BYTES: usize = 64 * 1024;

/// What the child has to set up, and where it stores what went wrong. It is in pm's stack frame, which does not change
/// until the child has exec'd.
pub struct ChildSetup {
    pub parent: libc::pid_t,
    pub file: *const libc::c_char,
    pub argv: *const *const libc::c_char,
    pub env: *const *const libc::c_char,
    pub stdin: RawFd,
    /// Both stdout and stderr.
    pub output: RawFd,
    /// `output` is a terminal, and belongs to the worker alone.
    pub has_terminal: bool,
    /// The folder to change to, or null.
    pub folder: *const libc::c_char,
    /// The cgroup.procs of the control group to join, or -1.
    pub cgroup: RawFd,
    pub limits: *const (libc::c_uint, libc::rlimit),
    pub limits_count: usize,
    pub umask: Option<libc::mode_t>,
    pub nice: Option<libc::c_int>,
    pub identity: Option<Ids>,
    /// The signals whose action in pm is not the default.
    pub altered_signals: *const libc::c_int,
    pub altered_signals_count: usize,
    /// 0, or the [`Step`] that failed.
    pub failed_step: AtomicI32,
    pub errno: AtomicI32,
}

/// A child of pm that is not reaped.
#[derive(Debug)]
pub struct Child {
    pub pid: Pid,
    /// Readable when the child is dead (pidfd_open(2)). `None` before Linux 5.2.
    pub pidfd: Option<OwnedFd>,
}

/// The user and groups that the worker runs as.
#[derive(Clone, Copy)]
pub struct Ids {
    pub uid: libc::uid_t,
    pub gid: libc::gid_t,
    pub groups: *const libc::gid_t,
    pub groups_count: usize,
}

/// What the child does on its way to exec, in this setup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Step {
    Group = 1,
    Cgroup,
    Nice,
    Limits,
    Identity,
    DeathSignal,
    Output,
    Folder,
    Exec,
}

impl Step {
    const ALL: [Self; 9] = [
        Self::Group,
        Self::Cgroup,
        Self::Nice,
        Self::Limits,
        Self::Identity,
        Self::DeathSignal,
        Self::Output,
        Self::Folder,
        Self::Exec,
    ];
}

impl ChildSetup {
    /// Makes the child, and returns once it has exec'd or ended: the child, and the step that failed, if one did.
    ///
    /// # Errors
    /// If the kernel refuses the clone.
    pub fn start(self) -> Result<(Child, Option<(Step, Errno)>), Errno> {
        let child = clone_with_memory(&self)?;
        let failed = self.failed_step.into_inner();
        let step = Step::ALL.into_iter().find(|step| *step as i32 == failed);
        Ok((child, step.map(|step| (step, Errno::from_raw(self.errno.into_inner())))))
    }
}

/// The kernel's own `struct sigaction` (not libc's) at all zeroes: SIG_DFL, no flags, empty mask. It has at most four
/// words.
static DEFAULT_ACTION: [u64; 4] = [0; 4];

fn clone_with_memory(setup: &ChildSetup) -> Result<Child, Errno> {
    // Never filled: only the pages that the child touches take up memory.
    let mut stack = Vec::<u128>::with_capacity(STACK_BYTES / size_of::<u128>());
    let top = stack.spare_capacity_mut().as_mut_ptr_range().end;
    let mut before = SigSet::empty();
    // All signals are blocked: a handler that ran in the child would write to pm's memory and pm's self-pipe.
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before))?;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    // An older kernel ignores CLONE_PIDFD and leaves it.
    let mut pidfd: RawFd = -1;
    let changes_user = setup.identity.is_some();
    let setup: *const ChildSetup = setup;
    // SAFETY: `top` is the top of a stack, aligned as the ABI wants it (16 bytes), that lives past the call, since
    // CLONE_VFORK stops this thread until the child has exec'd or ended. `child` takes the ChildSetup that it is given,
    // makes system calls only, and never returns. `pidfd` is a valid int for the kernel to write to.
    // WHY: fork(2) copies page tables, and safe spawn calls (std, posix_spawn) know no PR_SET_PDEATHSIG, no limits,
    // and no check of the parent.
    let pid =
        unsafe { libc::clone(child, top.cast(), flags, setup.cast_mut().cast(), &raw mut pidfd) };
    let pid = Errno::result(pid);
    // The child has left pm's memory and is in the middle of its exec, mostly on this very processor. It runs first:
    // pm's messages about it can wait.
    std::thread::yield_now();
    if changes_user {
        // A change of user clears the dumpable flag of the memory (prctl(2), PR_SET_DUMPABLE), which was pm's too. That
        // would give pm's own /proc/self to root.
        let _ = nix::sys::prctl::set_dumpable(true);
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None)?;
    let pid = pid.map(Pid::from_raw)?;
    // SAFETY: the kernel has just made this descriptor, and nothing else owns it.
    // WHY: no safe call returns it.
    let pidfd = (pidfd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(pidfd) });
    Ok(Child { pid, pidfd })
}

extern "C" fn child(setup: *mut libc::c_void) -> libc::c_int {
    // SAFETY: `clone_with_memory` passes a pointer to a ChildSetup in a frame that stands still until this child execs.
    // WHY: clone(2) hands over nothing but an untyped pointer.
    let setup = unsafe { &*setup.cast::<ChildSetup>() };
    let failed_step = prepare_and_exec(setup);
    setup.errno.store(Errno::last_raw(), Ordering::Relaxed);
    setup.failed_step.store(failed_step as i32, Ordering::Relaxed);
    // SAFETY: _exit(2) is async-signal-safe and does not return.
    // WHY: returning or exit(3) would run pm's own exit work in pm's memory.
    unsafe { libc::_exit(127) }
}

/// Runs in the child. Returns only the step that failed, with errno set.
fn prepare_and_exec(setup: &ChildSetup) -> Step {
    // SAFETY: system calls only, all async-signal-safe (signal-safety(7)), none allocates. The pointers in `setup` are
    // to C strings, null-ended arrays and counted arrays in pm's frame. Dispositions and descriptors changed here are
    // the child's own: neither CLONE_SIGHAND nor CLONE_FILES was given. Ids are changed by the raw calls, which change
    // this process alone; libc's would go and look for pm's threads.
    // WHY: between clone with CLONE_VM and exec, libc's raw calls are all that may run.
    unsafe {
        // The leader of a session leads a process group too, of the same number (setsid(2)).
        if setup.has_terminal {
            if libc::setsid() < 0 || libc::ioctl(setup.output, libc::TIOCSCTTY, 0) != 0 {
                return Step::Group;
            }
        } else if libc::setpgid(0, 0) != 0 {
            return Step::Group;
        }
        // "0" is the process that writes it (cgroups(7)).
        if setup.cgroup >= 0 && libc::write(setup.cgroup, c"0".as_ptr().cast(), 1) != 1 {
            return Step::Cgroup;
        }
        // Before the change of user: only root may raise priorities and limits.
        if let Some(nice) = setup.nice
            && libc::setpriority(libc::PRIO_PROCESS, 0, nice) != 0
        {
            return Step::Nice;
        }
        for n in 0..setup.limits_count {
            let (resource, limit) = &*setup.limits.add(n);
            let no_old = std::ptr::null_mut::<libc::rlimit>();
            if libc::syscall(libc::SYS_prlimit64, 0, *resource, limit, no_old) != 0 {
                return Step::Limits;
            }
        }
        if let Some(Ids { uid, gid, groups, groups_count }) = setup.identity
            && (libc::syscall(libc::SYS_setgroups, groups_count, groups) != 0
                || libc::syscall(libc::SYS_setresgid, gid, gid, gid) != 0
                || libc::syscall(libc::SYS_setresuid, uid, uid, uid) != 0)
        {
            return Step::Identity;
        }
        // After the change of user, which clears it (prctl(2)).
        if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
            return Step::DeathSignal;
        }
        // If the parent died before the line above, the kernel never sends the signal (prctl(2)).
        if libc::getppid() != setup.parent {
            libc::_exit(127);
        }
        if libc::dup2(setup.stdin, 0) < 0
            || libc::dup2(setup.output, 1) < 0
            || libc::dup2(setup.output, 2) < 0
        {
            return Step::Output;
        }
        // What pm opened is close-on-exec already; this closes what pm was started with. Linux 5.9.
        libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0);
        if let Some(umask) = setup.umask {
            libc::umask(umask);
        }
        if !setup.folder.is_null() && libc::chdir(setup.folder) != 0 {
            return Step::Folder;
        }
        // exec(2) resets handlers but keeps ignored signals; and no handler may run here once signals are unblocked.
        // By the raw call: libc reserves 32 and 33 for itself, and pm may have been started with them ignored.
        for n in 0..setup.altered_signals_count {
            let (signal, default) = (*setup.altered_signals.add(n), DEFAULT_ACTION.as_ptr());
            let no_old = std::ptr::null_mut::<u64>();
            libc::syscall(libc::SYS_rt_sigaction, signal, default, no_old, size_of::<u64>());
        }
        let mut none = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
        libc::execve(setup.file, setup.argv, setup.env);
    }
    Step::Exec
}

/// A counted array, as a pointer and its length.
pub fn array<T>(values: &[T]) -> (*const T, usize) {
    if values.is_empty() { (null(), 0) } else { (values.as_ptr(), values.len()) }
}
