//! The command line of the commands that talk to a running pm.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Subcommand, ValueEnum, ValueHint};

use crate::cli::args::ColourArgs;
use crate::cli::notes;
use crate::plan::text::duration;
use crate::wire;

#[derive(Debug, Subcommand)]
pub enum RemoteCommand {
    /// Show a line for each slot of the running pm
    #[command(visible_alias = "ps", alias = "list", after_help = notes::STATUS.after_help())]
    Status(StatusArgs),
    /// Explain what a slot is at, and how its last workers ended
    #[command(aliases = ["describe", "show"], after_help = notes::WHY.after_help())]
    Why(WhyArgs),
    /// Print the last lines of the workers
    #[command(after_help = notes::LOGS.after_help())]
    #[command(mut_arg("file", |file| file.short(None)))]
    Logs(LogsArgs),
    /// Start slots, and wait until they are ready
    #[command(after_help = notes::START.after_help())]
    Start(StartArgs),
    /// Stop slots, and wait until nothing is left of their workers
    #[command(after_help = notes::STOP.after_help())]
    Stop(StopArgs),
    /// Replace the workers of slots, and wait until the new ones are ready
    #[command(after_help = notes::RESTART.after_help())]
    Restart(RestartArgs),
    /// Send a signal to workers; a slot that is wanted gets a new one
    #[command(after_help = notes::KILL.after_help())]
    Kill(KillArgs),
    /// Change the number of workers of a pool
    #[command(after_help = notes::SCALE.after_help())]
    Scale(ScaleArgs),
    /// Wait until slots are ready, are stopped, or have ended
    #[command(after_help = notes::WAIT.after_help())]
    Wait(WaitArgs),
    /// Print what happens to the workers
    #[command(after_help = notes::EVENTS.after_help())]
    Events(EventsArgs),
    /// Read the file again, and apply what has changed
    #[command(after_help = notes::RELOAD.after_help())]
    Reload(ReloadArgs),
    /// Stop all workers and end pm
    #[command(aliases = ["down", "quit"], after_help = notes::SHUTDOWN.after_help())]
    Shutdown(ShutdownArgs),
    /// List every running pm of this user
    #[command(after_help = notes::LS.after_help())]
    Ls(LsArgs),
}

/// Which pm a command talks to, and how it prints what it is told.
#[derive(Clone, Debug, clap::Args)]
pub struct TargetArgs {
    /// The socket of the pm [default: PM_SOCKET, or the one found here or above]
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath, conflicts_with = "file")]
    pub socket: Option<PathBuf>,
    /// The pm that runs this file; for a pool without a file, its name
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub colour: ColourArgs,
}

/// How long a command waits.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct PatienceArgs {
    /// Do not wait until it is so
    #[arg(long, conflicts_with = "timeout")]
    pub no_wait: bool,
    #[arg(long, value_name = "TIME", value_hint = ValueHint::Other, help = timeout_help())]
    #[arg(value_parser = duration::argument)]
    pub timeout: Option<Duration>,
}

impl PatienceArgs {
    pub fn wait(&self) -> wire::WaitFor {
        if self.no_wait { wire::WaitFor::Nothing } else { wire::WaitFor::Done }
    }

    pub fn timeout(&self) -> Duration {
        self.timeout.unwrap_or_else(default_timeout)
    }
}

#[derive(Clone, Debug, clap::Args)]
pub struct StatusArgs {
    /// Only these: a pool, a slot as web.2, or a port as :8081
    #[arg(value_name = "SEL", value_hint = ValueHint::Other)]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub slots: Vec<String>,
    /// Show it again whenever something changes, until Ctrl-C
    #[arg(short, long)]
    pub watch: bool,
    /// Print the names of the slots only
    #[arg(short, long, conflicts_with = "json")]
    pub quiet: bool,
    /// Only slots that are idle, starting, ready, stopping, killing, backoff or given_up
    #[arg(long, value_name = "PHASES", value_delimiter = ',', hide_possible_values = true)]
    pub phase: Vec<PhaseWord>,
    /// Exit with 1 if a slot that is wanted is not ready
    #[arg(long, conflicts_with = "watch")]
    pub check: bool,
    #[command(flatten)]
    pub target: TargetArgs,
}

/// A phase, as it is written.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum PhaseWord {
    Idle,
    Starting,
    Ready,
    Stopping,
    Killing,
    Backoff,
    GivenUp,
}

impl PhaseWord {
    pub fn phase(self) -> wire::Phase {
        match self {
            Self::Idle => wire::Phase::Idle,
            Self::Starting => wire::Phase::Starting,
            Self::Ready => wire::Phase::Ready,
            Self::Stopping => wire::Phase::Stopping,
            Self::Killing => wire::Phase::Killing,
            Self::Backoff => wire::Phase::Backoff,
            Self::GivenUp => wire::Phase::GivenUp,
        }
    }
}

