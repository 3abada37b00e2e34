//! Every kind of fault that a reader of this floor reports.
//!
//! Each reader has an enum of its own, beside its code or in `pm_toml/faults/`; here they become one type, so that all
//! faults of a plan stand in one list. The message is the `Display`, the help is [`Explain::help`].

use super::dotenv::DotenvFault;
use super::environment;
use super::formation::FormationFault;
use super::pm_toml::{HealthFault, PoolFault, PoolsFault, SyntaxFault, ValueFault};
use super::procfile::ProcfileFault;
use super::text::explain::Explain;
use super::text::placeholders::PlaceholderFault;
use super::text::ports::PortsError;
use super::text::suggest::Suggestion;

/// What is wrong at one place of a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultKind {
    #[error("this file is larger than 1 MiB")]
    FileTooLarge,
    #[error("`sealed` is not a key of a pool")]
    SealedInPool,
    #[error("unknown key `{key}`")]
    UnknownKey { key: String, suggestion: Suggestion },
    #[error(transparent)]
    Syntax(#[from] SyntaxFault),
    #[error(transparent)]
    Value(#[from] ValueFault),
    #[error(transparent)]
    Pool(#[from] PoolFault),
    #[error(transparent)]
    Health(#[from] HealthFault),
    #[error(transparent)]
    Pools(#[from] PoolsFault),
    #[error(transparent)]
    Placeholder(#[from] PlaceholderFault),
    #[error(transparent)]
    Ports(#[from] PortsError),
    #[error(transparent)]
    Variable(#[from] VariableFault),
    #[error(transparent)]
    Dotenv(#[from] DotenvFault),
    #[error(transparent)]
    Procfile(#[from] ProcfileFault),
    #[error(transparent)]
    Formation(#[from] FormationFault),
}

/// Why a variable cannot have this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VariableFault {
    #[error("`{0}` is not a variable name")]
    NotAName(String),
    #[error("`{0}` is set by pm")]
    SetByPm(String),
}

impl VariableFault {
    /// What is wrong with a name that pm would set itself.
    pub fn of_own(name: &str) -> Option<Self> {
        environment::is_own(name).then(|| Self::SetByPm(name.to_owned()))
    }
}

impl Explain for FaultKind {
    fn help(&self) -> Option<String> {
        match self {
            Self::FileTooLarge => Some("remove what does not belong into it".into()),
            Self::SealedInPool => Some("put it before the first `[pool.NAME]`".into()),
            Self::UnknownKey { suggestion, .. } => Some(suggestion.to_string()),
            Self::Syntax(fault) => fault.help(),
            Self::Value(fault) => fault.help(),
            Self::Pool(fault) => fault.help(),
            Self::Health(fault) => fault.help(),
            Self::Pools(fault) => fault.help(),
            Self::Placeholder(fault) => fault.help(),
            Self::Ports(fault) => fault.help(),
            Self::Variable(fault) => fault.help(),
            Self::Dotenv(fault) => fault.help(),
            Self::Procfile(fault) => fault.help(),
            Self::Formation(fault) => fault.help(),
        }
    }

    fn label(&self) -> &'static str {
        match self {
            Self::Value(fault) => fault.label(),
            Self::Dotenv(fault) => fault.label(),
            Self::Procfile(fault) => fault.label(),
            Self::FileTooLarge
            | Self::SealedInPool
            | Self::UnknownKey { .. }
            | Self::Syntax(_)
            | Self::Pool(_)
            | Self::Health(_)
            | Self::Pools(_)
            | Self::Placeholder(_)
            | Self::Ports(_)
            | Self::Variable(_)
            | Self::Formation(_) => "",
        }
    }
}

impl Explain for VariableFault {
    fn help(&self) -> Option<String> {
        Some(match self {
            Self::NotAName(_) => "use letters, digits and `_`, and no digit first".into(),
            Self::SetByPm(_) => "give the variable another name".into(),
        })
    }
}
