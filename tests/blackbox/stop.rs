//! How pm stops, and its exit status. No process is left.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::{self, SIGHUP, SIGINT, SIGQUIT, SIGSTOP, SIGTERM};
use nix::sys::signal::kill;
use nix::sys::termios::LocalFlags;
use nix::unistd::Pid;

use crate::support::pm::{Pm, ask};
use crate::support::pool::Pool;
use crate::support::processes::{is_alive, send, state, status};
use crate::support::programs::{pm_binary, shell, worker, worker_text};
use crate::support::run_mode::{is_proof, size, skip_without};
use crate::support::terminal::Terminal;
use crate::support::waiting::{eventually, for_as_long_as};

/// Three workers, each with a child in its group, all ready.
fn three() -> Pool {
    Pool::of(worker("child stay listen {port} stay")).on_ports(3)
}

fn stops_by(signal: Signal) {
    let mut pm = three().start();
    pm.wait_all_ready(3);
    pm.wait_members(6);
    pm.signal(signal);
    pm.wait_exit(0);
    pm.says.wait_for(&format!("{signal}: stopping 3 workers; SIGKILL in 5s"));
    pm.says.wait_for("all workers stopped after");
}

#[test]
fn sigterm_stops_all_workers() {
    stops_by(SIGTERM);
}

#[test]
fn sigint_stops_all_workers() {
    stops_by(SIGINT);
}

#[test]
fn sighup_stops_all_workers() {
    stops_by(SIGHUP);
}

#[test]
fn sigquit_kills_all_workers() {
    let orders = "child ignore+TERM+stay drain 60000 listen {port} stay";
    let mut pm = Pool::of(worker(orders)).on_ports(3).start();
    pm.wait_all_ready(3);
    pm.wait_members(6);
    pm.signal(SIGQUIT);
    pm.wait_exit(0);
    pm.says.wait_for("SIGQUIT: killing 3 workers");
}

#[test]
fn ctrl_c_in_a_terminal_stops_all_workers_and_keeps_the_terminal_modes() {
    let terminal = Terminal::open();
    let mut modes = terminal.modes();
    // Different from what a shell sets, so that a reset to the default would be seen.
    modes.local_flags.remove(LocalFlags::ECHO | LocalFlags::ECHOE);
    modes.local_flags.insert(LocalFlags::TOSTOP);
    terminal.set_modes(&modes);
    let before = terminal.modes();
    let mut pm = three().in_terminal(&terminal).start();
    pm.wait_all_ready(3);
    assert_eq!(terminal.modes(), before);
    terminal.type_keys("\x03");
    pm.wait_exit(0);
    pm.says.wait_for("SIGINT: stopping 3 workers");
    pm.says.wait_for("all workers stopped after");
    assert_eq!(terminal.modes(), before);
}

#[test]
fn a_second_ctrl_c_kills_at_once() {
    let terminal = Terminal::open();
    let pool = Pool::of(worker("ignore TERM child ignore+TERM+stay listen {port} stay"));
    let mut pm = pool.on_ports(2).option("--grace", "1h").in_terminal(&terminal).start();
    pm.wait_all_ready(2);
    pm.wait_members(4);
    terminal.type_keys("\x03");
    pm.says.wait_for("SIGINT: stopping 2 workers; SIGKILL in 1h, or at once if asked again");
    eventually("pm kills after another signal", || {
        terminal.type_keys("\x03");
        // A Ctrl-C discards what the terminal has not shown yet (termios(3), NOFLSH), and this may be that line.
        (pm.has_ended() || !pm.says.with("SIGINT: killing 2 workers").is_empty()).then_some(())
    });
    pm.wait_exit(0);
}

