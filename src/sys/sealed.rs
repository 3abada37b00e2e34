//! A sealed run: the reactor and all its descendants live in a pid namespace of their own (pid_namespaces(7)), which
//! the kernel ends as a whole when its process 1 ends. So no process outlives pm, even if all of pm is killed at once.
//!
//! The guard stays outside and starts two children in the namespace: process 1, which only reaps and waits for the end
//! of the reactor, and then the reactor itself. Without root a user namespace around it gives the right to do so
//! (user_namespaces(7)); in it, pm and its workers keep their user. The reactor mounts a /proc of its own.
//!
//! [`super::guard`] calls this; [`outer_pid`] is for messages.

use crate::sys::errno_words;
use std::fmt;
use std::fs::{read_to_string, write};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::sys::stat::Mode;
use nix::unistd::{ForkResult, Pid, dup2_stdin, fork, getegid, geteuid, getpid, setsid};

/// Why a run could not be sealed.
#[derive(Debug, thiserror::Error)]
#[error("cannot seal: cannot {step}: {}{}", errno_words(*.errno), because(*.errno, .forbidden_by))]
pub struct SealError {
    step: Step,
    errno: Errno,
    forbidden_by: Option<Setting>,
}

/// What is done to seal a run. As text, it is what comes after "cannot".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Step {
    #[error("make a user namespace")]
    User,
    #[error("keep the user in a user namespace")]
    Map,
    #[error("make a pid namespace")]
    Pids,
    #[error("start its process 1")]
    Process1,
    #[error("make a mount namespace")]
    Mounts,
    #[error("mount a /proc of its own, which a container with a masked /proc forbids")]
    Proc,
}

/// A setting of the kernel that forbids a namespace, by its name for sysctl(8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Setting {
    name: &'static str,
    /// What it has to be.
    wanted: &'static str,
}

fn because(errno: Errno, setting: &Option<Setting>) -> String {
    match (setting, errno) {
        (Some(setting), _) => format!("; {setting}"),
        (None, Errno::EPERM) => {
            "; no sysctl forbids it: in a container, give it CAP_SYS_ADMIN, or run pm without \
             `sealed`, since the end of the container ends all its processes too"
                .to_owned()
        }
        (None, _) => String::new(),
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the sysctl {} forbids it and has to be {}", self.name, self.wanted)
    }
}

impl Step {
    fn refused(self, errno: Errno) -> SealError {
        SealError { step: self, errno, forbidden_by: self.setting(errno) }
    }

    /// The setting that is behind this error (namespaces(7), and the documents of Debian and Ubuntu).
    fn setting(self, errno: Errno) -> Option<Setting> {
        let value = |name: &str| {
            let text = read_to_string(Path::new("/proc/sys").join(name.replace('.', "/")));
            text.ok().map(|text| text.trim().to_owned())
        };
        let forbids = |name, forbidding: &str, wanted| {
            (value(name).as_deref() == Some(forbidding)).then_some(Setting { name, wanted })
        };
        // How many there may be of each, for this user and in the user namespaces around it.
        let limit = match self {
            Self::User => Some("user.max_user_namespaces"),
            Self::Pids => Some("user.max_pid_namespaces"),
            Self::Mounts => Some("user.max_mnt_namespaces"),
            Self::Map | Self::Process1 | Self::Proc => None,
        };
        match errno {
            Errno::ENOSPC | Errno::EUSERS => limit.map(|name| Setting { name, wanted: "higher" }),
            Errno::EPERM | Errno::EACCES => forbids("kernel.unprivileged_userns_clone", "0", "1")
                .or_else(|| forbids("kernel.apparmor_restrict_unprivileged_userns", "1", "0")),
            _ => None,
        }
    }
}

/// What the reactor needs to enter its namespace.
#[derive(Debug)]
pub struct Seal {
    outer_proc: OwnedFd,
    /// Process 1 reads the reactor's pid from it. If the reactor dies before it has written it, process 1 ends.
    to_process_1: PipeWriter,
}

