//! A running process that keeps workers alive: a floor, pm, or another process manager.
//!
//! It is followed by the kernel's own record of forks, execs and exits, by the kernel's clock. A worker is any
//! descendant that has become the program of the worker, whoever started it; every other descendant belongs to the
//! keeper, as pm's reactor does.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::proc_events::{ProcEvents, What};
use super::processes::Usage;
use super::programs::{Contender, Programs, Work};
use super::{Anything, PATIENCE};

/// A keeper is done with all that followed from a death when nothing has happened for this long.
const QUIET: Duration = Duration::from_millis(300);

pub struct Keeper {
    child: Child,
    pid: i32,
    worker: PathBuf,
    /// It and its descendants, as far as they live.
    family: BTreeSet<i32>,
    workers: BTreeSet<i32>,
    /// When it has become its program, and when the last worker did, in nanoseconds of the monotonic clock.
    began: Option<u64>,
    last_start: u64,
    has_ended: bool,
    mark: Mark,
    /// Its files go when it has ended.
    folder: TempDir,
}

/// What an event meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    Nothing,
    Started(i32),
    /// A descendant became another program than the worker, or has ended already.
    Execd,
    Ended(i32),
    KeeperEnded,
}

/// Deaths, and the workers that came after them.
#[derive(Clone, Copy, Debug)]
pub struct Replaced {
    /// From the first death to the exec of the last new worker, in seconds.
    pub seconds: f64,
    pub last: i32,
}

impl Keeper {
    /// Starts a contender and waits until all of its workers are there and it rests.
    pub fn of(
        contender: &Contender,
        programs: &Programs,
        count: usize,
        work: Work,
        events: &ProcEvents,
    ) -> Anything<Self> {
        let folder = tempfile::tempdir()?;
        let command = contender.command(programs, count, work, folder.path())?;
        let mut keeper = Self::launch(command, &programs.worker, folder)?;
        keeper.wait_for_workers(count, events)?;
        keeper.wait_until_quiet(events)?;
        Ok(keeper)
    }

