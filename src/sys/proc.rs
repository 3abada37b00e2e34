//! Processes in /proc (proc(5)): the members of a group, the children of a process, the owner of a socket, and what
//! each does with a signal.
//!
//! For messages and for the last sweep. It never says whether a worker lives: that is for waitpid(2) to say, in
//! [`super::children`].

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use nix::unistd::{Pid, geteuid, getpgid, getpid};
use procfs::ProcResult;
use procfs::process::{Process, ProcessesIter, Stat, all_processes, all_processes_with_root};

use super::open_sockets::{Access, has_open};
use super::sealed::{outer_pid, outer_proc};

/// A process, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessInfo {
    /// The number outside of a sealed run ([`outer_pid`]).
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
    /// The process is dead and not reaped.
    Dead,
    /// A signal has stopped the process.
    Stopped,
    /// The process is stopped, and this process traces it (ptrace(2)): a debugger, as a rule.
    Traced(Pid),
    /// The process is dead, and its parent cannot reap it before this process, which traces it, lets it go.
    DeadAndTraced(Pid),
    /// The first thread of the process has ended, and this many others go on.
    FirstThreadEnded(u64),
    /// The process belongs to the user of this number, and pm may not signal it (kill(2), EPERM).
    NotPermitted(u32),
    /// The process is in uninterruptible sleep: no signal acts, SIGKILL included, before its system call returns.
    Uninterruptible,
}

/// The living members of a process group, and what each does with `signal`.
///
/// One pass over the numbers in /proc with one system call for each: a few microseconds a process, where reading its
/// files costs some ten times that.
pub fn members_of(group: Pid, signal: i32) -> Vec<ProcessInfo> {
    pids_of(group).filter_map(|pid| info(pid, signal)).collect()
}

/// True if members of this process group are to be seen, and each is dead and not reaped.
pub fn are_all_dead(group: Pid) -> bool {
    let mut members = pids_of(group).peekable();
    members.peek().is_some() && members.all(|pid| is_dead(pid) == Some(true))
}

/// True if a member of this process group descends from this process.
pub fn has_descendant_in(group: Pid) -> bool {
    pids_of(group).any(|pid| descends_from(pid, getpid()))
}

/// True if `ancestor` lives and is this process or above it. For a pm, an orphan of its workers is one too: pm adopts
/// it.
pub fn descends_from(pid: Pid, ancestor: Pid) -> bool {
    let mut above = pid.as_raw();
    while let Ok(stat) = Process::new(above).and_then(|process| process.stat()) {
        if above == ancestor.as_raw() {
            return true;
        }
        above = stat.ppid;
    }
    false
}

/// True if this process is dead and not reaped; `None` if it is gone.
fn is_dead(pid: Pid) -> Option<bool> {
    let stat = Process::new(pid.as_raw()).and_then(|process| process.stat()).ok()?;
    // Where only the first thread has ended, the others go on.
    Some(stat.state == 'Z' && stat.num_threads <= 1)
}

/// True if a signal or a debugger has stopped this process.
pub fn is_stopped(pid: Pid) -> bool {
    let stat = Process::new(pid.as_raw()).and_then(|process| process.stat());
    stat.is_ok_and(|stat| matches!(stat.state, 'T' | 't'))
}

/// True if this child, which is not reaped, has executed a program since its fork, or if /proc does not show that.
///
/// Asked at each start of a worker with a copy of pm's memory, so the file is read in part, and nothing is taken apart
/// but the one number.
pub fn has_execd(pid: Pid) -> bool {
    let mut start = [0; STAT_START_BYTES];
    let read = File::open(format!("/proc/{pid}/stat")).and_then(|mut file| file.read(&mut start));
    let flags = read.ok().and_then(|count| flags(&start[..count]));
    flags.is_none_or(|flags| flags & FORKED_BUT_NOT_EXECD == 0)
}

/// The flags of a process, by the start of its /proc/PID/stat (proc(5)).
fn flags(stat: &[u8]) -> Option<u32> {
    // The name before them may have parentheses and spaces; nothing behind it has.
    let after_name = &stat[memchr::memrchr(b')', stat)? + 1..];
    let mut fields = after_name.split(|byte| *byte == b' ').skip(1);
    // After the state, the parent, the group, the session, the terminal and its foreground group.
    std::str::from_utf8(fields.nth(6)?).ok()?.parse().ok()
}

/// More than what stands before the flags and is them: seven numbers, and a name of at most 64 bytes.
const STAT_START_BYTES: usize = 256;

