//! The keys of pm.toml that a worker notices: folder, variables, user, limits, stop signal, terminal.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::{User, geteuid};

use crate::support::pm::{Pm, ask};
use crate::support::pool::Pool;
use crate::support::processes;
use crate::support::programs::{open_copies, worker_binary};
use crate::support::run_mode::skip;
use crate::support::terminal::Terminal;
use crate::support::waiting::{eventually, for_as_long_as};

fn start(folder: &Path, text: &str) -> Pm {
    Pool::of_file(folder, "pm.toml", 2, text).start()
}

/// The lines that one run of this shell command prints, with these keys in its pool.
fn printed(folder: &Path, script: &str, lines: &str) -> Vec<String> {
    let text = format!("[pool.POOL]\ncommand = '''{script}'''\nrestart = 'never'\n{lines}\n");
    let mut pm = start(folder, &text);
    pm.wait_exit(0);
    let lines = pm.prints.all_to_the_end().into_iter();
    lines.map(|line| line.split_once(" | ").expect("a label").1.to_owned()).collect()
}

#[test]
fn a_worker_gets_its_folder_umask_niceness_and_limits() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("inside")).unwrap();
    let lines = "cwd = 'inside'\numask = '077'\nnice = 5\n\
                 limits = { open_files = 60, core = 0, file_size = '1MiB', stack = '1MiB' }";
    let found = printed(folder.path(), "pwd; umask; nice; ulimit -n -c -f -s", lines);
    let inside = folder.path().join("inside").canonicalize().unwrap();
    assert_eq!(found[..3], [inside.to_str().unwrap(), "0077", "5"]);
    let dash = printed(folder.path(), "ulimit -n; ulimit -c; ulimit -f; ulimit -s", lines);
    assert_eq!(dash, ["60", "0", "2048", "1024"]);
}

#[test]
fn variables_of_the_pool_win_over_those_of_its_files() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.env"), "A=file\nB=file\nexport C='file $A'\n").unwrap();
    std::fs::write(folder.path().join("b.env"), "B=second\n").unwrap();
    let lines = "env_file = ['a.env', 'b.env']\nenv = { A = 'pool', SLOT = '{slot}', N = 5 }";
    let found = printed(folder.path(), "echo $A $B $C; echo $SLOT $N $PS", lines);
    assert_eq!(found[0], "pool second file $A");
    let words: Vec<_> = found[1].split(' ').collect();
    assert_eq!((words[0], words[1]), (words[2], "5"));
}

#[test]
fn an_env_file_does_not_change_the_port_of_a_slot() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".env"), "PORT=3000\n").unwrap();
    let text = "
        [pool.POOL]
        command  = \"echo $PORT; exec sleep 1000\"
        ports    = [PORT1, PORT2]
        ready    = { line_regex = '.*' }
        env_file = '.env'
    ";
    let pm = start(folder.path(), text);
    for (n, port) in (1..).zip(&pm.ports) {
        pm.prints.wait_for(&format!("{} | {port}", pm.slot(n)));
    }
    pm.stop();
}

#[test]
fn the_key_path_comes_before_the_variable_path() {
    let folder = tempfile::tempdir().unwrap();
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(worker_binary(), bin.join("thing")).unwrap();
    let text =
        "[pool.POOL]\ncommand = ['thing', 'say', 'found']\nrestart = 'never'\npath = ['bin']";
    let mut pm = start(folder.path(), text);
    pm.prints.wait_for("found");
    pm.wait_exit(0);
}

#[test]
fn a_worker_of_another_user_finds_the_home_and_the_names_of_that_user() {
    if !geteuid().is_root() {
        return skip("only root can run a worker as another user");
    }
    let folder = tempfile::tempdir().unwrap();
    let nobody = User::from_name("nobody").unwrap().expect("a user nobody");
    let (home, shell) = (nobody.dir.display(), nobody.shell.display());
    let script = "echo $HOME $USER $LOGNAME $SHELL";
    let found = printed(folder.path(), script, "user = 'nobody'");
    assert_eq!(found, [format!("{home} nobody nobody {shell}")]);
    let found = printed(folder.path(), script, "user = 'nobody'\nenv = { HOME = '/srv' }");
    assert_eq!(found, [format!("/srv nobody nobody {shell}")]);
}