/// Makes the namespace and its process 1. The next child of this process is in the namespace, this process is not.
///
/// # Errors
/// If the kernel does not allow it.
pub fn seal() -> Result<Seal, SealError> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let outer_proc =
        open("/proc", flags, Mode::empty()).map_err(|errno| Step::Proc.refused(errno))?;
    match unshare(CloneFlags::CLONE_NEWPID) {
        // It takes CAP_SYS_ADMIN, which a user namespace gives in itself.
        Err(Errno::EPERM) => {
            enter_user_namespace()?;
            unshare(CloneFlags::CLONE_NEWPID)
        }
        other => other,
    }
    .map_err(|errno| Step::Pids.refused(errno))?;
    let started = |errno| Step::Process1.refused(errno);
    let (from_reactor, to_process_1) = io::pipe().map_err(|error| started(errno_of(error)))?;
    // SAFETY: no other thread was ever started, so the child may go on as any program does.
    // WHY: the first child becomes process 1, and no program needs to be executed for it.
    match unsafe { fork() }.map_err(started)? {
        ForkResult::Parent { .. } => Ok(Seal { outer_proc, to_process_1 }),
        ForkResult::Child => {
            drop((outer_proc, to_process_1));
            be_process_1(from_reactor)
        }
    }
}

/// Makes a user namespace in which this process keeps its user and group.
fn enter_user_namespace() -> Result<(), SealError> {
    let (uid, gid) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER).map_err(|errno| Step::User.refused(errno))?;
    let files = [
        // Without this, no process without root may write the next (user_namespaces(7)).
        ("setgroups", "deny".to_owned()),
        ("gid_map", format!("{gid} {gid} 1")),
        ("uid_map", format!("{uid} {uid} 1")),
    ];
    for (file, text) in files {
        let written = write(Path::new("/proc/self").join(file), text);
        written.map_err(|error| Step::Map.refused(errno_of(error)))?;
    }
    Ok(())
}

pub(super) fn errno_of(error: io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw)
}

/// The life of process 1: the kernel reaps for it, and it ends when the reactor has ended.
fn be_process_1(from_reactor: PipeReader) -> ! {
    // Only people read the name.
    let _ = prctl::set_name(c"pm-sealed");
    // Neither the terminal nor a signal to pm's group concerns it.
    let _ = setsid();
    // SAFETY: SIG_IGN runs no code. For a process that ignores SIGCHLD the kernel reaps its children (wait(2)).
    // WHY: nix calls every change of an action unsafe.
    let _ = unsafe { signal(Signal::SIGCHLD, SigHandler::SigIgn) };
    // It must keep no pipe of pm's open.
    if dup2_stdin(&from_reactor).is_ok() {
        // SAFETY: closes descriptors that nothing in this process uses any more.
        // WHY: no safe call closes all of them. Linux 5.9.
        unsafe { libc::syscall(libc::SYS_close_range, 1, libc::c_uint::MAX, 0) };
        // Closed already.
        let _ = from_reactor.into_raw_fd();
    }
    wait_for_reactor();
    // SAFETY: _exit(2) does not return.
    // WHY: only `main` exits, and its exit would print and return a status for pm.
    unsafe { libc::_exit(0) }
}

/// Returns when the reactor has ended, or at once if it has ended before it wrote its pid to stdin.
fn wait_for_reactor() {
    let mut pid = [0; size_of::<libc::pid_t>()];
    if io::stdin().read_exact(&mut pid).is_err() {
        return;
    }
    // No pipe: a child of the reactor that hangs before its exec would keep the other end open.
    let Ok(reactor) = pidfd_open(Pid::from_raw(libc::pid_t::from_ne_bytes(pid))) else { return };
    // It can be read when the process has ended (pidfd_open(2)).
    let mut ended = [PollFd::new(reactor.as_fd(), PollFlags::POLLIN)];
    while poll(&mut ended, PollTimeout::NONE) == Err(Errno::EINTR) {}
}

