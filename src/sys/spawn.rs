//! Fork and exec: from a prepared [`Launch`] to the first instruction of a worker.
//!
//! The child is made by clone(2) with `CLONE_VM | CLONE_VFORK`: it borrows pm's memory until it execs, and pm stands
//! still meanwhile. Nothing is copied, so a spawn costs the same however large pm is; an error of the child is a
//! plain store that pm reads when it goes on; and when `spawn` returns, the worker has exec'd.
//!
//! Everything that needs memory is prepared in a [`Launch`] before the fork. In the child there are only system
//! calls (signal-safety(7)).

use std::ffi::{CString, OsStr, OsString};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, Ordering};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::unistd::{Pid, getpid};

use super::program;

/// Room for the child's system calls between fork and exec. A debug build without optimisation needs about 2 KiB.
const STACK_BYTES: usize = 64 * 1024;

/// Why a worker could not be spawned.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    #[error("{}: not found on PATH", .program.display())]
    NotFound { program: OsString },
    #[error(
        "{}: this is a Node script that starts the real Deno and leaves it behind when it is stopped",
        .path.display()
    )]
    Wrapper { path: PathBuf },
    #[error("{}: {}", .path.display(), exec_words(.path, *.errno))]
    Exec { path: PathBuf, errno: Errno },
    #[error("cannot {what}: {}", .errno.desc())]
    Prepare { what: &'static str, errno: Errno },
    #[error("cannot fork: {}{}", .0.desc(), if *.0 == Errno::EAGAIN { " (too many processes)" } else { "" })]
    Fork(Errno),
    #[error("cannot open a pipe for its output: {0}")]
    Pipe(std::io::Error),
    #[error("port {port} is held by {holder}")]
    PortHeld { port: u16, holder: super::ports::Holder },
}

fn exec_words(path: &Path, errno: Errno) -> &'static str {
    match errno {
        Errno::ENOENT if path.exists() => "the interpreter that its first line names is not there",
        Errno::ENOEXEC => {
            "not a program: neither a binary for this machine nor a script with a #! line"
        }
        Errno::EACCES => "not executable: permission denied",
        other => other.desc(),
    }
}

/// What is executed in one slot, prepared once.
#[derive(Debug)]
pub struct Launch {
    program: OsString,
    path: Option<OsString>,
    argv: Vec<CString>,
    env: Vec<CString>,
}

/// What a worker gets from pm besides its command.
#[derive(Clone, Copy, Debug)]
pub struct Inheritance<'a> {
    pub stdin: BorrowedFd<'a>,
    /// Both stdout and stderr: one pipe, so that their order is exact.
    pub output: BorrowedFd<'a>,
    /// The limit on open files, soft and hard, that pm itself was started with.
    pub open_files: libc::rlimit,
    /// The signals that are not at their default in pm: caught, or ignored since before it started.
    pub altered_signals: &'a [libc::c_int],
}

impl Launch {
    /// Prepares a command. `argv` is not empty.
    ///
    /// An argument or variable with a NUL byte ends there, as it would in any exec.
    pub fn new(argv: &[OsString], variables: &[(OsString, OsString)]) -> Self {
        let joined = |(name, value): &(OsString, OsString)| {
            let mut text = name.clone();
            text.push("=");
            text.push(value);
            c_string(text)
        };
        Self {
            program: argv.first().expect("an argv names its program").clone(),
            path: program::path_of(variables),
            argv: argv.iter().cloned().map(c_string).collect(),
            env: variables.iter().map(joined).collect(),
        }
    }

    pub fn program(&self) -> &OsStr {
        &self.program
    }

