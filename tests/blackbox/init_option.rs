//! The option `--init`: pm runs one command, as process 1 of a container does; and pm as process 1.
//!
//! Each test starts pm with a `PM_POOL` of its own. All processes that inherit it belong to the test, pm included.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::thread;

use nix::sys::signal::Signal::{self, SIGINT, SIGKILL, SIGTERM};
use nix::unistd::Pid;
use procfs::process::Process;

use crate::support::lines::Lines;
use crate::support::pool::Pool;
use crate::support::processes::{self, Member, children_of, is_alive, send, state};
use crate::support::programs::{pm_binary, reset_ignored_signals, worker, worker_text};
use crate::support::run_mode::skip;
use crate::support::terminal::Terminal;
use crate::support::waiting::eventually;

/// SIGKILL and SIGSTOP cannot be caught. The others concern pm itself.
const NOT_FORWARDED: [i32; 5] =
    [libc::SIGKILL, libc::SIGSTOP, libc::SIGCHLD, libc::SIGTTIN, libc::SIGTTOU];

/// Signals whose default action is not to terminate (signal(7)).
const HARMLESS: [i32; 8] = [
    libc::SIGCHLD,
    libc::SIGCONT,
    libc::SIGSTOP,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGURG,
    libc::SIGWINCH,
];

/// The first real-time signal for programs. The C library keeps 32 and 33 for itself (signal(7)), and they may have been
/// ignored already when the test was started.
const FIRST_REAL_TIME: i32 = 34;
const LAST: i32 = 64;

fn numbers() -> impl Iterator<Item = i32> {
    (1..32).chain(FIRST_REAL_TIME..=LAST)
}

const THREADS: usize = 4;

/// Makes its child process 1 of a pid namespace. The namespace ends with this command.
const NAMESPACE: [&str; 5] = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];

/// A command that pm runs with `--init`. Drop ends it and everything that it has started.
struct Init {
    name: String,
    child: Child,
    /// Stderr.
    says: Lines,
    /// Stdout.
    prints: Lines,
    has_ended: bool,
}

/// A command line: `before`, then `pm run --init --`, then `words`.
fn command(before: &[&str], words: &[&str]) -> (String, Command) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    reset_ignored_signals();
    let name = format!("i{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let pm = pm_binary().into_os_string().into_string().expect("text");
    let argv: Vec<_> = before
        .iter()
        .copied()
        .chain([pm.as_str(), "run", "--init", "--"])
        .chain(words.iter().copied())
        .collect();
    let mut command = Command::new(argv[0]);
    command.args(&argv[1..]);
    command.env("PM_POOL", &name).env("PM_SLOT", format!("{name}.1")).env("PM_GENERATION", "1");
    (name, command)
}

impl Init {
    fn of(words: &[&str]) -> Self {
        Self::after(&[], words)
    }

    fn of_shell(script: &str) -> Self {
        Self::of(&["sh", "-c", script])
    }

    /// The words of `before` become pm by exec, or start it.
    fn after(before: &[&str], words: &[&str]) -> Self {
        let (name, mut command) = command(before, words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("pm can be started");
        let says = Lines::of(child.stderr.take().expect("a pipe"));
        let prints = Lines::of(child.stdout.take().expect("a pipe"));
        Self { name, child, says, prints, has_ended: false }
    }

    /// pm is the leader of a session with this terminal.
    fn in_terminal(terminal: &Terminal, words: &[&str]) -> Self {
        let (name, mut command) = command(&["setsid", "--ctty"], words);
        command.stdin(terminal.line()).stdout(terminal.line()).stderr(terminal.line());
        let child = command.spawn().expect("pm can be started");
        let lines = terminal.lines();
        Self { name, child, says: lines.clone(), prints: lines, has_ended: false }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().expect("a pid"))
    }

    /// Writes a line to its stdin, which must be a pipe.
    fn type_line(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("a pipe");
        writeln!(stdin, "{line}").expect("a reader");
    }

    fn wait_members(&self, count: usize) -> Vec<Member> {
        eventually(&format!("{count} processes"), || {
            let members = processes::members_of(&self.name);
            (members.len() == count).then_some(members)
        })
    }

    /// Waits for its end.
    fn wait_end(&mut self) -> ExitStatus {
        let status = eventually("pm ends", || self.child.try_wait().expect("a child"));
        self.has_ended = true;
        status
    }

    /// Waits for its end. It must have this exit status, and no process may be left.
    fn wait_exit(&mut self, status: i32) {
        let ended = self.wait_end();
        let left = processes::members_of(&self.name);
        assert_eq!(ended.code(), Some(status), "{ended}; it said {:?}", self.says.all());
        assert_eq!(left, [], "no process is left");
    }

