//! The connections to pm: its events, the lines of its workers, and what was asked and is not answered yet. The caller
//! polls; the only wait here is for the rest of an answer that has begun.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;
use serde::de::DeserializeOwned;

use super::super::commands::sentences;
use super::super::deadline::Deadline;
use super::super::failure::Failure;
use super::super::session::{Session, event, understood, with_slots};
use super::order::Order;
use super::totals::Totals;
use super::usage;
use crate::client::{Answer, ClientError, Exchange, Lines, Request};
use crate::sys::proc::is_stopped;
use crate::wire::{Done, Event, EventKind, LogLine, Outcome, SlotDetail, Status};

/// The two streams of a pm that ends may end in either order; the events are waited for so long.
const LATE_MILLIS: u16 = 100;

/// A pm that is not suspended answers sooner.
pub const AT_ONCE: Duration = Duration::from_millis(500);

/// Lines that are asked for at the start, at most.
const LINES_BEFORE: &str = "20000";

/// A pm that is there.
#[derive(Debug)]
pub struct Link {
    session: Session,
    /// The words that select slots; none: all slots.
    slots: Vec<String>,
    events: Lines,
    lines: Lines,
    asked: Vec<Question>,
    /// The process that answers, if /proc has it and its workers.
    visible_pm: Option<Pid>,
    /// What pm said when it ended.
    farewell: Option<String>,
}

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Status,
    Detail,
    Totals,
    Order,
}

/// What is not answered yet.
#[derive(Debug)]
struct Question {
    what: Asked,
    exchange: Exchange,
    /// When a pm that is not suspended would have answered.
    overdue: Deadline,
}

/// A connection that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Events,
    Lines,
    /// The n-th that was asked.
    Answer(usize),
}

/// What was read.
#[derive(Debug)]
pub enum News {
    Happened(Event),
    Line(LogLine),
    Status(Box<Status>),
    Detail(Box<SlotDetail>),
    Totals(Totals),
    /// An order was carried out: in words.
    Done(String),
    Refused(Asked, String),
    /// pm has ended, or cannot be understood.
    Gone(String),
}

impl Link {
    /// Asks how pm is. A pm that is suspended does not answer: so the answer is not waited for here.
    ///
    /// # Errors
    /// If there is no pm.
    pub fn ask_for(session: &Session, slots: &[String]) -> Result<Exchange, ClientError> {
        session.begin(&with_slots(Request::get("/v1/status"), slots))
    }

    /// Connects to a pm that has begun to answer.
    ///
    /// `after` is the number of the last line that is known; `None`: of none.
    ///
    /// # Errors
    /// If pm has ended, or has no such slot.
    pub fn open(
        session: &Session,
        slots: &[String],
        asked: Exchange,
        after: impl FnOnce(&Status) -> Option<u64>,
    ) -> Result<(Self, Status), Failure> {
        let status: Status = understood(&asked.answer()?)?;
        let events = session.events_after(status.seq)?;
        let lines = session.lines(&lines_request(slots, after(&status)))?;
        let visible_pm = usage::visible_pm(&events, &status.pm);
        let link = Self {
            session: session.clone(),
            slots: slots.to_vec(),
            events,
            lines,
            asked: Vec::new(),
            visible_pm,
            farewell: None,
        };
        Ok((link, status))
    }

    /// What is to be polled.
    pub fn sources(&self) -> Vec<(Source, BorrowedFd<'_>)> {
        let mut sources =
            vec![(Source::Events, self.events.as_fd()), (Source::Lines, self.lines.as_fd())];
        let answers = self.asked.iter().enumerate();
        sources.extend(answers.map(|(n, asked)| (Source::Answer(n), asked.exchange.as_fd())));
        sources
    }

    pub fn is_asking(&self, what: Asked) -> bool {
        self.asked.iter().any(|asked| asked.what == what)
    }

    /// True if /proc has what the workers use.
    pub fn has_visible_workers(&self) -> bool {
        self.visible_pm.is_some()
    }

    /// True if pm is suspended, as far as that can be known: an order may take its time.
    pub fn is_silent(&self) -> bool {
        let mut answers = self.asked.iter().filter(|asked| asked.what != Asked::Order);
        answers.any(|asked| asked.overdue.is_over()) || self.visible_pm.is_some_and(is_stopped)
    }

    pub fn ask_status(&mut self) -> Option<News> {
        let request = with_slots(Request::get("/v1/status"), &self.slots);
        let has_stats = !self.has_visible_workers();
        let request = if has_stats { request.query("stats", "1") } else { request };
        self.ask(Asked::Status, &request)
    }

    pub fn ask_detail(&mut self, slot: &str) -> Option<News> {
        self.ask(Asked::Detail, &Request::get(&format!("/v1/slots/{slot}")))
    }

    pub fn ask_totals(&mut self) -> Option<News> {
        self.ask(Asked::Totals, &Request::get("/metrics"))
    }

    pub fn give(&mut self, order: &Order) -> Option<News> {
        self.ask(Asked::Order, &order.request)
    }

