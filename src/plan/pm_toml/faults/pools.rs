//! What can be wrong between several pools, or with the slots of one.

use crate::plan::WORKERS_MAX;
use crate::plan::text::explain::Explain;
use crate::plan::text::suggest::Suggestion;

/// What is wrong with the pools of a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolsFault {
    #[error("there is no pool in this file")]
    NoPool,
    #[error("with this pool there are {0} workers")]
    TooManyWorkers(usize),
    #[error("`workers` is not valid with `ports`")]
    WorkersWithPorts,
    #[error("there is no port in this list")]
    NoPort,
    #[error("port {0} is listed twice")]
    PortTwice(u16),
    #[error("`{0}` cannot come after itself")]
    AfterItself(String),
    #[error("`{0}` is listed twice")]
    AfterTwice(String),
    #[error("there is no pool `{name}`")]
    NoSuchPool { name: String, suggestion: Suggestion },
    #[error("there is no pool `{0}`")]
    NoOtherPool(String),
    #[error("these pools wait for each other: {}", .0.join(" -> "))]
    Circle(Vec<String>),
    #[error("`{first}` and `{second}` would write to one file")]
    OneLogFile { first: String, second: String },
}

impl Explain for PoolsFault {
    fn help(&self) -> Option<String> {
        Some(match self {
            Self::NoPool => {
                "write `[pool.web]`, and `command = [\"./server\"]` in the next line".into()
            }
            Self::TooManyWorkers(_) => format!("there can be at most {WORKERS_MAX}"),
            Self::WorkersWithPorts => {
                "there is one worker for each port; remove one of the two".into()
            }
            Self::NoPort => "give at least one, as in `[8080]`".into(),
            Self::PortTwice(_) => {
                "each slot owns its port alone; use another port for one of them".into()
            }
            Self::AfterItself(_) => "name another pool".into(),
            Self::AfterTwice(_) => "remove one of the two".into(),
            Self::NoSuchPool { suggestion, .. } => suggestion.to_string(),
            Self::NoOtherPool(_) => "this is the only pool; remove `after`".into(),
            Self::Circle(_) => "remove one of them from an `after`".into(),
            Self::OneLogFile { .. } => "put `{slot}` into the path".into(),
        })
    }
}