    /// The same, and pm has printed nothing.
    fn wait_silent_exit(&mut self, status: i32) {
        self.wait_exit(status);
        assert_eq!(self.says.all_to_the_end(), [""; 0]);
    }
}

impl Drop for Init {
    fn drop(&mut self) {
        if !self.has_ended {
            // It is not reaped yet, so its pid cannot belong to another process.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        processes::end_all_of(&self.name);
        if thread::panicking() {
            eprintln!("stdout: {:#?}\nstderr: {:#?}", self.prints.all(), self.says.all());
        }
    }
}

/// Sends a signal by its number; real-time signals have no name in nix.
fn send_number(signal: i32, pid: Pid) {
    let kill = format!("kill -{signal} {pid}");
    let status = Command::new("sh").args(["-c", &kill]).status().expect("a shell");
    assert!(status.success(), "{kill}");
}

/// The number after `word` in the first line that contains it.
fn number(lines: &Lines, word: &str) -> Pid {
    let line = lines.wait_for(&format!("{word} "));
    let (_, text) = line.split_once(&format!("{word} ")).expect("the word");
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    Pid::from_raw(digits.parse().expect("a number"))
}

/// The foreground process group of the terminal of this process.
fn foreground(pid: Pid) -> Option<Pid> {
    let stat = Process::new(pid.as_raw()).ok()?.stat().ok()?;
    Some(Pid::from_raw(stat.tpgid))
}

fn wait_until(what: &str, mut fact: impl FnMut() -> bool) {
    eventually(what, || fact().then_some(()));
}

/// Calls `act` for each number, on several threads.
fn for_each(numbers: impl Iterator<Item = i32>, act: impl Fn(i32) + Sync) {
    let numbers: Vec<_> = numbers.collect();
    let next = AtomicI32::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(number) = numbers.get(next.fetch_add(1, Ordering::Relaxed) as usize)
                {
                    act(*number);
                }
            });
        }
    });
}

/// Skips the running test if pid namespaces cannot be made here. True if it is skipped.
fn skip_without_namespaces() -> bool {
    let tried = Command::new(NAMESPACE[0]).args(&NAMESPACE[1..]).arg("true").output();
    let can = tried.as_ref().is_ok_and(|output| output.status.success());
    if !can {
        skip(format!("`{}` does not work here: {tried:?}", NAMESPACE.join(" ")));
    }
    !can
}

/// The pid, outside, of process 1 of the namespace: the only child of unshare(1).
fn process_1(unshare: Pid) -> Pid {
    eventually("a process 1", || children_of(unshare).first().copied())
}

#[test]
fn each_exit_status_is_passed_on() {
    for_each(0..=255, |status| {
        Init::of_shell(&format!("exit {status}")).wait_silent_exit(status);
    });
}

#[test]
fn a_death_by_signal_n_is_the_exit_status_128_plus_n() {
    let signals = numbers().filter(|signal| !HARMLESS.contains(signal));
    for_each(signals, |signal| {
        Init::of_shell(&format!("ulimit -c 0; kill -{signal} $$")).wait_silent_exit(128 + signal);
    });
}

#[test]
fn each_signal_that_can_be_forwarded_reaches_the_command() {
    let signals: Vec<_> = numbers().filter(|n| !NOT_FORWARDED.contains(n)).collect();
    let traps: String = signals.iter().map(|n| format!("trap 'echo got {n}.' {n}; ")).collect();
    // The `sleep` it waits for is in the group, so it receives the signal too.
    let script = format!("{traps} echo ready; while :; do sleep 1000 & wait; done");
    let mut init = Init::of_shell(&script);
    init.prints.wait_for("ready");
    for signal in signals {
        send_number(signal, init.pid());
        init.prints.wait_for(&format!("got {signal}."));
    }
    let command = children_of(init.pid())[0];
    send(SIGKILL, command);
    init.wait_exit(128 + SIGKILL as i32);
}

#[test]
fn a_signal_reaches_the_whole_group_of_the_command() {
    let orders = "child ignore+USR1+stay child stay drain 60000 say ready stay";
    let mut init = Init::of_shell(&format!("exec {}", worker_text(orders)));
    init.prints.wait_for("ready");
    init.wait_members(4);
    let command = children_of(init.pid())[0];
    send(Signal::SIGUSR2, init.pid());
    // The default action of SIGUSR2 ends each process of the group.
    init.wait_exit(128 + Signal::SIGUSR2 as i32);
    assert!(!is_alive(command));

    let init =
        Init::of_shell(&format!("exec {}", worker_text("child stay drain 60000 say ready stay")));
    init.prints.wait_for("ready");
    init.wait_members(3);
    send(SIGTERM, init.pid());
    // The child ends at once; the command is still draining.
    init.wait_members(2);
}

