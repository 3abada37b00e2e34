//! What pm changes of itself at start: it hears signals, adopts orphans, and may open more files than its workers.

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::SigSet;
use nix::unistd::{Pid, getpid};

use super::processes;

/// What pm was started with and has changed for itself.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The limit on open files, to be given back to workers.
    pub open_files: libc::rlimit,
    /// Children that were there before pm was: a shell's `exec pm > >(tee log)` leaves one. Not pm's to end.
    pub inherited: Vec<Pid>,
}

impl Standing {
    /// Lets in signals that whoever started pm had blocked, becomes the one that adopts what workers leave behind, and
    /// raises the soft limit on open files to the hard one.
    ///
    /// # Errors
    /// If the kernel refuses one of them.
    pub fn take() -> Result<Self, Errno> {
        SigSet::empty().thread_set_mask()?;
        prctl::set_child_subreaper(true)?;
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        let open_files = libc::rlimit { rlim_cur: soft, rlim_max: hard };
        Ok(Self { open_files, inherited: processes::children_of(getpid()) })
    }
}
