//! The calls of a worker and its descendants that wait for pm's answer (seccomp_unotify(2)): bind(2), listen(2), and
//! getsockopt(2) where it asks whether a socket listens.
//!
//! What to answer is not decided here. pm never acts on what stands in the memory of a worker: it compares. What it
//! keeps or listens on is a socket that it has a descriptor of, and that it asks the kernel about.
//!
//! A caller can be gone at any time, and its number with it: everything that is read about it counts only if the kernel
//! says afterwards that the call still waits. No call here waits for a worker. Where to look next: [`filter`] is what
//! makes the calls come here, [`super::tcp_socket`] what is taken and given.

mod caller;
pub mod filter;

use std::fmt;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;

use self::caller::Caller;
use super::errno_words;
use super::tcp_socket::TcpSocket;

/// The listener of the filter of one worker. What waits when it is closed fails with ENOSYS.
#[derive(Debug)]
pub struct PortCalls {
    listener: OwnedFd,
}

/// What was found when the next call was looked for.
#[derive(Debug)]
pub enum Received {
    Call(PortCall),
    /// None waits. More may come.
    Nothing,
    /// No process has the filter any more.
    Over,
}

/// A call that waits for its answer.
#[derive(Debug)]
pub struct PortCall {
    id: u64,
    caller: Caller,
    /// The number of the socket there.
    descriptor: RawFd,
    pub asked: Asked,
}

/// What a call asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To bind a socket to this address of IPv4 or IPv6.
    Bind(SocketAddr),
    /// To bind it to something else, or to what cannot be read.
    BindElsewhere,
    Listen {
        backlog: libc::c_int,
    },
    /// Whether a socket listens (SO_ACCEPTCONN, socket(7)).
    WhetherItListens,
}

/// Why a port cannot be held, whatever the worker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CannotHold {
    /// The call that the kernel refuses.
    pub call: &'static str,
    pub errno: Errno,
}

impl fmt::Display for CannotHold {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call, errno } = *self;
        write!(out, "cannot hold its port: {call}(2): {}", errno_words(errno))?;
        out.write_str(match errno {
            Errno::EBUSY => {
                " (pm is itself below a supervisor that has such a filter; start it elsewhere, or \
                 remove `hold_port`)"
            }
            Errno::ENOSYS | Errno::EINVAL => " (Linux 5.9 or newer can; remove `hold_port`)",
            Errno::EPERM | Errno::EACCES => {
                " (the seccomp profile of a container may refuse it; allow it there, or remove \
                 `hold_port`)"
            }
            _ => "",
        })
    }
}

impl std::error::Error for CannotHold {}

/// Asks the kernel whether it has all that is needed after a filter is installed: a worker without answers hangs.
///
/// # Errors
/// If it is older than 5.9, or refuses pidfd_getfd(2) to pm.
pub fn check_kernel() -> Result<(), CannotHold> {
    if !filter::IS_KNOWN_MACHINE {
        return Err(CannotHold { call: "seccomp", errno: Errno::ENOSYS });
    }
    // SAFETY: neither has a descriptor to change: the first range is empty, the second is of no process.
    // WHY: no safe call says what the kernel has.
    let (range, copy) = unsafe {
        let range = libc::syscall(libc::SYS_close_range, 1, 0, 0);
        let range = Errno::result(range);
        (range, Errno::result(libc::syscall(libc::SYS_pidfd_getfd, -1, 0, 0)))
    };
    // As old as SECCOMP_IOCTL_NOTIF_ADDFD, which can be asked for with a filter only: Linux 5.9.
    if range == Err(Errno::ENOSYS) {
        return Err(CannotHold { call: "seccomp", errno: Errno::ENOSYS });
    }
    match copy {
        Ok(_) | Err(Errno::EBADF) => Ok(()),
        Err(errno) => Err(CannotHold { call: "pidfd_getfd", errno }),
    }
}

impl PortCalls {
    /// Those that come through this listener.
    pub fn new(listener: OwnedFd) -> Self {
        Self { listener }
    }

