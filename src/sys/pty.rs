//! A terminal of a worker's own (pty(7)), so that it keeps its colours and writes line by line.
//!
//! pm has the side that a person would have. It types only the keys of people whose `pm attach` has the terminal.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::libc;
use nix::pty::{OpenptyResult, Winsize, openpty};
use nix::sys::termios::{InputFlags, OutputFlags, SetArg, tcgetattr, tcsetattr};

/// The size if pm has no terminal itself: the one that most programs assume.
const SIZE_DEFAULT: Winsize = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };

/// Opens a terminal of this size: the side to read from, which never blocks, and the worker's.
///
/// # Errors
/// EMFILE, or ENOSPC when all terminals of the system are in use (pts(4)).
pub fn open(size: Winsize) -> io::Result<(File, OwnedFd)> {
    let OpenptyResult { master, slave } = openpty(&size, None)?;
    for side in [&master, &slave] {
        fcntl(side, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    }
    fcntl(&master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    // Lines keep the ends that the worker wrote; ONLCR would put a carriage return before each (termios(3)).
    let mut modes = tcgetattr(&slave)?;
    modes.output_flags.remove(OutputFlags::OPOST);
    // Ctrl-S is a key like any other: it would hold up the worker, and no Ctrl-Q could follow a detach.
    modes.input_flags.remove(InputFlags::IXON);
    tcsetattr(&slave, SetArg::TCSANOW, &modes)?;
    Ok((master.into(), slave))
}

/// The size of the terminal `fd`, less the `columns` that pm puts before each line; 24 rows of 80 columns if `fd` is
/// not a terminal.
pub fn size_within(fd: BorrowedFd<'_>, columns: u16) -> Winsize {
    let mut size = SIZE_DEFAULT;
    // SAFETY: `size` is a valid winsize for the kernel to write to, for as long as the call lasts.
    // WHY: nix has no call for it.
    let is_known = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCGWINSZ, &mut size) } == 0;
    if !is_known || size.ws_col == 0 {
        return SIZE_DEFAULT;
    }
    Winsize { ws_col: size.ws_col.saturating_sub(columns).max(1), ..size }
}

/// Changes the size of the terminal, or confirms it: in both cases the kernel sends the worker SIGWINCH, so that a
/// program that draws a whole screen draws it anew.
pub fn announce_size(terminal: &File, size: Winsize) {
    let present = size_within(terminal.as_fd(), 0);
    if (present.ws_row, present.ws_col) == (size.ws_row, size.ws_col) {
        resize(terminal, Winsize { ws_row: size.ws_row.saturating_add(1), ..size });
    }
    resize(terminal, size);
}

/// Changes the size of the terminal. If it is another one, the kernel sends the worker SIGWINCH.
pub fn resize(terminal: &File, size: Winsize) {
    // SAFETY: `size` is a valid winsize for the kernel to read, for as long as the call lasts.
    // WHY: nix has no call for it. It fails only if `terminal` is not a terminal.
    unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCSWINSZ, &size) };
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn lines_come_as_they_were_written() {
        let (mut reader, worker) = open(SIZE_DEFAULT).unwrap();
        assert!(io::IsTerminal::is_terminal(&worker));
        File::from(worker).write_all(b"one\ntwo\n").unwrap();
        let mut bytes = [0; 64];
        let count = reader.read(&mut bytes).unwrap();
        assert_eq!(&bytes[..count], b"one\ntwo\n");
        // The other side is closed.
        assert_eq!(reader.read(&mut bytes).unwrap_err().raw_os_error(), Some(libc::EIO));
    }

    #[test]
    fn the_size_is_that_of_the_terminal_less_the_columns_before_each_line() {
        let (terminal, worker) = open(Winsize { ws_col: 100, ..SIZE_DEFAULT }).unwrap();
        assert_eq!(size_within(worker.as_fd(), 8).ws_col, 92);
        assert_eq!(size_within(worker.as_fd(), 200).ws_col, 1);
        resize(&terminal, Winsize { ws_col: 50, ws_row: 10, ..SIZE_DEFAULT });
        let seen = size_within(worker.as_fd(), 0);
        assert_eq!((seen.ws_col, seen.ws_row), (50, 10));
        let (reader, _writer) = io::pipe().unwrap();
        assert_eq!(size_within(reader.as_fd(), 8).ws_col, 80);
    }
}
