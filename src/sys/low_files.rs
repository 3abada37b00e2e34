//! The descriptors through which a child gets its files: five low numbers, which pm keeps for good.
//!
//! A child has a table of descriptors of its own, and to copy pm's would cost more with each worker. So it copies the
//! part of it below a low number, and what it needs lies there.
//!
//! Four of them are set for each child. The fifth is the writing end of its report, which is made before it is
//! needed: a child that execs at once leaves it for the next one.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::stat::Mode;
use nix::unistd::pipe2;

/// Descriptors of /dev/null, unless a child is being made.
#[derive(Debug)]
pub struct LowFiles {
    null: OwnedFd,
    /// For stdin, the output, the control group and the socket.
    files: [OwnedFd; 4],
    /// For the report.
    report: OwnedFd,
}

/// The numbers of these descriptors.
#[derive(Clone, Copy, Debug)]
pub struct LowNumbers {
    pub stdin: RawFd,
    /// For both stdout and stderr.
    pub output: RawFd,
    pub cgroup: RawFd,
    /// For the listening socket.
    pub socket: RawFd,
    pub report: RawFd,
}

impl LowFiles {
    /// # Errors
    /// If there is no /dev/null, or too many files are open.
    pub fn open() -> Result<Self, Errno> {
        let null = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
        let another = || {
            // The lowest free number above the three that each program has.
            let number = fcntl(&null, FcntlArg::F_DUPFD_CLOEXEC(3))?;
            // SAFETY: the kernel has just made this descriptor, and nothing else owns it.
            // WHY: nix returns the number.
            Ok::<_, Errno>(unsafe { OwnedFd::from_raw_fd(number) })
        };
        let files = [another()?, another()?, another()?, another()?];
        let report = another()?;
        Ok(Self { null, files, report })
    }

    pub fn numbers(&self) -> LowNumbers {
        let [stdin, output, cgroup, socket] = [0, 1, 2, 3].map(|n| self.files[n].as_raw_fd());
        LowNumbers { stdin, output, cgroup, socket, report: self.report.as_raw_fd() }
    }

    /// Opens the report of the next child. Returns the reading end: it is at its end when the child has no descriptor
    /// of it, and pm has closed its own.
    ///
    /// # Errors
    /// As pipe2(2): too many files are open.
    pub fn open_report(&self) -> Result<OwnedFd, Errno> {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
        place(writer.as_fd(), &self.report)?;
        Ok(reader)
    }

    /// Closes pm's writing end of the report: the child has one of its own.
    pub fn close_report(&self) {
        expect_placed(place(self.null.as_fd(), &self.report));
    }

    /// Lets `make` make a child while these files are at the low numbers. Afterwards /dev/null is there again, so that
    /// each pipe has the ends that it should have.
    ///
    /// # Errors
    /// Those of `make`; EMFILE if the limit on open files was lowered below the numbers.
    pub fn with<T>(
        &self,
        files: [Option<BorrowedFd<'_>>; 4],
        make: impl FnOnce() -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let made = self.place(files).and_then(|()| make());
        let null = Some(self.null.as_fd());
        expect_placed(self.place(files.map(|file| file.and(null))));
        made
    }

    fn place(&self, files: [Option<BorrowedFd<'_>>; 4]) -> Result<(), Errno> {
        let placed = files.into_iter().zip(&self.files);
        placed.filter_map(|(file, at)| Some((file?, at))).try_for_each(|(file, at)| place(file, at))
    }
}

/// # Errors
/// EMFILE if the limit on open files was lowered below the number of `at`.
fn place(file: BorrowedFd<'_>, at: &OwnedFd) -> Result<(), Errno> {
    // SAFETY: both descriptors are open, and `at` is one of a LowFiles: what it was is closed by the call.
    // WHY: nix wants `at` to be changed, and a shared reference shows that its number does not change.
    let placed = unsafe { libc::dup3(file.as_raw_fd(), at.as_raw_fd(), libc::O_CLOEXEC) };
    match Errno::result(placed) {
        Ok(_) => Ok(()),
        // Both are open, so it is the number that is out of range (dup(2)).
        Err(Errno::EBADF) => Err(Errno::EMFILE),
        Err(errno) => Err(errno),
    }
}

/// A descriptor that is open can be replaced, unless the limit was lowered.
fn expect_placed(placed: Result<(), Errno>) {
    debug_assert!(matches!(placed, Ok(()) | Err(Errno::EMFILE)), "{placed:?}");
}
