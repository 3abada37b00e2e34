//! Fork and exec: from a prepared [`Launch`] to the first instruction of a worker or of an exec probe.
//!
//! The child is made by clone(2) with `CLONE_VM | CLONE_VFORK`: it borrows pm's memory until it execs, and pm stands
//! still until then. Nothing is copied, so a spawn costs the same however large pm is; an error of the child is a plain
//! store that pm reads when it continues; and when `spawn` returns, the worker has exec'd.
//!
//! Everything that needs memory is prepared in a [`Launch`] before the fork. Nothing here keeps a pid: that is
//! [`super::children`]. Where to look next: [`super::child`] is what happens between fork and exec, [`super::program`]
//! finds the file to execute.

use std::ffi::{CString, OsString};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicI32;

use nix::errno::Errno;

use super::child::{self, Child, ChildSetup, Ids, Step};
use super::worker_tag::WorkerTag;
use super::{program, wait};
use crate::plan::environment::PM_GENERATION;
use crate::plan::{ExecSpec, Identity, Limits};

/// Why a worker or a probe could not be spawned.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    #[error("{}: not found on PATH", .program.display())]
    NotFound { program: OsString },
    /// All that was found is a script that only wraps the program ([`crate::plan::wrapper`]).
    #[error("{}: a script that wraps the real program, and does not stop it", .path.display())]
    Script { path: PathBuf },
    #[error("{}: {}", .path.display(), describe_exec(.path, *.errno))]
    Exec { path: PathBuf, errno: Errno },
    #[error("cannot {preparation}: {}", .errno.desc())]
    Prepare { preparation: Preparation, errno: Errno },
    #[error("cannot fork: {}{}", .0.desc(), if *.0 == Errno::EAGAIN { " (too many processes)" } else { "" })]
    Fork(Errno),
}

/// What is done for a worker between fork and exec. As text, it is what comes after "cannot".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Preparation {
    #[error("give it a process group of its own")]
    Group,
    #[error("give it a session and a terminal of its own")]
    Session,
    #[error("put it into its control group")]
    Cgroup,
    #[error("set its nice value to {0}")]
    Nice(i32),
    #[error("set its limits (is one above the hard limit that pm was started with?)")]
    Limits,
    #[error("make it run as {user}")]
    Identity { user: String },
    #[error("make it die with pm")]
    DeathSignal,
    #[error("give it its stdin and output")]
    Output,
    #[error("change to its folder {}", .0.display())]
    Folder(PathBuf),
}

fn describe_exec(path: &Path, errno: Errno) -> &'static str {
    match errno {
        Errno::ENOENT if path.exists() => "the interpreter that its first line names is not there",
        Errno::ENOEXEC => {
            "not a program: neither a binary for this machine nor a script with a #! line"
        }
        Errno::EACCES => "not executable: permission denied",
        Errno::EAGAIN => "its user has too many processes (RLIMIT_NPROC)",
        other => other.desc(),
    }
}

/// A command that is ready to be executed, prepared once for all workers of a slot.
#[derive(Debug)]
pub struct Launch {
    program: OsString,
    path: Option<OsString>,
    argv: Vec<CString>,
    env: Vec<CString>,
    folder: Option<(PathBuf, CString)>,
    has_terminal: bool,
    umask: Option<libc::mode_t>,
    nice: Option<libc::c_int>,
    limits: Vec<(libc::c_uint, libc::rlimit)>,
    identity: Option<Identity>,
}

/// What a worker inherits from pm at its spawn.
#[derive(Clone, Copy, Debug)]
pub struct Inheritance<'a> {
    pub stdin: BorrowedFd<'a>,
    /// Both stdout and stderr: one pipe or terminal, so that their order is exact.
    pub output: BorrowedFd<'a>,
    /// The limit on open files, soft and hard, that pm was started with.
    pub open_files: libc::rlimit,
    /// The signals whose action in pm is not the default: pm catches them, or was started with them ignored.
    pub altered_signals: &'a [libc::c_int],
    /// The cgroup.procs of the control group that it joins.
    pub cgroup: Option<BorrowedFd<'a>>,
}

