//! A Procfile: `web: command`, one process type a line. Strict: each line is used or is a fault.
//!
//! A line is what foreman reads as one, `^([A-Za-z0-9_-]+):\s*(.+)$`; `#` begins a comment line. The command goes to
//! `sh -c` as it is. `PORT` is a base, plus 100 for each process type before it in the file, those without a worker
//! included, plus 1 for each worker before it of its own type. The base is `--port`, else `PORT` in the `.env` beside
//! the file, else `PORT` in pm's environment, else 5000.

use std::ops::Range;
use std::path::Path;

use super::defaults::{self, PROCFILE_PORT};
use super::environment::PORT;
use super::fault_kind::FaultKind;
use super::host::{Document, Host, Unreadable};
use super::text::diagnostics::{Fault, Faults, Findings, SourceId};
use super::text::explain::Explain;
use super::text::lines::{BLANKS, TextLine, lines};
use super::text::placeholders::Template;
use super::{
    ExecSpec, FILE_BYTES_MAX, LabelStyle, NAME_BYTES_MAX, Plan, Pool, PoolSpec, Ready, ReadyBy,
    STRING_BYTES_MAX, SlotsSpec, Stdin, StopSpec, TerminalOutput, WORKERS_MAX, dotenv, formation,
    is_name, is_of_name,
};
use crate::supervisor::Policy;

/// From the ports of one process type to those of the next.
const PORT_STEP: usize = 100;

/// What the command line says of a Procfile.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `-m`: the number of workers of each process type. One of each if it is not given.
    pub formation: Option<String>,
    /// `--port`: the base of the ports.
    pub port: Option<u16>,
}

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessType {
    pub name: String,
    pub command: String,
    /// Where its name stands.
    pub(crate) named_at: Range<usize>,
}

/// What is wrong with a Procfile, or with what stands around it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProcfileFault {
    #[error("there are more than {WORKERS_MAX} process types")]
    TooManyTypes,
    #[error("there are two process types `{0}`")]
    Twice(String),
    #[error("this Procfile has no process type")]
    Empty,
    #[error("this line is not a process type")]
    NotAProcessType { likely: Option<String> },
    #[error("`{0}` in the name of a process type")]
    NameCharacter(char),
    #[error("this name is longer than {NAME_BYTES_MAX} letters")]
    NameTooLong,
    #[error("there is no name before the `:`")]
    NoName,
    #[error("there are blanks around the name of the process type")]
    BlanksAroundName(String),
    #[error("`{0}` has no command")]
    NoCommand(String),
    #[error("a zero byte ends the command")]
    ZeroByte,
    #[error("the command of `{0}` is longer than the kernel accepts")]
    CommandTooLong(String),
    #[error("cannot read `{name}`: {why}")]
    UnreadableDotenv { name: String, why: Unreadable },
    #[error("`{0}` is not a port")]
    PortBase(String),
    #[error("PORT is empty")]
    PortBaseEmpty,
    #[error("the PORT of `{worker}` would be {port}")]
    PortTooHigh { worker: String, port: usize },
    #[error("with {count} workers the ports of `{name}` overlap those of the next process type")]
    PortsOverlap { name: String, count: usize },
}

impl Explain for ProcfileFault {
    fn help(&self) -> Option<String> {
        Some(match self {
            Self::TooManyTypes => "each is at least one worker: use several files".into(),
            Self::Twice(_) => "give one of the two another name".into(),
            Self::Empty => "write a line like `web: ./server`".into(),
            Self::NotAProcessType { likely: Some(line) } => format!("did you mean `{line}`?"),
            Self::NotAProcessType { likely: None } => {
                "write `name: command`, or `#` before a comment".into()
            }
            Self::NameCharacter(_) => "use letters, digits, `-` and `_`".into(),
            Self::NameTooLong => "it stands before each line of output: use a shorter one".into(),
            Self::NoName => "write `name: command`".into(),
            Self::BlanksAroundName(name) => format!("write `{name}: command`"),
            Self::NoCommand(_) => "write it after the `:`".into(),
            Self::ZeroByte => "remove it".into(),
            Self::CommandTooLong(_) => "put it into a script".into(),
            Self::UnreadableDotenv { .. } => "make it readable, or remove it".into(),
            Self::PortBase(_) => "give 1 to 65535".into(),
            Self::PortBaseEmpty => "remove it, or give 1 to 65535".into(),
            Self::PortTooHigh { .. } => "the highest port is 65535; give a lower `--port`".into(),
            Self::PortsOverlap { .. } => format!(
                "a process type has {PORT_STEP} ports; put this line last in the file, or use fewer workers"
            ),
        })
    }

