//! Processes in /proc (proc(5)): the members of a group, the children of a process, the owner of a socket, and what
//! each does with a signal.
//!
//! For messages and for the last sweep. It never says whether a worker lives: that is for waitpid(2) to say, in
//! [`super::children`].

use std::collections::BTreeSet;
use std::ffi::OsStr;

use nix::unistd::{Pid, geteuid, getpid};
use procfs::process::{Process, Stat, all_processes};

/// A process, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessInfo {
    pub pid: Pid,
    /// Its name in the kernel, at most 15 bytes (proc(5), /proc/PID/comm).
    pub program: String,
    pub signal_state: SignalState,
}

/// What happens to a signal that is sent to a process, as far as /proc shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalState {
    /// The process receives the signal.
    Delivered,
    /// The process ignores this signal.
    Ignored(i32),
    /// The process blocks this signal.
    Blocked(i32),
    /// A signal or a debugger has stopped the process.
    Stopped,
    /// The process belongs to the user of this number, and pm may not signal it (kill(2), EPERM).
    NotPermitted(u32),
    /// The process is in uninterruptible sleep: no signal acts, SIGKILL included, before its system call returns.
    Uninterruptible,
}

/// The living members of a process group, and what each does with `signal`.
pub fn members_of(group: Pid, signal: i32) -> Vec<ProcessInfo> {
    let is_member = |stat: &Stat| stat.pgrp == group.as_raw() && stat.state != 'Z';
    processes(is_member).map(|(process, stat)| describe(&process, stat, signal)).collect()
}

/// A process, and what it does with `signal`; `None` if it is dead.
pub fn info(pid: Pid, signal: i32) -> Option<ProcessInfo> {
    let process = Process::new(pid.as_raw()).ok()?;
    let stat = process.stat().ok().filter(|stat| stat.state != 'Z')?;
    Some(describe(&process, stat, signal))
}

/// The direct children of a process, dead ones included.
pub fn children_of(parent: Pid) -> Vec<Pid> {
    processes(|stat| stat.ppid == parent.as_raw())
        .map(|(_, stat)| Pid::from_raw(stat.pid))
        .collect()
}

/// False if /proc belongs to another pid namespace: its numbers stand for other processes, or for none.
pub fn is_of_own_namespace() -> bool {
    // Without any /proc no number can be mistaken for another.
    let own = getpid().to_string();
    std::fs::read_link("/proc/self").map_or(true, |target| target.as_os_str() == OsStr::new(&own))
}

/// The first process that has one of these sockets open, by inode.
pub fn owner_of(sockets: &BTreeSet<u64>) -> Option<ProcessInfo> {
    let (process, stat) = processes(|_| true).find(|(process, _)| {
        let files = process.fd().into_iter().flatten().flatten();
        files.into_iter().any(|file| match file.target {
            procfs::process::FDTarget::Socket(inode) => sockets.contains(&inode),
            _ => false,
        })
    })?;
    Some(describe(&process, stat, libc::SIGTERM))
}

/// All processes that `is_wanted` accepts. One that ends while they are listed is left out.
fn processes(is_wanted: impl Fn(&Stat) -> bool) -> impl Iterator<Item = (Process, Stat)> {
    let processes = all_processes().into_iter().flatten().flatten();
    processes.filter_map(move |process| {
        let stat = process.stat().ok().filter(&is_wanted)?;
        Some((process, stat))
    })
}

fn describe(process: &Process, stat: Stat, signal: i32) -> ProcessInfo {
    let bit = 1_u64 << (signal - 1);
    let status = process.status().ok();
    let (ignored, blocked) =
        status.as_ref().map(|status| (status.sigign, status.sigblk)).unwrap_or_default();
    // A signal is permitted if the sender's real or effective id is the receiver's real or saved one (kill(2)).
    let own = geteuid().as_raw();
    let foreign = status.filter(|status| own != 0 && own != status.ruid && own != status.suid);
    let signal_state = match (stat.state, foreign) {
        ('D', _) => SignalState::Uninterruptible,
        (_, Some(status)) => SignalState::NotPermitted(status.ruid),
        ('T' | 't', None) => SignalState::Stopped,
        (_, None) if ignored & bit != 0 => SignalState::Ignored(signal),
        (_, None) if blocked & bit != 0 => SignalState::Blocked(signal),
        (_, None) => SignalState::Delivered,
    };
    ProcessInfo { pid: Pid::from_raw(stat.pid), program: stat.comm, signal_state }
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
    fn a_listening_socket_leads_to_its_process() {
        use std::os::fd::AsFd;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let inode = nix::sys::stat::fstat(listener.as_fd()).unwrap().st_ino;
        let owner = owner_of(&BTreeSet::from([inode])).unwrap();
        assert_eq!(owner.pid, getpid());
        assert_eq!(owner_of(&BTreeSet::new()), None);
    }
}
