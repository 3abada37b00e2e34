//! `ready` and `alive`: from the tables to what is looked at, and how often.

use std::num::NonZeroU32;
use std::ops::Range;
use std::time::Duration;

use super::command::Command;
use super::field::{Field, Given};
use super::keys::{AliveTable, ReadyTable, RestartWord};
use super::pool::{PoolEntry, Reader, SlotContext};
use super::types::{Status, Target, TcpPort, Text, Time};
use crate::plan::probe::{READY_WITHIN, STATUS};
use crate::plan::text::suggest::listed;
use crate::plan::{Alive, AliveBy, Line, Probe, Ready};
use crate::supervisor::{Policy, Readiness};

/// From one look at a worker to the next, and how long one may take, unless said otherwise.
const EVERY: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(2);
const FAILURES: NonZeroU32 = NonZeroU32::new(3).expect("3 is not 0");

/// The keys that `ready` and `alive` share.
struct Look<'a> {
    tcp: &'a Field<TcpPort>,
    http: &'a Field<Target>,
    status: &'a Field<Status>,
    text: &'a Field<Text>,
    exec: &'a Field<Command>,
}

impl<'a> From<&'a ReadyTable> for Look<'a> {
    fn from(table: &'a ReadyTable) -> Self {
        let ReadyTable { tcp, http, status, text, exec, .. } = table;
        Self { tcp, http, status, text, exec }
    }
}

impl<'a> From<&'a AliveTable> for Look<'a> {
    fn from(table: &'a AliveTable) -> Self {
        let AliveTable { tcp, http, status, text, exec, .. } = table;
        Self { tcp, http, status, text, exec }
    }
}

