//! Clients that open a connection each 2 ms, and what became of their connections.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::AddAssign;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::support::{Anything, PATIENCE, pass, wait_until};

/// As many at the same time.
pub const CLIENTS: usize = 4;

const BETWEEN_CONNECTIONS: Duration = Duration::from_millis(2);

/// What became of connections.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub answered: u64,
    pub refused: u64,
    /// No answer came, or no whole one.
    pub lost: u64,
    /// The longest wait for an answer.
    pub longest: Duration,
}

/// Clients of one address.
pub struct Clients {
    answered: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Counts>>,
}

/// One request on a connection of its own, and its answer.
pub fn get(address: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let is_good = [b"HTTP/1.0 200", b"HTTP/1.1 200"].iter().any(|head| answer.starts_with(*head));
    if is_good { Ok(()) } else { Err(ErrorKind::InvalidData.into()) }
}

/// Asks until there is an answer.
pub fn wait_answer(address: SocketAddr) -> Anything<()> {
    wait_until("an answer", || Ok(get(address).is_ok()))
}

impl Clients {
    pub fn start(address: SocketAddr) -> Self {
        let answered = Arc::new(AtomicU64::new(0));
        let is_over = Arc::new(AtomicBool::new(false));
        let threads = (0..CLIENTS).map(|_| {
            let (answered, is_over) = (Arc::clone(&answered), Arc::clone(&is_over));
            thread::spawn(move || {
                let mut counts = Counts::default();
                while !is_over.load(Ordering::Relaxed) {
                    if counts.ask(address) {
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                    pass(BETWEEN_CONNECTIONS);
                }
                counts
            })
        });
        let threads = threads.collect();
        Self { answered, is_over, threads }
    }

    /// Waits until so many more connections are answered.
    pub fn wait_answered(&self, more: u64) -> Anything<()> {
        let until = self.answered.load(Ordering::Relaxed) + more;
        wait_until("answers", || Ok(self.answered.load(Ordering::Relaxed) >= until))
    }

    /// Ends them.
    pub fn end(mut self) -> Counts {
        self.is_over.store(true, Ordering::Relaxed);
        let mut all = Counts::default();
        for client in self.threads.drain(..) {
            all += client.join().expect("a client does not panic");
        }
        all
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

impl Counts {
    /// True if there was an answer.
    fn ask(&mut self, address: SocketAddr) -> bool {
        let began = Instant::now();
        match get(address) {
            Ok(()) => {
                self.answered += 1;
                self.longest = self.longest.max(began.elapsed());
                return true;
            }
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => self.refused += 1,
            Err(_) => self.lost += 1,
        }
        false
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.answered += other.answered;
        self.refused += other.refused;
        self.lost += other.lost;
        self.longest = self.longest.max(other.longest);
    }
}