    /// Starts the `generation`th worker in a process group of its own, and returns once it has exec'd.
    ///
    /// The worker has an empty signal mask and default dispositions, dies when this thread dies (prctl(2),
    /// PR_SET_PDEATHSIG), and has no file descriptor but 0, 1 and 2.
    ///
    /// # Errors
    /// If there is no such program, the kernel refuses the fork, or the child could not exec. In the last case a
    /// dead child is left for the reaper, which does not know it.
    pub fn spawn(&self, generation: u64, given: Inheritance<'_>) -> Result<Pid, SpawnError> {
        let path = program::find(&self.program, self.path.as_deref())?;
        let file = c_string(path.clone().into_os_string());
        let generation = c_string(format!("PM_GENERATION={generation}").into());
        let argv: Vec<_> = pointers(self.argv.iter());
        let env: Vec<_> = pointers(self.env.iter().chain([&generation]));
        let order = Order {
            parent: getpid().as_raw(),
            file: file.as_ptr(),
            argv: argv.as_ptr(),
            env: env.as_ptr(),
            stdin: given.stdin.as_raw_fd(),
            output: given.output.as_raw_fd(),
            open_files: given.open_files,
            altered_signals: given.altered_signals.as_ptr_range(),
            failed_step: AtomicI32::new(0),
            errno: AtomicI32::new(0),
        };
        let pid = clone_with_memory(&order).map_err(SpawnError::Fork)?;
        match (order.failed_step.into_inner(), Errno::from_raw(order.errno.into_inner())) {
            (0, _) => Ok(pid),
            (EXEC, errno) => Err(SpawnError::Exec { path, errno }),
            (step, errno) => {
                let what = STEPS[usize::try_from(step).expect("steps count from 1") - 1];
                Err(SpawnError::Prepare { what, errno })
            }
        }
    }
}

/// What exec(2) takes: the text up to its first NUL byte.
pub fn c_string(text: OsString) -> CString {
    let mut bytes = text.into_vec();
    bytes.truncate(bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len()));
    CString::new(bytes).expect("cut at the first NUL")
}

fn pointers<'a>(strings: impl Iterator<Item = &'a CString>) -> Vec<*const libc::c_char> {
    strings.map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
}

/// What the child needs to know and where it says what went wrong. Lives in pm's stack frame, which stands still.
struct Order {
    parent: libc::pid_t,
    file: *const libc::c_char,
    argv: *const *const libc::c_char,
    env: *const *const libc::c_char,
    stdin: RawFd,
    output: RawFd,
    open_files: libc::rlimit,
    altered_signals: std::ops::Range<*const libc::c_int>,
    /// 0, or the number of the step that failed: `EXEC`, or an index into `STEPS`, plus one.
    failed_step: AtomicI32,
    errno: AtomicI32,
}

/// What each step of the child does, for messages.
const STEPS: [&str; 4] = [
    "give it a process group of its own",
    "tie its life to that of pm",
    "give it its stdin and output",
    "give it back the limit on open files",
];
const EXEC: i32 = 5;

/// The kernel's own `struct sigaction` (not libc's) at all zeroes: SIG_DFL, no flags, empty mask. It has at most four
/// words.
static DEFAULT_ACTION: [u64; 4] = [0; 4];

fn clone_with_memory(order: &Order) -> Result<Pid, Errno> {
    // Never filled: only what the child touches becomes memory.
    let mut stack = Vec::<u128>::with_capacity(STACK_BYTES / size_of::<u128>());
    let top = stack.spare_capacity_mut().as_mut_ptr_range().end;
    let mut before = SigSet::empty();
    // All signals wait: a handler that ran in the child would write to pm's memory and pm's self-pipe.
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before))?;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    let order: *const Order = order;
    // SAFETY: `top` is the top of a stack, aligned as the ABI wants it (16 bytes),
    //  that lives past the call, since CLONE_VFORK lets this thread
    // go on only when the child has exec'd or ended. `child` takes the Order that it is given, makes system calls
    // only, and never returns.
    // WHY: fork(2) copies page tables, and safe spawn calls (std, posix_spawn) know no PR_SET_PDEATHSIG, no limits,
    // and no check of the parent.
    let pid = unsafe { libc::clone(child, top.cast(), flags, order.cast_mut().cast()) };
    let pid = Errno::result(pid);
    // The child has let go of pm's memory and is in the middle of its exec, mostly on this very processor. It goes
    // first: what pm has to say of it can wait.
    std::thread::yield_now();
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None)?;
    pid.map(Pid::from_raw)
}

extern "C" fn child(order: *mut libc::c_void) -> libc::c_int {
    // SAFETY: `clone_with_memory` passes a pointer to an Order in a frame that stands still until this child execs.
    // WHY: clone(2) hands over nothing but an untyped pointer.
    let order = unsafe { &*order.cast::<Order>() };
    let failed_step = prepare_and_exec(order);
    order.errno.store(Errno::last_raw(), Ordering::Relaxed);
    order.failed_step.store(failed_step, Ordering::Relaxed);
    // SAFETY: _exit(2) is async-signal-safe and does not return.
    // WHY: returning or exit(3) would run pm's own exit work in pm's memory.
    unsafe { libc::_exit(127) }
}

