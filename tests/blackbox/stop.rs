//! Ways to end a pm, and what is left: nobody.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::{self, SIGHUP, SIGINT, SIGQUIT, SIGSTOP, SIGTERM};
use nix::sys::termios::LocalFlags;

use crate::harness::{Pm, Pool, ask, eventually, pm_binary, shell, worker, worker_text};
use crate::processes::{is_alive, send, state, status};
use crate::terminal::Terminal;

/// Three workers, each with a child in its group, all ready.
fn three() -> Pool {
    Pool::of(worker("child stay listen {port} stay")).on_ports(3)
}

fn ends_in_order_by(signal: Signal) {
    let mut pm = three().start();
    pm.are_ready(3);
    pm.has_members(6);
    pm.signal(signal);
    pm.ends_with(0);
    pm.says.wait_for(&format!("{signal}: stopping 3 workers; SIGKILL in 5s"));
    pm.says.wait_for("all workers are gone after");
}

#[test]
fn sigterm_ends_all_workers_in_order() {
    ends_in_order_by(SIGTERM);
}

#[test]
fn sigint_ends_all_workers_in_order() {
    ends_in_order_by(SIGINT);
}

#[test]
fn sighup_ends_all_workers_in_order() {
    ends_in_order_by(SIGHUP);
}

#[test]
fn sigquit_kills_all_workers() {
    let orders = "child ignore+TERM+stay drain 60000 listen {port} stay";
    let mut pm = Pool::of(worker(orders)).on_ports(3).start();
    pm.are_ready(3);
    pm.has_members(6);
    pm.signal(SIGQUIT);
    pm.ends_with(0);
    pm.says.wait_for("SIGQUIT: killing 3 workers");
}

#[test]
fn ctrl_c_in_a_terminal_ends_all_workers_in_order_and_leaves_its_modes_alone() {
    let terminal = Terminal::open();
    let mut modes = terminal.modes();
    // Not what a shell would set, so that a reset to some default shows.
    modes.local_flags.remove(LocalFlags::ECHO | LocalFlags::ECHOE);
    modes.local_flags.insert(LocalFlags::TOSTOP);
    terminal.set_modes(&modes);
    let before = terminal.modes();
    let mut pm = three().in_terminal(&terminal).start();
    pm.are_ready(3);
    assert_eq!(terminal.modes(), before);
    terminal.type_keys("\x03");
    pm.ends_with(0);
    pm.says.wait_for("SIGINT: stopping 3 workers");
    pm.says.wait_for("all workers are gone after");
    assert_eq!(terminal.modes(), before);
}

#[test]
fn a_second_ctrl_c_kills_at_once() {
    let terminal = Terminal::open();
    let pool = Pool::of(worker("ignore TERM child ignore+TERM+stay listen {port} stay"));
    let mut pm = pool.on_ports(2).option("--grace", "1h").in_terminal(&terminal).start();
    pm.are_ready(2);
    pm.has_members(4);
    terminal.type_keys("\x03");
    pm.says.wait_for("SIGINT: stopping 2 workers; SIGKILL in 1h, again to kill at once");
    eventually("pm listens to whoever insists", || {
        terminal.type_keys("\x03");
        (!pm.says.with("SIGINT: killing 2 workers").is_empty()).then_some(())
    });
    pm.ends_with(0);
}

#[test]
fn a_signal_that_comes_twice_in_one_instant_is_one_wish() {
    // As timeout(1) sends it: to pm, and then to the process group that pm is in.
    let is_fast = || {
        let pool = Pool::of(worker("drain 200 listen {port} stay")).on_ports(1);
        let mut pm = pool.start();
        pm.are_ready(1);
        let began = Instant::now();
        pm.signal(SIGTERM);
        pm.says.wait_for("SIGTERM: stopping 1 worker");
        pm.signal(SIGTERM);
        let is_fast = began.elapsed() < Duration::from_millis(12);
        pm.ends_with(0);
        assert!(!is_fast || pm.says.with("killing").is_empty());
        assert!(!is_fast || pm.prints.with("drained").len() == 1, "it had its grace");
        is_fast
    };
    eventually("this test is fast enough to be one", || is_fast().then_some(()));
}

#[test]
fn a_sigterm_after_a_sigint_kills_at_once() {
    let pool = Pool::of(worker("ignore TERM listen {port} stay")).option("--grace", "1h");
    let mut pm = pool.on_ports(1).start();
    pm.are_ready(1);
    pm.signal(SIGINT);
    pm.says.wait_for("SIGINT: stopping 1 worker");
    eventually("pm listens to whoever insists", || {
        pm.signal(SIGTERM);
        (!pm.says.with("SIGTERM: killing 1 worker").is_empty()).then_some(())
    });
    pm.ends_with(0);
}

