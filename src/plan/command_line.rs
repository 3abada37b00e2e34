//! A pool from the command line: `pm run --ports 8080-8082 -- CMD...`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::probe::READY_WITHIN;
use super::text::placeholders::{Misplaced, Values};
use super::{
    ExecSpec, Plan, PlanError, Pool, Ports, Probe, Ready, SlotPlan, WORKERS_MAX, environment,
    is_name,
};
use crate::supervisor::{Policy, Readiness};

/// What the command line says of a pool.
#[derive(Clone, Debug)]
pub struct CommandLinePool {
    pub command: Vec<OsString>,
    pub ports: Option<Ports>,
    /// Without ports: how many workers.
    pub workers: Option<usize>,
    /// The name of the pool, or none to take the program's.
    pub name: Option<String>,
    /// Restart, rest and grace; how a worker becomes ready follows from whether it has a port.
    pub policy: Policy,
}

impl CommandLinePool {
    /// The plan with this one pool. `dir` is what `{dir}` stands for.
    ///
    /// # Errors
    /// If there is no command, no slot, no usable name, or a placeholder that is none.
    pub fn plan(self, dir: &Path) -> Result<Plan, PlanError> {
        let program = self.command.first().ok_or(PlanError::NoCommand)?;
        let pool = match &self.name {
            Some(name) if is_name(name) => name.clone(),
            Some(name) => return Err(PlanError::Name(name.clone())),
            None => name_of(Path::new(program))?,
        };
        let ports: Vec<Option<u16>> = match (&self.ports, self.workers) {
            (Some(ports), _) => ports.as_slice().iter().copied().map(Some).collect(),
            (None, Some(0)) => return Err(PlanError::NoWorkers),
            (None, Some(count)) if count > WORKERS_MAX => {
                return Err(PlanError::TooManyWorkers(count));
            }
            (None, Some(count)) => vec![None; count],
            (None, None) => return Err(PlanError::NoSlots),
        };
        let slots = ports.into_iter().zip(1..).map(|(port, n)| self.slot(&pool, n, port, dir));
        let slots = slots.collect::<Result<_, _>>()?;
        let policy = match self.ports {
            Some(_) => Policy { ready: Readiness::Probe { within: READY_WITHIN }, ..self.policy },
            None => self.policy,
        };
        let stop_signal = libc::SIGTERM;
        let pool =
            Pool { name: pool, after: Vec::new(), slots, policy, stop_signal, missing_hint: None };
        Ok(Plan { pools: vec![pool] })
    }

    fn slot(
        &self,
        pool: &str,
        n: usize,
        port: Option<u16>,
        dir: &Path,
    ) -> Result<SlotPlan, PlanError> {
        let name = format!("{pool}.{n}");
        let values = Values { port, slot: &name, n, pool, dir };
        let argv = self.command.iter().map(|argument| {
            values.fill(argument).map_err(|mut wrong| {
                let Misplaced { at, reason } = wrong.swap_remove(0);
                let before = String::from_utf8_lossy(&argument.as_bytes()[..at.start]);
                let column = before.chars().count() + 1;
                let argument = argument.to_string_lossy().into_owned();
                PlanError::Placeholder { argument, column, reason }
            })
        });
        let exec = ExecSpec {
            argv: argv.collect::<Result<_, _>>()?,
            env: environment::of_slot(pool, &name, port),
            ..ExecSpec::default()
        };
        let ready = port.map_or(Ready::Lived, |port| Ready::Probe(Probe::Tcp { port }));
        Ok(SlotPlan { name, n, port, exec, ready, alive: None, log: None })
    }
}

/// The program's file name, up to what a pool's name cannot have.
fn name_of(program: &Path) -> Result<String, PlanError> {
    let file = program.file_name().unwrap_or_default().to_string_lossy();
    let name: String = file.split('.').find(|part| !part.is_empty()).unwrap_or_default().into();
    if is_name(&name) { Ok(name) } else { Err(PlanError::NoName(program.display().to_string())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ad_hoc(command: &[&str], ports: Option<&str>, workers: Option<usize>) -> CommandLinePool {
        CommandLinePool {
            command: command.iter().map(Into::into).collect(),
            ports: ports.map(|text| text.parse().unwrap()),
            workers,
            name: None,
            policy: Policy::default(),
        }
    }

    fn refused(ad_hoc: CommandLinePool) -> String {
        ad_hoc.plan(Path::new("/srv")).unwrap_err().to_string()
    }

    #[test]
    fn each_port_is_a_slot_of_a_pool_named_after_the_program() {
        let plan = ad_hoc(&["./bin/serve.sh", "-p{port}"], Some("9001-9002"), None);
        let plan = plan.plan(Path::new("/srv")).unwrap();
        let slots: Vec<_> = plan.slots().map(|(_, slot)| slot).collect();
        assert_eq!(slots[1].name, "serve.2");
        assert_eq!(slots[1].exec.argv, ["./bin/serve.sh", "-p9002"]);
        assert_eq!(slots[1].ready, Ready::Probe(Probe::Tcp { port: 9002 }));
        assert!(matches!(plan.pools[0].policy.ready, Readiness::Probe { .. }));
    }

    #[test]
    fn workers_without_ports_are_ready_once_they_have_lived() {
        let plan = ad_hoc(&["job", "{n}"], None, Some(4)).plan(Path::new("/srv")).unwrap();
        assert_eq!(plan.slots().count(), 4);
        assert!(matches!(plan.pools[0].policy.ready, Readiness::Lived { .. }));
    }

    #[test]
    fn a_wrong_placeholder_is_refused_with_argument_and_column() {
        assert_eq!(
            refused(ad_hoc(&["job", "ü={prot}"], Some("8080"), None)),
            "in the argument `ü={prot}`, column 3: `{prot}` is no placeholder; did you mean `{port}`?"
        );
        let without = refused(ad_hoc(&["job", "{port}"], None, Some(1)));
        assert!(without.ends_with("pool without ports; give it some with `--ports`"), "{without}");
    }

    #[test]
    fn what_makes_no_pool_is_refused_with_what_would() {
        assert!(refused(ad_hoc(&[], Some("8080"), None)).contains("give it after `--`"));
        assert!(refused(ad_hoc(&["job"], None, None)).contains("`--ports 8080-8082`"));
        assert!(refused(ad_hoc(&["job"], None, Some(0))).contains("give 1 to 1000"));
        assert!(refused(ad_hoc(&["job"], None, Some(5_000))).contains("more than the 1000"));
        assert!(refused(ad_hoc(&["..."], None, Some(1))).contains("give one with `--name`"));
        let named = CommandLinePool { name: Some("a b".into()), ..ad_hoc(&["job"], None, Some(1)) };
        assert!(refused(named).contains("`a b` is no pool name"));
    }
}
