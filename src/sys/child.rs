//! Between clone and exec: what the child does in pm's memory, while pm goes on.
//!
//! The child has a stack of its own and as a rule shares the rest of the memory, until it execs or ends. So it reads
//! its [`ChildSetup`] and writes its [`Progress`], and nothing else; it makes system calls by number ([`super::raw`]),
//! since libc would write errno; and it never allocates, locks, formats or panics. Where a file system hangs, it hangs
//! alone.
//!
//! [`super::spawn`] prepares the setup; [`super::starting`] keeps it until the child has left it. [`become_program`]
//! does in pm's own process what needs no child, for `pm exec`.

use std::ffi::{CStr, CString};
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use nix::errno::Errno;
use nix::sys::resource::Resource;

use super::arguments::Arguments;
use super::listen_pid::ListenPid;
use super::low_files::LowNumbers;
use super::port_calls::filter;
use super::raw;
use super::shared::Shared;
use super::spawn::Prepared;

/// What the child has to set up. It does not change while the child is there.
pub struct ChildSetup {
    pub parent: libc::pid_t,
    pub descriptors: LowNumbers,
    /// `descriptors.output` is a terminal, and belongs to the worker alone.
    pub has_terminal: bool,
    /// Its calls of bind(2) and listen(2) are handed to pm ([`filter`]).
    pub has_filter: bool,
    /// The cgroup.procs of the control group to join, which is one of `descriptors`.
    pub cgroup: Option<RawFd>,
    /// The variable for the listening socket, which is one of `descriptors` and becomes number 3.
    pub listen_pid: Option<ListenPid>,
    /// The signals whose action in pm is not the default.
    pub altered_signals: Vec<libc::c_int>,
    pub exec: ExecSetup,
}

/// How a process becomes a program.
pub struct ExecSetup {
    pub prepared: Rc<Prepared>,
    /// A script among the files is passed over ([`crate::plan::wrapper`]).
    pub is_wrapped: bool,
    /// Ended by null, as exec(2) takes them.
    pub env: Vec<*const libc::c_char>,
    /// Set before those of the program.
    pub first_limits: Vec<(Resource, libc::rlimit)>,
    pub progress: Shared<Progress>,
}

/// The program that a process becomes, and by which rules: the same for each worker of a slot.
#[derive(Debug)]
pub struct Program {
    /// The files to try one after another.
    pub files: Vec<Rc<CStr>>,
    /// They were found on PATH: one that is missing is passed over.
    pub is_searched: bool,
    pub argv: Arguments,
    /// The folder to change to.
    pub folder: Option<CString>,
    pub limits: Vec<(Resource, libc::rlimit)>,
    pub umask: Option<libc::mode_t>,
    pub nice: Option<libc::c_int>,
    pub identity: Option<Ids>,
}

/// The user and groups that the worker runs as.
#[derive(Debug)]
pub struct Ids {
    pub uid: libc::uid_t,
    pub gid: libc::gid_t,
    pub groups: Vec<libc::gid_t>,
}

/// How far the child has come. The child writes it.
#[derive(Default)]
pub struct Progress {
    /// 0 when the child has left pm's memory: it has exec'd or ended. The kernel writes it (set_tid_address(2)).
    pub is_inside: AtomicU32,
    /// 1 when the child has descriptors of its own. pm waits for that: a futex.
    pub is_detached: AtomicU32,
    /// The number of the listener of its filter, in the table that it shares with pm until it detaches; 0: none.
    pub listener: AtomicI32,
    /// The [`Step`] that it is at.
    pub step: AtomicI32,
    /// The file that it is at.
    pub file: AtomicU32,
    /// The error of that step, or 0.
    pub errno: AtomicI32,
}

/// What the child does on its way to exec, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Step {
    Filter,
    Detach,
    Group,
    Cgroup,
    Nice,
    Limits,
    Identity,
    DeathSignal,
    Output,
    Folder,
    /// None of the files is there.
    Find,
    /// All that is there is a script that is passed over.
    PassOver,
    Exec,
    /// The file is there, and the interpreter that it names is not.
    Interpreter,
}