#[test]
fn a_signal_that_comes_before_pm_has_begun_is_heard() {
    const TERM: u64 = 1 << (SIGTERM as u64 - 1);
    for _ in 0..20 {
        let mut pm = Pool::of(worker("listen {port} stay")).on_ports(1).start();
        // From its first moment on the reactor either blocks a signal or hears it.
        let children = format!("/proc/{0}/task/{0}/children", pm.pid());
        let reactor = loop {
            let list = std::fs::read_to_string(&children).expect("pm lives");
            if let Some(pid) = list.split_whitespace().next() {
                break nix::unistd::Pid::from_raw(pid.parse().expect("a number"));
            }
        };
        while pm.says.with("is ready").is_empty() {
            let mask = |name| u64::from_str_radix(&status(reactor, name), 16).expect("a mask");
            let (blocked, caught) = (mask("SigBlk"), mask("SigCgt"));
            // Both are read one after the other: it is caught before it is let in.
            assert_ne!((blocked | caught | mask("SigCgt")) & TERM, 0);
        }
        pm.signal(SIGTERM);
        pm.ends_with(0);
    }
}

#[test]
fn a_closed_terminal_ends_all_workers_in_order() {
    let terminal = Terminal::open();
    let mut pm = three().in_terminal(&terminal).start();
    pm.are_ready(3);
    drop(terminal);
    pm.ends_with(0);
}

#[test]
fn a_second_sighup_is_no_second_wish() {
    let pool = Pool::of(worker("drain 400 listen {port} stay")).option("--grace", "1h");
    let mut pm = pool.on_ports(1).start();
    pm.are_ready(1);
    pm.signal(SIGHUP);
    pm.says.wait_for("SIGHUP: stopping 1 worker");
    pm.signal(SIGHUP);
    pm.ends_with(0);
    assert_eq!(pm.prints.wait_for_many(1, "drained").len(), 1, "it had its grace");
}

#[test]
fn a_signal_that_was_ignored_when_pm_started_stays_ignored() {
    let pool = Pool::of(worker("listen {port} stay")).on_ports(1);
    let pm = pool.after("trap '' HUP INT").start();
    pm.are_ready(1);
    pm.signal(SIGHUP);
    pm.signal(SIGINT);
    ask(pm.ports[0], "exit 255");
    pm.is_ready(1, 2);
    assert_eq!(pm.says.with("stopping"), [""; 0]);
    pm.stop();
}

#[test]
fn who_ignores_the_stop_signal_is_named_with_the_time_left_and_gone_when_it_is_over() {
    let pool = Pool::of(worker("child ignore+TERM+stay listen {port} stay"));
    let mut pm = pool.on_ports(1).option("--grace", "2s").start();
    let leader = pm.is_ready(1, 1);
    let child = eventually("a child that ignores SIGTERM", || {
        let members = pm.members();
        let child = members.iter().find(|member| member.pid != leader)?.pid;
        let ignored = u64::from_str_radix(&status(child, "SigIgn"), 16).unwrap();
        (ignored & 1 << (SIGTERM as i32 - 1) != 0).then_some(child)
    });
    pm.signal(SIGTERM);
    let line = pm.says.wait_for("is still stopping");
    let named = format!(
        "{} is still stopping: pid {child} (worker) ignores SIGTERM; SIGKILL in ",
        pm.slot(1)
    );
    assert!(line.contains(&named), "{line}");
    let line = pm.says.wait_for("did not stop within 2s");
    assert!(line.ends_with(&format!("killing pid {child} (worker) ignores SIGTERM")), "{line}");
    pm.ends_with(0);
}

#[test]
fn who_blocks_the_stop_signal_is_named_as_such() {
    let pool = Pool::of(worker("block TERM listen {port} stay"));
    let mut pm = pool.on_ports(1).option("--grace", "1500ms").start();
    let leader = pm.is_ready(1, 1);
    pm.signal(SIGTERM);
    pm.says.wait_for(&format!("pid {leader} (worker) blocks SIGTERM"));
    pm.ends_with(0);
}

