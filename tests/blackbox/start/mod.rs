//! What can prevent a start: a used port, a missing program, a limit; and what pm prints when it runs nothing.

mod failures;
mod first_words;
mod listeners;
mod take_over;
mod used_ports;

use std::net::{Ipv4Addr, TcpListener};
use std::time::Instant;

use crate::support::pm::Pm;
use crate::support::waiting::DEADLINE;

/// Stops a pm whose ports another process may hold.
fn stop_beside_another(mut pm: Pm) {
    pm.ports.clear();
    pm.stop();
}

/// Takes a port as soon as it is free.
fn take(port: u16) -> TcpListener {
    let until = Instant::now() + DEADLINE;
    loop {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(listener) => return listener,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
    }
}