#[derive(Clone, Debug, clap::Args)]
pub struct WhyArgs {
    /// A slot, a pool or a port [default: the slots in trouble]
    #[arg(value_name = "SLOT", value_hint = ValueHint::Other)]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub slots: Vec<String>,
    #[command(flatten)]
    pub target: TargetArgs,
}

#[derive(Clone, Debug, clap::Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct LogsArgs {
    /// Only these: a pool, a slot as web.2, or a port as :8081
    #[arg(value_name = "SEL", value_hint = ValueHint::Other)]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub slots: Vec<String>,
    /// Go on with new lines, until Ctrl-C
    #[arg(short = 'f', long)]
    pub follow: bool,
    /// The last N lines, or all [default: all, with -f 10]
    #[arg(short = 'n', long, value_name = "N", value_hint = ValueHint::Other)]
    #[arg(value_parser = lines)]
    pub lines: Option<String>,
    /// Only lines since then: 5m (ago), 10:30 or 2026-11-25T10:30:00Z
    #[arg(short, long, value_name = "WHEN", value_hint = ValueHint::Other)]
    pub since: Option<String>,
    /// Only lines before then
    #[arg(short, long, value_name = "WHEN", value_hint = ValueHint::Other)]
    #[arg(conflicts_with = "follow")]
    pub until: Option<String>,
    /// Put the time before each line
    #[arg(short, long)]
    pub timestamps: bool,
    /// Leave out the name of the slot
    #[arg(long)]
    pub no_prefix: bool,
    /// The bare lines: no name, no time, no deaths, control characters as they are
    #[arg(long, conflicts_with_all = ["json", "timestamps"])]
    pub raw: bool,
    /// Only lines that match this regular expression
    #[arg(short, long, value_name = "RE", value_hint = ValueHint::Other)]
    pub grep: Option<String>,
    /// The lines of the last worker that has ended, of each slot
    #[arg(short, long, conflicts_with = "follow")]
    pub previous: bool,
    #[command(flatten)]
    pub target: TargetArgs,
}

#[derive(Clone, Debug, clap::Args)]
pub struct StartArgs {
    #[command(flatten)]
    pub slots: SlotsArgs,
    #[command(flatten)]
    pub patience: PatienceArgs,
    #[command(flatten)]
    pub target: TargetArgs,
}

#[derive(Clone, Debug, clap::Args)]
pub struct StopArgs {
    #[command(flatten)]
    pub slots: SlotsArgs,
    /// By SIGKILL, at once; unlike those of `pm kill`, the slots stay down
    #[arg(long)]
    pub now: bool,
    #[command(flatten)]
    pub patience: PatienceArgs,
    #[command(flatten)]
    pub target: TargetArgs,
}

#[derive(Clone, Debug, clap::Args)]
pub struct RestartArgs {
    #[command(flatten)]
    pub slots: SlotsArgs,
    /// One slot of a pool after another, each when the one before is ready
    #[arg(long)]
    pub roll: bool,
    #[command(flatten)]
    pub patience: PatienceArgs,
    #[command(flatten)]
    pub target: TargetArgs,
}

/// Slots that have to be named.
#[derive(Clone, Debug, clap::Args)]
pub struct SlotsArgs {
    /// A pool, a slot as web.2, a port as :8081, or all
    #[arg(value_name = "SEL", value_hint = ValueHint::Other, required = true)]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub slots: Vec<String>,
}

#[derive(Clone, Debug, clap::Args)]
pub struct KillArgs {
    #[command(flatten)]
    pub slots: SlotsArgs,
    /// The signal: HUP, SIGHUP or 1
    #[arg(short, long, value_name = "SIG", value_hint = ValueHint::Other, default_value = "KILL")]
    pub signal: String,
    #[command(flatten)]
    pub target: TargetArgs,
}

#[derive(Clone, Debug, clap::Args)]
pub struct ScaleArgs {
    /// A pool and its number of workers: web=5, or web=+1 for one more
    #[arg(value_name = "POOL=N", value_hint = ValueHint::Other, required = true)]
    #[arg(value_parser = scale)]
    pub pools: Vec<(String, String)>,
    #[command(flatten)]
    pub patience: PatienceArgs,
    #[command(flatten)]
    pub target: TargetArgs,
}

#[derive(Clone, Debug, clap::Args)]
pub struct WaitArgs {
    #[command(flatten)]
    pub slots: SlotsArgs,
    /// Until each is ready; this is the default
    #[arg(long, group = "goal")]
    pub ready: bool,
    /// Until each is stopped
    #[arg(long, group = "goal")]
    pub stopped: bool,
    /// Until the worker of each has ended
    #[arg(long, group = "goal")]
    pub exit: bool,
    /// Wait at most this long [default: 60s, with --exit without end]
    #[arg(long, value_name = "TIME", value_hint = ValueHint::Other)]
    #[arg(value_parser = duration::argument)]
    pub timeout: Option<Duration>,
    #[command(flatten)]
    pub target: TargetArgs,
}