#[test]
fn a_worker_of_another_user_dies_with_pm() {
    if !geteuid().is_root() {
        return skip("only root can run a worker as another user");
    }
    let folder = tempfile::tempdir().unwrap();
    let found = printed(folder.path(), "id -un; id -gn; id -Gn", "user = 'nobody'");
    assert_eq!(found, ["nobody", "nogroup", "nogroup"]);
    let found = printed(folder.path(), "id -un; id -gn", "user = 'nobody'\ngroup = 'daemon'");
    assert_eq!(found, ["nobody", "daemon"]);

    let text =
        "[pool.POOL]\ncommand = 'exec sleep 1000'\nuser = 'nobody'\nready = { after = '0s' }";
    let mut pm = start(folder.path(), text);
    let worker = pm.wait_slot_ready(".1", 1);
    let reactor = pm.reactor();
    processes::send(Signal::SIGSTOP, pm.pid());
    processes::send(Signal::SIGKILL, reactor);
    processes::send(Signal::SIGKILL, pm.pid());
    pm.wait_end();
    eventually("the worker is gone too", || (!processes::is_alive(worker)).then_some(()));
}

#[test]
fn memory_beyond_the_hard_limit_of_pm_is_refused_before_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let [pm, _] = open_copies(folder.path());
    let text = "[pool.web]\ncommand = 'exit 0'\nrestart = 'never'\nlimits = { memory = '5GiB' }\n";
    std::fs::write(folder.path().join("pm.toml"), text).unwrap();
    let mut run = Command::new("/bin/sh");
    run.args(["-c", "ulimit -v 4194304; exec \"$0\" run"]).arg(pm).current_dir(folder.path());
    if geteuid().is_root() {
        // Root may raise its limits.
        run.uid(65_534).gid(65_534);
    }
    let run = run.output().unwrap();
    let said = String::from_utf8(run.stderr).unwrap();
    assert!(
        said.contains("pm may not raise `memory` to 5 GiB: its own hard limit is 4 GiB"),
        "{said}"
    );
    assert_eq!(run.status.code(), Some(2));
}

#[test]
fn memory_is_limited_and_the_means_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let text =
        "[pool.POOL]\ncommand = 'ulimit -v; exec sleep 1000'\nlimits = { memory = '512MiB' }";
    let pm = start(folder.path(), text);
    let said = pm.says.wait_for(" of memory, by ");
    if said.contains("by RLIMIT_AS: ") {
        pm.prints.wait_for(" | 524288");
    } else {
        pm.prints.wait_for(" | unlimited");
    }
    pm.stop();
}

#[test]
fn a_pool_has_its_own_stop_signal_and_a_process_that_ignores_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = "
        [pool.POOL]
        command = '''trap 'echo caught; exit 0' QUIT; trap '' TERM; echo up; while :; do sleep 0.01; done'''
        ready   = { line = 'up' }
        stop    = { signal = 'quit', grace = '20s' }
        [pool.POOL-deaf]
        command = ['WORKER', 'ignore', 'USR1', 'say', 'up', 'stay']
        ready   = { line = 'up' }
        stop    = { signal = 'SIGUSR1', grace = '1500ms' }
    ";
    let mut pm = start(folder.path(), text);
    pm.wait_slot_ready(".1", 1);
    pm.wait_slot_ready("-deaf.1", 1);
    pm.signal(Signal::SIGTERM);
    pm.prints.wait_for("caught");
    pm.says.wait_for("(worker) ignores SIGUSR1; SIGKILL in ");
    pm.wait_exit(0);
}

#[test]
fn a_stop_signal_for_the_leader_leaves_the_processes_that_it_needs_alone() {
    let folder = tempfile::tempdir().unwrap();
    let text = "
        [pool.POOL]
        command = ['WORKER', 'task', 'PORT1', 'say', 'up', 'stay']
        ready   = { line = 'up' }
        stop    = { to = 'leader', grace = '1m' }
    ";
    for (target, ends) in [("leader", "task finished"), ("group", "task lost")] {
        let text = text.replace("'leader'", &format!("'{target}'"));
        let mut pm = Pool::of_file(folder.path(), "pm.toml", 1, &text).start();
        pm.wait_slot_ready(".1", 1);
        pm.signal(Signal::SIGTERM);
        pm.prints.wait_for(ends);
        pm.wait_exit(0);
    }
}

#[test]
fn what_a_leader_leaves_gets_its_stop_signal_when_the_leader_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let text = "
        [pool.POOL]
        command = ['WORKER', 'child', 'drain+0+say+member+stay', 'child', 'setsid+drain+0+say+orphan+stay',
                   'drain', '0', 'say', 'leader', 'stay']
        ready   = { after = '0s' }
        stop    = { to = 'leader', grace = '1h' }
    ";
    let mut pm = start(folder.path(), text);
    for who in ["leader", "member", "orphan"] {
        pm.prints.wait_for(&format!("| {who}"));
    }
    pm.signal(Signal::SIGTERM);
    pm.wait_exit(0);
    assert_eq!(pm.prints.with("drained").len(), 3);
}

