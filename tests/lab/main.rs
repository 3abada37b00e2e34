//! pm with the lab's own programs: real Deno, web.ts, proxy.ts, the ports 8080, 8081, 8082 and 1337.
//!
//! `make test-typescript` runs it small. `make proof` runs it with the numbers of the README and prints them. One test
//! at a time has the ports. Without Deno the tests are skipped.

mod edits;
mod rig;
mod session;
#[path = "../support/mod.rs"]
mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::rig::{Lab, PORTS, held_demo, sized};
use crate::support::ports::is_free;
use crate::support::proc_events::{ProcEvents, What};
use crate::support::processes;
use crate::support::run_mode::{is_proof, proof, skip, skip_without_deno};
use crate::support::terminal::Terminal;
use crate::support::waiting::{eventually, for_as_long_as};

const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn no_request_fails_while_workers_crash_at_random() {
    if skip_without_deno() {
        return;
    }
    let lab = Lab::with_the_monkey();
    let proxy = lab.proxy();
    let closed = sized(1_000, 10_000).to_string();
    proof("eight at a time", &lab.load(&["--requests", &closed, "--workers", "8"]));
    let open = sized(200, 2_000).to_string();
    proof("100 a second", &lab.load(&["--requests", &open, "--rate", "100"]));
    let strikes = lab.says.with("exited 255").len();
    proof("the monkey struck", &format!("{strikes} times"));
    assert!(strikes > 0, "without a crash this proves nothing");
    drop(proxy);
    lab.stop();
}

#[test]
fn without_a_proxy_no_connection_to_a_held_port_is_refused() {
    if skip_without_deno() {
        return;
    }
    let output = held_demo(sized(100, 1_000));
    let (said, why) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{why}");
    let result = said.lines().last().unwrap_or_default();
    proof("on held ports", result);
    assert!(result.contains(" 0 refused,") && !result.ends_with(" 0 kills"), "{result}");
}

#[test]
fn a_killed_worker_is_replaced_on_its_port_and_the_others_are_untouched() {
    if skip_without_deno() {
        return;
    }
    let lab = Lab::without_the_monkey();
    let proxy = lab.proxy();
    let events = ProcEvents::listen();
    let kills = sized(20, 300);
    let mut pids = lab.wait_all_ready();
    let mut respawns = Vec::new();
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        let visitors = scope.spawn(|| {
            let mut visits = 0;
            while !is_done.load(Ordering::Relaxed) {
                lab.load(&["--requests", "500", "--workers", "8"]);
                visits += 500;
            }
            visits
        });
        let end = Finally(&is_done);
        for kill in 0..kills {
            let n = fastrand::usize(0..PORTS.len());
            processes::send(Signal::SIGKILL, pids[n]);
            if let Ok(events) = &events {
                respawns.push(respawn(events, lab.reactor(), pids[n]));
            }
            pids[n] = lab.wait_ready_again(n, pids[n]);
            assert_eq!(lab.workers(), pids, "kill {kill}: only {} changed", PORTS[n]);
        }
        drop(end);
        let visits = visitors.join().expect("no request has failed");
        proof("kills under load", &format!("{kills}, with {visits} requests and 0 failures"));
    });
    for said in [lab.says.all(), lab.prints.all()] {
        assert!(
            !said.iter().any(|line| line.contains("AddrInUse") || line.contains("has this port"))
        );
    }
    match events {
        Ok(_) => proof("death to exec of the next", &percentiles(respawns)),
        Err(error) => skip(format!("death to exec of the next is not measured: {error}")),
    }
    drop(proxy);
    lab.stop();
}

#[test]
fn three_workers_killed_at_once_are_all_replaced() {
    if skip_without_deno() {
        return;
    }
    let lab = Lab::with_the_monkey();
    let massacres = sized(5, 50);
    for _ in 0..massacres {
        let before = lab.wait_all_ready();
        for pid in &before {
            processes::send(Signal::SIGKILL, *pid);
        }
        for (n, pid) in before.iter().enumerate() {
            lab.wait_ready_again(n, *pid);
        }
    }
    assert_eq!(lab.says.with("was killed by SIGKILL").len(), massacres * PORTS.len());
    proof("all three killed at once", &format!("{massacres} times, three new ones each time"));
    lab.stop();
}

#[test]
fn every_stop_signal_leaves_no_process_and_no_used_port() {
    if skip_without_deno() {
        return;
    }
    let ways = [None, Some(Signal::SIGTERM), Some(Signal::SIGHUP), Some(Signal::SIGQUIT)];
    for way in ways {
        let terminal = Terminal::open();
        let modes = terminal.modes();
        let mut lab = Lab::in_terminal(&terminal);
        let workers = lab.wait_all_ready();
        let events = ProcEvents::listen();
        match way {
            None => terminal.type_keys("\x03"),
            Some(signal) => processes::send(signal, lab.pid()),
        }
        let name = way.map_or("Ctrl-C", Signal::as_str);
        let gap = events.map(|events| gap(&events, &workers, lab.pid()));
        let status = lab.wait_end();
        assert_eq!(status.code(), Some(0), "{name}: {status}");
        for pid in workers {
            assert!(!processes::is_alive(pid), "{name}: {pid} is left");
        }
        assert!(PORTS.iter().all(|port| is_free(*port)), "{name}: a port is not free");
        assert_eq!(terminal.modes(), modes, "{name}: the modes of the terminal");
        match gap {
            Ok(gap) => {
                assert!(gap < Duration::from_millis(100), "{name}: {gap:?}");
                proof(name, &format!("status 0, gone {gap:.1?} after its last worker"));
            }
            Err(error) => skip(format!("{name}: the gap is not measured: {error}")),
        }
    }
}