impl Seal {
    /// In the reactor: gives it a /proc of its own. Mounts that are made outside later are seen inside too, but not the
    /// other way round.
    ///
    /// # Errors
    /// If the kernel does not allow it.
    pub fn enter(self) -> Result<(), SealError> {
        let Self { outer_proc, mut to_process_1 } = self;
        let own = getpid().as_raw().to_ne_bytes();
        to_process_1.write_all(&own).map_err(|error| Step::Process1.refused(errno_of(error)))?;
        unshare(CloneFlags::CLONE_NEWNS).map_err(|errno| Step::Mounts.refused(errno))?;
        let nothing = None::<&str>;
        let follow = MsFlags::MS_REC | MsFlags::MS_SLAVE;
        mount(nothing, "/", nothing, follow, nothing)
            .map_err(|errno| Step::Mounts.refused(errno))?;
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(Some("proc"), "/proc", Some("proc"), flags, nothing)
            .map_err(|errno| Step::Proc.refused(errno))?;
        OUTER_PROC.set(outer_proc).expect("a process is sealed once");
        Ok(())
    }
}

/// At the end of the reactor: process 1 has to notice it, even if it was stopped (SIGSTOP).
pub fn resume_process_1() {
    if OUTER_PROC.get().is_some() {
        // It cannot fail: process 1 is there, and has the user of this process.
        let _ = kill(Pid::from_raw(1), Signal::SIGCONT);
    }
}

/// The outer /proc, open.
static OUTER_PROC: OnceLock<OwnedFd> = OnceLock::new();

/// The folder of the outer /proc; `None` if this run is not sealed.
pub fn outer_proc() -> Option<PathBuf> {
    OUTER_PROC.get().map(|folder| format!("/proc/self/fd/{}", folder.as_raw_fd()).into())
}

/// The number that a process of pm's has outside, where people look for it. The same number if this run is not sealed,
/// or if the process is gone.
pub fn outer_pid(pid: Pid) -> Pid {
    outer_proc().and_then(|outer_proc| seen_in(&outer_proc, pid)).unwrap_or(pid)
}

/// The number in this run of a process that has this number outside; `None` if it is not in this run. The same number
/// if this run is not sealed.
pub fn inner_pid(outer: Pid) -> Option<Pid> {
    let Some(outer_proc) = outer_proc() else { return Some(outer) };
    let status = read_to_string(outer_proc.join(outer.to_string()).join("status")).ok()?;
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    // From the namespace of that /proc inwards (proc(5)). It can be another namespace beside that of this run.
    let inner = numbers.split_whitespace().nth(1)?.parse().ok().map(Pid::from_raw)?;
    (seen_in(&outer_proc, inner) == Some(outer)).then_some(inner)
}

/// The number that a process of this run has in this /proc.
fn seen_in(outer_proc: &Path, pid: Pid) -> Option<Pid> {
    let process = pidfd_open(pid).ok()?;
    // It has the number of the pid namespace that this /proc belongs to (pidfd_open(2)).
    let info = outer_proc.join("self/fdinfo").join(process.as_raw_fd().to_string());
    let info = read_to_string(info).ok()?;
    let number = info.lines().find_map(|line| line.strip_prefix("Pid:"))?.trim().parse().ok();
    number.filter(|number| *number > 0).map(Pid::from_raw)
}

fn pidfd_open(pid: Pid) -> Result<OwnedFd, Errno> {
    // SAFETY: a system call on numbers.
    // WHY: nix has no pidfds.
    let opened = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) })?;
    // SAFETY: the kernel has just made this descriptor, and nothing else owns it.
    // WHY: no safe call returns it.
    Ok(unsafe { OwnedFd::from_raw_fd(opened as libc::c_int) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_what_forbids_it() {
        let text = |step: Step, errno| step.refused(errno).to_string();
        let limit = text(Step::User, Errno::ENOSPC);
        assert!(limit.ends_with("sysctl user.max_user_namespaces forbids it and has to be higher"));
        let masked = text(Step::Proc, Errno::EPERM);
        assert!(masked.contains("masked /proc forbids: operation not permitted; "), "{masked}");
        assert_eq!(
            text(Step::Pids, Errno::EINVAL),
            "cannot seal: cannot make a pid namespace: invalid argument"
        );
    }

    #[test]
    fn a_run_that_is_not_sealed_has_one_number_for_each_process() {
        assert_eq!(outer_pid(getpid()), getpid());
        assert_eq!(inner_pid(getpid()), Some(getpid()));
        assert_eq!(outer_proc(), None);
    }
}