#[test]
fn a_signal_sent_twice_at_once_counts_once() {
    // timeout(1) does this: it signals pm, and then the process group of pm.
    let is_fast = || {
        let pool = Pool::of(worker("drain 200 listen {port} stay")).on_ports(1);
        let mut pm = pool.start();
        pm.wait_all_ready(1);
        let began = Instant::now();
        pm.signal(SIGTERM);
        pm.says.wait_for("SIGTERM: stopping 1 worker");
        pm.signal(SIGTERM);
        let is_fast = began.elapsed() < Duration::from_millis(12);
        pm.wait_exit(0);
        assert!(!is_fast || pm.says.with("killing").is_empty());
        assert!(!is_fast || pm.prints.with("drained").len() == 1, "it had its grace");
        is_fast
    };
    eventually("both signals were sent within 12 ms", || is_fast().then_some(()));
}

#[test]
fn a_sigterm_after_a_sigint_kills_at_once() {
    let pool = Pool::of(worker("ignore TERM listen {port} stay")).option("--grace", "1h");
    let mut pm = pool.on_ports(1).start();
    pm.wait_all_ready(1);
    pm.signal(SIGINT);
    pm.says.wait_for("SIGINT: stopping 1 worker");
    eventually("pm kills after another signal", || {
        pm.signal(SIGTERM);
        (!pm.says.with("SIGTERM: killing 1 worker").is_empty()).then_some(())
    });
    pm.wait_exit(0);
}

#[test]
fn a_signal_during_the_start_of_pm_is_not_lost() {
    const TERM: u64 = 1 << (SIGTERM as u64 - 1);
    for _ in 0..20 {
        let mut pm = Pool::of(worker("listen {port} stay")).on_ports(1).start();
        // From its first instruction on, the reactor either blocks the signal or has a handler for it.
        let children = format!("/proc/{0}/task/{0}/children", pm.pid());
        let reactor = loop {
            let list = std::fs::read_to_string(&children).expect("pm lives");
            if let Some(pid) = list.split_whitespace().next() {
                break Pid::from_raw(pid.parse().expect("a number"));
            }
        };
        while pm.says.with("is ready").is_empty() {
            let mask = |name| u64::from_str_radix(&status(reactor, name), 16).expect("a mask");
            let (blocked, caught) = (mask("SigBlk"), mask("SigCgt"));
            // The masks are read one after the other. pm installs the handler before it unblocks the signal, so the
            // handlers are read once more.
            assert_ne!((blocked | caught | mask("SigCgt")) & TERM, 0);
        }
        pm.signal(SIGTERM);
        pm.wait_exit(0);
    }
}

#[test]
fn a_closed_terminal_stops_all_workers() {
    let terminal = Terminal::open();
    let mut pm = three().in_terminal(&terminal).start();
    pm.wait_all_ready(3);
    drop(terminal);
    pm.wait_exit(0);
}

#[test]
fn a_second_sighup_does_not_kill() {
    let pool = Pool::of(worker("drain 400 listen {port} stay")).option("--grace", "1h");
    let mut pm = pool.on_ports(1).start();
    pm.wait_all_ready(1);
    pm.signal(SIGHUP);
    pm.says.wait_for("SIGHUP: stopping 1 worker");
    pm.signal(SIGHUP);
    pm.wait_exit(0);
    assert_eq!(pm.prints.wait_for_many(1, "drained").len(), 1, "it had its grace");
}

#[test]
fn a_signal_that_was_ignored_when_pm_started_stays_ignored() {
    let pool = Pool::of(worker("listen {port} stay")).on_ports(1);
    let pm = pool.after("trap '' HUP INT").start();
    pm.wait_all_ready(1);
    pm.signal(SIGHUP);
    pm.signal(SIGINT);
    ask(pm.ports[0], "exit 255");
    pm.wait_ready(1, 2);
    assert_eq!(pm.says.with("stopping"), [""; 0]);
    pm.stop();
}

#[test]
fn a_process_that_ignores_the_stop_signal_is_named_with_the_time_left_and_then_killed() {
    let pool = Pool::of(worker("child ignore+TERM+stay listen {port} stay"));
    let mut pm = pool.on_ports(1).option("--grace", "2s").start();
    let leader = pm.wait_ready(1, 1);
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
    let named = format!("did not stop within 2s: pid {child} (worker) ignores SIGTERM; killing it");
    pm.says.wait_for(&named);
    pm.wait_exit(0);
}

