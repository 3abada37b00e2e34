//! What can be wrong with the keys of a pool together.

use std::time::Duration;

use crate::plan::text::duration::words;
use crate::plan::text::explain::Explain;
use crate::plan::text::phrase;
use crate::plan::{NAME_BYTES_MAX, Unreadable};

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
    #[error("a pool that ends the run cannot always be restarted")]
    EndsRunAlwaysRestarted,
    #[error("`max` is less than `first`")]
    BackoffOrder { first: Duration, max: Duration },
    #[error("`{0}` has no effect: `grace = \"0s\"` kills at once")]
    SignalNeverSent(&'static str),
    #[error("this path is empty")]
    EmptyCwd,
    #[error("this path is empty")]
    EmptyLogFile,
    #[error("this path is empty")]
    EmptyEnvFile,
    #[error("`{0}` is listed twice")]
    EnvFileTwice(String),
    #[error("there is no folder `{0}`")]
    NoFolder(String),
    #[error("`{0}` is not a folder")]
    NotAFolder(String),
    #[error("`{0}` is a folder")]
    LogFolder(String),
    #[error("`{0}` is this file itself")]
    LogIsThisFile(String),
    #[error("`max_size` is too small")]
    LogTooSmall(u64),
    #[error("`{0}` is read by pm: each line would be added to it")]
    LogIsEnvFile(String),
    #[error("`{0}` is not a regular file")]
    LogNotRegular(String),
    #[error("`{0}` would be in a file, which is no folder")]
    LogBelowFile(String),
    #[error("this path is longer than the kernel accepts")]
    PathTooLong,
    #[error("pm may not raise `{key}` to {value}: its own hard limit is {most}")]
    LimitTooHigh { key: &'static str, value: String, most: String },
    #[error("`{key}` is too low for any program")]
    LimitTooLow { key: &'static str, least: u64 },
    #[error("pm may not give a worker the nice value {nice}")]
    NiceNotAllowed { nice: i32, least: i32 },
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
    #[error("`{0}` is set by pm in a pool with `listen`")]
    ListenVariable(String),
    #[error("`{0}` has no effect: this pool has no ports")]
    HeldWithoutPorts(&'static str),
    #[error("`hold_port` has no effect with `listen`")]
    HoldPortWithListen,
    #[error("`address` has no effect without `listen`")]
    AddressWithoutListen,
    #[error("a spare waits at the port of its slot, which this pool does not hold")]
    SpareWithoutHoldPort,
    #[error(
        "`spare = true` is a spare for each slot, and `spares` are those of all slots together"
    )]
    SpareAndSpares,
    #[error("a spare that may serve any slot {0}")]
    SharedSpareWith(&'static str),
    #[error("`spare_max_age` has no effect: this pool has no spares")]
    MaxAgeWithoutSpare,
    #[error("`group` without `user`")]
    GroupWithoutUser,
    #[error("`raw` has no effect without `pty`")]
    RawWithoutPty,
    #[error("there is no terminal without `pty`")]
    StdinWithoutPty,
    #[error("`color` is that of the prefix, which `prefix = false` leaves out")]
    ColourWithoutPrefix,
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
        let with = |key: &str| format!("set `{key} = true` too, or remove it");
        Some(match self {
            Self::Name(_) => {
                format!("use letters, digits, `-` and `_`, at most {NAME_BYTES_MAX} of them")
            }
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
            Self::EndsRunAlwaysRestarted => {
                "remove `restart`, or set it to `on-failure`; remove `ends_run` to keep the pool"
                    .into()
            }
            Self::BackoffOrder { first, max } => format!(
                "`first` is {} and `max` is {}; give a greater `max`",
                words(*first),
                words(*max)
            ),
            Self::SignalNeverSent(key) => format!("remove `{key}`, or set a longer `grace`"),
            Self::EmptyCwd => "write `.` for the folder of this file".into(),
            Self::EmptyEnvFile => "remove it, or write for example `.env`".into(),
            Self::EnvFileTwice(_) => "remove one of the two".into(),
            Self::NoFolder(_) => "create it, or correct the path".into(),
            Self::NotAFolder(_) => "give the path of a folder".into(),
            Self::LogFolder(_) => "add the name of a file, as in `log/{slot}.log`".into(),
            Self::LogNotRegular(_) => {
                "lines go to stdout anyway; give a file, or remove `log`".into()
            }
            Self::PathTooLong => "give a shorter one; a name has at most 255 bytes".into(),
            Self::LimitTooHigh { most, .. } => {
                format!("give at most {most}, or raise the hard limit before pm starts")
            }
            Self::LogIsEnvFile(_) | Self::LogBelowFile(_) | Self::LogIsThisFile(_) => {
                "give another file, as in `log/{slot}.log`".into()
            }
            Self::LimitTooLow { least, .. } | Self::LogTooSmall(least) => {
                format!("give at least {}", phrase::bytes(*least))
            }
            Self::NiceNotAllowed { least, .. } => {
                format!("give {least} to 19, or start pm as root or with CAP_SYS_NICE")
            }
            Self::EmptyLogFile => "write for example `log/{slot}.log`".into(),
            Self::NotOneFolder(_) => "write a list, as in `[\"bin\", \".deno/bin\"]`".into(),
            Self::NoPlaceholders { .. } => "write what it stands for, or remove it".into(),
            Self::NoFile(_) => "create it, or remove it from `env_file`".into(),
            Self::Unreadable { .. } => "make it readable, or remove it from `env_file`".into(),
            Self::PortVariable => "remove it, or give the pool `workers` instead of `ports`".into(),
            Self::NotifyVariable(_) | Self::ListenVariable(_) => "remove it".into(),
            Self::HoldPortWithListen => "remove one of the two".into(),
            Self::AddressWithoutListen => "set `listen = \"fds\"` too, or remove it".into(),
            Self::HeldWithoutPorts(_) => {
                "give it ports, as in `ports = \"8080-8082\"`, or remove it".into()
            }
            Self::SpareWithoutHoldPort => with("hold_port"),
            Self::SharedSpareWith(_) => "set `spare = true` instead of `spares`".into(),
            Self::MaxAgeWithoutSpare => with("spare"),
            Self::GroupWithoutUser => "set `user` too".into(),
            Self::RawWithoutPty | Self::StdinWithoutPty => with("pty"),
            Self::ColourWithoutPrefix | Self::SpareAndSpares => "remove one of the two".into(),
            Self::NotRoot(_) => {
                "start pm as root, or remove `user` and start pm as that user".into()
            }
            Self::NoUser(_) | Self::NoGroup(_) => "create it, or give another name".into(),
        })
    }
}
