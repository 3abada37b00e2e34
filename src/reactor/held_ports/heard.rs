//! What became known by the calls of workers. Values only.

use crate::supervisor::WorkerId;
use crate::sys::port_calls::CannotHold;

/// What became known by calls, for the loop to act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It is a spare, and has come to the bind of its port.
    Waits(WorkerId),
    /// It listens on its port.
    Listens(WorkerId),
    /// The kernel does not let pm see the socket of a call: to be reported.
    NotHeld(WorkerId, CannotHold),
}

impl Heard {
    /// It is about another worker, if it was about this one.
    pub fn rename(&mut self, from: WorkerId, to: WorkerId) {
        let (Self::Waits(worker) | Self::Listens(worker) | Self::NotHeld(worker, _)) = self;
        if *worker == from {
            *worker = to;
        }
    }
}
