//! Fork and exec: from a prepared [`Launch`] to the first instruction of a worker.
//!
//! The child is made by clone(2) with `CLONE_VM | CLONE_VFORK`: it borrows pm's memory until it execs, and pm stands
//! still meanwhile. Nothing is copied, so a spawn costs the same however large pm is; an error of the child is a
//! plain store that pm reads when it goes on; and when `spawn` returns, the worker has exec'd.
//!
//! Everything that needs memory is prepared in a [`Launch`] before the fork; [`super::child`] is what happens then.

use std::ffi::{CString, OsString};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicI32;

use nix::errno::Errno;
use nix::unistd::{Pid, getpid};

use super::child::{self, Ids, Order, Step};
use super::proc::{CHECK_VARIABLE, WorkerTag};
use super::program;
use crate::plan::{ExecSpec, Identity, Limits};
use crate::supervisor::WorkerId;

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
    Prepare { what: String, errno: Errno },
    #[error("cannot fork: {}{}", .0.desc(), if *.0 == Errno::EAGAIN { " (too many processes)" } else { "" })]
    Fork(Errno),
    #[error("cannot open a pipe for its output: {0}")]
    Output(std::io::Error),
    #[error("cannot limit its memory by a control group: {0}")]
    Cgroup(std::io::Error),
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
        Errno::EAGAIN => "its user has too many processes (RLIMIT_NPROC)",
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
    folder: Option<(PathBuf, CString)>,
    has_terminal: bool,
    umask: Option<libc::mode_t>,
    nice: Option<libc::c_int>,
    limits: Vec<(libc::c_uint, libc::rlimit)>,
    identity: Option<Identity>,
}

/// What a worker gets from pm besides its command.
#[derive(Clone, Copy, Debug)]
pub struct Inheritance<'a> {
    pub stdin: BorrowedFd<'a>,
    /// Both stdout and stderr: one pipe or terminal, so that their order is exact.
    pub output: BorrowedFd<'a>,
    /// The limit on open files, soft and hard, that pm itself was started with.
    pub open_files: libc::rlimit,
    /// The signals that are not at their default in pm: caught, or ignored since before it started.
    pub altered_signals: &'a [libc::c_int],
    /// The cgroup.procs of the control group that it joins.
    pub cgroup: Option<BorrowedFd<'a>>,
}

