//! Does a connection to a port reach a worker, or another process? It opens no connection and changes nothing.
//!
//! Asked once in the life of a worker, when its probe passes: the kernel names the listening socket (sock_diag(7)), in
//! the same time whatever number of sockets there is, and /proc shows whether the worker has it open. Only where it has
//! not is the whole of /proc searched ([`Search`]). Where to look next: [`super::ports`] names the process that holds a
//! port.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use nix::unistd::{Pid, getpgid};
use procfs::process::Process;

use super::open_sockets::{Access, has_open, is_one_of};
use super::ports::{self, Holder, HolderProcess};
use super::sealed::{self, outer_pid, outer_proc};
use super::sock_diag;
use super::worker_tag::WorkerTag;
use crate::supervisor::WorkerId;

/// The descriptors that a server opens first, after stdin, stdout and stderr.
const LOW_NUMBERS: std::ops::Range<u32> = 3..32;

/// A worker whose listening socket is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claimant {
    pub worker: WorkerId,
    /// Its first process, which is not reaped.
    pub leader: Pid,
}

/// Which process accepts the connections to a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listener {
    /// A process of the worker; or pm cannot tell: the worker's user is another one, or the port is passed on by the
    /// kernel.
    Own,
    /// Another process, and /proc was not searched for it.
    NotSearched,
    /// A process that has nothing to do with the worker: it did not begin after the worker, or belongs to a pm.
    Foreign(Holder),
    /// A process that began after the worker, or that pm may not see. A daemon may have started it for the worker, as
    /// Docker's does for the port of a container.
    Unclear(Holder),
}

/// How far the process may be searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// Among the worker's leader and its descendants.
    Descendants,
    /// In all of /proc: some ten milliseconds with a thousand processes.
    All,
}

/// Which process accepts a connection to this port of a loopback address.
pub fn of(port: u16, claimant: Claimant, search: Search) -> Listener {
    let reached = reached_sockets(port);
    if reached.is_empty() {
        return Listener::Own;
    }
    if has_open_under_low_number(claimant.leader, &reached) {
        return Listener::Own;
    }
    match have_open(&descendants(claimant.leader), &reached) {
        Access::Open | Access::Hidden => return Listener::Own,
        Access::NotOpen => {}
    }
    match search {
        Search::Descendants => Listener::NotSearched,
        Search::All => search_all(port, claimant),
    }
}

fn search_all(port: u16, claimant: Claimant) -> Listener {
    // Processes that share the port (SO_REUSEPORT, socket(7)) have a socket each.
    let sockets = ports::listening_sockets(port);
    if have_open(&descendants(claimant.leader), &sockets) == Access::Open {
        return Listener::Own;
    }
    let Some(holder) = ports::holder(port, None) else { return Listener::NotSearched };
    let pid = match &holder.process {
        HolderProcess::Other { pid, .. } | HolderProcess::StaleWorker { pid, .. } => *pid,
        HolderProcess::Hidden(_) => return Listener::Unclear(holder),
    };
    if let Some(pid) = sealed::inner_pid(pid) {
        let is_own = WorkerTag::of(pid).is_some_and(|tag| tag.is_of(claimant.worker));
        if is_own || getpgid(Some(pid)) == Ok(claimant.leader) {
            return Listener::Own;
        }
    }
    // None: it has ended meanwhile.
    let Some(process) = seen_outside(pid) else { return Listener::NotSearched };
    let leader = seen_outside(outer_pid(claimant.leader));
    let is_older = started_at(&process) <= leader.as_ref().and_then(started_at);
    let is_of_a_pm = WorkerTag::of_process(&process).is_some();
    if is_of_a_pm || is_older { Listener::Foreign(holder) } else { Listener::Unclear(holder) }
}

/// A process by the number that it has outside of a sealed run, where all processes are to be seen.
fn seen_outside(pid: Pid) -> Option<Process> {
    match outer_proc() {
        Some(outer) => Process::new_with_root(outer.join(pid.to_string())).ok(),
        None => Process::new(pid.as_raw()).ok(),
    }
}

/// When a process began, in ticks since the machine was started.
fn started_at(process: &Process) -> Option<u64> {
    Some(process.stat().ok()?.starttime)
}

/// A process and its descendants that are still connected to it.
fn descendants(leader: Pid) -> Vec<Pid> {
    let mut found = vec![leader];
    let mut at = 0;
    while let Some(pid) = found.get(at).copied() {
        at += 1;
        let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
        for thread in threads.flatten() {
            // Missing where the kernel has no such list (CONFIG_PROC_CHILDREN).
            let list = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            found.extend(
                list.split_whitespace().filter_map(|pid| pid.parse().ok().map(Pid::from_raw)),
            );
        }
    }
    found
}

