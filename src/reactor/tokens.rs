//! What the poll can report, and the token of each: an index into a slab.
//!
//! [`Poller`] owns the poll. A part of the reactor registers what it reads through a [`Registrar`], and releases the
//! token when it closes the descriptor. A new peripheral needs one more kind of [`Source`] and its arm in the loop.

use std::io::{self, ErrorKind};
use std::time::Duration;

use mio::event;
use mio::{Events, Interest, Poll, Registry, Token};
use slab::Slab;

use crate::supervisor::{SlotId, WorkerId};

/// Events taken from the kernel in one wakeup; the rest follow in the next.
const EVENTS_PER_WAKEUP: usize = 256;

/// Something that is registered with the poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Signals,
    /// A child has exec'd or died.
    Children,
    Stdout,
    Stderr,
    /// The output of this worker.
    Output(WorkerId),
    /// A pipe for the output of the next worker.
    SpareOutput,
    /// The connection of the probe of this slot.
    Probe(SlotId),
    /// The socket on which the worker of this slot notifies (sd_notify(3)).
    Notifications(SlotId),
    /// The calls of bind(2) and listen(2) of this worker.
    PortCalls(WorkerId),
    /// The control socket.
    Listener,
    /// The socket of the page.
    PageListener,
    /// The client of this number.
    Client(usize),
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wakeup {
    /// A source is ready, or the time has passed.
    Usual,
    /// By EINTR: a signal was handled, or pm was stopped and goes on, by SIGCONT, by the freezer of a control group or
    /// by a debugger (signal(7)).
    Interrupted,
}

/// Whether something that had arrived before a wakeup is not read yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    Nothing,
    Something,
}

/// The poll of the loop and everything that is registered with it.
#[derive(Debug)]
pub struct Poller {
    poll: Poll,
    events: Events,
    sources: Slab<Source>,
    wakeups: u64,
}

/// What a part of the reactor needs to register and to release its sources.
#[derive(Debug)]
pub struct Registrar<'a> {
    registry: &'a Registry,
    sources: &'a mut Slab<Source>,
}

impl Poller {
    /// A poll without sources.
    ///
    /// # Errors
    /// EMFILE, ENFILE or ENOMEM (epoll_create1(2)).
    pub fn open() -> io::Result<Self> {
        let events = Events::with_capacity(EVENTS_PER_WAKEUP);
        Ok(Self { poll: Poll::new()?, events, sources: Slab::new(), wakeups: 0 })
    }

    pub fn registrar(&mut self) -> Registrar<'_> {
        Registrar { registry: self.poll.registry(), sources: &mut self.sources }
    }

    /// Waits until a source is ready, a signal arrives or `timeout` has passed; without a limit if it is `None`.
    ///
    /// # Errors
    /// Those of epoll_wait(2), which are bugs. EINTR is none: the signal pipe says what arrived.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<Wakeup> {
        self.wakeups += 1;
        match self.poll.poll(&mut self.events, timeout) {
            // What is ready by now is read before any deadline is judged.
            Err(error) if error.kind() == ErrorKind::Interrupted => loop {
                match self.poll.poll(&mut self.events, Some(Duration::ZERO)) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    result => return result.map(|()| Wakeup::Interrupted),
                }
            },
            result => result.map(|()| Wakeup::Usual),
        }
    }

    /// How often it has waited.
    pub fn wakeups(&self) -> u64 {
        self.wakeups
    }

    /// Whether the kernel may have more events than the last [`Poller::wait`] could return.
    pub fn unread(&self) -> Unread {
        if self.events.iter().count() < EVENTS_PER_WAKEUP {
            Unread::Nothing
        } else {
            Unread::Something
        }
    }

    /// The sources that were ready at the last [`Poller::wait`].
    pub fn ready(&self) -> impl Iterator<Item = Source> {
        self.events.iter().filter_map(|event| self.sources.get(event.token().0).copied())
    }
}

impl Registrar<'_> {
    /// Gives `source` a token without registering a descriptor yet.
    pub fn reserve(&mut self, source: Source) -> Token {
        Token(self.sources.insert(source))
    }

    /// Registers a descriptor under a reserved token.
    ///
    /// # Errors
    /// As epoll_ctl(2): ENOSPC if this user watches too many descriptors, EPERM for a regular file.
    pub fn watch(
        &self,
        descriptor: &mut impl event::Source,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        self.registry.register(descriptor, token, interest)
    }

    /// Has the poll report another interest in a registered descriptor. What it is ready for now is reported anew.
    ///
    /// # Errors
    /// ENOMEM (epoll_ctl(2)).
    pub fn watch_anew(
        &self,
        descriptor: &mut impl event::Source,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        self.registry.reregister(descriptor, token, interest)
    }

    /// Reserves a token and registers a descriptor under it.
    ///
    /// # Errors
    /// As [`Registrar::watch`]; then no token is left reserved.
    pub fn register(
        &mut self,
        descriptor: &mut impl event::Source,
        source: Source,
        interest: Interest,
    ) -> io::Result<Token> {
        let token = self.reserve(source);
        match self.watch(descriptor, token, interest) {
            Ok(()) => Ok(token),
            Err(error) => {
                self.release(token);
                Err(error)
            }
        }
    }

    /// The token stands for another source from now on.
    pub fn rename(&mut self, token: Token, source: Source) {
        self.sources[token.0] = source;
    }

    /// Frees a token. The kernel forgets the descriptor by itself when it is closed (epoll(7)).
    pub fn release(&mut self, token: Token) {
        let released = self.sources.try_remove(token.0);
        debug_assert!(released.is_some(), "{token:?} is released once");
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use mio::unix::SourceFd;

    use super::*;

    #[test]
    fn an_event_leads_to_its_source_until_the_token_is_released() {
        let mut poller = Poller::open().unwrap();
        let source = Source::Probe(SlotId(7));
        let (_reader, writer) = io::pipe().unwrap();
        let fd = writer.as_raw_fd();
        let mut registrar = poller.registrar();
        let token = registrar.register(&mut SourceFd(&fd), source, Interest::WRITABLE).unwrap();
        poller.wait(None).unwrap();
        assert_eq!(Vec::from_iter(poller.ready()), [source]);
        poller.registrar().release(token);
        assert_eq!(poller.ready().count(), 0);
    }

    #[test]
    fn a_refused_registration_leaves_no_token_behind() {
        let mut poller = Poller::open().unwrap();
        let file = tempfile::tempfile().unwrap();
        let fd = file.as_raw_fd();
        let mut registrar = poller.registrar();
        let refused = registrar.register(&mut SourceFd(&fd), Source::Stdout, Interest::WRITABLE);
        assert_eq!(refused.unwrap_err().raw_os_error(), Some(libc::EPERM));
        assert!(poller.sources.is_empty());
    }
}