#[test]
fn a_suspended_command_is_continued_for_a_signal_that_ends_it() {
    let mut init = Init::of_shell("echo ready; while :; do sleep 1000 & wait; done");
    init.prints.wait_for("ready");
    let command = children_of(init.pid())[0];
    send(Signal::SIGSTOP, command);
    wait_until("the command is stopped", || state(command) == Some('T'));
    send(SIGTERM, init.pid());
    init.wait_silent_exit(128 + SIGTERM as i32);
}

#[test]
fn orphans_are_reaped_while_the_command_lives() {
    let init = Init::of_shell("(setsid sleep 1000 & echo orphan $!); exec sleep 1000");
    let orphan = number(&init.prints, "orphan");
    wait_until("the orphan is pm's", || children_of(init.pid()).contains(&orphan));
    send(SIGKILL, orphan);
    wait_until("the orphan is reaped", || state(orphan).is_none());
    assert_eq!(init.wait_members(2).len(), 2, "pm and its command are there");
}

#[test]
fn processes_that_the_command_leaves_are_killed() {
    let mut init = Init::of_shell(
        "setsid sleep 1000 & (setsid sh -c 'sleep 1000 & :'); (trap '' TERM HUP; exec sleep 1000) & \
         sleep 1000 & kill -STOP $!; read line; exit 3",
    );
    init.wait_members(6);
    init.type_line("");
    init.wait_silent_exit(3);
}

#[test]
fn stdin_and_stdout_are_passed_on_byte_by_byte() {
    let bytes: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(1 << 20).collect();
    let (_, mut command) = command(&[], &["cat"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("pm");
    let mut stdin = child.stdin.take().expect("a pipe");
    let mut stdout = child.stdout.take().expect("a pipe");
    let mut echoed = Vec::new();
    thread::scope(|scope| {
        let bytes = &bytes;
        scope.spawn(move || stdin.write_all(bytes).expect("a reader"));
        stdout.read_to_end(&mut echoed).expect("an end");
    });
    assert!(child.wait().expect("a child").success());
    assert!(echoed == bytes, "{} bytes came back", echoed.len());
}

#[test]
fn an_inherited_descriptor_is_passed_on() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "from nine\n").expect("a file");
    let open = format!("exec 9< {}; exec \"$0\" \"$@\"", file.path().display());
    let mut init = Init::after(&["sh", "-c", &open], &["sh", "-c", "cat <&9"]);
    init.wait_silent_exit(0);
    assert_eq!(init.prints.all_to_the_end(), ["from nine"]);
}

#[test]
fn the_command_has_the_signal_mask_and_dispositions_that_pm_was_started_with() {
    let env = ["env", "--block-signal=USR1,HUP", "--ignore-signal=USR2,PIPE,TTOU"];
    let show = ["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"];
    for env in [&env[..], &env[..1], &["env", "--default-signal"]] {
        let without = Command::new(env[0]).args(&env[1..]).args(show).output().expect("env");
        let mut init = Init::after(env, &show);
        init.wait_silent_exit(0);
        let without = String::from_utf8(without.stdout).expect("text");
        assert_eq!(init.prints.all_to_the_end(), without.lines().collect::<Vec<_>>(), "{env:?}");
    }
}

#[test]
fn pm_is_called_pm_guard_and_the_command_has_its_own_name() {
    let mut init = Init::of(&["sleep", "1000"]);
    let command = eventually("the command runs", || {
        let children = children_of(init.pid());
        children.into_iter().find(|pid| processes::status(*pid, "Name") == "sleep")
    });
    wait_until("pm has its name", || processes::status(init.pid(), "Name") == "pm-guard");
    send(SIGTERM, command);
    init.wait_exit(128 + libc::SIGTERM);
}

#[test]
fn the_command_dies_with_a_killed_pm() {
    let mut init = Init::of_shell("exec sleep 1000");
    init.wait_members(2);
    send(SIGKILL, init.pid());
    assert_eq!(init.wait_end().signal(), Some(SIGKILL as i32));
    init.wait_members(0);
}

