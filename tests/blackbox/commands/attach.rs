//! `pm attach`: keys that are typed on one terminal reach a worker on another, and both are given back as they were.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus, Stdio};

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::{Run, command, pm, say, started};
use crate::support::lines::Lines;
use crate::support::pm::Pm;
use crate::support::processes;
use crate::support::terminal::{Modes, Terminal};
use crate::support::waiting::eventually;

/// A worker that asks again and again, as a debugger does.
const PROMPT: &str = "
[pool.POOL]
command = '''while :; do printf 'prompt> '; read -r line || exit 3; echo \"got $line\" | cat -v; done'''
ready   = { after = '0s' }
pty     = true
";

/// Ctrl-].
const DETACH: &str = "\x1d";

/// A `pm attach` on a terminal of 30 rows and 90 columns.
struct Attached {
    terminal: Terminal,
    lines: Lines,
    before: Modes,
    child: Child,
}

impl Attached {
    fn to(run: &Run, words: &[&str]) -> Self {
        let terminal = Terminal::open();
        terminal.resize(30, 90);
        let before = terminal.modes();
        let line = || Stdio::from(terminal.line());
        let words: Vec<_> = words.iter().map(|word| word.replace('@', &run.pm.name)).collect();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let program = command(run.folder.path(), &[&["attach"], &words[..]].concat());
        // Without timeout(1), which would be between the command and its terminal.
        let mut attach = std::process::Command::new("setsid");
        attach.arg("--ctty").args(program.get_args().skip(1)).current_dir(run.folder.path());
        attach.env_remove("PM_SOCKET").stdin(line()).stdout(line()).stderr(line());
        let child = attach.spawn().unwrap();
        let lines = terminal.lines();
        Self { terminal, lines, before, child }
    }

    /// To the one slot of a worker that asks, once it has asked.
    fn to_prompt(run: &Run) -> Self {
        let attached = Self::to(run, &["@"]);
        attached.lines.wait_for_open("prompt> ");
        attached
    }

    fn type_keys(&self, keys: &str) {
        self.terminal.type_keys(keys);
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().unwrap())
    }

    /// Waits for its end. The terminal has the modes that it had.
    #[track_caller]
    fn wait_end(&mut self) -> ExitStatus {
        let ended = eventually("pm attach ends", || self.child.try_wait().unwrap());
        assert_eq!(self.terminal.modes(), self.before);
        ended
    }

    #[track_caller]
    fn detaches(&mut self) {
        self.type_keys(DETACH);
        assert_eq!(self.wait_end().code(), Some(0), "{:?}", self.lines.all());
        self.lines.wait_for("detached");
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The pid of the worker of the only slot.
fn worker(pm: &Pm) -> Pid {
    pm.wait_ready(1, 1)
}

#[test]
fn a_prompt_is_seen_and_answered_and_the_worker_stays() {
    let run = started(0, PROMPT);
    let pid = worker(&run.pm);
    let mut attached = Attached::to_prompt(&run);
    let greeting = format!("attached to {} (pid {pid}); Ctrl-] detaches", run.pm.slot(1));
    assert_eq!(attached.lines.all(), [greeting]);
    attached.type_keys("hello\r");
    attached.lines.wait_for("prompt> hello");
    attached.lines.wait_for("got hello");
    attached.detaches();
    // The lines go where they always go.
    run.pm.prints.wait_for("| prompt> hello");
    run.pm.prints.wait_for("| got hello");
    assert!(processes::is_alive(pid));
    // What stands there is seen at once by the next one: the last lines, and the line without an end.
    let again = Attached::to_prompt(&run);
    again.lines.wait_for("got hello");
    run.pm.stop();
}

#[test]
fn ctrl_c_is_a_signal_to_the_worker_and_not_to_the_command() {
    let run = started(
        0,
        "[pool.POOL]\npty = true\nready = { line = 'up' }\n\
         command = '''trap 'echo interrupted' INT; echo up; while :; do sleep 0.05; done'''\n",
    );
    worker(&run.pm);
    let mut attached = Attached::to(&run, &["@.1"]);
    attached.lines.wait_for("up");
    attached.type_keys("\x03");
    attached.lines.wait_for("interrupted");
    attached.detaches();
    run.pm.stop();
}

#[test]
fn ctrl_s_and_ctrl_z_hold_up_no_worker() {
    let run = started(0, PROMPT);
    worker(&run.pm);
    let mut attached = Attached::to_prompt(&run);
    attached.type_keys("\x1a\x13!\r");
    attached.lines.wait_for("got ^S!");
    attached.detaches();
    run.pm.stop();
}

#[test]
fn the_workers_terminal_has_the_size_of_the_commands_until_it_detaches() {
    let run = started(
        0,
        "[pool.POOL]\npty = true\nready = { line = 'up' }\n\
         command = '''trap 'stty size' WINCH; echo up; while :; do sleep 0.01; done'''\n",
    );
    worker(&run.pm);
    let mut attached = Attached::to(&run, &["@"]);
    attached.lines.wait_for("30 90");
    attached.terminal.resize(40, 100);
    attached.lines.wait_for("40 100");
    // The smaller of two is seen whole on both.
    let mut second = Attached::to(&run, &["@"]);
    attached.lines.wait_for_many(2, "30 90");
    second.detaches();
    attached.lines.wait_for_many(2, "40 100");
    attached.detaches();
    run.pm.prints.wait_for("| 24 80");
    run.pm.stop();
}

#[test]
fn two_see_the_same_and_both_may_type() {
    let run = started(0, PROMPT);
    worker(&run.pm);
    let mut first = Attached::to_prompt(&run);
    let mut second = Attached::to_prompt(&run);
    first.type_keys("one\r");
    second.lines.wait_for("got one");
    second.type_keys("two\r");
    first.lines.wait_for("got two");
    second.detaches();
    first.type_keys("three\r");
    first.lines.wait_for("got three");
    first.detaches();
    run.pm.stop();
}

#[test]
fn the_key_that_detaches_goes_to_the_worker_if_it_is_pressed_twice_or_is_another() {
    let run = started(0, PROMPT);
    worker(&run.pm);
    let mut attached = Attached::to_prompt(&run);
    attached.type_keys("\x1d\x1d\r");
    attached.lines.wait_for("got ^]");
    attached.detaches();
    let mut other = Attached::to(&run, &["@", "--detach-key", "ctrl-a"]);
    other.lines.wait_for("; Ctrl-A detaches");
    other.type_keys("\x1d!\r");
    other.lines.wait_for("got ^]!");
    other.type_keys("\x01");
    assert_eq!(other.wait_end().code(), Some(0));
    run.pm.stop();
}

#[test]
fn a_worker_that_ends_is_told_and_the_next_one_is_there() {
    let run = started(0, PROMPT);
    worker(&run.pm);
    let mut attached = Attached::to_prompt(&run);
    // The end of its input.
    attached.type_keys("\x04");
    let slot = run.pm.slot(1);
    attached.lines.wait_for_all(&[&format!("{slot} exited 3 after"), "starting generation 2"]);
    attached.lines.wait_for_open("prompt> ");
    attached.type_keys("again\r");
    attached.lines.wait_for("got again");
    run.pm.stop();
    assert_eq!(attached.wait_end().code(), Some(0));
    attached.lines.wait_for("pm has ended");
}

#[test]
fn a_signal_ends_it_after_the_terminal_is_given_back() {
    let run = started(0, PROMPT);
    let pid = worker(&run.pm);
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        let mut attached = Attached::to_prompt(&run);
        processes::send(signal, attached.pid());
        assert_eq!(attached.wait_end().signal(), Some(signal as i32));
    }
    assert!(processes::is_alive(pid));
    run.pm.stop();
}

