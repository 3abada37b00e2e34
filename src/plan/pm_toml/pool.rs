//! From the table of a pool to the pool: what its keys mean together.

use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::command::Command;
use super::field::{Field, Given};
use super::keys::{BackoffTable, LimitsTable, LogTable, MaxRestartsTable, PoolTable, RestartWord};
use super::types::{Size, Text, Whole, variable_name_fault};
use crate::plan::host::{Document, Host};
use crate::plan::text::diagnostics::{Fault, Findings, SourceId};
use crate::plan::text::placeholders::{self, Misplaced, Reason, Values};
use crate::plan::{
    ExecSpec, Identity, Limits, LogFile, Pool, SlotPlan, dotenv, environment, is_name, lab,
};
use crate::supervisor::{Backoff, MaxRestarts, Policy, Restart};

/// The size at which a log is put aside, and how many are kept, unless said otherwise.
const LOG_BYTES: u64 = 10_000_000;
const LOG_KEEP: u32 = 5;

/// A file being read, and what is needed for it.
pub struct Reader<'a> {
    pub document: &'a Document,
    pub file: SourceId,
    pub host: &'a dyn Host,
    pub findings: &'a mut Findings,
}

/// A pool's table with its name and the place of that.
pub struct PoolEntry<'a> {
    pub name: &'a str,
    pub key: Range<usize>,
    /// From its key to that of the next pool.
    pub extent: Range<usize>,
    pub table: &'a PoolTable,
}

/// One slot before anything is known of it but its port and which of how many it is.
pub struct SlotContext<'a> {
    pub values: Values<'a>,
    pub owns_port: bool,
}

/// What all slots of a pool have in common.
struct Shared<'a> {
    named: &'a PoolEntry<'a>,
    exec: ExecSpec,
    from_files: Vec<(String, String)>,
}

impl<'a> Reader<'a> {
    pub fn new(
        document: &'a Document,
        file: SourceId,
        host: &'a dyn Host,
        findings: &'a mut Findings,
    ) -> Self {
        Self { document, file, host, findings }
    }

    pub fn fault(&self, at: Range<usize>, message: impl Into<String>) -> Fault {
        Fault::new(self.file, at, message)
    }

    pub fn note(&mut self, at: Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.findings.add(Fault::new(self.file, at, message).help(help));
    }

    /// The pool of a table. `ports` are those of its slots, one for each; with none of them known, the rest of the
    /// table is looked at all the same.
    pub fn pool(&mut self, named: &PoolEntry<'_>, ports: &[Option<u16>]) -> Pool {
        if !is_name(named.name) {
            let message = format!("`{}` is no name of a pool", named.name);
            self.note(named.key.clone(), message, "use letters, digits, `-` and `_`");
        }
        if !named.table.command.is_given() && !self.is_misspelt(&named.extent, &["command"]) {
            let message = format!("the pool `{}` has no command", named.name);
            self.note(named.key.clone(), message, "write `command = [\"./server\", \"{port}\"]`");
        }
        let (policy, stop_signal) = self.policy(named);
        let shared = Shared { named, exec: self.exec(named), from_files: self.env_files(named) };
        let (mut slots, before) = (Vec::new(), self.findings.count());
        for (port, n) in ports.iter().zip(1..) {
            let so_far = self.findings.count();
            slots.push(self.slot(&shared, *port, n));
            if so_far > before {
                // What is wrong with one slot is wrong with the next: said once is enough.
                self.findings.forget_since(so_far);
            }
        }
        let missing_hint = slots.first().and_then(|slot| lab::missing_hint(&slot.exec.argv));
        let (name, after) = (named.name.to_owned(), Vec::new());
        Pool { name, after, slots, policy, stop_signal, missing_hint }
    }

    /// True if one of these keys is in this part of the file under a name that was taken for a slip: that has been
    /// said, and the key is not reported missing as well.
    pub fn is_misspelt(&self, extent: &Range<usize>, keys: &[&str]) -> bool {
        let slips: Vec<_> = keys.iter().map(|key| format!("did you mean `{key}`?")).collect();
        let is_here = |fault: &Fault| extent.contains(&fault.span.start);
        let is_slip = |fault: &Fault| fault.help.as_ref().is_some_and(|help| slips.contains(help));
        self.findings.faults_so_far().any(|fault| is_here(fault) && is_slip(fault))
    }

