//! The terminal of a command whose keys go to a worker: without a line discipline of its own, and given back as it was,
//! whatever ends the command.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic;

use nix::libc::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGWINCH};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use signal_hook::low_level::emulate_default_handler;

use super::self_pipe::SelfPipe;
use super::signals::is_ignored;

/// A terminal that passes each key on at once. Its drop gives it back as it was, and so does a panic, which ends the
/// process without a drop.
pub struct RawTerminal {
    terminal: OwnedFd,
    before: Termios,
}

impl RawTerminal {
    /// Keys come as they are typed: none is echoed, edited or makes a signal. Line ends are still completed in what is
    /// written, since the terminal of a worker ends its lines with a line feed alone ([`super::pty`]).
    ///
    /// # Errors
    /// ENOTTY if this is no terminal.
    pub fn of(terminal: BorrowedFd<'_>) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let terminal = terminal.try_clone_to_owned()?;
        let raw = Self { terminal, before };
        raw.give_back_on_panic()?;
        raw.set()?;
        Ok(raw)
    }

    /// It is given back before the panic is printed.
    fn give_back_on_panic(&self) -> io::Result<()> {
        let terminal = self.terminal.try_clone()?;
        let before = libc::termios::from(self.before.clone());
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |panicked| {
            let _ = tcsetattr(&terminal, SetArg::TCSADRAIN, &before.into());
            print(panicked);
        }));
        Ok(())
    }

    /// Gives it back as it was, until [`RawTerminal::set`]: the command is about to be stopped.
    ///
    /// # Errors
    /// EIO if the terminal is gone.
    pub fn give_back(&self) -> io::Result<()> {
        Ok(tcsetattr(&self.terminal, SetArg::TCSADRAIN, &self.before)?)
    }

    /// Sets it again: a shell may have changed it while the command was stopped.
    ///
    /// # Errors
    /// EIO if the terminal is gone.
    pub fn set(&self) -> io::Result<()> {
        let mut modes = self.before.clone();
        cfmakeraw(&mut modes);
        modes.output_flags = self.before.output_flags;
        // Keys that were typed before are not lost.
        Ok(tcsetattr(&self.terminal, SetArg::TCSADRAIN, &modes)?)
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // It fails if the terminal is gone, and then nothing is to be given back.
        let _ = self.give_back();
    }
}

/// What a signal tells a command that has a raw terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// SIGWINCH: the terminal has another size.
    Resized,
    /// SIGTSTP: it is to stop.
    Stop,
    /// SIGCONT: after a stop.
    Continued,
    /// It is to end by this signal.
    End(i32),
}

/// The signals that such a command takes, as a descriptor to poll.
pub struct Watch {
    pipe: SelfPipe,
}

impl Watch {
    /// Catches the signals from now on. One that is ignored stays ignored (nohup(1)).
    ///
    /// # Errors
    /// If the kernel refuses a pipe or a handler.
    pub fn begin() -> io::Result<Self> {
        let signals = [SIGWINCH, SIGTSTP, SIGCONT, SIGTERM, SIGHUP, SIGINT, SIGQUIT];
        let signals = signals.into_iter().filter(|signal| !is_ignored(*signal));
        Ok(Self { pipe: SelfPipe::catch(signals)? })
    }

    /// What has come since the last call. Never waits.
    pub fn take(&mut self) -> Vec<Told> {
        let told = |signal| match signal {
            SIGWINCH => Told::Resized,
            SIGTSTP => Told::Stop,
            SIGCONT => Told::Continued,
            other => Told::End(other),
        };
        self.pipe.empty();
        self.pipe.take().map(told).collect()
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

/// Ends this process by a signal, as if it had not been caught.
///
/// # Errors
/// If there is no such signal.
pub fn end_by(signal: i32) -> io::Result<()> {
    emulate_default_handler(signal)
}

/// Stops this process, as SIGTSTP would have. Returns when it continues.
pub fn stop() {
    let stopped = emulate_default_handler(SIGTSTP);
    debug_assert!(stopped.is_ok(), "SIGTSTP has a default action: {stopped:?}");
}

/// What Linux knows of the modes (asm-generic/termbits.h): there is room for more characters, which musl does not fill.
#[cfg(test)]
pub fn known(modes: &Termios) -> impl PartialEq + std::fmt::Debug + use<> {
    let flags = (modes.input_flags, modes.output_flags, modes.control_flags, modes.local_flags);
    (flags, modes.control_chars[..19].to_vec())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::mem::ManuallyDrop;
    use std::panic::catch_unwind;

    use nix::pty::openpty;
    use nix::sys::termios::{LocalFlags, OutputFlags};

    use super::*;

    #[test]
    fn keys_come_as_they_are_and_the_terminal_is_given_back_even_by_a_panic() {
        let pair = openpty(None, None).unwrap();
        let line = File::from(pair.slave);
        let modes = || tcgetattr(&line).unwrap();
        let before = modes();
        let raw = RawTerminal::of(line.as_fd()).unwrap();
        let flags = modes();
        assert!(!flags.local_flags.intersects(
            LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG | LocalFlags::IEXTEN
        ));
        assert_eq!(flags.output_flags, before.output_flags);
        assert!(flags.output_flags.contains(OutputFlags::OPOST | OutputFlags::ONLCR));
        drop(raw);
        assert_eq!(known(&modes()), known(&before));
        let panicked = catch_unwind(|| {
            let _raw = ManuallyDrop::new(RawTerminal::of(line.as_fd()).unwrap());
            panic!("the command has a fault");
        });
        assert!(panicked.is_err());
        assert_eq!(known(&modes()), known(&before));
    }

    #[test]
    fn what_is_no_terminal_is_left_alone() {
        let (reader, _writer) = io::pipe().unwrap();
        let error = RawTerminal::of(reader.as_fd()).err().unwrap();
        assert_eq!(error.raw_os_error(), Some(libc::ENOTTY));
    }
}