/// Whether one of these processes has one of these sockets open.
fn have_open(processes: &[Pid], sockets: &BTreeSet<u64>) -> Access {
    let folders = processes.iter().map(|pid| format!("/proc/{pid}/fd"));
    let access = folders.map(|folder| has_open(Path::new(&folder), sockets));
    access.max().unwrap_or(Access::NotOpen)
}

/// True if this process has one of these sockets open where most servers have theirs.
///
/// It lists no folder: the kernel keeps each name in /proc that was listed, and drops them all when the process is
/// reaped, so that the next worker would start later (`make bench`).
fn has_open_under_low_number(pid: Pid, sockets: &BTreeSet<u64>) -> bool {
    let files = LOW_NUMBERS.map(|number| format!("/proc/{pid}/fd/{number}"));
    files.into_iter().any(|file| is_one_of(Path::new(&file), sockets) == Access::Open)
}

/// The sockets that a connection to this port of 127.0.0.1 and of ::1 reaches, by inode. None if the kernel passes the
/// port on to another network namespace.
fn reached_sockets(port: u16) -> BTreeSet<u64> {
    let addresses = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let reached: nix::Result<Vec<_>> =
        addresses.into_iter().map(|address| listening_inode(address, port)).collect();
    match reached {
        Ok(reached) => reached.into_iter().flatten().collect(),
        // A kernel without the module inet_diag, or a sandbox.
        Err(_) => ports::listening_sockets(port),
    }
}

/// The socket that listens on this address, by inode; `None` if there is none.
fn listening_inode(address: IpAddr, port: u16) -> nix::Result<Option<u64>> {
    let any = if address.is_ipv4() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    } else {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    };
    let found = sock_diag::socket_at((address, port), (any, 0))?;
    Ok(found.filter(|found| found.state == sock_diag::TCP_LISTEN).map(|found| found.inode))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::{TcpListener, TcpStream};
    use std::process::{Command, Stdio};

    use nix::unistd::getpid;

    use super::*;
    use crate::supervisor::SlotId;

    fn claimant(leader: Pid) -> Claimant {
        Claimant { worker: WorkerId { slot: SlotId(0), generation: 1 }, leader }
    }

    #[test]
    fn the_kernel_names_the_socket_that_a_connection_reaches() {
        for (address, ip) in [
            ("127.0.0.1:0", IpAddr::V4(Ipv4Addr::LOCALHOST)),
            ("0.0.0.0:0", IpAddr::V4(Ipv4Addr::LOCALHOST)),
            ("[::]:0", IpAddr::V4(Ipv4Addr::LOCALHOST)),
            ("[::1]:0", IpAddr::V6(Ipv6Addr::LOCALHOST)),
        ] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let port = listener.local_addr().unwrap().port();
            let inode = nix::sys::stat::fstat(&listener).unwrap().st_ino;
            assert_eq!(listening_inode(ip, port), Ok(Some(inode)), "{address}");
            assert_eq!(ports::listening_sockets(port), BTreeSet::from([inode]), "{address}");
            // A connection has the same port, and is another socket.
            let _client = TcpStream::connect((ip, port)).unwrap();
            let _accepted = listener.accept().unwrap();
            drop(listener);
            assert_eq!(listening_inode(ip, port), Ok(None), "{address}");
        }
    }

    #[test]
    fn a_worker_owns_its_socket_and_that_of_its_descendants() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(of(port, claimant(getpid()), Search::Descendants), Listener::Own);
        // A shell and its child; the child has the socket.
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "exec 3<&0; sleep 60 & exec 0</dev/null 3<&-; echo; wait"]);
        shell.stdin(Stdio::from(std::os::fd::OwnedFd::from(listener))).stdout(Stdio::piped());
        let mut shell = shell.spawn().unwrap();
        let mut line = String::new();
        let stdout = shell.stdout.take().unwrap();
        io::BufRead::read_line(&mut io::BufReader::new(stdout), &mut line).unwrap();
        let leader = Pid::from_raw(shell.id().try_into().unwrap());
        assert_eq!(of(port, claimant(leader), Search::Descendants), Listener::Own);
        for pid in descendants(leader).into_iter().skip(1) {
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
        }
        shell.wait().unwrap();
    }

    #[test]
    fn a_process_that_was_there_before_the_worker_is_foreign() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut worker = Command::new("sleep").arg("60").spawn().unwrap();
        let leader = claimant(Pid::from_raw(worker.id().try_into().unwrap()));
        assert_eq!(of(port, leader, Search::Descendants), Listener::NotSearched);
        match of(port, leader, Search::All) {
            Listener::Foreign(Holder { process: HolderProcess::Other { pid, .. }, .. }) => {
                assert_eq!(pid, getpid());
            }
            other => panic!("{other:?}"),
        }
        worker.kill().unwrap();
        worker.wait().unwrap();
    }

    #[test]
    fn a_port_without_a_listener_is_passed_on_by_the_kernel() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        assert_eq!(of(port, claimant(getpid()), Search::All), Listener::Own);
    }
}
