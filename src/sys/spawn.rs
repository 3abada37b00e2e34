//! Fork and exec: from a prepared [`Launch`] to the first instruction of a worker or of an exec probe.
//!
//! The child is made by clone(2) with `CLONE_VM`: it borrows pm's memory until it execs. Nothing is copied, so a spawn
//! costs the same however large pm is and however many files it has open. Only a child of another user, or in a control
//! group, has a copy. pm goes on meanwhile: a folder or a program on a file system that hangs holds up only its own
//! child.
//!
//! Everything that needs memory is prepared in a [`Launch`] before the fork. Nothing here keeps a pid: that is
//! [`super::children`]. Where to look next: [`super::child`] is what happens between fork and exec,
//! [`super::starting`] keeps what it needs, [`super::program`] names the files to try.

use crate::sys::{errno_words, limit_on};
use std::ffi::{CString, OsStr, OsString};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::resource::Resource;

use super::arguments::{Arguments, pointers};
use super::child::{self, ChildSetup, ExecSetup, Ids, Program, Progress, Step};
use super::environment::{Env, Texts, c_string};
use super::listen_pid::ListenPid;
use super::low_files::LowFiles;
use super::own_process::{self, OwnProcess};
use super::port_calls::{self, CannotHold};
use super::program::{self, Candidates};
use super::shared::{Mapping, Shared};
use super::starting::{Memory, Starting};
use super::worker_tag::WorkerTag;
use super::{guard, raw};
use crate::plan::environment::{PM_GENERATION, Variable};
use crate::plan::{ExecSpec, HoldPort, Limits};

/// Why a worker or a probe could not be spawned.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    #[error("{}: not found on PATH", .program.display())]
    NotFound { program: OsString },
    /// All that was found is a script that only wraps the program ([`crate::plan::wrapper`]).
    #[error("{}: a script that wraps the real program, and does not stop it", .path.display())]
    Script { path: PathBuf },
    #[error("{}: {}", .path.display(), describe_exec(*.errno))]
    Exec { path: PathBuf, errno: Errno },
    #[error("{}: the interpreter that its first line names is not there", .path.display())]
    Interpreter { path: PathBuf },
    #[error("cannot {preparation}: {}", errno_words(*.errno))]
    Prepare { preparation: Preparation, errno: Errno },
    #[error("cannot watch its start: {}{}", errno_words(*.0), limit_on(*.0))]
    Watch(Errno),
    #[error("cannot fork: {}{}", errno_words(*.0), limit_on(*.0))]
    Fork(Errno),
    #[error(transparent)]
    Hold(#[from] CannotHold),
}

/// What is done for a worker between fork and exec. As text, it is what comes after "cannot".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Preparation {
    #[error("give it descriptors of its own")]
    Descriptors,
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

fn describe_exec(errno: Errno) -> String {
    let words = match errno {
        Errno::ENOEXEC => {
            "not a program: neither a binary for this machine nor a script with a #! line"
        }
        Errno::EACCES => "not executable: permission denied",
        Errno::EAGAIN => "its user has too many processes (RLIMIT_NPROC)",
        other => return errno_words(other),
    };
    words.to_owned()
}

/// A command that is ready to be executed, prepared once for all workers of a slot.
#[derive(Clone, Debug)]
pub struct Launch {
    /// A child may need it for longer than the plan does.
    prepared: Rc<Prepared>,
}

/// What does not change from one worker of a slot to the next.
#[derive(Debug)]
pub struct Prepared {
    pub program: Program,
    /// As the plan names it.
    name: OsString,
    /// A script among its files is passed over ([`crate::plan::wrapper`]).
    is_wrapped: bool,
    env: Env,
    folder: Option<PathBuf>,
    has_terminal: bool,
    /// Its calls of bind(2) and listen(2) are handed to pm.
    has_filter: bool,
    user: Option<String>,
}

/// What a worker inherits from pm at its spawn.
#[derive(Clone, Copy, Debug)]
pub struct Inheritance<'a> {
    /// `None`: /dev/null.
    pub stdin: Option<BorrowedFd<'a>>,
    /// Both stdout and stderr: one pipe or terminal, so that their order is exact. `None`: /dev/null.
    pub output: Option<BorrowedFd<'a>>,
    /// What pm was started with.
    pub own: OwnProcess,
    /// The signals whose action in pm is not the default: pm catches them, or was started with them ignored.
    pub altered_signals: &'a [libc::c_int],
    /// The cgroup.procs of the control group that it joins.
    pub cgroup: Option<BorrowedFd<'a>>,
    /// A listening socket, which it has as its descriptor 3 (sd_listen_fds(3)).
    pub socket: Option<BorrowedFd<'a>>,
}

