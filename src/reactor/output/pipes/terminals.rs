//! The terminals of workers, for those who are attached to them.

use std::io::{ErrorKind, Write};
use std::os::fd::AsRawFd;

use mio::Interest;
use mio::unix::SourceFd;
use nix::pty::Winsize;

use super::{Pipe, Pipes, State};
use crate::reactor::output::spec::Device;
use crate::reactor::tokens::Registrar;
use crate::supervisor::{SlotId, WorkerId};
use crate::sys::pty;

/// At most this much of a line without an end is shown to a client that attaches.
const UNFINISHED_BYTES_MAX: usize = 4096;

/// What became of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typed {
    All,
    /// The first of them; the poll reports the worker when the terminal takes more.
    Some(usize),
    /// There is no terminal that could take them.
    Nowhere,
}

/// Whether the terminal of a worker is that of its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seat {
    Current,
    /// It is a spare: clients that are attached to its slot neither see its terminal nor type there.
    Spare,
}

/// What the poll is asked to report of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reports {
    Output,
    /// And that it takes keys again.
    OutputAndKeys,
}

impl Pipes {
    /// This worker is a spare, or is one no more.
    pub fn take_seat(&mut self, worker: WorkerId, seat: Seat) {
        if let Some(pipe) = self.pipes.get_mut(&worker) {
            pipe.seat = seat;
        }
    }

    /// What the latest worker of this slot writes to, while it can be written to.
    pub fn device(&self, slot: SlotId) -> Option<Device> {
        let pipe = self.latest(slot)?;
        (pipe.state != State::Ended).then_some(pipe.lines.spec.device)
    }

    /// What the latest worker of this slot has written of a line that has no end yet; of a long one the last part.
    pub fn unfinished(&self, slot: SlotId) -> Vec<u8> {
        let Some(pipe) = self.latest(slot) else { return Vec::new() };
        let text = pipe.filter.unfinished().or_else(|| pipe.lines.cutter.unfinished());
        let text = text.unwrap_or_default();
        text[text.len().saturating_sub(UNFINISHED_BYTES_MAX)..].to_vec()
    }

    fn latest(&self, slot: SlotId) -> Option<&Pipe> {
        let mut pipes = self.pipes.range(all_of(slot)).map(|(_, pipe)| &**pipe);
        pipes.rfind(|pipe| pipe.seat == Seat::Current)
    }

    /// Gives the terminals of this slot another size.
    pub fn resize_slot(&mut self, slot: SlotId, size: Winsize) {
        for (_, pipe) in self.pipes.range(all_of(slot)) {
            pipe.resize(size);
        }
    }

    /// As [`Pipes::resize_slot`], but the workers are told even if they have this size.
    pub fn announce_size(&mut self, slot: SlotId, size: Winsize) {
        for (_, pipe) in self.pipes.range(all_of(slot)) {
            if pipe.is_terminal() {
                pty::announce_size(&pipe.reader, size);
            }
        }
    }

    /// Types these keys on the terminal of the latest worker of this slot.
    pub fn type_keys(&mut self, slot: SlotId, keys: &[u8], registrar: &mut Registrar<'_>) -> Typed {
        let mut pipes = self.pipes.range_mut(all_of(slot)).map(|(_, pipe)| pipe);
        let latest = pipes.rfind(|pipe| pipe.seat == Seat::Current);
        let Some(pipe) = latest.filter(|pipe| pipe.is_terminal()) else { return Typed::Nowhere };
        let mut typed = 0;
        while typed < keys.len() {
            match pipe.reader.write(&keys[typed..]) {
                Ok(count) if count > 0 => typed += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    pipe.report(Reports::OutputAndKeys, registrar);
                    return Typed::Some(typed);
                }
                // EIO: no process has the terminal open any more (pty(7)).
                Ok(_) | Err(_) => return Typed::Nowhere,
            }
        }
        pipe.report(Reports::Output, registrar);
        Typed::All
    }
}

impl Pipe {
    /// Gives the terminal another size, if it is one.
    pub(super) fn resize(&self, size: Winsize) {
        if self.is_terminal() {
            pty::resize(&self.reader, size);
        }
    }

    fn is_terminal(&self) -> bool {
        matches!(self.lines.spec.device, Device::Terminal(_)) && self.state != State::Ended
    }

    fn report(&mut self, reports: Reports, registrar: &mut Registrar<'_>) {
        if self.reports == reports {
            return;
        }
        let interest = match reports {
            Reports::Output => Interest::READABLE,
            Reports::OutputAndKeys => Interest::READABLE | Interest::WRITABLE,
        };
        let mut descriptor = SourceFd(&self.reader.as_raw_fd());
        // ENOMEM: the keys are typed when something else wakes pm.
        if registrar.watch_anew(&mut descriptor, self.token, interest).is_ok() {
            self.reports = reports;
        }
    }
}

/// Every worker of a slot.
pub(super) fn all_of(slot: SlotId) -> std::ops::RangeInclusive<WorkerId> {
    WorkerId { slot, generation: 0 }..=WorkerId { slot, generation: u64::MAX }
}
