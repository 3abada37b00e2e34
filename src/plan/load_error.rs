//! Why there is no plan of what a command line asks for.

use core::net::SocketAddr;
use std::fmt;

use super::http::TokenFault;
use super::text::suggest::Suggestion;
use super::{Faults, PlanError, Unreadable};

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Faults(#[from] Faults),
    #[error(
        "nothing to run in {folder}: there is no `pm.toml`, no `Procfile` and no `web.ts` here; \
         `pm init` writes a `pm.toml`, or give a command, as in \
         `pm run --ports 8080-8082 -- ./server {{port}}`"
    )]
    NothingHere { folder: String },
    #[error("there is no file `{name}`; `pm init` writes a `pm.toml`")]
    NoFile { name: String },
    /// The file of a pm that runs.
    #[error("there is no file `{name}` any more")]
    FileGone { name: String },
    #[error("cannot read `{name}`: {why}")]
    Unreadable { name: String, why: Unreadable },
    #[error("`{option}` is only for a Procfile, and {file} is not one; {}", option.instead())]
    NoProcfile { option: ProcfileOption, file: OtherFile },
    #[error(transparent)]
    Option(#[from] OptionFault),
    #[error(
        "`--take-over` cannot be used in a sealed run: processes outside of it cannot be killed; \
         run once without `{sealed}`"
    )]
    SealedTakeOver { sealed: Sealed },
    #[error("`sealed` cannot change while pm runs; restart pm")]
    SealedChanged,
    #[error(
        "{address} can be reached from other machines: give a token that clients have to know, in a file, with \
         `--http-token-file FILE`, or use 127.0.0.1"
    )]
    HttpWithoutToken { address: SocketAddr },
    #[error("`--http-token-file` and `--http-host` are for a page; give its address with `--http`")]
    NoHttp,
    #[error("there is no file `{name}`; `--http-token-file` names the file of the token")]
    NoTokenFile { name: String },
    #[error("`{file}` has no token that can be used: {why}")]
    Token { file: String, why: TokenFault },
    #[error("cannot find the current folder: {0}")]
    NoFolder(Unreadable),
}

/// Why an option of the command line does not go with a pool of the file, or with another option.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionFault {
    #[error(
        "`--restart always` would run the job `{pool}` again and again; leave it out, or use \
         `--restart on-failure`"
    )]
    JobAlwaysRestarted { pool: String },
    #[error("with `--restart never` the `{key}` of `{pool}` has no effect; remove one of the two")]
    NeverRestarted { pool: String, key: &'static str },
    #[error("`--exit-with {name}`: there is no such pool; {suggestion}")]
    NoPoolToExitWith { name: String, suggestion: Suggestion },
    #[error("there is no pool `{name}`; {suggestion}")]
    NoPoolToExport { name: String, suggestion: Suggestion },
    #[error("there is no pool or slot `{name}`; {suggestion}")]
    NoWorkerToExecAs { name: String, suggestion: Suggestion },
    #[error(
        "`--restart always` would run `{pool}` again and again, and the run ends with it; leave it \
         out, or use `--restart on-failure`"
    )]
    EndsRunAlwaysRestarted { pool: String },
    #[error(
        "with `--exit-with` `{pool}` is not restarted, and its `{key}` has no effect; remove it, or set \
         `restart = \"on-failure\"` for `{pool}`"
    )]
    NotRestarted { pool: String, key: &'static str },
    #[error("with `--restart never` `--give-up-after` has no effect; remove one of the two")]
    NeverGivesUp,
    #[error(
        "with `--grace 0s` the stop signal of `{pool}` is never sent; remove one of the two, or give a \
         longer `--grace`"
    )]
    SignalNeverSent { pool: String },
    #[error("`--log {name}`: there is no pool or slot `{name}`; {suggestion}")]
    NothingToShow { name: String, suggestion: Suggestion },
}

/// An option that only a Procfile has a use for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcfileOption {
    Formation,
    Port,
}

/// Where a sealed run was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sealed {
    Option,
    Key,
}

impl fmt::Display for Sealed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Option => "--sealed",
            Self::Key => "sealed = true",
        })
    }
}

/// What a plan is made from that is not a Procfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OtherFile {
    Named(String),
    Lab,
}

impl ProcfileOption {
    /// What to do instead.
    fn instead(self) -> &'static str {
        match self {
            Self::Formation => {
                "set `workers` or `ports` in a `pm.toml`, or name the Procfile with `-f`"
            }
            Self::Port => "set `ports` in a `pm.toml`, or name the Procfile with `-f`",
        }
    }
}

impl fmt::Display for ProcfileOption {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Formation => "-m",
            Self::Port => "--port",
        })
    }
}

impl fmt::Display for OtherFile {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => write!(out, "`{name}`"),
            Self::Lab => out.write_str("the lab's file"),
        }
    }
}
