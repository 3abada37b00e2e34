//! Signals as a descriptor to poll: a handler notes its signal and writes a byte to a pipe.
//!
//! Signals of one kind coalesce, as the kernel's own do (signal(7)); none is lost.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use signal_hook::{SigId, low_level};

/// The signals that are caught, until it is dropped.
pub struct SelfPipe {
    arrived: Arc<Arrived>,
    /// Readable when a signal was noted since it was emptied.
    reader: PipeReader,
    handlers: Vec<SigId>,
}

/// What the handlers have noted.
struct Arrived {
    /// The bit of each signal that has arrived and is not taken.
    signals: AtomicU64,
    writer: PipeWriter,
}

impl SelfPipe {
    /// Catches these signals from now on.
    ///
    /// # Errors
    /// If the kernel refuses a pipe or a handler.
    pub fn catch(signals: impl Iterator<Item = i32>) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let arrived = Arc::new(Arrived { signals: AtomicU64::new(0), writer });
        let mut pipe = Self { arrived, reader, handlers: Vec::new() };
        for signal in signals {
            let arrived = Arc::clone(&pipe.arrived);
            // SAFETY: all that the handler does is a store and a write(2), which are allowed in one (signal-safety(7)).
            // signal-hook keeps errno.
            // WHY: the safe handlers of signal-hook have a descriptor each, of which each child would get a copy.
            let handler = unsafe { low_level::register(signal, move || arrived.note(signal)) };
            pipe.handlers.push(handler?);
        }
        Ok(pipe)
    }

    /// The poll has reported it: it reports the next signal again.
    pub fn empty(&mut self) {
        let mut bytes = [0; 64];
        // A pipe that gives less is empty, and so is one that gives EAGAIN.
        while self.reader.read(&mut bytes).is_ok_and(|count| count == bytes.len()) {}
    }

    /// Takes the signals that have arrived since the last call, in the order of their numbers. No system call.
    pub fn take(&self) -> impl Iterator<Item = i32> + use<> {
        let mut signals = self.arrived.signals.swap(0, Ordering::SeqCst);
        std::iter::from_fn(move || {
            let signal = signals.trailing_zeros();
            signals &= signals.wrapping_sub(1);
            (signal < u64::BITS).then_some(signal as i32)
        })
    }
}

impl AsFd for SelfPipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

impl Drop for SelfPipe {
    fn drop(&mut self) {
        for handler in self.handlers.drain(..) {
            low_level::unregister(handler);
        }
    }
}

impl Arrived {
    fn note(&self, signal: i32) {
        self.signals.fetch_or(1 << signal, Ordering::SeqCst);
        // A pipe that is full is readable all the same.
        let _ = (&self.writer).write(&[0]);
    }
}

#[cfg(test)]
mod tests {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use nix::sys::signal::{Signal, raise};

    use super::*;

    #[test]
    fn each_signal_is_told_once_and_the_next_one_makes_the_pipe_readable_again() {
        let signals = [Signal::SIGURG, Signal::SIGIO];
        let mut pipe = SelfPipe::catch(signals.into_iter().map(|signal| signal as i32)).unwrap();
        let is_readable = |pipe: &SelfPipe| {
            poll(&mut [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO) == Ok(1)
        };
        assert!(!is_readable(&pipe));
        // More bytes than are read at once.
        (0..200).for_each(|_| raise(Signal::SIGIO).unwrap());
        raise(Signal::SIGURG).unwrap();
        assert!(is_readable(&pipe));
        pipe.empty();
        assert!(!is_readable(&pipe));
        assert_eq!(Vec::from_iter(pipe.take()), [libc::SIGURG, libc::SIGIO]);
        assert_eq!(pipe.take().next(), None);
        raise(Signal::SIGURG).unwrap();
        assert!(is_readable(&pipe));
        assert_eq!(Vec::from_iter(pipe.take()), [libc::SIGURG]);
    }
}
