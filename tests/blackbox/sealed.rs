//! A sealed run (`--sealed`, `sealed = true`): pm works as usual in its pid namespace, and the kernel ends all of it.
//!
//! `matrix.rs` has the rows of how it can end.

use std::net::TcpListener;
use std::process::Command;

use nix::sys::signal::Signal::{self, SIGCONT, SIGKILL, SIGSTOP, SIGTERM, SIGTSTP};
use nix::sys::signal::kill;

use crate::support::pm::{Pm, ask};
use crate::support::pool::Pool;
use crate::support::processes::{self, children_of, is_alive, send, state};
use crate::support::programs::{open_copies, pm_binary, shell, worker};
use crate::support::run_mode::skip;
use crate::support::terminal::Terminal;
use crate::support::waiting::eventually;

/// A user without rights: nobody.
const USER: u32 = 65534;

/// Skips the running test if the kernel allows no pid namespace here. True if it is skipped.
pub fn skip_without_sealing() -> bool {
    let mut command = Command::new(pm_binary());
    command.args(["run", "--sealed", "--workers", "1", "--restart", "never", "--", "true"]);
    command.env("PM_SOCKET", "none");
    let tried = command.output().expect("pm");
    if !tried.status.success() {
        skip(String::from_utf8_lossy(&tried.stderr));
    }
    !tried.status.success()
}

fn sealed(orders: &str) -> Pool {
    Pool::of(worker(orders)).flag("--sealed")
}

/// Kills all processes of pm, none of which can react to the death of another.
pub fn kill_all_at_once(pm: &Pm) {
    let own: Vec<_> = children_of(pm.pid()).into_iter().chain([pm.pid()]).collect();
    // One that is about to end may be gone.
    for signal in [SIGSTOP, SIGKILL] {
        for pid in &own {
            let _ = kill(*pid, signal);
        }
    }
}

fn wait_empty(pm: &Pm) {
    eventually("no process is left", || pm.members().is_empty().then_some(()));
}

#[test]
fn messages_name_the_pids_that_are_seen_outside() {
    if skip_without_sealing() {
        return;
    }
    let orders = "child ignore+TERM+stay listen {port} stay";
    let mut pm = sealed(orders).on_ports(1).option("--grace", "2s").start();
    let leader = pm.wait_ready(1, 1);
    assert_eq!(processes::status(leader, "Name"), "worker");
    send(SIGKILL, leader);
    let leader = pm.wait_ready(1, 2);
    let child = eventually("a child", || {
        let members = pm.members();
        members.iter().find(|member| member.pid != leader).map(|member| member.pid)
    });
    eventually("it ignores SIGTERM", || {
        let ignored = u64::from_str_radix(&processes::status(child, "SigIgn"), 16).unwrap();
        (ignored & 1 << (SIGTERM as i32 - 1) != 0).then_some(())
    });
    pm.signal(SIGTERM);
    pm.says.wait_for(&format!("is still stopping: pid {child} (worker) ignores SIGTERM"));
    pm.wait_exit(0);
}

#[test]
fn a_worker_sees_only_the_processes_of_its_run() {
    if skip_without_sealing() {
        return;
    }
    let script = "echo self $$ $(cut -d' ' -f1,4 /proc/self/stat | cut -d' ' -f2); \
                  echo first $(cat /proc/1/comm), then $(cat /proc/2/comm); exec sleep 1000";
    let pm = Pool::of(shell(script)).flag("--sealed").of_size(1).start();
    pm.prints.wait_for("first pm-sealed, then pm");
    pm.stop();
}

#[test]
fn orphans_of_a_sealed_worker_are_reaped_and_end_with_it() {
    if skip_without_sealing() {
        return;
    }
    let orders =
        "child setsid+child+stay+exit+0 child setsid+child+exit+0+exit+0 listen {port} stay";
    let mut pm = sealed(orders).on_ports(1).start();
    let first = pm.wait_ready(1, 1);
    let old = pm.wait_members(2);
    send(SIGKILL, first);
    pm.wait_ready(1, 2);
    eventually("the old ones are gone", || {
        old.iter().all(|member| !is_alive(member.pid)).then_some(())
    });
    pm.signal(SIGTERM);
    pm.wait_exit(0);
}

