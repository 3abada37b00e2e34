//! The option `--init`: pm runs one command, as process 1 of a container does; and pm as process 1.
//!
//! The suites of dumb-init and tini have asked the same of those: each signal is passed on once, the exit status is
//! that of the command, orphans are reaped, the terminal is the command's.
//!
//! | file | what it proves |
//! |---|---|
//! | [`exits`] | the exit status, and what is refused |
//! | [`signals`] | signals to pm, to the command, and both suspended |
//! | [`leftovers`] | what the command leaves is asked to stop, and killed after the grace |
//! | [`streams`] | what the command inherits |
//! | [`terminal`] | keyboard and job control |
//! | [`process_1`] | pm as process 1 of a pid namespace |
//!
//! Each test starts pm with a `PM_POOL` of its own. All processes that inherit it belong to the test, pm included.

mod exits;
mod leftovers;
mod process_1;
mod signals;
mod streams;
mod terminal;

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

/// SIGKILL and SIGSTOP cannot be caught, SIGCHLD concerns pm itself. All others are passed on.
const UNSEEN: [i32; 3] = [libc::SIGKILL, libc::SIGSTOP, libc::SIGCHLD];

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

/// The first real-time signal for programs. The C library keeps those before it for itself (signal(7)), and they may
/// have been ignored already when the test was started.
const FIRST_REAL_TIME: i32 = if cfg!(target_env = "musl") { 35 } else { 34 };
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

/// A command line: `before`, then `pm run --init`, `options` and `--`, then `words`.
fn command(before: &[&str], options: &[&str], words: &[&str]) -> (String, Command) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    reset_ignored_signals();
    let name = format!("i{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let pm = pm_binary().into_os_string().into_string().expect("text");
    let argv: Vec<_> = before
        .iter()
        .copied()
        .chain([pm.as_str(), "run", "--init"])
        .chain(options.iter().copied())
        .chain(["--"])
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

    fn with(options: &[&str], words: &[&str]) -> Self {
        Self::started(command(&[], options, words))
    }

    fn of_shell(script: &str) -> Self {
        Self::of(&["sh", "-c", script])
    }

    /// The words of `before` become pm by exec, or start it.
    fn after(before: &[&str], words: &[&str]) -> Self {
        Self::started(command(before, &[], words))
    }

    fn started((name, mut command): (String, Command)) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("pm can be started");
        let says = Lines::of(child.stderr.take().expect("a pipe"));
        let prints = Lines::of(child.stdout.take().expect("a pipe"));
        Self { name, child, says, prints, has_ended: false }
    }

    /// pm is the leader of a session with this terminal.
    fn in_terminal(terminal: &Terminal, words: &[&str]) -> Self {
        let (name, mut command) = command(&["setsid", "--ctty"], &[], words);
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
