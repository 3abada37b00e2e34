//! A command and its answer, with what happens until then on stderr: events are read from a second connection, from the
//! moment before the command was sent.

use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::failure::Failure;
use super::print::{printable, stderr_line};
use super::session::{Session, event, understood};
use crate::client::{Answer, ClientError, Exchange, Lines, Request};
use crate::wire::{Done, Event, EventKind, SlotStatus, Status, TOO_MANY_STREAMS};

/// The answer and the events that it follows may come in either order; so long after it they are waited for.
const LATE_MILLIS: u16 = 100;

/// Whose reports are shown.
#[derive(Clone, Debug)]
pub enum Shown {
    /// Those of these slots.
    Slots(Vec<String>),
    /// Those of these pools, with slots that they do not have yet.
    Pools(Vec<String>),
    All,
}

impl Shown {
    pub fn slots(slots: &[SlotStatus]) -> Self {
        Self::Slots(slots.iter().map(|slot| slot.slot.clone()).collect())
    }

    /// The words of a report that is shown.
    fn words(&self, event: Event) -> Option<String> {
        let EventKind::Report { slot, words, .. } = event.kind else { return None };
        let is_shown = match (self, &slot) {
            (Self::All, _) => true,
            (Self::Slots(names), Some(slot)) => names.contains(slot),
            (Self::Pools(names), Some(slot)) => {
                slot.rsplit_once('.').is_some_and(|(pool, _)| names.iter().any(|name| name == pool))
            }
            (Self::Slots(_) | Self::Pools(_), None) => false,
        };
        is_shown.then(|| printable(&words))
    }
}

/// What happens while a command waits.
#[derive(Debug)]
pub struct Progress {
    /// `None` once it has ended, or if pm gives none.
    events: Option<Lines>,
    shown: Shown,
    /// The last event that was read.
    seq: u64,
}

impl Progress {
    /// What happens after this status.
    ///
    /// # Errors
    /// As [`Session::events_after`].
    pub fn after(session: &Session, status: &Status, shown: Shown) -> Result<Self, Failure> {
        let events = match session.events_after(status.seq) {
            Ok(events) => Some(events),
            // The command can do without.
            Err(Failure::Problem(problem)) if problem.is(TOO_MANY_STREAMS) => {
                stderr_line(&format!("what happens is not shown: {}", printable(&problem.detail)));
                None
            }
            Err(other) => return Err(other),
        };
        Ok(Self { events, shown, seq: status.seq })
    }

    /// True if what happens can be shown.
    pub fn is_shown(&self) -> bool {
        self.events.is_some()
    }

    /// Sends a command, and shows what happens until its answer comes.
    ///
    /// # Errors
    /// If pm refuses the command, if it does not become so, or if there is no answer.
    pub fn until_answer(
        &mut self,
        session: &Session,
        request: &Request,
    ) -> Result<(Done, String), Failure> {
        let exchange = session.begin(request)?;
        self.until_readable(&exchange)?;
        let answer = exchange.answer()?;
        let done = understood::<Done>(&answer);
        match &done {
            Ok(done) => self.catch_up(done.seq)?,
            Err(_) => self.read_arrived()?,
        }
        Ok((done?, answer.text()))
    }

    /// Shows what happens until pm has ended.
    ///
    /// # Errors
    /// If the events cannot be read.
    pub fn until_end(&mut self) -> Result<(), Failure> {
        while self.events.is_some() {
            self.read()?;
        }
        Ok(())
    }

    /// Sends a request that pm may end before it answers.
    ///
    /// # Errors
    /// If pm refuses it.
    pub fn until_answer_or_end(
        &mut self,
        session: &Session,
        request: &Request,
    ) -> Result<Option<Answer>, Failure> {
        let exchange = session.begin(request)?;
        self.until_readable(&exchange)?;
        match exchange.answer() {
            Ok(answer) if answer.is_success() => Ok(Some(answer)),
            Ok(answer) => Err(understood::<Done>(&answer)
                .err()
                .unwrap_or_else(|| ClientError::Malformed("it is no refusal".into()).into())),
            Err(ClientError::Ended) => Ok(None),
            Err(other) => Err(other.into()),
        }
    }

    fn until_readable(&mut self, exchange: &Exchange) -> Result<(), Failure> {
        loop {
            let is_answered = match &self.events {
                None => return Ok(()),
                Some(events) => {
                    let patience = PollTimeout::try_from(exchange.patience());
                    let patience = patience.unwrap_or(PollTimeout::MAX);
                    let fds = [exchange.as_fd(), events.as_fd()];
                    let [answer, events] = readable(fds, patience).ok_or(ClientError::Silent)?;
                    if events {
                        self.read()?;
                    }
                    answer
                }
            };
            if is_answered {
                return Ok(());
            }
        }
    }

    /// Shows what had happened when the answer was made: up to the event of this number.
    fn catch_up(&mut self, seq: u64) -> Result<(), Failure> {
        while let Some(events) = self.events.as_ref().filter(|_| self.seq < seq) {
            if readable([events.as_fd()], PollTimeout::from(LATE_MILLIS)).is_none() {
                break;
            }
            self.read()?;
        }
        Ok(())
    }

    /// Shows the events that have arrived with a refusal, which does not say how far they go.
    fn read_arrived(&mut self) -> Result<(), Failure> {
        match &self.events {
            Some(events) if readable([events.as_fd()], PollTimeout::ZERO).is_some() => self.read(),
            Some(_) | None => Ok(()),
        }
    }

    /// Reads the events that there are, and waits if there are none.
    fn read(&mut self) -> Result<(), Failure> {
        let Some(events) = &mut self.events else { return Ok(()) };
        let has_ended = match events.read() {
            Ok(()) => events.has_ended(),
            Err(ClientError::Ended) => true,
            Err(other) => return Err(other.into()),
        };
        while let Some(line) = events.arrived() {
            let event = event(&line)?;
            self.seq = self.seq.max(event.seq);
            if let Some(words) = self.shown.words(event) {
                stderr_line(&words);
            }
        }
        if has_ended {
            self.events = None;
        }
        Ok(())
    }
}

/// Which of these can be read; `None` if none can be in this time. All, if that cannot be known: a read then says what
/// is wrong.
fn readable<const N: usize>(
    fds: [std::os::fd::BorrowedFd<'_>; N],
    timeout: PollTimeout,
) -> Option<[bool; N]> {
    let mut polled = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
    match poll(&mut polled, timeout) {
        Ok(0) => None,
        Ok(_) => Some(polled.map(|fd| fd.any().unwrap_or(true))),
        Err(Errno::EINTR) => Some([false; N]),
        Err(_) => Some([true; N]),
    }
}
