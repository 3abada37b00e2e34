//! A pool from the command line: `pm run --ports 8080-8082 -- CMD...`.

use std::ffi::OsString;
use std::path::Path;

use super::template::Values;
use super::{Plan, PlanError, Pool, Ports, SlotPlan, lab};
use crate::supervisor::{Policy, Readiness};

/// As many workers as one pool may have.
pub const WORKERS_MAX: usize = 1_000;

/// What the command line says of a pool.
#[derive(Clone, Debug)]
pub struct AdHoc {
    pub command: Vec<OsString>,
    pub ports: Option<Ports>,
    /// Without ports: how many workers.
    pub workers: Option<usize>,
    /// The name of the pool, or none to take the program's.
    pub name: Option<String>,
    /// Restart, rest and grace; how a worker becomes ready follows from whether it has a port.
    pub policy: Policy,
}

impl AdHoc {
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
        let slots = ports.into_iter().zip(1..).map(|(port, n)| {
            let name = format!("{pool}.{n}");
            let values = Values { port, slot: &name, n, pool: &pool, dir };
            let argv: Result<_, _> =
                self.command.iter().map(|argument| values.fill(argument)).collect();
            argv.map(|argv| SlotPlan { name: name.clone(), n, port, argv })
        });
        let slots = slots.collect::<Result<_, _>>()?;
        let policy = match self.ports {
            Some(_) => {
                Policy { ready: Readiness::Probe { within: lab::READY_WITHIN }, ..self.policy }
            }
            None => self.policy,
        };
        let (path, env, missing_hint) = (Vec::new(), Vec::new(), None);
        Ok(Plan { pools: vec![Pool { name: pool, slots, policy, path, env, missing_hint }] })
    }
}

fn is_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !name.is_empty() && name.bytes().all(letter)
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

    fn ad_hoc(command: &[&str], ports: Option<&str>, workers: Option<usize>) -> AdHoc {
        AdHoc {
            command: command.iter().map(Into::into).collect(),
            ports: ports.map(|text| text.parse().unwrap()),
            workers,
            name: None,
            policy: Policy::default(),
        }
    }

    fn refused(ad_hoc: AdHoc) -> String {
        ad_hoc.plan(Path::new("/srv")).unwrap_err().to_string()
    }

    #[test]
    fn each_port_is_a_slot_of_a_pool_named_after_the_program() {
        let plan = ad_hoc(&["./bin/serve.sh", "-p{port}"], Some("9001-9002"), None);
        let plan = plan.plan(Path::new("/srv")).unwrap();
        let slots: Vec<_> = plan.slots().map(|(_, slot)| slot).collect();
        assert_eq!(slots[1].name, "serve.2");
        assert_eq!(slots[1].argv, ["./bin/serve.sh", "-p9002"]);
        assert!(matches!(plan.pools[0].policy.ready, Readiness::Probe { .. }));
    }

    #[test]
    fn workers_without_ports_are_ready_once_they_have_lived() {
        let plan = ad_hoc(&["job", "{n}"], None, Some(4)).plan(Path::new("/srv")).unwrap();
        assert_eq!(plan.slots().count(), 4);
        assert!(matches!(plan.pools[0].policy.ready, Readiness::Lived { .. }));
    }

    #[test]
    fn what_makes_no_pool_is_refused_with_what_would() {
        assert!(refused(ad_hoc(&[], Some("8080"), None)).contains("give it after `--`"));
        assert!(refused(ad_hoc(&["job"], None, None)).contains("`--ports 8080-8082`"));
        assert!(refused(ad_hoc(&["job"], None, Some(0))).contains("give 1 to 1000"));
        assert!(refused(ad_hoc(&["job"], None, Some(5_000))).contains("more than the 1000"));
        assert!(refused(ad_hoc(&["..."], None, Some(1))).contains("give one with `--name`"));
        let named = AdHoc { name: Some("a b".into()), ..ad_hoc(&["job"], None, Some(1)) };
        assert!(refused(named).contains("`a b` is no pool name"));
    }
}
