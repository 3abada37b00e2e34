//! A pool from the command line: `pm run --ports 8080-8082 -- CMD...`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::defaults::{self, READY_WITHIN};
use super::probe::{ProbePort, ProbeSpec};
use super::text::explain::Explain;
use super::text::lines;
use super::text::placeholders::{Misplaced, PlaceholderFault, SlotPorts, Template};
use super::{
    ExecSpec, LabelStyle, NAME_BYTES_MAX, Plan, Pool, PoolSpec, Ports, Ready, ReadyBy, SlotsSpec,
    StopSpec, TerminalOutput, WORKERS_MAX, is_name,
};
use crate::supervisor::Policy;

/// What the command line says of a pool.
#[derive(Clone, Debug)]
pub struct CommandLinePool {
    pub command: Vec<OsString>,
    pub ports: Option<Ports>,
    /// Without ports: the number of workers.
    pub workers: Option<usize>,
    /// The name of the pool. `None`: the name of the program.
    pub name: Option<String>,
    /// Restart, backoff and grace. When a worker is ready follows from whether it has a port.
    pub policy: Policy,
}

/// Why there is no plan of a command line.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PlanError {
    #[error(
        "there is no command to run; give it after `--`, as in `pm run --ports 8080-8082 -- ./server {{port}}`"
    )]
    NoCommand,
    #[error(
        "a command needs `--ports 8080-8082` (one worker for each port) or `--workers N` (workers without ports)"
    )]
    NoSlots,
    #[error("`--workers 0` keeps no worker alive; give 1 to {WORKERS_MAX}")]
    NoWorkers,
    #[error("`--workers {0}` is too many; there can be at most {WORKERS_MAX}")]
    TooManyWorkers(usize),
    #[error(
        "`{0}` is not a pool name; use at most {NAME_BYTES_MAX} letters, digits, `-` and `_`, as in `--name web`"
    )]
    Name(String),
    #[error("cannot make a pool name from the program `{0}`; give one with `--name`")]
    NoName(String),
    #[error("in the argument `{argument}`, column {column}: {fault}; {}", help(fault))]
    Placeholder { argument: String, column: usize, fault: PlaceholderFault },
}

impl CommandLinePool {
    /// The plan with this one pool. `dir` is what `{dir}` stands for.
    ///
    /// # Errors
    /// If there is no command, no slot or no usable name, or if a placeholder does not exist.
    pub fn plan(self, dir: &Path) -> Result<Plan, PlanError> {
        let program = self.command.first().ok_or(PlanError::NoCommand)?;
        let name = match &self.name {
            Some(name) if is_name(name) => name.clone(),
            Some(name) => return Err(PlanError::Name(name.clone())),
            None => name_of(Path::new(program))?,
        };
        let slots = self.slots()?;
        let (slot_ports, ready) = match &slots {
            SlotsSpec::Ports(_) => {
                let by = ReadyBy::Probe(ProbeSpec::Tcp { port: ProbePort::Own });
                (SlotPorts::Owned, Ready { by, within: READY_WITHIN })
            }
            SlotsSpec::Workers(_) | SlotsSpec::PortVariable { .. } => {
                (SlotPorts::None, Ready { by: ReadyBy::Lived, within: defaults::lived() })
            }
        };
        let command = self.command.iter().map(|argument| template(argument, slot_ports));
        let spec = PoolSpec {
            slots,
            dir: dir.to_owned(),
            command: command.collect::<Result<_, _>>()?,
            cwd: None,
            env_files: Vec::new(),
            env: Vec::new(),
            exec: ExecSpec::default(),
            ready,
            alive: None,
            log: None,
            terminal_output: TerminalOutput::default(),
            label: LabelStyle::default(),
        };
        let pool = Pool::new(name, spec, self.policy, StopSpec::default());
        Ok(Plan {
            pools: vec![pool],
            sealed: false,
            chaos: false,
            ring_bytes: defaults::RING_BYTES,
            http: None,
        })
    }

    fn slots(&self) -> Result<SlotsSpec, PlanError> {
        match (&self.ports, self.workers) {
            (Some(ports), _) => Ok(SlotsSpec::Ports(ports.as_slice().to_vec())),
            (None, Some(0)) => Err(PlanError::NoWorkers),
            (None, Some(count)) if count > WORKERS_MAX => Err(PlanError::TooManyWorkers(count)),
            (None, Some(count)) => Ok(SlotsSpec::Workers(count)),
            (None, None) => Err(PlanError::NoSlots),
        }
    }
}

