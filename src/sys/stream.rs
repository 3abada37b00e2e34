//! Writing to stdout or stderr, of whatever kind it is, without ever waiting for its reader. Nothing is queued here.
//!
//! `O_NONBLOCK` belongs to the open file description, which pm shares with the shell that started it and with every
//! other process that has the terminal open (open(2)); setting it there would break them. So a terminal or pipe is
//! opened once more, through /proc/self/fd, for a description of pm's own.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, send};
use nix::sys::stat::{FileStat, SFlag, fstat};

/// A pipe that poll(2) calls writable takes this much without blocking (pipe(7), PIPE_BUF).
const POLLED_WRITE_BYTES_MAX: usize = libc::PIPE_BUF;

/// An output that never blocks.
#[derive(Debug)]
pub struct Stream {
    file: File,
    method: Method,
    kind: SFlag,
}

/// The system calls that write without waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    /// write(2): to a regular file, or to a description of pm's own with O_NONBLOCK.
    Write,
    /// send(2) with MSG_DONTWAIT: to a socket, which cannot be opened again.
    Send,
    /// poll(2), then a small write(2): to a file that may not be opened again, such as the terminal of another user
    /// after su(1).
    PollAndWrite,
}

impl Stream {
    /// An output to the file that `fd` is open on.
    ///
    /// # Errors
    /// If the descriptor cannot be duplicated.
    pub fn to(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let shared = || Ok::<_, io::Error>(File::from(fd.try_clone_to_owned()?));
        let kind = kind(&fstat(fd)?);
        let (file, method) = match kind {
            SFlag::S_IFSOCK => (shared()?, Method::Send),
            SFlag::S_IFIFO | SFlag::S_IFCHR => match open_again(fd) {
                Ok(own) => (own, Method::Write),
                Err(_) => (shared()?, Method::PollAndWrite),
            },
            _ => (shared()?, Method::Write),
        };
        Ok(Self { file, method, kind })
    }

    /// Writes as many bytes as the output takes now, and returns how many.
    ///
    /// # Errors
    /// `WouldBlock` if it takes none now; otherwise as write(2).
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self.method {
            Method::Write => (&self.file).write(bytes),
            Method::Send => {
                let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
                Ok(send(self.file.as_raw_fd(), bytes, flags)?)
            }
            Method::PollAndWrite => {
                let mut polled = [PollFd::new(self.file.as_fd(), PollFlags::POLLOUT)];
                if poll(&mut polled, PollTimeout::ZERO)? == 0 {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                (&self.file).write(&bytes[..bytes.len().min(POLLED_WRITE_BYTES_MAX)])
            }
        }
    }
}

impl Stream {
    /// True if this error of a write says that there will be no reader any more.
    pub fn has_lost_its_reader(&self, error: &io::Error) -> bool {
        match error.raw_os_error() {
            Some(libc::EPIPE) => true,
            Some(libc::ECONNRESET) => self.kind == SFlag::S_IFSOCK,
            // A terminal was hung up. Of a regular file it is the disk's error, which may pass.
            Some(libc::EIO) => self.kind == SFlag::S_IFCHR,
            Some(_) | None => false,
        }
    }
}

impl AsRawFd for Stream {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

/// True if both are open on the same file, pipe or terminal.
pub fn is_same_file(a: BorrowedFd<'_>, b: BorrowedFd<'_>) -> bool {
    let identity = |stat: FileStat| (stat.st_dev, stat.st_ino, stat.st_rdev);
    match (fstat(a), fstat(b)) {
        (Ok(a), Ok(b)) => identity(a) == identity(b),
        (Err(_), _) | (_, Err(_)) => false,
    }
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

fn open_again(fd: BorrowedFd<'_>) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    options.open(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use std::os::fd::OwnedFd;

    use super::*;

    /// Writes until the output takes no more, and returns how much it took.
    fn fill(stream: &Stream) -> usize {
        let mut total = 0;
        loop {
            match stream.write(&[b'x'; 1000]) {
                Ok(count) => total += count,
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    return total;
                }
            }
        }
    }

    #[test]
    fn a_full_pipe_is_not_waited_for_and_stays_blocking_for_other_processes() {
        let (mut reader, writer) = io::pipe().unwrap();
        let stream = Stream::to(writer.as_fd()).unwrap();
        assert_eq!(stream.method, Method::Write);
        let written = fill(&stream);
        let flags = nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_GETFL).unwrap();
        assert_eq!(flags & libc::O_NONBLOCK, 0);
        drop((stream, writer));
        let mut all = Vec::new();
        reader.read_to_end(&mut all).unwrap();
        assert_eq!(all.len(), written);
    }

    #[test]
    fn a_full_socket_is_not_waited_for() {
        let (_reader, writer) = UnixStream::pair().unwrap();
        let stream = Stream::to(writer.as_fd()).unwrap();
        assert_eq!(stream.method, Method::Send);
        assert!(fill(&stream) > 0);
    }

    #[test]
    fn a_file_that_cannot_be_opened_again_is_polled_before_each_write() {
        let (_reader, writer) = io::pipe().unwrap();
        let stream = Stream {
            file: File::from(OwnedFd::from(writer)),
            method: Method::PollAndWrite,
            kind: SFlag::S_IFIFO,
        };
        assert!(fill(&stream) >= 4096);
    }

    #[test]
    fn a_file_keeps_the_offset_that_it_shares() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"before ").unwrap();
        let stream = Stream::to(file.as_fd()).unwrap();
        stream.write(b"after").unwrap();
        let mut text = String::new();
        io::Seek::rewind(&mut file).unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "before after");
        assert!(is_same_file(file.as_fd(), stream.file.as_fd()));
        assert!(!is_same_file(file.as_fd(), tempfile::tempfile().unwrap().as_fd()));
    }
}
