//! `pm top`, on the screen of a real terminal emulator (tmux): what it shows, what its keys do, and that the terminal
//! is given back on every way out.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::{Run, pm, started};
use crate::support::processes::{children_of, context_switches, send, status};
use crate::support::programs::pm_binary;
use crate::support::screen::Screen;
use crate::support::waiting::{eventually, for_as_long_as};

/// Two workers that say something, and one that does not.
const TEXT: &str = "
[pool.POOL]
workers = 2
command = 'echo hello from $PS generation $PM_GENERATION; echo error: monkey; exec sleep 1000'
ready   = { after = '0s' }

[pool.POOL-job]
command = 'exec sleep 1000'
ready   = { after = '0s' }
";

/// A shell on a screen, in the folder of a pm.
struct Terminal {
    screen: Screen,
}

impl Terminal {
    fn of(run: &Run, columns: u16, rows: u16) -> Self {
        let screen = Screen::new();
        let shell = ["env", "-u", "PM_SOCKET", "-u", "LC_CTYPE", "-u", "LANG", "LC_ALL=C.UTF-8"];
        let shell = [&shell[..], &["TZ=UTC", "PS1=shell>", "sh", "-i"]].concat();
        screen.start_with_size(columns, rows, run.folder.path(), &shell);
        screen.wait_for(&["shell>"]);
        Self { screen }
    }

    fn run(&self, command: &str) {
        self.screen.type_text(command);
        self.screen.press("Enter");
    }

    /// Runs `pm top`, and waits until it shows the slots.
    fn top(&self, run: &Run, options: &str) {
        self.run(&format!("clear; {} top {options}", pm_binary().display()));
        self.screen.wait_for(&["PHASE", &run.pm.slot(1), "live"]);
    }

    /// Types what `pm top` reads.
    fn type_keys(&self, keys: &str) {
        self.screen.type_text(keys);
    }

    /// The process of `pm top`.
    fn pid(&self) -> Pid {
        let shell = Pid::from_raw(self.screen.variable("pane_pid").parse().unwrap());
        eventually("pm top runs", || children_of(shell).into_iter().next())
    }

    /// The modes of the terminal, and whether it shows its first screen with a cursor.
    fn modes(&self) -> (String, [String; 4]) {
        self.run("clear; stty -a; echo mo''des");
        let shown = self.screen.wait_for(&["\nmodes"]);
        let modes = shown.split_once("modes").unwrap().0.trim().to_owned();
        let names = ["alternate_on", "cursor_flag", "mouse_any_flag", "keypad_flag"];
        (modes, names.map(|name| self.screen.variable(name)))
    }
}

#[test]
fn slots_and_lines_are_seen_at_once_and_so_is_a_death() {
    let run = started(0, TEXT);
    let worker = run.pm.wait_ready(1, 1);
    run.pm.wait_ready(2, 1);
    let terminal = Terminal::of(&run, 80, 24);
    let screen = &terminal.screen;
    terminal.top(&run, "");
    let slot = run.pm.slot(1);
    let hello = format!("hello from {slot} generation 1");
    let shown = screen.wait_for(&["● ready", &worker.to_string(), &hello, "following · 2 lines"]);
    assert!(shown.contains("/pm.toml") && shown.contains("? help  q"), "{shown}");
    let killed = Instant::now();
    send(Signal::SIGKILL, worker);
    let shown = screen.wait_for(&["✕", "KILL", &format!("from {slot} generation 2")]);
    // Without the death the screen changes once a second only.
    assert!(killed.elapsed() < Duration::from_secs(5));
    assert!(shown.contains("killed by SIGKILL"), "{shown}");
    // There is room for more.
    screen.resize(160, 50);
    let why = format!("why {slot} ─");
    let shown = screen.wait_for(&["LAST DEATH", "CPU 60s", "exits 1", &why, "generation 1  "]);
    assert!(shown.contains("q leave (pm goes on)"), "{shown}");
    // And for less.
    screen.resize(40, 10);
    eventually("a plain list", || (!screen.visible().contains("PHASE")).then_some(()));
    screen.wait_for(&[&slot, "● ready", "q leaves"]);
    screen.resize(20, 3);
    eventually("a shorter list", || (screen.visible().lines().count() <= 3).then_some(()));
    screen.resize(80, 24);
    screen.wait_for(&["PHASE", &hello]);
    terminal.type_keys("q");
    screen.wait_for(&["pm goes on (pid "]);
    run.pm.stop();
}