#[test]
fn a_grace_of_nothing_kills_at_once() {
    let pool = Pool::of(worker("ignore TERM child ignore+TERM+stay listen {port} stay"));
    let mut pm = pool.on_ports(2).option("--grace", "0s").start();
    pm.are_ready(2);
    pm.has_members(4);
    pm.signal(SIGTERM);
    pm.ends_with(0);
    pm.says.wait_for("SIGTERM: killing 2 workers");
    assert_eq!(pm.says.with("did not stop within"), [""; 0]);
}

#[test]
fn what_outlives_the_leader_of_its_group_keeps_the_rest_of_the_grace() {
    let pool = Pool::of(worker("child drain+400+say+up+stay listen {port} stay"));
    let mut pm = pool.on_ports(1).option("--grace", "1h").start();
    let leader = pm.is_ready(1, 1);
    pm.prints.wait_for("up");
    pm.signal(SIGTERM);
    eventually("the leader is gone", || (!is_alive(leader)).then_some(()));
    pm.ends_with(0);
    assert_eq!(pm.prints.wait_for_many(1, "drained").len(), 1);
}

#[test]
fn a_stopped_worker_is_woken_to_end() {
    let pool = Pool::of(worker("drain 0 listen {port} stay")).option("--grace", "1h");
    let mut pm = pool.on_ports(1).start();
    let worker = pm.is_ready(1, 1);
    send(SIGSTOP, worker);
    eventually("it is stopped", || (state(worker) == Some('T')).then_some(()));
    pm.signal(SIGTERM);
    pm.ends_with(0);
    assert_eq!(pm.prints.wait_for_many(1, "drained").len(), 1);
}

#[test]
fn who_left_the_group_does_not_outlive_pm() {
    // One with a session of its own, and a daemon, whose parent has ended.
    let orders = "child ignore+TERM+setsid+stay child setsid+child+stay+exit+0 listen {port} stay";
    let mut pm = Pool::of(worker(orders)).on_ports(1).start();
    let leader = pm.is_ready(1, 1);
    eventually("two have left the group", || {
        let members = pm.members();
        let away = members.iter().filter(|member| member.group != leader).count();
        (members.len() == 3 && away == 2).then_some(())
    });
    pm.signal(SIGTERM);
    pm.ends_with(0);
}

#[test]
fn a_stop_in_a_storm_of_exits_is_followed_by_no_new_worker() {
    for storm in 0..20 {
        let mut pm = Pool::of(worker("say up await {port} exit 255")).on_ports(3).start();
        pm.says.wait_for_many(5 + storm, "exited 255");
        pm.signal(SIGTERM);
        pm.ends_with(0);
        let lines = pm.says.all_to_the_end();
        let stop = lines.iter().position(|line| line.contains("SIGTERM: stopping"));
        let after = &lines[stop.expect("the stop is said") + 1..];
        for not_said in ["takes its place", "next try", "is ready", "cannot start"] {
            assert!(!after.iter().any(|line| line.contains(not_said)), "{after:#?}");
        }
    }
}

#[test]
fn a_stop_while_a_slot_rests_ends_at_once() {
    let mut pm = Pool::of(worker("exit 1")).on_ports(1).start();
    pm.says.wait_for("next try in 8");
    pm.signal(SIGTERM);
    pm.ends_with(0);
    pm.says.wait_for("all workers are gone after");
    assert_eq!(pm.says.with("SIGTERM: killing"), [""; 0], "a SIGTERM kills nobody at once");
}

#[test]
fn pm_ends_when_its_last_worker_has_ended() {
    let late = (0..3).map(|_| {
        let mut pm = Pool::of(worker("drain 300 listen {port} stay")).on_ports(1).start();
        pm.are_ready(1);
        let connection = TcpStream::connect((Ipv4Addr::LOCALHOST, pm.ports[0])).unwrap();
        assert_eq!(ask(pm.ports[0], "pid"), pm.is_ready(1, 1).to_string(), "it has accepted both");
        pm.signal(SIGTERM);
        // The connection lasts exactly as long as the worker.
        let _ = BufReader::new(connection).lines().count();
        let gone = Instant::now();
        pm.ends_with(0);
        gone.elapsed()
    });
    // A busy machine may delay some, but hardly all.
    let late = late.min().expect("three");
    println!("pm ended {late:?} after its last worker");
    assert!(late < Duration::from_secs(1), "{late:?}");
}