    fn policy(&mut self, named: &PoolEntry<'_>) -> (Policy, i32) {
        let table = named.table;
        let mut policy = Policy { ready: self.readiness(&table.ready, named), ..Policy::default() };
        if let Some(word) = table.restart.value() {
            policy.restart = match word {
                RestartWord::Always => Restart::Always,
                RestartWord::OnFailure => Restart::OnFailure,
                RestartWord::Never => Restart::Never,
            };
        }
        if policy.restart == Restart::Never {
            let useless = [
                ("max_restarts", table.max_restarts.given().map(|given| given.key.clone())),
                ("backoff", table.backoff.given().map(|given| given.key.clone())),
            ];
            for (name, at) in useless {
                let Some(at) = at else { continue };
                let message = format!("`{name}` in a pool whose workers are never restarted");
                self.note(at, message, "take it out, or set `restart` to `on-failure` or `always`");
            }
        }
        policy.max_restarts = self.max_restarts(&table.max_restarts);
        policy.backoff = self.backoff(&table.backoff);
        let mut signal = libc::SIGTERM;
        if let Some(stop) = table.stop.value() {
            policy.grace = stop.grace.value().map_or(policy.grace, |grace| grace.0);
            signal = stop.signal.value().map_or(signal, |signal| signal.0);
            if let Some(given) = stop.signal.given().filter(|_| policy.grace.is_zero()) {
                let message = "this signal is never sent: `grace = \"0s\"` kills at once";
                self.note(given.at.clone(), message, "take `signal` out, or give it a grace");
            }
        }
        (policy, signal)
    }

    fn max_restarts(&mut self, field: &Field<MaxRestartsTable>) -> Option<MaxRestarts> {
        let (table, given) = field.usable()?;
        for (name, is_given) in
            [("count", table.count.is_given()), ("within", table.within.is_given())]
        {
            if !is_given {
                let message = format!("`max_restarts` has no `{name}`");
                self.note(given.key.clone(), message, "write `{ count = 5, within = \"1m\" }`");
            }
        }
        let within = table.within.usable();
        if let Some((_, given)) = within.filter(|(time, _)| time.0.is_zero()) {
            self.note(given.at.clone(), "no time is too short to count in", "give `1s` or more");
        }
        let count = u32::try_from(table.count.value()?.0).ok()?.try_into().ok()?;
        Some(MaxRestarts { count, within: within?.0.0 })
    }

    fn backoff(&mut self, field: &Field<BackoffTable>) -> Backoff {
        let mut backoff = Backoff::default();
        let Some(table) = field.value() else { return backoff };
        if let Some((first, given)) = table.first.usable() {
            backoff.first = first.0;
            if first.0.is_zero() {
                let message = "a worker that cannot start would be started without a pause";
                self.note(given.at.clone(), message, "give `10ms` or more");
            }
        }
        backoff.max = table.max.value().map_or(backoff.max, |max| max.0);
        if backoff.max < backoff.first {
            let is_first = table.first.is_given() && !table.max.is_given();
            let blamed = if is_first { &table.first } else { &table.max };
            let at = blamed.given().map(|given| given.at.clone()).unwrap_or_default();
            let message = "`max` is less than `first`";
            let help = format!(
                "`first` is {} and `max` is {}; give a greater `max`",
                crate::plan::text::duration::words(backoff.first),
                crate::plan::text::duration::words(backoff.max),
            );
            self.note(at, message, help);
        }
        let failures = table.give_up_after.value().and_then(|count| u32::try_from(count.0).ok());
        backoff.give_up_after = failures.and_then(|count| count.try_into().ok());
        backoff
    }

    /// What is the same in the exec of each slot.
    fn exec(&mut self, named: &PoolEntry<'_>) -> ExecSpec {
        let table = named.table;
        let mut path = Vec::new();
        for (Text(folder), given) in table.path.value().into_iter().flat_map(|path| path.usable()) {
            if folder.is_empty() || folder.contains(':') {
                let message = format!("`{folder}` cannot be one folder of PATH");
                self.note(
                    given.at.clone(),
                    message,
                    "give a list, as in `[\"bin\", \".deno/bin\"]`",
                );
            }
            self.refuse_placeholders(folder, &given.at, "`path`");
            path.push(self.document.resolve(Path::new(folder)));
        }
        let notify = |field: Option<bool>| field.unwrap_or(false);
        let by_alive = notify(table.alive.value().map(|alive| alive.notify.is_given()));
        let by_ready = notify(table.ready.value().map(|ready| ready.notify.is_given()));
        ExecSpec {
            path,
            identity: self.identity(table),
            umask: table.umask.value().map(|mask| mask.0),
            nice: table.nice.value().and_then(|nice| i32::try_from(nice.0).ok()),
            limits: table.limits.value().map(limits).unwrap_or_default(),
            pty: table.pty.value().is_some_and(|pty| *pty),
            notifies: by_alive || by_ready,
            watchdog: self.watchdog(&table.alive),
            ..ExecSpec::default()
        }
    }

