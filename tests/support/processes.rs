//! Processes as /proc shows them, and signals to them.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use procfs::process::{Process, all_processes};

use super::waiting::DEADLINE;

/// A living process of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub pid: Pid,
    pub parent: Pid,
    pub group: Pid,
    /// The name of its slot.
    pub slot: String,
    pub generation: u64,
}

/// Every living process of this pool and of those whose names are `pool` and `-...`: those with its name in their
/// environment, in whatever group, session and parent they are now.
///
/// Between fork and exec a process shows the environment of its parent: a new worker does not count before its exec.
pub fn members_of(pool: &str) -> Vec<Member> {
    let processes = all_processes().expect("/proc").flatten();
    processes.filter_map(|process| member(&process, pool)).collect()
}

fn member(process: &Process, pool: &str) -> Option<Member> {
    let environment = process.environ().ok()?;
    let value = |name: &str| environment.get(name.as_ref() as &std::ffi::OsStr)?.to_str();
    let rest = value("PM_POOL")?.strip_prefix(pool)?;
    if !rest.is_empty() && !rest.starts_with('-') {
        return None;
    }
    let stat = process.stat().ok().filter(|stat| stat.state != 'Z')?;
    Some(Member {
        pid: Pid::from_raw(stat.pid),
        parent: Pid::from_raw(stat.ppid),
        group: Pid::from_raw(stat.pgrp),
        slot: value("PM_SLOT")?.to_owned(),
        generation: value("PM_GENERATION")?.parse().ok()?,
    })
}

/// The living children of a process, of all its threads, as the kernel lists them: a walk over all processes takes long
/// where there are many.
pub fn children_of(parent: Pid) -> Vec<Pid> {
    let process = Process::new(parent.as_raw()).ok();
    let tasks = process.and_then(|process| process.tasks().ok()).into_iter().flatten().flatten();
    let children = tasks.filter_map(|task| task.children().ok()).flatten();
    let pids = children.map(|pid| Pid::from_raw(pid.cast_signed()));
    pids.filter(|pid| is_alive(*pid)).collect()
}

/// The reactor of this guard: its child that is not process 1 of a sealed run.
pub fn reactor_of(guard: Pid) -> Option<Pid> {
    let is_reactor = |pid: &Pid| name(*pid).is_some_and(|name| name != "pm-sealed");
    children_of(guard).into_iter().find(is_reactor)
}

/// False for a dead process, reaped or not.
pub fn is_alive(pid: Pid) -> bool {
    state(pid).is_some_and(|state| state != 'Z' && state != 'X')
}

/// The state letter of proc(5), or `None` if there is no such process.
pub fn state(pid: Pid) -> Option<char> {
    Some(Process::new(pid.as_raw()).ok()?.stat().ok()?.state)
}

/// Its name in `ps`, or `None` if there is no such process.
pub fn name(pid: Pid) -> Option<String> {
    Some(Process::new(pid.as_raw()).ok()?.stat().ok()?.comm)
}

/// The value of a field of /proc/PID/status.
pub fn status(pid: Pid, field: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a living process");
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    value.unwrap_or_else(|| panic!("no {field} in {text}")).trim().to_owned()
}

/// The number of context switches, voluntary or not.
pub fn context_switches(pid: Pid) -> u64 {
    ["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"]
        .map(|field| status(pid, field).parse::<u64>().expect("a number"))
        .iter()
        .sum()
}

/// The CPU time it has used, in steps of 10 ms.
pub fn processor_time(pid: Pid) -> Duration {
    let stat = Process::new(pid.as_raw()).and_then(|process| process.stat()).expect("it lives");
    Duration::from_secs(stat.utime + stat.stime) / procfs::ticks_per_second() as u32
}

pub fn send(signal: Signal, pid: Pid) {
    kill(pid, signal).unwrap_or_else(|errno| panic!("{signal} to {pid}: {errno}"));
}

/// Kills what is left of a pool, one process after another. Does not panic, since a failed test calls it in Drop.
pub fn end_all_of(pool: &str) {
    let until = Instant::now() + DEADLINE;
    while Instant::now() < until {
        let members = members_of(pool);
        if members.is_empty() {
            return;
        }
        for member in &members {
            // It may have ended already.
            let _ = kill(member.pid, Signal::SIGKILL);
        }
    }
    eprintln!("{pool} cannot be ended");
}