/// A flag of a process (PF_FORKNOEXEC of the kernel; proc(5), /proc/PID/stat). An exec clears it before it closes the
/// descriptors that are closed on exec.
const FORKED_BUT_NOT_EXECD: u32 = 0x40;

/// The members of a process group, dead ones included.
fn pids_of(group: Pid) -> impl Iterator<Item = Pid> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.map(Pid::from_raw).filter(move |pid| getpgid(Some(*pid)) == Ok(group))
}

/// A process, and what it does with `signal`; `None` if it is dead and can be reaped.
pub fn info(pid: Pid, signal: i32) -> Option<ProcessInfo> {
    let process = Process::new(pid.as_raw()).ok()?;
    let stat = process.stat().ok()?;
    let described = describe(&process, stat, outer_pid(pid), signal);
    (described.signal_state != SignalState::Dead).then_some(described)
}

/// The living processes among these and all that descends from them, and what each does with `signal`. Other processes
/// of the machine cost nothing, where the kernel has lists of children.
pub fn descendants_of(tops: impl Iterator<Item = Pid>, signal: i32) -> Vec<ProcessInfo> {
    let mut found = Vec::new();
    descend(tops, |process| found.extend(info(Pid::from_raw(process.pid), signal)));
    found
}

/// Visits these processes and all that descends from them, dead ones that are not reaped included.
pub fn descend(tops: impl Iterator<Item = Pid>, mut visit: impl FnMut(&Process)) {
    let mut left: Vec<_> = tops.map(Pid::as_raw).collect();
    while let Some(pid) = left.pop() {
        let Ok(process) = Process::new(pid) else { continue };
        // A process has the children of each of its threads.
        let threads = process.tasks().into_iter().flatten().flatten();
        let children = threads.filter_map(|thread| thread.children().ok()).flatten();
        left.extend(children.filter_map(|child| i32::try_from(child).ok()));
        visit(&process);
    }
}

/// The folder that a process is in, and the variables with which it was started; `None` if they may not be seen.
pub fn surroundings(pid: Pid) -> Option<(PathBuf, Vec<(OsString, OsString)>)> {
    let process = Process::new(pid.as_raw()).ok()?;
    Some((process.cwd().ok()?, process.environ().ok()?.into_iter().collect()))
}

/// The direct children of a process, dead ones included.
pub fn children_of(parent: Pid) -> Vec<Pid> {
    processes(|stat| stat.ppid == parent.as_raw())
        .map(|(_, stat)| Pid::from_raw(stat.pid))
        .collect()
}

/// Whether /proc can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usable {
    Yes,
    /// It is not mounted, or hides this process.
    Missing,
    /// It belongs to another pid namespace: its numbers stand for other processes, or for none.
    Foreign,
}

pub fn usable() -> Usable {
    match std::fs::read_link("/proc/self") {
        Ok(target) if target.as_os_str() == OsStr::new(&getpid().to_string()) => Usable::Yes,
        Ok(_) => Usable::Foreign,
        Err(_) => Usable::Missing,
    }
}

/// Why no process was found that has a socket open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoOwner {
    /// Of some processes pm may not see what they have open, or they are hidden from it.
    Forbidden,
    /// Each process was looked at, and none has it open.
    Absent,
}

/// The first process that has one of these sockets open, by inode.
///
/// # Errors
/// If none was found.
pub fn owner_of(sockets: &BTreeSet<u64>) -> Result<ProcessInfo, NoOwner> {
    // In a sealed run the owner may be outside.
    let root = outer_proc().unwrap_or_else(|| "/proc".into());
    // Process 1 is to be seen, unless the mount option `hidepid` hides those of other users (proc(5)).
    let mut is_hidden = std::fs::read(root.join("1/stat")).is_err();
    for (process, stat) in stats(all_processes_with_root(&root), |_| true) {
        match has_open(&root.join(stat.pid.to_string()).join("fd"), sockets) {
            Access::Open => {
                let pid = Pid::from_raw(stat.pid);
                return Ok(describe(&process, stat, pid, libc::SIGTERM));
            }
            Access::Hidden => is_hidden = true,
            Access::NotOpen => {}
        }
    }
    Err(if is_hidden { NoOwner::Forbidden } else { NoOwner::Absent })
}

/// Whether this process, by its outer pid, has this socket open, by inode.
pub fn has_open_socket(pid: Pid, socket: u64) -> bool {
    let root = outer_proc().unwrap_or_else(|| "/proc".into());
    has_open(&root.join(pid.to_string()).join("fd"), &BTreeSet::from([socket])) == Access::Open
}