impl Step {
    const ALL: [Self; 14] = [
        Self::Filter,
        Self::Detach,
        Self::Group,
        Self::Cgroup,
        Self::Nice,
        Self::Limits,
        Self::Identity,
        Self::DeathSignal,
        Self::Output,
        Self::Folder,
        Self::Find,
        Self::PassOver,
        Self::Exec,
        Self::Interpreter,
    ];
}

impl Progress {
    /// The step that the child is at.
    pub fn step(&self) -> Step {
        let at = self.step.load(Ordering::Relaxed);
        let step = Step::ALL.into_iter().find(|step| *step as i32 == at);
        step.expect("the child stores steps only")
    }

    /// The index of the file that it is at.
    pub fn file(&self) -> usize {
        self.file.load(Ordering::Relaxed) as usize
    }

    /// Why it could not exec, once it has ended.
    pub fn error(&self) -> Option<Errno> {
        match self.errno.load(Ordering::Relaxed) {
            0 => None,
            errno => Some(Errno::from_raw(errno)),
        }
    }

    fn enter(&self, step: Step) {
        self.step.store(step as i32, Ordering::Relaxed);
    }
}

/// The kernel's own `struct sigaction` (not libc's) at all zeroes: SIG_DFL, no flags, empty mask. It has at most four
/// words.
static DEFAULT_ACTION: [u64; 4] = [0; 4];

/// The kernel's signal set: 64 bits.
const SIGNAL_SET_BYTES: usize = size_of::<u64>();

/// The child's main function.
pub extern "C" fn run(setup: *mut libc::c_void) -> libc::c_int {
    // SAFETY: `Starting` passes a pointer to a ChildSetup that it keeps, unchanged, until this child has exec'd or
    // ended.
    // WHY: clone(2) hands over nothing but an untyped pointer.
    let setup = unsafe { &*setup.cast::<ChildSetup>() };
    // CLONE_CHILD_CLEARTID says the same, but not through the clone(3) of musl. A child that is killed before this is
    // found dead.
    let is_inside = setup.exec.progress.is_inside.as_ptr() as usize;
    let _ = call(libc::SYS_set_tid_address, [is_inside, 0, 0, 0]);
    let Err(errno) = prepare_and_exec(setup);
    setup.exec.progress.errno.store(errno, Ordering::Release);
    end()
}

fn end() -> ! {
    loop {
        let _ = call(libc::SYS_exit_group, [127, 0, 0, 0]);
    }
}

/// What is never returned.
pub enum Never {}

/// Becomes the program of this setup in this very process. Returns only the error of the step that failed; the progress
/// has the step. Descriptors, process group, signal mask and ignored signals stay.
pub fn become_program(setup: &ExecSetup) -> Result<Never, i32> {
    follow_rules(setup)?;
    enter_folder(setup)?;
    execute(setup)
}

/// Returns only the error of the step that failed.
fn prepare_and_exec(setup: &ChildSetup) -> Result<Never, i32> {
    let progress = &*setup.exec.progress;
    if setup.has_filter {
        progress.enter(Step::Filter);
        filter::install(progress)?;
    }
    detach(setup)?;
    progress.enter(Step::Group);
    // The leader of a session leads a process group too, of the same number (setsid(2)).
    if setup.has_terminal {
        call(libc::SYS_setsid, [0; 4])?;
        let output = setup.descriptors.output as usize;
        call(libc::SYS_ioctl, [output, libc::TIOCSCTTY as usize, 0, 0])?;
    } else {
        call(libc::SYS_setpgid, [0; 4])?;
    }
    if let Some(cgroup) = setup.cgroup {
        progress.enter(Step::Cgroup);
        // "0" is the process that writes it (cgroups(7)).
        call(libc::SYS_write, [cgroup as usize, c"0".as_ptr() as usize, 1, 0])?;
    }
    follow_rules(&setup.exec)?;
    progress.enter(Step::DeathSignal);
    // After the change of user, which clears it (prctl(2)).
    let death = [libc::PR_SET_PDEATHSIG as usize, libc::SIGKILL as usize, 0, 0];
    call(libc::SYS_prctl, death)?;
    // If the parent died before the line above, the kernel never sends the signal (prctl(2)).
    if call(libc::SYS_getppid, [0; 4]) != Ok(setup.parent as usize) {
        end();
    }
    take_files(setup)?;
    enter_folder(&setup.exec)?;
    reset_signals(setup);
    execute(&setup.exec)
}