fn template(argument: &OsStr, ports: SlotPorts) -> Result<Template, PlanError> {
    Template::parse(argument, ports).map_err(|mut wrong| {
        let Misplaced { at, fault } = wrong.swap_remove(0);
        let column = lines::column(&String::from_utf8_lossy(&argument.as_bytes()[..at.start]));
        PlanError::Placeholder { argument: argument.to_string_lossy().into_owned(), column, fault }
    })
}

/// What would be right, on a command line.
fn help(fault: &PlaceholderFault) -> String {
    match fault {
        PlaceholderFault::NoPort => "give it ports, as in `--ports 8080-8082`".into(),
        PlaceholderFault::Unknown(_)
        | PlaceholderFault::ShellVariable(_)
        | PlaceholderFault::Open
        | PlaceholderFault::Closed => fault.help().unwrap_or_default(),
    }
}

/// The program's file name, up to the first `.`.
fn name_of(program: &Path) -> Result<String, PlanError> {
    let file = program.file_name().unwrap_or_default().to_string_lossy();
    let name: String = file.split('.').find(|part| !part.is_empty()).unwrap_or_default().into();
    if is_name(&name) { Ok(name) } else { Err(PlanError::NoName(program.display().to_string())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Probe;
    use crate::supervisor::Readiness;

    fn pool(command: &[&str], ports: Option<&str>, workers: Option<usize>) -> CommandLinePool {
        CommandLinePool {
            command: command.iter().map(Into::into).collect(),
            ports: ports.map(|text| text.parse().unwrap()),
            workers,
            name: None,
            policy: Policy::default(),
        }
    }

    fn refused(pool: CommandLinePool) -> String {
        pool.plan(Path::new("/srv")).unwrap_err().to_string()
    }

    #[test]
    fn each_port_is_a_slot_of_a_pool_named_after_the_program() {
        let plan = pool(&["./bin/serve.sh", "-p{port}"], Some("9001-9002"), None);
        let plan = plan.plan(Path::new("/srv")).unwrap();
        let slots: Vec<_> = plan.slots().map(|(_, slot)| slot).collect();
        assert_eq!(slots[1].name, "serve.2");
        assert_eq!(slots[1].exec.argv, ["./bin/serve.sh", "-p9002"]);
        assert_eq!(slots[1].ready.by, ReadyBy::Probe(Probe::Tcp { port: 9002 }));
        assert!(matches!(plan.pools[0].policy.ready, Readiness::Probe { .. }));
    }

    #[test]
    fn workers_without_ports_are_ready_once_they_have_lived() {
        let plan = pool(&["job", "{n}"], None, Some(4)).plan(Path::new("/srv")).unwrap();
        assert_eq!(plan.slots().count(), 4);
        assert!(pool(&["job"], None, Some(WORKERS_MAX)).plan(Path::new("/srv")).is_ok());
        assert!(matches!(plan.pools[0].policy.ready, Readiness::Lived { .. }));
    }

    #[test]
    fn a_wrong_placeholder_is_refused_with_argument_and_column() {
        assert_eq!(
            refused(pool(&["job", "ü={prot}"], Some("8080"), None)),
            "in the argument `ü={prot}`, column 3: `{prot}` is not a placeholder; did you mean `{port}`?"
        );
        let without = refused(pool(&["job", "{port}"], None, Some(1)));
        assert!(
            without.ends_with("pool without ports; give it ports, as in `--ports 8080-8082`"),
            "{without}"
        );
    }

    #[test]
    fn what_does_not_make_a_pool_is_refused_with_help() {
        assert!(refused(pool(&[], Some("8080"), None)).contains("give it after `--`"));
        assert!(refused(pool(&["job"], None, None)).contains("`--ports 8080-8082`"));
        assert!(refused(pool(&["job"], None, Some(0))).contains("give 1 to 50000"));
        assert!(refused(pool(&["job"], None, Some(60_000))).contains("at most 50000"));
        assert!(refused(pool(&["..."], None, Some(1))).contains("give one with `--name`"));
        let named = CommandLinePool { name: Some("a b".into()), ..pool(&["job"], None, Some(1)) };
        assert!(refused(named).contains("`a b` is not a pool name"));
    }
}
