//! A Procfile: `web: command`, one process type a line. Strict: each line is used or is a fault.
//!
//! A line is what foreman takes for one, `^([A-Za-z0-9_-]+):\s*(.+)$`; `#` begins a comment line. The command goes to
//! `sh -c` as it is. `PORT` is a base plus 100 for each process type before it in the file, those without a worker
//! included, plus 1 for each worker before it of its own; the base is `--port`, else `PORT` in the `.env` beside the
//! file, else `PORT` in pm's environment, else 5000.

use std::ops::Range;
use std::path::Path;

use super::host::{Document, Host};
use super::text::diagnostics::{Fault, Faults, Findings, SourceId};
use super::text::lines::{BLANKS, Line, lines};
use super::{
    ExecSpec, FILE_BYTES_MAX, Plan, Pool, Ready, STRING_BYTES_MAX, SlotPlan, WORKERS_MAX, dotenv,
    environment, formation, is_name, is_of_name,
};
use crate::supervisor::Policy;

/// The base of the ports where nobody names one.
const PORT: u16 = 5_000;

/// From the ports of one process type to those of the next.
const PORT_STEP: usize = 100;

/// What the command line says of a Procfile.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `-m`: how many of each. One of each if there is none.
    pub formation: Option<String>,
    /// `--port`: the base of the ports.
    pub port: Option<u16>,
}

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessType {
    pub name: String,
    pub command: String,
    named_at: Range<usize>,
}

/// Makes a plan of a Procfile and the `.env` beside it.
///
/// # Errors
/// Every fault in the two files and in the options.
pub fn read(document: &Document, options: &Options, host: &dyn Host) -> Result<Plan, Faults> {
    let mut findings = Findings::default();
    let file = findings.source(&document.name, &document.text);
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
        return findings.or(Plan { pools: Vec::new() });
    }
    let kinds = types.iter().zip(&counts).enumerate().filter(|(_, (_, count))| **count > 0);
    let pools = kinds.map(|(index, (kind, count))| {
        let first = base + PORT_STEP * index;
        let slots = (1..=*count).map(|n| slot(kind, n, first + n - 1, &variables, &document.dir));
        pool(&kind.name, slots.collect())
    });
    let pools = pools.collect();
    findings.or(Plan { pools })
}

/// The process types that a text names, in its order; what else is in it is noted as a fault.
pub fn process_types(file: SourceId, findings: &mut Findings) -> Vec<ProcessType> {
    let text = findings.text(file).to_owned();
    let mut types: Vec<ProcessType> = Vec::new();
    if text.len() > FILE_BYTES_MAX {
        findings.add(
            Fault::new(file, 0..0, "this file is larger than 1 MiB").help("it is no Procfile"),
        );
        return types;
    }
    for line in lines(&text).filter(|line| !line.is_empty()) {
        if types.len() == WORKERS_MAX {
            let message = format!("{WORKERS_MAX} process types are the most that are read");
            findings.add(Fault::new(file, line.whole(), message));
            break;
        }
        match process_type(file, line) {
            Err(fault) => findings.add(*fault),
            Ok(kind) => match types.iter().find(|known| known.name == kind.name) {
                Some(first) => {
                    let message = format!("the process type `{}` is there twice", kind.name);
                    let fault = Fault::new(file, kind.named_at, message);
                    let fault = fault.help("give one of the two another name");
                    findings.add(fault.related(first.named_at.clone(), "the first one"));
                }
                None => types.push(kind),
            },
        }
    }
    if types.is_empty() && findings.is_empty() {
        let fault = Fault::new(file, 0..0, "this Procfile keeps nothing alive");
        findings.add(fault.help("write a line like `web: ./server`"));
    }
    types
}