/// Priority and limits before the change of user: only root may raise them.
fn follow_rules(setup: &ExecSetup) -> Result<(), i32> {
    let (progress, program) = (&*setup.progress, &setup.prepared.program);
    if let Some(nice) = program.nice {
        progress.enter(Step::Nice);
        call(libc::SYS_setpriority, [libc::PRIO_PROCESS as usize, 0, nice as usize, 0])?;
    }
    progress.enter(Step::Limits);
    for (resource, limit) in setup.first_limits.iter().chain(&program.limits) {
        let limit: *const libc::rlimit = limit;
        call(libc::SYS_prlimit64, [0, *resource as usize, limit as usize, 0])?;
    }
    if let Some(Ids { uid, gid, groups }) = &program.identity {
        progress.enter(Step::Identity);
        let (uid, gid) = (*uid as usize, *gid as usize);
        call(libc::SYS_setgroups, [groups.len(), groups.as_ptr() as usize, 0, 0])?;
        call(libc::SYS_setresgid, [gid, gid, gid, 0])?;
        call(libc::SYS_setresuid, [uid, uid, uid, 0])?;
    }
    Ok(())
}

fn enter_folder(setup: &ExecSetup) -> Result<(), i32> {
    let program = &setup.prepared.program;
    if let Some(umask) = program.umask {
        call(libc::SYS_umask, [umask as usize, 0, 0, 0])?;
    }
    if let Some(folder) = &program.folder {
        setup.progress.enter(Step::Folder);
        call(libc::SYS_chdir, [folder.as_ptr() as usize, 0, 0, 0])?;
    }
    Ok(())
}

/// Leaves pm's table of descriptors, which it shares until then, with the low part of it (Linux 5.9).
fn detach(setup: &ChildSetup) -> Result<(), i32> {
    setup.exec.progress.enter(Step::Detach);
    let LowNumbers { stdin, output, cgroup, socket, report } = setup.descriptors;
    let end = stdin.max(output).max(cgroup).max(socket).max(report) + 1;
    let unshared = libc::CLOSE_RANGE_UNSHARE as usize;
    let rest = [end as usize, libc::c_uint::MAX as usize, unshared, 0];
    if call(libc::SYS_close_range, rest).is_err() {
        call(libc::SYS_unshare, [libc::CLONE_FILES as usize, 0, 0, 0])?;
    }
    let is_detached = &setup.exec.progress.is_detached;
    is_detached.store(1, Ordering::Release);
    let wake = libc::FUTEX_WAKE | setup.exec.progress.futex_flag();
    call(libc::SYS_futex, [is_detached.as_ptr() as usize, wake as usize, 1, 0]).map(drop)
}

/// Has no descriptor but 0, 1 and 2, perhaps a socket, and the report, which exec closes.
fn take_files(setup: &ChildSetup) -> Result<(), i32> {
    setup.exec.progress.enter(Step::Output);
    let LowNumbers { stdin, output, socket, report, cgroup: _ } = setup.descriptors;
    for (from, to) in [(stdin, 0), (output, 1), (output, 2)] {
        call(libc::SYS_dup3, [from as usize, to, 0, 0])?;
    }
    // What pm opened is close-on-exec already; this closes what pm was started with. All above was left behind when the
    // child detached. Linux 5.9.
    let (report, mut first) = (report as usize, 3);
    if let Some(listen_pid) = &setup.listen_pid {
        // All low numbers lie above 3, which was the lowest free one, or that of a file that is pm's own.
        call(libc::SYS_dup3, [socket as usize, first, 0, 0])?;
        listen_pid.set(call(libc::SYS_getpid, [0; 4])?);
        first += 1;
    }
    if report > first {
        let _ = call(libc::SYS_close_range, [first, report - 1, 0, 0]);
    }
    Ok(())
}

