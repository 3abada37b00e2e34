//! What the reactor changes of its process: it hears signals, adopts orphans, and may open more files than its workers.

use std::sync::atomic::{AtomicUsize, Ordering};

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigHandler, SigSet, Signal, raise, signal};
use procfs::process::{MMPermissions, MMapPath, Process};

/// What pm was started with, to be given back to workers.
#[derive(Clone, Copy, Debug)]
pub struct OwnProcess {
    /// The limit on open files.
    pub open_files: libc::rlimit,
}

impl OwnProcess {
    /// Lets in signals, which the guard and perhaps whoever started pm had blocked, becomes the one that adopts what workers leave behind, and
    /// raises the soft limit on open files to the hard one.
    ///
    /// # Errors
    /// If the kernel refuses one of them.
    pub fn take() -> Result<Self, Errno> {
        SigSet::empty().thread_set_mask()?;
        // A file that may not grow any more (RLIMIT_FSIZE) is an error to be said, not an end. Its workers get the
        // default back.
        // SAFETY: SIG_IGN runs no code.
        // WHY: nix calls every change of an action unsafe.
        unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) }?;
        prctl::set_child_subreaper(true)?;
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        Ok(Self { open_files: libc::rlimit { rlim_cur: soft, rlim_max: hard } })
    }
}

/// Lets go of the program's code, most of which was for the beginning: the command line, the file. What runs from now on
/// comes back page by page from the page cache, which is where it is shared.
pub fn let_go_of_code() {
    let maps = Process::myself().and_then(|me| me.maps());
    for map in maps.into_iter().flatten() {
        let is_code = map.perms.contains(MMPermissions::EXECUTE | MMPermissions::PRIVATE)
            && !map.perms.contains(MMPermissions::WRITE)
            && matches!(map.pathname, MMapPath::Path(_));
        if is_code {
            let (from, to) = map.address;
            // SAFETY: pages of code are as they are in the file, for nobody may write to them, and they are read from
            // it again when they are needed (madvise(2), MADV_DONTNEED).
            // WHY: nix calls it unsafe too, for mappings that are not like this.
            unsafe {
                libc::madvise(from as *mut libc::c_void, (to - from) as usize, libc::MADV_DONTNEED)
            };
        }
    }
}

/// Stops this process until a SIGCONT: what SIGTSTP would have done, had it not been caught.
pub fn suspend() {
    raise(Signal::SIGSTOP).expect("a process may stop itself");
}

/// What SIGPIPE did when the program started, before Rust's runtime had it ignored.
static SIGPIPE_AT_START: AtomicUsize = AtomicUsize::new(libc::SIG_DFL);

/// Called by the loader before main and before Rust's runtime (ELF, DT_INIT_ARRAY).
// SAFETY: what stands in this section is called as a C function, which it is; it makes one system call and one store.
// WHY: after the runtime has started there is no way to learn what SIGPIPE was.
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = note_sigpipe;

extern "C" fn note_sigpipe() {
    SIGPIPE_AT_START.store(super::signals::action(libc::SIGPIPE) as usize, Ordering::Relaxed);
}

/// Lets SIGPIPE do again what it did when the program started.
pub fn restore_sigpipe() {
    let action = match SIGPIPE_AT_START.load(Ordering::Relaxed) {
        libc::SIG_IGN => SigHandler::SigIgn,
        _ => SigHandler::SigDfl,
    };
    // SAFETY: neither action runs code.
    // WHY: nix calls every change of an action unsafe.
    unsafe { signal(Signal::SIGPIPE, action) }.expect("SIGPIPE is a signal");
}
