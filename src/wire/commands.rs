//! The bodies of what is asked for by POST.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which slots a command is about, and whether it waits. The body of `POST /v1/start`, `/v1/stop` and `/v1/restart`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// `web`, `web.2`, `:8081` or `all`.
    pub slots: Vec<String>,
    #[serde(default)]
    pub wait: WaitFor,
    /// At most this long.
    #[serde(default = "Command::default_timeout")]
    pub timeout_seconds: f64,
    /// `restart`: one ready worker of a pool after another.
    #[serde(default)]
    pub roll: bool,
    /// `stop`: by SIGKILL, at once.
    #[serde(default)]
    pub now: bool,
}

impl Command {
    pub fn default_timeout() -> f64 {
        60.0
    }
}

/// What the answer to a command waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WaitFor {
    /// Until what was commanded is so.
    #[default]
    Done,
    Nothing,
}

/// The body of `POST /v1/kill`: a signal to the workers. What is wanted stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kill {
    pub slots: Vec<String>,
    /// `HUP`, `SIGHUP` or `1`.
    #[serde(default = "Kill::default_signal")]
    pub signal: String,
}

impl Kill {
    pub fn default_signal() -> String {
        "KILL".into()
    }
}

/// The body of `POST /v1/scale`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// The number of workers that each of these pools is to have: `5`, `+1` or `-1`.
    pub pools: BTreeMap<String, String>,
    #[serde(default)]
    pub wait: WaitFor,
    #[serde(default = "Command::default_timeout")]
    pub timeout_seconds: f64,
}

/// The body of `POST /v1/reload`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reload {
    /// Say what would change, and change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// The body of `POST /v1/shutdown`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shutdown {
    /// By SIGKILL, at once.
    #[serde(default)]
    pub now: bool,
}