impl Launch {
    /// Prepares the command of `exec`. `inherited` is pm's own environment; `added` are variables that the plan cannot
    /// know. What `texts` has already is shared.
    ///
    /// An argument or variable with a NUL byte ends there, as it would in any exec.
    pub fn new(
        exec: &ExecSpec,
        inherited: &[(OsString, OsString)],
        added: impl IntoIterator<Item = (&'static str, String)>,
        texts: &mut Texts,
    ) -> Self {
        let mut variables = exec.environment(inherited);
        let added = added.into_iter().map(|(name, value)| (name.as_ref(), OsString::from(value)));
        variables.extend(added.map(|(name, value)| (name, value.into())));
        Self { prepared: Rc::new(Prepared::new(exec, &exec.argv, &variables, texts)) }
    }

    /// Prepares an exec probe of the workers of `exec`: the command `argv`, run as a worker is but without a terminal.
    pub fn of_probe(
        exec: &ExecSpec,
        argv: &[OsString],
        inherited: &[(OsString, OsString)],
        texts: &mut Texts,
    ) -> Self {
        let variables = exec.environment(inherited);
        let prepared = Prepared::new(exec, argv, &variables, texts);
        let prepared = Prepared { has_terminal: false, has_filter: false, ..prepared };
        Self { prepared: Rc::new(prepared) }
    }

    /// Drops RLIMIT_AS, for workers whose memory a control group limits. Before the first start.
    pub fn without_memory_limit(mut self) -> Self {
        let prepared = Rc::get_mut(&mut self.prepared).expect("no child uses it yet");
        prepared.program.limits.retain(|(resource, _)| *resource != Resource::RLIMIT_AS);
        self
    }

    /// The folder that it runs in; `None`: pm's own.
    pub fn folder(&self) -> Option<&Path> {
        self.prepared.folder()
    }

    /// Starts a worker or a probe in a process group of its own. As a rule it has exec'd or failed when this returns,
    /// after `most` at the latest; if not, it has taken `report`, the reading end of the report that is open in
    /// `low_files`.
    ///
    /// It has an empty signal mask and default dispositions, is killed when this thread ends (prctl(2),
    /// PR_SET_PDEATHSIG), and has no file descriptor but 0, 1 and 2.
    ///
    /// # Errors
    /// If the kernel refuses the fork. All else fails later ([`Starting::finish`]).
    pub fn begin(
        &self,
        tag: WorkerTag,
        given: Inheritance<'_>,
        low_files: &LowFiles,
        report: &mut Option<OwnedFd>,
        most: Duration,
    ) -> Result<Starting, SpawnError> {
        let prepared = &self.prepared;
        if prepared.has_filter {
            port_calls::check_kernel()?;
        }
        let generation = format!("{PM_GENERATION}={}", tag.worker.generation);
        let own = [generation].into_iter().chain(tag.variables());
        let own: Vec<_> = own.map(|variable| c_string(variable.into())).collect();
        let first_limits = [Some((Resource::RLIMIT_NOFILE, given.own.open_files))]
            .into_iter()
            .chain([tag.limit(given.own.file_locks)]);
        let progress = if prepared.must_be_copied(&given) {
            Shared::Mapped(Mapping::new(Progress::default()).map_err(SpawnError::Fork)?)
        } else {
            Shared::InPlace(Progress::default())
        };
        let env = prepared.env.texts().chain(own.iter().map(CString::as_c_str));
        let listen_pid = given.socket.map(|_| ListenPid::new());
        let env = pointers(env, listen_pid.as_ref());
        let setup = ChildSetup {
            parent: tag.pm.as_raw(),
            descriptors: low_files.numbers(),
            has_terminal: prepared.has_terminal,
            has_filter: prepared.has_filter,
            cgroup: given.cgroup.map(|_| low_files.numbers().cgroup),
            altered_signals: given.altered_signals.to_vec(),
            listen_pid,
            exec: ExecSetup {
                prepared: Rc::clone(prepared),
                is_wrapped: prepared.is_wrapped,
                env,
                first_limits: first_limits.flatten().collect(),
                progress,
            },
        };
        let memory = Memory::new(setup, own);
        let files = [given.stdin, given.output, given.cgroup, given.socket];
        Starting::begin(memory, files, low_files, report, most).map_err(SpawnError::Fork)
    }
}

impl Launch {
    /// Becomes the program in this very process, which has one thread. It keeps its descriptors, process group, signal
    /// mask and ignored signals. Returns only if that fails; then some of the rules hold for this process.
    pub fn become_program(&self) -> SpawnError {
        let setup = ExecSetup {
            prepared: Rc::clone(&self.prepared),
            // What a wrapper leaves behind when it is stopped is no concern of pm's here.
            is_wrapped: false,
            env: pointers(self.prepared.env.texts(), None),
            first_limits: Vec::new(),
            progress: Shared::InPlace(Progress::default()),
        };
        own_process::restore_sigpipe();
        let Err(errno) = child::become_program(&setup);
        let step = setup.progress.step();
        self.prepared.error(step, Errno::from_raw(errno), setup.progress.file())
    }
}

impl SpawnError {
    /// What a shell exits with if it cannot execute a command (POSIX, XCU 2.8.2).
    pub fn exec_status(&self) -> u8 {
        match self {
            Self::NotFound { .. } | Self::Exec { errno: Errno::ENOENT | Errno::ENOTDIR, .. } => {
                guard::NOT_FOUND
            }
            Self::Script { .. } | Self::Exec { .. } | Self::Interpreter { .. } => {
                guard::NOT_EXECUTABLE
            }
            Self::Prepare { .. } | Self::Watch(_) | Self::Fork(_) | Self::Hold(_) => {
                guard::NOT_EXECUTABLE
            }
        }
    }
}

impl Prepared {
    fn new(
        exec: &ExecSpec,
        argv: &[OsString],
        variables: &[Variable<'_>],
        texts: &mut Texts,
    ) -> Self {
        let name = argv.first().expect("an argv names its program").clone();
        let path = program::path_of(variables);
        let Candidates { paths, is_searched, is_wrapped } = program::candidates(&name, path);
        let identity = exec.identity.as_ref();
        Self {
            program: Program {
                files: paths
                    .iter()
                    .map(|path| texts.keep(&[path.as_os_str().as_bytes()]).text())
                    .collect(),
                is_searched,
                argv: Arguments::new(argv.iter().cloned().map(c_string).collect()),
                folder: exec.cwd.clone().map(|folder| c_string(folder.into_os_string())),
                limits: limits(&exec.limits),
                umask: exec.umask,
                nice: exec.nice,
                identity: identity.map(|identity| Ids {
                    uid: identity.uid,
                    gid: identity.gid,
                    groups: identity.groups.clone(),
                }),
            },
            name,
            is_wrapped,
            env: Env::new(variables, texts),
            folder: exec.cwd.clone(),
            has_terminal: exec.pty,
            has_filter: exec.hold_port == HoldPort::Calls,
            user: identity.map(|identity| identity.user.clone()),
        }
    }

    /// True if a child needs a copy of pm's memory and descriptors, as by fork(2).
    ///
    /// Another user could read pm's memory through a child that shares it, whose change of user would also clear pm's
    /// own dumpable flag (ptrace(2), prctl(2)). And where a control group has no memory left for an exec, the kernel
    /// kills every process that shares the memory of the child.
    fn must_be_copied(&self, given: &Inheritance<'_>) -> bool {
        raw::SHARES_ERRNO || self.program.identity.is_some() || given.cgroup.is_some()
    }

    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// The file of this number, if there is one: it is named from the folder.
    pub fn file(&self, number: usize) -> Option<PathBuf> {
        let file = Path::new(OsStr::from_bytes(self.program.files.get(number)?.to_bytes()));
        Some(match &self.folder {
            Some(folder) => program::located(folder, file),
            None => file.to_owned(),
        })
    }

    /// The error of a child that was at this step, with the file of this number.
    pub fn error(&self, step: Step, errno: Errno, file: usize) -> SpawnError {
        let path = || self.file(file).unwrap_or_default();
        let preparation = match step {
            Step::Filter => return CannotHold { call: "seccomp", errno }.into(),
            Step::Detach => Preparation::Descriptors,
            Step::Group if self.has_terminal => Preparation::Session,
            Step::Group => Preparation::Group,
            Step::Cgroup => Preparation::Cgroup,
            Step::Nice => Preparation::Nice(self.program.nice.unwrap_or_default()),
            Step::Limits => Preparation::Limits,
            Step::Identity => Preparation::Identity { user: self.user.clone().unwrap_or_default() },
            Step::DeathSignal => Preparation::DeathSignal,
            Step::Output => Preparation::Output,
            Step::Folder => Preparation::Folder(self.folder().unwrap_or(Path::new("")).to_owned()),
            Step::Find => return SpawnError::NotFound { program: self.name.clone() },
            Step::PassOver => return SpawnError::Script { path: path() },
            Step::Exec => return SpawnError::Exec { path: path(), errno },
            Step::Interpreter => return SpawnError::Interpreter { path: path() },
        };
        SpawnError::Prepare { preparation, errno }
    }
}

/// The limits as the kernel takes them, soft and hard alike.
fn limits(limits: &Limits) -> Vec<(Resource, libc::rlimit)> {
    let Limits { open_files, processes, file_bytes, core_bytes, stack_bytes, memory_bytes } =
        limits;
    let wanted = [
        (Resource::RLIMIT_NOFILE, open_files),
        (Resource::RLIMIT_NPROC, processes),
        (Resource::RLIMIT_FSIZE, file_bytes),
        (Resource::RLIMIT_CORE, core_bytes),
        (Resource::RLIMIT_STACK, stack_bytes),
        (Resource::RLIMIT_AS, memory_bytes),
    ];
    let set = wanted.into_iter().filter_map(|(resource, limit)| Some((resource, (*limit)?)));
    set.map(|(resource, limit)| (resource, libc::rlimit { rlim_cur: limit, rlim_max: limit }))
        .collect()
}

#[cfg(test)]
mod tests;
