//! Writing to whatever stdout or stderr is, without ever waiting for its reader.
//!
//! `O_NONBLOCK` belongs to the open file description, which pm shares with the shell that started it and with
//! whoever else has the terminal open (open(2)); setting it there would break them. So a terminal or pipe is opened
//! once more, through /proc/self/fd, for a description of pm's own.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, send};
use nix::sys::stat::{FileStat, SFlag, fstat};

/// As much as a pipe takes whole once poll(2) calls it writable (pipe(7), PIPE_BUF).
const ASKED_WRITE_BYTES_MAX: usize = libc::PIPE_BUF;

/// An output that never blocks.
#[derive(Debug)]
pub struct Stream {
    file: File,
    way: Way,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// write(2): a regular file, or a description of our own with O_NONBLOCK.
    Write,
    /// send(2) with MSG_DONTWAIT: a socket cannot be opened again, but each call can decline to wait.
    Send,
    /// poll(2), then a small write(2): what may not be opened again, such as the terminal of another user after su(1).
    Ask,
}

impl Stream {
    /// An output to what `fd` is open on.
    ///
    /// # Errors
    /// If the descriptor cannot be duplicated.
    pub fn to(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let shared = || Ok::<_, io::Error>(File::from(fd.try_clone_to_owned()?));
        let (file, way) = match kind(&fstat(fd)?) {
            SFlag::S_IFSOCK => (shared()?, Way::Send),
            SFlag::S_IFIFO | SFlag::S_IFCHR => match open_again(fd) {
                Ok(own) => (own, Way::Write),
                Err(_) => (shared()?, Way::Ask),
            },
            _ => (shared()?, Way::Write),
        };
        Ok(Self { file, way })
    }

    /// Writes what fits now.
    ///
    /// # Errors
    /// `WouldBlock` if nothing does; otherwise as write(2).
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self.way {
            Way::Write => (&self.file).write(bytes),
            Way::Send => {
                let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
                Ok(send(self.file.as_raw_fd(), bytes, flags)?)
            }
            Way::Ask => {
                let mut asked = [PollFd::new(self.file.as_fd(), PollFlags::POLLOUT)];
                if poll(&mut asked, PollTimeout::ZERO)? == 0 {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                (&self.file).write(&bytes[..bytes.len().min(ASKED_WRITE_BYTES_MAX)])
            }
        }
    }
}

impl AsRawFd for Stream {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

/// True if both are open on the same file, pipe or terminal.
pub fn are_same(a: BorrowedFd<'_>, b: BorrowedFd<'_>) -> bool {
    let identity = |stat: FileStat| (stat.st_dev, stat.st_ino, stat.st_rdev);
    match (fstat(a), fstat(b)) {
        (Ok(a), Ok(b)) => identity(a) == identity(b),
        (Err(_), _) | (_, Err(_)) => false,
    }
}

/// /dev/null, as the stdin of workers and as all that commands which look at them read and write.
///
/// # Errors
/// If it is not there.
pub fn nothing() -> io::Result<OwnedFd> {
    Ok(OpenOptions::new().read(true).write(true).open("/dev/null")?.into())
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

    use super::*;

    /// Writes until nothing fits and returns how much did.
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
    fn a_full_pipe_is_not_waited_for_and_stays_blocking_for_others() {
        let (mut reader, writer) = io::pipe().unwrap();
        let stream = Stream::to(writer.as_fd()).unwrap();
        assert_eq!(stream.way, Way::Write);
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
        assert_eq!(stream.way, Way::Send);
        assert!(fill(&stream) > 0);
    }

    #[test]
    fn what_cannot_be_opened_again_is_asked_before_each_write() {
        let (_reader, writer) = io::pipe().unwrap();
        let stream = Stream { file: File::from(OwnedFd::from(writer)), way: Way::Ask };
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
        assert!(are_same(file.as_fd(), stream.file.as_fd()));
        assert!(!are_same(file.as_fd(), tempfile::tempfile().unwrap().as_fd()));
    }
}