#[test]
fn a_missing_command_exits_127_and_a_file_that_is_not_executable_exits_126() {
    let mut init = Init::of(&["no-such-command-as-this"]);
    init.wait_exit(127);
    init.says.wait_for("no-such-command-as-this");
    let mut init = Init::of(&["/no/such/command"]);
    init.wait_exit(127);
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::set_permissions(file.path(), PermissionsExt::from_mode(0o644)).expect("a file");
    let path = file.path().to_str().expect("text");
    let mut init = Init::of(&[path]);
    init.wait_exit(126);
    init.says.wait_for(path);
    assert_eq!(init.says.all_to_the_end().len(), 1, "one line says it");
    Init::of(&["/"]).wait_exit(126);
}

#[test]
fn options_of_a_pool_are_refused() {
    for options in [
        &["--ports", "1"][..],
        &["--workers", "1"],
        &["--name", "x"],
        &["--restart", "never"],
        &["--grace", "1s"],
        &["--give-up-after", "1"],
    ] {
        let mut command = Command::new(pm_binary());
        let output = command.args(["run", "--init"]).args(options).args(["--", "true"]).output();
        let output = output.expect("pm");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{options:?}: {text}");
        assert!(text.contains("cannot be used with"), "{options:?}: {text}");
    }
    let alone = Command::new(pm_binary()).args(["run", "--init"]).output().expect("pm");
    assert_eq!(alone.status.code(), Some(2));
}

#[test]
fn the_command_is_in_the_foreground_of_the_terminal_and_reads_from_it() {
    let terminal = Terminal::open();
    let script = "echo command $$; read line; echo \"read <$line>\"; exit 4";
    let mut init = Init::in_terminal(&terminal, &["sh", "-c", script]);
    let command = number(&init.prints, "command");
    assert_eq!(foreground(command), Some(command));
    terminal.type_keys("a line\n");
    init.prints.wait_for("read <a line>");
    init.wait_exit(4);
}

#[test]
fn ctrl_c_reaches_the_command_once() {
    let terminal = Terminal::open();
    let script = "trap 'echo hit' INT; trap 'echo done; exit 5' TERM; \
                  echo command $$; while :; do sleep 1000 & wait; done";
    let mut init = Init::in_terminal(&terminal, &["sh", "-c", script]);
    number(&init.prints, "command");
    for count in 1..=3 {
        terminal.type_keys("\x03");
        init.prints.wait_for_many(count, "hit");
    }
    send(SIGTERM, init.pid());
    init.prints.wait_for("done");
    init.wait_exit(5);
    assert_eq!(init.prints.with("hit").len(), 3);
}

/// A shell with job control in a terminal, and a pm that it starts. `ampersand` follows the command.
fn job(terminal: &Terminal, ampersand: &str) -> (Shell, Pid, Pid) {
    let pm = pm_binary();
    let name = format!("j{}", fastrand::u32(..));
    let mut shell = Command::new("setsid");
    shell.args(["--ctty", "sh", "-i"]).env("PS1", "").env("PM_POOL", &name);
    shell.env("PM_SLOT", "shell").env("PM_GENERATION", "1");
    shell.stdin(terminal.line()).stdout(terminal.line()).stderr(terminal.line());
    let shell = Shell { name, child: shell.spawn().expect("a shell") };
    let script = "echo command $$; while read line; do echo \"read <$line>\"; done";
    // The terminal echoes what is typed, so the typed word must differ from the printed one.
    let script = script.replace("echo command", "echo com''mand");
    terminal.type_keys(&format!(
        "{} run --init -- sh -c '{}'{ampersand}\n",
        pm.display(),
        script.replace('\'', "\"")
    ));
    let command = number(&terminal.lines(), "command");
    let stat =
        Process::new(command.as_raw()).and_then(|process| process.stat()).expect("a command");
    (shell, Pid::from_raw(stat.ppid), command)
}

struct Shell {
    name: String,
    child: Child,
}

impl Shell {
    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().expect("a pid"))
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        processes::end_all_of(&self.name);
        let _ = self.child.wait();
    }
}

#[test]
fn ctrl_z_stops_both_and_fg_gives_the_terminal_back() {
    let terminal = Terminal::open();
    let (shell, pm, command) = job(&terminal, "");
    for line in ["one", "two"] {
        assert_eq!(foreground(command), Some(command));
        terminal.type_keys("\x1a");
        wait_until("the command is stopped", || state(command) == Some('T'));
        wait_until("pm is stopped", || state(pm) == Some('T'));
        wait_until("the shell has the terminal", || foreground(pm) == Some(shell.pid()));
        terminal.type_keys("fg\n");
        wait_until("the command has the terminal", || foreground(pm) == Some(command));
        wait_until("the command goes on", || state(command) != Some('T'));
        terminal.type_keys(&format!("{line}\n"));
        terminal.lines().wait_for(&format!("read <{line}>"));
    }
}

