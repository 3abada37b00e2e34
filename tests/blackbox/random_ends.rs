//! No survivors, at random: a random pool with random descendants ends at a random moment in a random way.
//!
//! `PM_FAULT_RUNS` is the number of runs. A failure prints its seed: `PM_FAULT_SEED` replays it, `PM_FAULT_RUNS` times.
//! `PM_FAULT_LATE_S` is how long after the grace a process may still be left. A seed determines everything but the
//! scheduling, so a rare failure may need several replays.
//!
//! Only sealed runs end by all of pm killed at the same time: in the others no process of pm can sweep then
//! (`matrix.rs` has that row).

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use procfs::process::Process;

use crate::sealed::{kill_all_at_once, skip_without_sealing};
use crate::support::pm::Pm;
use crate::support::pool::Pool;
use crate::support::ports::is_free;
use crate::support::processes::{self, Member, children_of, is_alive};
use crate::support::programs::{shell, worker_text};
use crate::support::run_mode::size;
use crate::support::terminal::Terminal;
use crate::support::waiting::{eventually, for_as_long_as};

/// After the grace and this many seconds no process may be left: usually, where many tests run at once, and under
/// `make proof`, on an idle machine.
const ALLOWANCE_S: (u64, u64) = (10, 2);

const RUNS_AT_ONCE: usize = 4;
const DESCENDANTS_MAX: u32 = 20;
const DEPTH_MAX: u32 = 3;

/// What happens in one run. All of it is derived from the seed.
#[derive(Debug)]
struct Script {
    pool_size: usize,
    has_ports: bool,
    grace: Duration,
    /// The shell text that a worker runs before it listens.
    descendants: String,
    moment: Moment,
    /// The time between the moment and the end.
    pause: Duration,
    way: Way,
    in_terminal: bool,
    is_sealed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Started,
    /// The workers run but are not ready.
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
    /// A signal to the guard, which is the pid of pm.
    Asked(Signal),
    AskedTwice(Duration),
    ReactorBy(Signal),
    ReactorStoppedAndKilled,
    GuardKilled,
    AllKilled,
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
        let mut script = Self {
            pool_size: rng.usize(1..=3),
            has_ports: rng.bool(),
            grace: *rng.choice(&graces).expect("a grace"),
            descendants,
            moment: *rng.choice(&moments).expect("a moment"),
            pause: Duration::from_millis(rng.u64(0..=300)),
            way,
            in_terminal: matches!(way, Way::CtrlC | Way::Closed) || rng.bool(),
            is_sealed: rng.u8(0..3) == 0,
        };
        if script.is_sealed && rng.bool() {
            script.way = Way::AllKilled;
        }
        script
    }

    fn pool(&self) -> Pool {
        let wait = if self.moment == Moment::NotReady { "wait 500" } else { "" };
        let listen = if self.has_ports { "listen {port}" } else { "" };
        let serve = worker_text(&format!("{wait} {listen} stay"));
        let pool = Pool::of(shell(&format!("{}exec {serve}", self.descendants)));
        let pool = if self.has_ports {
            pool.on_ports(self.pool_size)
        } else {
            pool.of_size(self.pool_size)
        };
        let pool = if self.is_sealed { pool.flag("--sealed") } else { pool };
        pool.option("--grace", &format!("{}ms", self.grace.as_millis()))
    }
}

/// Shell text that starts one process, which may start others, at most `left` in all.
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
        // A daemon: its parent ends at once.
        4 => format!("(setsid sh -c {}) ; ", quoted(&format!("{below}sleep 1000 & :"))),
        5 => format!("({stay}) & kill -STOP $! ; "),
        // Starts its child again when that is killed.
        6 => format!("(trap '' TERM HUP; {below}while :; do sleep 1000; done) & "),
        // Its child has a new pid every 50 ms.
        7 => format!("({below}while :; do sleep 0.05; done) & "),
        // Starts a new daemon every 100 ms.
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

