//! From the table of a pool to its spec: command, folders, variables, user, limits and log.
//!
//! How it is restarted and stopped is in [`super::policy`], how it is known to be ready and alive in [`super::health`].

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::ops::Range;
use std::path::Path;

use super::command::Command;
use super::faults::{CommandForm, PoolFault};
use super::field::{Field, Given};
use super::keys::{LogTable, PoolTable};
use super::types::Text;
use crate::plan::fault_kind::{FaultKind, VariableFault};
use crate::plan::host::{Document, Host};
use crate::plan::pool_spec::LogSpec;
use crate::plan::text::diagnostics::{Fault, Findings, SourceId};
use crate::plan::text::placeholders::{self, Misplaced, SlotPorts, Template};
use crate::plan::text::suggest::Suggestion;
use crate::plan::{
    ExecSpec, Identity, LabelStyle, Pool, PoolSpec, SlotsSpec, Stdin, TerminalOutput, defaults,
    dotenv, environment, is_name,
};
use crate::supervisor::Policy;

/// A smaller log file would be rotated all the time, and hold fewer lines than a rotation costs.
pub const LOG_BYTES_LEAST: u64 = 4 << 10;

/// A file that is being read, and what that needs.
pub struct Reader<'a> {
    pub document: &'a Document,
    pub file: SourceId,
    pub host: &'a dyn Host,
    pub findings: &'a mut Findings,
}

/// The table of a pool, with its name.
pub struct NamedTable<'a> {
    pub name: &'a str,
    /// Where the name stands.
    pub key: Range<usize>,
    /// From the name to the name of the next pool.
    pub extent: Range<usize>,
    pub table: &'a PoolTable,
}

impl NamedTable<'_> {
    /// Whether `{port}` is a placeholder in this table.
    pub fn slot_ports(&self) -> SlotPorts {
        if self.table.ports.is_given() { SlotPorts::Owned } else { SlotPorts::None }
    }
}

