//! The options of `pm chaos`.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::ValueHint;
use clap::builder::NonEmptyStringValueParser;

use super::TargetArgs;
use crate::plan::text::duration;

#[derive(Clone, Debug, clap::Args)]
pub struct ChaosArgs {
    /// Only these: a pool, a slot as web.2, or a port as :8081 [default: all]
    #[arg(value_name = "SEL", value_hint = ValueHint::Other)]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub slots: Vec<String>,
    /// Send SIGKILL to a ready worker this often: 1/20s [default, if none is given]
    #[arg(long, value_name = "N/TIME", value_hint = ValueHint::Other, value_parser = rate)]
    pub kill: Option<Rate>,
    /// Send SIGTERM to a ready worker this often
    #[arg(long, value_name = "N/TIME", value_hint = ValueHint::Other, value_parser = rate)]
    pub stop: Option<Rate>,
    /// Let a ready worker hang this often, by SIGSTOP
    #[arg(long, value_name = "N/TIME", value_hint = ValueHint::Other, value_parser = rate)]
    pub hang: Option<Rate>,
    /// A worker that hangs unnoticed continues after this time
    #[arg(long, value_name = "TIME", value_hint = ValueHint::Other, default_value = "30s")]
    #[arg(value_parser = duration::argument)]
    pub hang_for: Duration,
    /// How long it goes on
    #[arg(long = "for", value_name = "TIME", value_hint = ValueHint::Other, default_value = "1m")]
    #[arg(value_parser = duration::argument)]
    pub time: Duration,
    /// The same faults again: the number that an earlier run has printed
    #[arg(long, value_name = "N", value_hint = ValueHint::Other)]
    pub seed: Option<u64>,
    /// Also if the file does not say `chaos = true`
    #[arg(long)]
    pub yes: bool,
    #[command(flatten)]
    pub target: TargetArgs,
}

/// A number of faults in a time: `1/20s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub count: NonZeroU32,
    pub time: Duration,
}

impl Rate {
    /// The mean time from one to the next.
    pub fn mean(self) -> Duration {
        self.time / self.count.get()
    }
}

/// Reads a rate.
///
/// # Errors
/// What to write instead.
pub fn rate(text: &str) -> Result<Rate, String> {
    let wrong = || format!("`{text}` is not a rate; write it like `1/20s`");
    let (count, time) = text.split_once('/').ok_or_else(wrong)?;
    let count = count.parse().ok().ok_or_else(wrong)?;
    let time = duration::argument(time).map_err(|error| error.to_string())?;
    let rate = Rate { count, time };
    if rate.mean() < MEAN_MIN {
        return Err("at most 100 in a second".into());
    }
    Ok(rate)
}

/// A rate is a number of requests to pm too.
const MEAN_MIN: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_in_a_time() {
        let mean = |text: &str| rate(text).map(Rate::mean);
        assert_eq!(mean("1/20s"), Ok(Duration::from_secs(20)));
        assert_eq!(mean("3/1m"), Ok(Duration::from_secs(20)));
        assert_eq!(mean("100/1s"), Ok(Duration::from_millis(10)));
        for wrong in ["20s", "1/", "/1s", "0/1s", "-1/1s", "1/20", "101/1s", "1/0s", "one/1s"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
        assert!(rate("5").unwrap_err().contains("write it like `1/20s`"));
    }
}