/// A running pm that is going to end.
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
            // Before this, Ctrl-C would not reach it.
            eventually("pm has the terminal", || {
                let stat = Process::new(run.pm.pid().as_raw()).ok()?.stat().ok()?;
                (stat.tpgid == stat.pgrp).then_some(())
            });
        }
        run.look_for_reactor();
        run
    }

    /// There is no reactor before the fork and after its end.
    fn look_for_reactor(&mut self) {
        let is_reactor = |pid: &Pid| processes::name(*pid).is_some_and(|name| name != "pm-sealed");
        let found = || children_of(self.pm.pid()).into_iter().find(is_reactor);
        self.reactor = self.reactor.or_else(found);
    }

    fn reach(&mut self, script: &Script) {
        let Script { pool_size, has_ports, moment, pause, .. } = *script;
        match moment {
            Moment::Started => {}
            Moment::NotReady => {
                eventually("a worker", || (!self.pm.members().is_empty()).then_some(()));
            }
            Moment::Ready => drop(self.pm.wait_all_ready(pool_size)),
            Moment::Crashing => {
                let workers = self.pm.wait_all_ready(pool_size);
                processes::send(Signal::SIGKILL, workers[0]);
            }
            Moment::Stopping => {
                // Without ports a worker is ready before its descendants have started.
                if has_ports {
                    self.pm.wait_all_ready(pool_size);
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
                let reactor = self.reactor_if_any();
                // Rust's handler of SIGSEGV returns after the first one and resets the action to the default.
                eventually("the reactor is dead", || {
                    reactor.is_none_or(|pid| !signal_if_alive(pid, signal)).then_some(())
                });
            }
            Way::ReactorStoppedAndKilled => {
                let Some(reactor) = self.reactor_if_any() else { return };
                let _ = kill(reactor, Signal::SIGSTOP);
                eventually("the reactor is stopped, or gone", || {
                    let state = processes::state(reactor);
                    matches!(state, None | Some('T' | 'Z' | 'X')).then_some(())
                });
                let _ = kill(reactor, Signal::SIGKILL);
            }
            Way::GuardKilled => self.pm.signal(Signal::SIGKILL),
            Way::AllKilled => {
                self.reactor_if_any();
                if is_alive(self.pm.pid()) {
                    kill_all_at_once(&self.pm);
                }
            }
        }
    }

    /// Waits for the fork. `None` if pm has ended before it.
    fn reactor_if_any(&mut self) -> Option<Pid> {
        eventually("a reactor, or the end of pm", || {
            self.look_for_reactor();
            (self.reactor.is_some() || !is_alive(self.pm.pid())).then_some(self.reactor)
        })
    }

    /// The processes that are left, the ports that are used, and the processes of pm itself.
    fn left(&self) -> (Vec<Member>, Vec<u16>, Vec<Pid>) {
        let own = [Some(self.pm.pid()), self.reactor].into_iter().flatten();
        let own = own.filter(|pid| is_alive(*pid)).collect();
        let ports = self.pm.ports.iter().copied().filter(|port| !is_free(*port)).collect();
        (self.pm.members(), ports, own)
    }

    /// Waits until no process is left. After `limit`, returns a description of those that are.
    fn wait_until_empty(&self, limit: Duration) -> Result<(), String> {
        const LOOKS: u32 = 3;
        let start = Instant::now();
        let mut empty = 0;
        // During a fork a process shows the environment of its parent, so one look at /proc is not enough.
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

/// Sends the signal, if the process is alive. False once it is dead.
fn signal_if_alive(pid: Pid, signal: Signal) -> bool {
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

/// False if the kernel allows no pid namespace here.
fn can_seal() -> bool {
    static CAN_SEAL: OnceLock<bool> = OnceLock::new();
    *CAN_SEAL.get_or_init(|| !skip_without_sealing())
}

/// Plays the script of a seed. Returns what is wrong afterwards.
fn play(seed: u64) -> Result<(), String> {
    let mut script = Script::of(seed);
    if script.is_sealed && !can_seal() {
        script.is_sealed = false;
        script.way = if script.way == Way::AllKilled { Way::GuardKilled } else { script.way };
    }
    let allowance = Duration::from_secs(size("PM_FAULT_LATE_S", ALLOWANCE_S.0, ALLOWANCE_S.1));
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut run = Run::start(&script);
        run.reach(&script);
        run.end(script.way);
        run.wait_until_empty(script.grace + allowance)
            .map_err(|left| format!("{left}pm said:\n{}", run.pm.says.all().join("\n")))
    }));
    let what = match outcome {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(left)) => format!("a process is left {left}"),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            text.unwrap_or_else(|| "a panic, see above".into())
        }
    };
    let again = format!("PM_FAULT_SEED={seed} cargo test --test blackbox random_ends");
    Err(format!("seed {seed}, replay by `{again}`\n{script:#?}\n{what}\n"))
}

#[test]
fn random_ends_leave_no_process() {
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
    println!("random ends: {runs} runs, {} with a process left", failures.len());
    assert_eq!(failures, [0_u64; 0], "the seeds of the runs, described above, that left a process");
}
