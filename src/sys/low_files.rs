//! The descriptors through which a child gets its files: four low numbers, which pm keeps for good.
//!
//! A child has a table of descriptors of its own, and to copy pm's would cost more with each worker. So it copies the
//! part of it below a low number, and what it needs lies there.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::stat::Mode;

/// Four descriptors of /dev/null, unless a child is being made.
#[derive(Debug)]
pub struct LowFiles {
    null: OwnedFd,
    /// For stdin, the output, the control group and the report.
    files: [OwnedFd; 4],
}

/// The numbers of these descriptors.
#[derive(Clone, Copy, Debug)]
pub struct LowNumbers {
    pub stdin: RawFd,
    /// For both stdout and stderr.
    pub output: RawFd,
    pub cgroup: RawFd,
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
        Ok(Self { null, files })
    }

    pub fn numbers(&self) -> LowNumbers {
        let [stdin, output, cgroup, report] = [0, 1, 2, 3].map(|n| self.files[n].as_raw_fd());
        LowNumbers { stdin, output, cgroup, report }
    }

    /// Lets `make` make a child while these files are at the low numbers. Afterwards /dev/null is there again, so that
    /// each pipe has the ends that it should have.
    ///
    /// # Errors
    /// Those of `make`; EMFILE if the limit on open files was lowered below the numbers.
    pub fn with<T>(
        &self,
        files: [Option<BorrowedFd<'_>>; 4],
        make: impl FnOnce(LowNumbers) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let placed = self.place(files);
        let made = placed.and_then(|()| make(self.numbers()));
        let null = Some(self.null.as_fd());
        let emptied = self.place(files.map(|file| file.and(null)));
        debug_assert_eq!(emptied, Ok(()), "a descriptor that is open can be replaced");
        made
    }

    fn place(&self, files: [Option<BorrowedFd<'_>>; 4]) -> Result<(), Errno> {
        for (file, at) in files.into_iter().zip(&self.files) {
            let Some(file) = file else { continue };
            // SAFETY: both descriptors are open, and `at` is this struct's own: what it was is closed by the call.
            // WHY: nix wants `at` to be changed, and a shared reference shows that its number does not change.
            Errno::result(unsafe {
                libc::dup3(file.as_raw_fd(), at.as_raw_fd(), libc::O_CLOEXEC)
            })?;
        }
        Ok(())
    }
}