impl Reader<'_> {
    /// Adds a fault.
    pub fn add_fault(&mut self, at: Range<usize>, kind: impl Into<FaultKind>) {
        self.findings.add(Fault::new(self.file, at, kind));
    }

    /// Adds a fault that another place has to do with.
    pub fn add_related_fault(
        &mut self,
        at: Range<usize>,
        kind: impl Into<FaultKind>,
        related: Range<usize>,
        label: &'static str,
    ) {
        self.findings.add(Fault::new(self.file, at, kind).related(related, label));
    }

    /// The pool of a table.
    pub fn pool(&mut self, entry: &NamedTable<'_>, slots: SlotsSpec) -> Pool {
        let table = entry.table;
        if !is_name(entry.name) {
            self.add_fault(entry.key.clone(), PoolFault::Name(entry.name.to_owned()));
        }
        if !table.command.is_given() && !self.is_misspelt(&entry.extent, &["command"]) {
            self.add_fault(entry.key.clone(), PoolFault::NoCommand(entry.name.to_owned()));
        }
        let ports = entry.slot_ports();
        let stop = self.stop(&table.stop);
        let policy = self.policy(table);
        let ready = self.ready(entry);
        let alive = self.alive(entry);
        let policy = Policy { spare: self.spare(table, &ready), ..policy };
        let mut spec = PoolSpec {
            slots,
            dir: self.document.dir.clone(),
            command: table
                .command
                .usable()
                .map_or(Vec::new(), |(command, given)| self.argv(command, given, ports)),
            cwd: Some(self.cwd(&table.cwd, ports)),
            env_files: self.env_files(table),
            env: Vec::new(),
            exec: self.exec(table),
            ready,
            alive,
            log: self.log(&table.log, ports),
            terminal_output: self.terminal_output(table),
            label: self.label(table),
        };
        let reserved: &[_] = if spec.notifies() { &environment::FOR_NOTIFICATION } else { &[] };
        spec.env = self.env(entry, ports, reserved);
        let (ends_run, spares) = (ends_run(table), self.spares(table, &spec));
        Pool { ends_run, spares, ..Pool::new(entry.name.to_owned(), spec, policy, stop) }
    }

    /// True if one of these keys is in this part of the file under a misspelt name: that fault is enough.
    pub fn is_misspelt(&self, extent: &Range<usize>, keys: &[&str]) -> bool {
        self.findings.faults_so_far().any(|fault| {
            let FaultKind::UnknownKey { suggestion: Suggestion::Meant(meant), .. } = &fault.kind
            else {
                return false;
            };
            extent.contains(&fault.span.start) && keys.contains(&meant.as_str())
        })
    }

    fn cwd(&mut self, field: &Field<Text>, ports: SlotPorts) -> Template {
        let given = field.usable();
        let cwd =
            given.and_then(|(text, given)| self.path(text, given, ports, PoolFault::EmptyCwd));
        cwd.unwrap_or_else(|| Template::literal("."))
    }

    /// What is the same for each slot.
    fn exec(&mut self, table: &PoolTable) -> ExecSpec {
        let mut path = Vec::new();
        for (Text(folder), given) in table.path.value().into_iter().flat_map(|path| path.usable()) {
            if folder.is_empty() || folder.contains(':') {
                self.add_fault(given.at.clone(), PoolFault::NotOneFolder(folder.clone()));
            }
            self.refuse_placeholders(folder, &given.at, "path");
            path.push(self.document.resolve(Path::new(folder)));
        }
        ExecSpec {
            path,
            identity: self.identity(table),
            umask: table.umask.value().map(|mask| mask.0),
            nice: self.nice(table),
            limits: self.limits(&table.limits),
            pty: table.pty.value().is_some_and(|pty| *pty),
            stdin: self.stdin(table),
            hold_port: self.hold_port(table),
            ..ExecSpec::default()
        }
    }

    /// A terminal is read too, unless the file says otherwise.
    fn stdin(&mut self, table: &PoolTable) -> Stdin {
        let has_terminal = table.pty.value().is_some_and(|pty| *pty);
        match table.stdin.usable().map(|(stdin, given)| (*stdin, given)) {
            None if has_terminal => Stdin::Terminal,
            None => Stdin::default(),
            Some((Stdin::Terminal, given)) if !has_terminal => {
                self.add_fault(given.at.clone(), PoolFault::StdinWithoutPty);
                Stdin::Terminal
            }
            Some((stdin, _)) => stdin,
        }
    }

    fn nice(&mut self, table: &PoolTable) -> Option<i32> {
        let (nice, given) = table.nice.usable()?;
        let nice = i32::try_from(nice.0).ok()?;
        let least = self.host.least_nice();
        if nice < least {
            self.add_fault(given.at.clone(), PoolFault::NiceNotAllowed { nice, least });
        }
        Some(nice)
    }

    fn identity(&mut self, table: &PoolTable) -> Option<Identity> {
        if let (Some(group), None) = (table.group.key(), table.user.key()) {
            self.add_fault(group, PoolFault::GroupWithoutUser);
        }
        let (Text(user), given) = table.user.usable()?;
        if !self.host.may_change_user() {
            self.add_fault(given.at.clone(), PoolFault::NotRoot(user.clone()));
        }
        let mut identity = self.host.user(user);
        if identity.is_none() {
            self.add_fault(given.at.clone(), PoolFault::NoUser(user.clone()));
        }
        if let Some((Text(group), given)) = table.group.usable() {
            match (self.host.group(group), &mut identity) {
                (Some(gid), Some(identity)) => identity.gid = gid,
                (Some(_), None) => {}
                (None, _) => self.add_fault(given.at.clone(), PoolFault::NoGroup(group.clone())),
            }
        }
        identity
    }

    /// The variables of the pool's `.env` files.
    fn env_files(&mut self, table: &PoolTable) -> Vec<(String, String)> {
        let files = table.env_file.value();
        let mut variables = Vec::new();
        let mut known = BTreeSet::new();
        for (Text(name), given) in files.into_iter().flat_map(|files| files.usable()) {
            let path = Path::new(name);
            if name.is_empty() {
                self.add_fault(given.at.clone(), PoolFault::EmptyEnvFile);
                continue;
            }
            if !known.insert(self.document.resolve(path)) {
                self.add_fault(given.at.clone(), PoolFault::EnvFileTwice(name.clone()));
                continue;
            }
            match self.host.read(&self.document.resolve(path)) {
                Ok(Some(text)) => {
                    let file = self.findings.add_source(self.document.name_of(path), text);
                    let read = dotenv::read(file, self.findings).into_iter();
                    variables.extend(read.map(|variable| (variable.name, variable.value)));
                }
                Ok(None) => self.add_fault(given.at.clone(), PoolFault::NoFile(name.clone())),
                Err(why) => {
                    let name = name.clone();
                    self.add_fault(given.at.clone(), PoolFault::Unreadable { name, why });
                }
            }
        }
        variables
    }

    fn env(
        &mut self,
        entry: &NamedTable<'_>,
        ports: SlotPorts,
        reserved: &[&str],
    ) -> Vec<(String, Template)> {
        let mut variables = Vec::new();
        let is_passed = entry.table.listen.is_given();
        for (name, field) in entry.table.env.value().into_iter().flat_map(|env| &env.0) {
            let Some(given) = field.given() else { continue };
            if let Some(fault) = name_fault(name) {
                self.add_fault(given.key.clone(), fault);
            }
            if name == environment::PORT && ports == SlotPorts::Owned {
                self.add_fault(given.key.clone(), PoolFault::PortVariable);
            }
            if reserved.contains(&name.as_str()) {
                self.add_fault(given.key.clone(), PoolFault::NotifyVariable(name.clone()));
            }
            if is_passed && environment::FOR_SOCKETS.contains(&name.as_str()) {
                self.add_fault(given.key.clone(), PoolFault::ListenVariable(name.clone()));
            }
            let value = given.value.as_ref();
            if let Some(template) = value.and_then(|text| self.template(&text.0, &given.at, ports))
            {
                variables.push((name.clone(), template));
            }
        }
        variables
    }

    fn log(&mut self, field: &Field<LogTable>, ports: SlotPorts) -> Option<LogSpec> {
        let (table, given) = field.usable()?;
        if !table.file.is_given() && !self.is_misspelt(&given.at, &["file"]) {
            let example = "file = \"log/{slot}.log\"";
            let fault = PoolFault::Missing { table: "log", key: "file", example };
            self.add_fault(given.key.clone(), fault);
        }
        let max = table.max_size.usable();
        if let Some((_, given)) = max.filter(|(size, _)| size.0 < LOG_BYTES_LEAST) {
            self.add_fault(given.at.clone(), PoolFault::LogTooSmall(LOG_BYTES_LEAST));
        }
        let (file, given) = table.file.usable()?;
        let keep = table.keep.value().and_then(|keep| u32::try_from(keep.0).ok());
        Some(LogSpec {
            path: self.path(file, given, ports, PoolFault::EmptyLogFile)?,
            max_bytes: max.map_or(defaults::LOG_BYTES_MAX, |(size, _)| size.0),
            keep: keep.unwrap_or(defaults::LOG_KEEP),
        })
    }

    fn label(&mut self, table: &PoolTable) -> LabelStyle {
        let Some(output) = table.output.value() else { return LabelStyle::default() };
        let is_off = |key: &Field<bool>| key.value().is_some_and(|is_on| !is_on);
        match (is_off(&output.prefix), output.color.usable()) {
            (true, Some((_, given))) => {
                self.add_fault(given.key.clone(), PoolFault::ColourWithoutPrefix);
                LabelStyle::None
            }
            (true, None) => LabelStyle::None,
            (false, Some((false, _))) => LabelStyle::Plain,
            (false, Some((true, _)) | None) => LabelStyle::Coloured,
        }
    }

    fn terminal_output(&mut self, table: &PoolTable) -> TerminalOutput {
        let Some((true, given)) = table.raw.usable().map(|(raw, given)| (*raw, given)) else {
            return TerminalOutput::Filtered;
        };
        if table.pty.value().is_none_or(|pty| !pty) {
            self.add_fault(given.at.clone(), PoolFault::RawWithoutPty);
        }
        TerminalOutput::Raw
    }

    fn path(
        &mut self,
        text: &Text,
        given: &Given<Text>,
        ports: SlotPorts,
        if_empty: PoolFault,
    ) -> Option<Template> {
        if text.0.is_empty() {
            self.add_fault(given.at.clone(), if_empty);
        }
        self.template(&text.0, &given.at, ports)
    }

    /// The argv of a command.
    pub fn argv(
        &mut self,
        command: &Command,
        given: &Given<Command>,
        ports: SlotPorts,
    ) -> Vec<Template> {
        let is_blank = |text: &Text| text.0.trim().is_empty();
        match command {
            Command::Shell(text) => {
                if is_blank(text) {
                    self.add_fault(given.at.clone(), PoolFault::EmptyCommand(CommandForm::Shell));
                }
                let shell = ["/bin/sh", "-c"].map(Template::literal).into_iter();
                shell.chain(self.template(&text.0, &given.at, ports)).collect()
            }
            Command::Argv(argv) => {
                let program = argv.first();
                if program.is_none_or(|program| program.value().is_some_and(is_blank)) {
                    self.add_fault(given.at.clone(), PoolFault::EmptyCommand(CommandForm::Argv));
                }
                let texts = argv.iter().filter_map(Field::usable);
                texts.filter_map(|(text, given)| self.template(&text.0, &given.at, ports)).collect()
            }
        }
    }

    /// A text with placeholders. What is wrong in it is noted; then there is none.
    fn template(&mut self, text: &str, at: &Range<usize>, ports: SlotPorts) -> Option<Template> {
        let wrong = match Template::parse(OsStr::new(text), ports) {
            Ok(template) => return Some(template),
            Err(wrong) => wrong,
        };
        for Misplaced { at: part, fault } in wrong {
            self.add_fault(self.inside(text, at, part), fault);
        }
        None
    }

    /// In a text without placeholders, one cannot be what was meant.
    pub fn refuse_placeholders(&mut self, text: &str, at: &Range<usize>, key: &'static str) {
        for name in placeholders::NAMES {
            let placeholder = format!("{{{name}}}");
            if let Some(start) = text.find(&placeholder) {
                let at = self.inside(text, at, start..start + placeholder.len());
                self.add_fault(at, PoolFault::NoPlaceholders { key, placeholder });
            }
        }
    }

    /// Where a part of a string stands in the file: exactly there if the string is written without escapes, else the
    /// whole string.
    pub fn inside(&self, value: &str, at: &Range<usize>, part: Range<usize>) -> Range<usize> {
        let written = &self.findings.text(self.file)[at.clone()];
        match written.find(value) {
            Some(offset) => at.start + offset + part.start..at.start + offset + part.end,
            None => at.clone(),
        }
    }
}

/// True if the end of this pool ends the run.
pub fn ends_run(table: &PoolTable) -> bool {
    table.ends_run.value().is_some_and(|ends_run| *ends_run)
}

/// What is wrong with the name of a variable (environ(7)).
fn name_fault(name: &str) -> Option<VariableFault> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Some(VariableFault::NotAName(name.to_owned()));
    }
    VariableFault::of_own(name)
}
