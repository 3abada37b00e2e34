//! From a request to what it asks for. Nothing is looked up here: names of slots are still words.

mod last_event;
mod query;

pub use self::last_event::LastEvent;
pub use self::query::seconds;

use std::time::Duration;

use regex_lite::Regex;

use self::last_event::last_event;
use self::query::{body, flag, format, moment, number, pattern, words};
use super::super::clock::WallTime;
use super::http::{Method, Request};
use super::metrics::Dialect;
use super::page::Asset;
use super::problems;
use crate::plan::text::suggest::Suggestion;
use crate::wire::terminal::{PROTOCOL, Size};
use crate::wire::{Command, Kill, Problem, Reload, Scale, Shutdown, WaitFor};

/// What a client asks for.
#[derive(Clone, Debug)]
pub enum Call {
    Version,
    Health,
    OpenApi,
    Metrics { pools: Vec<String>, dialect: Dialect },
    Status { slots: Vec<String>, stats: bool },
    Slot(String),
    Events(EventsCall),
    Logs(LogsCall),
    Wait { slots: Vec<String>, until: Until, timeout: Duration },
    Start(Command),
    Stop(Command),
    Restart(Command),
    Kill(Kill),
    Scale(Scale),
    Reload(Reload),
    Shutdown(Shutdown),
    Attach(AttachCall),
    Page(PageCall),
    Asset(Asset),
    Live(LiveCall),
}

/// What the page shows besides the slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageCall {
    /// The slot whose deaths are shown.
    pub why: Option<String>,
    /// Whose lines are shown; all if there is none.
    pub log: Option<String>,
}

/// What the page is kept up to date with.
#[derive(Clone, Debug)]
pub struct LiveCall {
    /// With what the workers use.
    pub stats: bool,
    /// With these lines.
    pub logs: Option<LogsCall>,
    /// With what pm has said since this event.
    pub after: Option<LastEvent>,
}

/// Whose terminal a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachCall {
    /// A word that means one slot.
    pub slot: String,
    /// Of the client's own terminal.
    pub size: Option<Size>,
}

/// Which events a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventsCall {
    /// Only those after this event. `None`: all that are kept.
    pub after: Option<LastEvent>,
    pub slots: Vec<String>,
    pub follow: bool,
    pub format: Format,
}

/// Which lines of workers a client asks for.
#[derive(Clone, Debug)]
pub struct LogsCall {
    pub slots: Vec<String>,
    /// At most this many, the last ones, before what follows. `None`: all that are kept.
    pub lines: Option<usize>,
    /// Only those after the line of this number.
    pub after: Option<u64>,
    pub since: Option<WallTime>,
    pub until: Option<WallTime>,
    pub grep: Option<Regex>,
    pub generation: Option<u64>,
    pub follow: bool,
    /// Where the older lines are comes first.
    pub files: bool,
    pub format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// As on a terminal.
    Text,
    /// A JSON object a line.
    Lines,
    /// Server-sent events (HTML Standard, section 9.2).
    ServerSent,
    /// The same without a number: they are a part of another stream.
    Part,
}

/// What a client waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    Ready,
    Stopped,
    Exit,
}

/// Whether the answer to a call keeps its connection for as long as the client likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    No,
    /// What happens, as it happens, without an end.
    Stream,
    /// Until something is so.
    Wait,
}

/// Each path, the methods that it has, and its queries.
pub const PATHS: [(&str, &str, &[&str]); 21] = [
    ("/v1", "GET, HEAD", &[]),
    ("/healthz", "GET, HEAD", &[]),
    ("/openapi.json", "GET, HEAD", &[]),
    ("/metrics", "GET, HEAD", &["pool"]),
    ("/v1/status", "GET, HEAD", &["slots", "stats"]),
    ("/v1/slots/", "GET, HEAD", &[]),
    ("/v1/events", "GET, HEAD", &["after", "slots", "follow"]),
    (
        "/v1/logs",
        "GET, HEAD",
        &["slots", "lines", "after", "since", "until", "grep", "generation", "follow", "files"],
    ),
    ("/v1/stream", "GET, HEAD", &["stats", "logs", "lines", "after"]),
    ("/", "GET, HEAD", &["why", "log"]),
    (Asset::SCRIPT_PATH, "GET, HEAD", &["v"]),
    (Asset::STYLE_PATH, "GET, HEAD", &["v"]),
    ("/v1/wait", "GET, HEAD", &["slots", "for", "timeout_seconds"]),
    ("/v1/start", "POST", &[]),
    ("/v1/stop", "POST", &[]),
    ("/v1/restart", "POST", &[]),
    ("/v1/kill", "POST", &[]),
    ("/v1/scale", "POST", &[]),
    ("/v1/reload", "POST", &[]),
    ("/v1/shutdown", "POST", &[]),
    ("/v1/attach", "POST", &["slot", "rows", "columns"]),
];

