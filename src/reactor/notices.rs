//! What workers say of themselves by sd_notify(3): a socket for each slot that wants one, read as it comes.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::AsRawFd;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use crate::supervisor::SlotId;
use crate::sys::notify::{Datagram, NotifySocket};

/// Read from one worker before the next has its turn: one that chatters takes nobody's word away.
const DATAGRAMS_PER_TURN: usize = 8;

/// The sockets of all slots that have one.
#[derive(Debug, Default)]
pub struct Notices {
    sockets: BTreeMap<SlotId, NotifySocket>,
    readable: BTreeSet<SlotId>,
}

impl Notices {
    /// Opens the socket of a slot if it has none, and returns what `NOTIFY_SOCKET` is to say.
    ///
    /// # Errors
    /// EMFILE or ENFILE: too many files are open.
    pub fn open(&mut self, slot: SlotId, registry: &Registry, token: Token) -> io::Result<String> {
        if let Some(socket) = self.sockets.get(&slot) {
            return Ok(socket.variable());
        }
        let socket = NotifySocket::open()?;
        registry.register(&mut SourceFd(&socket.as_raw_fd()), token, Interest::READABLE)?;
        let variable = socket.variable();
        self.sockets.insert(slot, socket);
        Ok(variable)
    }

    /// The poll says that a worker has said something.
    pub fn is_readable(&mut self, slot: SlotId) {
        self.readable.insert(slot);
    }

    /// Takes what has been said, so much from each in turn. True if there may be more.
    pub fn read(&mut self, mut each: impl FnMut(SlotId, Datagram)) -> bool {
        let Self { sockets, readable } = self;
        readable.retain(|slot| {
            let Some(socket) = sockets.get(slot) else { return false };
            let mut said = std::iter::from_fn(|| socket.receive()).take(DATAGRAMS_PER_TURN);
            let count = said.by_ref().map(|datagram| each(*slot, datagram)).count();
            count == DATAGRAMS_PER_TURN
        });
        !readable.is_empty()
    }

    /// Forgets what a worker that is gone had still said.
    pub fn discard(&mut self, slot: SlotId) {
        if let Some(socket) = self.sockets.get(&slot) {
            while socket.receive().is_some() {}
        }
    }

    /// Closes the socket of a slot.
    pub fn close(&mut self, slot: SlotId) {
        self.sockets.remove(&slot);
        self.readable.remove(&slot);
    }
}

#[cfg(test)]
mod tests {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    use super::*;

    #[test]
    fn one_that_chatters_takes_nobodys_word_away() {
        let poll = mio::Poll::new().unwrap();
        let mut notices = Notices::default();
        let mut say = |slot: SlotId, times: usize| {
            let name = notices.open(slot, poll.registry(), Token(slot.0)).unwrap();
            notices.is_readable(slot);
            let address = SocketAddr::from_abstract_name(&name.as_bytes()[1..]).unwrap();
            let sender = UnixDatagram::unbound().unwrap();
            for _ in 0..times {
                sender.send_to_addr(b"WATCHDOG=1", &address).unwrap();
            }
        };
        // As many as the kernel keeps of one (unix(7), max_dgram_qlen).
        say(SlotId(0), DATAGRAMS_PER_TURN + 2);
        say(SlotId(1), 1);
        let turn = |notices: &mut Notices| {
            let mut heard = Vec::new();
            let has_more = notices.read(|slot, _| heard.push(slot.0));
            (heard, has_more)
        };
        let mut first = vec![0; DATAGRAMS_PER_TURN];
        first.push(1);
        assert_eq!(turn(&mut notices), (first, true));
        assert_eq!(turn(&mut notices), (vec![0, 0], false));
    }
}
