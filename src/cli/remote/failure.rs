//! Why a command did not do what was asked: the sentence for stderr, and the exit status.

use std::io;
use std::path::PathBuf;

use super::print::{printable, stderr_line};
use super::status::row::trouble;
use crate::cli::exit_status::{BAD_USAGE, BROKEN, NO_PM, NOT_SO};
use crate::cli::{Ending, PrintError};
use crate::client::ClientError;
use crate::sys::SpawnError;
use crate::sys::control_socket::registry::RegistryError;
use crate::wire::Problem;

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line cannot be used.
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    NoPm(NoPm),
    #[error(transparent)]
    Client(#[from] ClientError),
    /// pm refused it, or it did not become so.
    #[error("{}{}", printable(&.0.detail), hint(.0))]
    Problem(Box<Problem>),
    #[error(
        "this pm has no page; start it with `--http 127.0.0.1:9001`, or add `http = \"127.0.0.1:9001\"` to its file"
    )]
    NoPage,
    /// The program that shows the page.
    #[error("{0}")]
    Opener(SpawnError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error("{path}: cannot be read: {error}")]
    LogFile { path: String, error: io::Error },
    /// The result could not be printed.
    #[error("cannot print: {0}")]
    Print(io::Error),
}

/// Why there is no pm to talk to.
#[derive(Debug, thiserror::Error)]
pub enum NoPm {
    #[error("no pm runs in {} or above; start one with `pm`, or name its socket with `--socket`", .here.display())]
    Nowhere { here: PathBuf },
    #[error("{}: no pm listens on it: the pm that made it was killed; start one with `pm`", .0.display())]
    Stale(PathBuf),
    #[error("{}: it belongs to the pm of uid {uid}; try `sudo -u '#{uid}' pm ...`", .path.display())]
    NotYours { path: PathBuf, uid: u32 },
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

impl Failure {
    pub fn status(&self) -> u8 {
        match self {
            Self::Usage(_) => BAD_USAGE,
            Self::NoPm(_) | Self::Client(ClientError::Connect(_)) => NO_PM,
            Self::Client(ClientError::Ended | ClientError::Silent) => NOT_SO,
            Self::Client(ClientError::Io { .. } | ClientError::Malformed(_)) => BROKEN,
            Self::NoPage => NOT_SO,
            Self::Opener(error) => error.exec_status(),
            Self::Registry(_) | Self::LogFile { .. } | Self::Print(_) => BROKEN,
            Self::Problem(problem) => match problem.status {
                400 | 404 | 422 => BAD_USAGE,
                403 => NO_PM,
                409 | 503 | 504 => NOT_SO,
                _ => BROKEN,
            },
        }
    }

    /// Prints it on stderr, with a line for each slot that is not well and that it does not name itself.
    pub fn end(self) -> Ending {
        if let Self::Print(error) = self {
            return Ending::CannotPrint(PrintError::Stdout(error));
        }
        stderr_line(&format!("pm: {self}"));
        if let Self::Problem(problem) = &self {
            let others = problem.slots.iter().filter(|slot| !problem.detail.contains(&slot.slot));
            others.filter_map(trouble).for_each(|line| stderr_line(&line));
        }
        Ending::Status(self.status())
    }
}

fn hint(problem: &Problem) -> String {
    problem.hint.as_ref().map(|hint| format!("; try {}", printable(hint))).unwrap_or_default()
}
