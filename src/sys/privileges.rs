//! What this process and its children may do that not every process may (capabilities(7)).
//!
//! Read from /proc. Where it cannot be read, everything is taken to be allowed: the kernel decides at the start of a
//! worker.

use nix::sys::resource::{Resource, getrlimit};
use procfs::process::Process;

/// The bits of a set of capabilities (linux/capability.h).
const CAP_NET_BIND_SERVICE: u64 = 1 << 10;
const CAP_SYS_PTRACE: u64 = 1 << 19;
const CAP_SYS_NICE: u64 = 1 << 23;
const CAP_SYS_RESOURCE: u64 = 1 << 24;

/// Any process may listen on the ports from this one on, if the kernel does not say otherwise (ip(7)).
const UNPRIVILEGED_PORT_DEFAULT: u16 = 1024;

/// The least nice value that a worker can be given (setpriority(2), RLIMIT_NICE of getrlimit(2)).
pub fn least_nice() -> i32 {
    const LEAST: i32 = -20;
    if has(CAP_SYS_NICE) {
        return LEAST;
    }
    let own = Process::myself().and_then(|process| process.stat());
    let own = own.map_or(LEAST, |stat| i32::try_from(stat.nice).unwrap_or(LEAST));
    let ceiling = getrlimit(Resource::RLIMIT_NICE).map_or(40, |(soft, _)| soft.min(40));
    let ceiling = 20 - i32::try_from(ceiling).unwrap_or(40);
    own.min(ceiling.max(LEAST))
}

/// The highest limit of this kind that a worker can be given (setrlimit(2)).
pub fn limit_most(resource: Resource) -> u64 {
    if has(CAP_SYS_RESOURCE) {
        return u64::MAX;
    }
    getrlimit(resource).map_or(u64::MAX, |(_, hard)| hard)
}

/// The highest number of open files that a worker can be given: `fs.nr_open` holds for root too (setrlimit(2), EPERM).
pub fn open_files_most() -> u64 {
    let most = std::fs::read_to_string("/proc/sys/fs/nr_open");
    let most = most.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(u64::MAX);
    most.min(limit_most(Resource::RLIMIT_NOFILE))
}

/// True if pm may see what the processes of all users have open (ptrace(2), "Ptrace access mode checking").
pub fn may_see_all() -> bool {
    has(CAP_SYS_PTRACE)
}

/// The first port that a worker of pm's own user may listen on.
pub fn first_port() -> u16 {
    if has(CAP_NET_BIND_SERVICE) { 1 } else { first_port_for_all() }
}

/// The first port that a worker of any user may listen on.
pub fn first_port_for_all() -> u16 {
    let start = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    let start = start.ok().and_then(|text| text.trim().parse().ok());
    start.unwrap_or(UNPRIVILEGED_PORT_DEFAULT)
}

fn has(capability: u64) -> bool {
    let status = Process::myself().and_then(|process| process.status());
    status.map_or(true, |status| status.capeff & capability != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_process_is_refused_its_own_nice_value() {
        let own = Process::myself().unwrap().stat().unwrap().nice;
        assert!(i64::from(least_nice()) <= own);
    }

    #[test]
    fn a_port_that_all_may_use_pm_may_use() {
        assert!(first_port() <= first_port_for_all());
    }
}
