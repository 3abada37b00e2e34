//! The command line of the commands that talk to a running pm.
//!
//! [`looking`] has those that change nothing, [`chaos`] those of `pm chaos`, [`changing`] the others.

mod changing;
mod chaos;
mod looking;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Subcommand, ValueHint};

pub use self::changing::{
    AttachArgs, DetachKey, KillArgs, ReloadArgs, RestartArgs, ScaleArgs, ShutdownArgs, StartArgs,
    StopArgs, WaitArgs,
};
pub use self::chaos::{ChaosArgs, Rate, rate};
#[cfg(feature = "top")]
pub use self::looking::TopArgs;
pub use self::looking::{EventsArgs, LogsArgs, LsArgs, OpenArgs, StatusArgs, WhyArgs};
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
    /// Kill workers at random for a while, and print what it has cost
    #[command(after_help = notes::CHAOS.after_help())]
    Chaos(ChaosArgs),
    /// Type on the terminal of a worker, and see what it writes
    #[command(after_help = notes::ATTACH.after_help())]
    Attach(AttachArgs),
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
    /// Show the slots and their lines on the whole terminal, as they change
    #[cfg(feature = "top")]
    #[command(aliases = ["monit", "tui"], after_help = notes::TOP.after_help())]
    Top(TopArgs),
    /// Show the page of the running pm in a browser
    #[command(after_help = notes::OPEN.after_help())]
    Open(OpenArgs),
    /// List every running pm of this user
    #[command(after_help = notes::LS.after_help())]
    Ls(LsArgs),
}

#[cfg(feature = "top")]
impl RemoteCommand {
    /// Which pm it talks to, if it is one.
    pub fn place(&self) -> Option<&PlaceArgs> {
        let target = match self {
            Self::Status(args) => &args.target,
            Self::Why(args) => &args.target,
            Self::Logs(args) => &args.target,
            Self::Start(args) => &args.target,
            Self::Stop(args) => &args.target,
            Self::Restart(args) => &args.target,
            Self::Kill(args) => &args.target,
            Self::Attach(args) => return Some(&args.place),
            Self::Scale(args) => &args.target,
            Self::Wait(args) => &args.target,
            Self::Events(args) => &args.target,
            Self::Reload(args) => &args.target,
            Self::Shutdown(args) => &args.target,
            Self::Top(args) => return Some(&args.place),
            Self::Open(args) => return Some(&args.place),
            Self::Chaos(args) => &args.target,
            Self::Ls(_) => return None,
        };
        Some(&target.place)
    }
}

/// Which pm a command talks to.
#[derive(Clone, Debug, clap::Args)]
pub struct PlaceArgs {
    /// The socket of the pm [default: PM_SOCKET, or the one found here or above]
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath, conflicts_with = "file")]
    pub socket: Option<PathBuf>,
    /// The pm that runs this file; for a pool without a file, its name
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
}

/// Which pm a command talks to, and how it prints what it is told.
#[derive(Clone, Debug, clap::Args)]
pub struct TargetArgs {
    #[command(flatten)]
    pub place: PlaceArgs,
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

/// Slots that have to be named.
#[derive(Clone, Debug, clap::Args)]
pub struct SlotsArgs {
    /// A pool, a slot as web.2, a port as :8081, or all
    #[arg(value_name = "SEL", value_hint = ValueHint::Other, required = true)]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub slots: Vec<String>,
}

/// As long as pm waits if no time is given.
pub fn default_timeout() -> Duration {
    Duration::from_secs_f64(wire::Command::default_timeout())
}

fn timeout_help() -> String {
    let timeout = duration::words(default_timeout());
    format!("Wait at most this long [default: {timeout}]")
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
        assert_eq!(status.target.place.file, Some("dev.toml".into()));
        let Ok(RemoteCommand::Logs(logs)) = remote("pm logs -f --file dev.toml web") else {
            panic!()
        };
        assert!(logs.follow && logs.slots == ["web"]);
        assert_eq!(logs.target.place.file, Some("dev.toml".into()));
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
    fn an_attach_takes_one_slot_and_a_key_that_detaches() {
        let key = |words: &str| match remote(words) {
            Ok(RemoteCommand::Attach(attach)) => Ok(attach.detach_key),
            Ok(_) => panic!("{words}"),
            Err(error) => Err(error),
        };
        assert_eq!(key("pm attach web.2"), Ok(DetachKey::Key(0x1d)));
        for (written, byte) in [("ctrl-a", 1), ("Ctrl-Z", 26), ("ctrl-\\", 28), ("^]", 29)] {
            let words = format!("pm attach web --detach-key {written}");
            assert_eq!(key(&words), Ok(DetachKey::Key(byte)), "{written}");
        }
        assert_eq!(key("pm attach web --detach-key none"), Ok(DetachKey::None));
        assert_eq!(key("pm attach web").unwrap().to_string(), "Ctrl-]");
        for wrong in ["a", "ctrl-", "ctrl-1", "ctrl-ab", "alt-a"] {
            let words = format!("pm attach web --detach-key {wrong}");
            assert!(key(&words).unwrap_err().contains("write it like `ctrl-a`"), "{wrong}");
        }
        assert!(key("pm attach").unwrap_err().contains("<SLOT>"));
        assert!(key("pm attach web.1 web.2").is_err());
        assert!(key("pm attach web.1 --json").is_err());
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