    fn label(&self) -> &'static str {
        match self {
            Self::NotAProcessType { .. } => "there is no `:` after a name",
            Self::TooManyTypes
            | Self::Twice(_)
            | Self::Empty
            | Self::NameCharacter(_)
            | Self::NameTooLong
            | Self::NoName
            | Self::BlanksAroundName(_)
            | Self::NoCommand(_)
            | Self::ZeroByte
            | Self::CommandTooLong(_)
            | Self::UnreadableDotenv { .. }
            | Self::PortBase(_)
            | Self::PortBaseEmpty
            | Self::PortTooHigh { .. }
            | Self::PortsOverlap { .. } => "",
        }
    }
}

/// Makes a plan of a Procfile and the `.env` beside it.
///
/// # Errors
/// Every fault in the two files and in the options.
pub fn read(document: &Document, options: &Options, host: &dyn Host) -> Result<Plan, Faults> {
    let mut findings = Findings::default();
    let file = findings.add_source(&document.name, &document.text);
    let types = process_types(file, &mut findings);
    let variables = dotenv_beside(document, file, host, &mut findings);
    let base = port_base(options, &variables, host, &mut findings);
    let names: Vec<_> = types.iter().map(|kind| kind.name.as_str()).collect();
    let counts = match &options.formation {
        Some(written) if !names.is_empty() => formation::counts(written, &names, &mut findings),
        Some(_) | None => vec![1; names.len()],
    };
    check_ports(file, &types, &counts, base, &mut findings);
    if !findings.is_empty() {
        return findings.finish(Plan {
            pools: Vec::new(),
            sealed: false,
            chaos: false,
            ring_bytes: defaults::RING_BYTES,
            http: None,
        });
    }
    let kinds = types.iter().zip(&counts).enumerate().filter(|(_, (_, count))| **count > 0);
    let pools = kinds.map(|(index, (kind, count))| {
        let first = u16::try_from(base + PORT_STEP * index).expect("`check_ports` refuses others");
        let slots = SlotsSpec::PortVariable { workers: *count, first };
        pool(kind, slots, &variables, &document.dir)
    });
    let pools = pools.collect();
    findings.finish(Plan {
        pools,
        sealed: false,
        chaos: false,
        ring_bytes: defaults::RING_BYTES,
        http: None,
    })
}

/// The process types of a source of `findings`, in its order. The faults that are in it are added.
pub(crate) fn process_types(file: SourceId, findings: &mut Findings) -> Vec<ProcessType> {
    let text = findings.text(file).to_owned();
    let mut types: Vec<ProcessType> = Vec::new();
    if text.len() > FILE_BYTES_MAX {
        findings.add(Fault::new(file, 0..0, FaultKind::FileTooLarge));
        return types;
    }
    for line in lines(&text).filter(|line| !line.is_empty()) {
        if types.len() == WORKERS_MAX {
            findings.add(Fault::new(file, line.whole(), ProcfileFault::TooManyTypes));
            break;
        }
        match process_type(line) {
            Err((at, kind)) => findings.add(Fault::new(file, at, kind)),
            Ok(kind) => match types.iter().find(|known| known.name == kind.name) {
                Some(first) => {
                    let fault = Fault::new(file, kind.named_at, ProcfileFault::Twice(kind.name));
                    findings.add(fault.related(first.named_at.clone(), "the first one"));
                }
                None => types.push(kind),
            },
        }
    }
    if types.is_empty() && findings.is_empty() {
        findings.add(Fault::new(file, 0..0, ProcfileFault::Empty));
    }
    types
}

fn process_type(line: TextLine<'_>) -> Result<ProcessType, (Range<usize>, ProcfileFault)> {
    let words = line.text.trim_end_matches(BLANKS);
    let Some((name, command)) = words.split_once(':') else {
        let likely = likely_line(words.trim_start_matches(BLANKS));
        return Err((line.whole(), ProcfileFault::NotAProcessType { likely }));
    };
    let bare = name.trim_matches(BLANKS);
    if let Some(bad) = bare.chars().find(|c| !is_of_name(*c)) {
        let at = line.span(bare).start + bare.find(bad).expect("it was found in it");
        return Err((at..at + bad.len_utf8(), ProcfileFault::NameCharacter(bad)));
    }
    if bare.is_empty() {
        return Err((line.span(&words[name.len()..=name.len()]), ProcfileFault::NoName));
    }
    if bare.len() > NAME_BYTES_MAX {
        return Err((line.span(bare), ProcfileFault::NameTooLong));
    }
    if bare != name {
        return Err((line.span(name), ProcfileFault::BlanksAroundName(bare.to_owned())));
    }
    let command = command.trim_start();
    if command.is_empty() {
        return Err((line.span(words), ProcfileFault::NoCommand(name.to_owned())));
    }
    if let Some(nul) = command.find('\0') {
        let at = line.span(command).start + nul;
        return Err((at..at + 1, ProcfileFault::ZeroByte));
    }
    if command.len() > STRING_BYTES_MAX {
        return Err((line.span(command), ProcfileFault::CommandTooLong(name.to_owned())));
    }
    let named_at = line.span(name);
    Ok(ProcessType { name: name.to_owned(), command: command.to_owned(), named_at })
}