fn process_type(file: SourceId, line: Line<'_>) -> Result<ProcessType, Box<Fault>> {
    let words = line.text.trim_end_matches(BLANKS);
    let fault =
        |at, message: String, help: &str| Err(Box::new(Fault::new(file, at, message).help(help)));
    let Some((name, command)) = words.split_once(':') else {
        let first = words.trim_start_matches(BLANKS).split(BLANKS).next().unwrap_or_default();
        let help = match words.trim_start_matches(BLANKS)[first.len()..].trim_start_matches(BLANKS)
        {
            rest if is_name(first) && !rest.is_empty() => {
                format!("did you mean `{first}: {rest}`?")
            }
            _ => "write `name: command`, or `#` before a comment".into(),
        };
        let fault = Fault::new(file, line.whole(), "this line is no process type").help(help);
        return Err(Box::new(fault.label("there is no `:` after a name")));
    };
    let bare = name.trim_matches(BLANKS);
    if let Some(bad) = bare.chars().find(|c| !is_of_name(*c)) {
        let at = line.span(bare).start + bare.find(bad).expect("it was found in it");
        let message = format!("`{bad}` in the name of a process type");
        return fault(at..at + bad.len_utf8(), message, "use letters, digits, `-` and `_`");
    }
    if bare.is_empty() {
        let at = line.span(&words[name.len()..=name.len()]);
        return fault(at, "there is no name before the `:`".into(), "write `name: command`");
    }
    if bare != name {
        let message = "there are blanks around the name of the process type".to_owned();
        return fault(line.span(name), message, &format!("write `{bare}: command`"));
    }
    let command = command.trim_start();
    if command.is_empty() {
        let message = format!("`{name}` has no command");
        return fault(line.span(words), message, "write it after the `:`");
    }
    if let Some(nul) = command.find('\0') {
        let at = line.span(command).start + nul;
        return fault(at..at + 1, "a zero byte ends a command".into(), "take it out");
    }
    if command.len() > STRING_BYTES_MAX {
        let message = format!("the command of `{name}` is longer than the kernel takes");
        return fault(line.span(command), message, "put it into a script");
    }
    let named_at = line.span(name);
    Ok(ProcessType { name: name.to_owned(), command: command.to_owned(), named_at })
}

/// The variables of the `.env` beside the file, none if there is no such file.
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
            let file = findings.source(document.name_of(path), text);
            dotenv::read(file, findings).into_iter().map(|variable| (file, variable)).collect()
        }
        Err(why) => {
            let name = document.name_of(path);
            findings.add(Fault::new(file, 0..0, format!("cannot read `{name}` beside it: {why}")));
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
    let written = variables.iter().find(|(_, variable)| variable.name == "PORT");
    let (file, at, value) = match (written, host.variable("PORT")) {
        (Some((file, variable)), _) => (*file, variable.at.clone(), variable.value.clone()),
        (None, Some(value)) => {
            let file = findings.source("the environment", format!("PORT={value}"));
            (file, "PORT=".len().."PORT=".len() + value.len(), value)
        }
        (None, None) => return usize::from(PORT),
    };
    let port = value.parse().ok().filter(|port: &u16| *port > 0);
    port.map(usize::from).unwrap_or_else(|| {
        let fault = Fault::new(file, at, format!("`{value}` is no port to count from"));
        findings.add(fault.help("give 1 to 65535"));
        usize::from(PORT)
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
            let message = format!("the PORT of `{}.{count}` would be {last}", kind.name);
            let fault = Fault::new(file, kind.named_at.clone(), message);
            findings.add(fault.help("65535 is the last port there is; give a lower `--port`"));
        }
        if *count > PORT_STEP && last_in_use > Some(index) {
            let message =
                format!("with {count} workers, `{}` runs into the ports of the next", kind.name);
            let fault = Fault::new(file, kind.named_at.clone(), message);
            findings.add(fault.help(format!(
                "{PORT_STEP} is the most; put this line last in the file, or give it fewer"
            )));
        }
    }
}

fn slot(
    kind: &ProcessType,
    n: usize,
    port: usize,
    variables: &[(SourceId, dotenv::Variable)],
    dir: &Path,
) -> SlotPlan {
    let name = format!("{}.{n}", kind.name);
    let written = variables.iter().map(|(_, variable)| variable);
    let written = written.map(|variable| (variable.name.clone(), variable.value.clone()));
    // Over `.env`, whose PORT is the base.
    let port = [("PORT".to_owned(), port.to_string())];
    let own = environment::of_slot(&kind.name, &name, None);
    let env = environment::merged(written.chain(port).chain(own));
    let exec = ExecSpec {
        argv: ["/bin/sh", "-c", &kind.command].map(Into::into).to_vec(),
        cwd: Some(dir.to_owned()),
        env,
        ..ExecSpec::default()
    };
    SlotPlan { name, n, port: None, exec, ready: Ready::Lived, alive: None, log: None }
}

fn pool(name: &str, slots: Vec<SlotPlan>) -> Pool {
    Pool {
        name: name.to_owned(),
        after: Vec::new(),
        slots,
        policy: Policy::default(),
        stop_signal: libc::SIGTERM,
        missing_hint: None,
    }
}