/// Runs in the child. Returns only the number of the step that failed, with errno set.
fn prepare_and_exec(order: &Order) -> i32 {
    // SAFETY: system calls only, all async-signal-safe (signal-safety(7)), none allocates. The pointers in `order` are
    // to C strings and null-ended arrays in pm's frame. Dispositions and descriptors changed here are the child's
    // own: neither CLONE_SIGHAND nor CLONE_FILES was given.
    // WHY: between clone with CLONE_VM and exec, libc's raw calls are all that may run.
    unsafe {
        if libc::setpgid(0, 0) != 0 {
            return 1;
        }
        if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
            return 2;
        }
        // The parent may have died before the line above; then nobody would ever send the signal (prctl(2)).
        if libc::getppid() != order.parent {
            libc::_exit(127);
        }
        if libc::dup2(order.stdin, 0) < 0
            || libc::dup2(order.output, 1) < 0
            || libc::dup2(order.output, 2) < 0
        {
            return 3;
        }
        // What pm opened is close-on-exec anyway; this is for what pm was started with. Linux 5.9.
        libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0);
        if libc::setrlimit(libc::RLIMIT_NOFILE, &order.open_files) != 0 {
            return 4;
        }
        // exec(2) resets handlers, not what is ignored; and a handler must not run here once signals are let in.
        // By the raw call: libc's keeps 32 and 33 for itself, and whoever started pm may have had them ignored.
        let mut signal = order.altered_signals.start;
        while signal < order.altered_signals.end {
            let default = DEFAULT_ACTION.as_ptr();
            let old = std::ptr::null_mut::<u64>();
            libc::syscall(libc::SYS_rt_sigaction, *signal, default, old, size_of::<u64>());
            signal = signal.add(1);
        }
        let mut none = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
        libc::execve(order.file, order.argv, order.env);
    }
    EXEC
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsFd;

    use super::*;

    fn spawn(argv: &[&str]) -> (Result<Pid, SpawnError>, String) {
        let argv: Vec<OsString> = argv.iter().map(Into::into).collect();
        let variables = [("PATH".into(), "/bin:/usr/bin".into()), ("A".into(), "b c".into())];
        let stdin = std::fs::File::open("/dev/null").unwrap();
        let (mut reader, writer) = std::io::pipe().unwrap();
        let (soft, hard) =
            nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).unwrap();
        let altered_signals = crate::sys::signals::altered();
        let given = Inheritance {
            altered_signals: &altered_signals,
            stdin: stdin.as_fd(),
            output: writer.as_fd(),
            open_files: libc::rlimit { rlim_cur: soft.min(100), rlim_max: hard },
        };
        let result = Launch::new(&argv, &variables).spawn(7, given);
        drop(writer);
        let mut output = String::new();
        reader.read_to_string(&mut output).unwrap();
        (result, output)
    }

    #[test]
    fn a_worker_has_its_own_group_no_foreign_files_and_a_clean_slate() {
        // By `exec`, since a shell blocks signals while it forks.
        let script = "echo $A $PM_GENERATION; ulimit -n; echo $(ls /proc/self/fd); echo $$ >&2; \
                      cut -d' ' -f5 /proc/$$/stat; exec grep -E '^Sig(Blk|Ign)' /proc/self/status";
        let (pid, output) = spawn(&["sh", "-c", script]);
        let pid = pid.unwrap().to_string();
        let lines: Vec<_> = output.lines().collect();
        let none = "0000000000000000";
        // `ls` has its own descriptor for the folder that it lists: 3.
        assert_eq!(lines[..3], ["b c 7", "100", "0 1 2 3"]);
        assert_eq!(lines[3..5], [&pid, &pid]);
        assert_eq!(lines[5..], [format!("SigBlk:\t{none}"), format!("SigIgn:\t{none}")]);
    }

    #[test]
    fn what_cannot_be_executed_is_said_in_words() {
        let refused = |argv: &[&str]| spawn(argv).0.unwrap_err().to_string();
        assert_eq!(refused(&["no-such-program"]), "no-such-program: not found on PATH");
        assert_eq!(refused(&["/no/such"]), "/no/such: No such file or directory");
        assert_eq!(refused(&["/dev/null"]), "/dev/null: not executable: permission denied");
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("script");
        let executable = |text: &str| {
            use std::os::unix::fs::PermissionsExt;
            std::fs::write(&script, text).unwrap();
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(&script, mode).unwrap();
            refused(&[script.to_str().unwrap()])
        };
        assert!(executable("#!/no/such/interpreter").contains("interpreter that its first line"));
        assert!(executable("echo hi").contains("not a program"));
    }
}
