//! The options of the commands that change something, and of `pm wait`.

use std::fmt;
use std::time::Duration;

use clap::ValueHint;
use clap::builder::NonEmptyStringValueParser;

use super::{PatienceArgs, PlaceArgs, SlotsArgs, TargetArgs};
use crate::plan::text::duration;

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
pub struct AttachArgs {
    /// A slot as web.2, a port as :8081, or a pool that has one slot
    #[arg(value_name = "SLOT", value_hint = ValueHint::Other)]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub slot: String,
    /// The key that detaches: ctrl-a, or none
    #[arg(long, value_name = "KEY", value_hint = ValueHint::Other, default_value = "ctrl-]")]
    #[arg(value_parser = detach_key)]
    pub detach_key: DetachKey,
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// The key that leaves the terminal of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DetachKey {
    /// The byte that the terminal makes of it.
    Key(u8),
    None,
}

impl fmt::Display for DetachKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(byte) => write!(out, "Ctrl-{}", char::from(byte | CONTROL)),
            Self::None => out.write_str("none"),
        }
    }
}

/// What Ctrl takes from the byte of a key.
const CONTROL: u8 = 0x40;

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

/// A key with Ctrl: `ctrl-]`, `^]`; or `none`.
fn detach_key(text: &str) -> Result<DetachKey, String> {
    let lower = text.to_ascii_lowercase();
    if lower == "none" {
        return Ok(DetachKey::None);
    }
    let key = lower.strip_prefix("ctrl-").or_else(|| lower.strip_prefix('^'));
    match key.map(|key| key.to_ascii_uppercase().into_bytes()).as_deref() {
        Some([byte @ CONTROL..=b'_']) => Ok(DetachKey::Key(byte & !CONTROL)),
        Some(_) | None => Err("write it like `ctrl-a` or `ctrl-]`, or `none`".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