#[test]
fn the_terminal_is_given_back_on_every_way_out_and_pm_goes_on() {
    let run = started(0, TEXT);
    run.pm.wait_ready(2, 1);
    let terminal = Terminal::of(&run, 80, 24);
    let before = terminal.modes();
    assert_eq!(before.1[..2], ["0", "1"], "the first screen, with a cursor");
    let ways: [(&str, &dyn Fn(), &str); 5] = [
        ("q", &|| terminal.type_keys("q"), "status 0"),
        ("Ctrl-C", &|| terminal.screen.press("C-c"), "status 0"),
        ("q with the mouse", &|| terminal.type_keys("mq"), "status 0"),
        ("SIGTERM", &|| send(Signal::SIGTERM, terminal.pid()), "status 143"),
        ("SIGHUP", &|| send(Signal::SIGHUP, terminal.pid()), "status 129"),
    ];
    for (name, way, status) in ways {
        terminal.top(&run, "; echo sta''tus $?");
        assert_eq!(terminal.screen.variable("alternate_on"), "1", "{name}");
        assert_eq!(terminal.screen.variable("mouse_any_flag"), "0", "{name}");
        way();
        terminal.screen.wait_for(&[status]);
        assert_eq!(terminal.modes(), before, "{name}");
    }
    assert_eq!(run.pm.members().len(), 3);
    run.pm.stop();
}

#[test]
fn ctrl_z_gives_the_terminal_to_the_shell_until_it_continues() {
    let run = started(0, TEXT);
    run.pm.wait_ready(1, 1);
    let terminal = Terminal::of(&run, 80, 24);
    let before = terminal.modes();
    terminal.top(&run, "");
    for stop in [true, false] {
        if stop {
            terminal.screen.press("C-z")
        } else {
            send(Signal::SIGTSTP, terminal.pid())
        }
        terminal.screen.wait_for(&["Stopped"]);
        assert_eq!(terminal.modes(), before);
        terminal.run("clear; fg");
        terminal.screen.wait_for(&["PHASE", "live"]);
        terminal.type_keys("?");
        terminal.screen.wait_for(&["any key goes back"]);
        terminal.type_keys("j");
        terminal.screen.wait_for(&["PHASE", "live"]);
    }
    terminal.type_keys("q");
    terminal.screen.wait_for(&["pm goes on"]);
    assert_eq!(terminal.modes(), before);
    run.pm.stop();
}

#[test]
fn when_pm_ends_it_waits_for_the_next_one_and_goes_on() {
    let Run { folder, pm } = started(0, TEXT);
    pm.wait_ready(1, 1);
    let run = Run { folder, pm };
    let terminal = Terminal::of(&run, 80, 24);
    terminal.top(&run, "");
    let slot = run.pm.slot(1);
    let Run { folder, pm } = run;
    pm.stop();
    terminal.screen.wait_for(&["no pm", "waiting for pm (q quits)", &slot]);
    let next = crate::support::pool::Pool::of_file(folder.path(), "pm.toml", 0, TEXT);
    let next = next.without("PM_SOCKET").start();
    let worker = next.wait_ready(1, 1);
    terminal.screen.wait_for(&["live", &next.slot(1), &worker.to_string()]);
    next.stop();
    terminal.screen.wait_for(&["no pm"]);
    terminal.type_keys("q");
    terminal.screen.wait_for(&["pm has ended", "shell>"]);
}

