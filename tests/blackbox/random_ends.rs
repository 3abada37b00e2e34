//! No survivors, at random: a random pool with random descendants ends at a random moment in a random way.
//!
//! `PM_FAULT_RUNS` says how many runs there are; `PM_FAULT_SEED` replays the one that a failure names, as often as
//! `PM_FAULT_RUNS` says. `PM_FAULT_LATE_S` is how long after the grace somebody may be left. A seed fixes all but the
//! races, so a rare failure may want some replays.
//!
//! One way is left out: guard and reactor killed in the same instant, after which nobody is there to sweep
//! (`matrix.rs` has that row).

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use procfs::process::Process;

use crate::support::pm::Pm;
use crate::support::pool::Pool;
use crate::support::ports::is_free;
use crate::support::processes::{self, Member, children_of, is_alive};
use crate::support::programs::{shell, worker_text};
use crate::support::run_mode::size;
use crate::support::terminal::Terminal;
use crate::support::waiting::{eventually, for_as_long_as};

/// What is added to the grace before all must be gone, in seconds: as promised for the proof, on a machine that does
/// nothing else; longer where many tests run at once.
const ALLOWANCE_S: (u64, u64) = (10, 2);

const RUNS_AT_ONCE: usize = 4;
const DESCENDANTS_MAX: u32 = 20;
const DEPTH_MAX: u32 = 3;

/// What happens in one run; all of it comes from the seed.
#[derive(Debug)]
struct Script {
    pool_size: usize,
    has_ports: bool,
    grace: Duration,
    /// What each worker does before it serves.
    descendants: String,
    moment: Moment,
    /// From the moment to the end.
    pause: Duration,
    way: Way,
    in_terminal: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Started,
    /// The workers are there and take their time.
    NotReady,
    Ready,
    /// A worker has just been killed.
    Crashing,
    /// A SIGTERM has been sent.
    Stopping,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    CtrlC,
    Closed,
    /// To pm, as everybody knows it.
    Asked(Signal),
    AskedTwice(Duration),
    ReactorBy(Signal),
    ReactorStoppedAndKilled,
    GuardKilled,
}

impl Script {
    fn of(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let graces = [0, 200, 1000].map(Duration::from_millis);
        let mut left = rng.u32(0..=DESCENDANTS_MAX);
        let mut descendants = String::new();
        while left > 0 {
            descendants += &descendant(&mut rng, 1, &mut left);
        }
        let moments =
            [Moment::Started, Moment::NotReady, Moment::Ready, Moment::Crashing, Moment::Stopping];
        let ways = [
            Way::CtrlC,
            Way::Closed,
            Way::Asked(Signal::SIGTERM),
            Way::Asked(Signal::SIGHUP),
            Way::Asked(Signal::SIGQUIT),
            Way::AskedTwice(Duration::from_millis(rng.u64(0..=300))),
            Way::ReactorBy(Signal::SIGKILL),
            Way::ReactorBy(Signal::SIGABRT),
            Way::ReactorBy(Signal::SIGSEGV),
            Way::ReactorStoppedAndKilled,
            Way::GuardKilled,
        ];
        let way = *rng.choice(&ways).expect("a way");
        Self {
            pool_size: rng.usize(1..=3),
            has_ports: rng.bool(),
            grace: *rng.choice(&graces).expect("a grace"),
            descendants,
            moment: *rng.choice(&moments).expect("a moment"),
            pause: Duration::from_millis(rng.u64(0..=300)),
            way,
            in_terminal: matches!(way, Way::CtrlC | Way::Closed) || rng.bool(),
        }
    }

    fn pool(&self) -> Pool {
        let wait = if self.moment == Moment::NotReady { "wait 500" } else { "" };
        let listen = if self.has_ports { "listen {port}" } else { "" };
        let serve = worker_text(&format!("{wait} {listen} stay"));
        let pool = Pool::of(shell(&format!("{}exec {serve}", self.descendants)));
        let pool = match self.has_ports {
            true => pool.on_ports(self.pool_size),
            false => pool.of_size(self.pool_size),
        };
        pool.option("--grace", &format!("{}ms", self.grace.as_millis()))
    }
}