    /// Starts it and waits for nothing. The events must be listened to already.
    pub fn launch(mut command: Command, worker: &Path, folder: TempDir) -> Anything<Self> {
        let mark = Mark::new();
        let child = command.env(Mark::VARIABLE, &mark.0).spawn()?;
        let pid = i32::try_from(child.id())?;
        Ok(Self {
            child,
            pid,
            worker: worker.into(),
            family: BTreeSet::from([pid]),
            workers: BTreeSet::new(),
            began: None,
            last_start: 0,
            has_ended: false,
            mark,
            folder,
        })
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The pids of the workers.
    pub fn workers(&self) -> Vec<i32> {
        self.workers.iter().copied().collect()
    }

    /// Its own processes: all but the workers.
    pub fn processes(&self) -> Vec<i32> {
        self.family.difference(&self.workers).copied().collect()
    }

    /// What its own processes have used.
    pub fn usage(&self) -> Usage {
        Usage::of(&self.processes())
    }

    /// From the exec of the keeper to that of the last worker, in seconds.
    pub fn start_seconds(&self) -> Anything<f64> {
        seconds(self.began.ok_or("it has not begun")?, self.last_start)
    }

    pub fn wait_for_workers(&mut self, count: usize, events: &ProcEvents) -> Anything<()> {
        let mut until = Instant::now() + PATIENCE;
        let mut most = 0;
        while self.workers.len() < count {
            let too_few = || format!("{} of {count} workers are there", self.workers.len());
            let (when, what) = next_before(until, events)?.ok_or_else(too_few)?;
            if self.note(when, what) == News::KeeperEnded {
                return Err(format!("it cannot keep {count} workers").into());
            }
            // One that starts where another ends is no progress.
            if self.workers.len() > most {
                most = self.workers.len();
                until = Instant::now() + PATIENCE;
            }
        }
        Ok(())
    }

    /// Kills workers and waits until each is replaced.
    pub fn replace(&mut self, victims: &[i32], events: &ProcEvents) -> Anything<Replaced> {
        self.replace_within(victims, events, PATIENCE)
    }

    pub fn replace_within(
        &mut self,
        victims: &[i32],
        events: &ProcEvents,
        patience: Duration,
    ) -> Anything<Replaced> {
        for victim in victims {
            kill(Pid::from_raw(*victim), Signal::SIGKILL)?;
        }
        let until = Instant::now() + patience;
        let (mut first, mut last, mut execs) = (None, None, 0);
        loop {
            let (when, what) = next_before(until, events)?.ok_or("a worker is not replaced")?;
            match self.note(when, what) {
                News::Ended(_) => drop(first.get_or_insert(when)),
                News::Started(pid) => {
                    execs += 1;
                    last = Some((when, pid));
                }
                News::KeeperEnded => return Err("it has ended".into()),
                News::Nothing | News::Execd => {}
            }
            if let (Some(first), Some((when, last))) = (first, last)
                && execs >= victims.len()
            {
                // The kernel tells the parent of a death before it records it: the next worker may be there by then.
                return Ok(Replaced { seconds: seconds(first.min(when), when)?, last });
            }
        }
    }

    /// Until no worker of its own starts or ends for a while: others go on all the time.
    pub fn wait_until_quiet(&mut self, events: &ProcEvents) -> Anything<()> {
        self.watch(events, QUIET, Restart::OnNews).map(drop)
    }

    /// Waits until a descendant execs, whatever becomes of it.
    pub fn wait_for_exec(&mut self, events: &ProcEvents) -> Anything<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            let (when, what) = next_before(until, events)?.ok_or("it starts nothing")?;
            match self.note(when, what) {
                News::Started(_) | News::Execd => return Ok(()),
                News::KeeperEnded => return Err("it has ended".into()),
                News::Nothing | News::Ended(_) => {}
            }
        }
    }

    /// Takes in what happens in this time. Returns how many of its descendants have exec'd.
    pub fn watch_for(&mut self, events: &ProcEvents, time: Duration) -> Anything<usize> {
        self.watch(events, time, Restart::Never)
    }

    fn watch(&mut self, events: &ProcEvents, time: Duration, restart: Restart) -> Anything<usize> {
        let mut until = Instant::now() + time;
        let mut execs = 0;
        while let Some((when, what)) = next_before(until, events)? {
            let news = self.note(when, what);
            execs += usize::from(matches!(news, News::Started(_) | News::Execd));
            if news != News::Nothing && restart == Restart::OnNews {
                until = Instant::now() + time;
            }
        }
        Ok(execs)
    }

    /// Sends the signal that stops it, and waits until it and all workers are gone. Returns how long that took, in
    /// seconds. The kernel records the end of a process before it kills the children that asked for that.
    pub fn stop(&mut self, signal: Signal, events: &ProcEvents) -> Anything<f64> {
        let asked = now()?;
        kill(Pid::from_raw(self.pid), signal)?;
        let until = Instant::now() + PATIENCE;
        let (mut has_ended, mut last) = (false, asked);
        while !has_ended || !self.workers.is_empty() {
            let (when, what) = next_before(until, events)?.ok_or("it does not stop")?;
            match self.note(when, what) {
                News::KeeperEnded => has_ended = true,
                News::Ended(_) => {}
                News::Nothing | News::Execd | News::Started(_) => continue,
            }
            last = when;
        }
        self.child.wait()?;
        self.has_ended = true;
        seconds(asked, last)
    }

    fn note(&mut self, when: u64, what: What) -> News {
        match what {
            What::Forked { parent, child } if self.family.contains(&parent) => {
                self.family.insert(child);
                News::Nothing
            }
            What::Execd { pid } if pid == self.pid => {
                self.began.get_or_insert(when);
                News::Nothing
            }
            What::Execd { pid } if self.family.contains(&pid) && self.is_worker(pid) => {
                self.workers.insert(pid);
                self.last_start = when;
                News::Started(pid)
            }
            What::Execd { pid } if self.family.contains(&pid) => News::Execd,
            What::Exited { pid } => {
                self.family.remove(&pid);
                match self.workers.remove(&pid) {
                    _ if pid == self.pid => News::KeeperEnded,
                    true => News::Ended(pid),
                    false => News::Nothing,
                }
            }
            What::Forked { .. } | What::Execd { .. } => News::Nothing,
        }
    }

    fn is_worker(&self, pid: i32) -> bool {
        std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|program| program == self.worker)
    }
}

/// Whether what happens makes the wait begin again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Restart {
    Never,
    OnNews,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if !self.has_ended {
            let _ = kill(Pid::from_raw(self.pid), Signal::SIGTERM);
            let _ = super::wait_until("it ends", || Ok(self.child.try_wait()?.is_some()));
            // Does nothing if it is reaped.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        self.mark.end_all();
    }
}

/// What all processes of a keeper have in their environment, so that those it leaves behind are found.
struct Mark(String);

impl Mark {
    const VARIABLE: &str = "PM_BENCH_KEEPER";

    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        Self(format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)))
    }

    fn end_all(&self) {
        let entry = format!("{}={}", Self::VARIABLE, self.0).into_bytes();
        for process in procfs::process::all_processes().into_iter().flatten().flatten() {
            let environment = std::fs::read(format!("/proc/{}/environ", process.pid()));
            if environment.unwrap_or_default().split(|byte| *byte == 0).any(|one| one == entry) {
                let _ = kill(Pid::from_raw(process.pid()), Signal::SIGKILL);
            }
        }
    }
}

/// The next event, of whatever process: others go on all the time. `None` once the time is over.
fn next_before(until: Instant, events: &ProcEvents) -> Anything<Option<(u64, What)>> {
    match until.checked_duration_since(Instant::now()) {
        Some(left) => Ok(events.next(left)?),
        None => Ok(None),
    }
}

fn seconds(from: u64, to: u64) -> Anything<f64> {
    Ok(to.checked_sub(from).ok_or("time went backwards")? as f64 / 1e9)
}

/// The clock of the events.
fn now() -> Anything<u64> {
    let time = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?);
    Ok(u64::try_from(time.as_nanos())?)
}
