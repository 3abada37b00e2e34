//! A pool before ports and placeholders are filled in.
//!
//! Every reader makes one: of a table of a `pm.toml`, of a line of a Procfile, of a command. The slots are made from
//! it, here and in no other place: at first as many as it asks for, later as many as are wanted. Nothing here can fail,
//! since a reader refuses what could not be filled in. Where to look next: [`super::text::placeholders`].

use std::path::{Path, PathBuf};

use super::host::resolve;
use super::probe::ProbeSpec;
use super::text::placeholders::{Template, Values};
use super::{
    Alive, AliveBy, ExecSpec, LabelStyle, LogFile, Ready, ReadyBy, SlotPlan, TerminalOutput,
    environment,
};

/// What the slots of one pool are made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolSpec {
    pub slots: SlotsSpec,
    /// What `{dir}` stands for, and where relative paths start. Absolute.
    pub dir: PathBuf,
    /// The program and its arguments.
    pub command: Vec<Template>,
    /// The folder that workers run in. `None`: pm's own.
    pub cwd: Option<Template>,
    /// Variables that PORT, PS, PM_POOL and PM_SLOT override.
    pub env_files: Vec<(String, String)>,
    /// Variables that override all others.
    pub env: Vec<(String, Template)>,
    /// What is the same for each slot. Its `argv`, `cwd`, `env`, `notifies` and `watchdog` are not set here.
    pub exec: ExecSpec,
    pub ready: Ready<ProbeSpec>,
    pub alive: Option<Alive<ProbeSpec>>,
    pub log: Option<LogSpec>,
    pub terminal_output: TerminalOutput,
    pub label: LabelStyle,
}

/// The slots that a pool has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotsSpec {
    /// One for each of these ports, which it owns.
    Ports(Vec<u16>),
    /// This many, without ports.
    Workers(usize),
    /// This many, without ports of their own. The variable PORT counts from `first`.
    PortVariable { workers: usize, first: u16 },
}

/// A log file before placeholders are filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSpec {
    pub path: Template,
    pub max_bytes: u64,
    pub keep: u32,
}

impl PoolSpec {
    /// The number of slots that the text asks for.
    pub fn count(&self) -> usize {
        match &self.slots {
            SlotsSpec::Ports(ports) => ports.len(),
            SlotsSpec::Workers(count) | SlotsSpec::PortVariable { workers: count, .. } => *count,
        }
    }

    /// The first `count` slots of the pool `pool`, or fewer if there are not that many ports.
    pub fn expand(&self, pool: &str, count: usize) -> Vec<SlotPlan> {
        let slots = (1..=count).map_while(|n| Some((n, self.slots.ports_of(n)?)));
        slots.map(|(n, ports)| self.slot(pool, n, ports)).collect()
    }

    fn slot(&self, pool: &str, n: usize, ports: PortsOfSlot) -> SlotPlan {
        let name = format!("{pool}.{n}");
        let PortsOfSlot { port, variable } = ports;
        let values = Values { port, slot: &name, n, pool, dir: &self.dir };
        let path = |template: &Template| resolve(&self.dir, Path::new(&template.fill(&values)));
        let user = self.exec.identity.iter().flat_map(environment::of_user);
        let own = environment::of_slot(pool, &name, variable);
        let env = self.env.iter().map(|(name, value)| {
            (name.clone(), value.fill(&values).to_string_lossy().into_owned())
        });
        let exec = ExecSpec {
            argv: self.command.iter().map(|argument| argument.fill(&values)).collect(),
            cwd: self.cwd.as_ref().map(path),
            env: environment::merged(
                user.chain(self.env_files.iter().cloned()).chain(own).chain(env),
            ),
            notifies: self.notifies(),
            watchdog: self
                .alive
                .as_ref()
                .filter(|alive| alive.by == AliveBy::Notify)
                .map(|alive| alive.every),
            ..self.exec.clone()
        };
        let log = self.log.as_ref().map(|LogSpec { path: file, max_bytes, keep }| LogFile {
            path: path(file),
            max_bytes: *max_bytes,
            keep: *keep,
        });
        let ready = self.ready.fill(&values);
        let alive = self.alive.as_ref().map(|alive| alive.fill(&values));
        let Self { terminal_output, label, .. } = *self;
        SlotPlan { name, n, port, exec, ready, alive, log, terminal_output, label }
    }

    /// True if a worker has to notify pm.
    pub fn notifies(&self) -> bool {
        let for_alive = self.alive.as_ref().is_some_and(|alive| alive.by == AliveBy::Notify);
        for_alive || self.ready.by == ReadyBy::Notify
    }
}

/// The port that a slot owns, and the value of its variable PORT.
struct PortsOfSlot {
    port: Option<u16>,
    variable: Option<u16>,
}

impl SlotsSpec {
    /// The ports of the `n`-th slot, or `None` if there are too few of them.
    fn ports_of(&self, n: usize) -> Option<PortsOfSlot> {
        match self {
            Self::Ports(ports) => {
                let port = ports.get(n - 1).copied()?;
                Some(PortsOfSlot { port: Some(port), variable: Some(port) })
            }
            Self::Workers(_) => Some(PortsOfSlot { port: None, variable: None }),
            Self::PortVariable { first, .. } => {
                let port = first.checked_add(u16::try_from(n - 1).ok()?)?;
                Some(PortsOfSlot { port: None, variable: Some(port) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::plan::{Plan, lab};

    fn spec() -> PoolSpec {
        let Plan { mut pools, .. } = lab::plan(Path::new("/srv"));
        pools.remove(0).spec
    }

    #[test]
    fn a_spec_expands_to_fewer_slots_and_to_no_more_than_it_has_ports() {
        assert_eq!(spec().count(), 3);
        for (count, ports) in [(2, vec![8080, 8081]), (9, vec![8080, 8081, 8082])] {
            let slots = spec().expand("web", count);
            let is: Vec<_> = slots.iter().filter_map(|slot| slot.port).collect();
            assert_eq!(is, ports);
        }
    }

    /// A spec whose slots own no port.
    fn without_ports(slots: SlotsSpec) -> PoolSpec {
        let command = vec![Template::literal("x")];
        let ready = Ready { by: ReadyBy::Lived, within: Duration::ZERO };
        PoolSpec { slots, command, ready, ..spec() }
    }

    #[test]
    fn a_spec_without_ports_expands_to_any_number_of_slots() {
        let slots = without_ports(SlotsSpec::Workers(1)).expand("job", 2);
        let names: Vec<_> = slots.into_iter().map(|slot| slot.name).collect();
        assert_eq!(names, ["job.1", "job.2"]);
    }

    #[test]
    fn the_variable_port_counts_up_to_the_last_port() {
        let spec = without_ports(SlotsSpec::PortVariable { workers: 1, first: 65_534 });
        let slots = spec.expand("job", 9);
        assert_eq!(slots.len(), 2);
        assert_eq!(slots[1].port, None);
        assert!(slots[1].exec.env.contains(&("PORT".into(), "65535".into())));
    }
}