impl Launch {
    /// Prepares the command of `exec`. `inherited` is pm's own environment; `added` are variables that the plan cannot
    /// know.
    ///
    /// An argument or variable with a NUL byte ends there, as it would in any exec.
    pub fn new(
        exec: &ExecSpec,
        inherited: impl IntoIterator<Item = (OsString, OsString)>,
        added: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Self {
        let mut variables = exec.environment(inherited);
        variables.extend(added.into_iter().map(|(name, value)| (name.into(), value.into())));
        Self::prepared(exec, &exec.argv, &variables)
    }

    /// Prepares an exec probe of the workers of `exec`: the command `argv`, run as a worker is but without a terminal.
    pub fn of_probe(
        exec: &ExecSpec,
        argv: &[OsString],
        inherited: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Self {
        let variables = exec.environment(inherited);
        Self { has_terminal: false, ..Self::prepared(exec, argv, &variables) }
    }

    fn prepared(exec: &ExecSpec, argv: &[OsString], variables: &[(OsString, OsString)]) -> Self {
        let joined = |(name, value): &(OsString, OsString)| {
            let mut text = name.clone();
            text.push("=");
            text.push(value);
            c_string(text)
        };
        let folder = exec.cwd.clone().map(|cwd| (cwd.clone(), c_string(cwd.into_os_string())));
        Self {
            program: argv.first().expect("an argv names its program").clone(),
            path: program::path_of(variables),
            argv: argv.iter().cloned().map(c_string).collect(),
            env: variables.iter().map(joined).collect(),
            folder,
            has_terminal: exec.pty,
            umask: exec.umask,
            nice: exec.nice,
            limits: limits(&exec.limits),
            identity: exec.identity.clone(),
        }
    }

    /// Drops RLIMIT_AS, for workers whose memory a control group limits.
    pub fn without_memory_limit(mut self) -> Self {
        self.limits.retain(|(resource, _)| *resource != libc::RLIMIT_AS);
        self
    }

    /// The folder that it runs in; `None`: pm's own.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_ref().map(|(folder, _)| folder.as_path())
    }

    /// Starts a worker or a probe in a process group of its own, and returns it once it has exec'd.
    ///
    /// It has an empty signal mask and default dispositions, is killed when this thread ends (prctl(2),
    /// PR_SET_PDEATHSIG), and has no file descriptor but 0, 1 and 2.
    ///
    /// # Errors
    /// If there is no such program, the kernel refuses the fork, or the child could not exec. No child is left then.
    pub fn spawn(&self, tag: WorkerTag, given: Inheritance<'_>) -> Result<Child, SpawnError> {
        let path = program::find(&self.program, self.path.as_deref(), self.folder())?;
        let file = c_string(path.clone().into_os_string());
        let generation = format!("{PM_GENERATION}={}", tag.worker.generation);
        let own = [generation].into_iter().chain(tag.variables());
        let own: Vec<_> = own.map(|variable| c_string(variable.into())).collect();
        let argv: Vec<_> = pointers(self.argv.iter());
        let env: Vec<_> = pointers(self.env.iter().chain(&own));
        let open_files = (libc::RLIMIT_NOFILE, given.open_files);
        let first = [open_files].into_iter().chain(tag.limit());
        let limits: Vec<_> = first.chain(self.limits.iter().copied()).collect();
        let (limits, limits_count) = child::array(&limits);
        let (altered_signals, altered_signals_count) = child::array(given.altered_signals);
        let identity = self.identity.as_ref().map(|identity| {
            let (groups, groups_count) = child::array(&identity.groups);
            Ids { uid: identity.uid, gid: identity.gid, groups, groups_count }
        });
        let setup = ChildSetup {
            parent: tag.pm.as_raw(),
            file: file.as_ptr(),
            argv: argv.as_ptr(),
            env: env.as_ptr(),
            stdin: given.stdin.as_raw_fd(),
            output: given.output.as_raw_fd(),
            has_terminal: self.has_terminal,
            folder: self.folder.as_ref().map_or(std::ptr::null(), |(_, folder)| folder.as_ptr()),
            cgroup: given.cgroup.map_or(-1, |cgroup| cgroup.as_raw_fd()),
            limits,
            limits_count,
            umask: self.umask,
            nice: self.nice,
            identity,
            altered_signals,
            altered_signals_count,
            failed_step: AtomicI32::new(0),
            errno: AtomicI32::new(0),
        };
        match setup.start().map_err(SpawnError::Fork)? {
            (child, None) => Ok(child),
            (Child { pid, .. }, Some((step, errno))) => {
                // It is ending. It may not be left to the reaper, which would take it for an orphan of some worker.
                wait::reap_ending(pid);
                Err(self.error(step, errno, path))
            }
        }
    }

    fn error(&self, step: Step, errno: Errno, path: PathBuf) -> SpawnError {
        let preparation = match step {
            Step::Group if self.has_terminal => Preparation::Session,
            Step::Group => Preparation::Group,
            Step::Cgroup => Preparation::Cgroup,
            Step::Nice => Preparation::Nice(self.nice.unwrap_or_default()),
            Step::Limits => Preparation::Limits,
            Step::Identity => {
                let user = self.identity.as_ref().map(|identity| identity.user.clone());
                Preparation::Identity { user: user.unwrap_or_default() }
            }
            Step::DeathSignal => Preparation::DeathSignal,
            Step::Output => Preparation::Output,
            Step::Folder => Preparation::Folder(self.folder().unwrap_or(Path::new("")).to_owned()),
            Step::Exec => return SpawnError::Exec { path, errno },
        };
        SpawnError::Prepare { preparation, errno }
    }
}

/// The limits as the kernel takes them, soft and hard alike.
fn limits(limits: &Limits) -> Vec<(libc::c_uint, libc::rlimit)> {
    let Limits { open_files, processes, file_bytes, core_bytes, stack_bytes, memory_bytes } =
        limits;
    let wanted = [
        (libc::RLIMIT_NOFILE, open_files),
        (libc::RLIMIT_NPROC, processes),
        (libc::RLIMIT_FSIZE, file_bytes),
        (libc::RLIMIT_CORE, core_bytes),
        (libc::RLIMIT_STACK, stack_bytes),
        (libc::RLIMIT_AS, memory_bytes),
    ];
    let set = wanted.into_iter().filter_map(|(resource, limit)| Some((resource, (*limit)?)));
    set.map(|(resource, limit)| (resource, libc::rlimit { rlim_cur: limit, rlim_max: limit }))
        .collect()
}

/// The text up to its first NUL byte, as exec(2) takes it.
pub fn c_string(text: OsString) -> CString {
    let mut bytes = text.into_vec();
    bytes.truncate(bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len()));
    CString::new(bytes).expect("cut at the first NUL")
}

fn pointers<'a>(strings: impl Iterator<Item = &'a CString>) -> Vec<*const libc::c_char> {
    strings.map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
}

#[cfg(test)]
mod tests;
