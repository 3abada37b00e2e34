//! What the reactor changes of its process: it hears signals, adopts orphans, and may open more files than its workers.

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal, raise};

/// What pm was started with, to be given back to workers.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// The limit on open files.
    pub open_files: libc::rlimit,
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
        Ok(Self { open_files: libc::rlimit { rlim_cur: soft, rlim_max: hard } })
    }
}

/// Stops this process until a SIGCONT: what SIGTSTP would have done, had it not been caught.
pub fn suspend() {
    raise(Signal::SIGSTOP).expect("a process may stop itself");
}
