//! The thread whose call waits: what it has in its memory and open.

use std::fs::File;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;

use nix::errno::Errno;
use nix::unistd::Pid;

/// A thread, by its number in pm's pid namespace.
#[derive(Clone, Copy, Debug)]
pub struct Caller(pub Pid);

/// The shortest address of IPv6 that the kernel accepts, which has no scope (RFC 2133).
const V6_BYTES_LEAST: usize = 24;

const V4_BYTES: usize = size_of::<libc::sockaddr_in>();
const V6_BYTES: usize = size_of::<libc::sockaddr_in6>();

impl Caller {
    /// The address of IPv4 or IPv6 that stands there in its memory.
    pub fn address(self, at: u64, length: libc::c_int) -> Option<SocketAddr> {
        let length = usize::try_from(length).ok()?.min(V6_BYTES);
        let mut bytes = [0; V6_BYTES];
        let memory = File::open(self.file("mem")).ok()?;
        // By read(2): process_vm_readv(2) is refused in many containers.
        memory.read_exact_at(&mut bytes[..length], at).ok()?;
        parse(&bytes[..length])
    }

    /// A copy of the descriptor of this number, of its process (pidfd_getfd(2)).
    ///
    /// # Errors
    /// EBADF if it has none, ESRCH if it is gone, EPERM if pm may not.
    pub fn copy_of(self, number: RawFd) -> Result<OwnedFd, Errno> {
        let process = match open_process(self.0) {
            // The number of a thread that is not the first of its process (pidfd_open(2)).
            Err(Errno::EINVAL | Errno::ENOENT) => open_process(self.process()?)?,
            process => process?,
        };
        // SAFETY: numbers only.
        // WHY: nix has no call for it.
        let copied =
            unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_fd().as_raw_fd(), number, 0) };
        owned(copied)
    }

    /// True if this descriptor is closed at an exec.
    pub fn closes_on_exec(self, number: RawFd) -> bool {
        let info = std::fs::read_to_string(self.file(&format!("fdinfo/{number}")));
        let info = info.unwrap_or_default();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = flags.and_then(|flags| i32::from_str_radix(flags.trim(), 8).ok());
        flags.is_some_and(|flags| flags & libc::O_CLOEXEC != 0)
    }

    fn file(self, name: &str) -> String {
        format!("/proc/{}/{name}", self.0)
    }

    /// The number of its process.
    fn process(self) -> Result<Pid, Errno> {
        let Ok(status) = std::fs::read_to_string(self.file("status")) else {
            return Err(Errno::ESRCH);
        };
        let number = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
        let number = number.and_then(|number| number.trim().parse().ok());
        number.map(Pid::from_raw).ok_or(Errno::ESRCH)
    }
}

fn open_process(pid: Pid) -> Result<OwnedFd, Errno> {
    // SAFETY: numbers only.
    // WHY: nix has no call for it.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) })
}

fn owned(made: libc::c_long) -> Result<OwnedFd, Errno> {
    let number = Errno::result(made)? as RawFd;
    // SAFETY: the kernel has just made this descriptor, and nothing else owns it. It closes on exec (pidfd_open(2),
    // pidfd_getfd(2)).
    // WHY: no safe call returns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// An address as bind(2) takes it (ip(7), ipv6(7)).
fn parse(bytes: &[u8]) -> Option<SocketAddr> {
    let part = |at: usize, length: usize| bytes.get(at..at + length);
    let family = u16::from_ne_bytes(part(0, 2)?.try_into().ok()?);
    let port = u16::from_be_bytes(part(2, 2)?.try_into().ok()?);
    match i32::from(family) {
        libc::AF_INET if bytes.len() >= V4_BYTES => {
            let ip: [u8; 4] = part(4, 4)?.try_into().ok()?;
            Some(SocketAddrV4::new(Ipv4Addr::from(ip), port).into())
        }
        libc::AF_INET6 if bytes.len() >= V6_BYTES_LEAST => {
            let ip: [u8; 16] = part(8, 16)?.try_into().ok()?;
            let scope = part(24, 4).and_then(|scope| scope.try_into().ok());
            let scope = scope.map_or(0, u32::from_ne_bytes);
            Some(SocketAddrV6::new(Ipv6Addr::from(ip), port, 0, scope).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use nix::unistd::{getpid, gettid};

    use super::*;

    #[test]
    fn an_address_is_read_as_the_kernel_reads_it() {
        let v4 = |port: u16| {
            let mut bytes = [0_u8; V4_BYTES];
            bytes[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
            bytes[2..4].copy_from_slice(&port.to_be_bytes());
            bytes[4..8].copy_from_slice(&[127, 0, 0, 1]);
            bytes
        };
        assert_eq!(parse(&v4(8080)), Some("127.0.0.1:8080".parse().unwrap()));
        assert_eq!(parse(&v4(8080)[..15]), None, "bind(2) says EINVAL");
        let mut v6 = [0_u8; V6_BYTES];
        v6[..2].copy_from_slice(&(libc::AF_INET6 as u16).to_ne_bytes());
        v6[2..4].copy_from_slice(&8080_u16.to_be_bytes());
        v6[23] = 1;
        v6[24..].copy_from_slice(&3_u32.to_ne_bytes());
        assert_eq!(parse(&v6), Some("[::1%3]:8080".parse().unwrap()));
        assert_eq!(parse(&v6[..24]), Some("[::1]:8080".parse().unwrap()));
        assert_eq!(parse(&v6[..23]), None);
        for other in [&[1, 0, 1, 2][..], &[2], &[]] {
            assert_eq!(parse(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_thread_is_looked_at_as_its_process() {
        let (reader, _writer) = io::pipe().unwrap();
        let number = reader.as_raw_fd();
        let look = move || {
            let caller = Caller(gettid());
            assert_eq!(caller.process(), Ok(getpid()));
            caller.copy_of(number).map(drop)
        };
        assert_eq!(look(), Ok(()));
        assert_eq!(std::thread::spawn(look).join().unwrap(), Ok(()));
        let none = Caller(gettid()).copy_of(1 << 20).map(drop);
        assert_eq!(none, Err(Errno::EBADF));
    }

    #[test]
    fn what_closes_on_exec_is_told_from_what_does_not() {
        let (reader, writer) = io::pipe().unwrap();
        let caller = Caller(gettid());
        assert!(caller.closes_on_exec(reader.as_raw_fd()));
        let plain = nix::unistd::dup(&writer).unwrap();
        assert!(!caller.closes_on_exec(plain.as_raw_fd()));
    }
}