#[test]
fn a_pm_that_is_suspended_is_waited_for_and_the_wait_can_be_left() {
    let run = started(0, TEXT);
    run.pm.wait_ready(2, 1);
    let terminal = Terminal::of(&run, 80, 24);
    let reactor = run.pm.reactor();
    send(Signal::SIGSTOP, reactor);
    for leave in ["q", "C-c"] {
        terminal.run(&format!("clear; {} top; echo sta''tus $?", pm_binary().display()));
        terminal.screen.wait_for(&["no answer", "pm does not answer; perhaps it is suspended"]);
        let asked = Instant::now();
        terminal.screen.press(leave);
        terminal.screen.wait_for(&["status 0"]);
        // pm's answer would be waited for 10 s.
        assert!(asked.elapsed() < Duration::from_secs(5), "{leave}: {:?}", asked.elapsed());
    }
    // When it goes on, so does what waits for it.
    let other = Terminal::of(&run, 80, 24);
    other.run(&format!("clear; {} top web.9; echo sta''tus $?", pm_binary().display()));
    terminal.run(&format!("clear; {} top", pm_binary().display()));
    other.screen.wait_for(&["no answer"]);
    terminal.screen.wait_for(&["no answer"]);
    send(Signal::SIGCONT, reactor);
    other.screen.wait_for(&["there is no ", "status 2"]);
    terminal.screen.wait_for(&["PHASE", &run.pm.slot(1), "live"]);
    // It is suspended later, and nothing is asked.
    send(Signal::SIGSTOP, reactor);
    terminal.screen.wait_for(&["no answer", &run.pm.slot(1), "waiting for pm (q quits)"]);
    send(Signal::SIGCONT, reactor);
    terminal.screen.wait_for(&["live", "q leaves"]);
    assert!(!terminal.screen.visible().contains("another pm"));
    terminal.type_keys("q");
    terminal.screen.wait_for(&["pm goes on"]);
    run.pm.stop();
}

#[test]
fn keys_and_typed_commands_are_those_of_pm() {
    let run = started(0, TEXT);
    run.pm.wait_ready(2, 1);
    run.pm.wait_slot_ready("-job.1", 1);
    let name = &run.pm.name;
    let terminal = Terminal::of(&run, 100, 24);
    terminal.top(&run, "");
    // One slot is not asked about.
    terminal.type_keys("r");
    run.pm.wait_ready(1, 2);
    terminal.screen.wait_for(&[&format!("{name}.1 is ready")]);
    terminal.type_keys("jx");
    terminal.screen.wait_for(&["◌ stopped", &format!("{name}.2 is stopped")]);
    terminal.type_keys("s");
    run.pm.wait_ready(2, 2);
    // A pool is.
    terminal.type_keys("k  x");
    terminal.screen.wait_for(&[&format!("stop all of {name}? y/n")]);
    terminal.type_keys("n");
    terminal.screen.wait_for(&["q leaves"]);
    terminal.screen.press("Escape");
    terminal.type_keys(&format!(":scale {name}=3"));
    terminal.screen.press("Enter");
    run.pm.wait_ready(3, 1);
    terminal.screen.wait_for(&[&format!("{name}.3")]);
    // What pm refuses is told in its words.
    terminal.type_keys(":restart web.9");
    terminal.screen.press("Enter");
    terminal.screen.wait_for(&["there is no "]);
    terminal.type_keys(":restrat web");
    terminal.screen.press("Enter");
    terminal.screen.wait_for(&["did you mean `restart`?"]);
    // The end of pm has to be confirmed.
    terminal.type_keys("Q");
    terminal.screen.wait_for(&["stop all workers and end pm? y/n"]);
    terminal.type_keys("n");
    terminal.type_keys("Qy");
    run.pm.says.wait_for("stopping");
    terminal.screen.wait_for(&["no pm"]);
    run.pm.wait_stopped();
}

