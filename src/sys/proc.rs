//! Looking at processes in /proc (proc(5)): who is in a group, who are my children, what do they do with a signal.
//!
//! For messages and for the last sweep, never for the life of a worker: that is waitpid's to tell.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::fs::FileExt;

use nix::unistd::{Pid, geteuid, getpid};
use procfs::process::{Process, Stat, all_processes};

use crate::supervisor::{SlotId, WorkerId};

/// A process as messages name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub pid: Pid,
    pub program: String,
    pub attitude: SignalState,
}

/// Why a process may still be there after a stop signal, as far as /proc shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalState {
    /// Nothing hinders it; it may be at work on its end.
    Open,
    /// This signal.
    Ignores(i32),
    Blocks(i32),
    /// Stopped by a signal or a debugger.
    Stopped,
    /// This other user's: pm may not signal it.
    Foreign(u32),
    /// In uninterruptible sleep: not even SIGKILL reaches it before its system call returns.
    Uninterruptible,
}

/// The living members of a process group, and what each does with `signal`.
pub fn members_of(group: Pid, signal: i32) -> Vec<Seen> {
    let member = |stat: &Stat| stat.pgrp == group.as_raw() && stat.state != 'Z';
    listed(member).map(|(process, stat)| seen(&process, stat, signal)).collect()
}

/// The direct children of a process, dead ones too.
pub fn children_of(parent: Pid) -> Vec<Pid> {
    listed(|stat| stat.ppid == parent.as_raw()).map(|(_, stat)| Pid::from_raw(stat.pid)).collect()
}

/// The kernel's list of the children of the thread that opened it (proc(5), /proc/PID/task/TID/children).
#[derive(Debug)]
pub struct ChildList {
    /// None where the kernel keeps no such list.
    file: Option<File>,
}

impl ChildList {
    pub fn open() -> Self {
        Self { file: File::open("/proc/thread-self/children").ok() }
    }

    /// Calls `each` with every child, dead ones too. Allocates nothing where there is a list.
    pub fn for_each(&self, mut each: impl FnMut(Pid)) {
        let Some(file) = &self.file else {
            return children_of(getpid()).into_iter().for_each(each);
        };
        let mut bytes = [0; 4096];
        let (mut number, mut at) = (0_i32, 0);
        while let Ok(count @ 1..) = file.read_at(&mut bytes, at) {
            for byte in &bytes[..count] {
                match byte {
                    b'0'..=b'9' => number = number * 10 + i32::from(byte - b'0'),
                    _ if number > 0 => each(Pid::from_raw(std::mem::take(&mut number))),
                    _ => {}
                }
            }
            at += count as u64;
        }
    }
}

/// The variables by which pm knows what has come of a worker: whose it is, and whether it looked at it only.
pub const WORKER_VARIABLE: &str = "PM_WORKER";
pub const CHECK_VARIABLE: &str = "PM_CHECK";

/// Whom a process works for, by the environment it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerTag {
    /// The reactor that started it.
    pub pm: Pid,
    pub worker: WorkerId,
    /// It is of a look at the worker, and no part of it.
    pub is_check: bool,
}

impl WorkerTag {
    /// What the variable says.
    pub fn variable(pm: Pid, worker: WorkerId) -> String {
        format!("{WORKER_VARIABLE}={pm}.{}.{}", worker.slot.0, worker.generation)
    }

    pub fn of(pid: Pid) -> Option<Self> {
        let environment = Process::new(pid.as_raw()).and_then(|process| process.environ()).ok()?;
        let mut parts = environment.get(OsStr::new(WORKER_VARIABLE))?.to_str()?.splitn(3, '.');
        let pm = Pid::from_raw(parts.next()?.parse().ok()?);
        let slot = SlotId(parts.next()?.parse().ok()?);
        let worker = WorkerId { slot, generation: parts.next()?.parse().ok()? };
        let is_check = environment.contains_key(OsStr::new(CHECK_VARIABLE));
        Some(Self { pm, worker, is_check })
    }
}

