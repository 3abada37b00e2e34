//! `pm exec`: the command has the settings of a worker and the terminal of the caller, and takes the place of pm.

use std::fs;
use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use nix::sys::signal::Signal;
use nix::unistd::{Pid, geteuid};

use crate::support::processes;
use crate::support::programs::{open_copies, pm_binary, reset_ignored_signals};
use crate::support::run_mode::skip;
use crate::support::terminal::Terminal;
use crate::support::waiting::eventually;

/// A folder with a file.
fn folder(file: &str, text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(file), text).unwrap();
    folder
}

/// `pm exec` with these arguments, in this folder.
fn exec(folder: &Path, arguments: &[&str]) -> Command {
    reset_ignored_signals();
    let mut pm = Command::new(pm_binary());
    pm.arg("exec").args(arguments).current_dir(folder).env_remove("PORT");
    pm
}

/// What it prints. It must succeed.
#[track_caller]
fn printed(folder: &Path, arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = exec(folder, arguments).output().unwrap();
    let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert!(status.success() && stderr.is_empty(), "{status}: {stdout}{stderr}");
    stdout
}

/// The exit status, and what it says on stderr.
fn refused(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = exec(folder, arguments).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[test]
fn the_environment_is_that_of_the_slot_and_of_no_worker() {
    let folder = folder(
        "pm.toml",
        "[pool.web]\ncommand = ['none']\nports = '8080-8081'\nenv_file = '.env'\npath = ['tools']\n\
         env = { MODE = 'test {n}' }\n",
    );
    fs::write(folder.path().join(".env"), "SECRET=yes\n").unwrap();
    let script = "echo $PORT $PS $PM_POOL $PM_SLOT $MODE $SECRET ${PM_GENERATION-none} \
                  ${PM_WORKER-none} ${PATH%%:*}";
    for (name, expected) in
        [("web", "8080 web.1 web web.1 test 1"), ("web.2", "8081 web.2 web web.2 test 2")]
    {
        let mut pm = exec(folder.path(), &[name, "--", "sh", "-c", script]);
        let output = pm.env("PM_WORKER", "outer").env("PM_GENERATION", "7").output().unwrap();
        let tools = folder.path().join("tools");
        let expected = format!("{expected} yes none none {}\n", tools.display());
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    }
    assert_eq!(printed(folder.path(), &["web", "--", "echo", "{port} {{"]), "{port} {{\n");
}

#[test]
fn the_folder_umask_limits_and_nice_value_are_those_of_the_pool() {
    let folder = folder(
        "pm.toml",
        "[pool.web]\ncommand = ['none']\ncwd = 'app'\numask = '027'\nnice = 5\n\
         limits = { open_files = 77, core = 0, memory = '1GiB' }\n",
    );
    let app = folder.path().join("app");
    fs::create_dir(&app).unwrap();
    let script = "pwd -P; umask; ulimit -n; ulimit -Hn; ulimit -v; nice";
    let expected = format!("{}\n0027\n77\n77\n1048576\n5\n", app.canonicalize().unwrap().display());
    let file = folder.path().join("pm.toml");
    let arguments = ["-f", file.to_str().unwrap(), "web", "--", "sh", "-c", script];
    assert_eq!(printed(Path::new("/"), &arguments), expected);
}

#[test]
fn the_user_is_that_of_the_pool() {
    let folder = folder("pm.toml", "[pool.web]\ncommand = ['x']\ncwd = '/'\nuser = 'nobody'\n");
    let arguments = ["web", "--", "sh", "-c", "id -un; id -Gn; echo $HOME $USER"];
    if !geteuid().is_root() {
        let (status, said) = refused(folder.path(), &arguments);
        assert_eq!(status, Some(2));
        assert!(said.contains("only root may run workers as `nobody`"), "{said}");
        return skip("only root can run a command as another user");
    }
    let found = printed(folder.path(), &arguments);
    assert!(found.starts_with("nobody\nnogroup\n") && found.ends_with(" nobody\n"), "{found}");

    // The limits of root are not those of the user that pm is started by.
    let [pm, _] = open_copies(folder.path());
    let mut by_nobody = Command::new(pm);
    by_nobody.arg("exec").args(arguments).current_dir(folder.path());
    let Output { status, stderr, .. } = by_nobody.uid(65534).gid(65534).output().unwrap();
    let said = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(said.contains("only root may run workers as `nobody`"), "{said}");
}

#[test]
fn the_port_is_that_of_a_procfile() {
    let folder = folder("Procfile", "web: serve\nworker: work {}\n");
    let port = |arguments: &[&str]| {
        let command = ["--", "sh", "-c", "echo $PORT $PS"];
        printed(folder.path(), &[arguments, &command[..]].concat())
    };
    assert_eq!(port(&["web"]), "5000 web.1\n");
    assert_eq!(port(&["worker"]), "5100 worker.1\n");
    assert_eq!(port(&["-m", "web=2", "--port", "7000", "web.2"]), "7001 web.2\n");
    fs::write(folder.path().join(".env"), "PORT=6000\n").unwrap();
    assert_eq!(port(&["web"]), "6000 web.1\n");
}

#[test]
fn stdin_goes_through_and_the_status_and_the_pid_are_those_of_the_command() {
    let folder = folder("pm.toml", "[pool.web]\ncommand = ['none']\n");
    let mut pm = exec(folder.path(), &["web", "--", "sh", "-c", "cat; echo $$; exit 7"]);
    let mut child = pm.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"typed\n").unwrap();
    let pid = child.id();
    let Output { status, stdout, .. } = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(stdout).unwrap(), format!("typed\n{pid}\n"));
    assert_eq!(status.code(), Some(7));
}

