//! What pm changes in its own process: signals, the adoption of orphans, its second thread, the limit on open files,
//! pages of code.
//!
//! Nothing here concerns a worker, except that [`OwnProcess`] keeps what a worker gets back. The guard and the reactor
//! call it at their start; the fork between the two is [`super::guard`].

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal, sigprocmask};
use procfs::process::{MMPermissions, MMapPath, Process};

use super::signals::Signals;

/// What pm was started with and changes for itself. Workers get it back.
#[derive(Clone, Copy, Debug)]
pub struct OwnProcess {
    /// The limit on open files, soft and hard.
    pub open_files: libc::rlimit,
    /// The hard limit on file locks, which has no effect and makes room for the tags of workers.
    pub file_locks: libc::rlim_t,
}

impl OwnProcess {
    /// Sets up the reactor's process. It unblocks the signals, which the guard had blocked, and perhaps the program
    /// that started pm, all but [`Signals::blocked`]; it ignores SIGXFSZ; it becomes the process that adopts the
    /// orphans of its descendants (prctl(2), PR_SET_CHILD_SUBREAPER); and it raises the soft limit on open files to
    /// the hard one.
    ///
    /// # Errors
    /// If the kernel refuses one of them.
    pub fn set_up() -> Result<Self, Errno> {
        Signals::blocked().thread_set_mask()?;
        // A log file that has reached RLIMIT_FSIZE must be a write error (EFBIG), not the end of pm (setrlimit(2)).
        // Workers get the default action back.
        // SAFETY: SIG_IGN runs no code.
        // WHY: nix calls every change of an action unsafe.
        unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) }?;
        prctl::set_child_subreaper(true)?;
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        let open_files = libc::rlimit { rlim_cur: soft, rlim_max: hard };
        let (_, file_locks) = getrlimit(Resource::RLIMIT_LOCKS)?;
        Ok(Self { open_files, file_locks })
    }
}

/// Runs this in a second thread, while the first one waits for it with all signals blocked.
///
/// What this process adopts becomes a child of its first thread (kernel/exit.c, find_new_reaper), and what `run` spawns
/// a child of the second one. So the kernel's list of the first thread's children has the orphans alone, and its length
/// does not depend on the number of workers ([`super::child_list`]).
///
/// # Errors
/// If the kernel refuses a thread.
pub fn run_apart<T: Send>(run: impl FnOnce() -> T + Send) -> io::Result<T> {
    share_heap();
    // For the first thread: the second one inherits it, and unblocks them when it has caught them.
    SigSet::all().thread_block()?;
    std::thread::scope(|scope| {
        let second = std::thread::Builder::new().name("pm-reactor".into());
        let ended = second.spawn_scoped(scope, run)?.join();
        ended.map_err(|panic| std::panic::resume_unwind(panic))
    })
}

/// From this size on each piece of memory is a mapping of its own, and goes back to the kernel when it is freed. It is
/// the default, but once such a piece is freed the heap takes pieces of that size itself (mallopt(3),
/// M_MMAP_THRESHOLD), and keeps those that lie below one that is used: long answers that many clients have let wait.
#[cfg(target_env = "gnu")]
const MAPPED_BYTES_MIN: libc::c_int = 128 * 1024;

/// One heap for all threads, instead of one for each: only one of them runs.
#[cfg(target_env = "gnu")]
fn share_heap() {
    // SAFETY: numbers for malloc(3), before a second thread is there.
    // WHY: there is no safe way to say it (mallopt(3), M_ARENA_MAX).
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES_MIN);
    }
}

/// The heap of another libc is one already.
#[cfg(not(target_env = "gnu"))]
fn share_heap() {}

/// Releases memory that was needed for the start, or for a change of the plan, and is not needed any more.
pub fn release_memory() {
    trim_heap();
    release_code_pages();
}

/// Gives free pages of the heap back to the kernel, also those between pages that are used (malloc_trim(3)).
#[cfg(target_env = "gnu")]
fn trim_heap() {
    // SAFETY: it changes nothing that the program can see.
    // WHY: there is no safe way to say it.
    unsafe { libc::malloc_trim(0) };
}

/// Other libcs do it by themselves.
#[cfg(not(target_env = "gnu"))]
fn trim_heap() {}

/// Releases the pages of the program's code. Most of it is for the start: reading the command line and the file. The
/// rest is mapped again when it runs, page by page from the page cache, which other processes share.
fn release_code_pages() {
    let maps = Process::myself().and_then(|me| me.maps());
    for map in maps.into_iter().flatten() {
        let is_code = map.perms.contains(MMPermissions::EXECUTE | MMPermissions::PRIVATE)
            && !map.perms.contains(MMPermissions::WRITE)
            && matches!(map.pathname, MMapPath::Path(_));
        if is_code {
            let (from, to) = map.address;
            // SAFETY: pages of code are unchanged copies of the file, since they are not writable, and the kernel reads
            // them from it again when they are needed (madvise(2), MADV_DONTNEED).
            // WHY: nix calls it unsafe too, for mappings that are not like this.
            unsafe {
                libc::madvise(from as *mut libc::c_void, (to - from) as usize, libc::MADV_DONTNEED)
            };
        }
    }
}

/// The action of SIGPIPE when the program started. Rust's runtime ignores SIGPIPE after that.
static SIGPIPE_AT_START: AtomicUsize = AtomicUsize::new(libc::SIG_DFL);

/// Called by the loader before main and before Rust's runtime (ELF, DT_INIT_ARRAY).
// SAFETY: what stands in this section is called as a C function, which it is; it makes one system call and one store.
// WHY: after the runtime has started there is no way to learn what SIGPIPE was.
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = record_sigpipe;

extern "C" fn record_sigpipe() {
    SIGPIPE_AT_START.store(super::signals::action(libc::SIGPIPE) as usize, Ordering::Relaxed);
}

/// The signals that ask a running pm for something, and whose default action would end one that does not run yet.
const REQUESTS: [Signal; 2] = [Signal::SIGUSR1, Signal::SIGUSR2];

/// Which of [`REQUESTS`] pm has blocked itself, at their places.
static HELD: [AtomicBool; REQUESTS.len()] = [const { AtomicBool::new(false) }; REQUESTS.len()];

/// Lets requests wait from now on, until the reactor takes them. The first thing in main: before it they end pm.
pub fn hold_requests() {
    let mut before = SigSet::empty();
    let requests = SigSet::from_iter(REQUESTS);
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&requests), Some(&mut before))
        .expect("a set of signals can be blocked");
    for (request, held) in REQUESTS.into_iter().zip(&HELD) {
        held.store(!before.contains(request), Ordering::Relaxed);
    }
}

/// The requests that [`hold_requests`] lets wait, and that were not blocked when pm was started.
pub fn held_requests() -> SigSet {
    let held = REQUESTS.into_iter().zip(&HELD).filter(|(_, held)| held.load(Ordering::Relaxed));
    held.map(|(request, _)| request).collect()
}

/// Gives the requests their action back, for a command that is no run.
pub fn release_requests() {
    sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&held_requests()), None)
        .expect("a set of signals can be unblocked");
}

/// Gives SIGPIPE the action back that it had when the program started.
pub fn restore_sigpipe() {
    let action = match SIGPIPE_AT_START.load(Ordering::Relaxed) {
        libc::SIG_IGN => SigHandler::SigIgn,
        _ => SigHandler::SigDfl,
    };
    // SAFETY: neither action runs code.
    // WHY: nix calls every change of an action unsafe.
    unsafe { signal(Signal::SIGPIPE, action) }.expect("SIGPIPE is a signal");
}