#[derive(Clone, Debug, clap::Args)]
pub struct EventsArgs {
    /// Only these: a pool, a slot as web.2, or a port as :8081
    #[arg(value_name = "SEL", value_hint = ValueHint::Other)]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub slots: Vec<String>,
    /// Only events since then: 5m (ago), 10:30 or 2026-11-25T10:30:00Z
    #[arg(short, long, value_name = "WHEN", value_hint = ValueHint::Other)]
    pub since: Option<String>,
    /// End after the events that there are
    #[arg(long)]
    pub no_follow: bool,
    #[command(flatten)]
    pub target: TargetArgs,
}

#[derive(Clone, Debug, clap::Args)]
pub struct ReloadArgs {
    /// Say what would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub target: TargetArgs,
}

#[derive(Clone, Debug, clap::Args)]
pub struct ShutdownArgs {
    /// By SIGKILL, at once
    #[arg(long)]
    pub now: bool,
    /// Do not wait until pm has ended
    #[arg(long)]
    pub no_wait: bool,
    #[command(flatten)]
    pub target: TargetArgs,
}

#[derive(Clone, Debug, clap::Args)]
pub struct LsArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// As long as pm waits if no time is given.
pub fn default_timeout() -> Duration {
    Duration::from_secs_f64(wire::Command::default_timeout())
}

fn timeout_help() -> String {
    let timeout = duration::words(default_timeout());
    format!("Wait at most this long [default: {timeout}]")
}

/// A number of lines, or `all`.
fn lines(text: &str) -> Result<String, String> {
    if text == "all" || text.parse::<u64>().is_ok() {
        return Ok(text.to_owned());
    }
    Err("give a number of lines, or `all`".into())
}

/// A pool and a number: `web=5`, `web=+1`.
fn scale(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').filter(|(pool, _)| !pool.is_empty());
    let (pool, count) = parts.ok_or("write it like `web=5` or `web=+1`")?;
    let number = count.strip_prefix(['+', '-']).unwrap_or(count);
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!(
            "`{count}` is not a number of workers; write it like `5`, `+1` or `-1`"
        ));
    }
    Ok((pool.to_owned(), count.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::{Command, read};

    fn remote(words: &str) -> Result<RemoteCommand, String> {
        match read(words.split(' ').map(Into::into)) {
            Ok(Command::Remote(command)) => Ok(command),
            Ok(_) => panic!("{words}"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn each_name_that_fingers_know_is_a_command() {
        use RemoteCommand::{Shutdown, Status, Why};
        for name in ["status", "ps", "list"] {
            assert!(matches!(remote(&format!("pm {name} web")), Ok(Status(_))), "{name}");
        }
        for name in ["why", "describe", "show"] {
            assert!(matches!(remote(&format!("pm {name} web.1")), Ok(Why(_))), "{name}");
        }
        for name in ["shutdown", "down", "quit"] {
            assert!(matches!(remote(&format!("pm {name} --now")), Ok(Shutdown(_))), "{name}");
        }
        let help = read(["pm", "--help"].map(Into::into)).unwrap_err().to_string();
        assert!(help.contains("[alias: ps]") && !help.contains("describe"), "{help}");
    }

    #[test]
    fn an_f_is_a_file_but_for_logs() {
        let Ok(RemoteCommand::Status(status)) = remote("pm status -f dev.toml") else { panic!() };
        assert_eq!(status.target.file, Some("dev.toml".into()));
        let Ok(RemoteCommand::Logs(logs)) = remote("pm logs -f --file dev.toml web") else {
            panic!()
        };
        assert!(logs.follow && logs.slots == ["web"]);
        assert_eq!(logs.target.file, Some("dev.toml".into()));
    }

    #[test]
    fn a_command_that_changes_something_names_its_slots() {
        for name in ["start", "stop", "restart", "kill", "wait"] {
            assert!(remote(&format!("pm {name}")).unwrap_err().contains("<SEL>..."), "{name}");
            assert!(remote(&format!("pm {name} all")).is_ok(), "{name}");
        }
        assert!(remote("pm start ").unwrap_err().contains("a value is required"));
    }

    #[test]
    fn a_number_of_workers_is_absolute_or_relative() {
        for right in ["web=5", "web=0", "web=+1", "web=-2"] {
            let (pool, count) = scale(right).unwrap();
            assert_eq!(format!("{pool}={count}"), right);
        }
        for wrong in ["web", "=5", "web=", "web=+", "web=five", "web=1.5", "web=--1"] {
            assert!(scale(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_wait_has_one_goal_and_a_time_has_a_unit() {
        assert!(remote("pm wait web --ready --exit").unwrap_err().contains("cannot be used with"));
        assert!(remote("pm wait web --timeout 30").unwrap_err().contains("did you mean `30s`?"));
        let both = remote("pm stop web --no-wait --timeout 1s").unwrap_err();
        assert!(both.contains("cannot be used with"), "{both}");
        let both = remote("pm ps --socket a -f b").unwrap_err();
        assert!(both.contains("cannot be used with"), "{both}");
    }
}