/// False if /proc is that of another pid namespace: its numbers mean other processes, or nobody.
pub fn is_proc_ours() -> bool {
    // Where there is none at all, nothing can be mistaken.
    let own = getpid().to_string();
    std::fs::read_link("/proc/self").map_or(true, |target| target.as_os_str() == OsStr::new(&own))
}

/// What `pid` does with `signal`; `None` if it is dead.
pub fn look_at(pid: Pid, signal: i32) -> Option<Seen> {
    let process = Process::new(pid.as_raw()).ok()?;
    let stat = process.stat().ok().filter(|stat| stat.state != 'Z')?;
    Some(seen(&process, stat, signal))
}

/// The first process that has one of these sockets open, by inode.
pub fn owner_of(sockets: &BTreeSet<u64>) -> Option<Seen> {
    let (process, stat) = listed(|_| true).find(|(process, _)| {
        let files = process.fd().into_iter().flatten().flatten();
        files.into_iter().any(|file| match file.target {
            procfs::process::FDTarget::Socket(inode) => sockets.contains(&inode),
            _ => false,
        })
    })?;
    Some(seen(&process, stat, libc::SIGTERM))
}

/// Processes come and go while they are listed; one that is gone by now is left out.
fn listed(wanted: impl Fn(&Stat) -> bool) -> impl Iterator<Item = (Process, Stat)> {
    let processes = all_processes().into_iter().flatten().flatten();
    processes.filter_map(move |process| {
        let stat = process.stat().ok().filter(&wanted)?;
        Some((process, stat))
    })
}

fn seen(process: &Process, stat: Stat, signal: i32) -> Seen {
    let bit = 1_u64 << (signal - 1);
    let status = process.status().ok();
    let masks = status.as_ref().map(|status| (status.sigign, status.sigblk)).unwrap_or_default();
    // The real and the saved id of the one are what counts for the other's real or effective one (kill(2)).
    let own = geteuid().as_raw();
    let foreign = status.filter(|status| own != 0 && own != status.ruid && own != status.suid);
    let attitude = match (stat.state, masks) {
        ('D', _) => SignalState::Uninterruptible,
        (_, _) if foreign.is_some() => {
            SignalState::Foreign(foreign.map_or(0, |status| status.ruid))
        }
        ('T' | 't', _) => SignalState::Stopped,
        (_, (ignored, _)) if ignored & bit != 0 => SignalState::Ignores(signal),
        (_, (_, blocked)) if blocked & bit != 0 => SignalState::Blocks(signal),
        _ => SignalState::Open,
    };
    Seen { pid: Pid::from_raw(stat.pid), program: stat.comm, attitude }
}

#[cfg(test)]
mod tests {
    use nix::unistd::{getpgrp, getppid};

    use super::*;

    #[test]
    fn a_process_is_found_by_its_group_and_by_its_parent() {
        let group = members_of(getpgrp(), libc::SIGTERM);
        assert!(group.iter().any(|member| member.pid == getpid()), "{group:?}");
        assert!(children_of(getppid()).contains(&getpid()));
    }

    #[test]
    fn children_are_listed_one_by_one() {
        let mut sleeping = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let mut found = Vec::new();
        ChildList::open().for_each(|pid| found.push(pid.as_raw()));
        assert!(found.contains(&i32::try_from(sleeping.id()).unwrap()), "{found:?}");
        sleeping.kill().unwrap();
        sleeping.wait().unwrap();
    }

    #[test]
    fn a_listening_socket_leads_to_its_process() {
        use std::os::fd::AsFd;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let inode = nix::sys::stat::fstat(listener.as_fd()).unwrap().st_ino;
        let owner = owner_of(&BTreeSet::from([inode])).unwrap();
        assert_eq!(owner.pid, getpid());
        assert_eq!(owner_of(&BTreeSet::new()), None);
    }
}
