//! What each worker finds when it starts: variables, descriptors, limits, signals, group. And what an idle pm costs.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use crate::support::pm::{Pm, ask};
use crate::support::pool::Pool;
use crate::support::processes::{children_of, context_switches, send, state, status};
use crate::support::programs::{shell, worker, worker_text};
use crate::support::run_mode::{size, skip_without};
use crate::support::waiting::{eventually, for_as_long_as};

/// The lines that this command prints, in a pool of one.
fn printed(command: Vec<OsString>, set: impl FnOnce(Pool) -> Pool) -> (Vec<String>, Pm) {
    let pool = Pool::of(command).of_size(1).option("--restart", "never");
    let mut pm = set(pool).start();
    pm.wait_exit(0);
    let prefix = format!("{} | ", pm.slot(1));
    let lines = pm.prints.all_to_the_end();
    let text = lines.iter().map(|line| line.strip_prefix(&prefix).expect("the slot").to_owned());
    (text.collect(), pm)
}

fn field(lines: &[String], name: &str) -> String {
    let value = lines.iter().find_map(|line| line.strip_prefix(name));
    value.unwrap_or_else(|| panic!("no {name} in {lines:?}")).trim().to_owned()
}

#[test]
fn a_worker_knows_its_port_pool_slot_and_generation() {
    let serve = worker_text("listen {port} stay");
    let pool = Pool::of(shell(&format!("env; echo end; exec {serve}"))).on_ports(2);
    let pool = pool.with("PORT", "1").with("PS", "x").with("PM_SLOT", "x.1").with("OTHER", "y");
    let pm = pool.start();
    pm.wait_all_ready(2);
    let prefix = format!("{} | ", pm.slot(2));
    let environment = |lines: Vec<String>| -> BTreeMap<String, String> {
        let pairs = lines.iter().filter_map(|line| line.strip_prefix(&prefix)?.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    pm.prints.wait_for(&format!("{prefix}end"));
    let found = environment(pm.prints.all());
    let (port, slot) = (pm.ports[1].to_string(), pm.slot(2));
    for (name, value) in [
        ("PORT", port.as_str()),
        ("PS", &slot),
        ("PM_SLOT", &slot),
        ("PM_POOL", &pm.name),
        ("PM_GENERATION", "1"),
        ("OTHER", "y"),
    ] {
        assert_eq!(found.get(name).map(String::as_str), Some(value), "{name}");
    }
    pm.stop();
}

#[test]
fn generations_count_from_1() {
    let orders = "env PM_GENERATION listen {port} stay";
    let pm = Pool::of(worker(orders)).on_ports(1).start();
    for generation in 1..=3 {
        pm.prints.wait_for(&format!("PM_GENERATION={generation}"));
        pm.wait_ready(1, generation);
        ask(pm.ports[0], "exit 255");
    }
    pm.stop();
}

#[test]
fn a_pm_inside_a_pm_counts_its_own_generations() {
    let (lines, _) = printed(worker("env PM_GENERATION"), |pool| pool.with("PM_GENERATION", "7"));
    assert_eq!(lines, ["PM_GENERATION=1"]);
}

#[test]
fn variables_for_pm_itself_are_not_passed_on() {
    let meant =
        ["NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "DENO_SERVE_ADDRESS", "NODE_CHANNEL_FD"];
    let orders = meant.map(|name| format!("env {name}")).join(" ");
    let (lines, _) = printed(worker(&orders), |pool| {
        meant.into_iter().fold(pool, |pool, name| pool.with(name, "3"))
    });
    assert_eq!(lines, meant.map(|name| format!("{name} is not set")));
}

#[test]
fn a_worker_has_dev_null_as_stdin_and_no_other_descriptor_of_pm() {
    let list = "readlink /proc/self/fd/0; ls /proc/self/fd | tr '\\n' ' '";
    let open = |pool: Pool| pool.after("exec 9</etc/passwd 8>&1 </etc/passwd");
    let (lines, _) = printed(shell(list), open);
    // Descriptor 3 is the folder that `ls` reads.
    assert_eq!(lines, ["/dev/null", "0 1 2 3 "]);
}

#[test]
fn a_worker_has_the_limit_on_open_files_that_pm_was_started_with() {
    let serve = worker_text("listen {port} stay");
    let pool = Pool::of(shell(&format!("ulimit -S -n; ulimit -H -n; exec {serve}"))).on_ports(1);
    let pm = pool.after("ulimit -S -n 64; ulimit -H -n 300").start();
    let worker = pm.wait_ready(1, 1);
    let slot = pm.slot(1);
    let printed = pm.prints.wait_for_many(2, &slot);
    assert_eq!(printed[..2], [format!("{slot} | 64"), format!("{slot} | 300")]);
    assert_eq!(limits(worker), ["64", "300"]);
    assert_eq!(limits(pm.reactor()), ["300", "300"]);
    pm.stop();
}

#[test]
fn a_hard_limit_on_file_locks_that_is_too_low_for_the_mark_is_said_once() {
    if skip_without(&["prlimit".into()]) {
        return;
    }
    for (limit, times) in [("1024", 1), ("unlimited", 0)] {
        let folder = tempfile::tempdir().unwrap();
        let text = "[pool.POOL]\ncommand = ['WORKER', 'stay']\nworkers = 1\n";
        let pool = Pool::of_file(folder.path(), "pm.toml", 0, text);
        let pm = pool.after(&format!("prlimit --locks={limit} --pid $$")).start();
        pm.wait_slot_ready(".1", 1);
        pm.reload(text);
        pm.says.wait_for("reload: ");
        let said = pm.says.with(&format!("the hard limit on file locks is {limit}, too low for "));
        assert_eq!(said.len(), times, "{said:?}");
        pm.stop();
    }
}

fn limits(pid: nix::unistd::Pid) -> [String; 2] {
    let text = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let mut values = line.split_whitespace().map(str::to_owned);
    [values.next().unwrap(), values.next().unwrap()]
}

#[test]
fn a_worker_starts_with_no_signal_ignored_or_blocked() {
    let status = ["/bin/cat", "/proc/self/status"].map(Into::into).to_vec();
    let worker = worker_text("");
    let before = format!("trap '' USR1 HUP; exec {worker} block USR2 exec \"$0\" \"$@\"");
    let (lines, _) = printed(status, |pool| pool.after(&before));
    for mask in ["SigBlk:", "SigIgn:", "SigCgt:"] {
        assert_eq!(field(&lines, mask), "0000000000000000", "{mask}");
    }
}

#[test]
fn pm_receives_signals_that_were_blocked_when_it_started() {
    let worker_path = worker_text("");
    let before = format!("exec {worker_path} block CHLD block TERM exec \"$0\" \"$@\"");
    let pm = Pool::of(worker("listen {port} stay")).on_ports(1).after(&before).start();
    pm.wait_ready(1, 1);
    ask(pm.ports[0], "exit 255");
    pm.wait_ready(1, 2);
    pm.stop();
}

#[test]
fn pm_reaps_and_ends_even_if_it_was_started_with_sigchld_ignored() {
    // Not `trap '' CHLD`: a shell needs SIGCHLD itself, and does not hand that on.
    let before = "exec env --ignore-signal=CHLD \"$0\" \"$@\"";
    let pm = Pool::of(worker("listen {port} stay")).on_ports(1).after(before).start();
    pm.wait_ready(1, 1);
    ask(pm.ports[0], "exit 255");
    pm.says.wait_for("exited 255");
    pm.wait_ready(1, 2);
    pm.stop();
}

#[test]
fn a_worker_leads_a_process_group_of_its_own() {
    let pm = Pool::of(worker("listen {port} stay")).on_ports(3).start();
    let mut workers = pm.wait_all_ready(3);
    assert!(pm.members().iter().all(|member| member.group == member.pid));
    let mut children = children_of(pm.reactor());
    workers.sort();
    children.sort();
    assert_eq!(children, workers, "pm has no other children");
    pm.stop();
}

#[test]
fn a_child_that_pm_did_not_start_is_left_alone() {
    // A shell that becomes pm by exec keeps its children.
    let pool = Pool::of(worker("listen {port} stay")).on_ports(1);
    let mut pm = pool.after("sleep 1000 </dev/null >/dev/null 2>&1 & echo child $!").start();
    pm.wait_ready(1, 1);
    let said = pm.prints.wait_for("child ");
    let child = said.split_once("child ").unwrap().1.parse().unwrap();
    let child = nix::unistd::Pid::from_raw(child);
    pm.signal(nix::sys::signal::Signal::SIGTERM);
    pm.wait_exit(0);
    assert_eq!(state(child), Some('S'));
    send(nix::sys::signal::Signal::SIGKILL, child);
}

#[test]
fn an_idle_pm_has_no_wakeup_and_stays_small() {
    let idle = Duration::from_secs(size("PM_TEST_IDLE_S", 2, 30));
    let pm = Pool::of(worker("listen {port} stay")).on_ports(3).start();
    pm.wait_all_ready(3);
    let (guard, reactor) = (pm.pid(), pm.reactor());
    let wakeups = || [guard, reactor].map(context_switches);
    // Its last line is printed, but it may not be in poll again yet.
    let before = eventually("pm waits in poll", || {
        let before = wakeups();
        let is_idle = (0..20).all(|_| {
            std::thread::park_timeout(Duration::from_millis(5));
            wakeups() == before
        });
        is_idle.then_some(before)
    });
    for_as_long_as(idle, || assert_eq!(wakeups(), before, "the guard or the reactor was woken"));
    let resident = status(guard, "VmRSS");
    println!("resident: {resident}, and the reactor {}", status(reactor, "VmRSS"));
    // Only an optimised build is measured.
    if std::env::var_os("PM_TEST_BIN").is_some() || cfg!(not(debug_assertions)) {
        let kilobytes: u64 = resident.trim_end_matches(" kB").parse().expect("a number");
        assert!(kilobytes < 3 * 1024, "{resident}");
    }
    pm.stop();
}
