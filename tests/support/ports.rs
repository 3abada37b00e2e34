//! TCP ports for tests. No two tests have the same port at the same time, even in different test processes.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};

/// A port that no other test uses.
pub struct Port {
    pub number: u16,
    /// The UDP port of the same number: a lock that other test processes see too.
    _lock: UdpSocket,
}

impl Port {
    /// Below the range from which the kernel takes the ports of outgoing connections (ip(7), `ip_local_port_range`).
    const RANGE: std::ops::Range<u16> = 10_000..32_000;

    /// This many ports.
    pub fn take(count: usize) -> Vec<Self> {
        std::iter::repeat_with(|| fastrand::u16(Self::RANGE))
            .filter_map(Self::lock)
            .take(count)
            .collect()
    }

    /// This many ports with consecutive numbers.
    pub fn take_consecutive(count: u16) -> Vec<Self> {
        std::iter::repeat_with(|| fastrand::u16(Self::RANGE))
            .find_map(|first| (first..first + count).map(Self::lock).collect())
            .expect("the iterator is endless")
    }

    fn lock(number: u16) -> Option<Self> {
        let _lock = UdpSocket::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
        is_free(number).then_some(Self { number, _lock })
    }
}

/// True if a server could listen on this port.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