#[test]
fn a_process_that_blocks_the_stop_signal_is_named() {
    let pool = Pool::of(worker("block TERM listen {port} stay"));
    let mut pm = pool.on_ports(1).option("--grace", "1500ms").start();
    let leader = pm.wait_ready(1, 1);
    pm.signal(SIGTERM);
    pm.says.wait_for(&format!("pid {leader} (worker) blocks SIGTERM"));
    pm.wait_exit(0);
}

/// A pool of many workers that are slow to stop, all of which can be asked to.
fn many_slow(orders: &str, grace: &str) -> (Pm, usize) {
    let workers = size("PM_TEST_SLOW", 200, 1_000) as usize;
    let pool = Pool::of(worker(orders)).of_size(workers);
    let pm = pool.option("--grace", grace).start();
    pm.prints.wait_for_many(workers, "up");
    (pm, workers)
}

#[test]
fn many_workers_that_are_slow_to_stop_do_not_delay_the_end() {
    let (mut pm, workers) = many_slow("drain 1500 say up stay", "5s");
    let began = Instant::now();
    pm.signal(SIGTERM);
    pm.wait_end();
    let took = began.elapsed();
    pm.wait_exit(0);
    assert_eq!(pm.prints.with("drained").len(), workers);
    assert_eq!(pm.says.with("did not stop within"), [""; 0]);
    let rounds = pm.says.with("more workers are still stopping; SIGKILL in ").len();
    let named = pm.says.with("is still stopping: pid ").len();
    assert!(rounds >= 1 && named <= 5 * rounds, "{named} workers named in {rounds} reports");
    println!("proof: {workers} workers that need 1.5 s stopped in {took:?}");
    assert!(!is_proof() || took < Duration::from_millis(1_800), "{took:?}");
}

#[test]
fn a_second_ctrl_c_is_acted_on_while_many_workers_delay_the_stop() {
    let (mut pm, workers) = many_slow("ignore TERM say up stay", "1h");
    pm.signal(SIGTERM);
    pm.says.wait_for(&format!("and {} more workers are still stopping", workers - 5));
    let began = Instant::now();
    pm.signal(SIGTERM);
    pm.says.wait_for(&format!("SIGTERM: killing {workers} workers"));
    let took = began.elapsed();
    pm.wait_exit(0);
    println!("proof: a second SIGTERM was acted on after {took:?} beside {workers} workers");
    assert!(!is_proof() || took < Duration::from_millis(100), "{took:?}");
}

#[test]
fn many_graces_that_are_over_at_once_kill_at_once() {
    let (mut pm, workers) = many_slow("ignore TERM say up stay", "300ms");
    pm.signal(SIGTERM);
    pm.wait_exit(0);
    assert_eq!(pm.says.with("did not stop within 300ms").len(), workers);
    assert_eq!(pm.says.with("did not stop within 300ms: pid ").len(), 5);
}

/// Stops guard, reactor and workers by SIGSTOP for this long.
fn freeze(pm: &Pm, time: Duration) {
    let mut all = vec![pm.pid(), pm.reactor()];
    all.extend(pm.members().iter().map(|member| member.pid));
    all.iter().for_each(|pid| send(SIGSTOP, *pid));
    let are_stopped = || all.iter().all(|pid| state(*pid) == Some('T'));
    eventually("all are stopped", || are_stopped().then_some(()));
    for_as_long_as(time, || assert!(are_stopped()));
    for pid in all {
        // pm continues its workers too, so a worker may have ended by now.
        let _ = kill(pid, Signal::SIGCONT);
    }
}

#[test]
fn a_grace_is_not_over_while_pm_and_its_workers_are_stopped() {
    let pool = Pool::of(worker("drain 700 say up stay")).of_size(1);
    let mut pm = pool.option("--grace", "2s").start();
    pm.prints.wait_for("up");
    pm.signal(SIGTERM);
    pm.says.wait_for("SIGTERM: stopping 1 worker");
    freeze(&pm, Duration::from_millis(2_500));
    pm.wait_exit(0);
    assert_eq!(pm.says.with("did not stop within"), [""; 0]);
    assert_eq!(pm.prints.with("drained").len(), 1);
}

