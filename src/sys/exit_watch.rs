//! Which children have died, without a look at those that live: an epoll of pidfds (pidfd_open(2)).
//!
//! waitid(2) for any child looks at each of them. Here a death costs the same however many children there are. It never
//! says how a child died, and reaps none: that is [`super::wait`], which [`super::children`] asks.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::unistd::Pid;

use super::wait;

/// At most this many deaths are found at once; the rest are found next time.
const FOUND_MAX: usize = 64;

/// The children whose death is awaited.
#[derive(Debug)]
pub struct ExitWatch {
    epoll: Option<Epoll>,
    /// Children that the epoll does not have, since the kernel is older than 5.4 or its limit on watched descriptors
    /// is reached. Each of them is looked at.
    unwatched: BTreeSet<Pid>,
}

impl ExitWatch {
    pub fn open() -> Self {
        Self { epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).ok(), unwatched: BTreeSet::new() }
    }

    /// Awaits the death of this child. Keep `pidfd` until [`ExitWatch::remove`].
    pub fn add(&mut self, pid: Pid, pidfd: Option<&OwnedFd>) {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, u64::from(pid.as_raw().unsigned_abs()));
        let is_watched = match (&self.epoll, pidfd) {
            (Some(epoll), Some(pidfd)) => epoll.add(pidfd, event).is_ok(),
            (None, _) | (_, None) => false,
        };
        if !is_watched {
            self.unwatched.insert(pid);
        }
    }

    /// The child is reaped.
    pub fn remove(&mut self, pid: Pid, pidfd: Option<&OwnedFd>) {
        if !self.unwatched.remove(&pid)
            && let (Some(epoll), Some(pidfd)) = (&self.epoll, pidfd)
        {
            let removed = epoll.delete(pidfd);
            debug_assert_eq!(removed, Ok(()), "{pid} was added");
        }
    }

    /// Some of the children that are dead and not reaped; none only if there are none.
    pub fn find_dead(&self) -> Vec<Pid> {
        let mut events = [EpollEvent::empty(); FOUND_MAX];
        let found = match &self.epoll {
            // EINTR cannot be: it does not wait.
            Some(epoll) => epoll.wait(&mut events, EpollTimeout::ZERO),
            None => Err(Errno::ENOSYS),
        };
        let found =
            events[..found.unwrap_or(0)].iter().map(|event| Pid::from_raw(event.data() as i32));
        let unwatched = self.unwatched.iter().copied().filter(|pid| wait::is_dead(*pid));
        found.chain(unwatched).collect()
    }
}
