//! A worker whose calls of bind(2) and listen(2) come to pm.

use std::net::SocketAddr;

use mio::Token;

use crate::sys::port_calls::{PortCall, PortCalls};

/// A worker with a filter, until no process of it is left.
#[derive(Debug)]
pub struct Caller {
    pub calls: PortCalls,
    pub token: Token,
    /// Its slot's.
    pub port: u16,
    /// What its command names: that of the slot which it was started for.
    pub named_port: u16,
    pub admission: Admission,
    /// Those that wait until it may bind.
    pub waiting: Vec<(PortCall, SocketAddr)>,
    /// It has called listen(2) for its port, or knows that its socket listens.
    pub listens: bool,
    /// It has said that it is ready before it took over.
    pub said_ready: bool,
    /// A call was not looked at, which is told once.
    pub is_refused: bool,
}

impl Caller {
    pub fn new(calls: PortCalls, token: Token, port: u16, admission: Admission) -> Self {
        let (waiting, listens, said_ready, is_refused) = (Vec::new(), false, false, false);
        let named_port = port;
        Self { calls, token, port, named_port, admission, waiting, listens, said_ready, is_refused }
    }
}

/// When a worker may bind its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    Now,
    /// It is a spare: its call waits, and so does the thread that made it.
    Later,
    /// It is a spare that was asked to stop: its call fails.
    Never,
}