#[test]
fn a_sealed_pm_is_suspended_and_continued() {
    if skip_without_sealing() {
        return;
    }
    let pm = sealed("listen {port} stay").on_ports(1).in_own_group().start();
    let worker = pm.wait_ready(1, 1);
    let all = [pm.pid(), pm.reactor(), worker];
    for signal in [SIGTSTP, Signal::SIGTTIN] {
        pm.signal(signal);
        eventually("all are stopped", || {
            all.iter().all(|pid| state(*pid) == Some('T')).then_some(())
        });
        pm.signal(SIGCONT);
        eventually("all go on", || all.iter().all(|pid| state(*pid) == Some('S')).then_some(()));
    }
    pm.stop();
}

#[test]
fn the_workers_of_a_killed_guard_have_their_grace() {
    if skip_without_sealing() {
        return;
    }
    let mut pm = sealed("drain 100 listen {port} stay").on_ports(1).start();
    pm.wait_ready(1, 1);
    pm.signal(SIGKILL);
    pm.wait_end();
    pm.prints.wait_for("drained");
    wait_empty(&pm);
}

#[test]
fn a_process_1_that_was_stopped_ends_with_the_reactor() {
    if skip_without_sealing() {
        return;
    }
    let mut pm = sealed("listen {port} stay").on_ports(1).start();
    pm.wait_ready(1, 1);
    let reactor = pm.reactor();
    let process_1 = children_of(pm.pid()).into_iter().find(|pid| *pid != reactor).unwrap();
    send(SIGSTOP, process_1);
    eventually("process 1 is stopped", || (state(process_1) == Some('T')).then_some(()));
    send(SIGKILL, pm.pid());
    pm.wait_end();
    eventually("process 1 ends", || (!is_alive(process_1)).then_some(()));
    wait_empty(&pm);
}

#[test]
fn the_exit_status_of_a_sealed_run_is_passed_on() {
    if skip_without_sealing() {
        return;
    }
    let run = || Pool::of(shell("exit 7")).flag("--sealed").of_size(1);
    run().option("--restart", "never").start().wait_exit(7);
    run().option("--give-up-after", "1").start().wait_exit(1);
}

#[test]
fn ctrl_c_stops_a_sealed_pm_in_a_terminal() {
    if skip_without_sealing() {
        return;
    }
    let terminal = Terminal::open();
    let pm = sealed("drain 50 listen {port} stay").on_ports(1).in_terminal(&terminal).start();
    pm.wait_ready(1, 1);
    terminal.type_keys("\x03");
    pm.prints.wait_for("drained");
    pm.wait_stopped();
}

#[test]
fn without_root_a_sealed_pm_keeps_its_user_and_leaves_no_process() {
    if !nix::unistd::geteuid().is_root() {
        return skip("only root can start pm as another user");
    }
    let folder = tempfile::tempdir().unwrap();
    let [pm, serve] = open_copies(folder.path());
    let script = format!(
        "echo user $(id -u).; setsid sleep 1000 & (setsid sleep 1000 &); exec {} listen {{port}} stay",
        serve.display()
    );
    let pool = Pool::of(shell(&script)).program(&pm).in_folder(folder.path());
    let pool = pool.flag("--sealed").on_ports(1).by_user(USER);
    let mut pm = pool.start();
    let refused = || pm.says.with("cannot seal").first().cloned();
    let ready = || (!pm.says.with("is ready").is_empty()).then(String::new);
    let refusal = eventually("it is ready, or refused", || refused().or_else(ready));
    if !refusal.is_empty() {
        return skip(refusal);
    }
    pm.prints.wait_for(&format!("user {USER}."));
    pm.wait_members(3);
    kill_all_at_once(&pm);
    pm.wait_end();
    wait_empty(&pm);
}