#[test]
fn signals_are_those_of_the_command_and_one_that_pm_was_started_to_ignore_stays_ignored() {
    let folder = folder("pm.toml", "[pool.web]\ncommand = ['none']\n");
    let mut child = exec(folder.path(), &["web", "--", "sleep", "1000"]).spawn().unwrap();
    let pid = Pid::from_raw(child.id().try_into().unwrap());
    eventually("it is sleep", || (processes::name(pid)? == "sleep").then_some(()));
    let ignored = u64::from_str_radix(&processes::status(pid, "SigIgn"), 16).unwrap();
    let blocked = processes::status(pid, "SigBlk");
    processes::send(Signal::SIGTERM, pid);
    assert_eq!(child.wait().unwrap().signal(), Some(15));
    assert_eq!(ignored & 1 << (Signal::SIGPIPE as i32 - 1), 0, "SIGPIPE is as before pm");
    assert_eq!(blocked.trim_matches('0'), "");

    let pm = pm_binary();
    let script =
        format!("trap '' HUP; exec {} exec web -- grep SigIgn /proc/self/status", pm.display());
    let mut shell = Command::new("sh");
    let output = shell.args(["-c", &script]).current_dir(folder.path()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.trim_end().ends_with('1'), "{text}");
}

#[test]
fn a_command_that_cannot_be_executed_has_the_status_of_a_shell() {
    let folder = folder(
        "pm.toml",
        "[pool.web]\ncommand = ['none']\n[pool.lost]\ncommand = ['x']\ncwd = 'no'\n",
    );
    fs::write(folder.path().join("plain"), "text").unwrap();
    for (command, status, words) in [
        ("no-such-program", 127, "pm: no-such-program: not found on PATH"),
        ("./none", 127, "/none: no such file or directory"),
        ("./plain", 126, "/plain: not executable: permission denied"),
    ] {
        let (code, said) = refused(folder.path(), &["web", "--", command]);
        assert_eq!(code, Some(status), "{said}");
        assert!(said.contains(words), "{said}");
    }
    let (code, said) = refused(folder.path(), &["lost", "--", "true"]);
    assert_eq!(code, Some(126), "{said}");
    assert!(said.contains("cannot change to its folder "), "{said}");
}

#[test]
fn an_unknown_name_is_refused_with_the_nearest_one() {
    let folder =
        folder("pm.toml", "[pool.web]\ncommand = ['x']\nworkers = 2\n[pool.db]\ncommand = ['x']\n");
    for (name, words) in [
        ("wbe", "there is no pool or slot `wbe`; did you mean `web`?"),
        ("web.3", "there is no pool or slot `web.3`; did you mean `web."),
        ("nothing", "use `web` or `db`"),
    ] {
        let (code, said) = refused(folder.path(), &[name, "--", "true"]);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(words), "{said}");
    }
    let (code, said) = refused(folder.path(), &["web"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("<CMD>"), "{said}");
}

#[test]
fn the_command_has_the_terminal() {
    let folder = folder("pm.toml", "[pool.web]\ncommand = ['none']\npty = true\n");
    let terminal = Terminal::open();
    let line = || Stdio::from(terminal.line());
    reset_ignored_signals();
    let mut pm = Command::new("setsid");
    pm.arg("--ctty").arg(pm_binary()).current_dir(folder.path());
    pm.args([
        "exec",
        "web",
        "--",
        "sh",
        "-c",
        "tty; echo up; read line; echo got $line; exec sleep 1000",
    ]);
    let mut child = pm.stdin(line()).stdout(line()).stderr(line()).spawn().unwrap();
    drop(pm);
    let lines = terminal.lines();
    lines.wait_for(terminal.name());
    lines.wait_for("up");
    terminal.type_keys("word\r");
    lines.wait_for("got word");
    let pid = Pid::from_raw(child.id().try_into().unwrap());
    eventually("it is sleep", || (processes::name(pid)? == "sleep").then_some(()));
    terminal.type_keys("\x03");
    assert_eq!(child.wait().unwrap().signal(), Some(2));
}