#[test]
fn bg_wakes_both_and_leaves_the_terminal_to_the_shell() {
    let terminal = Terminal::open();
    let (shell, pm, _) = job(&terminal, "");
    terminal.type_keys("\x1a");
    wait_until("pm is stopped", || state(pm) == Some('T'));
    wait_until("the shell has the terminal", || foreground(pm) == Some(shell.pid()));
    terminal.type_keys("bg; echo wo''ken\n");
    terminal.lines().wait_for("woken");
    assert_eq!(foreground(pm), Some(shell.pid()));
}

#[test]
fn a_background_job_has_the_terminal_after_fg() {
    let terminal = Terminal::open();
    let (shell, pm, command) = job(&terminal, " &");
    // A background process that reads from its terminal is stopped by SIGTTIN.
    wait_until("the command is stopped", || state(command) == Some('T'));
    wait_until("pm is stopped", || state(pm) == Some('T'));
    wait_until("the shell has the terminal", || foreground(pm) == Some(shell.pid()));
    terminal.type_keys("fg\n");
    wait_until("the command has the terminal", || foreground(pm) == Some(command));
    terminal.type_keys("late\n");
    terminal.lines().wait_for("read <late>");
}

#[test]
fn a_script_has_the_terminal_again_when_pm_has_ended() {
    let terminal = Terminal::open();
    let script = format!(
        "{} run --init -- true; echo en''ded; read line; echo \"read <$line>\"",
        pm_binary().display()
    );
    let mut shell = Command::new("setsid");
    shell.args(["--ctty", "sh", "-c", &script]);
    shell.stdin(terminal.line()).stdout(terminal.line()).stderr(terminal.line());
    let mut child = shell.spawn().expect("a shell");
    terminal.lines().wait_for("ended");
    terminal.type_keys("mine\n");
    let read = eventually("the script ends", || child.try_wait().expect("a child"));
    assert!(read.success());
    terminal.lines().wait_for("read <mine>");
}

#[test]
fn as_process_1_pm_passes_on_the_exit_status() {
    if skip_without_namespaces() {
        return;
    }
    let mut init = Init::after(&NAMESPACE, &["sh", "-c", "echo $PPID; exit 42"]);
    init.wait_silent_exit(42);
    assert_eq!(init.prints.all_to_the_end(), ["1"]);
    Init::after(&NAMESPACE, &["sh", "-c", "kill -TERM $$"]).wait_silent_exit(143);
}

#[test]
fn as_process_1_pm_forwards_signals() {
    if skip_without_namespaces() {
        return;
    }
    for signal in [SIGTERM, SIGINT] {
        let mut init = Init::after(&NAMESPACE, &["sh", "-c", "echo ready; exec sleep 1000"]);
        init.prints.wait_for("ready");
        send(signal, process_1(init.pid()));
        init.wait_silent_exit(128 + signal as i32);
    }
}

#[test]
fn as_process_1_pm_reaps_orphans() {
    if skip_without_namespaces() {
        return;
    }
    let init = Init::after(&NAMESPACE, &["sh", "-c", "(setsid sleep 1000 &); exec sleep 999"]);
    let pm = process_1(init.pid());
    let children = eventually("an orphan", || {
        let children = children_of(pm);
        (children.len() == 2).then_some(children)
    });
    let text = |pid: &Pid| Process::new(pid.as_raw()).and_then(|one| one.cmdline()).ok();
    wait_until("both are what they will be", || {
        children.iter().all(|pid| text(pid).is_some_and(|words| words[0] == "sleep"))
    });
    let is_orphan = |pid: &&Pid| text(pid).is_some_and(|words| words[1] == "1000");
    let orphan = *children.iter().find(is_orphan).expect("the orphan");
    send(SIGKILL, orphan);
    wait_until("the orphan is reaped", || state(orphan).is_none());
    assert_eq!(children_of(pm).len(), 1);
}

#[test]
fn a_pool_runs_and_stops_under_a_pm_that_is_process_1() {
    if skip_without_namespaces() {
        return;
    }
    let command = worker("child stay child setsid+stay stay");
    let become_1 = format!("exec {} \"$0\" \"$@\"", NAMESPACE.join(" "));
    let mut pm = Pool::of(command).of_size(2).after(&become_1).start();
    pm.wait_members(6);
    pm.says.wait_for(&format!("{} is ready", pm.slot(2)));
    send(SIGTERM, process_1(pm.pid()));
    pm.wait_exit(0);
    pm.says.wait_for("all workers stopped after");
}
