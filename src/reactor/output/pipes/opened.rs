//! A pipe or terminal that is opened before its worker is spawned.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use mio::unix::SourceFd;
use mio::{Interest, Token};
use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::reactor::output::spec::Device;
use crate::reactor::tokens::{Registrar, Source};
use crate::sys::pty;

/// A pipe or terminal that no worker has yet.
#[derive(Debug)]
pub struct Opened {
    pub reader: File,
    /// What the worker gets.
    pub writer: OwnedFd,
    pub token: Token,
}

impl Opened {
    /// Opens one.
    ///
    /// # Errors
    /// EMFILE or ENFILE: too many files are open.
    pub fn of(device: Device, registrar: &mut Registrar<'_>) -> io::Result<Self> {
        let (reader, writer) = match device {
            Device::Terminal(size) => pty::open(size)?,
            Device::Pipe => {
                let (reader, writer) = io::pipe()?;
                fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
                (OwnedFd::from(reader).into(), writer.into())
            }
        };
        let mut descriptor = SourceFd(&reader.as_raw_fd());
        let token = registrar.register(&mut descriptor, Source::SpareOutput, Interest::READABLE)?;
        Ok(Self { reader, writer, token })
    }
}