#[test]
fn a_filter_finds_lines_and_a_line_is_copied() {
    let run = started(0, TEXT);
    run.pm.wait_ready(2, 1);
    let terminal = Terminal::of(&run, 80, 24);
    terminal.screen.allow_clipboard();
    terminal.top(&run, "");
    let slot = run.pm.slot(1);
    let hello = format!("hello from {slot} generation 1");
    terminal.screen.wait_for(&[&hello]);
    terminal.type_keys("/MONK");
    terminal.screen.wait_for(&["no line matches"]);
    for _ in 0..4 {
        terminal.screen.press("BSpace");
    }
    terminal.type_keys("monk");
    let shown = terminal.screen.wait_for(&["1 of 2 match", "error: monkey"]);
    assert!(!shown.contains(&hello), "{shown}");
    terminal.screen.press("Enter");
    terminal.type_keys("y");
    terminal.screen.wait_for(&["copied"]);
    eventually("the clipboard", || (terminal.screen.clipboard() == "error: monkey").then_some(()));
    // The next match is shown with what is around it.
    terminal.type_keys("N");
    terminal.screen.wait_for(&[&hello, "error: monkey"]);
    terminal.screen.press("Escape");
    terminal.type_keys("a");
    terminal.screen.wait_for(&["all slots", &format!("hello from {}", run.pm.slot(2))]);
    terminal.type_keys("q");
    terminal.screen.wait_for(&["pm goes on"]);
    run.pm.stop();
}

#[test]
fn no_colours_and_no_signs_if_they_are_not_wanted() {
    let run = started(0, TEXT);
    run.pm.wait_ready(2, 1);
    let terminal = Terminal::of(&run, 80, 24);
    terminal.top(&run, "--ascii");
    let shown = terminal.screen.wait_for(&["> ", "* ready"]);
    assert!(shown.is_ascii(), "{shown}");
    assert!(terminal.screen.shows_with_styles().contains("\x1b[38;5;2m"), "ready is green");
    terminal.type_keys("q");
    terminal.screen.wait_for(&["pm goes on"]);
    terminal.run("export NO_COLOR=1 LC_ALL=C");
    terminal.top(&run, "");
    let shown = terminal.screen.wait_for(&["> ", "* ready"]);
    assert!(shown.is_ascii(), "{shown}");
    let styled = terminal.screen.shows_with_styles();
    assert!(!styled.contains("\x1b[38;"), "{styled:?}");
    terminal.type_keys("q");
    terminal.screen.wait_for(&["pm goes on"]);
    run.pm.stop();
}

#[test]
fn while_nothing_happens_pm_does_not_wake_up() {
    let run = started(0, TEXT);
    run.pm.wait_ready(2, 1);
    run.pm.wait_slot_ready("-job.1", 1);
    let terminal = Terminal::of(&run, 160, 50);
    terminal.top(&run, "");
    terminal.screen.wait_for(&["no worker has ended yet", "%"]);
    let reactor = run.pm.reactor();
    let top = terminal.pid();
    let quiet = Duration::from_secs(2);
    // What was asked for at the start is answered some time.
    let mut before = (0, Instant::now());
    eventually("pm rests", || {
        let now = context_switches(reactor);
        if now != before.0 {
            before = (now, Instant::now());
        }
        (before.1.elapsed() > Duration::from_millis(500)).then_some(())
    });
    // On a busy machine it loses the processor too.
    let waits = || status(top, "voluntary_ctxt_switches").parse::<u64>().unwrap();
    let of_top = waits();
    for_as_long_as(quiet, || assert_eq!(context_switches(reactor), before.0));
    let woken = waits() - of_top;
    assert!(woken <= 2 * quiet.as_secs() + 2, "pm top woke up {woken} times in {quiet:?}");
    terminal.type_keys("q");
    terminal.screen.wait_for(&["pm goes on"]);
    run.pm.stop();
}

#[test]
fn without_a_terminal_a_pm_or_a_slot_it_says_so() {
    let run = started(0, TEXT);
    run.pm(&["top"]).ends(2).without_result().notes("`pm top` needs a terminal; `pm status`");
    let empty = tempfile::tempdir().unwrap();
    pm(empty.path(), &["top"]).ends(4).without_result().notes("no pm runs in");
    let terminal = Terminal::of(&run, 80, 24);
    terminal.run(&format!("{} monit web.9; echo sta''tus $?", pm_binary().display()));
    terminal.screen.wait_for(&["there is no ", "status 2"]);
    assert_eq!(terminal.screen.variable("alternate_on"), "0");
    terminal.run(&format!("clear; TERM=dumb {} top; echo sta''tus $?", pm_binary().display()));
    terminal.screen.wait_for(&["TERM=dumb is none", "status 2"]);
    run.pm.stop();
}