    fn identity(&mut self, table: &PoolTable) -> Option<Identity> {
        let Some((Text(user), given)) = table.user.usable() else {
            if let (Some(group), false) = (table.group.given(), table.user.is_given()) {
                let message = "`group` without `user`";
                self.note(group.key.clone(), message, "say who the workers run as, with `user`");
            }
            return None;
        };
        if !self.host.may_change_user() {
            let message = format!("only root may run workers as `{user}`");
            let help = "start pm as root, or take `user` out and start it as that user";
            self.note(given.at.clone(), message, help);
        }
        let account = self.host.user(user);
        if account.is_none() {
            let message = format!("there is no user `{user}` on this machine");
            self.note(given.at.clone(), message, "create it, or name another");
        }
        let mut gid = account.as_ref().map(|account| account.gid);
        if let Some((Text(group), given)) = table.group.usable() {
            gid = self.host.group(group);
            if gid.is_none() {
                let message = format!("there is no group `{group}` on this machine");
                self.note(given.at.clone(), message, "create it, or name another");
            }
        }
        let account = account?;
        Some(Identity { user: user.clone(), uid: account.uid, gid: gid?, groups: account.groups })
    }

    /// The variables of the pool's files of them.
    fn env_files(&mut self, named: &PoolEntry<'_>) -> Vec<(String, String)> {
        let files = named.table.env_file.value();
        let mut variables = Vec::new();
        for (Text(name), given) in files.into_iter().flat_map(|files| files.usable()) {
            let path = Path::new(name);
            match self.host.read(&self.document.resolve(path)) {
                Ok(Some(text)) => {
                    let file = self.findings.source(self.document.name_of(path), text);
                    let read = dotenv::read(file, self.findings).into_iter();
                    variables.extend(read.map(|variable| (variable.name, variable.value)));
                }
                Ok(None) => {
                    let message = format!("there is no file `{name}`");
                    self.note(given.at.clone(), message, "create it, or take `env_file` out");
                }
                Err(why) => {
                    let message = format!("cannot read `{name}`: {why}");
                    self.findings.add(self.fault(given.at.clone(), message));
                }
            }
        }
        variables
    }

    fn slot(&mut self, shared: &Shared<'_>, port: Option<u16>, n: usize) -> SlotPlan {
        let Shared { named, exec, from_files } = shared;
        let (table, document) = (named.table, self.document);
        let name = format!("{}.{n}", named.name);
        let values = Values { port, slot: &name, n, pool: named.name, dir: &document.dir };
        let seat = SlotContext { values, owns_port: table.ports.is_given() };
        let argv = table.command.usable();
        let argv = argv.map(|(command, given)| self.argv(command, given, &seat));
        let cwd = table.cwd.usable().map(|(text, given)| {
            self.path(text, given, &seat, "write `.` for the folder of this file")
        });
        let own = environment::of_slot(named.name, &name, port.filter(|_| seat.owns_port));
        let env = self.env(named, &seat, exec.notifies);
        let exec = ExecSpec {
            argv: argv.unwrap_or_default(),
            cwd: Some(cwd.unwrap_or_else(|| document.dir.clone())),
            // A file is for several programs, and its PORT none of this one's; what the pool itself says, it means.
            env: environment::merged(from_files.iter().cloned().chain(own).chain(env)),
            ..exec.clone()
        };
        let ready = self.ready(&table.ready, &seat);
        let alive = self.alive(&table.alive, &seat);
        let log = self.log(&table.log, &seat);
        let port = port.filter(|_| seat.owns_port);
        SlotPlan { name, n, port, exec, ready, alive, log }
    }

    fn env(
        &mut self,
        named: &PoolEntry<'_>,
        seat: &SlotContext<'_>,
        notifies: bool,
    ) -> Vec<(String, String)> {
        let mut variables = Vec::new();
        for (name, field) in named.table.env.value().into_iter().flat_map(|env| &env.0) {
            let Some(given) = field.given() else { continue };
            if let Some(wrong) = variable_name_fault(name) {
                self.findings.add(Fault::of(self.file, given.key.clone(), wrong));
            }
            if name == "PORT" && seat.owns_port {
                let message = "`PORT` is a slot's own port";
                let help = "take it out, or give the pool `workers` instead of `ports`";
                self.note(given.key.clone(), message, help);
            }
            if notifies
                && ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"].contains(&name.as_str())
            {
                let message = format!("`{name}` is pm's to set in a pool that notifies");
                self.note(given.key.clone(), message, "take it out");
            }
            if let Some(value) = &given.value {
                let filled = self.fill(&value.0, &given.at, seat);
                variables.push((name.clone(), filled.to_string_lossy().into_owned()));
            }
        }
        variables
    }