#[test]
fn ctrl_z_suspends_pm_and_its_workers_and_a_sigcont_wakes_them() {
    let terminal = Terminal::open();
    let mut pm = three().in_terminal(&terminal).start();
    let workers = pm.are_ready(3);
    let all: Vec<_> = workers.into_iter().chain([pm.reactor(), pm.pid()]).collect();
    let are = |wanted: &[char]| {
        all.iter().all(|pid| state(*pid).is_some_and(|state| wanted.contains(&state))).then_some(())
    };
    terminal.type_keys("\x1a");
    eventually("everything is stopped", || are(&['T']));
    pm.signal(Signal::SIGCONT);
    eventually("everything goes on", || are(&['S', 'R']));
    terminal.type_keys("\x03");
    pm.ends_with(0);
}

#[test]
fn usr1_and_usr2_do_not_end_pm() {
    let pm = Pool::of(worker("listen {port} stay")).on_ports(1).start();
    let before = pm.is_ready(1, 1);
    for signal in [Signal::SIGUSR1, Signal::SIGUSR2] {
        pm.signal(signal);
        pm.says.wait_for(signal.as_str());
    }
    assert!(is_alive(before));
    pm.stop();
}

fn ends_by_itself(restart: &str, script: &str, workers: usize) -> Pm {
    Pool::of(shell(script)).of_size(workers).option("--restart", restart).start()
}

#[test]
fn a_pool_that_ends_by_itself_ends_with_the_first_status_that_is_no_success() {
    ends_by_itself("never", "exit 0", 2).ends_with(0);
    ends_by_itself("never", "exit $(({n} == 2 ? 7 : 0))", 3).ends_with(7);
    ends_by_itself("never", "kill -SEGV $$", 1).ends_with(128 + 11);
}

#[test]
fn first_is_first_in_time() {
    let script = "test {n} = 2 && exit 4; while test -d \"/proc/$PPID\"; do :; done";
    let mut pm = ends_by_itself("never", script, 2);
    pm.says.wait_for("exited 4");
    let other = pm.has_members(1)[0].pid;
    send(SIGTERM, other);
    pm.ends_with(4);
}

#[test]
fn on_failure_restarts_until_it_succeeds() {
    let mut pm = ends_by_itself("on-failure", "exit $((3 - PM_GENERATION))", 1);
    pm.ends_with(0);
    assert_eq!(pm.says.with("before it was ready").len(), 2);
    assert_eq!(pm.says.with("exited 0").len(), 1);
}

#[test]
fn giving_up_ends_with_1() {
    let pool = Pool::of(worker("exit 9")).on_ports(1).option("--give-up-after", "3");
    let mut pm = pool.start();
    pm.ends_with(1);
    let lines = pm.says.with("exited 9");
    assert_eq!(lines.len(), 3);
    assert!(lines[2].ends_with("given up"), "{lines:?}");
}

#[test]
fn one_slot_that_gave_up_does_not_end_the_others() {
    let serve = worker_text("listen {port} stay");
    let pool = Pool::of(shell(&format!("test {{n}} = 1 && exit 9; exec {serve}"))).on_ports(2);
    let pm = pool.option("--give-up-after", "2").start();
    pm.says.wait_for("given up");
    pm.is_ready(2, 1);
    ask(pm.ports[1], "exit 255");
    pm.is_ready(2, 2);
    pm.stop();
}

fn refused(arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } =
        Command::new(pm_binary()).args(arguments).output().expect("pm can be started");
    assert_eq!(status.code(), Some(2), "{arguments:?}");
    assert_eq!(stdout, b"");
    String::from_utf8(stderr).expect("text")
}

#[test]
fn bad_usage_ends_with_2_and_what_would_be_right() {
    for (arguments, right) in [
        ("run --ports 8082-8080 -- job", "did you mean `8080-8082`?"),
        ("run --ports 8080,8080 -- job", "port 8080 is listed twice"),
        ("run --ports 8080", "<CMD>"),
        ("run --port 8080 -- job", "did you mean `--ports 8080`?"),
        ("run -- job", "`--ports 8080-8082` (one worker for each port) or `--workers N`"),
        ("run --workers 0 -- job", "give 1 to 1000"),
        ("run --workers 2 -- job {prot}", "`{prot}` is not a placeholder"),
        ("run --workers 2 -- job {port}", "give it ports, as in `--ports 8080-8082`"),
        ("run --workers 2 --name a.b -- job", "`a.b` is not a pool name"),
        ("run --grace 5 --workers 2 -- job", "did you mean `5s`?"),
        ("rum", "Usage: pm"),
    ] {
        let arguments: Vec<_> = arguments.split(' ').collect();
        let text = refused(&arguments);
        assert!(text.contains(right), "{arguments:?}: {text}");
    }
}