#[test]
fn a_script_with_a_syntax_error_backs_off_and_becomes_ready_once_repaired() {
    if skip_without_deno() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("web.ts");
    std::fs::write(&script, "let port: = 8080;\n").expect("a broken script");
    let lab = Lab::in_folder(folder.path());
    let began = Instant::now();
    let slowest = sized(400, 10_000);
    lab.says.wait_for_all(&["web.1 exited 1", "before it was ready", "starting generation"]);
    let mut expected = 100;
    let mut seen = 0;
    while expected <= slowest {
        seen += 1;
        let lines = eventually(&format!("a rest of {expected} ms"), || {
            let lines = lab.says.with("web.1 exited 1 ");
            let rests: Vec<_> = lines.iter().filter(|line| line.contains("next try in")).collect();
            (rests.len() >= seen).then(|| rests[seen - 1].clone())
        });
        let rest = millis(lines.rsplit_once("next try in ").expect("a rest").1);
        assert!((expected..=expected + expected / 10 + 100).contains(&rest), "{expected}: {lines}");
        if expected == slowest {
            break;
        }
        expected = (expected * 2).min(slowest);
    }
    let share = lab.processor_time().as_secs_f64() / began.elapsed().as_secs_f64();
    // A debug build is several times slower, and its start counts for much in a short run.
    assert!(share < if is_proof() { 0.01 } else { 0.5 }, "{share}");
    proof("a broken script", &format!("rests to {slowest} ms, {:.2} % of a core", share * 100.0));
    lab.repair(folder.path());
    lab.wait_all_ready();
    proof("repaired", "it comes up by itself");
    lab.stop();
}

#[test]
fn an_idle_pm_has_no_wakeup_and_stays_small() {
    if skip_without_deno() {
        return;
    }
    let lab = Lab::with_the_monkey();
    lab.wait_all_ready();
    let rest = Duration::from_secs(sized(2, 30) as u64);
    let both = [lab.pid(), lab.reactor()];
    let switches = || both.map(processes::context_switches);
    let settled = eventually("pm goes to sleep", || {
        let before = switches();
        for_as_long_as(Duration::from_millis(300), || {});
        (before == switches()).then_some(before)
    });
    for_as_long_as(rest, || {});
    assert_eq!(switches(), settled);
    let resident = both.map(|pid| kib(&processes::status(pid, "VmRSS")));
    let shared_fairly = both.map(proportional_kib).iter().sum::<u64>();
    // A debug build is several times larger.
    let most = if is_proof() { 3 * 1024 } else { 16 * 1024 };
    assert!(shared_fairly < most, "{shared_fairly} kB");
    proof(
        "idle",
        &format!(
            "0 context switches in {rest:?}; guard {} kB, reactor {} kB resident, \
             {shared_fairly} kB together without counting shared pages twice",
            resident[0], resident[1]
        ),
    );
    lab.stop();
}

/// The time from the death of this worker to the exec of the next process that pm forks, by the kernel's record.
fn respawn(events: &ProcEvents, pm: Pid, worker: Pid) -> Duration {
    let (mut died, mut next) = (None, None);
    loop {
        let (when, what) = events.next(PATIENCE).expect("the connector").expect("a respawn");
        match what {
            What::Exited { pid } if pid == worker.as_raw() => died = Some(when),
            What::Forked { parent, child } if parent == pm.as_raw() => next = Some(child),
            What::Execd { pid } if next == Some(pid) => {
                return Duration::from_nanos(when - died.expect("a death before the next worker"));
            }
            What::Exited { .. } | What::Forked { .. } | What::Execd { .. } => {}
        }
    }
}

/// The time from the end of the last worker to the end of pm, by the kernel's record.
fn gap(events: &ProcEvents, workers: &[Pid], pm: Pid) -> Duration {
    let mut last = 0;
    loop {
        let (when, what) = events.next(PATIENCE).expect("the connector").expect("an end");
        match what {
            What::Exited { pid } if pid == pm.as_raw() => return Duration::from_nanos(when - last),
            What::Exited { pid } if workers.contains(&Pid::from_raw(pid)) => last = when,
            What::Exited { .. } | What::Forked { .. } | What::Execd { .. } => {}
        }
    }
}

/// Memory in KiB. A page that n processes share counts 1/n (proc(5), smaps_rollup, Pss).
fn proportional_kib(pid: Pid) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("a living pm");
    kib(text.lines().find_map(|line| line.strip_prefix("Pss:")).expect("Pss"))
}

fn kib(text: &str) -> u64 {
    text.trim().trim_end_matches(" kB").parse().expect("a number")
}

fn percentiles(mut samples: Vec<Duration>) -> String {
    samples.sort();
    let at = |p: usize| samples[(samples.len() * p / 100).min(samples.len() - 1)];
    format!("p50 {:.2?}, p99 {:.2?}", at(50), at(99))
}

/// Reads a duration as pm prints it: `104ms`, `1.6s`, `11s`.
fn millis(text: &str) -> usize {
    let (number, factor) = match text.strip_suffix("ms") {
        Some(number) => (number, 1.0),
        None => (text.strip_suffix('s').expect("seconds"), 1_000.0),
    };
    (number.parse::<f64>().expect("a number") * factor) as usize
}

/// Its drop sets the flag, also when the test fails, so that the other thread ends.
struct Finally<'a>(&'a AtomicBool);

impl Drop for Finally<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