/// Stops a pool of one Python worker that runs this script, with a grace of 1.5 s, after `before` has happened to it.
/// Returns the first line on what delays the stop.
fn delay_of(script: &str, before: impl FnOnce(Pid)) -> String {
    let script = format!("import ctypes, platform, signal, sys, threading, time\n{script}");
    let command = ["python3", "-c", &script].map(Into::into).to_vec();
    let mut pm = Pool::of(command).of_size(1).option("--grace", "1500ms").start();
    pm.prints.wait_for("up");
    let leader = pm.wait_ready(1, 1);
    before(leader);
    pm.signal(SIGTERM);
    let line = pm.says.wait_for("is still ");
    assert!(line.contains(&format!("pid {leader} (")), "{line}");
    pm.wait_end();
    line
}

#[test]
fn a_process_whose_first_thread_has_ended_is_named() {
    if skip_without(&["python3".into()]) {
        return;
    }
    let line = delay_of(
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n\
         threading.Thread(target=lambda: time.sleep(1000)).start()\n\
         print('up', flush=True)\n\
         exit = 93 if platform.machine() in ('aarch64', 'riscv64') else 60\n\
         ctypes.CDLL(None).syscall(exit, 0)",
        |leader| eventually("its first thread ends", || (state(leader) == Some('Z')).then_some(())),
    );
    assert!(line.contains(" has 1 thread besides its first, which has ended"), "{line}");
}

#[test]
fn a_dead_process_that_a_debugger_keeps_is_named_with_the_debugger() {
    if skip_without(&["python3".into()]) {
        return;
    }
    let tracer = "import ctypes, sys, time\n\
                  # PTRACE_SEIZE\n\
                  print(ctypes.CDLL(None).ptrace(0x4206, int(sys.argv[1]), 0, 0), flush=True)\n\
                  time.sleep(1000)";
    let mut debugger = None;
    let line = delay_of("print('up', flush=True)\ntime.sleep(1000)", |leader| {
        let mut command = Command::new("python3");
        command.args(["-c", tracer, &leader.to_string()]).stdout(Stdio::piped());
        let mut child = command.spawn().expect("python3");
        let mut answer = String::new();
        let out = child.stdout.take().expect("a pipe");
        BufReader::new(out).read_line(&mut answer).expect("an answer");
        assert_eq!(answer.trim(), "0", "the tracer may trace it");
        send(Signal::SIGKILL, leader);
        eventually("it is dead", || (state(leader) == Some('Z')).then_some(()));
        let pid = child.id();
        // It lets go of the dead process long after this has been reported.
        std::thread::spawn(move || {
            for_as_long_as(Duration::from_secs(4), || {});
            child.kill().expect("a child");
            child.wait().expect("a child");
        });
        debugger = Some(pid);
    });
    let debugger = debugger.expect("it was started");
    assert!(line.contains(&format!(" is dead, and pid {debugger}, which traces it")), "{line}");
}

#[test]
fn a_grace_of_0_kills_at_once() {
    let pool = Pool::of(worker("ignore TERM child ignore+TERM+stay listen {port} stay"));
    let mut pm = pool.on_ports(2).option("--grace", "0s").start();
    pm.wait_all_ready(2);
    pm.wait_members(4);
    pm.signal(SIGTERM);
    pm.wait_exit(0);
    pm.says.wait_for("SIGTERM: killing 2 workers");
    assert_eq!(pm.says.with("did not stop within"), [""; 0]);
}

#[test]
fn processes_that_outlive_their_group_leader_keep_the_rest_of_the_grace() {
    let pool = Pool::of(worker("child drain+400+say+up+stay listen {port} stay"));
    let mut pm = pool.on_ports(1).option("--grace", "1h").start();
    let leader = pm.wait_ready(1, 1);
    pm.prints.wait_for("up");
    pm.signal(SIGTERM);
    eventually("the leader is gone", || (!is_alive(leader)).then_some(()));
    pm.wait_exit(0);
    assert_eq!(pm.prints.wait_for_many(1, "drained").len(), 1);
}

