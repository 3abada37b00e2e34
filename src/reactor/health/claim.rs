//! A passed probe of a port makes a worker ready only if the worker listens there, and no other process.
//!
//! Another program may take the port between the death of a worker and the first instruction of the next, and a second
//! pm may be started on the same ports. Then the port accepts connections, and the worker does not serve.

use std::time::{Duration, Instant};

use crate::reactor::report::ProbeFailure;
use crate::sys::listener::{self, Claimant, Listener, Search};
use crate::sys::ports::Holder;

/// Where a process that began after the worker listens, the worker is ready after this. A daemon may have started that
/// process for the worker. A worker that cannot have its port ends within this time.
const LIVES_ON: Duration = Duration::from_secs(2);

/// The pause between two searches for one worker, and between two searches at all: one can take some ten milliseconds.
const SEARCH_EVERY: Duration = Duration::from_secs(1);
const SEARCHES_APART: Duration = Duration::from_millis(100);

/// The claim of a worker to its port.
#[derive(Debug)]
pub struct Claim {
    claimant: Claimant,
    port: u16,
    searched_at: Option<Instant>,
    unclear_since: Option<Instant>,
    /// The other process that listens, if it is known.
    holder: Option<Holder>,
}

/// When the next search may begin.
#[derive(Debug, Default)]
pub struct Searches {
    next: Option<Instant>,
}

impl Claim {
    pub fn of(claimant: Claimant, port: u16) -> Self {
        Self { claimant, port, searched_at: None, unclear_since: None, holder: None }
    }

    /// A probe has connected to the port.
    ///
    /// # Errors
    /// If that says nothing about this worker, because another process listens there.
    pub fn judge(&mut self, now: Instant, searches: &mut Searches) -> Result<(), ProbeFailure> {
        let port = self.port;
        if listener::of(port, self.claimant, Search::Descendants) == Listener::Own {
            return Ok(());
        }
        if self.searched_at.is_none_or(|at| now >= at + SEARCH_EVERY) && searches.may_begin(now) {
            self.searched_at = Some(now);
            match listener::of(port, self.claimant, Search::All) {
                Listener::Own => return Ok(()),
                Listener::NotSearched => self.hold(None, None),
                Listener::Foreign(holder) => self.hold(Some(holder), None),
                Listener::Unclear(holder) => {
                    self.hold(Some(holder), self.unclear_since.or(Some(now)));
                }
            }
        }
        if self.unclear_since.is_some_and(|since| now >= since + LIVES_ON) {
            return Ok(());
        }
        Err(ProbeFailure::PortHeld { port, holder: self.holder.clone() })
    }

    fn hold(&mut self, holder: Option<Holder>, unclear_since: Option<Instant>) {
        (self.holder, self.unclear_since) = (holder, unclear_since);
    }
}

impl Searches {
    fn may_begin(&mut self, now: Instant) -> bool {
        let may_begin = self.next.is_none_or(|next| now >= next);
        if may_begin {
            self.next = Some(now + SEARCHES_APART);
        }
        may_begin
    }
}
