//! `ready` and `alive`: from the tables to probes, and how often they are made.

use std::num::NonZeroU32;
use std::ops::Range;
use std::time::Duration;

use super::command::Command;
use super::faults::{HealthFault, PoolFault};
use super::field::{Field, Given};
use super::keys::{AliveTable, ReadyTable};
use super::listen::hold_port;
use super::policy::restart;
use super::pool::{NamedTable, Reader};
use super::types::{Status, Target, Text, Time};
use crate::plan::defaults::{
    self, ALIVE_EVERY, ALIVE_FAILURES, ALIVE_TIMEOUT, HTTP_STATUS, READY_WITHIN,
};
use crate::plan::probe::{ProbePort, ProbeSpec};
use crate::plan::text::placeholders::SlotPorts;
use crate::plan::{Alive, AliveBy, HoldPort, Line, Pattern, Ready, ReadyBy};
use crate::supervisor::Restart;

/// The keys of a probe, which `ready` and `alive` share.
struct ProbeKeys<'a> {
    tcp: &'a Field<ProbePort>,
    http: &'a Field<Target>,
    status: &'a Field<Status>,
    text: &'a Field<Text>,
    exec: &'a Field<Command>,
}

/// A key that says when a worker is ready or alive, and where it stands if it is given.
type Condition = (&'static str, Option<Range<usize>>);

impl<'a> From<&'a ReadyTable> for ProbeKeys<'a> {
    fn from(table: &'a ReadyTable) -> Self {
        let ReadyTable { tcp, http, status, text, exec, .. } = table;
        Self { tcp, http, status, text, exec }
    }
}

impl<'a> From<&'a AliveTable> for ProbeKeys<'a> {
    fn from(table: &'a AliveTable) -> Self {
        let AliveTable { tcp, http, status, text, exec, .. } = table;
        Self { tcp, http, status, text, exec }
    }
}