    /// Takes the next call that waits. Never waits for one itself.
    pub fn receive(&self) -> Received {
        loop {
            let mut asked = [PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
            let ready = poll(&mut asked, PollTimeout::ZERO);
            let flags = asked[0].revents().unwrap_or(PollFlags::empty());
            match ready {
                Ok(1..) if flags.contains(PollFlags::POLLIN) => {}
                Ok(1..) if is_over(flags) => return Received::Over,
                Ok(1..) | Err(Errno::EINTR) => continue,
                Ok(_) | Err(_) => return Received::Nothing,
            }
            // pm alone takes calls, so what the poll has seen is still there, or its caller is gone: ENOENT.
            match self.take() {
                Ok(Some(call)) => return Received::Call(call),
                Ok(None) | Err(Errno::ENOENT | Errno::EINTR) => {}
                Err(_) => return Received::Nothing,
            }
        }
    }

    /// `None`: the caller is gone, or in a pid namespace where pm cannot see it; then the call goes on.
    fn take(&self) -> Result<Option<PortCall>, Errno> {
        // SAFETY: all fields are numbers, and the kernel wants zeroes.
        // WHY: the struct has no other way to be made.
        let mut seen: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        self.ioctl(libc::SECCOMP_IOCTL_NOTIF_RECV, &mut seen)?;
        let [descriptor, second, third, ..] = seen.data.args;
        // The kernel takes the low half of a register for an int.
        let (descriptor, caller) = (descriptor as RawFd, Pid::from_raw(seen.pid as i32));
        if seen.pid == 0 {
            self.answer(seen.id, Answer::GoOn);
            return Ok(None);
        }
        let caller = Caller(caller);
        let asked = match i64::from(seen.data.nr) {
            libc::SYS_listen => Asked::Listen { backlog: second as libc::c_int },
            libc::SYS_getsockopt => Asked::WhetherItListens,
            _ => {
                let address = caller.address(second, third as libc::c_int);
                address.map_or(Asked::BindElsewhere, Asked::Bind)
            }
        };
        let call = PortCall { id: seen.id, caller, descriptor, asked };
        Ok(self.still_waits(&call).then_some(call))
    }

    /// True if the caller is there and waits: what was read of it meanwhile was its own.
    pub fn still_waits(&self, call: &PortCall) -> bool {
        let mut id = call.id;
        self.ioctl(libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &mut id).is_ok()
    }

    /// A descriptor of pm's own of the socket that the call is about; `None` if it is not one of TCP, or the caller is
    /// gone.
    ///
    /// # Errors
    /// If the kernel refuses it, as it does for a program that no debugger may look at (ptrace(2)).
    pub fn socket(&self, call: &PortCall) -> Result<Option<TcpSocket>, Errno> {
        let copied = call.caller.copy_of(call.descriptor);
        if !self.still_waits(call) {
            return Ok(None);
        }
        match copied {
            Ok(socket) => Ok(TcpSocket::of(socket)),
            // It has closed it meanwhile, in another thread.
            Err(Errno::EBADF | Errno::ESRCH) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// The call runs as if there were no filter.
    pub fn go_on(&self, call: &PortCall) {
        self.answer(call.id, Answer::GoOn);
    }

    /// The call has done what it was asked for.
    pub fn succeed(&self, call: &PortCall) {
        self.answer(call.id, Answer::Success);
    }

    /// The call fails.
    pub fn refuse(&self, call: &PortCall, errno: Errno) {
        self.answer(call.id, Answer::Error(errno));
    }

    /// Puts this socket in the place of the one that the call is about, and the call succeeds. If the kernel cannot,
    /// the call goes on.
    pub fn give(&self, call: &PortCall, socket: &TcpSocket) {
        let closes_on_exec = call.caller.closes_on_exec(call.descriptor);
        let mut given = libc::seccomp_notif_addfd {
            id: call.id,
            flags: libc::SECCOMP_ADDFD_FLAG_SETFD as u32,
            srcfd: socket.as_fd().as_raw_fd() as u32,
            newfd: call.descriptor as u32,
            newfd_flags: if closes_on_exec { libc::O_CLOEXEC as u32 } else { 0 },
        };
        // The thread that has called takes it, and the kernel waits for that: for its turn at a processor, no longer.
        // It cannot be stopped there (SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV), or else it is interrupted: ENOENT.
        loop {
            match self.ioctl(libc::SECCOMP_IOCTL_NOTIF_ADDFD, &mut given) {
                Ok(_) => return self.answer(call.id, Answer::Success),
                Err(Errno::EINTR) => {}
                Err(_) => return self.answer(call.id, Answer::GoOn),
            }
        }
    }

    fn answer(&self, id: u64, answer: Answer) {
        let (error, flags) = match answer {
            Answer::GoOn => (0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32),
            Answer::Success => (0, 0),
            Answer::Error(errno) => (-(errno as i32), 0),
        };
        let mut response = libc::seccomp_notif_resp { id, val: 0, error, flags };
        let sent = self.ioctl(libc::SECCOMP_IOCTL_NOTIF_SEND, &mut response);
        // ENOENT: the caller is gone.
        debug_assert!(matches!(sent, Ok(_) | Err(Errno::ENOENT)), "{sent:?}");
    }

    fn ioctl<T>(&self, request: libc::Ioctl, with: &mut T) -> Result<i32, Errno> {
        let with: *mut T = with;
        // SAFETY: each request above comes with the struct that its number stands for, which lives as long as the call.
        // The kernel writes to nothing else; a descriptor that it opens is the caller's.
        // WHY: nix has no call for these.
        Errno::result(unsafe { libc::ioctl(self.listener.as_raw_fd(), request, with) })
    }
}

/// True if no process has the filter any more. POLLERR alone says that a signal came while another thread held the
/// filter (kernel/seccomp.c, seccomp_notify_poll).
fn is_over(flags: PollFlags) -> bool {
    flags.contains(PollFlags::POLLHUP)
}

enum Answer {
    GoOn,
    Success,
    Error(Errno),
}

impl AsRawFd for PortCalls {
    fn as_raw_fd(&self) -> RawFd {
        self.listener.as_raw_fd()
    }
}

#[cfg(test)]
mod tests;
