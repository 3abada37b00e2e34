//! What can be wrong with `ready` and `alive`.

use crate::plan::text::explain::Explain;
use crate::plan::text::phrase::list_or;
use crate::plan::text::suggest::quoted;

/// What is wrong in a table `ready` or `alive`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HealthFault {
    #[error("`{table}` has no condition")]
    NoCondition { table: &'static str, conditions: Vec<&'static str> },
    #[error("`{table}` cannot have both `{first}` and `{second}`")]
    TwoConditions { table: &'static str, first: &'static str, second: &'static str },
    #[error("`{0}` is only valid with `http`")]
    WithoutHttp(&'static str),
    #[error("`http` uses the slot's own port, and this pool has no ports")]
    HttpWithoutPorts,
    #[error("`tcp = true` uses the slot's own port, and this pool has no ports")]
    TcpWithoutPorts,
    #[error("`listen` is only known of a pool with `hold_port`")]
    ListenWithoutHoldPort,
    #[error("`exit` in a pool whose workers are always restarted")]
    ExitAlwaysRestarted,
    #[error("`alive` has no effect on workers that are ready once they have exited")]
    AliveWithExit,
    #[error("an empty `{0}` is in each line")]
    EmptyLine(&'static str),
    #[error("this matches each line, also one without anything in it")]
    EachLine,
    #[error("an empty `text` is in each answer")]
    EmptyText,
    #[error("no line has a line feed in it: this never matches")]
    LineFeed,
    #[error("the carriage return at the end of a line is cut off: this never matches")]
    CarriageReturn,
    #[error("`within` is not valid with `after`")]
    WithinWithAfter,
    #[error("`within` must be greater than 0")]
    WithinZero,
    #[error("`timeout` is longer than `every`")]
    TimeoutLonger,
    #[error("`{0}` is not valid with `notify`")]
    WithNotify(&'static str),
}

impl Explain for HealthFault {
    fn help(&self) -> Option<String> {
        Some(match self {
            Self::NoCondition { conditions, .. } => {
                format!("give exactly one of {}", list_or(&quoted(conditions)))
            }
            Self::TwoConditions { .. } => "remove one of the two".into(),
            Self::WithoutHttp(_) => "remove it".into(),
            Self::HttpWithoutPorts => "give it ports, as in `ports = \"8080-8082\"`".into(),
            Self::TcpWithoutPorts => "name the port, as in `tcp = 8080`".into(),
            Self::ListenWithoutHoldPort => {
                "set `hold_port = true`, or write `tcp = true` instead".into()
            }
            Self::ExitAlwaysRestarted => {
                "for a job that ends, set `restart = \"never\"` or `\"on-failure\"`".into()
            }
            Self::AliveWithExit => "remove it, or make them ready by another condition".into(),
            Self::EmptyLine(_) | Self::EachLine => {
                "write a part of the line; any line is `line_regex = \".*\"`".into()
            }
            Self::EmptyText => "write a part of the answer, or remove `text`".into(),
            Self::LineFeed => "write a part of one line".into(),
            Self::CarriageReturn => "remove it".into(),
            Self::WithinWithAfter => "remove it: `after` is the time itself".into(),
            Self::WithinZero => "`ready = { after = \"0s\" }` makes a worker ready at once".into(),
            Self::TimeoutLonger => {
                "give it less, so that a probe has ended before the next begins".into()
            }
            Self::WithNotify(_) => {
                "remove it: a worker that sends nothing for `every` hangs".into()
            }
        })
    }
}
