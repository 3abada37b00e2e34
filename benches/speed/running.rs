//! What a whole pm executes when a worker dies, from the signal to the report of the next worker, and when a worker
//! writes a line.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

use super::callgrind;
use super::support::Anything;
use super::support::programs::{compiled, pm};

/// Workers that are killed one after another, in the shorter and in the longer run.
const KILLS: [usize; 2] = [20, 120];

/// Workers that are started and stopped, in the smaller and in the larger run.
const SLOTS: [usize; 2] = [20, 120];

/// Lines that a worker writes, in the shorter and in the longer run.
const LINES: [usize; 2] = [10_000, 110_000];

/// False if this user cannot be measured: only root can.
pub fn are_counted() -> Anything<bool> {
    if geteuid().is_root() {
        return Ok(true);
    }
    let skipped = "skipped: what a whole pm does is counted by root alone";
    if std::env::var_os("PM_SKIP_NOTHING").is_some() {
        return Err(skipped.into());
    }
    println!("{skipped}");
    Ok(false)
}

/// The instructions for one death.
pub fn of_a_death(slots: usize, folder: &Path) -> Anything<u64> {
    let [few, many] = KILLS.map(|kills| run(slots, kills, folder));
    Ok((many? - few?) / (KILLS[1] - KILLS[0]) as u64)
}

/// The instructions for the start and the stop of one more worker.
pub fn of_a_start(folder: &Path) -> Anything<u64> {
    let [few, many] = SLOTS.map(|slots| run(slots, 0, folder));
    Ok((many? - few?) / (SLOTS[1] - SLOTS[0]) as u64)
}

/// The instructions for one line of 100 bytes, which goes to stdout behind its label.
pub fn of_a_line(folder: &Path) -> Anything<u64> {
    let [few, many] = LINES.map(|lines| write_lines(lines, folder));
    Ok((many? - few?) / (LINES[1] - LINES[0]) as u64)
}

fn write_lines(lines: usize, folder: &Path) -> Anything<u64> {
    let line = ".".repeat(99);
    let text = format!(
        "[pool.w]\ncommand = [\"/bin/sh\", \"-c\", \"yes {line} | head -n {lines}\"]\nrestart = \"never\"\n\
         ends_run = true\nuser = \"nobody\"\ncwd = \"/\"\n"
    );
    let mut command = pm_that_is_counted(&text, folder)?;
    if command.stderr(Stdio::null()).status()?.success() {
        callgrind::take(folder)
    } else {
        Err("pm has failed".into())
    }
}

fn pm_that_is_counted(text: &str, folder: &Path) -> Anything<Command> {
    let file = folder.join("pm.toml");
    std::fs::write(&file, text)?;
    let mut command = callgrind::command(&pm(), folder);
    command.env("PM_SOCKET", "none").args(["run", "-f"]).arg(&file);
    Ok(command)
}

/// What pm executes from its start to its end, when this many workers are killed.
fn run(slots: usize, kills: usize, folder: &Path) -> Anything<u64> {
    let worker = compiled("worker")?;
    // A worker of another user is made by fork(2), as valgrind can follow it.
    let text = format!(
        "[pool.w]\ncommand = [{worker:?}]\nworkers = {slots}\nuser = \"nobody\"\ncwd = \"/\"\n\
         ready = {{ after = \"0s\" }}\n"
    );
    let mut command = pm_that_is_counted(&text, folder)?;
    command.stderr(Stdio::piped());
    let mut running = Running::of(command.spawn()?)?;
    let mut workers = Vec::new();
    for _ in 0..slots {
        workers.push(running.next_ready()?);
    }
    for n in 0..kills {
        let victim = n * 7 % slots;
        kill(workers[victim], Signal::SIGKILL)?;
        workers[victim] = running.next_ready()?;
    }
    running.stop()?;
    callgrind::take(folder)
}

/// A pm that is stopped when it is dropped.
struct Running {
    child: Child,
    says: BufReader<ChildStderr>,
}

impl Running {
    fn of(mut child: Child) -> Anything<Self> {
        let says = BufReader::new(child.stderr.take().ok_or("no stderr")?);
        Ok(Self { child, says })
    }

    /// The pid of the next worker that is ready.
    fn next_ready(&mut self) -> Anything<Pid> {
        let mut said = String::new();
        loop {
            let before = said.len();
            if self.says.read_line(&mut said)? == 0 {
                return Err(format!("pm has ended: {said}").into());
            }
            let line = &said[before..];
            if line.contains(" is ready") {
                let pid = line.split("(pid ").nth(1).and_then(|rest| rest.split(',').next());
                return Ok(Pid::from_raw(pid.ok_or("no pid")?.parse()?));
            }
        }
    }

    fn stop(mut self) -> Anything<()> {
        self.terminate()
    }

    fn terminate(&mut self) -> Anything<()> {
        kill(Pid::from_raw(self.child.id().try_into()?), Signal::SIGTERM)?;
        // It would wait for a reader of what it says.
        std::io::copy(&mut self.says, &mut std::io::sink())?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.terminate();
        }
    }
}
