//! What a plan says of one slot, prepared for spawning.

use std::ffi::OsString;

use crate::plan::environment::{LISTEN_FDNAMES, LISTEN_FDS};
use crate::plan::{
    Alive, AliveBy, HoldPort, Line, MissingHint, Pool, Probe, ReadyBy, SlotPlan, StopSpec,
};
use crate::reactor::output::{Device, Label, OutputSpec};
use crate::reactor::report::SpawnFailure;
use crate::sys::{Launch, SpawnError, Texts};

/// One version of a slot: what is run there, and how it is watched. Named by its slot and its revision.
#[derive(Debug)]
pub struct LaunchSpec {
    pub pool_name: String,
    pub plan: SlotPlan,
    pub stop: StopSpec,
    /// What to do if the program is not found.
    pub missing_hint: Option<MissingHint>,
    pub launch: Launch,
    /// The probe commands, where a probe is one.
    pub ready_probe: Option<Launch>,
    pub alive_probe: Option<Launch>,
}

impl LaunchSpec {
    /// `variables` is pm's own environment; `notify_socket` is given to a worker that uses it; `texts` are those of the
    /// other slots.
    pub fn new(
        pool: &Pool,
        plan: SlotPlan,
        variables: &[(OsString, OsString)],
        notify_socket: Option<String>,
        texts: &mut Texts,
    ) -> Self {
        let exec = &plan.exec;
        let watchdog = exec.watchdog.map(|every| every.as_micros().to_string());
        let is_passed = matches!(exec.hold_port, HoldPort::Passed(_));
        let given = [
            ("NOTIFY_SOCKET", notify_socket),
            ("WATCHDOG_USEC", watchdog),
            (LISTEN_FDS, is_passed.then(|| "1".to_owned())),
            (LISTEN_FDNAMES, is_passed.then(|| plan.name.clone())),
        ];
        let given = given.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let mut command = |probe: &Probe| match probe {
            Probe::Exec { argv } => Some(Launch::of_probe(exec, argv, variables, texts)),
            Probe::Tcp { .. } | Probe::Http { .. } => None,
        };
        let ready_probe = match &plan.ready.by {
            ReadyBy::Probe(probe) => command(probe),
            ReadyBy::Lived | ReadyBy::Notify | ReadyBy::Line(_) => None,
            ReadyBy::Exit | ReadyBy::Listen => None,
        };
        let alive_probe = match &plan.alive {
            Some(Alive { by: AliveBy::Probe(probe), .. }) => command(probe),
            Some(Alive { by: AliveBy::Notify, .. }) | None => None,
        };
        let launch = Launch::new(exec, variables, given, texts);
        Self {
            pool_name: pool.name.clone(),
            plan,
            stop: pool.stop,
            missing_hint: pool.missing_hint,
            launch,
            ready_probe,
            alive_probe,
        }
    }

    /// Leaves the limit on memory to a control group.
    pub fn without_address_space_limit(self) -> Self {
        Self { launch: self.launch.without_memory_limit(), ..self }
    }

    /// What happens to the output of a worker.
    pub fn output(&self, label: Label, device: Device) -> OutputSpec {
        OutputSpec {
            label,
            file: self.plan.log.clone(),
            awaited: self.awaited_line().cloned(),
            device,
            terminal_output: self.plan.terminal_output,
        }
    }

    /// The line that makes the worker ready, if it is a line that does.
    pub fn awaited_line(&self) -> Option<&Line> {
        match &self.plan.ready.by {
            ReadyBy::Line(line) => Some(line),
            ReadyBy::Lived | ReadyBy::Probe(_) | ReadyBy::Notify => None,
            ReadyBy::Exit | ReadyBy::Listen => None,
        }
    }

    /// What to do about this failure, if the plan knows.
    pub fn hint(&self, failure: &SpawnFailure) -> Option<MissingHint> {
        match failure {
            SpawnFailure::Spawn(SpawnError::NotFound { .. } | SpawnError::Script { .. }) => {
                self.missing_hint
            }
            SpawnFailure::Spawn(
                SpawnError::Exec { .. }
                | SpawnError::Interpreter { .. }
                | SpawnError::Prepare { .. }
                | SpawnError::Watch(_)
                | SpawnError::Fork(_)
                | SpawnError::Hold(_),
            ) => None,
            SpawnFailure::Output(_) | SpawnFailure::Stdin(_) | SpawnFailure::Cgroup(_) => None,
            SpawnFailure::PortHeld(_) | SpawnFailure::Socket(..) => None,
        }
    }

    /// The limit on a worker's memory in bytes.
    pub fn memory_bytes(&self) -> Option<u64> {
        self.plan.exec.limits.memory_bytes
    }
}
