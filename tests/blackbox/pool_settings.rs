//! The keys of pm.toml that a worker notices: folder, variables, user, limits, stop signal, terminal, log file.

use std::fs::read_to_string;
use std::path::Path;

use nix::sys::signal::Signal;
use nix::unistd::geteuid;

use crate::support::pm::Pm;
use crate::support::pool::Pool;
use crate::support::processes;
use crate::support::programs::worker_binary;
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
        ready    = { line = '' }
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
fn pty_gives_a_worker_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let script = "test -t 1 && test -t 2 && ! test -t 0 && echo terminal; stty size <&1; \
                  printf 'whole\\nlines\\n'";
    let found = printed(folder.path(), script, "pty = true");
    assert_eq!(found, ["terminal", "24 80", "whole", "lines"]);
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
fn lines_go_to_a_file_too_and_the_oldest_files_are_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let text = "
        [pool.POOL]
        command = ['WORKER', 'flood', '2000', 'say', 'done', 'stay']
        workers = 2
        log     = { file = 'log/{n}.log', max_size = '20kB', keep = 2 }
    ";
    let pm = start(folder.path(), text);
    pm.prints.wait_for_many(2, "done");
    let read = |name: &str| read_to_string(folder.path().join("log").join(name)).unwrap();
    eventually("the last line is in the file", || read("1.log").ends_with("done\n").then_some(()));
    let all = [read("1.log.2"), read("1.log.1"), read("1.log")];
    assert!(all.iter().all(|text| text.len() <= 20_000 && text.ends_with('\n')));
    assert!(!folder.path().join("log/1.log.3").exists());
    let numbers: Vec<u64> = all.concat().lines().filter_map(number).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "none is missing or torn");
    assert_eq!(numbers.last(), Some(&1_999));
    assert_eq!(pm.prints.with(&format!("{}.1 | ", pm.name)).len(), 2_001, "and all to stdout");
    pm.stop();
}

fn number(line: &str) -> Option<u64> {
    line.split(' ').next()?.parse().ok()
}

#[test]
fn a_log_file_that_cannot_be_written_blocks_no_worker() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("log"), "in the way").unwrap();
    let text = "
        [pool.POOL]
        command = 'while :; do echo tick; sleep 0.02; done'
        log     = { file = 'log/{slot}.log' }
    ";
    let pm = start(folder.path(), text);
    pm.says.wait_for("cannot write ");
    pm.prints.wait_for_many(5, "tick");
    assert_eq!(pm.says.with("cannot write ").len(), 1);
    std::fs::remove_file(folder.path().join("log")).unwrap();
    pm.says.wait_for_all(&["can be written again; lost ", " line"]);
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
        std::thread::park_timeout(std::time::Duration::from_millis(100));
        (processes::context_switches(reactor) == before).then_some(before)
    });
    for_as_long_as(std::time::Duration::from_millis(500), || {
        assert_eq!(processes::context_switches(reactor), before);
    });
    pm.stop();
}