/// Why there is no call: the problem, and the header that says what would be one.
#[derive(Debug)]
pub struct Refused {
    pub problem: Box<Problem>,
    pub header: Option<(&'static str, &'static str)>,
}

impl From<Box<Problem>> for Refused {
    fn from(problem: Box<Problem>) -> Self {
        Self { problem, header: None }
    }
}

impl Call {
    /// # Errors
    /// If there is no such path, if it has another method, or if the query or the body cannot be used.
    pub fn of(request: &Request) -> Result<Self, Refused> {
        let path = request.path.as_str();
        let is_it = |known: &str| match known.strip_suffix('/') {
            Some("") => path == known,
            Some(_) => path.strip_prefix(known).is_some_and(|rest| !rest.is_empty()),
            None => path == known,
        };
        let Some((known, methods, queries)) = PATHS.iter().find(|(known, ..)| is_it(known)) else {
            let suggestion = Suggestion::of(path, PATHS.iter().map(|(known, ..)| *known));
            let detail = format!("there is no `{path}`; {suggestion}");
            return Err(problems::new(404, "no-such-path", "No such path", detail).into());
        };
        let is_get = matches!(request.method, Method::Get | Method::Head);
        if is_get != methods.starts_with("GET") || !is_get && request.method != Method::Post {
            let detail = format!("`{path}` has {methods} only");
            let problem = problems::new(405, "method-not-allowed", "Method not allowed", detail);
            return Err(Refused { problem, header: Some(("Allow", *methods)) });
        }
        for (name, _) in &request.query {
            if !queries.contains(&name.as_str()) {
                let detail = match queries {
                    [] => format!("`{path}` takes no query"),
                    queries => {
                        let suggestion = Suggestion::of(name, queries.iter().copied());
                        format!("`{path}` takes no `{name}`; {suggestion}")
                    }
                };
                return Err(problems::bad_request(detail).into());
            }
        }
        Ok(match *known {
            "/v1" => Self::Version,
            "/healthz" => Self::Health,
            "/openapi.json" => Self::OpenApi,
            "/metrics" => {
                Self::Metrics { pools: words(request, "pool"), dialect: Dialect::of(request) }
            }
            "/v1/status" => {
                Self::Status { slots: words(request, "slots"), stats: flag(request, "stats")? }
            }
            "/v1/slots/" => Self::Slot(path["/v1/slots/".len()..].to_owned()),
            "/v1/events" => Self::Events(events(request)?),
            "/v1/logs" => Self::Logs(logs(request)?),
            "/v1/wait" => Self::Wait {
                slots: named(words(request, "slots"))?,
                until: until(request)?,
                timeout: timeout(request)?,
            },
            "/v1/start" => Self::Start(command(request)?),
            "/v1/stop" => Self::Stop(command(request)?),
            "/v1/restart" => Self::Restart(command(request)?),
            "/v1/kill" => Self::Kill(body(request)?),
            "/v1/scale" => Self::Scale(body(request)?),
            "/v1/reload" => Self::Reload(body(request)?),
            "/v1/attach" => Self::Attach(attach(request)?),
            "/v1/stream" => Self::Live(live(request)?),
            "/" => Self::Page(PageCall { why: word(request, "why"), log: word(request, "log") }),
            Asset::SCRIPT_PATH => Self::Asset(Asset::script(request.query("v"))),
            Asset::STYLE_PATH => Self::Asset(Asset::style(request.query("v"))),
            _ => Self::Shutdown(body(request)?),
        })
    }
}

impl Call {
    pub fn lasting(&self) -> Lasting {
        match self {
            Self::Events(EventsCall { follow: true, .. })
            | Self::Logs(LogsCall { follow: true, .. })
            | Self::Live(_)
            | Self::Attach(_) => Lasting::Stream,
            Self::Wait { .. } => Lasting::Wait,
            Self::Start(Command { wait, .. })
            | Self::Stop(Command { wait, .. })
            | Self::Restart(Command { wait, .. })
            | Self::Scale(Scale { wait, .. }) => match wait {
                WaitFor::Done => Lasting::Wait,
                WaitFor::Nothing => Lasting::No,
            },
            Self::Version | Self::Health | Self::OpenApi | Self::Metrics { .. } => Lasting::No,
            Self::Status { .. } | Self::Slot(_) | Self::Events(_) | Self::Logs(_) => Lasting::No,
            Self::Kill(_) | Self::Reload(_) | Self::Shutdown(_) => Lasting::No,
            Self::Page(_) | Self::Asset(_) => Lasting::No,
        }
    }
}

