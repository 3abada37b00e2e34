//! The control socket: what clients ask of a running pm.
//!
//! [`http`] is the protocol of one connection. Nothing here decides about a worker.

pub mod http;
