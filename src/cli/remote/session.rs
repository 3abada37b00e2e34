//! Requests to one running pm, each on a connection of its own.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::args::PlaceArgs;
use super::failure::Failure;
use super::target;
use crate::client::{Answer, Attached, ClientError, Exchange, Lines, Reply, Request, Terminal};
use crate::wire::{Event, Problem, Status};

/// A pm that a command talks to.
#[derive(Clone, Debug)]
pub struct Session {
    socket: PathBuf,
}

impl Session {
    /// The pm that is meant.
    ///
    /// # Errors
    /// If none is found, or more than one.
    pub fn of(target: &PlaceArgs) -> Result<Self, Failure> {
        Ok(Self::at(&target::socket(target)?))
    }

    pub fn at(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// Sends a request. The answer may take its time.
    ///
    /// # Errors
    /// If no pm of this user listens.
    pub fn begin(&self, request: &Request) -> Result<Exchange, ClientError> {
        Exchange::begin(&self.socket, request)
    }

    /// The answer to a request, and the text of it.
    ///
    /// # Errors
    /// If there is none, or if pm refuses it.
    pub fn ask<T: DeserializeOwned>(&self, request: &Request) -> Result<(T, String), Failure> {
        let answer = self.begin(request)?.answer()?;
        Ok((understood(&answer)?, answer.text()))
    }

    /// The answer to a request, line by line.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn lines(&self, request: &Request) -> Result<Lines, Failure> {
        match self.begin(request)?.lines()? {
            Reply::Lines(lines) => Ok(lines),
            Reply::Refused(answer) => Err(refusal(&answer)),
        }
    }

    /// The terminal of a slot.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn terminal(&self, request: &Request) -> Result<Terminal, Failure> {
        match self.begin(request)?.terminal()? {
            Attached::Terminal(terminal) => Ok(terminal),
            Attached::Refused(answer) => Err(refusal(&answer)),
        }
    }

    /// The slots that these words mean; all if there is none.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn status(&self, slots: &[String]) -> Result<(Status, String), Failure> {
        self.ask(&with_slots(Request::get("/v1/status"), slots))
    }

    /// The same, with what the workers use.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn status_with_stats(&self, slots: &[String]) -> Result<(Status, String), Failure> {
        self.ask(&with_slots(Request::get("/v1/status").query("stats", "1"), slots))
    }

    /// What happens after the event of this number.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn events_after(&self, seq: u64) -> Result<Lines, Failure> {
        let request = Request::get("/v1/events").query("after", &seq.to_string());
        self.lines(&request.query("follow", "1"))
    }
}

/// With the slots that these words mean, if there are any.
pub fn with_slots(request: Request, slots: &[String]) -> Request {
    if slots.is_empty() { request } else { request.query("slots", &slots.join(",")) }
}

/// What an answer says.
///
/// # Errors
/// If pm has refused what was asked.
pub fn understood<T: DeserializeOwned>(answer: &Answer) -> Result<T, Failure> {
    Ok(answer.read::<T>()??)
}

/// An event that is a line of a stream.
///
/// # Errors
/// If it is none.
pub fn event(line: &str) -> Result<Event, Failure> {
    serde_json::from_str(line)
        .map_err(|error| ClientError::Malformed(format!("{error}: {line}")).into())
}

fn refusal(answer: &Answer) -> Failure {
    match answer.read::<serde::de::IgnoredAny>() {
        Ok(Ok(_)) => ClientError::Malformed("it is not what was asked for".into()).into(),
        Ok(Err(problem)) => Failure::from(problem),
        Err(error) => error.into(),
    }
}

impl From<Box<Problem>> for Failure {
    fn from(problem: Box<Problem>) -> Self {
        Self::Problem(problem)
    }
}