    /// Sends a request; says so if there is no pm for it.
    fn ask(&mut self, what: Asked, request: &Request) -> Option<News> {
        match self.session.begin(request) {
            Ok(exchange) => {
                let overdue = Deadline::after(Some(AT_ONCE));
                self.asked.push(Question { what, exchange, overdue });
                None
            }
            // The streams tell of its end, with its last words.
            Err(error) => Some(News::Refused(what, error.to_string())),
        }
    }

    /// Asks for the lines again: the words that select slots mean others now.
    ///
    /// # Errors
    /// If pm has ended, or refuses.
    pub fn renew_lines(&mut self, after: u64) -> Result<(), Failure> {
        if !self.slots.is_empty() {
            self.lines = self.session.lines(&lines_request(&self.slots, Some(after)))?;
        }
        Ok(())
    }

    /// Reads what has arrived. Answers are to be read from the last to the first, since they go.
    pub fn read(&mut self, source: Source) -> Vec<News> {
        match source {
            Source::Events => self.read_events(),
            Source::Lines => self.read_lines(),
            Source::Answer(n) => {
                let Question { what: asked, exchange, .. } = self.asked.remove(n);
                let answer = match exchange.answer() {
                    Ok(answer) => answer,
                    // As in `ask`.
                    Err(ClientError::Ended) => return Vec::new(),
                    Err(error) => return vec![News::Refused(asked, error.to_string())],
                };
                vec![answered(asked, &answer)]
            }
        }
    }

    /// What has arrived with the beginning of the streams: the sockets may have no more to read.
    pub fn arrived(&mut self) -> Vec<News> {
        let mut news = self.arrived_events();
        news.extend(self.arrived_lines());
        news
    }

    fn read_events(&mut self) -> Vec<News> {
        let read = self.events.read();
        let mut news = self.arrived_events();
        if let Some(words) = ending(read, &self.events) {
            let farewell = self.farewell.as_ref().map(|words| format!("pm has ended: {words}"));
            news.push(News::Gone(farewell.unwrap_or(words)));
        }
        news
    }

    fn read_lines(&mut self) -> Vec<News> {
        let read = self.lines.read();
        let mut news = self.arrived_lines();
        if let Some(words) = ending(read, &self.lines) {
            // The events tell more of the end, if it is that of pm.
            let mut events = [PollFd::new(self.events.as_fd(), PollFlags::POLLIN)];
            let has_more = poll(&mut events, PollTimeout::from(LATE_MILLIS)) != Ok(0);
            news.extend(if has_more { self.read_events() } else { vec![News::Gone(words)] });
        }
        news
    }

    fn arrived_events(&mut self) -> Vec<News> {
        let mut news = Vec::new();
        while let Some(line) = self.events.arrived() {
            match event(&line) {
                Ok(event) => {
                    if let EventKind::Bye { words } = &event.kind {
                        self.farewell = Some(words.clone());
                    }
                    news.push(News::Happened(event));
                }
                Err(error) => news.push(News::Gone(error.to_string())),
            }
        }
        news
    }

    fn arrived_lines(&mut self) -> Vec<News> {
        let mut news = Vec::new();
        while let Some(line) = self.lines.arrived() {
            match serde_json::from_str(&line) {
                Ok(line) => news.push(News::Line(line)),
                Err(error) => news.push(News::Gone(format!("pm sends a wrong line: {error}"))),
            }
        }
        news
    }
}

fn lines_request(slots: &[String], after: Option<u64>) -> Request {
    let request = with_slots(Request::get("/v1/logs").query("follow", "1"), slots);
    match after {
        Some(number) => request.query("after", &number.to_string()),
        None => request.query("lines", LINES_BEFORE),
    }
}

/// Why a stream has ended, if it has.
fn ending(read: Result<(), ClientError>, lines: &Lines) -> Option<String> {
    match read {
        Ok(()) if !lines.has_ended() => None,
        Ok(()) | Err(ClientError::Ended) => Some("pm has ended".into()),
        Err(error) => Some(error.to_string()),
    }
}

fn answered(asked: Asked, answer: &Answer) -> News {
    fn read<T: DeserializeOwned>(asked: Asked, answer: &Answer, news: fn(T) -> News) -> News {
        understood(answer).map_or_else(|error| News::Refused(asked, error.to_string()), news)
    }
    match asked {
        Asked::Status => read(asked, answer, |status| News::Status(Box::new(status))),
        Asked::Detail => read(asked, answer, |detail| News::Detail(Box::new(detail))),
        Asked::Totals => News::Totals(Totals::of(&answer.text())),
        Asked::Order => read(asked, answer, |done| News::Done(told(&done))),
    }
}

/// What was done, in a line.
fn told(done: &Done) -> String {
    let slots = sentences(&done.slots).join("; ");
    let words = done.words.as_ref().map(|words| words.split('\n').collect::<Vec<_>>().join("; "));
    let told = words.filter(|words| !words.is_empty()).unwrap_or(slots);
    match done.outcome {
        Outcome::Done => told,
        Outcome::Already => format!("it was so already: {told}"),
        Outcome::Accepted => format!("accepted: {told}"),
    }
}