    fn log(&mut self, field: &Field<LogTable>, seat: &SlotContext<'_>) -> Option<LogFile> {
        let (table, given) = field.usable()?;
        if !table.file.is_given() {
            self.note(
                given.key.clone(),
                "`log` has no `file`",
                "write `file = \"log/{slot}.log\"`",
            );
        }
        let max = table.max_size.usable();
        if let Some((_, given)) = max.filter(|(size, _)| size.0 == 0) {
            self.note(given.at.clone(), "a file of no size keeps nothing", "give `10MB`, say");
        }
        let (file, given) = table.file.usable()?;
        let path = self.path(file, given, seat, "write `log/{slot}.log`, say");
        let keep = table.keep.value().and_then(|keep| u32::try_from(keep.0).ok());
        let max_bytes = max.map_or(LOG_BYTES, |(size, _)| size.0);
        Some(LogFile { path, max_bytes, keep: keep.unwrap_or(LOG_KEEP) })
    }

    fn path(
        &mut self,
        text: &Text,
        given: &Given<Text>,
        seat: &SlotContext<'_>,
        right: &str,
    ) -> PathBuf {
        if text.0.is_empty() {
            self.note(given.at.clone(), "this path is empty", right);
        }
        let filled = self.fill(&text.0, &given.at, seat);
        self.document.resolve(Path::new(&filled))
    }

    /// The argv of a command, placeholders filled in.
    pub fn argv(
        &mut self,
        command: &Command,
        given: &Given<Command>,
        seat: &SlotContext<'_>,
    ) -> Vec<OsString> {
        let is_blank = |text: &Text| text.0.trim().is_empty();
        match command {
            Command::Shell(text) => {
                if is_blank(text) {
                    self.note(given.at.clone(), "this command is empty", "write what is to be run");
                }
                let filled = self.fill(&text.0, &given.at, seat);
                vec!["/bin/sh".into(), "-c".into(), filled]
            }
            Command::Argv(argv) => {
                let program = argv.first();
                if program.is_none_or(|program| program.value().is_some_and(is_blank)) {
                    let help = "the first of the list is the program";
                    self.note(given.at.clone(), "this command is empty", help);
                }
                let texts = argv.iter().filter_map(Field::usable);
                texts.map(|(text, given)| self.fill(&text.0, &given.at, seat)).collect()
            }
        }
    }

    /// A text with its placeholders filled in. What is none is noted, and left as it is.
    fn fill(&mut self, text: &str, at: &Range<usize>, seat: &SlotContext<'_>) -> OsString {
        let wrong = match seat.values.fill(OsStr::new(text)) {
            Ok(filled) => return filled,
            Err(wrong) => wrong,
        };
        for Misplaced { at: part, reason } in wrong {
            let fault = Fault::of(self.file, self.inside(text, at, part), &reason);
            let help = "give it some, as in `ports = \"8080-8082\"`";
            let is_portless = reason == Reason::NoPort;
            self.findings.add(if is_portless { fault.help(help) } else { fault });
        }
        text.into()
    }

    /// Where a text is taken as it is, a placeholder in it cannot be what was meant.
    pub fn refuse_placeholders(&mut self, text: &str, at: &Range<usize>, key: &str) {
        for name in placeholders::NAMES {
            let placeholder = format!("{{{name}}}");
            if let Some(start) = text.find(&placeholder) {
                let at = self.inside(text, at, start..start + placeholder.len());
                let message =
                    format!("{key} has no placeholders: `{placeholder}` would stay as it is");
                self.note(at, message, "write out what is meant, or leave it out");
            }
        }
    }

    /// Where a part of a string stands in the file: exactly there if the string is written as it is, else the whole.
    pub fn inside(&self, value: &str, at: &Range<usize>, part: Range<usize>) -> Range<usize> {
        let written = &self.findings.text(self.file)[at.clone()];
        match written.find(value) {
            Some(offset) => at.start + offset + part.start..at.start + offset + part.end,
            None => at.clone(),
        }
    }
}

fn limits(table: &LimitsTable) -> Limits {
    let size = |field: &Field<Size>| field.value().map(|size| size.0);
    let count = |field: &Field<Whole<1, { i64::MAX }>>| {
        field.value().and_then(|count| u64::try_from(count.0).ok())
    };
    Limits {
        open_files: table.open_files.value().and_then(|count| u64::try_from(count.0).ok()),
        processes: count(&table.processes),
        file_bytes: size(&table.file_size),
        core_bytes: size(&table.core),
        stack_bytes: size(&table.stack),
        memory_bytes: size(&table.memory),
    }
}
