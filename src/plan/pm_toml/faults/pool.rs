//! What can be wrong with the keys of a pool together.

use std::time::Duration;

use crate::plan::Unreadable;
use crate::plan::text::duration::words;
use crate::plan::text::explain::Explain;

/// What is wrong in the table of a pool.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolFault {
    #[error("`{0}` is not a pool name")]
    Name(String),
    #[error("the pool `{0}` has no command")]
    NoCommand(String),
    #[error("this command is empty")]
    EmptyCommand(CommandForm),
    /// A key that a table cannot do without.
    #[error("`{table}` has no `{key}`")]
    Missing { table: &'static str, key: &'static str, example: &'static str },
    #[error("`{key}` must be greater than 0")]
    Zero { key: &'static str, example: &'static str },
    #[error("`{0}` has no effect: workers of this pool are never restarted")]
    NeverRestarted(&'static str),
    #[error("`max` is less than `first`")]
    BackoffOrder { first: Duration, max: Duration },
    #[error("this signal is never sent: `grace = \"0s\"` kills at once")]
    SignalNeverSent,
    #[error("this path is empty")]
    EmptyCwd,
    #[error("this path is empty")]
    EmptyLogFile,
    #[error("`{0}` is not one folder")]
    NotOneFolder(String),
    #[error("`{key}` has no placeholders: `{placeholder}` would stay as it is")]
    NoPlaceholders { key: &'static str, placeholder: String },
    #[error("there is no file `{0}`")]
    NoFile(String),
    #[error("cannot read `{name}`: {why}")]
    Unreadable { name: String, why: Unreadable },
    #[error("`PORT` is set by pm in a pool with ports")]
    PortVariable,
    #[error("`{0}` is set by pm in a pool that notifies")]
    NotifyVariable(String),
    #[error("`group` without `user`")]
    GroupWithoutUser,
    #[error("only root may run workers as `{0}`")]
    NotRoot(String),
    #[error("there is no user `{0}` on this machine")]
    NoUser(String),
    #[error("there is no group `{0}` on this machine")]
    NoGroup(String),
}

/// How a command is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandForm {
    Argv,
    Shell,
}

impl Explain for PoolFault {
    fn help(&self) -> Option<String> {
        Some(match self {
            Self::Name(_) => "use letters, digits, `-` and `_`".into(),
            Self::NoCommand(_) => "write `command = [\"./server\", \"{port}\"]`".into(),
            Self::EmptyCommand(CommandForm::Argv) => {
                "the first element of the list is the program".into()
            }
            Self::EmptyCommand(CommandForm::Shell) => "write the line for the shell".into(),
            Self::Missing { example, .. } => format!("write `{example}`"),
            Self::Zero { example, .. } => format!("write for example `{example}`"),
            Self::NeverRestarted(_) => {
                "remove it, or set `restart` to `on-failure` or `always`".into()
            }
            Self::BackoffOrder { first, max } => format!(
                "`first` is {} and `max` is {}; give a greater `max`",
                words(*first),
                words(*max)
            ),
            Self::SignalNeverSent => "remove `signal`, or set a longer `grace`".into(),
            Self::EmptyCwd => "write `.` for the folder of this file".into(),
            Self::EmptyLogFile => "write for example `log/{slot}.log`".into(),
            Self::NotOneFolder(_) => "write a list, as in `[\"bin\", \".deno/bin\"]`".into(),
            Self::NoPlaceholders { .. } => "write what it stands for, or remove it".into(),
            Self::NoFile(_) => "create it, or remove it from `env_file`".into(),
            Self::Unreadable { .. } => "make it readable, or remove it from `env_file`".into(),
            Self::PortVariable => "remove it, or give the pool `workers` instead of `ports`".into(),
            Self::NotifyVariable(_) => "remove it".into(),
            Self::GroupWithoutUser => "set `user` too".into(),
            Self::NotRoot(_) => {
                "start pm as root, or remove `user` and start pm as that user".into()
            }
            Self::NoUser(_) | Self::NoGroup(_) => "create it, or give another name".into(),
        })
    }
}