#[test]
fn a_suspended_worker_is_continued_so_that_it_can_stop() {
    let pool = Pool::of(worker("drain 0 listen {port} stay")).option("--grace", "1h");
    let mut pm = pool.on_ports(1).start();
    let worker = pm.wait_ready(1, 1);
    send(SIGSTOP, worker);
    eventually("it is stopped", || (state(worker) == Some('T')).then_some(()));
    // Not by way of the guard: it sends SIGCONT after the signal, which the reactor passes on.
    send(SIGTERM, pm.reactor());
    pm.wait_exit(0);
    assert_eq!(pm.prints.wait_for_many(1, "drained").len(), 1);
}

#[test]
fn processes_that_left_the_group_do_not_outlive_pm() {
    // One child with its own session, and a daemon, whose parent has ended.
    let orders = "child ignore+TERM+setsid+stay child setsid+child+stay+exit+0 listen {port} stay";
    let mut pm = Pool::of(worker(orders)).on_ports(1).start();
    let leader = pm.wait_ready(1, 1);
    eventually("two have left the group", || {
        let members = pm.members();
        let away = members.iter().filter(|member| member.group != leader).count();
        (members.len() == 3 && away == 2).then_some(())
    });
    pm.signal(SIGTERM);
    pm.wait_exit(0);
}

#[test]
fn no_worker_starts_after_a_stop_during_many_exits() {
    for round in 0..20 {
        let mut pm = Pool::of(worker("say up await {port} exit 255")).on_ports(3).start();
        pm.says.wait_for_many(5 + round, "exited 255");
        pm.signal(SIGTERM);
        pm.wait_exit(0);
        let lines = pm.says.all_to_the_end();
        let stop = lines.iter().position(|line| line.contains("SIGTERM: "));
        let after = &lines[stop.expect("the stop is reported") + 1..];
        for absent in ["starting generation", "next try", "is ready", "cannot start"] {
            assert!(!after.iter().any(|line| line.contains(absent)), "{after:#?}");
        }
    }
}

#[test]
fn a_stop_during_a_backoff_ends_at_once() {
    let mut pm = Pool::of(worker("exit 1")).on_ports(1).start();
    pm.says.wait_for("next try in 8");
    pm.signal(SIGTERM);
    pm.wait_exit(0);
    pm.says.wait_for("SIGTERM: no worker to stop");
    assert_eq!(pm.says.with("SIGTERM: killing"), [""; 0], "a SIGTERM does not kill at once");
}

#[test]
fn pm_ends_when_its_last_worker_has_ended() {
    let late = (0..3).map(|_| {
        let mut pm = Pool::of(worker("drain 300 listen {port} stay")).on_ports(1).start();
        pm.wait_all_ready(1);
        let connection = TcpStream::connect((Ipv4Addr::LOCALHOST, pm.ports[0])).unwrap();
        assert_eq!(
            ask(pm.ports[0], "pid"),
            pm.wait_ready(1, 1).to_string(),
            "it has accepted both"
        );
        pm.signal(SIGTERM);
        // The connection ends when the worker ends.
        let _ = BufReader::new(connection).lines().count();
        let gone = Instant::now();
        pm.wait_exit(0);
        gone.elapsed()
    });
    // A busy machine may delay one of three, but not all.
    let late = late.min().expect("three");
    println!("pm ended {late:?} after its last worker");
    assert!(late < Duration::from_secs(1), "{late:?}");
}

#[test]
fn ctrl_z_suspends_pm_and_its_workers_and_sigcont_continues_them() {
    let terminal = Terminal::open();
    let mut pm = three().in_terminal(&terminal).start();
    let workers = pm.wait_all_ready(3);
    let all: Vec<_> = workers.into_iter().chain([pm.reactor(), pm.pid()]).collect();
    let are = |wanted: &[char]| {
        all.iter().all(|pid| state(*pid).is_some_and(|state| wanted.contains(&state))).then_some(())
    };
    terminal.type_keys("\x1a");
    eventually("everything is stopped", || are(&['T']));
    pm.signal(Signal::SIGCONT);
    eventually("everything goes on", || are(&['S', 'R']));
    terminal.type_keys("\x03");
    pm.wait_exit(0);
}

