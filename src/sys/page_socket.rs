//! The socket at which browsers and scrapers arrive, over TCP. Which of them are answered is not decided here.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use mio::net::{TcpListener, TcpStream};

use super::errno_words;
use super::ports::{self, Holder};
use nix::errno::Errno;

/// A socket of TCP that listens. Neither workers nor the guard have it: it is closed on exec, and the guard was there
/// before it.
#[derive(Debug)]
pub struct PageSocket {
    listener: TcpListener,
    address: SocketAddr,
}

/// A connection, and its two ends.
#[derive(Debug)]
pub struct Arrival {
    pub stream: TcpStream,
    pub own: SocketAddr,
    pub peer: SocketAddr,
}

/// Why the page is not served.
#[derive(Clone, Debug)]
pub struct PageSocketError {
    pub address: SocketAddr,
    step: &'static str,
    errno: Errno,
    holder: Option<Holder>,
}

impl PageSocket {
    /// Listens at this address; port 0 is one that the kernel chooses.
    ///
    /// # Errors
    /// As bind(2): EADDRINUSE if another process listens there, EACCES for a low port, EADDRNOTAVAIL for an address
    /// that this machine does not have.
    pub fn open(address: SocketAddr) -> Result<Self, PageSocketError> {
        let failed = |error| {
            let mut error = PageSocketError::of(address, "listen there", &error);
            if error.errno == Errno::EADDRINUSE {
                error.holder = ports::holder(address.port(), None);
            }
            error
        };
        let listener = TcpListener::bind(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Where it listens, with the port that the kernel chose.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes the next client, or `None` when no more are waiting. Never waits.
    ///
    /// # Errors
    /// As accept4(2). EMFILE and ENFILE: the client stays in the backlog, and no new event tells of it.
    pub fn accept(&self) -> Result<Option<Arrival>, PageSocketError> {
        loop {
            let arrived = self.listener.accept().and_then(|(stream, peer)| {
                // What is written is one answer or one event: it does not wait for more.
                stream.set_nodelay(true)?;
                Ok(Arrival { own: stream.local_addr()?, stream, peer })
            });
            match arrived {
                Ok(arrival) => return Ok(Some(arrival)),
                Err(error) => match Errno::from_raw(error.raw_os_error().unwrap_or(0)) {
                    Errno::EAGAIN => return Ok(None),
                    // It has gone again (accept(2), ip(7)).
                    Errno::ECONNABORTED | Errno::EINTR | Errno::ENOTCONN | Errno::EINVAL => {}
                    _ => return Err(PageSocketError::of(self.address, "accept a client", &error)),
                },
            }
        }
    }

    /// What the poll watches.
    pub fn source(&mut self) -> &mut TcpListener {
        &mut self.listener
    }
}

impl PageSocketError {
    pub fn of(address: SocketAddr, step: &'static str, error: &io::Error) -> Self {
        let errno = error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw);
        Self { address, step, errno, holder: None }
    }
}

impl std::error::Error for PageSocketError {}

impl fmt::Display for PageSocketError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, step, errno, holder } = self;
        match holder {
            Some(holder) => write!(out, "{holder}; end that process, or use another address"),
            None => write!(out, "{address}: cannot {step}: {}", errno_words(*errno)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_use_names_the_process_that_has_it() {
        let first = PageSocket::open("127.0.0.1:0".parse().unwrap()).unwrap();
        let error = PageSocket::open(first.address()).unwrap_err().to_string();
        let named = format!("is held by pid {} (", std::process::id());
        assert!(error.contains(&named), "{error}");
        let elsewhere = PageSocket::open("192.0.2.1:0".parse().unwrap()).unwrap_err().to_string();
        assert!(elsewhere.starts_with("192.0.2.1:0: cannot listen there: "), "{elsewhere}");
    }
}
