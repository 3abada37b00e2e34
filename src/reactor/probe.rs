//! Does a new worker serve yet? A TCP connect to its port, again and again until one succeeds.
//!
//! There is a probe for as long as the supervisor waits for its worker to be ready, and no longer: nobody has to
//! cancel one. All of it is non-blocking and part of the one poll loop.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::supervisor::WorkerId;

/// Tried in this order: what a worker calls localhost may be either.
const ADDRESSES: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// Between two tries: short for a worker that has just begun, longer for one that takes its time.
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(250);
const PAUSE_PART_OF_AGE: u32 = 8;

/// The probes of all workers that are starting, by token.
#[derive(Debug, Default)]
pub struct Probes {
    probes: BTreeMap<WorkerId, Probe>,
}

#[derive(Debug)]
struct Probe {
    port: u16,
    token: Token,
    began: Instant,
    state: State,
}

#[derive(Debug)]
enum State {
    Connecting { stream: TcpStream, address: usize },
    Pausing { until: Instant },
}

impl Probes {
    /// Begins to probe a worker that has just been spawned.
    pub fn begin(&mut self, worker: WorkerId, port: u16, token: Token, now: Instant) {
        // Nothing listens in the first moments.
        let state = State::Pausing { until: now + PAUSE_MIN };
        self.probes.insert(worker, Probe { port, token, began: now, state });
    }

    /// Forgets the probes that nobody waits for any more.
    pub fn retain(&mut self, mut is_awaited: impl FnMut(WorkerId) -> bool) {
        self.probes.retain(|worker, _| is_awaited(*worker));
    }

    /// When the next try is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        let due = |probe: &Probe| match probe.state {
            State::Pausing { until } => Some(until),
            State::Connecting { .. } => None,
        };
        self.probes.values().filter_map(due).min()
    }

    /// Follows up connects that are decided and begins those that are due. Returns a worker that serves, if any;
    /// call it until it returns `None`.
    pub fn advance(&mut self, registry: &Registry, now: Instant) -> Option<WorkerId> {
        let mut probes = self.probes.iter_mut();
        let serves = |probe: &mut Probe| probe.advance(registry, now);
        let worker = probes.find_map(|(worker, probe)| serves(probe).then_some(*worker))?;
        self.probes.remove(&worker);
        Some(worker)
    }
}

impl Probe {
    /// True if the worker serves.
    fn advance(&mut self, registry: &Registry, now: Instant) -> bool {
        let next = match &self.state {
            State::Pausing { until } if now < *until => return false,
            State::Pausing { .. } => 0,
            State::Connecting { stream, address } => match outcome(stream) {
                None => return false,
                Some(Ok(())) => return true,
                Some(Err(_)) => address + 1,
            },
        };
        for (address, ip) in ADDRESSES.iter().enumerate().skip(next) {
            let connecting = TcpStream::connect(SocketAddr::new(*ip, self.port));
            let registered = connecting.and_then(|mut stream| {
                registry.register(&mut stream, self.token, Interest::WRITABLE)?;
                Ok(stream)
            });
            // An error here is a refusal, or no IPv6, or no descriptor left: the next try will tell.
            if let Ok(stream) = registered {
                self.state = State::Connecting { stream, address };
                return false;
            }
        }
        let age = now.saturating_duration_since(self.began);
        let pause = (age / PAUSE_PART_OF_AGE).clamp(PAUSE_MIN, PAUSE_MAX);
        self.state = State::Pausing { until: now + pause };
        false
    }
}

/// How a connect ended, or `None` while it has not (connect(2), EINPROGRESS).
fn outcome(stream: &TcpStream) -> Option<io::Result<()>> {
    match stream.take_error() {
        Ok(Some(error)) | Err(error) => return Some(Err(error)),
        Ok(None) => {}
    }
    match stream.peer_addr() {
        // A port from which outgoing connections are made can be given to the probe itself: TCP lets it connect to
        // its own end where nobody listens (a simultaneous open, RFC 9293 section 3.5).
        Ok(peer) if stream.local_addr().is_ok_and(|own| own == peer) => {
            Some(Err(io::ErrorKind::ConnectionRefused.into()))
        }
        Ok(_) => Some(Ok(())),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => None,
        Err(error) => Some(Err(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::supervisor::SlotId;

    const WORKER: WorkerId = WorkerId { slot: SlotId(0), generation: 1 };

    /// Runs one probe until it succeeds, or until `tries` pauses have passed in virtual time.
    fn serves(port: u16, pauses_max: usize) -> bool {
        let mut poll = mio::Poll::new().unwrap();
        let mut events = mio::Events::with_capacity(8);
        let mut probes = Probes::default();
        let mut now = Instant::now();
        probes.begin(WORKER, port, Token(0), now);
        for _ in 0..pauses_max {
            now = probes.next_deadline().expect("a pause");
            while probes
                .probes
                .values()
                .any(|probe| !matches!(probe.state, State::Pausing { until } if until > now))
            {
                if probes.advance(poll.registry(), now) == Some(WORKER) {
                    return true;
                }
                poll.poll(&mut events, Some(Duration::from_millis(10))).unwrap();
            }
        }
        false
    }

    #[test]
    fn a_listener_on_either_loopback_address_serves() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).unwrap();
            assert!(serves(listener.local_addr().unwrap().port(), 1), "{address}");
        }
    }

    #[test]
    fn a_port_without_a_listener_does_not_serve() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        assert!(!serves(port, 5));
    }

    #[test]
    fn a_probe_that_nobody_waits_for_is_forgotten() {
        let mut probes = Probes::default();
        probes.begin(WORKER, 1, Token(0), Instant::now());
        probes.retain(|_| false);
        assert_eq!(probes.next_deadline(), None);
    }
}
