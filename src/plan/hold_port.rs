//! How the listening socket of a slot's port outlives its workers.

use core::net::IpAddr;

/// Which process has the socket of a slot's port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HoldPort {
    /// The worker alone.
    #[default]
    No,
    /// pm too: the worker binds it and listens, and pm answers these calls.
    Calls,
    /// pm too: pm binds it to this address, listens, and passes it to the worker (sd_listen_fds(3)).
    Passed(IpAddr),
}

impl HoldPort {
    /// True if the socket outlives the workers.
    pub fn holds(self) -> bool {
        match self {
            Self::No => false,
            Self::Calls | Self::Passed(_) => true,
        }
    }
}
