//! A command under `--init` in a terminal: it has the keyboard, and shells can suspend and continue it.

use super::*;

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
