//! A terminal (a pty) that the test uses as a person would: it types keys and reads the screen.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};

use super::lines::Lines;

/// The side of a pty that a person would have: screen and keyboard.
pub struct Terminal {
    screen: File,
    name: String,
    /// Its drop ends the reader thread, which would keep the terminal open.
    _until: io::PipeWriter,
    lines: Lines,
}

/// Reads the screen until the terminal is closed on either side.
struct Screen {
    screen: File,
    until: io::PipeReader,
}

/// The modes of a terminal.
#[derive(Clone, Debug)]
pub struct Modes(pub Termios);

/// What Linux knows of the characters (asm-generic/termbits.h, NCCS). There is room for more, which musl does not fill.
const CONTROL_CHARS: usize = 19;

impl PartialEq for Modes {
    fn eq(&self, other: &Self) -> bool {
        let parts = |Self(modes): &Self| {
            let flags =
                (modes.input_flags, modes.output_flags, modes.control_flags, modes.local_flags);
            (flags, modes.control_chars[..CONTROL_CHARS].to_vec())
        };
        parts(self) == parts(other)
    }
}

impl Terminal {
    pub fn open() -> Self {
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let main = posix_openpt(flags).expect("a pty");
        grantpt(&main).expect("the other side of the pty");
        unlockpt(&main).expect("the other side of the pty");
        let name = ptsname_r(&main).expect("a name");
        let screen = File::from(main.as_fd().try_clone_to_owned().expect("a handle"));
        let (until, _until) = io::pipe().expect("a pipe");
        let lines = Lines::of(Screen { screen: screen.try_clone().expect("a handle"), until });
        Self { screen, name, _until, lines }
    }

    /// The file of the side of the programs.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The side of the programs, for stdin, stdout and stderr. The reader ends when the last handle is closed.
    pub fn line(&self) -> File {
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(OFlag::O_NOCTTY.bits());
        options.open(&self.name).expect("the other side of the pty")
    }

    pub fn lines(&self) -> Lines {
        self.lines.clone()
    }

    /// Types some keys: `\x03` is Ctrl-C.
    pub fn type_keys(&self, keys: &str) {
        (&self.screen).write_all(keys.as_bytes()).expect("a keyboard");
    }

    /// Changes the size of the window.
    pub fn resize(&self, rows: u16, columns: u16) {
        let size = nix::pty::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        pm::sys::pty::resize(&self.screen, size);
    }

    pub fn modes(&self) -> Modes {
        Modes(tcgetattr(&self.screen).expect("the modes of the terminal"))
    }

    pub fn set_modes(&self, modes: &Modes) {
        tcsetattr(&self.screen, SetArg::TCSANOW, &modes.0).expect("the modes of the terminal");
    }
}

impl Read for Screen {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut both = [
            PollFd::new(self.screen.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.until.as_fd(), PollFlags::POLLIN),
        ];
        poll(&mut both, PollTimeout::NONE)?;
        if both[1].revents() != Some(PollFlags::empty()) {
            return Ok(0);
        }
        self.screen.read(bytes)
    }
}