/// All processes that `is_wanted` accepts. One that ends while they are listed is left out.
fn processes(is_wanted: impl Fn(&Stat) -> bool) -> impl Iterator<Item = (Process, Stat)> {
    stats(all_processes(), is_wanted)
}

fn stats(
    processes: ProcResult<ProcessesIter>,
    is_wanted: impl Fn(&Stat) -> bool,
) -> impl Iterator<Item = (Process, Stat)> {
    processes.into_iter().flatten().flatten().filter_map(move |process| {
        let stat = process.stat().ok().filter(&is_wanted)?;
        Some((process, stat))
    })
}

fn describe(process: &Process, stat: Stat, pid: Pid, signal: i32) -> ProcessInfo {
    let bit = 1_u64 << (signal - 1);
    let status = process.status().ok();
    let (ignored, blocked) =
        status.as_ref().map(|status| (status.sigign, status.sigblk)).unwrap_or_default();
    // A signal is permitted if the sender's real or effective id is the receiver's real or saved one (kill(2)).
    let own = geteuid().as_raw();
    // The /proc of a sealed run shows no tracer that is outside.
    let outside =
        || Process::new_with_root(outer_proc()?.join(pid.to_string())).ok()?.status().ok();
    let outside = if status.is_some() { outside() } else { None };
    let tracer = outside.as_ref().or(status.as_ref()).map(|status| status.tracerpid);
    let tracer = tracer.filter(|tracer| *tracer != 0).map(Pid::from_raw);
    let others = u64::try_from(stat.num_threads - 1).unwrap_or(0);
    let foreign = status.filter(|status| own != 0 && own != status.ruid && own != status.suid);
    let signal_state = match (stat.state, foreign) {
        // Its parent, or the thread group, keeps a process that has ended in this state (proc(5), /proc/PID/stat).
        ('Z', _) if others > 0 => SignalState::FirstThreadEnded(others),
        ('Z', _) => tracer.map_or(SignalState::Dead, SignalState::DeadAndTraced),
        ('D', _) => SignalState::Uninterruptible,
        (_, Some(status)) => SignalState::NotPermitted(status.ruid),
        ('T' | 't', None) => tracer.map_or(SignalState::Stopped, SignalState::Traced),
        (_, None) if ignored & bit != 0 => SignalState::Ignored(signal),
        (_, None) if blocked & bit != 0 => SignalState::Blocked(signal),
        (_, None) => SignalState::Delivered,
    };
    ProcessInfo { pid, program: stat.comm, signal_state }
}

#[cfg(test)]
mod tests {
    use nix::unistd::{getpgrp, getppid};

    use super::*;

    #[test]
    fn a_process_is_found_by_its_group_and_by_its_parent() {
        let found = members_of(getpgrp(), libc::SIGTERM);
        assert!(found.iter().any(|member| member.pid == getpid()), "{found:?}");
        assert!(children_of(getppid()).contains(&getpid()));
    }

    #[test]
    fn the_flags_of_a_process_stand_after_its_name_whatever_that_is() {
        let own = std::fs::read("/proc/self/stat").unwrap();
        assert_eq!(flags(&own), Process::myself().unwrap().stat().ok().map(|stat| stat.flags));
        for name in ["sh", "a b", ") S 1 (", "((", ""] {
            let stat = format!("42 ({name}) R 1 42 42 0 -1 4194368 103 0");
            assert_eq!(flags(stat.as_bytes()), Some(0x40_0040), "{name}");
        }
        for cut in ["", "42 (sh", "42 (sh) R 1 42 42 0 -1"] {
            assert_eq!(flags(cut.as_bytes()), None, "{cut}");
        }
    }

    #[test]
    fn a_program_that_was_executed_is_seen() {
        let mut sleeping = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        assert!(has_execd(Pid::from_raw(i32::try_from(sleeping.id()).unwrap())));
        sleeping.kill().unwrap();
        sleeping.wait().unwrap();
        assert!(has_execd(Pid::from_raw(i32::MAX)), "there is no such process");
    }

    #[test]
    fn a_listening_socket_leads_to_its_process() {
        use std::os::fd::AsFd;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let inode = nix::sys::stat::fstat(listener.as_fd()).unwrap().st_ino;
        let owner = owner_of(&BTreeSet::from([inode])).unwrap();
        assert_eq!(owner.pid, getpid());
        assert!(has_open_socket(getpid(), inode));
        assert!(owner_of(&BTreeSet::new()).is_err());
    }
}