/// exec(2) resets handlers but keeps ignored signals; and no handler may run here once signals are unblocked.
fn reset_signals(setup: &ChildSetup) {
    for signal in &setup.altered_signals {
        let default = DEFAULT_ACTION.as_ptr() as usize;
        let _ = call(libc::SYS_rt_sigaction, [*signal as usize, default, 0, SIGNAL_SET_BYTES]);
    }
    let none = [0_u64];
    let none = none.as_ptr() as usize;
    let set = [libc::SIG_SETMASK as usize, none, 0, SIGNAL_SET_BYTES];
    let _ = call(libc::SYS_rt_sigprocmask, set);
}

/// As execvp(3): the first of the files that is there and may be executed.
fn execute(setup: &ExecSetup) -> Result<Never, i32> {
    let (progress, program) = (&*setup.progress, &setup.prepared.program);
    let is_searched = program.is_searched;
    // What is told if no file can be executed.
    let mut failure = (Step::Find, 0, libc::ENOENT);
    for (n, file) in (0_u32..).zip(&program.files) {
        let file = file.as_ptr() as usize;
        progress.file.store(n, Ordering::Relaxed);
        progress.enter(Step::Exec);
        if setup.is_wrapped && is_script(file) {
            if failure.0 == Step::Find {
                failure = (Step::PassOver, n, libc::ENOENT);
            }
            continue;
        }
        let variables = setup.env.as_ptr() as usize;
        let executed = [file, program.argv.as_ptr() as usize, variables, 0];
        let Err(errno) = call(libc::SYS_execve, executed) else { continue };
        match errno {
            libc::ENOENT if is_there(file) => {
                progress.enter(Step::Interpreter);
                return Err(errno);
            }
            libc::EACCES if is_searched => {
                if failure.0 == Step::Find {
                    failure = (Step::Exec, n, errno);
                }
            }
            libc::ENOENT | libc::ENOTDIR if is_searched => {}
            _ => return Err(errno),
        }
    }
    let (step, n, errno) = failure;
    progress.file.store(n, Ordering::Relaxed);
    progress.enter(step);
    Err(errno)
}

/// True if the kernel would start an interpreter for this file (execve(2), "Interpreter scripts").
fn is_script(file: usize) -> bool {
    let flags = (libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY) as usize;
    let Ok(open) = call(libc::SYS_openat, [libc::AT_FDCWD as usize, file, flags, 0]) else {
        return false;
    };
    let mut start = [0_u8; 2];
    let read = call(libc::SYS_read, [open, start.as_mut_ptr() as usize, 2, 0]);
    let _ = call(libc::SYS_close, [open, 0, 0, 0]);
    read == Ok(2) && start == *b"#!"
}

fn is_there(file: usize) -> bool {
    call(libc::SYS_faccessat, [libc::AT_FDCWD as usize, file, libc::F_OK as usize, 0]).is_ok()
}

pub(super) fn call(number: libc::c_long, arguments: [usize; 4]) -> Result<usize, i32> {
    let [a, b, c, d] = arguments;
    // SAFETY: each call above, and in `filter`, is given numbers, or pointers to C strings, null-ended arrays and
    // counted arrays that live in the setup or on this stack. Dispositions that it changes are the child's own, since
    // CLONE_SIGHAND was not given, and so are descriptors once it is detached. Ids are changed of this process alone,
    // which has one thread also where it is pm's own (`become_program`).
    // WHY: between clone with CLONE_VM and exec, no code of libc may run.
    unsafe { raw::call(number, [a, b, c, d, 0, 0]) }
}
