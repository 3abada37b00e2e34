//! The exit status of a pm with `--init`, its options, and its name.

use super::*;

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
fn pm_leaves_the_folder_and_the_command_stays_in_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let enter = format!("cd {}; exec \"$0\" \"$@\"", folder.path().display());
    let mut init = Init::after(&["sh", "-c", &enter], &["sh", "-c", "pwd; read line"]);
    init.prints.wait_for(&folder.path().display().to_string());
    let cwd = || Process::new(init.pid().as_raw()).and_then(|process| process.cwd()).ok();
    wait_until("pm is in /", || cwd().is_some_and(|cwd| cwd.as_os_str() == "/"));
    init.type_line("");
    init.wait_silent_exit(0);
}

#[test]
fn the_start_does_not_look_at_the_other_processes_of_the_machine() {
    const OTHERS: usize = 200;
    let sleeps = (0..OTHERS).map(|_| Command::new("sleep").arg("1000").spawn().expect("a sleep"));
    let mut sleeps: Vec<Child> = sleeps.collect();
    let init = Init::of_shell("echo ready; exec sleep 1000");
    init.prints.wait_for("ready");
    let io = std::fs::read_to_string(format!("/proc/{}/io", init.pid()));
    for sleep in &mut sleeps {
        let _ = sleep.kill();
        let _ = sleep.wait();
    }
    let Ok(io) = io else { return skip("the kernel does not count the reads of a process") };
    let reads = io.lines().find_map(|line| line.strip_prefix("syscr: ")).expect("its reads");
    let reads: usize = reads.parse().expect("a number");
    println!("the start of pm: {reads} reads beside {OTHERS} other processes");
    assert!(reads < OTHERS / 2, "{reads} reads beside {OTHERS} other processes");
}