/// Shell text that starts one more process, with others below it as long as there are some `left`.
fn descendant(rng: &mut Rng, depth: u32, left: &mut u32) -> String {
    *left -= 1;
    let mut below = String::new();
    while depth < DEPTH_MAX && *left > 0 && rng.bool() {
        below += &descendant(rng, depth + 1, left);
    }
    let stay = format!("{below}exec sleep 1000");
    match rng.u32(0..9) {
        0 | 1 => format!("({stay}) & "),
        2 => format!("(trap '' TERM; {stay}) & "),
        3 => format!("setsid sh -c {} & ", quoted(&stay)),
        // A daemon: its parent is gone at once.
        4 => format!("(setsid sh -c {}) ; ", quoted(&format!("{below}sleep 1000 & :"))),
        5 => format!("({stay}) & kill -STOP $! ; "),
        // What is killed below it comes back.
        6 => format!("(trap '' TERM HUP; {below}while :; do sleep 1000; done) & "),
        // Never the same pid for long.
        7 => format!("({below}while :; do sleep 0.05; done) & "),
        // New daemons again and again.
        8 => {
            let again = format!("{below}while :; do (setsid sleep 1 &) ; sleep 0.1; done");
            format!("setsid sh -c {} & ", quoted(&again))
        }
        _ => unreachable!("the range ends before"),
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The processes that are to be gone.
struct Run {
    pm: Pm,
    terminal: Option<Terminal>,
    reactor: Option<Pid>,
}

impl Run {
    fn start(script: &Script) -> Self {
        let terminal = script.in_terminal.then(Terminal::open);
        let pool = script.pool();
        let pm = match &terminal {
            Some(terminal) => pool.in_terminal(terminal),
            None => pool,
        }
        .start();
        let mut run = Self { pm, terminal, reactor: None };
        if run.terminal.is_some() {
            // Before that, no key would reach it.
            eventually("pm has the terminal", || {
                let stat = Process::new(run.pm.pid().as_raw()).ok()?.stat().ok()?;
                (stat.tpgid == stat.pgrp).then_some(())
            });
        }
        run.look_for_reactor();
        run
    }

    /// There is none before the fork, and none after its end.
    fn look_for_reactor(&mut self) {
        self.reactor = self.reactor.or_else(|| children_of(self.pm.pid()).first().copied());
    }

    fn reach(&mut self, script: &Script) {
        let Script { pool_size, has_ports, moment, pause, .. } = *script;
        match moment {
            Moment::Started => {}
            Moment::NotReady => {
                eventually("a worker", || (!self.pm.members().is_empty()).then_some(()));
            }
            Moment::Ready => drop(self.pm.are_ready(pool_size)),
            Moment::Crashing => {
                let workers = self.pm.are_ready(pool_size);
                processes::send(Signal::SIGKILL, workers[0]);
            }
            Moment::Stopping => {
                // Without ports a worker is ready before its descendants are there.
                if has_ports {
                    self.pm.are_ready(pool_size);
                }
                self.look_for_reactor();
                self.pm.signal(Signal::SIGTERM);
            }
        }
        for_as_long_as(pause, || {});
        self.look_for_reactor();
    }

    fn end(&mut self, way: Way) {
        match way {
            Way::CtrlC => self.terminal.as_ref().expect("a terminal").type_keys("\x03"),
            Way::Closed => self.terminal = None,
            Way::Asked(signal) => self.pm.signal(signal),
            Way::AskedTwice(pause) => {
                self.pm.signal(Signal::SIGTERM);
                for_as_long_as(pause, || {});
                self.pm.signal(Signal::SIGTERM);
            }
            Way::ReactorBy(signal) => {
                let reactor = self.reactor_or_nobody();
                // Rust's handler of SIGSEGV swallows the first one.
                eventually("the reactor is dead", || {
                    reactor.is_none_or(|pid| !is_killed(pid, signal)).then_some(())
                });
            }
            Way::ReactorStoppedAndKilled => {
                let Some(reactor) = self.reactor_or_nobody() else { return };
                let _ = kill(reactor, Signal::SIGSTOP);
                eventually("the reactor is stopped, or gone", || {
                    let state = processes::state(reactor);
                    matches!(state, None | Some('T' | 'Z' | 'X')).then_some(())
                });
                let _ = kill(reactor, Signal::SIGKILL);
            }
            Way::GuardKilled => self.pm.signal(Signal::SIGKILL),
        }
    }

    /// Waits for the fork, unless pm has ended.
    fn reactor_or_nobody(&mut self) -> Option<Pid> {
        eventually("a reactor, or the end of pm", || {
            self.look_for_reactor();
            (self.reactor.is_some() || !is_alive(self.pm.pid())).then_some(self.reactor)
        })
    }

    /// Who is left, and which ports.
    fn left(&self) -> (Vec<Member>, Vec<u16>, Vec<Pid>) {
        let own = [Some(self.pm.pid()), self.reactor].into_iter().flatten();
        let own = own.filter(|pid| is_alive(*pid)).collect();
        let ports = self.pm.ports.iter().copied().filter(|port| !is_free(*port)).collect();
        (self.pm.members(), ports, own)
    }

    /// Waits until nobody is left, and says who is when time is up.
    fn is_over_within(&self, limit: Duration) -> Result<(), String> {
        const LOOKS: u32 = 3;
        let start = Instant::now();
        let mut empty = 0;
        // A look takes its time, in which a process may show the environment of its parent: so one look is not enough.
        while empty < LOOKS {
            let is_late = start.elapsed() > limit;
            let (members, ports, own) = self.left();
            empty = match members.is_empty() && ports.is_empty() && own.is_empty() {
                true => empty + 1,
                false if is_late => {
                    let mut text = format!("after {:.1?}:\n", start.elapsed());
                    let pids = own.iter().copied().chain(members.iter().map(|one| one.pid));
                    pids.for_each(|pid| text += &described(pid));
                    writeln!(text, "ports still taken: {ports:?}").expect("a string");
                    return Err(text);
                }
                false => 0,
            };
            thread::park_timeout(Duration::from_millis(5));
        }
        Ok(())
    }
}

/// Sends it once more, as long as it lives.
fn is_killed(pid: Pid, signal: Signal) -> bool {
    is_alive(pid) && kill(pid, signal).is_ok()
}

fn described(pid: Pid) -> String {
    let Ok(process) = Process::new(pid.as_raw()) else { return format!("{pid}: gone by now\n") };
    let command = process.cmdline().map(|words| words.join(" ")).unwrap_or_default();
    match process.stat() {
        Ok(stat) => format!(
            "{pid}: state {}, parent {}, group {}, session {}: {command}\n",
            stat.state, stat.ppid, stat.pgrp, stat.session
        ),
        Err(_) => format!("{pid}: gone by now\n"),
    }
}

/// Plays one script, and says what is wrong afterwards.
fn play(seed: u64) -> Result<(), String> {
    let script = Script::of(seed);
    let allowance = Duration::from_secs(size("PM_FAULT_LATE_S", ALLOWANCE_S.0, ALLOWANCE_S.1));
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut run = Run::start(&script);
        run.reach(&script);
        run.end(script.way);
        run.is_over_within(script.grace + allowance)
            .map_err(|left| format!("{left}pm said:\n{}", run.pm.says.all().join("\n")))
    }));
    let what = match outcome {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(left)) => format!("somebody is left {left}"),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            text.unwrap_or_else(|| "a panic, see above".into())
        }
    };
    let again = format!("PM_FAULT_SEED={seed} cargo test --test blackbox faults");
    Err(format!("seed {seed}, replay by `{again}`\n{script:#?}\n{what}\n"))
}

#[test]
fn random_deaths_leave_nobody() {
    let replayed: Option<u64> =
        std::env::var("PM_FAULT_SEED").ok().map(|text| text.parse().expect("a number"));
    let usual = if replayed.is_some() { 1 } else { 12 };
    let runs = size("PM_FAULT_RUNS", usual, usual);
    let (begun, failures) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..RUNS_AT_ONCE {
            scope.spawn(|| {
                while begun.fetch_add(1, Ordering::Relaxed) < runs {
                    let seed = replayed.unwrap_or_else(|| fastrand::u32(..).into());
                    if let Err(failure) = play(seed) {
                        eprintln!("{failure}");
                        failures.lock().expect("a list").push(seed);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("a list");
    println!("faults: {runs} runs, {} with somebody left", failures.len());
    assert_eq!(failures, [0_u64; 0], "the seeds of the runs, described above, that left somebody");
}