#[test]
fn sigkill_at_the_end_of_the_grace_is_for_all_processes() {
    let folder = tempfile::tempdir().unwrap();
    let text = "
        [pool.POOL]
        command = ['WORKER', 'child', 'say+member+stay', 'ignore', 'TERM', 'say', 'leader', 'stay']
        ready   = { line = 'leader' }
        stop    = { to = 'leader', grace = '100ms' }
    ";
    let mut pm = start(folder.path(), text);
    pm.wait_slot_ready(".1", 1);
    pm.prints.wait_for("| member");
    pm.signal(Signal::SIGTERM);
    pm.says.wait_for("did not stop within 100ms: pid ");
    pm.wait_exit(0);
}

#[test]
fn the_key_stdin_opens_a_stdin_that_never_ends() {
    let folder = tempfile::tempdir().unwrap();
    let text = "
        [pool.POOL]
        command = ['WORKER', 'say', 'reads', 'stdin', 'stay']
        ready   = { line = 'reads' }
        stdin   = 'open'
    ";
    let pm = start(folder.path(), text);
    let worker = pm.wait_slot_ready(".1", 1);
    for_as_long_as(Duration::from_millis(200), || {
        assert_eq!(pm.prints.with("stdin ended"), Vec::<String>::new());
    });
    pm.reload(&text.replace("'open'", "'null'"));
    pm.prints.wait_for("stdin ended");
    eventually("the first worker is replaced", || (!processes::is_alive(worker)).then_some(()));
    pm.stop();
}

#[test]
fn an_open_stdin_costs_no_descriptor_once_its_worker_has_exited() {
    let folder = tempfile::tempdir().unwrap();
    let text = "
        [pool.POOL]
        command = ['WORKER', 'listen', '{port}', 'stay']
        ports   = PORT1
        stdin   = 'open'
    ";
    let pm = Pool::of_file(folder.path(), "pm.toml", 1, text).start();
    let open = || std::fs::read_dir(format!("/proc/{}/fd", pm.reactor())).unwrap().count();
    pm.wait_slot_ready(".1", 1);
    let before = open();
    for generation in 2..6 {
        ask(pm.ports[0], "exit 1");
        pm.wait_slot_ready(".1", generation);
    }
    // When it first rests, pm has a file of /proc open for a moment.
    eventually("no more descriptors than before", || (open() <= before).then_some(()));
    pm.stop();
}

#[test]
fn pty_gives_a_worker_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let script = "test -t 1 && test -t 2 && test -t 0 && echo terminal; stty size; \
                  printf 'whole\\nlines\\n'";
    let found = printed(folder.path(), script, "pty = true");
    assert_eq!(found, ["terminal", "24 80", "whole", "lines"]);
    let script = "test -t 0 || echo no keys; test -t 1 && cat && echo end";
    let found = printed(folder.path(), script, "pty = true\nstdin = 'null'");
    assert_eq!(found, ["no keys", "end"]);
    let found = printed(folder.path(), "test -t 1 || echo pipe", "");
    assert_eq!(found, ["pipe"]);
}

#[test]
fn the_size_of_the_terminal_is_passed_on() {
    let folder = tempfile::tempdir().unwrap();
    let terminal = Terminal::open();
    terminal.resize(30, 100);
    let text = "
        [pool.POOL]
        command = '''trap 'stty size <&1' WINCH; stty size <&1; echo up; while :; do sleep 0.01; done'''
        ready   = { line = 'up' }
        pty     = true
    ";
    let pm = Pool::of_file(folder.path(), "pm.toml", 0, text).in_terminal(&terminal).start();
    let label = pm.slot(1).len() + " | ".len();
    pm.prints.wait_for(&format!("30 {}", 100 - label));
    terminal.resize(40, 120);
    pm.prints.wait_for(&format!("40 {}", 120 - label));
    pm.stop();
}

#[test]
fn a_worker_with_a_terminal_is_stopped_and_replaced_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let text = "
        [pool.POOL]
        command = ['WORKER', 'child', 'stay', 'listen', '{port}', 'stay']
        ports   = PORT1
        pty     = true
    ";
    let pm = start(folder.path(), text);
    let first = pm.wait_slot_ready(".1", 1);
    pm.wait_members(2);
    processes::send(Signal::SIGKILL, first);
    pm.wait_slot_ready(".1", 2);
    pm.wait_members(2);
    pm.stop();
}

#[test]
fn a_silent_worker_with_a_log_file_causes_no_wakeup() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[pool.POOL]\ncommand = ['WORKER', 'listen', '{port}', 'stay']\nports = PORT1\n\
                log = { file = '{slot}.log' }\npty = true";
    let pm = start(folder.path(), text);
    pm.wait_slot_ready(".1", 1);
    let reactor = pm.reactor();
    let before = eventually("pm waits in poll", || {
        let before = processes::context_switches(reactor);
        std::thread::park_timeout(Duration::from_millis(100));
        (processes::context_switches(reactor) == before).then_some(before)
    });
    for_as_long_as(Duration::from_millis(500), || {
        assert_eq!(processes::context_switches(reactor), before);
    });
    pm.stop();
}
