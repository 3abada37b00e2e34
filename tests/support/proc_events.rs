//! The kernel's own record of forks, execs and exits, with its own timestamps: the process event connector of
//! linux/cn_proc.h. It needs root.

use std::io;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, NetlinkAddr, bind, recv, send, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

const NETLINK_CONNECTOR: i32 = 11;
/// CN_IDX_PROC and CN_VAL_PROC of linux/connector.h.
const PROC: [u32; 2] = [1, 1];
const PROC_CN_MCAST_LISTEN: u32 = 1;

/// struct nlmsghdr, struct cn_msg, and the fields of struct proc_event before its union.
const NETLINK_HEADER_BYTES: usize = 16;
const CONNECTOR_HEADER_BYTES: usize = 20;
const EVENT_BYTES: usize = NETLINK_HEADER_BYTES + CONNECTOR_HEADER_BYTES;

/// Something that happened to a process, by its pid (thread group).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Forked { parent: i32, child: i32 },
    Execd { pid: i32 },
    Exited { pid: i32 },
}

/// An open connector.
pub struct ProcEvents {
    socket: Socket,
}

impl ProcEvents {
    /// Listens from now on.
    ///
    /// # Errors
    /// EPERM without root; any other errno of socket(2), setsockopt(2), bind(2) or send(2).
    pub fn listen() -> io::Result<Self> {
        let protocol = Some(Protocol::from(NETLINK_CONNECTOR));
        let socket = Socket::new(Domain::from(libc::AF_NETLINK), Type::DGRAM, protocol)?;
        nix::sys::socket::setsockopt(&socket, sockopt::RcvBufForce, &(64 << 20))?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, PROC[0]))?;
        let mut message = Vec::new();
        let length = (EVENT_BYTES + size_of::<u32>()) as u32;
        // nlmsghdr: length, type NLMSG_DONE and no flags, sequence, sender.
        for word in [length, 3, 0, 0] {
            message.extend(word.to_ne_bytes());
        }
        // cn_msg: id, sequence, acknowledgement, length of the data and no flags; then the data.
        for word in [PROC[0], PROC[1], 0, 0, size_of::<u32>() as u32, PROC_CN_MCAST_LISTEN] {
            message.extend(word.to_ne_bytes());
        }
        send(socket.as_raw_fd(), &message, MsgFlags::empty())?;
        Ok(Self { socket })
    }

    /// The next event and its time, in nanoseconds of the kernel's monotonic clock. `None` if there is none within this
    /// time.
    pub fn next(&self, within: Duration) -> io::Result<Option<(u64, What)>> {
        let until = Instant::now() + within;
        loop {
            // Threads begin and end all the time, on a busy machine: they are no events of a process.
            let left = until.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            let mut asked =
                [PollFd::new(std::os::fd::AsFd::as_fd(&self.socket), PollFlags::POLLIN)];
            if poll(&mut asked, timeout)? == 0 {
                return Ok(None);
            }
            let mut message = [0; 256];
            let length = recv(self.socket.as_raw_fd(), &mut message, MsgFlags::empty())?;
            if let Some(event) = parse(&message[..length]) {
                return Ok(Some(event));
            }
        }
    }
}

fn parse(message: &[u8]) -> Option<(u64, What)> {
    let event = message.get(EVENT_BYTES..)?;
    let word = |at: usize| {
        let bytes = event.get(at..at + 4)?;
        Some(u32::from_ne_bytes(bytes.try_into().expect("four bytes")))
    };
    // struct proc_event: what, cpu, timestamp_ns, then a union by `what`, each of pids and tgids.
    let when = u64::from(word(8)?) | u64::from(word(12)?) << 32;
    let [first, second, third, fourth] = [word(16)?, word(20)?, word(24)?, word(28)?];
    let is_leader = |pid, group| pid == group;
    match word(0)? {
        0x0000_0001 if is_leader(third, fourth) => {
            Some((when, What::Forked { parent: second as i32, child: fourth as i32 }))
        }
        0x0000_0002 => Some((when, What::Execd { pid: second as i32 })),
        0x8000_0000 if is_leader(first, second) => {
            Some((when, What::Exited { pid: second as i32 }))
        }
        _ => None,
    }
}