impl Launch {
    /// Prepares what `exec` says, on top of pm's own environment; `said` are variables that only this pm knows.
    ///
    /// An argument or variable with a NUL byte ends there, as it would in any exec.
    pub fn new(
        exec: &ExecSpec,
        inherited: impl IntoIterator<Item = (OsString, OsString)>,
        said: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Self {
        let mut variables = exec.environment(inherited);
        variables.extend(said.into_iter().map(|(name, value)| (name.into(), value.into())));
        Self::prepared(exec, &exec.argv, &variables)
    }

    /// Prepares a look at the worker of `exec`: another command in the same host, but never in its terminal.
    pub fn of_check(
        exec: &ExecSpec,
        argv: &[OsString],
        inherited: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Self {
        let mut variables = exec.environment(inherited);
        variables.push((CHECK_VARIABLE.into(), "1".into()));
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

    /// Leaves the limit on memory to the control group that its workers join.
    pub fn without_memory_limit(mut self) -> Self {
        self.limits.retain(|(resource, _)| *resource != libc::RLIMIT_AS);
        self
    }

    /// The folder that it runs in, if that is not pm's own.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_ref().map(|(folder, _)| folder.as_path())
    }

    /// Starts this worker in a process group of its own, and returns once it has exec'd.
    ///
    /// The worker has an empty signal mask and default dispositions, dies when this thread dies (prctl(2),
    /// PR_SET_PDEATHSIG), and has no file descriptor but 0, 1 and 2.
    ///
    /// # Errors
    /// If there is no such program, the kernel refuses the fork, or the child could not exec. In the last case a
    /// dead child is left for the reaper, which does not know it.
    pub fn spawn(&self, worker: WorkerId, given: Inheritance<'_>) -> Result<Pid, SpawnError> {
        let path = program::find(&self.program, self.path.as_deref(), self.folder())?;
        let file = c_string(path.clone().into_os_string());
        let own =
            [format!("PM_GENERATION={}", worker.generation), WorkerTag::variable(getpid(), worker)];
        let own = own.map(|variable| c_string(variable.into()));
        let argv: Vec<_> = pointers(self.argv.iter());
        let env: Vec<_> = pointers(self.env.iter().chain(&own));
        let open_files = (libc::RLIMIT_NOFILE, given.open_files);
        let limits: Vec<_> = [open_files].into_iter().chain(self.limits.iter().copied()).collect();
        let (limits, limits_count) = child::array(&limits);
        let (altered_signals, altered_signals_count) = child::array(given.altered_signals);
        let identity = self.identity.as_ref().map(|identity| {
            let (groups, groups_count) = child::array(&identity.groups);
            Ids { uid: identity.uid, gid: identity.gid, groups, groups_count }
        });
        let order = Order {
            parent: getpid().as_raw(),
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
        match order.carry_out().map_err(SpawnError::Fork)? {
            (pid, None) => Ok(pid),
            (_, Some((Step::Exec, errno))) => Err(SpawnError::Exec { path, errno }),
            (_, Some((step, errno))) => Err(SpawnError::Prepare { what: self.words(step), errno }),
        }
    }

    /// What a step does, after "cannot".
    fn words(&self, step: Step) -> String {
        match step {
            Step::Group if self.has_terminal => {
                "give it a session and a terminal of its own".into()
            }
            Step::Group => "give it a process group of its own".into(),
            Step::Cgroup => "put it into its control group".into(),
            Step::Nice => format!("set its niceness to {}", self.nice.unwrap_or_default()),
            Step::Limits => {
                "set its limits (is one above the hard limit that pm was started with?)".into()
            }
            Step::Identity => match &self.identity {
                Some(identity) => format!("make it run as {}", identity.user),
                None => "change its user".into(),
            },
            Step::Bond => "tie its life to that of pm".into(),
            Step::Output => "give it its stdin and output".into(),
            Step::Folder => match self.folder() {
                Some(folder) => format!("go to its folder {}", folder.display()),
                None => "go to its folder".into(),
            },
            Step::Exec => "execute it".into(),
        }
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
    set.map(|(resource, most)| (resource, libc::rlimit { rlim_cur: most, rlim_max: most }))
        .collect()
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

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsFd;

    use super::*;
    use crate::supervisor::SlotId;

    fn spawn(argv: &[&str]) -> (Result<Pid, SpawnError>, String) {
        spawn_in(ExecSpec::default(), argv)
    }

    fn spawn_in(exec: ExecSpec, argv: &[&str]) -> (Result<Pid, SpawnError>, String) {
        spawn_in_group(exec, argv, None)
    }

    fn spawn_in_group(
        exec: ExecSpec,
        argv: &[&str],
        group: Option<&std::fs::File>,
    ) -> (Result<Pid, SpawnError>, String) {
        let argv: Vec<OsString> = argv.iter().map(Into::into).collect();
        let variables = [("PATH", "/bin:/usr/bin"), ("A", "b c")];
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
            cgroup: group.map(AsFd::as_fd),
        };
        let env = variables.map(|(name, value): (&str, &str)| (name.into(), value.into())).to_vec();
        let exec = ExecSpec { argv, env, ..exec };
        let worker = WorkerId { slot: SlotId(0), generation: 7 };
        let result = Launch::new(&exec, [], []).spawn(worker, given);
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

    fn printed(exec: ExecSpec, script: &str) -> String {
        let (pid, output) = spawn_in(exec, &["sh", "-c", script]);
        pid.unwrap();
        output.trim_end().to_owned()
    }

    #[test]
    fn a_worker_runs_in_its_folder_with_its_umask_niceness_and_limits() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().canonicalize().unwrap();
        let exec = ExecSpec {
            cwd: Some(here.clone()),
            umask: Some(0o027),
            nice: Some(7),
            limits: Limits {
                open_files: Some(50),
                file_bytes: Some(1 << 20),
                core_bytes: Some(0),
                stack_bytes: Some(1 << 20),
                memory_bytes: Some(1 << 30),
                ..Limits::default()
            },
            ..ExecSpec::default()
        };
        let script = "pwd; umask; nice; ulimit -n; ulimit -f; ulimit -c; ulimit -s; ulimit -v";
        let lines = printed(exec, script);
        let pwd = here.display().to_string();
        let expected = [&pwd, "0027", "7", "50", "2048", "0", "1024", "1048576"];
        assert_eq!(Vec::from_iter(lines.lines()), expected);
    }

    #[test]
    fn a_worker_can_be_another_user() {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: only root can become another user");
            return;
        }
        let identity =
            Identity { user: "x".into(), uid: 1234, gid: 2345, groups: vec![3456, 4567] };
        let exec = ExecSpec { identity: Some(identity), ..ExecSpec::default() };
        let script = "exec grep -E '^(Uid|Gid|Groups)' /proc/self/status";
        let text = printed(exec.clone(), script).replace(['\t', ' '], ",");
        let expected =
            ["Uid:,1234,1234,1234,1234", "Gid:,2345,2345,2345,2345", "Groups:,3456,4567"];
        assert_eq!(Vec::from_iter(text.lines()), expected);
        // The change of user has left this process as it was.
        std::fs::read_dir("/proc/self/fd").unwrap();
        assert_eq!(nix::sys::prctl::get_dumpable(), Ok(true));
    }

    #[test]
    fn a_worker_is_in_its_control_group_from_its_first_instruction() {
        let name = format!("pm-test-{}", std::process::id());
        let made = super::super::cgroup::own_group().and_then(|own| {
            let group = own.join(&name);
            std::fs::create_dir(&group).ok()?;
            let procs = std::fs::OpenOptions::new().write(true).open(group.join("cgroup.procs"));
            Some((group.clone(), procs.ok()?))
        });
        let Some((group, procs)) = made else {
            println!("skipped: no cgroup v2 may be divided here");
            return;
        };
        let argv = ["cat", "/proc/self/cgroup"];
        let (pid, output) = spawn_in_group(ExecSpec::default(), &argv, Some(&procs));
        nix::sys::wait::waitpid(pid.unwrap(), None).unwrap();
        std::fs::remove_dir(&group).unwrap();
        assert!(
            output.lines().any(|line| line.starts_with("0::") && line.ends_with(&name)),
            "{output}"
        );
    }

    #[test]
    fn what_cannot_be_prepared_is_said_with_its_name() {
        let exec = ExecSpec { cwd: Some("/no/such".into()), ..ExecSpec::default() };
        let refused = spawn_in(exec, &["sh"]).0.unwrap_err().to_string();
        assert_eq!(refused, "cannot go to its folder /no/such: No such file or directory");
    }
}
