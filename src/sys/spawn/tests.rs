//! Spawns real processes that report what they were started with.

use std::io::{Read, Write};
use std::os::fd::AsFd;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, getpid};

use super::super::starting::GIVE_WAY;
use super::*;
use crate::plan::Identity;
use crate::supervisor::{SlotId, WorkerId};

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
    spawn_by(getpid(), exec, argv, group)
}

/// `pm` is the process that the child takes for its parent.
fn spawn_by(
    pm: Pid,
    exec: ExecSpec,
    argv: &[&str],
    group: Option<&std::fs::File>,
) -> (Result<Pid, SpawnError>, String) {
    let argv: Vec<OsString> = argv.iter().map(Into::into).collect();
    let variables = [("PATH", "/bin:/usr/bin"), ("A", "b c")];
    let stdin = std::fs::File::open("/dev/null").unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let (soft, hard) = nix::sys::resource::getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let altered_signals = crate::sys::signals::altered();
    let given = Inheritance {
        altered_signals: &altered_signals,
        stdin: Some(stdin.as_fd()),
        output: Some(writer.as_fd()),
        own: OwnProcess {
            open_files: libc::rlimit { rlim_cur: soft.min(100), rlim_max: hard },
            file_locks: libc::RLIM_INFINITY,
        },
        cgroup: group.map(AsFd::as_fd),
        socket: None,
    };
    let env = variables.map(|(name, value): (&str, &str)| (name.into(), value.into())).to_vec();
    let exec = ExecSpec { argv, env, ..exec };
    let worker = WorkerId { slot: SlotId(0), generation: 7 };
    let tag = WorkerTag { pm, worker, probe: None };
    let low_files = LowFiles::open().unwrap();
    let mut report = Some(low_files.open_report().unwrap());
    let launch = Launch::new(&exec, &[], [], &mut Texts::default());
    let started = launch.begin(tag, given, &low_files, &mut report, GIVE_WAY);
    let result = started.and_then(|starting| {
        let pid = starting.pid;
        if let Some(report) = starting.report() {
            // Its end.
            assert_eq!(nix::unistd::read(report, &mut [0]), Ok(0));
        }
        starting.finish().map(|()| pid)
    });
    drop(writer);
    let mut output = String::new();
    reader.read_to_string(&mut output).unwrap();
    (result, output)
}

/// With `PM_SKIP_NOTHING` set, as in continuous integration, a test that cannot run here fails.
#[track_caller]
fn skip(reason: &str) {
    assert!(std::env::var_os("PM_SKIP_NOTHING").is_none(), "skipped: {reason}");
    println!("skipped: {reason}");
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
fn an_exec_that_fails_is_explained() {
    let refused = |argv: &[&str]| spawn(argv).0.unwrap_err().to_string();
    assert_eq!(refused(&["no-such-program"]), "no-such-program: not found on PATH");
    assert_eq!(refused(&["/no/such"]), "/no/such: no such file or directory");
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
        return skip("only root can become another user");
    }
    let identity = Identity {
        user: "x".into(),
        login: "x".into(),
        home: "/".into(),
        shell: "/bin/sh".into(),
        uid: 1234,
        gid: 2345,
        groups: vec![3456, 4567],
    };
    let exec = ExecSpec { identity: Some(identity), ..ExecSpec::default() };
    let script = "exec grep -E '^(Uid|Gid|Groups)' /proc/self/status";
    let text = printed(exec.clone(), script).replace(['\t', ' '], ",");
    let expected = ["Uid:,1234,1234,1234,1234", "Gid:,2345,2345,2345,2345", "Groups:,3456,4567"];
    assert_eq!(Vec::from_iter(text.lines()), expected);
}

#[test]
fn a_worker_is_in_its_control_group_from_its_first_instruction() {
    let name = format!("pm-test-{}", std::process::id());
    let made = crate::sys::cgroup::own_group().and_then(|own| {
        let group = own.join(&name);
        std::fs::create_dir(&group).ok()?;
        let procs = std::fs::OpenOptions::new().write(true).open(group.join("cgroup.procs"));
        Some((group.clone(), procs.ok()?))
    });
    let Some((group, procs)) = made else {
        return skip("no cgroup v2 may be divided here");
    };
    let argv = ["cat", "/proc/self/cgroup"];
    let (pid, output) = spawn_in_group(ExecSpec::default(), &argv, Some(&procs));
    waitpid(pid.unwrap(), None).unwrap();
    std::fs::remove_dir(&group).unwrap();
    assert!(
        output.lines().any(|line| line.starts_with("0::") && line.ends_with(&name)),
        "{output}"
    );
}

#[test]
fn a_folder_that_is_missing_is_named() {
    let exec = ExecSpec { cwd: Some("/no/such".into()), ..ExecSpec::default() };
    let refused = spawn_in(exec, &["sh"]).0.unwrap_err().to_string();
    assert_eq!(refused, "cannot change to its folder /no/such: no such file or directory");
}

#[test]
fn a_child_whose_parent_has_died_does_not_run_its_program() {
    let (pid, output) = spawn_by(Pid::from_raw(1), ExecSpec::default(), &["echo", "up"], None);
    let ended = waitpid(pid.unwrap(), None).unwrap();
    assert!(matches!(ended, WaitStatus::Exited(_, 127)), "{ended:?}");
    assert_eq!(output, "");
}

#[test]
fn a_child_blocks_each_signal_that_pm_catches_until_it_execs() {
    // The child waits here: it writes to the file of its control group before it execs.
    let (mut reader, writer) = std::io::pipe().unwrap();
    let procs = std::fs::File::from(OwnedFd::from(writer));
    fcntl(&procs, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    while (&procs).write(&[0; 4096]).is_ok() {}
    fcntl(&procs, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    let thread = nix::unistd::gettid();
    let blocked = std::thread::spawn(move || {
        let blocked = loop {
            let children = std::fs::read_to_string(format!("/proc/self/task/{thread}/children"));
            let Some(child) = children.unwrap().split_whitespace().next().map(str::to_owned) else {
                continue;
            };
            let status = std::fs::read_to_string(format!("/proc/{child}/status")).unwrap();
            let field = |name| status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            if field("State:").trim().starts_with('S') {
                break u64::from_str_radix(field("SigBlk:").trim(), 16).unwrap();
            }
        };
        reader.read_exact(&mut [0; 4096]).unwrap();
        blocked
    });
    let (pid, _) = spawn_in_group(ExecSpec::default(), &["true"], Some(&procs));
    waitpid(pid.unwrap(), None).unwrap();
    let blocked = blocked.join().unwrap();
    let caught = [libc::SIGHUP, libc::SIGINT, libc::SIGTERM, libc::SIGUSR1, libc::SIGCHLD];
    for signal in caught {
        assert_ne!(blocked & 1 << (signal - 1), 0, "{signal} of {blocked:x}");
    }
}
