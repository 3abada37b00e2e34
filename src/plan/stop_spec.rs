//! How a worker is asked to stop: by which signal, and which of its processes get it.

use schemars::JsonSchema;

use super::defaults;

/// The stop signal of a pool. The grace, which the supervisor needs, is in its policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopSpec {
    /// The number of the signal.
    pub signal: i32,
    pub to: StopTarget,
}

/// Which processes of a worker get the stop signal. SIGKILL goes to all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case", inline)]
pub enum StopTarget {
    /// The leader alone, which needs the others until it has finished (Celery's prefork pool; systemd's
    /// `KillMode=mixed`). What it leaves behind gets the signal when the leader is gone.
    Leader,
    /// The whole process group and its orphans.
    Group,
}

impl Default for StopSpec {
    fn default() -> Self {
        Self { signal: defaults::STOP_SIGNAL, to: StopTarget::Group }
    }
}

impl StopTarget {
    /// All words, as they are written in a `pm.toml`.
    pub const WRITTEN: [&str; 2] = [Self::Leader.written(), Self::Group.written()];

    /// As it is written.
    pub const fn written(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Group => "group",
        }
    }

    /// The target that is written like this.
    pub fn read(written: &str) -> Option<Self> {
        [Self::Leader, Self::Group].into_iter().find(|target| target.written() == written)
    }
}
