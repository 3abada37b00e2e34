//! The listening sockets that outlive the workers of their slots, and the calls by which workers ask for them.
//!
//! A worker of a pool with `hold_port` runs under a filter ([`crate::sys::port_calls`]). When it binds its slot's port
//! it gets the socket that the worker before it had; when it listens, pm keeps a descriptor of the socket. Between the
//! two workers connections wait in the backlog. Calls for anything else go on as if pm were not there.
//!
//! Whether a slot holds its port is the supervisor's to say. Where to look next: [`socket`] is the sockets of one slot,
//! [`caller`] one worker that calls, [`heard`] what becomes known.

mod caller;
mod heard;
mod socket;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use mio::Interest;
use mio::unix::SourceFd;
use nix::errno::Errno;

pub use self::caller::Admission;
use self::caller::Caller;
pub use self::heard::Heard;
use self::socket::HeldSockets;
use super::output::Progress;
use super::tokens::{Registrar, Source};
use crate::supervisor::{SlotId, WorkerId};
use crate::sys::port_calls::{Asked, CannotHold, PortCall, PortCalls, Received};
use crate::sys::tcp_socket::{Backlog, Mode, TcpSocket};

/// Answered for one worker before the next: bounds how much one worker can delay the others.
const CALLS_PER_TURN: usize = 16;

/// A socket that a ready worker has not asked for after this time is closed: what connects there waits in vain.
const UNUSED_MAX: Duration = Duration::from_secs(5);

/// The held sockets of all slots, and the workers that may ask for them.
#[derive(Debug, Default)]
pub struct HeldPorts {
    slots: BTreeMap<SlotId, HeldSockets>,
    callers: BTreeMap<WorkerId, Caller>,
    readable: BTreeSet<WorkerId>,
    /// Ready workers that have not asked for all sockets of their slot, and until when they may.
    unused: BTreeSet<(Instant, WorkerId)>,
    heard: Vec<Heard>,
}

impl HeldPorts {
    // Slots.

    /// A worker of this slot is about to be spawned, whose calls come here: what the slot had let go is opened again. A
    /// socket that cannot be opened is left for the worker to bind.
    pub fn prepare(&mut self, slot: SlotId) {
        self.slots.entry(slot).or_default().take_up();
    }

