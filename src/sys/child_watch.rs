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
const FOUND_MAX: usize = 32;

/// Stands for all starts, where the others are pids.
const STARTS: u64 = 1 << 63;

/// One start of a child. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StartId(pub u64);

/// The children whose start or death is awaited.
#[derive(Debug)]
pub struct ChildWatch {
    epolls: Result<Epolls, Errno>,
    /// Children whose death the epoll does not have, since the kernel is older than 5.4 or its limit on watched
    /// descriptors is reached. Each of them is looked at.
    unwatched: BTreeSet<Pid>,
    /// Of children that are reaped. They are closed before the next look: the next worker does not wait for that.
    retired: Vec<OwnedFd>,
}

#[derive(Debug)]
struct Epolls {
    /// The pidfds, and `starts`.
    all: Epoll,
    /// The start reports, apart, so that they are found however many children are dead.
    starts: Epoll,
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
        Self { epolls: Epolls::open(), unwatched: BTreeSet::new(), retired: Vec::new() }
    }

    /// Readable when there may be something to find. It is for the poll of the loop; `None` where the kernel has
    /// refused an epoll, and then nothing can be started.
    pub fn descriptor(&self) -> Option<RawFd> {
        self.epolls.as_ref().ok().map(|epolls| epolls.all.0.as_raw_fd())
    }

    /// Awaits the report of a start: `report` is the reading end of a pipe.
    ///
    /// # Errors
    /// As epoll_ctl(2): ENOSPC if this user watches too many descriptors.
    pub fn add_start(&self, start: StartId, report: BorrowedFd<'_>) -> Result<(), Errno> {
        // The end of the pipe is all that is awaited, and that needs no flag (EPOLLHUP).
        let event = EpollEvent::new(EpollFlags::empty(), start.0);
        self.epolls.as_ref().map_err(|errno| *errno)?.starts.add(report, event)
    }

    /// The report is read, or the start came to nothing.
    pub fn remove_start(&self, report: BorrowedFd<'_>) {
        if let Ok(epolls) = &self.epolls {
            let removed = epolls.starts.delete(report);
            debug_assert_eq!(removed, Ok(()), "it was added");
        }
    }

    /// Awaits the death of this child. Keep `pidfd` for [`ChildWatch::remove`].
    pub fn add(&mut self, pid: Pid, pidfd: Option<&OwnedFd>) {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, u64::from(pid.as_raw().unsigned_abs()));
        let is_watched = match (&self.epolls, pidfd) {
            (Ok(epolls), Some(pidfd)) => epolls.all.add(pidfd, event).is_ok(),
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
        let mut found = Found::default();
        if let Ok(epolls) = &self.epolls {
            // A child that has not exec'd may have a copy of it, so closing alone would not be enough (epoll(7)).
            for pidfd in std::mem::take(&mut self.retired) {
                let removed = epolls.all.delete(pidfd.as_fd());
                debug_assert_eq!(removed, Ok(()), "it was added");
            }
            for number in ready(&epolls.all) {
                match number {
                    STARTS => found.reported = self.reported(),
                    pid => found.dead.push(Pid::from_raw(pid as i32)),
                }
            }
        }
        let unwatched = self.unwatched.iter().copied();
        found.dead.extend(unwatched.filter(|pid| wait::is_dead(*pid)));
        found
    }

    /// Some of the starts whose reports are complete and not removed yet; nothing only if there are none.
    pub fn reported(&self) -> Vec<StartId> {
        let starts = self.epolls.iter().flat_map(|epolls| ready(&epolls.starts));
        starts.map(StartId).collect()
    }
}

impl Epolls {
    fn open() -> Result<Self, Errno> {
        let [all, starts] = [(); 2].map(|()| Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC));
        let (all, starts) = (all?, starts?);
        all.add(&starts.0, EpollEvent::new(EpollFlags::EPOLLIN, STARTS))?;
        Ok(Self { all, starts })
    }
}

/// The numbers of what is ready now, at most [`FOUND_MAX`].
fn ready(epoll: &Epoll) -> Vec<u64> {
    let mut events = [EpollEvent::empty(); FOUND_MAX];
    // EINTR cannot be: it does not wait.
    let count = epoll.wait(&mut events, EpollTimeout::ZERO).unwrap_or(0);
    events[..count].iter().map(EpollEvent::data).collect()
}

#[cfg(test)]
mod tests {
    use nix::unistd::{pipe, write};

    use super::*;

    #[test]
    fn the_starts_are_found_beside_more_dead_children_than_are_found_at_once() {
        let mut watch = ChildWatch::open();
        let pipes = || pipe().unwrap();
        // As a pidfd, it is readable from the death on.
        let dead = Vec::from_iter((0..3 * FOUND_MAX).map(|_| pipes()));
        for (pid, (reader, writer)) in (1..).zip(&dead) {
            write(writer, b"x").unwrap();
            watch.add(Pid::from_raw(pid), Some(reader));
        }
        let starts = Vec::from_iter((0..300).map(|_| pipes()));
        for (start, (report, _)) in (0..).zip(&starts) {
            watch.add_start(StartId(start), report.as_fd()).unwrap();
        }
        assert_eq!(watch.reported(), []);
        assert_eq!(watch.find().reported, []);
        let mut starts: Vec<_> =
            starts.into_iter().map(|(report, end)| (report, Some(end))).collect();
        starts[7].1 = None;
        starts[250].1 = None;
        assert_eq!(watch.reported(), [StartId(7), StartId(250)]);
        watch.remove_start(starts[7].0.as_fd());
        assert_eq!(watch.reported(), [StartId(250)]);
        // They tell of the others too, in some of the looks.
        let mut looks = (0..8).map(|_| watch.find());
        assert!(looks.any(|found| found.reported == [StartId(250)]));
    }
}