/// A command names its slots: none is not all.
fn named(slots: Vec<String>) -> Result<Vec<String>, Box<Problem>> {
    if slots.is_empty() {
        return Err(problems::bad_request(
            "name the slots: `web`, `web.2`, `:8081`, or `all` for every slot",
        ));
    }
    Ok(slots)
}

fn attach(request: &Request) -> Result<AttachCall, Refused> {
    if !request.upgrade.iter().any(|protocol| protocol == PROTOCOL) {
        let detail = format!("send `Connection: Upgrade` and `Upgrade: {PROTOCOL}`");
        let problem = problems::new(426, "upgrade-required", "Upgrade required", detail);
        return Err(Refused { problem, header: Some(("Upgrade", PROTOCOL)) });
    }
    let slot = request.query("slot").filter(|slot| !slot.is_empty());
    let slot = slot.ok_or_else(|| problems::bad_request("name one slot: `slot=web.2`"))?;
    let size = match (number(request, "rows")?, number(request, "columns")?) {
        (Some(rows), Some(columns)) => Some(Size { rows, columns }),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            return Err(problems::bad_request("a size is both `rows` and `columns`").into());
        }
    };
    Ok(AttachCall { slot: slot.to_owned(), size })
}

fn events(request: &Request) -> Result<EventsCall, Box<Problem>> {
    let after = match last_event(request)? {
        Some(last) => Some(last),
        None => number(request, "after")?.map(LastEvent::numbered),
    };
    let format = match format(request) {
        Format::ServerSent => Format::ServerSent,
        Format::Text | Format::Lines | Format::Part => Format::Lines,
    };
    Ok(EventsCall {
        after,
        slots: words(request, "slots"),
        follow: flag(request, "follow")?,
        format,
    })
}

fn logs(request: &Request) -> Result<LogsCall, Box<Problem>> {
    let lines = match request.query("lines") {
        Some("all") => None,
        _ => number(request, "lines")?,
    };
    let (files, format) = (flag(request, "files")?, format(request));
    if files && format != Format::Lines {
        return Err(problems::bad_request("`files` is for those that accept application/x-ndjson"));
    }
    Ok(LogsCall {
        slots: words(request, "slots"),
        lines,
        after: number(request, "after")?,
        since: moment(request, "since")?,
        until: moment(request, "until")?,
        grep: pattern(request, "grep")?,
        generation: number(request, "generation")?,
        follow: flag(request, "follow")?,
        files,
        format,
    })
}

fn live(request: &Request) -> Result<LiveCall, Box<Problem>> {
    let logs = match request.query("logs") {
        None => None,
        Some(_) => Some(LogsCall {
            slots: words(request, "logs").into_iter().filter(|word| word != "all").collect(),
            lines: number(request, "lines")?,
            after: number(request, "after")?,
            since: None,
            until: None,
            grep: None,
            generation: None,
            follow: true,
            files: false,
            format: Format::Part,
        }),
    };
    Ok(LiveCall { stats: flag(request, "stats")?, logs, after: last_event(request)? })
}

/// A query that names one thing; nothing if it is empty.
fn word(request: &Request, name: &str) -> Option<String> {
    request.query(name).filter(|word| !word.is_empty()).map(str::to_owned)
}

fn until(request: &Request) -> Result<Until, Box<Problem>> {
    match request.query("for") {
        None | Some("ready") => Ok(Until::Ready),
        Some("stopped") => Ok(Until::Stopped),
        Some("exit") => Ok(Until::Exit),
        Some(other) => {
            let suggestion = Suggestion::of(other, ["ready", "stopped", "exit"]);
            Err(problems::bad_request(format!("`{other}` is nothing to wait for; {suggestion}")))
        }
    }
}

fn timeout(request: &Request) -> Result<Duration, Box<Problem>> {
    let Some(text) = request.query("timeout_seconds") else {
        return seconds(Command::default_timeout());
    };
    let number = text.parse().ok();
    seconds(
        number
            .ok_or_else(|| problems::bad_request(format!("`{text}` is not a number of seconds")))?,
    )
}

fn command(request: &Request) -> Result<Command, Box<Problem>> {
    let command: Command = body(request)?;
    seconds(command.timeout_seconds)?;
    Ok(Command { slots: named(command.slots)?, ..command })
}