#[test]
fn usr1_and_usr2_do_not_end_pm() {
    let pm = Pool::of(worker("listen {port} stay")).on_ports(1).start();
    let before = pm.wait_ready(1, 1);
    let answers = [
        (Signal::SIGUSR1, "reload refused: the pool is on the command line"),
        (Signal::SIGUSR2, "SIGUSR2: ignored"),
    ];
    for (signal, answer) in answers {
        pm.signal(signal);
        pm.says.wait_for(answer);
    }
    assert!(is_alive(before));
    pm.stop();
}

fn ends_by_itself(restart: &str, script: &str, workers: usize) -> Pm {
    Pool::of(shell(script)).of_size(workers).option("--restart", restart).start()
}

#[test]
fn when_all_workers_have_ended_pm_exits_with_the_first_status_that_is_not_0() {
    ends_by_itself("never", "exit 0", 2).wait_exit(0);
    ends_by_itself("never", "exit $(({n} == 2 ? 7 : 0))", 3).wait_exit(7);
    ends_by_itself("never", "kill -SEGV $$", 1).wait_exit(128 + 11);
}

#[test]
fn the_first_failure_in_time_decides_the_exit_status() {
    let script = "test {n} = 2 && exit 4; while test -d \"/proc/$PPID\"; do :; done";
    let mut pm = ends_by_itself("never", script, 2);
    pm.says.wait_for("exited 4");
    let other = pm.wait_members(1)[0].pid;
    send(SIGTERM, other);
    pm.wait_exit(4);
}

#[test]
fn on_failure_restarts_until_it_succeeds() {
    let mut pm = ends_by_itself("on-failure", "exit $((3 - PM_GENERATION))", 1);
    pm.wait_exit(0);
    assert_eq!(pm.says.with("before it was ready").len(), 2);
    assert_eq!(pm.says.with("exited 0").len(), 1);
}

#[test]
fn giving_up_exits_1() {
    let pool = Pool::of(worker("exit 9")).on_ports(1).option("--give-up-after", "3");
    let mut pm = pool.start();
    pm.wait_exit(1);
    let lines = pm.says.with("exited 9");
    assert_eq!(lines.len(), 3);
    assert!(lines[2].ends_with("giving up"), "{lines:?}");
}

#[test]
fn one_slot_that_gave_up_does_not_end_the_others() {
    let serve = worker_text("listen {port} stay");
    let pool = Pool::of(shell(&format!("test {{n}} = 1 && exit 9; exec {serve}"))).on_ports(2);
    let pm = pool.option("--give-up-after", "2").start();
    pm.says.wait_for("giving up");
    pm.wait_ready(2, 1);
    ask(pm.ports[1], "exit 255");
    pm.wait_ready(2, 2);
    pm.stop();
}

fn refused(arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = Command::new(pm_binary())
        .args(arguments)
        .env("PM_SOCKET", "none")
        .output()
        .expect("pm can be started");
    assert_eq!(status.code(), Some(2), "{arguments:?}");
    assert_eq!(stdout, b"");
    String::from_utf8(stderr).expect("text")
}

#[test]
fn bad_usage_exits_2_with_a_hint() {
    for (arguments, right) in [
        ("run --ports 8082-8080 -- job", "did you mean `8080-8082`?"),
        ("run --ports 8080,8080 -- job", "port 8080 is listed twice"),
        ("run --ports 8080", "<CMD>"),
        ("run --port 8080 -- job", "did you mean `--ports 8080`?"),
        ("run -- job", "`--ports 8080-8082` (one worker for each port) or `--workers N`"),
        ("run --workers 0 -- job", "give 1 to 50000"),
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
