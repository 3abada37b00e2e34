//! Which children have exec'd or died, without a look at the others: an epoll of start reports and pidfds
//! (pidfd_open(2)).
//!
//! waitid(2) for any child looks at each of them. Here a death costs the same however many children there are. It never
//! says how a child died, and reaps none: that is [`super::wait`], which [`super::children`] asks. What a start report
//! says is in [`super::starting`].

use std::collections::BTreeSet;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::unistd::Pid;

use super::wait;

/// At most this much is found at once; the rest is found next time.
const FOUND_MAX: usize = 128;

/// Marks the number of a start, where the others are pids.
const OF_START: u64 = 1 << 63;

/// One start of a child. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StartId(pub u64);

/// The children whose start or death is awaited.
#[derive(Debug)]
pub struct ChildWatch {
    epoll: Result<Epoll, Errno>,
    /// Children whose death the epoll does not have, since the kernel is older than 5.4 or its limit on watched
    /// descriptors is reached. Each of them is looked at.
    unwatched: BTreeSet<Pid>,
    /// Of children that are reaped. They are closed before the next look: the next worker does not wait for that.
    retired: Vec<OwnedFd>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// The reports of these starts are complete.
    pub reported: Vec<StartId>,
    /// Dead and not reaped.
    pub dead: Vec<Pid>,
}

impl ChildWatch {
    pub fn open() -> Self {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC);
        Self { epoll, unwatched: BTreeSet::new(), retired: Vec::new() }
    }

    /// Readable when there may be something to find. It is for the poll of the loop; `None` where the kernel has
    /// refused an epoll, and then nothing can be started.
    pub fn descriptor(&self) -> Option<RawFd> {
        self.epoll.as_ref().ok().map(|epoll| epoll.0.as_raw_fd())
    }

    /// Awaits the report of a start: `report` is the reading end of a pipe.
    ///
    /// # Errors
    /// As epoll_ctl(2): ENOSPC if this user watches too many descriptors.
    pub fn add_start(&self, start: StartId, report: BorrowedFd<'_>) -> Result<(), Errno> {
        // The end of the pipe is all that is awaited, and that needs no flag (EPOLLHUP).
        let event = EpollEvent::new(EpollFlags::empty(), OF_START | start.0);
        self.epoll.as_ref().map_err(|errno| *errno)?.add(report, event)
    }

    /// The report is read, or the start came to nothing.
    pub fn remove_start(&self, report: BorrowedFd<'_>) {
        if let Ok(epoll) = &self.epoll {
            let removed = epoll.delete(report);
            debug_assert_eq!(removed, Ok(()), "it was added");
        }
    }

    /// Awaits the death of this child. Keep `pidfd` for [`ChildWatch::remove`].
    pub fn add(&mut self, pid: Pid, pidfd: Option<&OwnedFd>) {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, u64::from(pid.as_raw().unsigned_abs()));
        let is_watched = match (&self.epoll, pidfd) {
            (Ok(epoll), Some(pidfd)) => epoll.add(pidfd, event).is_ok(),
            (Err(_), _) | (_, None) => false,
        };
        if !is_watched {
            self.unwatched.insert(pid);
        }
    }

    /// The child is reaped.
    pub fn remove(&mut self, pid: Pid, pidfd: Option<OwnedFd>) {
        if !self.unwatched.remove(&pid) {
            self.retired.extend(pidfd);
        }
    }

    /// Some of the starts and deaths that are not taken yet; nothing only if there are none.
    pub fn find(&mut self) -> Found {
        // A child that has not exec'd may have a copy of it, so closing alone would not be enough (epoll(7)).
        for pidfd in std::mem::take(&mut self.retired) {
            self.remove_start(pidfd.as_fd());
        }
        let mut events = [EpollEvent::empty(); FOUND_MAX];
        // EINTR cannot be: it does not wait.
        let wait = |epoll: &Epoll| epoll.wait(&mut events, EpollTimeout::ZERO).unwrap_or(0);
        let count = self.epoll.as_ref().map_or(0, wait);
        let mut found = Found::default();
        for event in &events[..count] {
            let number = event.data();
            if number & OF_START == 0 {
                found.dead.push(Pid::from_raw(number as i32));
            } else {
                found.reported.push(StartId(number & !OF_START));
            }
        }
        let unwatched = self.unwatched.iter().copied();
        found.dead.extend(unwatched.filter(|pid| wait::is_dead(*pid)));
        found
    }
}
