//! The options of the commands that change nothing.

use clap::ValueHint;
use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser};

use super::{PlaceArgs, TargetArgs};
#[cfg(feature = "top")]
use crate::cli::args::ColourArgs;
use crate::wire::Phase;

#[derive(Clone, Debug, clap::Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
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
    #[arg(value_parser = phases())]
    pub phase: Vec<Phase>,
    /// Only slots whose workers have a terminal, as `pm attach` needs one
    #[arg(long)]
    pub terminal: bool,
    /// Exit with 1 if a slot that is wanted is not ready
    #[arg(long, conflicts_with = "watch")]
    pub check: bool,
    #[command(flatten)]
    pub target: TargetArgs,
}

/// Reads a phase as it is written.
fn phases() -> impl TypedValueParser<Value = Phase> {
    let words = PossibleValuesParser::new(Phase::ALL.map(Phase::written));
    words.map(|word| {
        let phase = Phase::ALL.into_iter().find(|phase| phase.written() == word);
        phase.expect("the parser allows no other word")
    })
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
    /// The last N lines, or all, with those in log files [default: what pm keeps, with -f 10]
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
pub struct LsArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[cfg(feature = "top")]
#[derive(Clone, Debug, clap::Args)]
pub struct TopArgs {
    /// Only these: a pool, a slot as web.2, or a port as :8081
    #[arg(value_name = "SEL", value_hint = ValueHint::Other)]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub slots: Vec<String>,
    /// Draw with ASCII characters only [default: where the locale has no UTF-8]
    #[arg(long)]
    pub ascii: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
    #[command(flatten)]
    pub colour: ColourArgs,
}

#[derive(Clone, Debug, clap::Args)]
pub struct OpenArgs {
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// A number of lines, or `all`.
fn lines(text: &str) -> Result<String, String> {
    if text == "all" || text.parse::<u64>().is_ok() {
        return Ok(text.to_owned());
    }
    Err("give a number of lines, or `all`".into())
}