    /// A worker of this slot is about to be spawned that gets the socket of this address: the one that is held, or a
    /// new one.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn prepare_passed(&mut self, slot: SlotId, name: SocketAddr) -> io::Result<&TcpSocket> {
        self.slots.entry(slot).or_default().take_up_one(name)
    }

    /// No worker is wanted in the slot: pm's descriptors are closed, so that nothing waits in vain.
    pub fn let_go(&mut self, slot: SlotId) {
        if let Some(sockets) = self.slots.get_mut(&slot) {
            sockets.let_go();
        }
    }

    /// The slot is gone, or its next worker is to bind its port itself.
    pub fn forget(&mut self, slot: SlotId) {
        self.slots.remove(&slot);
    }

    /// True if a socket is kept for this slot.
    pub fn has_socket(&self, slot: SlotId) -> bool {
        self.slots.get(&slot).is_some_and(|sockets| !sockets.is_empty())
    }

    /// The connections that wait for the worker of this slot, if it holds its port.
    pub fn backlog(&self, slot: SlotId) -> Option<Backlog> {
        self.slots.get(&slot)?.backlog()
    }

    // Workers.

    /// A worker was spawned whose calls come by `calls`.
    pub fn watch(
        &mut self,
        worker: WorkerId,
        port: u16,
        admission: Admission,
        calls: PortCalls,
        registrar: &mut Registrar<'_>,
    ) {
        let source = Source::PortCalls(worker);
        let mut descriptor = SourceFd(&calls.as_raw_fd());
        match registrar.register(&mut descriptor, source, Interest::READABLE) {
            Ok(token) => {
                self.callers.insert(worker, Caller::new(calls, token, port, admission));
            }
            // Its calls fail, since no answer could come.
            Err(error) => {
                let why = CannotHold { call: "epoll_ctl", errno: errno_of(&error) };
                self.heard.push(Heard::NotHeld(worker, why));
            }
        }
    }

    /// The spare is one of another slot from now on, with this port. It goes on to ask for the port that it was started
    /// for, and gets this one.
    pub fn rename(
        &mut self,
        from: WorkerId,
        to: WorkerId,
        port: u16,
        registrar: &mut Registrar<'_>,
    ) {
        let Some(caller) = self.callers.remove(&from) else { return };
        registrar.rename(caller.token, Source::PortCalls(to));
        self.callers.insert(to, Caller { port, ..caller });
        if self.readable.remove(&from) {
            self.readable.insert(to);
        }
        for heard in &mut self.heard {
            heard.rename(from, to);
        }
    }

    /// The worker is ready. It may need longer for the rest of its addresses.
    pub fn on_ready(&mut self, worker: WorkerId, now: Instant) {
        let sockets = self.slots.get(&worker.slot);
        if sockets.is_some_and(|sockets| sockets.has_unused(worker.generation)) {
            self.unused.insert((now + UNUSED_MAX, worker));
        }
    }

    /// When the next socket is closed that its worker has not asked for.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.unused.first().map(|(at, _)| *at)
    }

    /// Closes the sockets that workers have not asked for in time. If such a worker is gone, the next one may.
    pub fn close_unused(&mut self, now: Instant) {
        while self.next_deadline().is_some_and(|at| at <= now) {
            let Some((_, worker)) = self.unused.pop_first() else { return };
            if let Some(sockets) = self.slots.get_mut(&worker.slot)
                && self.callers.contains_key(&worker)
            {
                sockets.close_unused(worker.generation);
            }
        }
    }

    /// The poll says that a worker has called, or that no process of it is left.
    pub fn mark_readable(&mut self, worker: WorkerId) {
        self.readable.insert(worker);
    }

    /// True if this worker has called listen(2) for its port, or knows that its socket listens.
    pub fn listens(&self, worker: WorkerId) -> bool {
        self.callers.get(&worker).is_some_and(|caller| caller.listens)
    }

    /// A worker says that it is ready. If it is a spare that counts later, when it listens: true then.
    pub fn keep_ready(&mut self, worker: WorkerId) -> bool {
        let caller = self.callers.get_mut(&worker);
        let Some(caller) = caller.filter(|caller| caller.admission != Admission::Now) else {
            return false;
        };
        caller.said_ready = true;
        true
    }

    /// True if this worker has said that it is ready when it was a spare.
    pub fn has_said_ready(&self, worker: WorkerId) -> bool {
        self.callers.get(&worker).is_some_and(|caller| caller.said_ready)
    }

    /// No process of this worker is left.
    pub fn on_emptied(&mut self, worker: WorkerId, registrar: &mut Registrar<'_>) {
        self.readable.remove(&worker);
        if let Some(caller) = self.callers.remove(&worker) {
            registrar.release(caller.token);
        }
    }

    /// Answers the calls that wait, at most [`CALLS_PER_TURN`] of each worker.
    pub fn answer(&mut self, registrar: &mut Registrar<'_>) -> Progress {
        let mut progress = Progress::Idle;
        for worker in Vec::from_iter(self.readable.iter().copied()) {
            for turn in 0..=CALLS_PER_TURN {
                if turn == CALLS_PER_TURN {
                    progress = Progress::MayHaveMore;
                    break;
                }
                let Some(caller) = self.callers.get_mut(&worker) else {
                    self.readable.remove(&worker);
                    break;
                };
                match caller.calls.receive() {
                    Received::Call(call) => self.judge(worker, call),
                    Received::Nothing => {
                        self.readable.remove(&worker);
                        break;
                    }
                    Received::Over => {
                        self.on_emptied(worker, registrar);
                        break;
                    }
                }
            }
        }
        progress
    }

    /// Takes what became known.
    pub fn take_heard(&mut self) -> Vec<Heard> {
        std::mem::take(&mut self.heard)
    }

    /// This worker, which was a spare, may bind its port: the calls that have waited for that are answered.
    pub fn admit(&mut self, worker: WorkerId) {
        let Some(caller) = self.callers.get_mut(&worker) else { return };
        caller.admission = Admission::Now;
        for (call, address) in std::mem::take(&mut caller.waiting) {
            self.bind(worker, &call, address);
        }
    }

    /// This spare is asked to stop. As a rule a server ends by itself where it cannot bind its port; while its call
    /// waits it might not take notice of a signal. So a call that comes later fails too.
    pub fn refuse_waiting(&mut self, worker: WorkerId) {
        let Some(caller) = self.callers.get_mut(&worker) else { return };
        if caller.admission == Admission::Later {
            caller.admission = Admission::Never;
        }
        for (call, _) in std::mem::take(&mut caller.waiting) {
            caller.calls.refuse(&call, Errno::EADDRINUSE);
        }
    }

    // Calls.

    fn judge(&mut self, worker: WorkerId, call: PortCall) {
        let Some(caller) = self.callers.get_mut(&worker) else { return };
        match call.asked {
            Asked::Bind(address) if address.port() == caller.named_port => match caller.admission {
                Admission::Now => self.bind(worker, &call, address),
                Admission::Later => self.hold_back(worker, call, address),
                Admission::Never => self.refuse(worker, &call),
            },
            Asked::Bind(_) | Asked::BindElsewhere => caller.calls.go_on(&call),
            Asked::Listen { backlog } => self.listen(worker, &call, backlog),
            Asked::WhetherItListens => self.tell_whether_it_listens(worker, &call),
        }
    }

    /// A spare binds its port: it waits. That of a socket which is not of TCP goes on.
    fn hold_back(&mut self, worker: WorkerId, call: PortCall, address: SocketAddr) {
        if self.socket(worker, &call).is_none() {
            return;
        }
        let Some(caller) = self.callers.get_mut(&worker) else { return };
        // A signal interrupts the call, and it is made again.
        let calls = &caller.calls;
        caller.waiting.retain(|(waiting, _)| calls.still_waits(waiting));
        caller.waiting.push((call, address));
        self.heard.push(Heard::Waits(worker));
    }

    /// A spare binds its port after it was asked to stop.
    fn refuse(&mut self, worker: WorkerId, call: &PortCall) {
        if self.socket(worker, call).is_none() {
            return;
        }
        if let Some(caller) = self.callers.get_mut(&worker) {
            caller.calls.refuse(call, Errno::EADDRINUSE);
        }
    }

    /// The worker binds its port: it gets the socket that is kept for this address, or binds its own.
    fn bind(&mut self, worker: WorkerId, call: &PortCall, mut address: SocketAddr) {
        let Some(theirs) = self.socket(worker, call) else { return };
        let is_shared = self
            .callers
            .keys()
            .any(|other| other.slot == worker.slot && other.generation != worker.generation);
        let Some(caller) = self.callers.get(&worker) else { return };
        address.set_port(caller.port);
        let sockets = self.slots.get_mut(&worker.slot);
        match sockets.and_then(|own| own.give(worker.generation, address, &theirs)) {
            Some(socket) => {
                // It is a flag of the socket, and another worker may be using it.
                let mode = theirs.mode();
                if mode == Mode::Nonblocking || !is_shared {
                    socket.set_mode(mode);
                }
                caller.calls.give(call, socket);
            }
            // It would bind the port of another slot.
            None if caller.port != caller.named_port => {
                caller.calls.refuse(call, Errno::EADDRINUSE);
            }
            // It uses other addresses than the worker before it.
            None => {
                if let Some(sockets) = self.slots.get_mut(&worker.slot) {
                    sockets.close_unused(worker.generation);
                }
                caller.calls.go_on(call);
            }
        }
    }

    /// The worker listens. For its port pm does it, so that it is known whether it did.
    fn listen(&mut self, worker: WorkerId, call: &PortCall, backlog: libc::c_int) {
        let Some(socket) = self.socket(worker, call) else { return };
        let Some(caller) = self.callers.get_mut(&worker) else { return };
        if socket.name().is_none_or(|name| name.port() != caller.port) {
            return caller.calls.go_on(call);
        }
        match socket.listen(backlog) {
            Ok(()) => {
                caller.calls.succeed(call);
                caller.listens = true;
                if let Some(sockets) = self.slots.get_mut(&worker.slot) {
                    sockets.keep(worker.generation, socket, backlog);
                }
                self.heard.push(Heard::Listens(worker));
            }
            Err(errno) => caller.calls.refuse(call, errno),
        }
    }

    /// A worker that is told that the socket which it has got listens may leave out its call of listen(2): it counts as
    /// made.
    fn tell_whether_it_listens(&mut self, worker: WorkerId, call: &PortCall) {
        let Some(socket) = self.socket(worker, call) else { return };
        let Some(caller) = self.callers.get_mut(&worker) else { return };
        caller.calls.go_on(call);
        let sockets = self.slots.get(&worker.slot);
        if sockets.is_some_and(|sockets| sockets.has_given(worker.generation, &socket)) {
            caller.listens = true;
            self.heard.push(Heard::Listens(worker));
        }
    }

    /// pm's own descriptor of the socket of a call. If there is none, the call goes on.
    fn socket(&mut self, worker: WorkerId, call: &PortCall) -> Option<TcpSocket> {
        let caller = self.callers.get_mut(&worker)?;
        match caller.calls.socket(call) {
            Ok(Some(socket)) => return Some(socket),
            Ok(None) => {}
            Err(errno) => {
                if !std::mem::replace(&mut caller.is_refused, true) {
                    let why = CannotHold { call: "pidfd_getfd", errno };
                    self.heard.push(Heard::NotHeld(worker, why));
                }
            }
        }
        caller.calls.go_on(call);
        None
    }
}

fn errno_of(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