impl Reader<'_> {
    /// How the supervisor learns that a worker is ready. Notes what is wrong with the table as a whole.
    pub fn readiness(&mut self, field: &Field<ReadyTable>, named: &PoolEntry<'_>) -> Readiness {
        let has_ports = named.table.ports.is_given();
        let Some((table, given)) = field.usable() else {
            let probe = Readiness::Probe { within: READY_WITHIN };
            return if has_ports { probe } else { Policy::default().ready };
        };
        let ways = [
            ("tcp", key(&table.tcp)),
            ("http", key(&table.http)),
            ("exec", key(&table.exec)),
            ("notify", key(&table.notify)),
            ("line", key(&table.line)),
            ("line_regex", key(&table.line_regex)),
            ("exit", key(&table.exit)),
            ("after", key(&table.after)),
        ];
        self.check_ways("ready", given, &ways);
        self.check_look(&table.into(), has_ports);
        if let Some((Text(line), given)) = table.line.usable() {
            self.refuse_placeholders(line, &given.at, "`line`");
        }
        let restart = named.table.restart.value();
        if let (Some(exit), Some(RestartWord::Always) | None) = (table.exit.given(), restart) {
            let message = "`exit` in a pool whose workers are always restarted";
            let help = "set `restart = \"never\"` or `\"on-failure\"` for a job that ends";
            self.note(exit.key.clone(), message, help);
        }
        if let (Some(after), Some(within)) = (table.after.given(), table.within.given()) {
            let message = "`within` does not go with `after`";
            let fault = self.fault(within.key.clone(), message);
            let fault = fault.help("`after` alone says how long it takes");
            self.findings.add(fault.related(after.key.clone(), "this is how long it takes"));
        }
        if let Some((_, given)) = table.within.usable().filter(|(within, _)| within.0.is_zero()) {
            let help = "`ready = { after = \"0s\" }` makes a worker ready at once";
            self.note(given.at.clone(), "nobody is ready within no time", help);
        }
        match table.after.value() {
            Some(after) => Readiness::Lived { after: after.0 },
            None => {
                let within = table.within.value().map_or(READY_WITHIN, |within| within.0);
                Readiness::Probe { within }
            }
        }
    }

    /// What makes the worker of a slot ready.
    pub fn ready(&mut self, field: &Field<ReadyTable>, seat: &SlotContext<'_>) -> Ready {
        let own_port = seat.values.port.filter(|_| seat.owns_port);
        let Some(table) = field.value() else {
            return own_port.map_or(Ready::Lived, |port| Ready::Probe(Probe::Tcp { port }));
        };
        if let Some(check) = self.check(&table.into(), seat) {
            Ready::Probe(check)
        } else if table.notify.value().is_some() {
            Ready::Notify
        } else if let Some(Text(text)) = table.line.value() {
            Ready::Line(Line::Text(text.clone()))
        } else if let Some(pattern) = table.line_regex.value() {
            Ready::Line(Line::Pattern(pattern.clone()))
        } else if table.exit.value().is_some() {
            Ready::Exit
        } else {
            Ready::Lived
        }
    }

    /// How a worker of a slot is found to hang.
    pub fn alive(&mut self, field: &Field<AliveTable>, seat: &SlotContext<'_>) -> Option<Alive> {
        let (table, given) = field.usable()?;
        let ways = [
            ("tcp", key(&table.tcp)),
            ("http", key(&table.http)),
            ("exec", key(&table.exec)),
            ("notify", key(&table.notify)),
        ];
        self.check_ways("alive", given, &ways);
        self.check_look(&table.into(), seat.owns_port);
        let every = self.time_of(&table.every, "`every`").unwrap_or(EVERY);
        let timeout = self.time_of(&table.timeout, "`timeout`");
        if let (Some(timeout), Some(given)) = (timeout, table.timeout.given())
            && timeout > every
        {
            let message = "`timeout` is longer than `every`";
            let help = "give it less, so that a look is over before the next";
            self.note(given.at.clone(), message, help);
        }
        let failures = table.failures.value().and_then(|count| u32::try_from(count.0).ok());
        let failures = failures.and_then(NonZeroU32::new).unwrap_or(FAILURES);
        if let Some(notify) = table.notify.given() {
            let unfit = [("timeout", key(&table.timeout)), ("failures", key(&table.failures))];
            for (name, at) in unfit {
                let Some(at) = at else { continue };
                let fault = self.fault(at, format!("`{name}` does not go with `notify`"));
                let fault = fault.help("a worker that is silent for `every` hangs; take this out");
                self.findings.add(fault.related(notify.key.clone(), "the worker itself says so"));
            }
        }
        let by = match self.check(&table.into(), seat) {
            Some(check) => AliveBy::Probe(check),
            None => AliveBy::Notify,
        };
        let timeout = timeout.unwrap_or(TIMEOUT.min(every));
        Some(Alive { by, every, timeout, failures })
    }

    /// What WATCHDOG_USEC tells a worker.
    pub fn watchdog(&self, field: &Field<AliveTable>) -> Option<Duration> {
        let table = field.value()?;
        table.notify.value()?;
        Some(table.every.value().map_or(EVERY, |every| every.0))
    }

    fn time_of(&mut self, field: &Field<Time>, name: &str) -> Option<Duration> {
        let (time, given) = field.usable()?;
        if time.0.is_zero() {
            let message = format!("{name} cannot be no time at all");
            self.note(given.at.clone(), message, "give `100ms` or more");
        }
        Some(time.0)
    }

    /// Exactly one way is given.
    fn check_ways<T>(
        &mut self,
        table: &str,
        given: &Given<T>,
        ways: &[(&str, Option<Range<usize>>)],
    ) {
        let mut named: Vec<_> =
            ways.iter().filter_map(|(name, at)| Some((*name, at.clone()?))).collect();
        named.sort_by_key(|(_, at)| at.start);
        match named.as_slice() {
            [] => {
                let names: Vec<_> = ways.iter().map(|(name, _)| *name).collect();
                if self.is_misspelt(&given.at, &names) {
                    return;
                }
                let names = listed(names);
                let message = format!("`{table}` does not say by what");
                self.note(given.at.clone(), message, format!("give it exactly one of {names}"));
            }
            [(first, first_at), others @ ..] => {
                for (name, at) in others {
                    let message = format!("`{table}` cannot have both `{first}` and `{name}`");
                    let fault = self.fault(at.clone(), message).help("take one of the two out");
                    self.findings.add(fault.related(first_at.clone(), "the first"));
                }
            }
        }
    }

    /// `status` and `text` go with `http`, and `http` and `tcp = true` with ports.
    fn check_look(&mut self, look: &Look<'_>, has_ports: bool) {
        if let Some((Target(target), given)) = look.http.usable() {
            self.refuse_placeholders(target, &given.at, "`http`");
        }
        if let Some((Text(text), given)) = look.text.usable() {
            self.refuse_placeholders(text, &given.at, "`text`");
        }
        if !look.http.is_given() {
            for (name, at) in [("status", key(look.status)), ("text", key(look.text))] {
                let Some(at) = at else { continue };
                self.note(at, format!("`{name}` goes with `http` only"), "take it out");
            }
        }
        if has_ports {
            return;
        }
        if let Some(given) = look.http.given() {
            let message = "`http` asks the worker's own port, and this pool has no ports";
            self.note(given.key.clone(), message, "give it some, as in `ports = \"8080-8082\"`");
        }
        if let Some((TcpPort::Own, given)) = look.tcp.usable() {
            let message = "`tcp = true` asks the worker's own port, and this pool has no ports";
            self.note(given.key.clone(), message, "name the port, as in `tcp = 8080`");
        }
    }

    fn check(&mut self, look: &Look<'_>, seat: &SlotContext<'_>) -> Option<Probe> {
        let own_port = seat.values.port.filter(|_| seat.owns_port);
        if let Some(tcp) = look.tcp.value() {
            return match tcp {
                TcpPort::Own => own_port.map(|port| Probe::Tcp { port }),
                TcpPort::Other(port) => Some(Probe::Tcp { port: *port }),
            };
        }
        if let Some(Target(target)) = look.http.value() {
            let (target, port) = (target.clone(), own_port?);
            let status = look.status.value().map_or(STATUS, |status| status.0.clone());
            let text = look.text.value().map(|text| text.0.clone());
            return Some(Probe::Http { port, target, status, text });
        }
        let (command, given) = look.exec.usable()?;
        Some(Probe::Exec { argv: self.argv(command, given, seat) })
    }
}

/// Where the key stands, if it is there.
fn key<T>(field: &Field<T>) -> Option<Range<usize>> {
    field.given().map(|given| given.key.clone())
}