/// `web: serve`, if the line is `web serve`. No blanks are around it.
fn likely_line(line: &str) -> Option<String> {
    let (name, command) = line.split_once(BLANKS)?;
    is_name(name).then(|| format!("{name}: {}", command.trim_start_matches(BLANKS)))
}

/// The variables of the `.env` beside the file. None if there is no such file.
fn dotenv_beside(
    document: &Document,
    file: SourceId,
    host: &dyn Host,
    findings: &mut Findings,
) -> Vec<(SourceId, dotenv::Variable)> {
    let path = Path::new(".env");
    match host.read(&document.resolve(path)) {
        Ok(None) => Vec::new(),
        Ok(Some(text)) => {
            let file = findings.add_source(document.name_of(path), text);
            dotenv::read(file, findings).into_iter().map(|variable| (file, variable)).collect()
        }
        Err(why) => {
            let kind = ProcfileFault::UnreadableDotenv { name: document.name_of(path), why };
            findings.add(Fault::new(file, 0..0, kind));
            Vec::new()
        }
    }
}

fn port_base(
    options: &Options,
    variables: &[(SourceId, dotenv::Variable)],
    host: &dyn Host,
    findings: &mut Findings,
) -> usize {
    if let Some(port) = options.port {
        return usize::from(port);
    }
    let written = variables.iter().find(|(_, variable)| variable.name == PORT);
    let (file, at, value) = match (written, host.variable(PORT)) {
        (Some((file, variable)), _) => (*file, variable.at.clone(), variable.value.clone()),
        (None, Some(value)) => {
            let before = format!("{PORT}=");
            let file = findings.add_source("the environment", format!("{before}{value}"));
            (file, before.len()..before.len() + value.len(), value)
        }
        (None, None) => return usize::from(PROCFILE_PORT),
    };
    let port = value.parse().ok().filter(|port: &u16| *port > 0);
    port.map(usize::from).unwrap_or_else(|| {
        let is_empty = value.is_empty();
        let fault =
            if is_empty { ProcfileFault::PortBaseEmpty } else { ProcfileFault::PortBase(value) };
        findings.add(Fault::new(file, at, fault));
        usize::from(PROCFILE_PORT)
    })
}

/// Each worker has a `PORT` of its own, and there is such a port.
fn check_ports(
    file: SourceId,
    types: &[ProcessType],
    counts: &[usize],
    base: usize,
    findings: &mut Findings,
) {
    let last_in_use = counts.iter().rposition(|count| *count > 0);
    for (index, (kind, count)) in types.iter().zip(counts).enumerate() {
        let last = base + PORT_STEP * index + count.saturating_sub(1);
        if *count > 0 && last > usize::from(u16::MAX) {
            let worker = format!("{}.{count}", kind.name);
            let fault = ProcfileFault::PortTooHigh { worker, port: last };
            findings.add(Fault::new(file, kind.named_at.clone(), fault));
        }
        if *count > PORT_STEP && last_in_use > Some(index) {
            let fault = ProcfileFault::PortsOverlap { name: kind.name.clone(), count: *count };
            findings.add(Fault::new(file, kind.named_at.clone(), fault));
        }
    }
}

fn pool(
    kind: &ProcessType,
    slots: SlotsSpec,
    variables: &[(SourceId, dotenv::Variable)],
    dir: &Path,
) -> Pool {
    let variables = variables.iter().map(|(_, variable)| variable);
    let spec = PoolSpec {
        slots,
        dir: dir.to_owned(),
        command: ["/bin/sh", "-c", &kind.command].map(Template::literal).to_vec(),
        cwd: Some(Template::literal(".")),
        // PORT in a `.env` is the base: the PORT of each worker overrides it.
        env_files: variables.map(|known| (known.name.clone(), known.value.clone())).collect(),
        env: Vec::new(),
        // A Procfile is for development, where watchers exit when their stdin ends.
        exec: ExecSpec { stdin: Stdin::Open, ..ExecSpec::default() },
        ready: Ready { by: ReadyBy::Lived, within: defaults::lived() },
        alive: None,
        log: None,
        terminal_output: TerminalOutput::default(),
        label: LabelStyle::default(),
    };
    Pool::new(kind.name.clone(), spec, Policy::default(), StopSpec::default())
}