#[test]
fn a_worker_of_another_user_runs_in_a_sealed_run() {
    if skip_without_sealing() {
        return;
    }
    if !nix::unistd::geteuid().is_root() {
        return skip("only root can start workers as another user");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let text = "sealed = true\n[pool.POOL]\ncommand = 'echo user $(id -un).; exec sleep 1000'\n\
                user = 'nobody'\n";
    let pm = Pool::of_file(folder.path(), "pm.toml", 0, text).start();
    pm.prints.wait_for("user nobody.");
    pm.stop();
}

#[test]
fn a_sealed_worker_notifies_and_has_a_terminal() {
    if skip_without_sealing() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let text = "sealed = true\n[pool.POOL]\nready = { notify = true }\npty = true\n\
                command = ['WORKER', 'notify', 'READY=1', 'stay']\n";
    let pm = Pool::of_file(folder.path(), "pm.toml", 0, text).start();
    pm.wait_slot_ready(".1", 1);
    pm.stop();
}

#[test]
fn a_reload_works_in_a_sealed_run_and_does_not_open_it() {
    if skip_without_sealing() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let text = "sealed = true\n[pool.POOL]\ncommand = ['WORKER', 'listen', '{port}', 'stay']\n\
                ports = PORT1\n";
    let pm = Pool::of_file(folder.path(), "pm.toml", 1, text).start();
    let first = pm.wait_slot_ready(".1", 1);
    pm.reload(&text.replace("sealed = true\n", ""));
    pm.says.wait_for("reload refused: `sealed` cannot change while pm runs; restart pm");
    assert_eq!(ask(pm.ports[0], "env PM_SLOT"), "done");
    assert!(is_alive(first));
    pm.reload(&format!("{text}env = {{ A = 'b' }}\n"));
    pm.wait_slot_ready(".1", 2);
    pm.stop();
}

#[test]
fn the_process_outside_that_holds_the_port_is_named() {
    if skip_without_sealing() {
        return;
    }
    let pool = sealed("listen {port} stay").on_ports(1);
    let listener = TcpListener::bind(("127.0.0.1", pool.number_of_port(1))).expect("a free port");
    let pm = pool.start();
    pm.says.wait_for(&format!("pid {} (", std::process::id()));
    drop(listener);
    pm.says.wait_for(&format!("{} is ready", pm.slot(1)));
    pm.stop();
}

/// Starts pm as root of a user namespace, after this script.
fn refused_after(script: &str) -> (Option<i32>, String) {
    let run = "run --sealed --workers 1 -- sleep 1000";
    let script = format!("{script} {} {run}", pm_binary().display());
    let mut command = Command::new("unshare");
    let output = command.args(["--user", "--map-root-user", "sh", "-c", &script]).output();
    let output = output.expect("unshare");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_refused_namespace_is_an_error_that_names_the_sysctl() {
    let (status, text) = refused_after("echo ok >&2; true");
    if status != Some(0) || text != "ok\n" {
        return skip(format!("there are no user namespaces here: {text}"));
    }
    let rights = "exec setpriv --bounding-set=-all --inh-caps=-all";
    for (script, name) in [
        ("echo 0 > /proc/sys/user/max_pid_namespaces; exec", "user.max_pid_namespaces"),
        ("echo 0 > /proc/sys/user/max_mnt_namespaces; exec", "user.max_mnt_namespaces"),
        (
            &format!("echo 0 > /proc/sys/user/max_user_namespaces; {rights}"),
            "user.max_user_namespaces",
        ),
    ] {
        let (status, text) = refused_after(script);
        assert_eq!(status, Some(3), "{name}: {text}");
        let words = format!("the sysctl {name} forbids it and has to be higher");
        assert!(text.starts_with("pm: cannot seal: cannot make a "), "{text}");
        assert!(text.trim_end().ends_with(&words), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}

#[test]
fn take_over_and_init_are_refused() {
    let run = |arguments: &[&str]| {
        let output = Command::new(pm_binary())
            .arg("run")
            .args(arguments)
            .env("PM_SOCKET", "none")
            .output()
            .expect("pm");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let command = ["--workers", "1", "--", "true"];
    let both = run(&[&["--sealed", "--take-over"], &command[..]].concat());
    assert!(both.contains("`--take-over` cannot be used in a sealed run"), "{both}");
    let init = run(&["--sealed", "--init", "--", "true"]);
    assert!(init.contains("cannot be used with"), "{init}");
}