#[test]
fn while_it_is_stopped_the_terminal_is_as_it_was() {
    let run = started(0, PROMPT);
    let mut attached = Attached::to_prompt(&run);
    let raw = attached.terminal.modes();
    assert_ne!(raw, attached.before);
    processes::send(Signal::SIGTSTP, attached.pid());
    let is_stopped = || processes::state(attached.pid()).filter(|state| *state == 'T');
    eventually("pm attach is stopped", is_stopped);
    assert_eq!(attached.terminal.modes(), attached.before);
    processes::send(Signal::SIGCONT, attached.pid());
    eventually("keys go on", || (attached.terminal.modes() == raw).then_some(()));
    attached.type_keys("again\r");
    attached.lines.wait_for("got again");
    attached.detaches();
    run.pm.stop();
}

#[test]
fn keys_may_come_from_a_pipe_whose_end_detaches() {
    let run = started(0, PROMPT);
    worker(&run.pm);
    let attach = command(run.folder.path(), &["attach", &run.pm.name]);
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "printf 'one\\ntwo\\n' | \"$@\"", "sh", "timeout"]).args(attach.get_args());
    shell.current_dir(run.folder.path()).env_remove("PM_SOCKET");
    let said = say(&mut shell).ends(0);
    assert_eq!(said.stderr.lines().count(), 1, "{said:#?}");
    said.notes("attached to");
    // What was typed before the worker asked stands before its prompt.
    run.pm.prints.wait_for("got one");
    run.pm.prints.wait_for("got two");
    run.pm.stop();
}

#[test]
fn where_there_is_no_terminal_the_reason_is_told() {
    let run = started(
        0,
        "[pool.POOL]\ncommand = ['WORKER', 'stay']\nready = { after = '0s' }\n\
         [pool.POOL-two]\ncommand = ['WORKER', 'stay']\nready = { after = '0s' }\nworkers = 2\npty = true\n",
    );
    run.pm.wait_slot_ready("-two.2", 1);
    run.pm.wait_ready(1, 1);
    let refused = |words: &[&str], status, reason: &str| {
        run.pm(words).ends(status).without_result().notes(reason);
    };
    refused(&["attach", "@"], 2, "@.1 has no terminal; set `pty = true` in its pool");
    refused(&["attach", "@-two"], 2, "`@-two` is 2 slots; name one");
    refused(&["attach", "@-tow.1"], 2, "there is no pool or slot `@-tow.1`; ");
    refused(&["attach", "@-two.3"], 2, "@-two has @-two.1 to @-two.2; try `pm scale @-two=3`");
    refused(&["attach"], 2, "<SLOT>");
    run.pm(&["stop", "@-two.1"]).ends(0);
    refused(&["attach", "@-two.1"], 1, "@-two.1 has no worker now; try `pm why @-two.1`");
    pm(std::path::Path::new("/"), &["attach", "web"]).ends(4).notes("no pm runs");
    // Who is attached when the slot is removed is told so.
    let mut attached = Attached::to(&run, &["@-two.2"]);
    attached.lines.wait_for("attached to");
    run.pm(&["scale", "@-two=1"]).ends(0);
    assert_eq!(attached.wait_end().code(), Some(1));
    attached.lines.wait_for_all(&["pm: ", " was removed"]);
    run.pm.stop();
}
