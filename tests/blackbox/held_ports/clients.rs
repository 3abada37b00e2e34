//! Clients that open a connection each 2 ms, and what became of their connections.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::support::waiting::{DEADLINE, eventually};

/// As many at the same time.
pub const CLIENTS: u64 = 4;

/// One client opens at most as many connections.
const CONNECTIONS_MAX: u64 = 20_000;

/// What became of the connections.
#[derive(Debug, Default)]
pub struct Counts {
    answered: AtomicU64,
    refused: AtomicU64,
    /// In flight when the worker was killed.
    lost: AtomicU64,
}

/// Clients of one address.
pub struct Clients {
    counts: Arc<Counts>,
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// The answer to one connection.
pub fn get(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.is_empty() { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(answer) }
}

impl Clients {
    /// Starts them.
    pub fn of(address: SocketAddr) -> Self {
        let counts = Arc::new(Counts::default());
        let is_over = Arc::new(AtomicBool::new(false));
        let threads = (0..CLIENTS).map(|_| {
            let (counts, is_over) = (Arc::clone(&counts), Arc::clone(&is_over));
            thread::spawn(move || {
                for _ in 0..CONNECTIONS_MAX {
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    let count = match get(address) {
                        Ok(_) => &counts.answered,
                        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                            &counts.refused
                        }
                        Err(_) => &counts.lost,
                    };
                    count.fetch_add(1, Ordering::Relaxed);
                    thread::park_timeout(Duration::from_millis(2));
                }
            })
        });
        let threads = threads.collect();
        Self { counts, is_over, threads }
    }

    /// Waits until so many more connections are answered.
    pub fn wait_answered(&self, more: u64) {
        let now = || self.counts.answered.load(Ordering::Relaxed);
        let until = now() + more;
        eventually("answers", || (now() >= until).then_some(()));
    }

    /// Ends them. No connection was refused; those that were lost were in flight at one of these kills.
    #[track_caller]
    pub fn end(self, what: &str, kills: u64) {
        self.is_over.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Counts { answered, refused, lost } = &*self.counts;
        let (answered, refused, lost) = (count(answered), count(refused), count(lost));
        eprintln!("{what}: {answered} answered, {refused} refused, {lost} lost, {kills} kills");
        assert_eq!(refused, 0);
        assert!(lost <= CLIENTS * kills, "{lost}");
        assert!(answered > 0);
    }
}