impl Reader<'_> {
    /// When a worker of a pool is ready.
    pub fn ready(&mut self, entry: &NamedTable<'_>) -> Ready<ProbeSpec> {
        let (ports, held) = (entry.slot_ports(), hold_port(entry.table));
        let Some((table, given)) = entry.table.ready.usable() else {
            return match ports {
                SlotPorts::Owned if held == HoldPort::Calls => {
                    Ready { by: ReadyBy::Listen, within: READY_WITHIN }
                }
                SlotPorts::Owned if held == HoldPort::No => {
                    let by = ReadyBy::Probe(ProbeSpec::Tcp { port: ProbePort::Own });
                    Ready { by, within: READY_WITHIN }
                }
                // A socket that is passed accepts connections before the worker does.
                SlotPorts::Owned | SlotPorts::None => {
                    Ready { by: ReadyBy::Lived, within: defaults::lived() }
                }
            };
        };
        let conditions = [
            ("tcp", table.tcp.key()),
            ("http", table.http.key()),
            ("exec", table.exec.key()),
            ("notify", table.notify.key()),
            ("line", table.line.key()),
            ("line_regex", table.line_regex.key()),
            ("exit", table.exit.key()),
            ("listen", table.listen.key()),
            ("after", table.after.key()),
        ];
        self.check_conditions("ready", given, &conditions);
        self.check_probe(&table.into(), ports);
        self.check_ready(table, restart(entry.table));
        if let Some(listen) = table.listen.key().filter(|_| held != HoldPort::Calls) {
            self.add_fault(listen, HealthFault::ListenWithoutHoldPort);
        }
        let by = if let Some(probe) = self.probe(&table.into(), ports) {
            ReadyBy::Probe(probe)
        } else if table.notify.value().is_some() {
            ReadyBy::Notify
        } else if let Some(Text(text)) = table.line.value() {
            ReadyBy::Line(Line::Text(text.clone()))
        } else if let Some(pattern) = table.line_regex.value() {
            ReadyBy::Line(Line::Pattern(pattern.clone()))
        } else if table.exit.value().is_some() {
            ReadyBy::Exit
        } else if table.listen.value().is_some() {
            ReadyBy::Listen
        } else {
            let lived = table.after.value().map_or(defaults::lived(), |after| after.0);
            return Ready { by: ReadyBy::Lived, within: lived };
        };
        Ready { by, within: table.within.value().map_or(READY_WITHIN, |within| within.0) }
    }

    /// The keys of `ready` together.
    fn check_ready(&mut self, table: &ReadyTable, restart: Restart) {
        if let Some((Text(line), given)) = table.line.usable() {
            self.refuse_placeholders(line, &given.at, "line");
            self.check_line("line", line, &given.at);
        }
        if let Some((Pattern(regex), given)) = table.line_regex.usable() {
            self.check_line("line_regex", regex.as_str(), &given.at);
            if regex.as_str() != ANY_LINE && !regex.as_str().is_empty() && matches_each_line(regex)
            {
                self.add_fault(given.at.clone(), HealthFault::EachLine);
            }
        }
        if let (Some(exit), Restart::Always) = (table.exit.key(), restart) {
            self.add_fault(exit, HealthFault::ExitAlwaysRestarted);
        }
        if let (Some(after), Some(within)) = (table.after.key(), table.within.key()) {
            self.add_related_fault(within, HealthFault::WithinWithAfter, after, "the time itself");
        }
        if let Some((_, given)) = table.within.usable().filter(|(within, _)| within.0.is_zero()) {
            self.add_fault(given.at.clone(), HealthFault::WithinZero);
        }
    }

    /// The text or expression is one that some lines match, and not all.
    fn check_line(&mut self, key: &'static str, text: &str, at: &Range<usize>) {
        // In the x mode of an expression a line feed is layout.
        let is_layout = key == "line_regex" && text.contains("(?x");
        if text.is_empty() {
            self.add_fault(at.clone(), HealthFault::EmptyLine(key));
        } else if text.contains('\n') && !is_layout || key == "line_regex" && needs_line_feed(text)
        {
            self.add_fault(at.clone(), HealthFault::LineFeed);
        } else if key == "line" && text.ends_with('\r') {
            self.add_fault(at.clone(), HealthFault::CarriageReturn);
        }
    }

    /// How a worker that hangs is found.
    pub fn alive(&mut self, entry: &NamedTable<'_>) -> Option<Alive<ProbeSpec>> {
        let ports = entry.slot_ports();
        let (table, given) = entry.table.alive.usable()?;
        let ready = entry.table.ready.value();
        if let Some(exit) = ready.and_then(|ready| ready.exit.key()) {
            let at = given.key.clone();
            self.add_related_fault(at, HealthFault::AliveWithExit, exit, "they exit");
        }
        let conditions = [
            ("tcp", table.tcp.key()),
            ("http", table.http.key()),
            ("exec", table.exec.key()),
            ("notify", table.notify.key()),
        ];
        self.check_conditions("alive", given, &conditions);
        self.check_probe(&table.into(), ports);
        let every = self.time(&table.every, "every", "every = \"5s\"").unwrap_or(ALIVE_EVERY);
        let timeout = self.time(&table.timeout, "timeout", "timeout = \"2s\"");
        if let (Some(timeout), Some(given)) = (timeout, table.timeout.given())
            && timeout > every
        {
            self.add_fault(given.at.clone(), HealthFault::TimeoutLonger);
        }
        if let Some(notify) = table.notify.key() {
            let useless = [("timeout", table.timeout.key()), ("failures", table.failures.key())];
            for (name, at) in useless {
                let Some(at) = at else { continue };
                self.add_related_fault(
                    at,
                    HealthFault::WithNotify(name),
                    notify.clone(),
                    "given here",
                );
            }
        }
        let failures = table.failures.value().and_then(|count| u32::try_from(count.0).ok());
        let probe = self.probe(&table.into(), ports);
        Some(Alive {
            by: probe.map_or(AliveBy::Notify, AliveBy::Probe),
            every,
            timeout: timeout.unwrap_or(ALIVE_TIMEOUT.min(every)),
            failures: failures.and_then(NonZeroU32::new).unwrap_or(ALIVE_FAILURES),
        })
    }

    /// A time that is greater than 0.
    fn time(
        &mut self,
        field: &Field<Time>,
        key: &'static str,
        example: &'static str,
    ) -> Option<Duration> {
        let (time, given) = field.usable()?;
        if time.0.is_zero() {
            self.add_fault(given.at.clone(), PoolFault::Zero { key, example });
        }
        Some(time.0)
    }

    /// Exactly one condition is given.
    fn check_conditions<T>(
        &mut self,
        table: &'static str,
        given: &Given<T>,
        conditions: &[Condition],
    ) {
        let mut named: Vec<_> =
            conditions.iter().filter_map(|(name, at)| Some((*name, at.clone()?))).collect();
        named.sort_by_key(|(_, at)| at.start);
        match named.as_slice() {
            [] => {
                let conditions: Vec<_> = conditions.iter().map(|(name, _)| *name).collect();
                if !self.is_misspelt(&given.at, &conditions) {
                    self.add_fault(
                        given.at.clone(),
                        HealthFault::NoCondition { table, conditions },
                    );
                }
            }
            [(first, first_at), others @ ..] => {
                for (second, at) in others {
                    let fault = HealthFault::TwoConditions { table, first, second };
                    self.add_related_fault(at.clone(), fault, first_at.clone(), "the first");
                }
            }
        }
    }

    /// `status` and `text` need `http`; `http` and `tcp = true` need ports.
    fn check_probe(&mut self, keys: &ProbeKeys<'_>, ports: SlotPorts) {
        if let Some((Target(target), given)) = keys.http.usable() {
            self.refuse_placeholders(target, &given.at, "http");
        }
        if let Some((Text(text), given)) = keys.text.usable() {
            self.refuse_placeholders(text, &given.at, "text");
            if text.is_empty() {
                self.add_fault(given.at.clone(), HealthFault::EmptyText);
            }
        }
        if !keys.http.is_given() {
            for (name, at) in [("status", keys.status.key()), ("text", keys.text.key())] {
                let Some(at) = at else { continue };
                self.add_fault(at, HealthFault::WithoutHttp(name));
            }
        }
        if ports == SlotPorts::Owned {
            return;
        }
        if let Some(key) = keys.http.key() {
            self.add_fault(key, HealthFault::HttpWithoutPorts);
        }
        if let Some((ProbePort::Own, given)) = keys.tcp.usable() {
            self.add_fault(given.key.clone(), HealthFault::TcpWithoutPorts);
        }
    }

    /// The probe that these keys describe. None if there is no such key, or a fault in it.
    fn probe(&mut self, keys: &ProbeKeys<'_>, ports: SlotPorts) -> Option<ProbeSpec> {
        match (keys.tcp.value(), ports) {
            (Some(ProbePort::Own), SlotPorts::None) => return None,
            (Some(port), _) => return Some(ProbeSpec::Tcp { port: *port }),
            (None, _) => {}
        }
        if let Some(Target(target)) = keys.http.value() {
            return (ports == SlotPorts::Owned).then(|| ProbeSpec::Http {
                target: target.clone(),
                status: keys.status.value().map_or(HTTP_STATUS, |status| status.0.clone()),
                text: keys.text.value().map(|text| text.0.clone()),
            });
        }
        let (command, given) = keys.exec.usable()?;
        Some(ProbeSpec::Exec { argv: self.argv(command, given, ports) })
    }
}

/// How an expression says that any line is meant.
const ANY_LINE: &str = ".*";

/// True if an expression matches an empty line, and one that no program writes.
fn matches_each_line(regex: &regex_lite::Regex) -> bool {
    ["", "\u{e000} \u{e001}"].into_iter().all(|line| regex.is_match(line))
}

/// True if an expression has a `\n` that each match contains: it is in no class, alternative or repetition.
fn needs_line_feed(regex: &str) -> bool {
    let has_escape = regex.replace(r"\\", "").contains(r"\n");
    has_escape && !regex.contains(['[', '|', '?', '*', '{', '('])
}
