//! Notifications of workers (sd_notify(3)): one socket for each slot that asks for it, read as they come.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::AsRawFd;

use mio::unix::SourceFd;
use mio::{Interest, Token};

use crate::reactor::output::Progress;
use crate::reactor::tokens::{Registrar, Source};
use crate::supervisor::SlotId;
use crate::sys::notify::{Datagram, NotifySocket};

/// Read from one socket before the next: bounds how much one worker can delay the others.
const DATAGRAMS_PER_TURN: usize = 8;

/// Read from one socket at once at most: what a worker goes on sending meanwhile is not waited for.
const DATAGRAMS_MAX: usize = 512;

/// The sockets of all slots that have one.
#[derive(Debug, Default)]
pub struct Notifications {
    sockets: BTreeMap<SlotId, (NotifySocket, Token)>,
    readable: BTreeSet<SlotId>,
    /// Those whose worker is on its way to exec, as far as is known: what it has sent is not read yet.
    held: BTreeSet<SlotId>,
}

impl Notifications {
    /// Opens the socket of a slot if it has none, and returns what `NOTIFY_SOCKET` is to say.
    ///
    /// # Errors
    /// EMFILE or ENFILE: too many files are open.
    pub fn open(&mut self, slot: SlotId, registrar: &mut Registrar<'_>) -> io::Result<String> {
        if let Some((socket, _)) = self.sockets.get(&slot) {
            return Ok(socket.variable());
        }
        let socket = NotifySocket::open()?;
        let mut descriptor = SourceFd(&socket.as_raw_fd());
        let token =
            registrar.register(&mut descriptor, Source::Notifications(slot), Interest::READABLE)?;
        let variable = socket.variable();
        self.sockets.insert(slot, (socket, token));
        Ok(variable)
    }

    /// True if the slot has a socket.
    pub fn are_open(&self, slot: SlotId) -> bool {
        self.sockets.contains_key(&slot)
    }

    /// The poll says that a worker has sent something.
    pub fn mark_readable(&mut self, slot: SlotId) {
        self.readable.insert(slot);
    }

    /// Takes what was sent, at most [`DATAGRAMS_PER_TURN`] from each socket.
    pub fn read(&mut self, mut each: impl FnMut(SlotId, Datagram)) -> Progress {
        let Self { sockets, readable, held } = self;
        let mut progress = Progress::Idle;
        readable.retain(|slot| {
            let Some((socket, _)) = sockets.get(slot) else { return false };
            if held.contains(slot) {
                return true;
            }
            let mut said = std::iter::from_fn(|| socket.receive()).take(DATAGRAMS_PER_TURN);
            let count = said.by_ref().map(|datagram| each(*slot, datagram)).count();
            let may_have_more = count == DATAGRAMS_PER_TURN;
            if may_have_more {
                progress = Progress::MayHaveMore;
            }
            may_have_more
        });
        progress
    }

    /// Takes all that was sent to one socket, whether or not the poll has reported it.
    pub fn read_all(&self, slot: SlotId) -> Vec<Datagram> {
        let socket = self.sockets.get(&slot).map(|(socket, _)| socket);
        let received =
            socket.into_iter().flat_map(|socket| std::iter::from_fn(|| socket.receive()));
        received.take(DATAGRAMS_MAX).collect()
    }

    /// Drops what the last worker of the slot had sent and pm has not read, and holds what the next one sends until
    /// [`Notifications::release`].
    pub fn discard(&mut self, slot: SlotId) {
        if let Some((socket, _)) = self.sockets.get(&slot) {
            while socket.receive().is_some() {}
            self.held.insert(slot);
        }
    }

    /// The next worker of the slot is known.
    pub fn release(&mut self, slot: SlotId) {
        self.held.remove(&slot);
    }

    /// Closes the socket of a slot.
    pub fn close(&mut self, slot: SlotId, registrar: &mut Registrar<'_>) {
        if let Some((_, token)) = self.sockets.remove(&slot) {
            registrar.release(token);
        }
        self.readable.remove(&slot);
        self.held.remove(&slot);
    }
}

#[cfg(test)]
mod tests {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    use super::*;
    use crate::reactor::tokens::Poller;

    #[test]
    fn a_flood_from_one_worker_does_not_starve_others() {
        let mut poller = Poller::open().unwrap();
        let mut registrar = poller.registrar();
        let mut notifications = Notifications::default();
        let mut say = |slot: SlotId, times: usize| {
            let name = notifications.open(slot, &mut registrar).unwrap();
            notifications.mark_readable(slot);
            let address = SocketAddr::from_abstract_name(&name.as_bytes()[1..]).unwrap();
            let sender = UnixDatagram::unbound().unwrap();
            for _ in 0..times {
                sender.send_to_addr(b"WATCHDOG=1", &address).unwrap();
            }
        };
        // As many as the kernel queues for one socket (unix(7), max_dgram_qlen).
        say(SlotId(0), DATAGRAMS_PER_TURN + 2);
        say(SlotId(1), 1);
        let turn = |notifications: &mut Notifications| {
            let mut heard = Vec::new();
            let progress = notifications.read(|slot, _| heard.push(slot.0));
            (heard, progress)
        };
        let mut first = vec![0; DATAGRAMS_PER_TURN];
        first.push(1);
        assert_eq!(turn(&mut notifications), (first, Progress::MayHaveMore));
        assert_eq!(turn(&mut notifications), (vec![0, 0], Progress::Idle));
    }

    #[test]
    fn what_a_new_worker_sends_waits_until_the_worker_is_known() {
        let mut poller = Poller::open().unwrap();
        let mut notifications = Notifications::default();
        let slot = SlotId(0);
        let name = notifications.open(slot, &mut poller.registrar()).unwrap();
        let address = SocketAddr::from_abstract_name(&name.as_bytes()[1..]).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        let read = |notifications: &mut Notifications| {
            let mut count = 0;
            let progress = notifications.read(|_, _| count += 1);
            (count, progress)
        };
        sender.send_to_addr(b"STOPPING=1", &address).unwrap();
        notifications.mark_readable(slot);
        notifications.discard(slot);
        sender.send_to_addr(b"READY=1", &address).unwrap();
        assert_eq!(read(&mut notifications), (0, Progress::Idle));
        notifications.release(slot);
        assert_eq!(read(&mut notifications), (1, Progress::Idle));
    }
}
